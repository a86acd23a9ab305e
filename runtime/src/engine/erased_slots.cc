#include "engine/erased_slots.h"

namespace interlock::runtime {

core::StatusOr<std::vector<int>> ErasedSlots(const audit::Log& log, std::uint64_t index) {
  std::vector<int> slots;
  for (int slot = 0;; ++slot) {  // slots are dense
    const auto row = log.ReadPayload(index, slot);
    if (row.status().code() == core::StatusCode::kNotFound) return slots;
    if (!row.ok()) return row.status();
    if (row->erased) slots.push_back(slot);
  }
}

}  // namespace interlock::runtime
