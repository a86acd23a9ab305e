// Who asks, for which tenant: what every handler gets after authentication and authorisation.
#pragma once

#include <grpcpp/server_context.h>

#include <chrono>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/principal.h"
#include "core/status.h"
#include "runtime/engine.h"
#include "runtime/server.h"
#include "server/auth.h"
#include "server/errors.h"
#include "server/lanes.h"
#include "server/pages.h"

namespace interlock::runtime {

// Copied into replies. A late one may outlive the server, and with it `who`, `pages` and what they
// point to: it takes along what it needs of those.
struct Caller {
  const core::Principal* who = nullptr;
  Engine* engine = nullptr;
  const PageTokens* pages = nullptr;
  Lanes* lanes = nullptr;                               // for what waits
  Witnesses* witnesses = nullptr;                       // or null
  Webhooks* webhooks = nullptr;                         // or null
  std::string log_origin{};                             // of the tenant's open log
  std::chrono::system_clock::time_point deadline = {};  // the caller's
  std::shared_ptr<Hangup> hangup{};                     // null: nobody tells when he goes away

  const std::string& tenant() const { return who->tenant; }
  bool HasAny(std::initializer_list<std::string_view> roles) const {
    for (const std::string_view role : roles) {
      if (who->Has(role)) return true;
    }
    return false;
  }
};

// What is known of a method before a request comes.
struct MethodInfo {
  std::string name;                     // "RunService.GetRun"
  std::string resource_type;            // what its errors are about
  std::vector<std::string_view> roles;  // any of them may call it
  bool hears_hangups = false;           // its handler is told when a caller goes away
};

// What a request says of itself, whatever its type.
struct RequestFacts {
  std::string_view field;  // "name" or "parent"
  std::string_view name;
  std::size_t bytes = 0;
};

// Authentication, then authorisation, then shape (AIP-211). Immutable; thread-safe.
class Admission {
 public:
  explicit Admission(const ServerOptions& options);

  // Errors: kUnauthenticated; kPermissionDenied (MISSING_ROLE, WRONG_TENANT); kResourceExhausted
  // (REQUEST_TOO_LARGE); kDeadlineExceeded when the caller has stopped waiting; kInvalidArgument
  // for a name.
  core::StatusOr<Caller> Admit(const grpc::ServerContext& context, const MethodInfo& method,
                               const RequestFacts& facts) const;

 private:
  struct Served {
    Engine* engine;
    PageTokens pages;
    Witnesses* witnesses;
    Webhooks* webhooks;
    std::string log_origin;
  };
  Authenticator authenticator_;
  std::map<std::string, Served, std::less<>> tenants_;
};

}  // namespace interlock::runtime
