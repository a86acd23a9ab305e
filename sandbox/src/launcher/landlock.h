// Landlock: which files a process may touch, that it may use no TCP, and that it may not reach
// processes or abstract sockets outside its domain. Constants are the kernel's
// (include/uapi/linux/landlock.h); Debian 12's headers are older than the kernels we run on.
#pragma once

#include <cstdint>
#include <string>

#include "fd.h"

namespace interlock::sandbox {

inline constexpr int kLandlockAbiTruncate = 3;
inline constexpr int kLandlockAbiScopes = 6;
inline constexpr int kLandlockAbiMax = 1 << 20;  // whatever the kernel has

// 0 when the kernel has none or it is off.
int LandlockAbi();

enum class FileRight { kRead, kReadExecute, kReadWrite, kReadWriteExecute, kDevice };

// One per process that is to be confined.
class Landlock {
 public:
  // Handles every right that this ABI knows: what no rule allows is denied.
  bool Create(int abi);
  bool Allow(int path_fd, FileRight right) const;
  // Opens `path` and allows it; a path that is not there is not an error.
  bool AllowPath(const char* path, FileRight right) const;
  bool Enforce() const;
  void Close() { ruleset_.reset(); }

 private:
  Fd ruleset_;
  std::uint64_t handled_ = 0;
};

}  // namespace interlock::sandbox
