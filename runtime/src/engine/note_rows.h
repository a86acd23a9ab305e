// The rows of notes that agents keep (ADR 54): where a note stands, never what it says.
#pragma once

#include <cstdint>
#include <string>

namespace interlock::runtime {

// Key: NoteKey.
struct NoteRow {
  static constexpr const char* kTable = "p_note";
  std::string note;
  std::string subject;  // HMAC
  std::string topic;    // HMAC
  std::string log;      // origin of the closed log that it stands in; empty: this one
  std::int64_t entry_index = 0;
  std::string run;
  std::string call;
  std::string agent;
  std::int64_t untrusted = 1;  // 1: untrusted content had a part in it
  std::int64_t bytes = 0;
  std::int64_t create_us = 0;
  static constexpr std::string NoteRow::*kKey = &NoteRow::note;
  template <typename Self, typename Visit>
  static void Fields(Self& r, Visit visit) {
    visit("note", r.note), visit("subject", r.subject), visit("topic", r.topic);
    visit("log", r.log), visit("entry_index", r.entry_index), visit("run", r.run);
    visit("call", r.call), visit("agent", r.agent), visit("untrusted", r.untrusted);
    visit("bytes", r.bytes), visit("create_us", r.create_us);
  }
};

// The notes of one subject, so that the fold finds them without a scan.
struct SubjectNotesRow {
  static constexpr const char* kTable = "p_subject_notes";
  std::string subject;  // HMAC
  std::string notes;    // "<topic HMAC>:<note>", space separated
  static constexpr std::string SubjectNotesRow::*kKey = &SubjectNotesRow::subject;
  template <typename Self, typename Visit>
  static void Fields(Self& r, Visit visit) {
    visit("subject", r.subject), visit("notes", r.notes);
  }
};

// The entry of a note: its index, 20 digits, and "@<origin>" when that is in a closed log.
std::string NoteKey(std::int64_t entry_index, const std::string& log);

}  // namespace interlock::runtime
