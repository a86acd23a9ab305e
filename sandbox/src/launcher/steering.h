// Names that steer programs outside the box: a shell, git, an editor or an agent that starts in a
// folder does what they say. A writable folder has none when a program starts, and none when it has
// ended.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fd.h"
#include "sandbox/launcher.h"

namespace interlock::sandbox {

// A folder that a program may write, and the names in it that a read-only mount keeps from it.
struct WritableFolder {
  Fd fd;  // O_PATH
  std::string path;
  std::vector<std::string_view> shielded;
  Quota quota;
};

// Looks for such names in a folder (not in the folders below it). One that is there must be mounted
// read-only by a later mount of `spec`, which needs namespaces. False with `problem` otherwise.
bool CheckSteering(WritableFolder& folder, const Mount& mount, const BoxSpec& spec, bool namespaces,
                   std::string& problem);

// Renames what a program left under such a name to `set-aside…`, where nobody takes it for what it
// was. One line that names each; empty: nothing. Call when nothing of the box runs any more.
std::string SetAside(const std::vector<WritableFolder>& folders);

}  // namespace interlock::sandbox
