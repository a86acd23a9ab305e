// Calls of a log by filter, newest first: for the engine, and for a log's file without one.
#pragma once

#include "audit/log.h"
#include "core/status.h"
#include "engine/filter.h"
#include "runtime/engine.h"

namespace interlock::runtime {

core::StatusOr<Page<AuditedCall>> QueryCallsOf(const audit::Log& log, const SqlFilter& filter,
                                               const PageSpec& page);

}  // namespace interlock::runtime
