// Checks of stored entries against their hashes.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/status.h"
#include "sqlite.h"

namespace interlock::audit {

// The entries from `first` must hash to `hashes` (32 bytes each). Errors: kDataLoss naming the
// first that does not.
core::Status CheckAgainstTile(sqlite3* db, std::uint64_t first, std::string_view hashes);

}  // namespace interlock::audit
