// Who speaks (rule 30). Made by the server from a hashed bearer token; never by a caller's own
// word.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace interlock::core {

// Roles that the runtime itself checks. Others are free text for policies ("cs-manager").
inline constexpr std::string_view kRoleIntegrator = "integrator";  // create, watch, cancel own runs
inline constexpr std::string_view kRoleUserRelay =
    "user-relay";  // relay the run's user's confirmations
inline constexpr std::string_view kRoleApprover = "approver";  // see and answer approvals
inline constexpr std::string_view kRoleOperator = "operator";  // resolve calls, kill switches
inline constexpr std::string_view kRoleAuditor = "auditor";  // read the log, payloads with a record

struct Principal {
  std::string tenant;
  std::string id;
  std::vector<std::string> roles;

  bool Has(std::string_view role) const {
    return std::find(roles.begin(), roles.end(), role) != roles.end();
  }
};

}  // namespace interlock::core
