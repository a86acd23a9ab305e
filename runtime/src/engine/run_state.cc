#include "engine/run_state.h"

#include <optional>

namespace interlock::runtime {
namespace {

std::optional<RunState> FinalOf(std::string_view kind, const core::JsonObjectView& body) {
  if (kind == "run.completed") return RunState::kCompleted;
  const bool failed = kind == "run.failed";
  if (failed || kind == "run.cancelled") {
    if (body.Raw("uncompensated")) return RunState::kUncompensated;
    return failed ? RunState::kFailed : RunState::kCancelled;
  }
  if (kind == "run.escalated") return RunState::kEscalated;
  return std::nullopt;
}

bool IsNews(std::string_view kind, const core::JsonObjectView& body) {
  if (kind == "message.received" || kind == "approval.rejected" || kind == "approval.expired") {
    return true;
  }
  if (kind == "approval.voided") return body.Bool("ends_call").value_or(false);
  if (kind == "call.outcome") return body.Token("kind") != "unknown";
  return kind == "call.resolved" && body.Bool("complete").value_or(false);
}

}  // namespace

bool IsWaiting(RunState state) {
  return state == RunState::kWaitingForApproval || state == RunState::kWaitingForUser ||
         state == RunState::kWaitingForPerson || state == RunState::kWaitingForSwitch ||
         state == RunState::kWaitingForRun || state == RunState::kWaitingForPlanner;
}

bool IsEnding(RunState state) {
  return state == RunState::kCancelling || state == RunState::kCompensating || IsFinal(state);
}

bool Admits(RunState state, std::string_view compensates) {
  return compensates.empty() ? !IsEnding(state) : state == RunState::kCompensating;
}

std::string FinalStates() {
  std::string list;
  for (int state = 0; state <= static_cast<int>(kRunStateLast); ++state) {
    if (!IsFinal(static_cast<RunState>(state))) continue;
    list += (list.empty() ? "" : ", ") + std::to_string(state);
  }
  return list;
}

RunState StateAfter(RunState now, std::string_view kind, const core::JsonObjectView& body) {
  if (IsFinal(now)) return now;
  if (const auto final = FinalOf(kind, body)) return *final;
  if (now == RunState::kCompensating || kind == "run.compensating") return RunState::kCompensating;
  if (now == RunState::kCancelling || kind == "run.cancelling") return RunState::kCancelling;
  if (kind == "plan.requested" || kind == "run.resumed") return RunState::kRunning;
  if (kind == "run.parked") return RunState::kWaitingForApproval;
  if (kind == "run.waiting") {
    if (body.Token("for") == "switch") return RunState::kWaitingForSwitch;
    if (body.Token("for") == "run") return RunState::kWaitingForRun;
    if (body.Token("for") == "planner") return RunState::kWaitingForPlanner;
    return body.Token("for") == "person" ? RunState::kWaitingForPerson : RunState::kWaitingForUser;
  }
  return IsWaiting(now) && IsNews(kind, body) ? RunState::kRunning : now;
}

}  // namespace interlock::runtime
