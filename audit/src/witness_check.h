// What verifiers of logs and of bundles ask of witnesses.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "audit/cosignature.h"
#include "core/status.h"

namespace interlock::audit {

// How many of the keys must have cosigned; `asked` 0: all. Errors: kInvalidArgument for more than
// there are, and for a key that is none or comes twice.
inline core::StatusOr<std::size_t> WitnessesNeeded(const std::vector<std::string>& keys,
                                                   std::size_t asked) {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    INTERLOCK_RETURN_IF_ERROR(WitnessName(keys[i]).status());
    for (std::size_t j = 0; j < i; ++j) {
      if (keys[i] == keys[j]) return core::InvalidArgument("a witness's key is given twice");
    }
  }
  if (asked > keys.size()) {
    return core::InvalidArgument("more witnesses are needed than keys were given");
  }
  return asked == 0 ? keys.size() : asked;
}

inline std::string UnwitnessedReason(std::uint64_t covered, std::uint64_t entries,
                                     std::size_t needed) {
  return "unwitnessed: " + std::to_string(covered) + " of " + std::to_string(entries) +
         " signed entries are under a head that " + std::to_string(needed) +
         (needed == 1 ? " witness has" : " witnesses have") + " cosigned";
}

}  // namespace interlock::audit
