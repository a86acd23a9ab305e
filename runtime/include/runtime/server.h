// The gRPC face of the engine: authentication, names, errors, streams. One server serves all
// tenants.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/status.h"
#include "runtime/config.h"
#include "runtime/engine.h"
#include "runtime/webhooks.h"
#include "runtime/witnesses.h"

namespace interlock::runtime {

// Messages above this are refused: by us with details up to four times as much, beyond that by
// gRPC.
inline constexpr std::size_t kRequestBytesMax = 1 << 20;

struct ServedTenant {
  Engine* engine = nullptr;        // borrowed, outlives the server
  std::string page_token_key;      // secret, the same after a restart; at least 16 bytes
  Witnesses* witnesses = nullptr;  // borrowed, outlives the server; null: none
  Webhooks* webhooks = nullptr;    // likewise
};

struct ServerOptions {
  std::string listen;  // host:port; port 0: a free one
  std::vector<PrincipalConfig> principals;
  std::map<std::string, ServedTenant, std::less<>> tenants;  // by id
  int threads = 2;                                           // that serve; 1..64
  std::chrono::milliseconds shutdown_grace{5'000};           // for unary calls in flight
  std::chrono::milliseconds health_interval{500};  // how often Engine::Unhealthy() is asked
};

// Thread-safe.
class Server {
 public:
  virtual ~Server() = default;                     // Stop()
  virtual const std::string& address() const = 0;  // as bound, "127.0.0.1:41234"
  // NOT_SERVING at once; watches end with UNAVAILABLE (SHUTTING_DOWN); unary calls get the grace,
  // then the same error, while what they started goes on (rule 11). After it no engine is touched.
  // Idempotent.
  virtual void Stop() = 0;
};

// Serves when it returns. Errors: kInvalidArgument for options that make no sense; kUnavailable
// when it cannot listen.
core::StatusOr<std::unique_ptr<Server>> StartServer(ServerOptions options);

}  // namespace interlock::runtime
