// Ends of times that people write.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/status.h"

namespace interlock::runtime::cli {

// The last microsecond of what ParseTime takes: of a day without a time, midnight has all the rest
// of it before it.
core::StatusOr<std::int64_t> ParseTimeUntil(std::string_view text);

}  // namespace interlock::runtime::cli
