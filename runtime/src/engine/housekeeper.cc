#include "engine/housekeeper.h"

#include <algorithm>
#include <set>

#include "audit/erase.h"
#include "audit/payload_key.h"
#include "engine/run_state.h"
#include "engine/select.h"

namespace interlock::runtime {
namespace {

constexpr std::chrono::seconds kTick{2};
constexpr std::chrono::milliseconds kRunPoll{20};
constexpr int kRunPollsMax = 500;  // ten seconds for runs to end
constexpr std::int64_t kRetentionEvery = 24ll * 3600 * 1'000'000;
constexpr std::int64_t kRetentionAgain = 3600ll * 1'000'000;  // where it did not work
constexpr std::uint64_t kQuietEntries = 50;                   // a tick with fewer is a quiet one
constexpr std::uint64_t kFillPerTick = 2000;
constexpr std::uint64_t kFillPerBusyTick = 512;
constexpr std::int64_t kFinishPauseMicros = 2'000'000;  // before what waits is tried again
constexpr std::int64_t kFinishPauseMaxMicros = 60'000'000;

constexpr const char* kFullText = "full text";  // what a warning is about
constexpr const char* kExpiry = "expiry";

constexpr std::int64_t kUncompensatedNewsMicros = 7ll * 24 * 3600 * 1'000'000;

core::Status Busy(std::string_view what) {
  return WithReason(core::FailedPrecondition(std::string(what)), "SUBJECT_BUSY");
}

// Of the note of a retention; empty: the open log.
std::string_view OriginIn(std::string_view note) {
  note.remove_prefix(std::min(kRetention.size() + 1, note.size()));
  return note;
}

// Whether what this note of an erasure is about may still be found.
bool MayBeFound(const std::string& note) {
  return !note.starts_with(kInClosedLogs) && !note.starts_with(kAway) && note != kOldPages;
}

}  // namespace

core::Status Housekeeper::Start() {
  INTERLOCK_ASSIGN_OR_RETURN(const auto keys, Column("SELECT key FROM p_erasure", {}));
  for (const std::string& key : keys) {
    INTERLOCK_RETURN_IF_ERROR(hub_.parts.keys->DestroyKey(key));
  }
  INTERLOCK_RETURN_IF_ERROR(texts_.Start());
  INTERLOCK_RETURN_IF_ERROR(StartLogTime());
  retention_due_us_ = hub_.parts.clock->MonotonicMicros();
  thread_ = std::thread([this] { Loop(); });
  return core::OkStatus();
}

void Housekeeper::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Housekeeper::Submit(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  work_.push_back(std::move(work));
  changed_.notify_all();
}

// A look is due however much work waits.
void Housekeeper::Loop() {
  const core::Clock& clock = *hub_.parts.clock;
  const auto due = [&clock] {
    return clock.MonotonicMicros() + std::chrono::microseconds(kTick).count();
  };
  Tick();
  std::int64_t tick_due_us = due();
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait_for(lock, kTick, [this] { return stopping_ || !work_.empty(); });
    if (stopping_ && work_.empty()) return;
    std::function<void()> work = [&] { Tick(), tick_due_us = due(); };
    if (!work_.empty() && (stopping_ || clock.MonotonicMicros() < tick_due_us)) {
      work = std::move(work_.front());
      work_.pop_front();
    }
    lock.unlock();
    work();
    lock.lock();
  }
}

bool Housekeeper::Stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

// Failures here are tried again at the next tick; what an operator must know stands in the reply of
// what he asked for, or is a warning.
void Housekeeper::Tick() {
  if (hub_.parts.log->health() != audit::Health::kOk) return;
  const std::int64_t now = hub_.parts.clock->MonotonicMicros();
  if (now >= finish_due_us_) FinishRest();
  if (now >= retention_due_us_ && !hub_.parts.state->clock_in_doubt()) {
    const auto applied = ApplyRetention(kEngineActor, /*validate_only=*/false);
    retention_due_us_ = now + (applied.ok() ? kRetentionEvery : kRetentionAgain);
    Warn(kExpiry, applied.ok() ? ""
                               : "not all that is older than it is kept was erased: " +
                                     std::string(core::Message(applied.status())));
  }
  static_cast<void>(content_.Look());
  const std::uint64_t size = hub_.parts.log->size();
  const bool quiet = size < size_at_tick_ + kQuietEntries;
  size_at_tick_ = size;
  if (!texts_.on()) return;
  const auto pause = [this] {
    const std::lock_guard lock(mutex_);
    return stopping_ || !work_.empty();
  };
  const std::uint64_t entries =
      std::min(quiet ? kFillPerTick : kFillPerBusyTick, hub_.parts.search_fill_max);
  const auto logs = quiet ? FullText::Logs::kAll : FullText::Logs::kClosed;
  static_cast<void>(texts_.Fill(logs, entries, pause));  // closed ones keep what they met
  Warn(kFullText, texts_.problem());
}

