// Open approvals against the entries that they stand for, before anything acts on them.
#pragma once

#include "audit/log.h"
#include "core/status.h"

namespace interlock::runtime {

// Rows of p_approval are derived and can be edited by whoever can write the file; what asked and
// who granted is in the tree. Reads the entries from the oldest open approval on. Before the engine
// acts. Errors: kDataLoss naming an approval whose row is not what its entries say.
core::Status CheckOpenApprovals(const audit::Log& log);

}  // namespace interlock::runtime
