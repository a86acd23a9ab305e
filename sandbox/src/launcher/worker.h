// The process that becomes the program: hardened first, told what to run second.
#pragma once

#include "plan.h"

namespace interlock::sandbox {

// Runs in a fresh child of the box's init; `socket` is its end towards init. Hardens itself, hands
// the seccomp listener to init (or reports that there is none), waits for the call, confines files
// by Landlock and execs. A failure is a kFailed report; success is the socket's end of file.
[[noreturn]] void RunWorker(const BoxPlan& plan, int socket, uid_t uid, gid_t gid);

}  // namespace interlock::sandbox
