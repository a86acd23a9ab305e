// PolicyService: the policies in force.
#include "server/checks.h"
#include "server/handlers.h"
#include "server/names.h"
#include "server/receipts.h"

namespace interlock::runtime::handlers {
namespace {

core::StatusOr<wire::Policy> Answer(const Caller& caller, core::StatusOr<PolicyInfo> info) {
  if (!info.ok()) return info.status();
  return WithReceipt(caller, info->written, ToWire(caller.tenant(), *info));
}

}  // namespace

core::StatusOr<wire::Policy> GetPolicy(const Caller& caller,
                                       const wire::GetPolicyRequest& request) {
  INTERLOCK_RETURN_IF_ERROR(CheckParent(request.parent()));
  return Answer(caller, caller.engine->GetPolicy(*caller.who));
}

core::StatusOr<wire::Policy> ActivatePolicy(const Caller& caller,
                                            const wire::ActivatePolicyRequest& request) {
  INTERLOCK_RETURN_IF_ERROR(CheckParent(request.parent()));
  INTERLOCK_RETURN_IF_ERROR(CheckNotEmpty("reason", request.reason()));
  INTERLOCK_RETURN_IF_ERROR(CheckLength("reason", request.reason(), kOperatorReasonBytesMax));
  return Answer(caller, caller.engine->ActivatePolicy(*caller.who, request.reason()));
}

core::StatusOr<wire::Policy> WatchCandidate(const Caller& caller,
                                            const wire::WatchCandidateRequest& request) {
  INTERLOCK_RETURN_IF_ERROR(CheckParent(request.parent()));
  return Answer(caller, caller.engine->WatchCandidate(*caller.who));
}

core::StatusOr<wire::Policy> StopCandidate(const Caller& caller,
                                           const wire::StopCandidateRequest& request) {
  INTERLOCK_RETURN_IF_ERROR(CheckParent(request.parent()));
  return Answer(caller, caller.engine->StopCandidate(*caller.who));
}

}  // namespace interlock::runtime::handlers