// What waits for a reader may wait for days: ever more seldom, and each try is cheap.
void Housekeeper::FinishRest() {
  audit::KeyStore& keys = *hub_.parts.keys;
  bool all = true;
  for (auto key = keys_to_destroy_.begin(); key != keys_to_destroy_.end();) {
    const bool destroyed = keys.DestroyKey(*key).ok();
    all = all && destroyed;
    key = destroyed ? keys_to_destroy_.erase(key) : std::next(key);
  }
  const auto unfinished = keys.UnfinishedErasures();
  all = all && unfinished.ok();
  unfinished_ = all ? "" : "`keys.db` cannot be written; mend that";
  if (unfinished.ok()) {
    for (const std::string& name : *unfinished) {
      const auto finished = Finish(name);
      all = all && finished.ok() && !finished->old_pages_pending;
      if (!finished.ok() && MayBeFound(name)) unfinished_ = core::Message(finished.status());
    }
  }
  finish_pause_us_ =
      all ? 0 : std::clamp(2 * finish_pause_us_, kFinishPauseMicros, kFinishPauseMaxMicros);
  finish_due_us_ = hub_.parts.clock->MonotonicMicros() + finish_pause_us_;
}

// Nobody can say that it is seen to, so it is told of while it is news.
std::string Housekeeper::Uncompensated() const {
  const std::int64_t since_us = hub_.parts.clock->WallMicros() - kUncompensatedNewsMicros;
  const auto runs = Select<RunRow>(
      *hub_.parts.log, "WHERE state = CAST(? AS INTEGER) AND update_us > CAST(? AS INTEGER)",
      {std::to_string(static_cast<int>(RunState::kUncompensated)), std::to_string(since_us)});
  if (!runs.ok() || runs->empty()) return "";
  return std::to_string(runs->size()) +
         " runs of the last 7 days ended with effects that could not be taken back; see `interlock "
         "runs list --state uncompensated`";
}

std::vector<std::string> Housekeeper::warnings() const {
  std::vector<std::string> all;
  if (std::string left = Uncompensated(); !left.empty()) all.push_back(std::move(left));
  if (std::string lost = content_.warning(); !lost.empty()) all.push_back(std::move(lost));
  const std::lock_guard lock(mutex_);
  for (const auto& [ignored, text] : warnings_) all.push_back(text);
  return all;
}

void Housekeeper::Warn(const std::string& about, std::string text) {
  const std::lock_guard lock(mutex_);
  if (text.empty()) {
    warnings_.erase(about);
  } else {
    warnings_[about] = std::move(text);
  }
}

core::StatusOr<std::vector<std::string>> Housekeeper::Column(
    const std::string& sql, const std::vector<std::string>& bound) const {
  std::vector<std::string> values;
  INTERLOCK_RETURN_IF_ERROR(hub_.parts.log->Query([&](sqlite3* db) -> core::Status {
    INTERLOCK_ASSIGN_OR_RETURN(const Statement select, Prepare(db, sql));
    for (std::size_t i = 0; i < bound.size(); ++i) {
      BindText(select.get(), static_cast<int>(i) + 1, bound[i]);
    }
    int code = SQLITE_ROW;
    while ((code = sqlite3_step(select.get())) == SQLITE_ROW) {
      values.push_back(ColumnText(select.get(), 0));
    }
    return code == SQLITE_DONE ? core::OkStatus() : core::Internal(sqlite3_errmsg(db));
  }));
  return values;
}

// ---------------------------------------------------------------- erasure

