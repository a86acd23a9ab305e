// What a folder that outlives its calls may hold. The kernel has no quota for a folder (ADR 25), so
// it is counted: before a call, and while one runs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "sandbox/launcher.h"
#include "steering.h"

namespace interlock::sandbox {

struct FolderUse {
  std::int64_t bytes = 0;  // on disk: holes cost nothing
  std::int64_t files = 0;  // files and folders below it, each name of a file for itself
};

// Counting takes the launcher's only thread. All of it together gets a twentieth of its time, and
// after a pause a tenth of a second at once. `now` is of the monotonic clock, `taken` of the
// processor, so that a busy machine changes nothing. Asked once for all folders of a box: what is
// counted in part leaves its last folders to whoever fills them.
class CountBudget {
 public:
  std::int64_t free_at_us() const { return free_at_us_; }
  bool Allows(std::int64_t now_us) const { return now_us >= free_at_us_; }
  void Spend(std::int64_t now_us, std::int64_t taken_us) {
    free_at_us_ = std::max(free_at_us_, now_us - kBurstUs) + kShare * taken_us;
  }

 private:
  static constexpr std::int64_t kShare = 20;
  static constexpr std::int64_t kBurstUs = kShare * 100'000;
  std::int64_t free_at_us_ = 0;
};

// Counts what lies below `folder` (O_PATH is enough), without following a link or entering another
// file system. It stops at the first count beyond `quota`, and looks at no more names than
// `quota.files` allows: a name that goes while it is looked at counts. `problem` when a part cannot
// be read or lies deeper than kQuotaDepthMax: what cannot be counted counts as too much.
inline constexpr int kQuotaDepthMax = 64;
FolderUse CountFolder(int folder, const Quota& quota, std::string& problem);

// One line about the first folder that holds more than its quota, empty otherwise: all of them are
// counted or, when `budget` allows none now, none. What counting takes is spent from it.
std::string OverQuotas(const std::vector<WritableFolder>& folders, CountBudget& budget);

}  // namespace interlock::sandbox
