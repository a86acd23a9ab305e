// What a daemon erased while its log was being read.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "core/status.h"

namespace interlock::audit {

// Keys that entries from `first` on say were destroyed. Their place in the tree is not checked:
// whoever reads the log again checks it. Errors: those of reading.
core::StatusOr<std::set<std::string>> KeysErasedSince(const std::string& database,
                                                      std::uint64_t first);

}  // namespace interlock::audit
