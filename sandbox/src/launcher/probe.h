// Which level this machine gives, found by running a box and looking at its walls from inside.
#pragma once

#include <array>
#include <string>

#include "landlock.h"
#include "server.h"

namespace interlock::sandbox {

struct ProbeOptions {
  Level level_cap = Level::kFull;
  bool allow_none = false;
  bool name_refused = false;
  int landlock_abi_max = kLandlockAbiMax;  // tests: as on an older kernel
  std::string self;                        // this program's path, without links
  ServerOptions server;
};

struct Probe {
  Ground ground;
  Capabilities capabilities;
  std::array<Filter, kProfiles> filters;
};

// `groups` gets this launcher's control groups, when they can be used. False with `problem` when
// not even the system call filter can be built.
bool ProbeMachine(const ProbeOptions& options, CgroupRoot& groups, Probe& probe,
                  std::string& problem);

}  // namespace interlock::sandbox
