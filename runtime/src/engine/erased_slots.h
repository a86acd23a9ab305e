// Which content of an entry is gone.
#pragma once

#include <cstdint>
#include <vector>

#include "audit/log.h"
#include "core/status.h"

namespace interlock::runtime {

// Slots of the payloads that the entry commits to and that are erased, ascending. Opens nothing.
// Errors: those of reading.
core::StatusOr<std::vector<int>> ErasedSlots(const audit::Log& log, std::uint64_t index);

}  // namespace interlock::runtime
