// Timers of approvals that wait: more people are asked, and those who were are reminded. What is
// due stands in the log's own rows, so a restart forgets none and tells none twice.
#include <limits>

#include "engine/hub.h"
#include "engine/select.h"

namespace interlock::runtime {
namespace {

constexpr int kTendBatch = 200;

bool IsDue(std::int64_t at_us, std::int64_t now_us) { return at_us > 0 && at_us <= now_us; }

// By the row as it is now: somebody may have answered, or an earlier look have done it.
core::Status Tend(Serial& serial, const std::string& approval) {
  const ApprovalRow* found = serial.state().FindApproval(approval);
  const bool waits = found != nullptr && found->phase == policies::ApprovalPhase::kPending &&
                     !serial.state().clock_in_doubt();
  if (!waits) return core::OkStatus();
  const ApprovalRow row = *found;
  if (row.expires_us <= serial.now_us()) return core::OkStatus();  // it expires instead
  if (IsDue(row.escalate_us, serial.now_us())) {
    Draft escalated = DraftEscalated(row.run, row.call, row.approval, SplitWords(row.escalate_to));
    INTERLOCK_RETURN_IF_ERROR(serial.Append(escalated).status());
  }
  if (IsDue(row.remind_us, serial.now_us())) {
    Draft reminded = DraftReminded(row.run, row.call, row.approval, row.reminders + 1);
    INTERLOCK_RETURN_IF_ERROR(serial.Append(reminded).status());
  }
  return core::OkStatus();
}

constexpr const char* kFirstDue =
    "SELECT min(coalesce((SELECT min(expires_us) FROM p_approval WHERE phase = 0), ?1), "
    "coalesce((SELECT min(expires_us) FROM p_approval WHERE phase = 1 AND run = ''), ?1), "
    "coalesce((SELECT min(escalate_us) FROM p_approval WHERE escalate_us > 0), ?1), "
    "coalesce((SELECT min(remind_us) FROM p_approval WHERE remind_us > 0), ?1))";

// When the first approval expires, escalates or is reminded of; the greatest number when none does.
core::StatusOr<std::int64_t> FirstDue(const audit::Log& log) {
  std::int64_t due_us = 0;
  core::Status status = log.Query([&due_us](sqlite3* db) -> core::Status {
    INTERLOCK_ASSIGN_OR_RETURN(const Statement select, Prepare(db, kFirstDue));
    sqlite3_bind_int64(select.get(), 1, std::numeric_limits<std::int64_t>::max());
    if (sqlite3_step(select.get()) != SQLITE_ROW) return core::Internal(sqlite3_errmsg(db));
    due_us = sqlite3_column_int64(select.get(), 0);
    return core::OkStatus();
  });
  if (!status.ok()) return status;
  return due_us;
}

}  // namespace

// Asked of the tables only when an approval was changed since, or the first of them is due: each
// question makes the writer put its rows into the tables.
bool Hub::MayHaveDueApprovals() {
  const std::uint64_t version = parts.state->approvals_version();
  if (version != approvals_seen_) {
    const auto due_us = FirstDue(*parts.log);
    if (!due_us.ok()) return true;
    approvals_seen_ = version;
    approvals_due_us_ = *due_us;
  }
  return approvals_due_us_ <= parts.clock->WallMicros();
}

void Hub::TendApprovals() {
  if (parts.state->clock_in_doubt()) return;  // rule 27
  const std::string now = std::to_string(parts.clock->WallMicros());
  for (const char* at : {"escalate_us", "remind_us"}) {
    const std::string column(at);
    const auto due =
        Select<ApprovalRow>(*parts.log,
                            "WHERE " + column + " > 0 AND " + column +
                                " <= CAST(? AS INTEGER) LIMIT " + std::to_string(kTendBatch),
                            {now});
    if (!due.ok()) return;
    for (const ApprovalRow& row : *due) {
      // What the log does not take is tried again: the row is still due.
      journal.Submit([id = row.approval](Serial& serial) { return Tend(serial, id); },
                     audit::Urgency::kNormal, [](const core::Status&) {});
    }
  }
}

}  // namespace interlock::runtime
