#include "server/caller.h"

#include <chrono>

#include "engine/archives.h"
#include "server/names.h"

namespace interlock::runtime {
namespace {

// The one `authorization` value; nullopt for none or several.
std::optional<std::string_view> AuthorizationOf(const grpc::ServerContext& context) {
  const auto& metadata = context.client_metadata();
  const auto [first, last] = metadata.equal_range("authorization");
  if (first == last || std::next(first) != last) return std::nullopt;
  return std::string_view(first->second.data(), first->second.size());
}

core::Status Forbidden(std::string_view message, std::string_view reason) {
  return WithReason(core::PermissionDenied(message), reason);
}

}  // namespace

Admission::Admission(const ServerOptions& options) : authenticator_(options.principals) {
  for (const auto& [id, tenant] : options.tenants) {
    tenants_.emplace(id, Served{tenant.engine, PageTokens(tenant.page_token_key), tenant.witnesses,
                                tenant.webhooks, OriginOf(tenant.engine->log()).value_or("")});
  }
}

core::StatusOr<Caller> Admission::Admit(const grpc::ServerContext& context,
                                        const MethodInfo& method, const RequestFacts& facts) const {
  INTERLOCK_ASSIGN_OR_RETURN(const core::Principal* who,
                             authenticator_.Authenticate(AuthorizationOf(context)));
  const auto served = tenants_.find(who->tenant);
  if (served == tenants_.end()) return Forbidden("the tenant is not served here", "WRONG_TENANT");
  Caller caller{.who = who,
                .engine = served->second.engine,
                .pages = &served->second.pages,
                .witnesses = served->second.witnesses,
                .webhooks = served->second.webhooks,
                .log_origin = served->second.log_origin,
                .deadline = context.deadline()};

  bool may = false;
  std::string wanted;
  for (const std::string_view role : method.roles) {
    may = may || who->Has(role);
    wanted += (wanted.empty() ? "" : " or ") + std::string(role);
  }
  if (!may) {
    return Forbidden("`" + who->id + "` needs role " + wanted + " for " + method.name,
                     "MISSING_ROLE");
  }
  INTERLOCK_ASSIGN_OR_RETURN(const std::string_view tenant, TenantOfName(facts.field, facts.name));
  if (tenant != who->tenant) {
    return Forbidden("`" + who->id + "` belongs to another tenant than the name", "WRONG_TENANT");
  }
  if (facts.bytes > kRequestBytesMax) {
    return WithReason(core::ResourceExhausted("the request is larger than 1 MiB"),
                      "REQUEST_TOO_LARGE");
  }
  if (context.deadline() <= std::chrono::system_clock::now()) {
    return WithReason(core::Error(core::StatusCode::kDeadlineExceeded,
                                  "the caller's deadline had passed before the request was served"),
                      "DEADLINE");
  }
  return caller;
}

}  // namespace interlock::runtime
