// One daemon a partition (rule 29).
#pragma once

#include <string>

#include "core/status.h"
#include "private_file.h"

namespace interlock::audit {

// Holds an exclusive flock on `<folder>/lock` for as long as it lives; the file names the holder's
// pid.
class FolderLock {
 public:
  // Errors: kFailedPrecondition with the other process's pid.
  static core::StatusOr<FolderLock> Take(const std::string& folder);
  // Whether some process holds it now.
  static bool IsTaken(const std::string& folder);
  // False: there is a lock that we may not look at, and IsTaken says nothing.
  static bool CanBeSeen(const std::string& folder);

 private:
  UniqueFd fd_;
};

}  // namespace interlock::audit
