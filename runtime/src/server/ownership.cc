#include "server/ownership.h"

#include "server/names.h"

namespace interlock::runtime {

bool SeesAllRuns(const Caller& caller) {
  return caller.HasAny({core::kRoleOperator, core::kRoleAuditor, core::kRoleApprover});
}

bool MadeBy(const RunInfo& run, const Caller& caller) { return run.principal == caller.who->id; }

core::StatusOr<RunInfo> OwnRun(const Caller& caller, std::string_view run) {
  core::StatusOr<RunInfo> info = caller.engine->GetRun(*caller.who, run);
  if (!info.ok() || SeesAllRuns(caller) || MadeBy(*info, caller)) return info;
  return WithReason(core::NotFound("there is no run `" + std::string(run) + "`"), "RUN_NOT_FOUND");
}

core::StatusOr<std::string> RunFilter(const Caller& caller, std::string_view run) {
  if (run.empty()) {
    if (SeesAllRuns(caller)) return std::string();
    return WithReason(core::PermissionDenied("`" + caller.who->id +
                                             "` sees its own runs only; set `run` to one of them"),
                      "RUN_REQUIRED");
  }
  INTERLOCK_ASSIGN_OR_RETURN(const std::string_view tenant, TenantOfName("run", run));
  if (tenant != caller.tenant()) {
    return WithReason(core::PermissionDenied("`run` is a name of another tenant"), "WRONG_TENANT");
  }
  INTERLOCK_ASSIGN_OR_RETURN(const std::string_view id, IdOfName("run", run, collection::kRuns));
  INTERLOCK_RETURN_IF_ERROR(OwnRun(caller, id).status());
  return std::string(id);
}

}  // namespace interlock::runtime
