// Who speaks: bearer tokens against their hashes (rule 30).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/principal.h"
#include "core/status.h"
#include "runtime/config.h"

namespace interlock::runtime {

inline constexpr std::size_t kTokenBytesMax = 512;

// Immutable; thread-safe.
class Authenticator {
 public:
  explicit Authenticator(std::vector<PrincipalConfig> principals);

  // `header`: the value of `authorization`, "Bearer <token>". The principal lives as long as this.
  // Time does not depend on which token is near. Errors: kUnauthenticated, TOKEN_MISSING or
  // TOKEN_INVALID.
  core::StatusOr<const core::Principal*> Authenticate(std::optional<std::string_view> header) const;

 private:
  std::vector<PrincipalConfig> principals_;
};

}  // namespace interlock::runtime
