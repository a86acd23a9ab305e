// Names of states on the wire of entries and lists, and the reason that goes with an error.
#include "runtime/engine.h"

namespace interlock::runtime {
namespace {

constexpr const char* kReasonUrl = "interlock.v1/reason";

std::string_view DefaultReason(core::StatusCode code) {
  switch (code) {
    case core::StatusCode::kInvalidArgument:
      return "INVALID_ARGUMENT";
    case core::StatusCode::kNotFound:
      return "NOT_FOUND";
    case core::StatusCode::kAlreadyExists:
      return "ALREADY_EXISTS";
    case core::StatusCode::kPermissionDenied:
      return "PERMISSION_DENIED";
    case core::StatusCode::kUnauthenticated:
      return "UNAUTHENTICATED";
    case core::StatusCode::kResourceExhausted:
      return "RESOURCE_EXHAUSTED";
    case core::StatusCode::kFailedPrecondition:
      return "FAILED_PRECONDITION";
    case core::StatusCode::kAborted:
      return "ABORTED";
    case core::StatusCode::kUnavailable:
      return "UNAVAILABLE";
    case core::StatusCode::kDeadlineExceeded:
      return "DEADLINE_EXCEEDED";
    case core::StatusCode::kCancelled:
      return "CANCELLED";
    case core::StatusCode::kDataLoss:
      return "DATA_LOSS";
    case core::StatusCode::kUnimplemented:
      return "UNIMPLEMENTED";
    default:
      return "INTERNAL";
  }
}

}  // namespace

core::Status WithReason(core::Status status, std::string_view reason) {
  status.SetPayload(kReasonUrl, absl::Cord(absl::string_view(reason.data(), reason.size())));
  return status;
}

std::string ReasonOf(const core::Status& status) {
  const auto payload = status.GetPayload(kReasonUrl);
  return payload ? std::string(*payload) : std::string(DefaultReason(status.code()));
}

std::string_view RunStateName(RunState state) {
  switch (state) {
    case RunState::kRunning:
      return "running";
    case RunState::kWaitingForApproval:
      return "waiting_for_approval";
    case RunState::kWaitingForUser:
      return "waiting_for_user";
    case RunState::kWaitingForPerson:
      return "waiting_for_person";
    case RunState::kCancelling:
      return "cancelling";
    case RunState::kCompleted:
      return "completed";
    case RunState::kFailed:
      return "failed";
    case RunState::kCancelled:
      return "cancelled";
    case RunState::kEscalated:
      return "escalated";
    case RunState::kCompensating:
      return "compensating";
    case RunState::kUncompensated:
      return "uncompensated";
    case RunState::kWaitingForSwitch:
      return "waiting_for_switch";
    case RunState::kWaitingForRun:
      return "waiting_for_run";
    case RunState::kWaitingForPlanner:
      return "waiting_for_planner";
  }
  return "unknown";
}

bool IsFinal(RunState state) {
  return state == RunState::kCompleted || state == RunState::kFailed ||
         state == RunState::kCancelled || state == RunState::kEscalated ||
         state == RunState::kUncompensated;
}

std::string_view CallStateName(CallState state) {
  switch (state) {
    case CallState::kProposed:
      return "proposed";
    case CallState::kDenied:
      return "denied";
    case CallState::kParked:
      return "parked";
    case CallState::kIntended:
      return "intended";
    case CallState::kRunning:
      return "running";
    case CallState::kOk:
      return "ok";
    case CallState::kFailed:
      return "failed";
    case CallState::kUnknown:
      return "unknown";
    case CallState::kNotStarted:
      return "not_started";
    case CallState::kWithdrawn:
      return "withdrawn";
    case CallState::kRefused:
      return "refused";
  }
  return "unknown";
}

bool IsFinal(CallState state) {
  switch (state) {
    case CallState::kDenied:
    case CallState::kOk:
    case CallState::kFailed:
    case CallState::kNotStarted:
    case CallState::kWithdrawn:
    case CallState::kRefused:
      return true;
    case CallState::kProposed:
    case CallState::kParked:
    case CallState::kIntended:
    case CallState::kRunning:
    case CallState::kUnknown:
      return false;
  }
  return false;
}

}  // namespace interlock::runtime