core::StatusOr<Erasure> Housekeeper::Erase(const core::Principal& who, const EraseSpec& spec,
                                           const RequestMark& request) {
  audit::KeyStore& keys = *hub_.parts.keys;
  if (!request.key.empty()) {
    INTERLOCK_ASSIGN_OR_RETURN(
        const auto earlier,
        Select<RequestRow>(*hub_.parts.log, "WHERE request = ?", {request.key}));
    if (!earlier.empty()) {
      INTERLOCK_RETURN_IF_ERROR(SameRequest(earlier.front(), request.digest));
      return EraseAgain(earlier.front(), spec.subject);
    }
  }
  const auto key = keys.KeyIdOf(spec.subject);
  if (key.status().code() == core::StatusCode::kNotFound) {
    return WithReason(key.status(), "SUBJECT_NOT_FOUND");
  }
  if (!key.ok()) return WithReason(key.status(), "SUBJECT_ERASED");
  Erasure erasure;
  INTERLOCK_ASSIGN_OR_RETURN(erasure.runs_ended, EndRuns(who, spec.subject));
  keys.Refuse(spec.subject);
  hub_.parts.state->BeginErasing(*key);  // a call that is being decided has its key
  const core::Status free = CheckNotBusy(keys.Hmac("subject", spec.subject));
  const auto index = free.ok() ? WriteErased("principal:" + who.id, spec, *key, request)
                               : core::StatusOr<std::uint64_t>(free);
  if (!index.ok()) {
    hub_.parts.state->EndErasing(*key);
    keys.Allow(spec.subject);
    return index.status();
  }
  erasure.index = *index;
  if (const core::Status destroyed = keys.DestroyKey(*key); !destroyed.ok()) {
    keys_to_destroy_.insert(*key);
    return destroyed;
  }
  const auto finished = Finish(*key);
  if (!finished.ok() && finished.status().code() != core::StatusCode::kUnavailable) {
    return finished.status();
  }
  // The key is gone; what a reader holds up is finished by and by.
  erasure.payloads = finished.ok() ? finished->payloads : 0;
  erasure.old_pages_pending = !finished.ok() || finished->old_pages_pending;
  INTERLOCK_ASSIGN_OR_RETURN(erasure.logs_away, LogsAway());
  return erasure;
}

core::StatusOr<std::int64_t> Housekeeper::EndRuns(const core::Principal& who,
                                                  const std::string& subject) {
  const std::string hmac = hub_.parts.keys->Hmac("subject", subject);
  const std::string open =
      "SELECT run FROM p_run WHERE subject = ? AND state NOT IN (" + FinalStates() + ")";
  INTERLOCK_ASSIGN_OR_RETURN(const auto runs, Column(open, {hmac}));
  for (const std::string& run : runs) {
    const core::Status status = cancel_(who, run);
    if (!status.ok() && status.code() != core::StatusCode::kFailedPrecondition) return status;
  }
  for (int poll = 0; poll < kRunPollsMax; ++poll) {
    INTERLOCK_ASSIGN_OR_RETURN(const auto left, Column(open, {hmac}));
    if (left.empty()) return static_cast<std::int64_t>(runs.size());
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, kRunPoll, [this] { return stopping_; })) break;
  }
  return Busy(
      "a run of the subject has a call at work or with an unknown outcome; resolve it, then erase");
}

core::Status Housekeeper::CheckNotBusy(const std::string& subject_hmac) const {
  INTERLOCK_ASSIGN_OR_RETURN(const auto runs,
                             Column("SELECT run FROM p_run WHERE subject = ? AND state NOT IN (" +
                                        FinalStates() + ") LIMIT 1",
                                    {subject_hmac}));
  if (!runs.empty()) return Busy("run `" + runs.front() + "` of the subject began meanwhile");
  const auto state = [](CallState s) { return std::to_string(static_cast<int>(s)); };
  INTERLOCK_ASSIGN_OR_RETURN(
      const auto calls,
      Column("SELECT call FROM p_call WHERE run = '' AND subject = ? AND state IN (" +
                 state(CallState::kIntended) + ", " + state(CallState::kRunning) + ", " +
                 state(CallState::kUnknown) + ") LIMIT 1",
             {subject_hmac}));
  if (calls.empty()) return core::OkStatus();
  return Busy("call `" + calls.front() + "` of the subject has no known outcome; resolve it");
}

