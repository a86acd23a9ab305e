// Timers of approvals that wait: they expire, more people are asked, and those who were are
// reminded. What is due stands in the log's own rows, so a restart forgets none and tells none
// twice.
#include <limits>

#include "engine/answers.h"
#include "engine/hub.h"
#include "engine/open_approvals.h"
#include "engine/select.h"

namespace interlock::runtime {
namespace {

constexpr int kDueBatch = 200;

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

// A yes to a call without a run waits for the caller, who may never come back.
bool MayExpire(const ApprovalRow& row) {
  return row.phase == policies::ApprovalPhase::kPending ||
         (row.phase == policies::ApprovalPhase::kGranted && row.run.empty());
}

core::Status WithdrawIfDue(Serial& serial, const std::string& id) {
  const CallRow* call = serial.state().FindCall(id);
  const bool due = call != nullptr && IsDue(call->edit_until_us, serial.now_us()) &&
                   !serial.state().clock_in_doubt();
  return due ? Withdraw(serial, "", id, "expired") : core::OkStatus();
}

constexpr const char* kFirstDue =
    "SELECT min(coalesce((SELECT min(expires_us) FROM p_approval WHERE phase = 0), ?1), "
    "coalesce((SELECT min(expires_us) FROM p_approval WHERE phase = 1 AND run = ''), ?1), "
    "coalesce((SELECT min(edit_until_us) FROM p_call WHERE edit_until_us > 0), ?1), "
    "coalesce((SELECT min(escalate_us) FROM p_approval WHERE escalate_us > 0), ?1), "
    "coalesce((SELECT min(remind_us) FROM p_approval WHERE remind_us > 0), ?1))";

// When the first approval expires, escalates or is reminded of, or the first edit is too old; the
// greatest number when none does.
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
  return approvals_due_us_ <= NowInLog(parts);
}

void Hub::TendApprovals() {
  if (parts.state->clock_in_doubt()) return;  // rule 27
  const std::string now = std::to_string(NowInLog(parts));
  for (const char* at : {"escalate_us", "remind_us"}) {
    const std::string column(at);
    const auto due =
        Select<ApprovalRow>(*parts.log,
                            "WHERE " + column + " > 0 AND " + column +
                                " <= CAST(? AS INTEGER) LIMIT " + std::to_string(kDueBatch),
                            {now});
    if (!due.ok()) return;
    for (const ApprovalRow& row : *due) {
      // What the log does not take is tried again: the row is still due.
      journal.Submit([id = row.approval](Serial& serial) { return Tend(serial, id); },
                     audit::Urgency::kNormal, [](const core::Status&) {});
    }
  }
}

void Hub::ExpireApprovals() {
  if (parts.state->clock_in_doubt()) return;  // rule 27: no expiry until an operator confirms
  const std::string now = std::to_string(NowInLog(parts));
  const auto due = Select<ApprovalRow>(*parts.log,
                                       "WHERE phase IN (0, 1) AND (phase = 0 OR run = '') AND "
                                       "expires_us <= CAST(? AS INTEGER) LIMIT " +
                                           std::to_string(kDueBatch),
                                       {now});
  if (!due.ok()) return;
  for (const ApprovalRow& approval : *due) {
    const auto others = ApprovalsOfCall(approval.call);
    if (!others.ok()) return;
    journal.Submit(
        [approval, others = *others](Serial& serial) -> core::Status {
          const ApprovalRow* row = serial.state().FindApproval(approval.approval);
          if (row == nullptr || !MayExpire(*row) || row->expires_us > serial.now_us() ||
              serial.state().clock_in_doubt()) {
            return core::FailedPrecondition("answered meanwhile");
          }
          Draft expired = DraftApprovalEnded("approval.expired", approval.run, approval.call,
                                             approval.approval);
          INTERLOCK_RETURN_IF_ERROR(serial.Append(expired).status());
          return VoidSiblings(serial, others, approval.approval, "another approval expired");
        },
        audit::Urgency::kNormal,
        [this, approval](const core::Status& status) {
          if (!status.ok() || approval.run.empty()) return;
          Post(approval.run, event::CallDone{approval.call, EndedObservation("APPROVAL_EXPIRED")},
               kAlways);
        });
  }
}

// An edit that freed a call without a run of all approvals waits for the caller, who may never come
// back; that it was allowed once is no word of tomorrow.
void Hub::WithdrawEdited() {
  if (parts.state->clock_in_doubt()) return;
  const std::string now = std::to_string(NowInLog(parts));
  const auto due = Select<CallRow>(*parts.log,
                                   "WHERE edit_until_us > 0 AND edit_until_us <= "
                                   "CAST(? AS INTEGER) LIMIT " +
                                       std::to_string(kDueBatch),
                                   {now});
  if (!due.ok()) return;
  for (const CallRow& call : *due) {
    journal.Submit([id = call.call](Serial& serial) { return WithdrawIfDue(serial, id); },
                   audit::Urgency::kNormal, [](const core::Status&) {});
  }
}

}  // namespace interlock::runtime
