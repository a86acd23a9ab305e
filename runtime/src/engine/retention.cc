// Retention: content older than its class is kept is erased, with entries that name the payloads.
#include <set>

#include "audit/erase.h"
#include "engine/housekeeper.h"
#include "engine/run_state.h"
#include "engine/select.h"

namespace interlock::runtime {
namespace {

constexpr std::int64_t kMonthMicros = 2'629'746ll * 1'000'000;  // a twelfth of 365.2425 days
constexpr int kRowsPerLook = 5000;

std::int64_t MonthsOf(const RetentionPolicy& policy, std::string_view kind) {
  if (kind.starts_with("approval.")) return policy.approvals_months;
  if (kind.starts_with("memory.")) return policy.memory_months;
  const bool call =
      kind.starts_with("call.") || kind.starts_with("facts.") || kind.starts_with("result.");
  return call ? policy.calls_months : policy.conversation_months;
}

}  // namespace

// Rule 27: by the wall clock alone, a clock that is far ahead at start would erase everything.
core::Status Housekeeper::StartLogTime() {
  const core::Clock& clock = *hub_.parts.clock;
  std::int64_t newest_us = clock.WallMicros() + hub_.parts.log->ahead_of_wall_us();
  if (hub_.parts.log->size() > 0) {  // one that was empty counts from its first entry on
    INTERLOCK_ASSIGN_OR_RETURN(const audit::Entry first, hub_.parts.log->Read(0));
    newest_us = std::max(newest_us, first.time_us);
  }
  log_time_offset_us_ = newest_us - clock.MonotonicMicros();
  return core::OkStatus();
}

// What both the wall clock and the log vouch for: the log's newest entry when it was opened, and
// the time since.
std::int64_t Housekeeper::LogTimeMicros() const {
  const core::Clock& clock = *hub_.parts.clock;
  return std::min(clock.WallMicros(), clock.MonotonicMicros() + log_time_offset_us_);
}

core::StatusOr<std::vector<std::string>> Housekeeper::OpenCalls() const {
  std::string states;
  for (const CallState state :
       {CallState::kParked, CallState::kIntended, CallState::kRunning, CallState::kUnknown}) {
    states += (states.empty() ? "" : ", ") + std::to_string(static_cast<int>(state));
  }
  return Column("SELECT call FROM p_call WHERE state IN (" + states + ")", {});
}

// The next expired payloads from row `next_id` on; moves it past what was looked at. Empty with
// next_id at its end when there are no more. Content of open runs and calls is never expired, nor
// that of a run which one above it may still take back.
core::StatusOr<std::vector<std::int64_t>> Housekeeper::Expired(const audit::Log& log,
                                                               std::int64_t now_us,
                                                               std::int64_t& next_id) const {
  const RetentionPolicy& policy = hub_.parts.retention;
  const std::int64_t shortest = std::min({policy.conversation_months, policy.calls_months,
                                          policy.approvals_months, policy.memory_months});
  const std::string still_open = "SELECT run FROM p_run WHERE state NOT IN (" + FinalStates() + ")";
  INTERLOCK_ASSIGN_OR_RETURN(
      const auto open_runs,
      Column(still_open + " UNION SELECT run FROM p_run WHERE root IN (" + still_open + ")", {}));
  std::set<std::string> open(open_runs.begin(), open_runs.end());
  // Who approves or resolves a call must see what it is about, however old it is.
  INTERLOCK_ASSIGN_OR_RETURN(const auto open_calls, OpenCalls());
  open.insert(open_calls.begin(), open_calls.end());
  std::vector<std::int64_t> ids;
  INTERLOCK_RETURN_IF_ERROR(log.Query([&](sqlite3* db) -> core::Status {
    INTERLOCK_ASSIGN_OR_RETURN(
        const Statement select,
        Prepare(
            db,
            "SELECT p.id, CAST(e.bytes AS TEXT) FROM payload p JOIN entry e ON e.idx = p.id >> 8 "
            "WHERE p.id >= ?1 AND p.sealed IS NOT NULL ORDER BY p.id LIMIT ?2"));
    sqlite3_bind_int64(select.get(), 1, next_id);
    sqlite3_bind_int(select.get(), 2, kRowsPerLook);
    int code = SQLITE_ROW;
    int rows = 0;
    while (ids.size() < audit::kErasedPerCommand &&
           (code = sqlite3_step(select.get())) == SQLITE_ROW) {
      ++rows;
      const std::int64_t id = sqlite3_column_int64(select.get(), 0);
      const std::string bytes = ColumnText(select.get(), 1);
      INTERLOCK_ASSIGN_OR_RETURN(const auto view, core::JsonObjectView::Of(bytes));
      const std::int64_t age = now_us - view.Int("time_us").value_or(now_us);
      if (age < shortest * kMonthMicros) {  // time never goes back: the rest is younger
        next_id = std::numeric_limits<std::int64_t>::max();
        return core::OkStatus();
      }
      next_id = id + 1;
      const std::int64_t kept = MonthsOf(policy, view.String("kind").value_or("")) * kMonthMicros;
      const auto body = view.Object("body");
      const std::string call = body ? body->String("call").value_or("") : "";
      const bool is_open = open.contains(view.String("run").value_or("")) || open.contains(call);
      if (age >= kept && !is_open) ids.push_back(id);
    }
    if (code == SQLITE_DONE && rows < kRowsPerLook) {
      next_id = std::numeric_limits<std::int64_t>::max();
    }
    return code == SQLITE_DONE || code == SQLITE_ROW ? core::OkStatus()
                                                     : core::Internal(sqlite3_errmsg(db));
  }));
  return ids;
}

core::StatusOr<RetentionReport> Housekeeper::ApplyRetention(const std::string& actor,
                                                            bool validate_only) {
  RetentionReport report;
  const std::int64_t now_us =
      actor == kEngineActor ? LogTimeMicros() : hub_.parts.clock->WallMicros();
  INTERLOCK_ASSIGN_OR_RETURN(const auto closed, hub_.archives.Files());
  // Each log by itself: one that cannot be opened or written keeps no other from expiring.
  core::Status status =
      ApplyRetentionTo(*hub_.parts.log, nullptr, now_us, actor, report, validate_only);
  for (const Archives::File& file : closed) {
    const core::Status one = file.log == nullptr ? file.why
                                                 : ApplyRetentionTo(*file.log, &file, now_us, actor,
                                                                    report, validate_only);
    if (status.ok()) status = one;
  }
  if (!validate_only && report.payloads > 0) {
    if (hub_.parts.warn) {
      hub_.parts.warn("retention, asked for by " + actor + ", erased " +
                      std::to_string(report.payloads) +
                      " payloads for good; entries `payload.erased` name them");
    }
    INTERLOCK_RETURN_IF_ERROR(FinishRetention());
  }
  if (!status.ok()) return status;
  return report;
}

// Full text and old pages, of each log that lost something.
core::Status Housekeeper::FinishRetention() {
  INTERLOCK_ASSIGN_OR_RETURN(const auto notes, hub_.parts.keys->UnfinishedErasures());
  for (const std::string& note : notes) {
    if (note.starts_with(kRetention)) INTERLOCK_RETURN_IF_ERROR(Finish(note).status());
  }
  return core::OkStatus();
}

core::Status Housekeeper::ApplyRetentionTo(const audit::Log& log, const Archives::File* closed,
                                           std::int64_t now_us, const std::string& actor,
                                           RetentionReport& report, bool validate_only) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::string origin, OriginOf(log));
  const std::string note = std::string(kRetention) + " " + origin;
  for (std::int64_t next = 0; next != std::numeric_limits<std::int64_t>::max();) {
    INTERLOCK_ASSIGN_OR_RETURN(const std::vector<std::int64_t> ids, Expired(log, now_us, next));
    if (ids.empty()) continue;
    const auto count = static_cast<std::int64_t>(ids.size());
    if (validate_only) {
      report.payloads += count;
      ++report.entries;
      continue;
    }
    std::string list = "[";
    for (const std::int64_t id : ids) {
      list += (list.size() == 1 ? "" : ",") + std::to_string(id);
    }
    Draft draft;
    draft.kind = "payload.erased";
    draft.actor = actor;
    BodyWriter(draft)
        .Optional("log", closed == nullptr ? "" : origin)
        .Raw("payloads", list + "]")
        .String("reason", "retention")
        .String("what", "retention")
        .Close();
    // No entry says of a log that cannot be written that something of it is gone.
    if (closed != nullptr) {
      INTERLOCK_RETURN_IF_ERROR(audit::CanEraseInArchive(closed->database));
    }
    INTERLOCK_RETURN_IF_ERROR(hub_.parts.keys->NoteErasure(note));
    INTERLOCK_RETURN_IF_ERROR(hub_.CommitNow([&](Serial& serial) -> core::Status {
      // The writer looks at the clock before each batch, so a jump is known here.
      if (serial.state().clock_in_doubt()) {
        return WithReason(
            core::FailedPrecondition("the clock is in doubt, nothing is erased; check "
                                     "it, then run `interlock audit confirm-clock`"),
            "CLOCK_IN_DOUBT");
      }
      if (closed == nullptr) serial.ErasePayloads(ids);
      return serial.Append(draft).status();
    }));
    report.payloads += count;
    ++report.entries;
    if (closed == nullptr) continue;
    INTERLOCK_RETURN_IF_ERROR(audit::EraseInArchive(closed->database, ids).status());
  }
  return core::OkStatus();
}

}  // namespace interlock::runtime
