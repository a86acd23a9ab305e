#include "engine/full_text.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "audit/payload_key.h"

namespace interlock::runtime {
namespace {

constexpr std::string_view kOpenLog = "audit.db";
constexpr std::int64_t kNewest = std::numeric_limits<std::int64_t>::max();
constexpr std::uint64_t kSliceEntries = 256;
constexpr std::size_t kSliceTextBytes = 1 << 20;  // a document more than this ends the slice

std::string FileOf(const std::string& database) { return database.substr(database.rfind('/') + 1); }

// What the pages so far did not cover goes with it: an index that is whole by now may have had hits
// that none of them showed.
std::string CursorOf(const FullText::Hit& hit, std::uint64_t unsearched) {
  return std::to_string(hit.hit.id) + "/" + std::to_string(unsearched) + "@" + hit.origin;
}

}  // namespace

core::Status FullText::Start() {
  const std::string& folder = hub_.parts.folder;
  if (folder.empty()) return core::OkStatus();
  if (!on()) return audit::SearchIndex::RemoveAll(folder);
  INTERLOCK_ASSIGN_OR_RETURN(std::string origin, OriginOf(*hub_.parts.log));
  INTERLOCK_RETURN_IF_ERROR(Take({.origin = std::move(origin),
                                  .database = folder + "/" + std::string(kOpenLog),
                                  .log = hub_.parts.log,
                                  .history = &hub_.history,
                                  .index = nullptr,
                                  .problem = {}}));
  INTERLOCK_ASSIGN_OR_RETURN(const auto closed, hub_.archives.Files());
  for (auto file = closed.rbegin(); file != closed.rend(); ++file) {
    INTERLOCK_RETURN_IF_ERROR(Take({.origin = file->origin,
                                    .database = file->database,
                                    .log = file->log,
                                    .history = file->history,
                                    .index = nullptr,
                                    .problem = file->why}));
  }
  std::vector<std::string> known;
  known.reserve(logs_.size());
  for (const One& one : logs_) known.push_back(FileOf(one.database));
  return audit::SearchIndex::RemoveOthers(folder, known);
}

core::Status FullText::Take(One one) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t generation, hub_.parts.keys->TextGeneration());
  INTERLOCK_ASSIGN_OR_RETURN(one.index,
                             audit::SearchIndex::Open(one.database, {one.origin, generation}));
  logs_.push_back(std::move(one));
  return core::OkStatus();
}

// The index of a log that could not be opened was looked at by its generation alone; now it is
// known whose it should be.
core::Status FullText::TryUnopened() {
  const auto unopened = [](const One& one) { return one.log == nullptr; };
  if (std::none_of(logs_.begin(), logs_.end(), unopened)) return core::OkStatus();
  INTERLOCK_ASSIGN_OR_RETURN(const auto closed, hub_.archives.Files());
  INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t generation, hub_.parts.keys->TextGeneration());
  for (const Archives::File& file : closed) {
    const auto at = std::find_if(logs_.begin(), logs_.end(), [&](const One& one) {
      return one.log == nullptr && one.database == file.database;
    });
    if (at == logs_.end()) continue;
    at->problem = file.why;
    if (file.log == nullptr) continue;
    auto index = audit::SearchIndex::Open(file.database, {file.origin, generation});
    at->problem = index.status();
    if (!index.ok()) continue;
    *at = {file.origin, file.database, file.log, file.history, *std::move(index), {}};
  }
  return core::OkStatus();
}

// ---------------------------------------------------------------- filling

core::Status FullText::AddText(const One& one, const audit::Entry& entry,
                               audit::SearchBatch& batch) const {
  const bool asked = entry.kind == "call.proposed" || entry.kind == "call.decided";
  const bool done = entry.kind == "call.outcome";
  const std::string field = asked ? "args" : done ? "result" : "";
  if (field.empty()) return core::OkStatus();
  const auto view = core::JsonObjectView::Of(entry.bytes);
  const auto body = view.ok() ? view->Object("body") : std::nullopt;
  const auto named = body ? body->Object(field) : std::nullopt;
  if (!named) return core::OkStatus();
  const int slot = static_cast<int>(named->Int("slot").value_or(0));
  std::string key = named->String("key").value_or("");
  auto text = one.history->Content(entry.index, *body, field);
  if (!text.ok()) {
    INTERLOCK_ASSIGN_OR_RETURN(const bool lost, content_.IsLost(*one.log, entry.index, slot));
    const std::int64_t id = audit::PayloadKey(entry.index, slot);
    if (lost) batch.unreadable.push_back({.id = id, .key = std::move(key)});
    return core::OkStatus();  // or erased
  }
  batch.documents.push_back({.entry_index = entry.index,
                             .slot = slot,
                             .key = std::move(key),
                             .call = body->String("call").value_or(""),
                             .field = field,
                             .text = *std::move(text)});
  return core::OkStatus();
}

