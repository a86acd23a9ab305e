// The process that becomes the program: hardened first, told what to run second.
#pragma once

#include "plan.h"

namespace interlock::sandbox {

struct WorkerSockets {
  int init;
  int launcher;
};

// Runs in a fresh child of the box's init. Hardens itself, hands the seccomp listener to init (or
// reports that there is none), waits for the call, and where the box takes mounts for init's word
// that they are there, confines files by Landlock and execs. A failure is a kFailed report, to init
// while it hardens itself, to the launcher afterwards; success is the end of file of the launcher's
// socket.
[[noreturn]] void RunWorker(const BoxPlan& plan, WorkerSockets sockets, uid_t uid, gid_t gid);

}  // namespace interlock::sandbox
