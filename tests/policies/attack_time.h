// What an attack may cost: 50 ms of the thread that decides, more under a sanitizer.
#pragma once

#include <time.h>

namespace interlock::policies {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr double kAttackMs = 400;
#else
inline constexpr double kAttackMs = 50;
#endif

// Of this thread's processor time, so that a busy machine changes nothing.
inline double ThreadMs() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

}  // namespace interlock::policies
