#include "engine/full_text.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace interlock::runtime {
namespace {

constexpr std::string_view kOpenLog = "audit.db";
constexpr std::int64_t kNewest = std::numeric_limits<std::int64_t>::max();

std::string FileOf(const std::string& database) { return database.substr(database.rfind('/') + 1); }

// Origin of the log that this one goes on from; empty: it is the first.
std::string PreviousOf(const audit::Log& log) {
  const auto entry = log.Read(0);
  if (!entry.ok() || entry->kind != "log.opened") return {};
  const auto view = core::JsonObjectView::Of(entry->bytes);
  const auto body = view.ok() ? view->Object("body") : std::nullopt;
  const auto previous = body ? body->Object("previous") : std::nullopt;
  return previous ? previous->String("origin").value_or("") : "";
}

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
                                  .index = nullptr}));
  // Of a log that cannot be opened nobody can tell whether its index holds what was erased.
  const auto closed = hub_.archives.Files();
  if (closed.ok()) INTERLOCK_RETURN_IF_ERROR(TakeClosed(*closed));
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

core::Status FullText::TakeClosed(const std::vector<Archives::File>& closed) {
  for (auto file = closed.rbegin(); file != closed.rend(); ++file) {
    INTERLOCK_RETURN_IF_ERROR(Take({.origin = file->origin,
                                    .database = file->database,
                                    .log = file->log,
                                    .history = file->history,
                                    .index = nullptr}));
  }
  closed_known_ = true;
  return core::OkStatus();
}

core::Status FullText::KnowClosed() {
  if (closed_known_) return core::OkStatus();
  INTERLOCK_ASSIGN_OR_RETURN(const auto closed, hub_.archives.Files());
  logs_.resize(1);
  return TakeClosed(closed);
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
    const std::int64_t id = static_cast<std::int64_t>(entry.index << 8) | slot;
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

core::Status FullText::FillFrom(One& one, std::uint64_t& entries) const {
  constexpr std::uint64_t kPage = 256;
  INTERLOCK_ASSIGN_OR_RETURN(std::uint64_t next, one.index->next_index());
  const std::uint64_t size = one.log->size();
  if (next > size) {  // of a copy of the log that was longer
    INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t generation, hub_.parts.keys->TextGeneration());
    INTERLOCK_RETURN_IF_ERROR(one.index->Forget(generation));
    next = 0;
  }
  while (next < size && entries > 0) {
    const auto max = static_cast<int>(std::min({kPage, entries, size - next}));
    INTERLOCK_ASSIGN_OR_RETURN(const audit::EntryPage page, one.log->ReadRange(next, max));
    if (page.entries.empty()) return core::OkStatus();
    audit::SearchBatch batch;
    for (const audit::Entry& entry : page.entries) {
      INTERLOCK_RETURN_IF_ERROR(AddText(one, entry, batch));
    }
    next = batch.next_index = page.entries.back().index + 1;
    INTERLOCK_RETURN_IF_ERROR(one.index->Add(batch));
    entries -= std::min<std::uint64_t>(entries, page.entries.size());
  }
  return core::OkStatus();
}

// One that was damaged is filled anew, once.
core::Status FullText::FillOne(One& one, std::uint64_t& entries) {
  core::Status filled = FillFrom(one, entries);
  return filled.code() == core::StatusCode::kAborted ? FillFrom(one, entries) : filled;
}

core::Status FullText::Fill(std::uint64_t entries_max) {
  if (logs_.empty()) return core::OkStatus();
  INTERLOCK_RETURN_IF_ERROR(FillOne(logs_.front(), entries_max));
  INTERLOCK_RETURN_IF_ERROR(KnowClosed());
  problem_.clear();
  for (std::size_t i = 1; i < logs_.size(); ++i) Note(logs_[i], FillOne(logs_[i], entries_max));
  return core::OkStatus();
}

