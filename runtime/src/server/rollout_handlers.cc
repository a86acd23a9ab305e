// RolloutService: which version of an agent new runs are given.
#include "runtime/agent.h"
#include "server/checks.h"
#include "server/handlers.h"
#include "server/names.h"
#include "server/receipts.h"

namespace interlock::runtime::handlers {
namespace {

constexpr std::size_t kAgentBytesMax = 64;

core::Status CheckText(std::string_view field, const std::string& text, std::size_t bytes_max) {
  INTERLOCK_RETURN_IF_ERROR(CheckNotEmpty(field, text));
  return CheckLength(field, text, bytes_max);
}

}  // namespace

core::StatusOr<wire::ListRolloutsResponse> ListRollouts(const Caller& caller,
                                                        const wire::ListRolloutsRequest& request) {
  INTERLOCK_RETURN_IF_ERROR(CheckParent(request.parent()));
  INTERLOCK_ASSIGN_OR_RETURN(const std::vector<RolloutInfo> rollouts,
                             caller.engine->ListRollouts(*caller.who));
  wire::ListRolloutsResponse response;
  for (const RolloutInfo& set : rollouts) *response.add_rollouts() = ToWire(caller.tenant(), set);
  return response;
}

core::StatusOr<wire::Rollout> SetRollout(const Caller& caller,
                                         const wire::SetRolloutRequest& request) {
  INTERLOCK_RETURN_IF_ERROR(CheckParent(request.parent()));
  INTERLOCK_RETURN_IF_ERROR(CheckText("agent", request.agent(), kAgentBytesMax));
  INTERLOCK_RETURN_IF_ERROR(CheckText("version", request.version(), kVersionBytesMax));
  INTERLOCK_RETURN_IF_ERROR(CheckText("reason", request.reason(), kOperatorReasonBytesMax));
  INTERLOCK_RETURN_IF_ERROR(CheckLength("etag", request.etag(), kEtagBytesMax));
  INTERLOCK_ASSIGN_OR_RETURN(const RolloutInfo set,
                             caller.engine->SetRollout(*caller.who, {.agent = request.agent(),
                                                                     .version = request.version(),
                                                                     .percent = request.percent(),
                                                                     .reason = request.reason(),
                                                                     .etag = request.etag()}));
  return WithReceipt(caller, set.written, ToWire(caller.tenant(), set));
}

}  // namespace interlock::runtime::handlers
