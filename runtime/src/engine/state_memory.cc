// The fold of notes: which ones a subject has, and where they stand. A topic has one note, the
// newest; what is erased by age or with its subject is no note any more.
#include <algorithm>
#include <cstdio>

#include "audit/payload_key.h"
#include "core/json.h"
#include "engine/state.h"
#include "engine/state_fields.h"

namespace interlock::runtime {
namespace {

std::string WordOf(const std::string& topic, const std::string& note) { return topic + ":" + note; }

}  // namespace

std::string NoteKey(std::int64_t entry_index, const std::string& log) {
  char digits[24];
  std::snprintf(digits, sizeof digits, "%020lld", static_cast<long long>(entry_index));
  return log.empty() ? digits : digits + ("@" + log);
}

core::Status State::ApplyMemory(const audit::EntryView& entry) {
  NoteRow note;
  note.subject = Field(entry, "subject");
  note.topic = Field(entry, "topic");
  if (note.subject.empty() || note.topic.empty()) return Missing(entry, "subject");
  DropNote(note.subject, note.topic);
  if (entry.kind != "memory.noted") return core::OkStatus();
  const std::vector<std::string> labels = SplitWords(WordsOf(entry.body, "labels"));
  const RunRow* run = entry.run.empty() ? nullptr : runs_.Find(std::string(entry.run));
  note.entry_index = static_cast<std::int64_t>(entry.index);
  note.note = NoteKey(note.entry_index, "");
  note.run = entry.run;
  note.call = Field(entry, "call");
  note.agent = run == nullptr ? "" : run->agent;
  // The first word says so; tags come after it and may be any words.
  note.untrusted = labels.empty() || labels.front() != "trusted" ? 1 : 0;
  note.bytes = entry.body.Int("bytes").value_or(0);
  note.create_us = entry.time_us;
  AddNote(std::move(note));
  return core::OkStatus();
}

void State::AddNote(NoteRow note) {
  SubjectNotesRow& all = subject_notes_.Edit(note.subject);
  all.notes += (all.notes.empty() ? "" : " ") + WordOf(note.topic, note.note);
  NoteRow& row = notes_.Edit(note.note);
  row = std::move(note);
}

void State::DropNote(const std::string& subject, const std::string& topic) {
  const SubjectNotesRow* found = subject_notes_.Find(subject);
  if (found == nullptr) return;
  const std::string mark = WordOf(topic, "");
  std::string left = found->notes;
  for (const std::string& word : SplitWords(found->notes)) {
    if (!word.starts_with(mark)) continue;
    notes_.Erase(word.substr(mark.size()));
    left = WithoutWord(left, word);
  }
  if (left == found->notes) return;
  subject_notes_.Edit(subject).notes = left;
  if (left.empty()) subject_notes_.Erase(subject);
}

// All of a subject, or those whose payloads an entry of retention names. A further entry of a key
// tells of ciphertext that was found later: the notes under that key went with the first, and what
// stands by now is sealed under another.
void State::DropErasedNotes(const audit::EntryView& entry) {
  if (erasures_.Find(Field(entry, "key")) != nullptr) return;
  if (const std::string subject = Field(entry, "subject"); !subject.empty()) {
    const SubjectNotesRow* found = subject_notes_.Find(subject);
    if (found == nullptr) return;
    for (const std::string& word : SplitWords(found->notes)) {
      notes_.Erase(word.substr(word.find(':') + 1));
    }
    return subject_notes_.Erase(subject);
  }
  const std::string log = Field(entry, "log");
  const auto payloads = core::JsonArrayElements(entry.body.Raw("payloads").value_or("[]"));
  if (!payloads.ok()) return;
  for (const std::string_view id : *payloads) {
    const NoteRow* note = notes_.Find(NoteKey(audit::EntryOfPayload(NumberAt(id)), log));
    if (note != nullptr) DropNote(std::string(note->subject), std::string(note->topic));
  }
}

// As State::Carried wrote it, in the log that this one follows.
void State::CarryNote(const std::vector<std::string>& row) {
  NoteRow note;
  const FactRow* previous = settings_.Find(kPreviousLog);
  note.log = !row[0].empty() || previous == nullptr ? row[0] : previous->value;
  note.entry_index = NumberAt(row[1]);
  note.note = NoteKey(note.entry_index, note.log);
  note.subject = row[2];
  note.topic = row[3];
  note.run = row[4];
  note.call = row[5];
  note.agent = row[6];
  note.untrusted = NumberAt(row[7]);
  note.bytes = NumberAt(row[8]);
  note.create_us = NumberAt(row[9]);
  AddNote(std::move(note));
}

}  // namespace interlock::runtime