core::StatusOr<std::uint64_t> Housekeeper::WriteErased(const std::string& actor,
                                                       const EraseSpec& spec,
                                                       const std::string& key,
                                                       const RequestMark& request) {
  Draft draft;
  draft.kind = "payload.erased";
  draft.actor = actor;
  BodyWriter body(draft);
  body.String("key", key).Optional("legal_basis", spec.legal_basis).String("reason", spec.reason);
  request.Write(body);
  body.String("subject", hub_.parts.keys->Hmac("subject", spec.subject));
  body.String("what", "subject").Close();
  std::uint64_t index = 0;
  INTERLOCK_RETURN_IF_ERROR(hub_.CommitNow([&](Serial& serial) -> core::Status {
    INTERLOCK_ASSIGN_OR_RETURN(const audit::EntryRef ref, serial.Append(draft));
    index = ref.index;
    return core::OkStatus();
  }));
  return index;
}

core::StatusOr<Housekeeper::Finished> Housekeeper::Finish(const std::string& name) {
  audit::KeyStore& keys = *hub_.parts.keys;
  Finished finished;
  if (name.starts_with(kAway)) {
    const std::string origin = name.substr(kAway.size());
    const auto rows = EraseInReturned(origin);
    Warn(name, rows.ok() ? ""
                         : "closed log `" + origin +
                               "` is back, and erased content still stands in "
                               "it, sealed under a destroyed key: " +
                               std::string(core::Message(rows.status())));
    INTERLOCK_RETURN_IF_ERROR(rows.status());
    finished.payloads = *rows;
    return finished;
  }
  const bool in_closed = name.starts_with(kInClosedLogs);
  std::string key = in_closed ? name.substr(kInClosedLogs.size()) : "";
  core::Status words;
  if (!in_closed && name != kOldPages) {
    for (const auto& [ignored, planner] : hub_.parts.planners) planner->ForgetReplies();
    // First: there the words stand in the clear, and nothing below may hold that up.
    const bool retention = name.starts_with(kRetention);
    words = retention ? texts_.ForgetLog(OriginIn(name)) : texts_.ForgetKey(name);
    if (!retention) {
      key = name;
      INTERLOCK_ASSIGN_OR_RETURN(finished.payloads, EraseCiphertext(key));
      INTERLOCK_RETURN_IF_ERROR(keys.NoteErasure(std::string(kInClosedLogs) + key));
    }
    INTERLOCK_RETURN_IF_ERROR(keys.NoteErasure(kOldPages));
    if (words.ok()) INTERLOCK_RETURN_IF_ERROR(keys.FinishErasure(name));
  }
  const auto forgotten = in_closed ? core::StatusOr<bool>(true) : ForgetOldPages();
  if (!key.empty()) {
    const auto rows = EraseInClosedLogs(key);
    if (words.ok()) words = rows.status();
    finished.payloads += rows.value_or(0);
  }
  INTERLOCK_RETURN_IF_ERROR(words);
  if (!forgotten.ok()) return forgotten.status();
  finished.old_pages_pending = !*forgotten;
  return finished;
}

// What a destroyed key sealed opens nowhere, so a file that cannot be written, or opened at all,
// holds up nothing but itself.
core::StatusOr<std::int64_t> Housekeeper::EraseInClosedLogs(const std::string& key) {
  const std::string name = std::string(kInClosedLogs) + key;
  INTERLOCK_ASSIGN_OR_RETURN(const auto closed, hub_.archives.Files());
  std::int64_t count = 0;
  core::Status first;
  for (const Archives::File& file : closed) {
    const auto rows = file.log != nullptr
                          ? audit::EraseInArchive(file.database, std::string_view(key))
                          : core::FailedPrecondition(core::Message(file.why));
    if (rows.ok()) {
      count += *rows;
    } else if (first.ok()) {
      const std::string_view what_to_do =
          file.log == nullptr ? ""
                              : "; make it writable for the daemon, which tries again by itself";
      first = core::Error(rows.status().code(),
                          "erased content still stands, sealed under a destroyed key, in `" +
                              file.database + "`: " + std::string(core::Message(rows.status())) +
                              std::string(what_to_do));
    }
  }
  Warn(name, std::string(core::Message(first)));
  INTERLOCK_RETURN_IF_ERROR(NoteAway(closed));
  INTERLOCK_RETURN_IF_ERROR(first);
  INTERLOCK_RETURN_IF_ERROR(hub_.parts.keys->FinishErasure(name));
  return count;
}

