// pidfd system calls. Not from <sys/pidfd.h>: in glibc 2.36 that header lacks C linkage for C++.
#pragma once

#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "fd.h"

namespace interlock::sandbox {

inline Fd PidfdOpen(pid_t pid) { return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))); }
inline bool PidfdSignal(const Fd& pidfd, int number) {
  return ::syscall(SYS_pidfd_send_signal, pidfd.get(), number, nullptr, 0) == 0;
}

}  // namespace interlock::sandbox