core::StatusOr<audit::SearchBatch> FullText::SliceOf(const One& one, std::uint64_t first,
                                                     int max) const {
  audit::SearchBatch batch;
  batch.next_index = first;
  INTERLOCK_ASSIGN_OR_RETURN(const audit::EntryPage page, one.log->ReadRange(first, max));
  std::size_t bytes = 0;
  for (const audit::Entry& entry : page.entries) {
    const std::size_t before = batch.documents.size();
    INTERLOCK_RETURN_IF_ERROR(AddText(one, entry, batch));
    batch.next_index = entry.index + 1;
    if (batch.documents.size() > before) bytes += batch.documents.back().text.size();
    if (bytes > kSliceTextBytes) break;
  }
  return batch;
}

core::Status FullText::FillFrom(One& one, std::uint64_t& entries, const Pause& pause) const {
  INTERLOCK_ASSIGN_OR_RETURN(std::uint64_t next, one.index->next_index());
  const std::uint64_t size = one.log->size();
  if (next > size) {  // of a copy of the log that was longer
    INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t generation, hub_.parts.keys->TextGeneration());
    INTERLOCK_RETURN_IF_ERROR(one.index->Forget(generation));
    next = 0;
  }
  while (next < size && entries > 0 && !pause()) {
    INTERLOCK_RETURN_IF_ERROR(CheckRoom(one));
    const auto max = static_cast<int>(std::min({kSliceEntries, entries, size - next}));
    INTERLOCK_ASSIGN_OR_RETURN(const audit::SearchBatch batch, SliceOf(one, next, max));
    if (batch.next_index == next) return core::OkStatus();
    INTERLOCK_RETURN_IF_ERROR(one.index->Add(batch));
    entries -= std::min<std::uint64_t>(entries, batch.next_index - next);
    next = batch.next_index;
  }
  return core::OkStatus();
}

// The log goes on for twice as long as its full text, which can be made at any later time: closed
// logs stop being taken in first.
core::Status FullText::CheckRoom(const One& one) const {
  const bool is_open = one.log == hub_.parts.log;
  const std::uint64_t left = hub_.parts.search_free_bytes_min / (is_open ? 2 : 1);
  struct statvfs disk {};
  if (::statvfs(hub_.parts.folder.c_str(), &disk) != 0) return core::OkStatus();  // a write tells
  if (static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize >= left) return core::OkStatus();
  return core::ResourceExhausted("full text leaves the log " + std::to_string(left >> 20) +
                                 " MiB, and no more are free; make room on the disk of `" +
                                 hub_.parts.folder + "`");
}

// One that was damaged is filled anew, once.
core::Status FullText::FillOne(One& one, std::uint64_t& entries, const Pause& pause) const {
  if (one.log == nullptr) return one.problem;
  core::Status filled = FillFrom(one, entries, pause);
  one.problem = filled.code() == core::StatusCode::kAborted ? FillFrom(one, entries, pause)
                                                            : std::move(filled);
  return one.problem;
}

core::Status FullText::Fill(Logs logs, std::uint64_t entries_max, const Pause& pause) {
  if (logs_.empty()) return core::OkStatus();
  INTERLOCK_RETURN_IF_ERROR(TryUnopened());
  if (logs == Logs::kAll) {
    INTERLOCK_RETURN_IF_ERROR(FillOne(logs_.front(), entries_max, pause));
  }
  for (std::size_t i = 1; i < logs_.size(); ++i) {
    static_cast<void>(FillOne(logs_[i], entries_max, pause));  // kept in `problem`
  }
  return core::OkStatus();
}

std::string FullText::problem() const {
  for (std::size_t i = 1; i < logs_.size(); ++i) {
    if (logs_[i].problem.ok()) continue;
    return "full text does not cover closed log `" + FileOf(logs_[i].database) +
           "`: " + std::string(core::Message(logs_[i].problem));
  }
  return "";
}

// ---------------------------------------------------------------- finding

core::StatusOr<FullText::Position> FullText::PositionOf(const std::string& cursor) const {
  if (cursor.empty()) return Position{.log = 0, .before = kNewest, .unsearched = 0};
  Position at;
  const std::size_t name = cursor.find('@');
  const char* end = cursor.data() + cursor.size();
  const auto id = std::from_chars(cursor.data(), end, at.before);
  if (id.ptr != end && *id.ptr == '/') std::from_chars(id.ptr + 1, end, at.unsearched);
  for (at.log = 0; at.log < logs_.size(); ++at.log) {
    if (name != std::string::npos && cursor.substr(name + 1) == logs_[at.log].origin) return at;
  }
  return core::InvalidArgument("the page token is of a log that is not here; begin anew");
}

