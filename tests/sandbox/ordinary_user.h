// Who the tests are when they run as root and want an ordinary user's boxes.
#pragma once

#include <sys/types.h>

namespace interlock::sandbox::test {

// One for each test program: what the kernel counts by user (RLIMIT_NPROC) must not count what
// another one does beside it.
inline unsigned OrdinaryUser(pid_t test_program) {
  constexpr unsigned kFirst = 50'000;
  constexpr unsigned kUsers = 10'000;
  return kFirst + static_cast<unsigned>(test_program) % kUsers;
}

}  // namespace interlock::sandbox::test
