#include "engine/memory.h"

#include <algorithm>
#include <string_view>

#include "engine/history.h"
#include "engine/select.h"
#include "engine/state.h"
#include "engine/utc.h"
#include "runtime/own_tools.h"

namespace interlock::runtime {
namespace {

constexpr std::string_view kNobody = "run:";  // a subject that is the run itself
constexpr std::size_t kNotesByDefault = 10;

std::string SubjectOf(const audit::KeyStore& keys, const CallIdentity& id) {
  return keys.Hmac("subject", id.subject);
}

// Of one subject, so that nobody sees that two of them have notes of one topic.
std::string TopicOf(const audit::KeyStore& keys, const CallIdentity& id, const std::string& topic) {
  return keys.Hmac("note", id.subject + '\0' + topic);
}

std::string Folded(std::string_view text) {
  std::string folded(text);
  for (char& c : folded) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
  return folded;
}

bool HasEveryWord(const Note& note, const std::vector<std::string>& words) {
  const std::string all = Folded(note.topic + "\n" + note.text);
  return std::all_of(words.begin(), words.end(), [&all](const std::string& word) {
    return all.find(word) != std::string::npos;
  });
}

bool MayRead(const CallIdentity& id, const policies::Label& label) {
  const auto has = [&label](const std::string& who) {
    return std::find(label.readers.begin(), label.readers.end(), who) != label.readers.end();
  };
  const std::vector<std::string> asking = id.Readers();
  return has("*") || std::all_of(asking.begin(), asking.end(), has);
}

core::Json Shown(const Note& note, const std::string& agent) {
  core::Json shown = {{"agent", agent},
                      {"text", note.text},
                      {"time", UtcSeconds(note.create_us)},
                      {"topic", note.topic}};
  if (!note.label.tags.empty()) shown["tags"] = note.label.tags;
  if (!note.label.trusted) shown["untrusted"] = true;
  return shown;
}

core::StatusOr<Note> NoteFromText(const std::string& text) {
  INTERLOCK_ASSIGN_OR_RETURN(const core::Json json, core::ParseJson(text, core::kPayloadLimits));
  const core::Json label = json.value("label", core::Json::object());
  using Texts = std::vector<std::string>;
  return Note{.topic = json.value("topic", ""),
              .text = json.value("text", ""),
              .label = {.trusted = label.value("trusted", false),
                        .sources = label.value("sources", Texts{}),
                        .tags = label.value("tags", Texts{}),
                        .readers = label.value("readers", Texts{})},
              .create_us = 0};
}

std::string TextOfNote(const Note& note) {
  const core::Json label = {{"readers", note.label.readers},
                            {"sources", note.label.sources},
                            {"tags", note.label.tags},
                            {"trusted", note.label.trusted}};
  return core::CanonicalJson({{"label", label}, {"text", note.text}, {"topic", note.topic}});
}

}  // namespace

bool HasSubject(const CallIdentity& id) {
  return !id.run.empty() && !id.subject.empty() && id.subject != std::string(kNobody) + id.Root();
}

std::string MemoryLock(const CallIdentity& id) { return "memory of " + id.subject; }

// ---------------------------------------------------------------- what is there

core::StatusOr<std::vector<NoteRow>> Memory::RowsOf(const CallIdentity& id) const {
  return Select<NoteRow>(log_, "WHERE subject = ? ORDER BY create_us DESC, note DESC",
                         {SubjectOf(keys_, id)});
}

// Errors: kNotFound when it was erased, or when its log is gone.
core::StatusOr<Note> Memory::Open(const NoteRow& row) const {
  const audit::Log* log = &log_;
  if (!row.log.empty()) {
    if (archives_ == nullptr) return core::NotFound("there are no closed logs");
    INTERLOCK_ASSIGN_OR_RETURN(log, archives_->OfOrigin(row.log));
  }
  INTERLOCK_ASSIGN_OR_RETURN(const audit::Entry entry,
                             log->Read(static_cast<std::uint64_t>(row.entry_index)));
  INTERLOCK_ASSIGN_OR_RETURN(const core::JsonObjectView view,
                             core::JsonObjectView::Of(entry.bytes));
  const auto body = view.Object("body");
  if (!body) return core::DataLoss("entry " + std::to_string(entry.index) + " has no body");
  INTERLOCK_ASSIGN_OR_RETURN(const std::string text,
                             History(*log, keys_).Content(entry.index, *body, "note"));
  INTERLOCK_ASSIGN_OR_RETURN(Note note, NoteFromText(text));
  note.create_us = row.create_us;
  return note;
}

// ---------------------------------------------------------------- what is asked

// What was noted before anything untrusted was read is not for those to change who have read it.
core::Status Memory::MayReplace(const CallIdentity& id, const NoteRow& row, bool trusted) const {
  if (row.untrusted == 0 && !trusted) {
    return WithReason(core::FailedPrecondition("this topic has a note from before anything "
                                               "untrusted was read; it stays as it is"),
                      "NOTE_TRUSTED");
  }
  const auto note = Open(row);
  if (IsLost(note.status())) return core::OkStatus();  // nobody is given it any more
  if (!note.ok()) return note.status();
  if (MayRead(id, note->label)) return core::OkStatus();
  return WithReason(core::FailedPrecondition("this topic has a note that is not for this user; "
                                             "take another topic"),
                    "NOTE_HIDDEN");
}

namespace {

// They go from note to run to note, and every one stands in an entry.
core::Status CheckTags(const policies::Label& label) {
  std::size_t bytes = 0;
  for (const std::string& tag : label.tags) bytes += tag.size();
  if (bytes <= kNoteTagsBytesMax) return core::OkStatus();
  return WithReason(core::InvalidArgument("what this note is made of has more than " +
                                          std::to_string(kNoteTagsBytesMax) + " bytes of tags"),
                    "NOTE_TAGS");
}

// What a page planted never takes the place of what is noted in trust.
core::Status CheckRoom(const std::vector<NoteRow>& rows, const policies::Label& label) {
  const auto untrusted = static_cast<std::size_t>(std::count_if(
      rows.begin(), rows.end(), [](const NoteRow& row) { return row.untrusted != 0; }));
  const std::size_t trusted = rows.size() - untrusted;
  const bool fits =
      label.trusted ? trusted < kNotesMax - kUntrustedNotesMax : untrusted < kUntrustedNotesMax;
  if (fits) return core::OkStatus();
  return WithReason(core::ResourceExhausted(label.trusted ? "there are as many notes as there may "
                                                            "be; delete one first"
                                                          : "there are as many notes of what "
                                                            "untrusted content had a part in as "
                                                            "there may be; delete one first"),
                    "MEMORY_FULL");
}

}  // namespace

core::StatusOr<core::Json> Memory::Write(const CallIdentity& id, const Note& note) const {
  if (note.text.size() > kNoteBytesMax) {
    return WithReason(core::InvalidArgument("a note has at most " + std::to_string(kNoteBytesMax) +
                                            " bytes; keep what matters"),
                      "NOTE_TOO_LONG");
  }
  INTERLOCK_ASSIGN_OR_RETURN(const std::vector<NoteRow> rows, RowsOf(id));
  const std::string topic = TopicOf(keys_, id, note.topic);
  const auto same = std::find_if(rows.begin(), rows.end(),
                                 [&topic](const NoteRow& row) { return row.topic == topic; });
  const bool replaces = same != rows.end();
  if (replaces) INTERLOCK_RETURN_IF_ERROR(MayReplace(id, *same, note.label.trusted));
  INTERLOCK_RETURN_IF_ERROR(CheckTags(note.label));
  const bool adds = !replaces || (same->untrusted == 0) != note.label.trusted;  // one of its sort
  if (adds) INTERLOCK_RETURN_IF_ERROR(CheckRoom(rows, note.label));
  return core::Json{{"noted", true}, {"replaced", replaces}};
}

core::StatusOr<core::Json> Memory::Search(const CallIdentity& id, const core::Json& args) const {
  INTERLOCK_ASSIGN_OR_RETURN(std::vector<NoteRow> rows, RowsOf(id));
  // Or those that a page planted would hide what was noted in trust.
  std::stable_partition(rows.begin(), rows.end(),
                        [](const NoteRow& row) { return row.untrusted == 0; });
  const std::vector<std::string> words = SplitWords(Folded(args.value("query", "")));
  const std::string topic = args.contains("topic") ? TopicOf(keys_, id, args["topic"]) : "";
  const bool trusted_only = args.value("trusted_only", false);
  const std::size_t limit = args.value("limit", kNotesByDefault);
  core::Json notes = core::Json::array();
  std::size_t bytes = 0;
  std::int64_t more = 0;
  for (const NoteRow& row : rows) {
    if ((!topic.empty() && row.topic != topic) || (trusted_only && row.untrusted != 0)) continue;
    const auto note = Open(row);
    if (IsLost(note.status())) continue;  // one that is damaged keeps no other from being found
    if (!note.ok()) return note.status();
    if (!MayRead(id, note->label) || !HasEveryWord(*note, words)) continue;
    core::Json shown = Shown(*note, row.agent);
    const std::size_t size = core::CanonicalJson(shown).size();
    if (notes.size() == limit || bytes + size > kNotesBytesMax) {
      ++more;
      continue;
    }
    bytes += size;
    notes.push_back(std::move(shown));
  }
  core::Json found = {{"notes", std::move(notes)}};
  if (more > 0) found["more"] = more;
  return found;
}

core::StatusOr<core::Json> Memory::Delete(const CallIdentity& id, const core::Json& args,
                                          const policies::Label& label) const {
  INTERLOCK_ASSIGN_OR_RETURN(const std::vector<NoteRow> rows, RowsOf(id));
  const std::string topic = TopicOf(keys_, id, args.value("topic", ""));
  const auto same = std::find_if(rows.begin(), rows.end(),
                                 [&topic](const NoteRow& row) { return row.topic == topic; });
  if (same == rows.end()) return core::Json{{"deleted", false}};
  INTERLOCK_RETURN_IF_ERROR(MayReplace(id, *same, label.trusted));
  return core::Json{{"deleted", true}};
}

// ---------------------------------------------------------------- labels and entries

std::vector<policies::LabelChange> LabelsOfNotes(const core::Json& result) {
  std::vector<policies::LabelChange> changes;
  if (!result.is_object() || !result.contains("notes")) return changes;
  std::size_t position = 0;
  for (const core::Json& note : result["notes"]) {
    policies::LabelChange change{.rule = "",
                                 .path = "result.notes." + std::to_string(++position),
                                 .tags = note.value("tags", std::vector<std::string>{}),
                                 .untrusted = note.value("untrusted", false)};
    if (change.untrusted || !change.tags.empty()) changes.push_back(std::move(change));
  }
  return changes;
}

Draft DraftNoted(const CallIdentity& id, const Sealer& sealer, const Note& note) {
  Draft draft = MakeDraft("memory.noted", id.run, "engine");
  BodyWriter(draft)
      .Int("bytes", static_cast<std::int64_t>(note.text.size()))
      .String("call", id.call)
      .Raw("labels", JsonStrings(LabelWords(!note.label.trusted, note.label.tags)))
      .Raw("note", sealer.JsonText(draft, TextOfNote(note)))
      .String("subject", SubjectOf(sealer.keys(), id))
      .String("topic", TopicOf(sealer.keys(), id, note.topic))
      .Close();
  return draft;
}

Draft DraftNoteDeleted(const CallIdentity& id, const Sealer& sealer, const std::string& topic) {
  Draft draft = MakeDraft("memory.deleted", id.run, "engine");
  BodyWriter(draft)
      .String("call", id.call)
      .String("subject", SubjectOf(sealer.keys(), id))
      .String("topic", TopicOf(sealer.keys(), id, topic))
      .Close();
  return draft;
}

}  // namespace interlock::runtime
