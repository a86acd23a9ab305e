// The log as a static folder that other programs read: C2SP tlog-tiles.
#pragma once

#include <cstdint>
#include <string>

#include "core/status.h"

namespace interlock::audit {

// Writes `checkpoint`, `tile/<L>/<N>[.p/<W>]` and `tile/entries/<N>[.p/<W>]` of the newest
// checkpoint in `database` to `folder`, which must be new or empty. Read-only on the log. Returns
// the number of entries. Errors: kFailedPrecondition without a checkpoint or for a folder with
// something in it; kDataLoss when tiles or entries are missing.
core::StatusOr<std::uint64_t> ExportTiles(const std::string& database, const std::string& folder);

}  // namespace interlock::audit
