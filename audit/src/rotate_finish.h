// What Log::Open does about rotations (audit/rotate.h). The caller holds the folder's lock.
#pragma once

#include <string>

#include "audit/log.h"
#include "core/status.h"

namespace interlock::audit {

// When the folder's log is closed, puts its successor in place; removes what a rotation that closed
// nothing left behind. Returns the origin of the log that is in the folder then, as OriginInFolder
// does. Errors: kFailedPrecondition when `audit.db` is missing beside closed logs, or when the
// successor was opened before and is lost.
core::StatusOr<std::string> FinishRotation(const LogOptions& options);

// The origin of the log in the folder: that of `options`, or one that follows it.
core::StatusOr<std::string> OriginInFolder(const LogOptions& options);

}  // namespace interlock::audit
