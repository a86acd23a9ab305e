// Resource names (AIP-122): "tenants/{tenant}" and "tenants/{tenant}/{collection}/{id}".
#pragma once

#include <string>
#include <string_view>

#include "core/status.h"

namespace interlock::runtime {

namespace collection {
inline constexpr std::string_view kRuns = "runs";
inline constexpr std::string_view kCalls = "calls";
inline constexpr std::string_view kApprovals = "approvals";
inline constexpr std::string_view kTools = "tools";
inline constexpr std::string_view kEntries = "entries";
inline constexpr std::string_view kSwitches = "switches";
inline constexpr std::string_view kRollouts = "rollouts";
}  // namespace collection

// The tenant of any name or parent. Errors: kInvalidArgument with a BadRequest for `field`.
core::StatusOr<std::string_view> TenantOfName(std::string_view field, std::string_view name);

// The id of a name of `collection`; a view into `name`. Ids of runs, calls and approvals must be
// UUIDs, of entries decimal numbers. Errors: kInvalidArgument with a BadRequest for `field`.
core::StatusOr<std::string_view> IdOfName(std::string_view field, std::string_view name,
                                          std::string_view collection);

// That `parent` is "tenants/{tenant}" and nothing more.
core::Status CheckParent(std::string_view parent);

std::string MakeName(std::string_view tenant, std::string_view collection, std::string_view id);

}  // namespace interlock::runtime
