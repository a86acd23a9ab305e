// What goes on by itself: at a start, and when a kill switch is lifted.
#include <set>

#include "engine/hub.h"
#include "engine/run_state.h"
#include "engine/select.h"
#include "engine/switches.h"
#include "engine/version.h"

namespace interlock::runtime {
namespace {

// Runs that wait for a kill switch which does not stop them any more.
core::Status AddUnstopped(const EngineParts& parts, std::set<std::string>& runs) {
  INTERLOCK_ASSIGN_OR_RETURN(const auto waiting, RunsIn(*parts.log, RunState::kWaitingForSwitch));
  for (const RunRow& run : waiting) {
    if (!StoppedFor(*parts.state, run, "")) runs.insert(run.run);
  }
  return core::OkStatus();
}

// Calls whose run is at work: it tells the one above of its end, which may stay where it is.
core::StatusOr<std::set<std::string>> CallsAtWork(const EngineParts& parts) {
  INTERLOCK_ASSIGN_OR_RETURN(
      const auto runs,
      Select<RunRow>(*parts.log, "WHERE parent_call <> '' AND state NOT IN (" + FinalStates() + ")",
                     {}));
  std::set<std::string> calls;
  for (const RunRow& run : runs) calls.insert(run.parent_call);
  return calls;
}

}  // namespace

// What cannot be read now is found at the next lift or start.
void Hub::WakeStopped() {
  std::set<std::string> wake;
  core::Status ignored = AddUnstopped(parts, wake);
  const auto unknown = Select<CallRow>(*parts.log, "WHERE state = CAST(? AS INTEGER)",
                                       {std::to_string(static_cast<int>(CallState::kUnknown))});
  if (unknown.ok()) {
    for (const CallRow& call : *unknown) {
      if (parts.state->StoppedBy(call.tool, call.agent)) continue;
      if (call.run.empty() && gate.IsSettling(call.call)) continue;  // it is found out already
      if (call.run.empty()) {
        Spawn(WorkerOf(call.call), SettleDirect(call));
      } else {
        wake.insert(call.run);
      }
    }
  }
  wake.merge(TellCompensating());
  for (const std::string& run : wake) Wake(run);
}

std::set<std::string> Hub::TellCompensating() const {
  std::set<std::string> runs;
  const auto rows = RunsIn(*parts.log, RunState::kCompensating);
  if (!rows.ok()) return runs;
  for (const RunRow& run : *rows) {
    runs.insert(run.run);
    NoteWaits(run.run);
  }
  return runs;
}

// Runs that were going on go on; intents without an outcome are dealt with by their tools' word
// (rule 9: the launcher proved the old boxes dead before it let us start).
core::Status Hub::Recover() {
  INTERLOCK_ASSIGN_OR_RETURN(
      auto open_calls,
      Select<CallRow>(*parts.log, "WHERE state IN (CAST(? AS INTEGER), CAST(? AS INTEGER))",
                      {std::to_string(static_cast<int>(CallState::kIntended)),
                       std::to_string(static_cast<int>(CallState::kUnknown))}));
  INTERLOCK_ASSIGN_OR_RETURN(const std::set<std::string> at_work, CallsAtWork(parts));
  std::erase_if(open_calls, [&](const CallRow& call) { return at_work.contains(call.call); });
  const std::string running = std::to_string(static_cast<int>(RunState::kRunning));
  const std::string cancelling = std::to_string(static_cast<int>(RunState::kCancelling));
  const std::string compensating = std::to_string(static_cast<int>(RunState::kCompensating));
  INTERLOCK_ASSIGN_OR_RETURN(
      const auto open_runs,
      Select<RunRow>(*parts.log,
                     "WHERE state IN (CAST(? AS INTEGER), CAST(? AS INTEGER), CAST(? AS INTEGER))",
                     {running, cancelling, compensating}));
  INTERLOCK_ASSIGN_OR_RETURN(
      const auto granted,
      Select<ApprovalRow>(*parts.log, "WHERE phase = CAST(? AS INTEGER)",
                          {std::to_string(static_cast<int>(policies::ApprovalPhase::kGranted))}));
  std::set<std::string> wake;
  INTERLOCK_RETURN_IF_ERROR(AddUnstopped(parts, wake));
  INTERLOCK_RETURN_IF_ERROR(AddPlanned(wake));
  std::int64_t open = 0;
  for (const RunRow& run : open_runs) wake.insert(run.run);
  for (const ApprovalRow& approval : granted) wake.insert(approval.run);
  // Edited just before the end: nobody has to approve anything, and nothing was decided anew.
  INTERLOCK_ASSIGN_OR_RETURN(
      const auto edited,
      Select<CallRow>(*parts.log, "WHERE edited_index >= 0 AND state = CAST(? AS INTEGER)",
                      {std::to_string(static_cast<int>(CallState::kParked))}));
  for (const CallRow& call : edited) wake.insert(call.run);
  for (const CallRow& call : open_calls) {
    if (call.state == CallState::kIntended) ++open;
    wake.insert(call.run);
  }
  wake.erase("");
  for (const CallRow& call : open_calls) gate.Seize(call.call, SplitWords(call.locks));
  if (parts.log->size() > 0) {
    Draft recovery;
    recovery.kind = "recovery";
    recovery.actor = "engine";
    BodyWriter(recovery)
        .String("engine", kEngineVersion)
        .Int("open_intents", open)
        .Int("runs", static_cast<std::int64_t>(wake.size()))
        .Close();
    INTERLOCK_RETURN_IF_ERROR(
        CommitNow([&](Serial& serial) { return serial.Append(recovery).status(); }));
  }
  for (const std::string& run : wake) Wake(run);
  for (const CallRow& call : open_calls) {
    if (call.run.empty()) Spawn(WorkerOf(call.call), SettleDirect(call));
  }
  for (const CallRow& call : edited) {
    const bool undecided = call.run.empty() && call.edited_index > call.decided_index;
    if (undecided) Spawn(WorkerOf(call.call), TakeUpEdit(call));
  }
  return core::OkStatus();
}

// What fails here is done when its caller asks again.
asio::awaitable<void> Hub::TakeUpEdit(CallRow row) {
  core::Status ignored = co_await AskAnew(std::move(row));
}

asio::awaitable<core::Status> Hub::AskAnew(CallRow row) {
  auto recorded = history.Call(IndexesOf(row));
  if (!recorded.ok()) co_return recorded.status();
  auto ticket = TicketOf(*recorded, nullptr);
  if (!ticket.ok()) co_return ticket.status();
  (*ticket)->asks_only = true;
  (*ticket)->decided_index = row.decided_index;
  (*ticket)->edited_index = row.edited_index;
  core::Status status = co_await gate.Pass(WorkerOf(row.call), **ticket);
  co_return status.code() == core::StatusCode::kAborted ? core::OkStatus() : status;
}

// A call without a run: nobody waits in memory, the caller asks again (rule 12).
asio::awaitable<void> Hub::SettleDirect(CallRow row) {
  auto recorded = history.Call(IndexesOf(row));
  if (!recorded.ok()) co_return NoteStalledCall(row.call);
  recorded->attempt = static_cast<int>(row.attempt);
  auto made = TicketOf(*recorded, nullptr);
  if (!made.ok()) co_return NoteStalledCall(row.call);
  const std::unique_ptr<Ticket> ticket = std::move(*made);
  const std::string outcome = row.state == CallState::kIntended ? "" : row.outcome;
  core::Status status = co_await gate.SettleRecorded(WorkerOf(row.call), *ticket, outcome);
  if (!status.ok()) co_return NoteStalledCall(row.call);
  const std::lock_guard lock(mutex_);
  stalled_.erase(row.call);
}

}  // namespace interlock::runtime
