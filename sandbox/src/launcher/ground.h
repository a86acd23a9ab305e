// What this machine gives; decided by the probe, immutable afterwards.
#pragma once

#include "cgroup.h"
#include "sandbox/launcher.h"

namespace interlock::sandbox {

struct Ground {
  Level level = Level::kNone;
  bool usable = true;        // false: no level, and the operator does not allow none
  bool privileged = false;   // may map and become other users
  bool seals_users = false;  // may set another user id, without namespaces
  bool idmap = false;        // idmapped mounts work
  bool cgroups = false;
  int landlock_abi = 0;
  CgroupPlace place;  // of this launcher's own folders
};

}  // namespace interlock::sandbox
