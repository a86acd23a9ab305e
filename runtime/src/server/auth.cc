#include "server/auth.h"

#include <algorithm>
#include <cctype>

#include "core/digest.h"
#include "runtime/engine.h"

namespace interlock::runtime {
namespace {

core::Status Unauthenticated(std::string_view message, std::string_view reason) {
  return WithReason(core::Error(core::StatusCode::kUnauthenticated, message), reason);
}

// The token of "Bearer <token>" (RFC 6750 §2.1; the scheme is case-insensitive), or empty.
std::string_view TokenOf(std::string_view header) {
  constexpr std::string_view kScheme = "bearer ";
  if (header.size() <= kScheme.size()) return {};
  const bool bearer =
      std::equal(kScheme.begin(), kScheme.end(), header.begin(), [](char expected, char c) {
        return expected == static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      });
  return bearer ? header.substr(kScheme.size()) : std::string_view();
}

}  // namespace

Authenticator::Authenticator(std::vector<PrincipalConfig> principals)
    : principals_(std::move(principals)) {}

core::StatusOr<const core::Principal*> Authenticator::Authenticate(
    std::optional<std::string_view> header) const {
  if (!header.has_value()) {
    return Unauthenticated("no bearer token; send `authorization: Bearer <token>`",
                           "TOKEN_MISSING");
  }
  const std::string_view token = TokenOf(*header);
  const bool plausible = !token.empty() && token.size() <= kTokenBytesMax;
  const std::string hash = core::Hex(core::Sha256(plausible ? token : std::string_view()));
  const core::Principal* found = nullptr;
  for (const PrincipalConfig& entry : principals_) {  // all of them, whichever matches
    if (core::ConstantTimeEqual(hash, entry.token_sha256)) found = &entry.principal;
  }
  if (plausible && found != nullptr) return found;
  return Unauthenticated("the bearer token is not known; check `principals` in the configuration",
                         "TOKEN_INVALID");
}

}  // namespace interlock::runtime