// A log that is away owes every erasure that it misses, by one note of its own. One that cannot be
// opened may be the one that is looked for; it owes by the note of the key.
core::Status Housekeeper::NoteAway(const std::vector<Archives::File>& closed) {
  std::vector<const audit::Log*> logs{hub_.parts.log};
  for (auto file = closed.rbegin(); file != closed.rend(); ++file) logs.push_back(file->log);
  for (const std::string& origin : OriginsAway(logs)) {
    INTERLOCK_RETURN_IF_ERROR(hub_.parts.keys->NoteErasure(std::string(kAway) + origin));
  }
  return core::OkStatus();
}

// It is read whole once, whatever was erased meanwhile.
core::StatusOr<std::int64_t> Housekeeper::EraseInReturned(const std::string& origin) {
  INTERLOCK_ASSIGN_OR_RETURN(const auto closed, hub_.archives.Files());
  const auto file = std::find_if(
      closed.begin(), closed.end(),
      [&origin](const Archives::File& one) { return one.log != nullptr && one.origin == origin; });
  if (file == closed.end()) return 0;  // still away
  INTERLOCK_ASSIGN_OR_RETURN(const auto erased, Column("SELECT key FROM p_erasure", {}));
  INTERLOCK_ASSIGN_OR_RETURN(const auto held, audit::KeysIn(*file->log));
  std::int64_t count = 0;
  for (const std::string& key : erased) {
    if (!held.contains(key)) continue;
    INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t rows,
                               audit::EraseInArchive(file->database, std::string_view(key)));
    count += rows;
  }
  INTERLOCK_RETURN_IF_ERROR(NoteAway(closed));  // the one before it may be away as well
  INTERLOCK_RETURN_IF_ERROR(hub_.parts.keys->FinishErasure(std::string(kAway) + origin));
  return count;
}

core::StatusOr<std::vector<std::string>> Housekeeper::LogsAway() const {
  INTERLOCK_ASSIGN_OR_RETURN(const auto notes, hub_.parts.keys->UnfinishedErasures());
  std::vector<std::string> origins;
  for (const std::string& note : notes) {
    if (note.starts_with(kAway)) origins.push_back(note.substr(kAway.size()));
  }
  return origins;
}

core::StatusOr<bool> Housekeeper::ForgetOldPages() {
  const std::string& folder = hub_.parts.folder;
  const core::Status emptied = folder.empty() ? core::OkStatus() : audit::EmptyWal(folder);
  if (emptied.code() == core::StatusCode::kUnavailable) {
    std::string readers;
    for (const int pid : audit::WalReaders(folder)) readers += " " + std::to_string(pid);
    Warn(kOldPages,
         "erased content still stands in old pages of audit.db-wal, which " +
             (readers.empty() ? std::string("a program reads") : "process" + readers + " reads") +
             "; they go when that ends");
    return false;
  }
  INTERLOCK_RETURN_IF_ERROR(emptied);
  INTERLOCK_RETURN_IF_ERROR(hub_.parts.keys->FinishErasure(kOldPages));
  Warn(kOldPages, "");
  return true;
}

// What was sealed after the entry (a call that was in flight) is named by one more entry: a row
// without ciphertext is only sound when a later entry says so.
core::StatusOr<std::int64_t> Housekeeper::EraseCiphertext(const std::string& key) {
  INTERLOCK_ASSIGN_OR_RETURN(const auto rows,
                             Select<ErasureRow>(*hub_.parts.log, "WHERE key = ?", {key}));
  if (rows.empty()) return core::DataLoss("no entry says that key `" + key + "` was destroyed");
  ErasureRow erased = rows.front();
  std::int64_t count = 0;
  std::int64_t next = 0;
  for (;;) {
    INTERLOCK_ASSIGN_OR_RETURN(
        const auto ids, audit::SealedUnder(*hub_.parts.log, key, next, audit::kErasedPerCommand));
    if (ids.empty()) return count;
    const bool late = audit::EntryOfPayload(ids.back()) >= erased.entry_index;
    INTERLOCK_RETURN_IF_ERROR(hub_.CommitNow([&](Serial& serial) -> core::Status {
      if (late) {
        Draft draft;
        draft.kind = "payload.erased";
        draft.actor = "engine";
        BodyWriter(draft)
            .String("key", key)
            .Optional("legal_basis", erased.legal_basis)
            .String("reason", erased.reason)
            .String("subject", erased.subject)
            .String("what", "subject")
            .Close();
        INTERLOCK_ASSIGN_OR_RETURN(const audit::EntryRef ref, serial.Append(draft));
        erased.entry_index = static_cast<std::int64_t>(ref.index);
      }
      serial.ErasePayloads(ids);
      return core::OkStatus();
    }));
    count += static_cast<std::int64_t>(ids.size());
    next = ids.back() + 1;
  }
}

