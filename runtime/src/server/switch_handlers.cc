// SwitchService: kill switches.
#include "server/checks.h"
#include "server/handlers.h"
#include "server/names.h"
#include "server/receipts.h"

namespace interlock::runtime::handlers {
namespace {

constexpr std::size_t kSwitchBytesMax = 128;

template <typename Request>
core::Status CheckFields(const Request& request) {
  INTERLOCK_RETURN_IF_ERROR(CheckParent(request.parent()));
  INTERLOCK_RETURN_IF_ERROR(CheckNotEmpty("switch", request.switch_()));
  INTERLOCK_RETURN_IF_ERROR(CheckLength("switch", request.switch_(), kSwitchBytesMax));
  INTERLOCK_RETURN_IF_ERROR(CheckNotEmpty("reason", request.reason()));
  return CheckLength("reason", request.reason(), kOperatorReasonBytesMax);
}

}  // namespace

core::StatusOr<wire::ListSwitchesResponse> ListSwitches(const Caller& caller,
                                                        const wire::ListSwitchesRequest& request) {
  INTERLOCK_RETURN_IF_ERROR(CheckParent(request.parent()));
  INTERLOCK_ASSIGN_OR_RETURN(const std::vector<SwitchInfo> switches,
                             caller.engine->ListSwitches(*caller.who));
  wire::ListSwitchesResponse response;
  for (const SwitchInfo& set : switches) *response.add_switches() = ToWire(caller.tenant(), set);
  return response;
}

core::StatusOr<wire::Switch> SetSwitch(const Caller& caller,
                                       const wire::SetSwitchRequest& request) {
  INTERLOCK_RETURN_IF_ERROR(CheckFields(request));
  INTERLOCK_ASSIGN_OR_RETURN(
      const SwitchInfo set,
      caller.engine->SetSwitch(*caller.who, request.switch_(), request.reason()));
  return WithReceipt(caller, set.written, ToWire(caller.tenant(), set));
}

core::StatusOr<wire::LiftSwitchResponse> LiftSwitch(const Caller& caller,
                                                    const wire::LiftSwitchRequest& request) {
  INTERLOCK_RETURN_IF_ERROR(CheckFields(request));
  INTERLOCK_RETURN_IF_ERROR(CheckLength("etag", request.etag(), kEtagBytesMax));
  INTERLOCK_ASSIGN_OR_RETURN(const audit::EntryRef ref,
                             caller.engine->LiftSwitch(*caller.who, {.name = request.switch_(),
                                                                     .reason = request.reason(),
                                                                     .etag = request.etag()}));
  return WithReceipt(caller, ref, wire::LiftSwitchResponse());
}

}  // namespace interlock::runtime::handlers
