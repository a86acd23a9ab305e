// What the daemon's open log goes on from.
#pragma once

#include <cstdint>

#include "cli/client.h"
#include "core/status.h"

namespace interlock::runtime::cli {

// When the open log began, if another was closed before it; 0: it is the first.
core::StatusOr<std::int64_t> BeginOfOpenLog(const Client& client);

}  // namespace interlock::runtime::cli