// ---------------------------------------------------------------- full text

// An erasure that could not be finished is finished first: what it is about is not found any more.
core::Status Housekeeper::FinishTexts() {
  const auto finished = [this]() -> core::StatusOr<bool> {
    INTERLOCK_ASSIGN_OR_RETURN(const auto notes, hub_.parts.keys->UnfinishedErasures());
    return keys_to_destroy_.empty() && std::none_of(notes.begin(), notes.end(), MayBeFound);
  };
  INTERLOCK_ASSIGN_OR_RETURN(bool done, finished());
  if (done) return core::OkStatus();
  FinishRest();
  INTERLOCK_ASSIGN_OR_RETURN(done, finished());
  if (done) return core::OkStatus();
  return core::Unavailable("nothing is searched before an erasure is finished, and that fails: " +
                           unfinished_);
}

// One entry for the open log, and one for each closed log that something is shown of.
core::StatusOr<std::uint64_t> Housekeeper::WriteSearched(const core::Principal& who,
                                                         const std::string& text,
                                                         const std::vector<FullText::Hit>& shown) {
  std::vector<std::pair<std::string, std::string>> lists{{"", ""}};  // by origin, as they come
  for (const FullText::Hit& hit : shown) {
    const std::string& log = hit.file.empty() ? "" : hit.origin;
    if (lists.back().first != log) lists.emplace_back(log, "");
    std::string& list = lists.back().second;
    list += (list.empty() ? "" : ",") + std::to_string(hit.hit.id);
  }
  std::uint64_t first = 0;
  INTERLOCK_RETURN_IF_ERROR(hub_.CommitNow([&](Serial& serial) -> core::Status {
    for (const auto& [log, list] : lists) {
      Draft access;
      access.kind = "access.read";
      access.actor = "principal:" + who.id;
      BodyWriter(access)
          .Optional("log", log)
          .Raw("payloads", "[" + list + "]")
          .String("text", hub_.parts.keys->Hmac("search", text))
          .String("what", "search")
          .Close();
      INTERLOCK_ASSIGN_OR_RETURN(const audit::EntryRef ref, serial.Append(access));
      if (log.empty()) first = ref.index;
    }
    return core::OkStatus();
  }));
  return first;
}

namespace {

// Looks wait for one another: one whose caller has left holds up no other, and nothing was shown.
core::Status CheckWaits(const PageSpec& page) {
  if (page.hangup == nullptr || !page.hangup->happened()) return core::OkStatus();
  return core::Error(core::StatusCode::kCancelled,
                     "the caller went away before anything was found; nothing was shown");
}

}  // namespace

core::StatusOr<FoundTexts> Housekeeper::Search(const core::Principal& who, const PageSpec& page,
                                               const std::string& text) {
  INTERLOCK_RETURN_IF_ERROR(CheckWaits(page));
  if (!texts_.on()) {
    return WithReason(core::FailedPrecondition("full text is off; set `audit.search: true`"),
                      "SEARCH_OFF");
  }
  INTERLOCK_RETURN_IF_ERROR(FinishTexts());
  auto in = texts_.Find(page, text, [this] { return Stopping(); });
  Warn(kFullText, texts_.problem());
  if (in.status().code() == core::StatusCode::kInvalidArgument) {
    return WithReason(in.status(), "SEARCH_TEXT");
  }
  INTERLOCK_RETURN_IF_ERROR(in.status());
  FoundTexts found;
  found.unreadable = in->unreadable;
  found.unsearched_logs = in->unsearched;
  found.unsearched = std::move(in->unsearched_logs);
  found.page.next_cursor = std::move(in->next_cursor);
  INTERLOCK_RETURN_IF_ERROR(CheckWaits(page));
  INTERLOCK_ASSIGN_OR_RETURN(found.access_index, WriteSearched(who, text, in->hits));
  for (FullText::Hit& one : in->hits) {
    found.page.items.push_back({.call = std::move(one.hit.call),
                                .index = one.hit.entry_index,
                                .field = std::move(one.hit.field),
                                .snippet = std::move(one.hit.snippet),
                                .log = one.file.empty() ? "" : std::move(one.origin),
                                .log_file = std::move(one.file)});
  }
  return found;
}

}  // namespace interlock::runtime
