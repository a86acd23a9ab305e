// A run under a kill switch waits: it asks no planner and says nothing until the switch is lifted
// (ADR 33). What it was about to do is not lost, as the log tells it again.
#include <algorithm>

#include "engine/plan_budgets.h"
#include "engine/run_actor.h"
#include "engine/run_entries.h"
#include "engine/run_state.h"
#include "engine/switches.h"

namespace interlock::runtime {

bool RunActor::IsStopped() const { return StoppedFor(*hub_.parts.state, base_, "").has_value(); }

core::StatusOr<bool> RunActor::WaitIfStopped(Serial& serial, std::int64_t left_ms) const {
  const auto stop = StoppedFor(serial.state(), base_, "");
  const RunRow* row = stop ? serial.state().FindRun(run_) : nullptr;
  if (row == nullptr || IsEnding(row->state)) return false;
  if (row->state == RunState::kWaitingForSwitch) return true;
  Draft waiting = DraftWaitForSwitch(run_, stop->name, left_ms);
  INTERLOCK_RETURN_IF_ERROR(serial.Append(waiting).status());
  return true;
}

std::vector<std::string> RunActor::AtWork(const Ended* but) const {
  std::vector<std::string> calls;
  for (const CallSlot& slot : core_.slots) {
    const bool at_work = slot.phase == SlotPhase::kDeciding || slot.phase == SlotPhase::kRunning ||
                         slot.phase == SlotPhase::kRun;
    const bool ends = but != nullptr && but->live->ticket->id.call == slot.call;
    if (at_work && !ends) calls.push_back(slot.call);
  }
  return calls;
}

// Whether one of them has, which its run's core hears of later than the log.
bool RunActor::HasEnded(Serial& serial, const std::vector<std::string>& calls) {
  return std::any_of(calls.begin(), calls.end(), [&serial](const std::string& call) {
    const CallRow* row = serial.state().FindCall(call);
    return row != nullptr && IsFinal(row->state);
  });
}

asio::awaitable<void> RunActor::WriteUnlessStopped(std::vector<Draft> drafts, Journal::Body then,
                                                   Ended* ended) {
  bool stopped = false;
  const Read read = ReadSoFar();
  const std::vector<std::string> at_work = AtWork(ended);
  const std::int64_t left_ms = WallLeftMs();
  core::Status status = co_await hub_.journal.Commit(
      [this, &drafts, &then, &stopped, &read, &at_work, left_ms,
       ended](Serial& serial) -> core::Status {
        if (ended != nullptr) {
          Ticket& ticket = *ended->live->ticket;
          INTERLOCK_RETURN_IF_ERROR(hub_.gate.CommitOutcome(serial, ticket, ended->outcome));
        }
        // Which the planner was to be told.
        stopped = HasNews(serial, read) || HasEnded(serial, at_work);
        stopped = stopped || (ended != nullptr && ChargesModels(serial.engine()));
        if (!stopped) {
          INTERLOCK_ASSIGN_OR_RETURN(stopped, WaitIfStopped(serial, left_ms));
        }
        if (stopped) return core::OkStatus();
        for (Draft& draft : drafts) INTERLOCK_RETURN_IF_ERROR(serial.Append(draft).status());
        return then ? then(serial) : core::OkStatus();
      },
      ended == nullptr ? audit::Urgency::kNormal : audit::Urgency::kOutcome);
  if (ended != nullptr) co_await EndCall(status, *ended);
  if (!status.ok()) co_return Stall();
  if (stopped) Stall(Back::kAtOnce);
}

asio::awaitable<void> RunActor::LeaveSwitch() {
  co_await Leave(RunState::kWaitingForSwitch, "switch lifted");
}

asio::awaitable<void> RunActor::Leave(RunState waits, std::string_view why) {
  bool left = false;
  Draft resumed = DraftResumed(run_, why);
  core::Status status =
      co_await hub_.journal.Commit([this, &resumed, &left, waits](Serial& serial) -> core::Status {
        const RunRow* row = serial.state().FindRun(run_);
        const bool stopped =
            waits == RunState::kWaitingForSwitch && StoppedFor(serial.state(), base_, "");
        left = row != nullptr && row->state == waits && !stopped;
        return left ? serial.Append(resumed).status() : core::OkStatus();
      });
  if (!status.ok()) co_return Stall();
  stays_ = !left;
  // Stopped again, or set to work by what came meanwhile.
  if (!left || core_.state != waits) co_return;
  core_.state = RunState::kRunning;
  unasked_ = false;
  for (const std::string& call : GrantedCalls()) Handle(event::CallGranted{call});
  Handle(event::Resume{});
}

}  // namespace interlock::runtime
