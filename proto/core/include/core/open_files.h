// How many files this process may have open.
#pragma once

#include <sys/resource.h>

namespace interlock::core {

// To what the administrator allows: the soft limit is one for programs that use select(2).
inline void RaiseOpenFiles() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace interlock::core
