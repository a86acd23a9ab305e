// When to ask again.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/random.h"

namespace interlock::runtime {

struct BackoffOptions {
  std::int64_t first_ms;
  std::int64_t max_ms;
};

// The wait before retry `number` (from 0): doubles from first_ms to max_ms, times 0.5 to 1.5, so
// that callers that failed together do not come back together.
std::int64_t BackoffMs(const BackoffOptions& options, std::int64_t number, core::Random& random);

// Retry-After (RFC 9110 §10.2.3): seconds or an IMF-fixdate. nullopt when it is neither.
std::optional<std::int64_t> RetryAfterMs(std::string_view value, std::int64_t wall_us);

}  // namespace interlock::runtime
