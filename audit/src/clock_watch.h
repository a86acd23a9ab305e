// Notices that the wall clock was set (rule 27).
#pragma once

#include <cstdint>
#include <functional>

#include "core/clock.h"

namespace interlock::audit {

// One per thread.
class ClockWatch {
 public:
  // `stepped` may be empty.
  ClockWatch(const core::Clock& clock, std::function<void(std::int64_t by_us)> stepped);

  // Calls `stepped` when wall and monotonic time moved apart by more than kClockStepMicros since
  // the last step.
  void Look();

 private:
  std::int64_t Offset() const { return clock_.WallMicros() - clock_.MonotonicMicros(); }

  const core::Clock& clock_;
  const std::function<void(std::int64_t)> stepped_;
  std::int64_t offset_us_;
};

}  // namespace interlock::audit
