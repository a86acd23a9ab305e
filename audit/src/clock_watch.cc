#include "clock_watch.h"

#include <utility>

#include "audit/log.h"

namespace interlock::audit {

ClockWatch::ClockWatch(const core::Clock& clock, std::function<void(std::int64_t)> stepped)
    : clock_(clock), stepped_(std::move(stepped)), offset_us_(Offset()) {}

void ClockWatch::Look() {
  const std::int64_t offset = Offset();
  const std::int64_t by = offset - offset_us_;
  if (by <= kClockStepMicros && by >= -kClockStepMicros) return;
  offset_us_ = offset;
  if (stepped_) stepped_(by);
}

}  // namespace interlock::audit
