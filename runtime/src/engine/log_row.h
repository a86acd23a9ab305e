// The one row of table `log`: what a log says of itself.
#pragma once

#include <string>

#include "audit/log.h"
#include "core/status.h"

namespace interlock::runtime {

enum class LogColumn { kTenant, kOrigin };

// Errors: kDataLoss when the row is not there; those of reading.
core::StatusOr<std::string> OfLogRow(const audit::Log& log, LogColumn column);

}  // namespace interlock::runtime
