#include "core/clock.h"

#include <time.h>

#include "core/check.h"

namespace interlock::core {
namespace {

std::int64_t Read(clockid_t id) {
  timespec now{};
  INTERLOCK_CHECK(clock_gettime(id, &now) == 0);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1'000;
}

}  // namespace

std::int64_t SystemClock::WallMicros() const { return Read(CLOCK_REALTIME); }
// MONOTONIC, not BOOTTIME: the vDSO serves it without a system call, and a suspended machine runs
// no tools.
std::int64_t SystemClock::MonotonicMicros() const { return Read(CLOCK_MONOTONIC); }

}  // namespace interlock::core