core::StatusOr<std::vector<audit::SearchHit>> FullText::FindIn(One& one, const std::string& text,
                                                               std::int64_t before, int max,
                                                               const Pause& pause) const {
  if (one.log == nullptr) return one.problem;
  auto hits = one.index->Find(text, before, max);
  if (hits.status().code() != core::StatusCode::kAborted) return hits;
  std::uint64_t entries = one.log == hub_.parts.log ? kNewest : hub_.parts.search_fill_max;
  INTERLOCK_RETURN_IF_ERROR(FillOne(one, entries, pause));
  return one.index->Find(text, before, max);
}

bool FullText::IsWhole(One& one, Found& found) const {
  if (one.log == nullptr) return false;
  const auto next = one.index->next_index();
  const auto unreadable = one.index->unreadable();
  found.unreadable += unreadable.value_or(0);
  return next.ok() && unreadable.ok() && *next == one.log->size();
}

void FullText::TellUnsearched(Found& found) {
  std::vector<const audit::Log*> logs;
  for (One& one : logs_) {
    const bool whole = IsWhole(one, found) && one.problem.ok();
    logs.push_back(one.log);
    if (whole || one.log == hub_.parts.log) continue;
    const std::string why(one.problem.ok() ? "it is still being taken in; search again in a minute"
                                           : core::Message(one.problem));
    found.unsearched_logs.push_back({one.origin, FileOf(one.database), why});
  }
  for (std::string& origin : OriginsAway(logs)) {
    found.unsearched_logs.push_back({std::move(origin), "", "it is not in the tenant's folder"});
  }
}

core::StatusOr<FullText::Found> FullText::Find(const PageSpec& page, const std::string& text,
                                               const Pause& pause) {
  std::uint64_t all = kNewest;
  INTERLOCK_RETURN_IF_ERROR(FillOne(logs_.front(), all, pause));
  if (pause()) return core::Unavailable("the daemon is stopping; search again when it is back");
  INTERLOCK_RETURN_IF_ERROR(Fill(Logs::kAll, hub_.parts.search_fill_max, pause));
  INTERLOCK_ASSIGN_OR_RETURN(Position at, PositionOf(page.cursor));
  const auto wanted = static_cast<std::size_t>(page.size) + 1;  // one more tells of a next page
  Found found;
  for (; at.log < logs_.size() && found.hits.size() < wanted; ++at.log, at.before = kNewest) {
    One& one = logs_[at.log];
    const bool is_open = at.log == 0;
    auto hits = FindIn(one, text, at.before, static_cast<int>(wanted - found.hits.size()), pause);
    if (!hits.ok() && (is_open || hits.status().code() == core::StatusCode::kInvalidArgument)) {
      return hits.status();
    }
    if (!hits.ok()) {
      one.problem = hits.status();
      continue;
    }
    for (audit::SearchHit& hit : *hits) {
      found.hits.push_back({std::move(hit), one.origin, is_open ? "" : FileOf(one.database)});
    }
  }
  TellUnsearched(found);
  found.unsearched = std::max<std::uint64_t>(found.unsearched_logs.size(), at.unsearched);
  if (found.hits.size() == wanted) {
    found.hits.pop_back();
    found.next_cursor = CursorOf(found.hits.back(), found.unsearched);
  }
  return found;
}

// ---------------------------------------------------------------- erasure

// An erasure waits for no index: one that cannot say now is thrown away too. What is of the
// generation before is thrown away when it is opened, so a crash in here leaves no word behind.
core::Status FullText::Forget(const std::function<core::StatusOr<bool>(const One&)>& loses) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t generation, hub_.parts.keys->NextTextGeneration());
  core::Status first;
  for (const One& one : logs_) {
    const auto lost = loses(one);
    const bool kept = lost.ok() && !*lost && one.index->Restamp(generation).ok();
    const core::Status gone = kept ? core::OkStatus() : one.index->Forget(generation);
    if (first.ok() && !gone.ok()) {
      first = core::Error(gone.code(), "words that were erased may still stand in full text: " +
                                           std::string(core::Message(gone)) +
                                           "; remove the file, the rest is done by itself");
    }
  }
  return first;
}

core::Status FullText::ForgetKey(std::string_view key) {
  return Forget([key](const One& one) { return one.index->Holds(key); });
}

core::Status FullText::ForgetLog(std::string_view origin) {
  return Forget([&](const One& one) -> core::StatusOr<bool> {
    return origin.empty() || one.log == nullptr || one.origin == origin;
  });
}

}  // namespace interlock::runtime
