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

// What else must be closed where namespaces do not close it.
enum class FilterVariant {
  kNormal,
  // For a box on the host's own file tree: no change of a file's mode, owner or times, no leases
  // and owners of descriptors, no System V objects.
  kHostTree,
  // Further no signals to other processes and no truncation through read-only paths: for a kernel
  // whose Landlock has no signal scope or truncate right.
  kHostTreeNoSignals,
};

struct Filter {
  std::vector<sock_filter> notify;  // forbidden entry → listener
  std::vector<sock_filter> kill;    // forbidden entry → SIGSYS, where there can be no listener
};

// Empty on a libseccomp error; `problem` says which.
std::optional<Filter> BuildFilter(Profile profile, FilterVariant variant, std::string& problem);

// What fails with EPERM goes to the listener too, whose owner answers it so and knows its number.
void TellRefusals(Filter& filter);
// Of what the listener is told: it ends the box, and is not just refused.
bool EndsBox(int number, unsigned arch);

// "ptrace", "32-bit entry: ptrace", "x32 entry: read", …
std::string SyscallName(int number, unsigned arch);

}  // namespace interlock::sandbox
