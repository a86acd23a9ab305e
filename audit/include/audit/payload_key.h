// The number of a payload's row: ascending by entry, and within an entry by slot.
#pragma once

#include <cstdint>

namespace interlock::audit {

inline constexpr int kSlotsMax = 256;  // payloads of one entry

constexpr std::int64_t PayloadKey(std::uint64_t entry_index, int slot) {
  return static_cast<std::int64_t>(entry_index << 8) | slot;
}

// The index of its entry.
constexpr std::int64_t EntryOfPayload(std::int64_t key) { return key >> 8; }

}  // namespace interlock::audit
