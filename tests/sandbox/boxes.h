// What the sandbox tests share: launchers at the levels and users that this machine can give, a
// folder that all of them may use, and running a program in a box or outside.
#pragma once

#include <time.h>

#include <chrono>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "sandbox/launcher.h"

namespace interlock::sandbox::test {

// A way to run boxes. `why_not` is non-empty when this machine or user cannot.
struct Ground {
  const char* name;  // "RootFull", "NobodyLandlockOnly", …
  Level level_cap;
  bool as_nobody;
  bool old_landlock = false;  // without truncation, TCP and scopes
};
inline std::ostream& operator<<(std::ostream& out, const Ground& ground) {
  return out << ground.name;
}
inline constexpr Ground kGrounds[] = {{"RootFull", Level::kFull, false},
                                      {"RootLandlockOnly", Level::kLandlockOnly, false},
                                      {"UserFull", Level::kFull, true},
                                      {"UserLandlockOnly", Level::kLandlockOnly, true}};

// Not among the others: the corpus alone runs there.
inline constexpr Ground kOldLandlock = {"UserOldLandlock", Level::kLandlockOnly, true, true};

// A fresh world-readable folder with a copy of the hostile program; removed at the end. All in it
// belongs to an ordinary user, whose boxes may do what its owner may.
class Folder {
 public:
  explicit Folder(bool for_nobody);
  ~Folder();
  std::string Path(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }
  const std::string hostile() const { return Path("hostile"); }
  const std::string work() const { return Path("work"); }  // writable by its owner alone

 private:
  std::string path_;
};

class Boxes {
 public:
  Boxes(const Ground& ground, int pool);
  ~Boxes();
  Boxes(const Boxes&) = delete;
  Boxes& operator=(const Boxes&) = delete;
  // Non-empty: skip, and say this.
  const std::string& why_not() const { return why_not_; }
  Launcher& launcher() { return *launcher_; }
  const Folder& folder() const { return folder_; }
  bool namespaces() const;
  bool cgroups() const;
  // The hostile program with `args`, the folder's `work` writable if asked.
  BoxSpec Hostile(std::vector<std::string> args) const;
  BoxSpec HostileWithWork(std::vector<std::string> args) const;
  BoxResult Run(BoxSpec spec);

 private:
  Folder folder_;
  std::string why_not_;
  std::unique_ptr<Launcher> launcher_;
};

// What sandbox_as_delegated left. Groups of a launcher that lives are busy, and stay.
void RemoveDelegatedGroups();
// Its standard output, run outside any box.
std::string RunOutside(const std::vector<std::string>& argv);
std::string Describe(const BoxResult& result);
// Processes whose command line holds `token`, this one excepted.
std::vector<int> ProcessesWith(const std::string& token);
// True when `condition` became true in time.
template <typename Condition>
bool Within(std::chrono::milliseconds time, Condition condition);
// A word that no other test uses.
std::string Token();

template <typename Condition>
bool Within(std::chrono::milliseconds time, Condition condition) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    timespec moment{0, 2'000'000};
    ::nanosleep(&moment, nullptr);
  }
  return true;
}

}  // namespace interlock::sandbox::test
