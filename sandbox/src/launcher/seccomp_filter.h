// The system calls that a profile may use, compiled to BPF by libseccomp once at the launcher's
// start. Everything that is not listed fails with EPERM. ptrace and any entry through another ABI
// (int 0x80, x32) end the box: they are handed to the box's init, which records the call and kills
// the tree.
#pragma once

#include <linux/filter.h>

#include <optional>
#include <string>
#include <vector>

#include "sandbox/launcher.h"

namespace interlock::sandbox {

// What else must be closed when the kernel's Landlock is too old or absent.
enum class FilterVariant {
  kNormal,
  // No signals to other processes, no truncation through read-only paths: for a box that shares its
  // user id with the daemon on a kernel whose Landlock has no signal scope or truncate right.
  kNoSignals,
};

struct Filter {
  std::vector<sock_filter> notify;  // forbidden entry → listener
  std::vector<sock_filter> kill;    // forbidden entry → SIGSYS, where there can be no listener
};

// Empty on a libseccomp error; `problem` says which.
std::optional<Filter> BuildFilter(Profile profile, FilterVariant variant, std::string& problem);

// "ptrace", "32-bit entry: ptrace", "x32 entry: read", …
std::string SyscallName(int number, unsigned arch);

}  // namespace interlock::sandbox
