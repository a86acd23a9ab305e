#include "waiting_line.h"

namespace interlock::runtime {

void WaitingLine::Add(std::uint64_t handle, std::int64_t deadline_us) {
  line_.insert(handle);
  if (deadline_us != 0) due_.emplace(deadline_us, handle);
}

void WaitingLine::Remove(std::uint64_t handle, std::int64_t deadline_us) {
  line_.erase(handle);
  due_.erase({deadline_us, handle});
}

std::optional<std::uint64_t> WaitingLine::First() const {
  if (line_.empty()) return std::nullopt;
  return *line_.begin();
}

std::optional<std::uint64_t> WaitingLine::FirstDue() const {
  if (due_.empty()) return std::nullopt;
  return due_.begin()->second;
}

std::int64_t WaitingLine::next_deadline_us() const {
  return due_.empty() ? 0 : due_.begin()->first;
}

}  // namespace interlock::runtime
