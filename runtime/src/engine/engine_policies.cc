// The bundle in force as operators see and change it (ADR 45).
#include "engine/engine.h"
#include "engine/switches.h"

namespace interlock::runtime {

core::StatusOr<PolicyInfo> EngineImpl::GetPolicy(const core::Principal& who) {
  const bool may = who.Has(core::kRoleOperator) || who.Has(core::kRoleAuditor) ||
                   who.Has(core::kRoleApprover) || who.Has(core::kRoleIntegrator);
  if (!may) return Need(who, core::kRoleOperator);
  return hub_.Policy();
}

core::StatusOr<PolicyInfo> EngineImpl::ActivatePolicy(const core::Principal& who,
                                                      const std::string& reason) {
  INTERLOCK_RETURN_IF_ERROR(Need(who, core::kRoleOperator));
  INTERLOCK_RETURN_IF_ERROR(CheckReason(reason));
  return hub_.Activate("principal:" + who.id, reason);
}

core::StatusOr<PolicyInfo> EngineImpl::WatchCandidate(const core::Principal& who) {
  INTERLOCK_RETURN_IF_ERROR(Need(who, core::kRoleOperator));
  return hub_.Watch();
}

core::StatusOr<PolicyInfo> EngineImpl::StopCandidate(const core::Principal& who) {
  INTERLOCK_RETURN_IF_ERROR(Need(who, core::kRoleOperator));
  return hub_.StopWatching();
}

}  // namespace interlock::runtime
