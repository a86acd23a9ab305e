// What a folder that outlives its calls may hold. The kernel has no quota for a folder (ADR 25), so
// it is counted: before a call, and while one runs.
#pragma once

#include <cstdint>
#include <string>

#include "sandbox/launcher.h"

namespace interlock::sandbox {

struct FolderUse {
  std::int64_t bytes = 0;  // on disk: holes cost nothing
  std::int64_t files = 0;  // files and folders below it, each name of a file for itself
};

// Counts what lies below `folder` (O_PATH is enough), without following a link or entering another
// file system. It stops at the first count beyond `quota`, so it looks at no more names than
// `quota.files` allows. `problem` when a part cannot be read or lies deeper than
// kQuotaDepthMax: what cannot be counted counts as too much.
inline constexpr int kQuotaDepthMax = 64;
FolderUse CountFolder(int folder, const Quota& quota, std::string& problem);

// One line when the folder holds more than it may; empty otherwise.
std::string OverQuota(int folder, const std::string& path, const Quota& quota);

}  // namespace interlock::sandbox
