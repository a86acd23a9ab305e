// The folds whose tables stand in audit.db, for `interlock audit verify` and rebuilds.
#pragma once

#include <memory>
#include <vector>

#include "audit/log.h"

namespace interlock::runtime {

std::vector<std::unique_ptr<audit::Projector>> MakeProjectors();

}  // namespace interlock::runtime
