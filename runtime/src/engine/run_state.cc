#include "engine/run_state.h"

#include <optional>

namespace interlock::runtime {
namespace {

std::optional<RunState> FinalOf(std::string_view kind) {
  if (kind == "run.completed") return RunState::kCompleted;
  if (kind == "run.failed") return RunState::kFailed;
  if (kind == "run.cancelled") return RunState::kCancelled;
  if (kind == "run.escalated") return RunState::kEscalated;
  return std::nullopt;
}

bool IsNews(std::string_view kind, const core::JsonObjectView& body) {
  if (kind == "message.received" || kind == "approval.rejected" || kind == "approval.expired") {
    return true;
  }
  if (kind == "approval.voided") return body.Bool("ends_call").value_or(false);
  return kind == "call.resolved" && body.Bool("complete").value_or(false);
}

}  // namespace

bool IsWaiting(RunState state) {
  return state == RunState::kWaitingForApproval || state == RunState::kWaitingForUser ||
         state == RunState::kWaitingForPerson;
}

bool IsEnding(RunState state) { return state == RunState::kCancelling || IsFinal(state); }

RunState StateAfter(RunState now, std::string_view kind, const core::JsonObjectView& body) {
  if (IsFinal(now)) return now;
  if (const auto final = FinalOf(kind)) return *final;
  if (now == RunState::kCancelling || kind == "run.cancelling") return RunState::kCancelling;
  if (kind == "plan.requested" || kind == "run.resumed") return RunState::kRunning;
  if (kind == "run.parked") return RunState::kWaitingForApproval;
  if (kind == "run.waiting") {
    return body.Token("for") == "person" ? RunState::kWaitingForPerson : RunState::kWaitingForUser;
  }
  return IsWaiting(now) && IsNews(kind, body) ? RunState::kRunning : now;
}

}  // namespace interlock::runtime
