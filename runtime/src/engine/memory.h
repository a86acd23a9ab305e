// Notes that agents keep about the subject of their runs (ADR 54): what they hold, how they are
// found, and the label that each was written with.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "audit/keys.h"
#include "audit/log.h"
#include "core/json.h"
#include "core/status.h"
#include "engine/archives.h"
#include "engine/entries.h"
#include "engine/note_rows.h"
#include "policies/labels.h"

namespace interlock::runtime {

struct Note {
  std::string topic;
  std::string text;
  policies::Label label;  // of its words, and of the plan that wanted them kept
  std::int64_t create_us = 0;
};

// Whether the run is about somebody: one for which neither a subject nor a user was named is not.
bool HasSubject(const CallIdentity& id);
// What serialises the writes to the notes of one subject.
std::string MemoryLock(const CallIdentity& id);

// The notes of the subject of one run, as far as its user may read them. Borrowed parts;
// thread-safe.
class Memory {
 public:
  // `archives`: closed logs; may be null.
  Memory(const audit::Log& log, audit::KeyStore& keys, Archives* archives)
      : log_(log), keys_(keys), archives_(archives) {}

  // What the tools give for arguments that fit their schemas: {"noted":true,"replaced":false},
  // {"more":2,"notes":[{"agent":…,"tags":[…],"text":…,"time":…,"topic":…,"untrusted":true}]},
  // {"deleted":true}. The words of the arguments are not among it (rule 16). Errors:
  // kResourceExhausted (MEMORY_FULL), kInvalidArgument (NOTE_TOO_LONG, NOTE_TAGS),
  // kFailedPrecondition (NOTE_TRUSTED, NOTE_HIDDEN); others: the log cannot be read.
  core::StatusOr<core::Json> Write(const CallIdentity& id, const Note& note) const;
  core::StatusOr<core::Json> Search(const CallIdentity& id, const core::Json& args) const;
  core::StatusOr<core::Json> Delete(const CallIdentity& id, const core::Json& args,
                                    const policies::Label& label) const;

 private:
  core::StatusOr<std::vector<NoteRow>> RowsOf(const CallIdentity& id) const;
  core::StatusOr<Note> Open(const NoteRow& row) const;
  core::Status MayReplace(const CallIdentity& id, const NoteRow& row, bool trusted) const;

  const audit::Log& log_;
  audit::KeyStore& keys_;
  Archives* archives_;
};

// What a search gave is labelled note by note ("result.notes.2"), by what it says of each.
std::vector<policies::LabelChange> LabelsOfNotes(const core::Json& result);

Draft DraftNoted(const CallIdentity& id, const Sealer& sealer, const Note& note);
Draft DraftNoteDeleted(const CallIdentity& id, const Sealer& sealer, const std::string& topic);

}  // namespace interlock::runtime
