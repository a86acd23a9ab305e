#include "server/names.h"

#include <algorithm>

#include "core/random.h"
#include "server/errors.h"

namespace interlock::runtime {
namespace {

constexpr std::string_view kTenants = "tenants/";

bool IsIndex(std::string_view id) {
  const bool digits =
      std::all_of(id.begin(), id.end(), [](char c) { return c >= '0' && c <= '9'; });
  return digits && !id.empty() && id.size() <= 18 && (id == "0" || id[0] != '0');
}

}  // namespace

core::StatusOr<std::string_view> TenantOfName(std::string_view field, std::string_view name) {
  if (name.starts_with(kTenants)) {
    const std::string_view rest = name.substr(kTenants.size());
    const std::string_view tenant = rest.substr(0, rest.find('/'));
    if (!tenant.empty() && tenant.size() <= 63) return tenant;
  }
  return BadField(field, "must start with tenants/{tenant}");
}

core::StatusOr<std::string_view> IdOfName(std::string_view field, std::string_view name,
                                          std::string_view collection) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::string_view tenant, TenantOfName(field, name));
  std::string_view rest = name.substr(kTenants.size() + tenant.size());
  const std::string infix = "/" + std::string(collection) + "/";
  if (rest.starts_with(infix)) {
    rest.remove_prefix(infix.size());
    if (collection == collection::kEntries ? IsIndex(rest) : core::IsUuid(rest)) return rest;
  }
  return BadField(field, "must be tenants/{tenant}/" + std::string(collection) +
                             (collection == collection::kEntries ? "/{index}" : "/{uuid}"));
}

core::Status CheckParent(std::string_view parent) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::string_view tenant, TenantOfName("parent", parent));
  if (kTenants.size() + tenant.size() == parent.size()) return core::OkStatus();
  return BadField("parent", "must be tenants/{tenant}");
}

std::string MakeName(std::string_view tenant, std::string_view collection, std::string_view id) {
  std::string name;
  name.reserve(kTenants.size() + tenant.size() + collection.size() + id.size() + 2);
  name.append(kTenants).append(tenant).append("/").append(collection).append("/").append(id);
  return name;
}

}  // namespace interlock::runtime