void FullText::Note(const One& one, const core::Status& status) {
  if (status.ok() || !problem_.empty()) return;
  problem_ = "full text does not cover closed log `" + FileOf(one.database) +
             "`: " + std::string(core::Message(status));
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
                                                               std::int64_t before, int max) {
  auto hits = one.index->Find(text, before, max);
  if (hits.status().code() != core::StatusCode::kAborted) return hits;
  std::uint64_t entries = one.log == hub_.parts.log ? kNewest : hub_.parts.search_fill_max;
  INTERLOCK_RETURN_IF_ERROR(FillOne(one, entries));
  return one.index->Find(text, before, max);
}

bool FullText::IsWhole(One& one, Found& found) {
  const auto next = one.index->next_index();
  const auto unreadable = one.index->unreadable();
  found.unreadable += unreadable.value_or(0);
  return next.ok() && unreadable.ok() && *next == one.log->size();
}

core::StatusOr<FullText::Found> FullText::Find(const PageSpec& page, const std::string& text) {
  INTERLOCK_RETURN_IF_ERROR(KnowClosed());
  std::uint64_t all = kNewest;
  INTERLOCK_RETURN_IF_ERROR(FillOne(logs_.front(), all));
  INTERLOCK_RETURN_IF_ERROR(Fill(hub_.parts.search_fill_max));
  INTERLOCK_ASSIGN_OR_RETURN(Position at, PositionOf(page.cursor));
  const auto wanted = static_cast<std::size_t>(page.size) + 1;  // one more tells of a next page
  Found found;
  std::vector<bool> failed(logs_.size());
  for (; at.log < logs_.size() && found.hits.size() < wanted; ++at.log, at.before = kNewest) {
    One& one = logs_[at.log];
    const bool is_open = at.log == 0;
    auto hits = FindIn(one, text, at.before, static_cast<int>(wanted - found.hits.size()));
    if (!hits.ok() && (is_open || hits.status().code() == core::StatusCode::kInvalidArgument)) {
      return hits.status();
    }
    failed[at.log] = !hits.ok();
    Note(one, hits.status());
    if (!hits.ok()) continue;
    for (audit::SearchHit& hit : *hits) {
      found.hits.push_back({std::move(hit), one.origin, is_open ? "" : FileOf(one.database)});
    }
  }
  for (std::size_t i = 0; i < logs_.size(); ++i) {
    const bool whole = IsWhole(logs_[i], found) && !failed[i];
    if (i > 0 && !whole) ++found.unsearched;
    const std::string previous = PreviousOf(*logs_[i].log);
    const auto is_it = [&](const One& one) { return one.origin == previous; };
    if (!previous.empty() && std::none_of(logs_.begin(), logs_.end(), is_it)) ++found.unsearched;
  }
  found.unsearched = std::max(found.unsearched, at.unsearched);
  if (found.hits.size() == wanted) {
    found.hits.pop_back();
    found.next_cursor = CursorOf(found.hits.back(), found.unsearched);
  }
  return found;
}

// ---------------------------------------------------------------- erasure

// An index that cannot say is thrown away too. What is of the generation before is thrown away when
// it is opened, so a crash in here leaves no word behind.
core::Status FullText::Forget(const std::function<core::StatusOr<bool>(const One&)>& loses) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t generation, hub_.parts.keys->NextTextGeneration());
  core::Status first;
  for (const One& one : logs_) {
    const auto lost = loses(one);
    const bool kept = lost.ok() && !*lost && one.index->Restamp(generation).ok();
    const core::Status gone = kept ? core::OkStatus() : one.index->Forget(generation);
    if (first.ok()) first = gone;
  }
  return first;
}

core::Status FullText::ForgetKey(std::string_view key) {
  return Forget([key](const One& one) { return one.index->Holds(key); });
}

core::Status FullText::ForgetLog(std::string_view origin) {
  return Forget([&](const One& one) -> core::StatusOr<bool> {
    return origin.empty() || one.origin == origin;
  });
}

}  // namespace interlock::runtime
