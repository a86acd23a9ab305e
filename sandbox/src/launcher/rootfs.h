// The file tree of a box with namespaces.
#pragma once

#include <string>
#include <vector>

#include "fd.h"
#include "plan.h"

namespace interlock::sandbox {

// Where the host's tree stands in a box that needs it for its mounts, until SealRoot.
inline constexpr const char* kHostTree = "/.host";

// In fresh user and mount namespaces: a small tmpfs root with read-only /usr and friends, a minimal
// /etc, five devices, /tmp and a /proc of the box's own processes; pivots into it. Ends the process
// on failure.
void BuildRoot(const Steps& steps, const BoxPlan& plan);

// Attaches the call's mounts: `fds` when the launcher could prepare them, by host path otherwise.
void AttachMounts(const Steps& steps, const Go& go, const std::vector<Fd>& fds);

// Gives /tmp the call's size, where the plan's is another.
void SizeTmp(const Steps& steps, const BoxPlan& plan, const Limits& limits);

// Drops the host's tree if it is still there and makes the root read-only.
void SealRoot(const Steps& steps, const BoxPlan& plan);

}  // namespace interlock::sandbox
