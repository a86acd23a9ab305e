// The first process of a box. With namespaces it is pid 1 of its own pid namespace: when it ends,
// the kernel has killed and reaped everything in the box before anyone can see that end. Without,
// it is a subreaper that kills and reaps its descendants before it ends. It never runs foreign
// code, is not dumpable and stays outside the box's control groups.
#pragma once

#include "plan.h"

namespace interlock::sandbox {

// In a fresh child of the launcher. `control` is its end towards the launcher; its end of file
// means that the launcher is gone, and ends the box. `program` is the end of the program's process.
// What the launcher's clone is given of its descriptors.
struct InitFds {
  int control;
  int program;  // the program's end towards the launcher
  // The program's standard streams; its input where the call brings none.
  int input;
  int out;
  int err;
};
[[noreturn]] void RunInit(const BoxPlan& plan, const InitFds& fds);

}  // namespace interlock::sandbox
