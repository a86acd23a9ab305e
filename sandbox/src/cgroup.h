// Limits by control groups, for v2 and for v1 with controllers on several hierarchies (hybrid
// hosts). Which one works is found out by use. A box's program enters its group itself, through
// descriptors opened here, before it is hardened; the box's init stays outside, so that the memory
// limit cannot take the status with it.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fd.h"

namespace interlock::sandbox {

struct CgroupLimits {
  std::int64_t memory_bytes = 0;
  std::int64_t pids = 0;
  bool operator==(const CgroupLimits&) const = default;
};

struct CgroupUsage {
  std::int64_t cpu_us = 0;
  std::int64_t memory_peak_bytes = 0;
  std::int64_t oom_kills = 0;
  std::int64_t forks_refused = 0;
};

// Folders under which boxes may be made, one a controller (v1) or the same for all (v2). Empty =
// absent.
struct CgroupPlace {
  int version = 0;  // 0: none found
  std::string memory;
  std::string pids;
  std::string cpu;
  std::string cpuacct;
  std::string kill;  // a v2 folder whose groups have cgroup.kill
  int (*make_folder)(const char* path, mode_t mode) = &::mkdir;  // for tests: a tree of plain files
};

// From the texts of /proc/self/mountinfo and /proc/self/cgroup. Pure.
CgroupPlace FindCgroupPlace(std::string_view mountinfo, std::string_view own_groups,
                            std::string_view v2_controllers);
// The same, reading this process's files.
CgroupPlace FindCgroupPlace();

// One box's groups; removed on destruction (they must be empty by then).
class BoxGroup {
 public:
  BoxGroup() = default;
  ~BoxGroup();
  BoxGroup(const BoxGroup&) = delete;
  BoxGroup& operator=(const BoxGroup&) = delete;

  // Creates the folders and opens what a call needs of them. False with `problem`.
  bool Create(const CgroupPlace& place, const std::string& name, std::string& problem);
  // Nothing to do when they are set already: whoever makes a box ahead sets the usual ones.
  bool Limit(const CgroupLimits& limits, std::string& problem);
  std::vector<int> entrances() const;
  CgroupUsage Usage() const;
  std::int64_t CpuMicros() const;
  void KillAll() const;
  // False while something is still in them.
  bool Remove();

 private:
  bool MakeFolder(const CgroupPlace& place, const std::string& parent, const std::string& name,
                  std::string& folder, std::string& problem);
  void OpenUsage();
  bool LimitMemory(const std::string& bytes) const;

  int version_ = 0;
  CgroupLimits limits_;  // that are set
  std::string memory_, pids_, cpu_, cpuacct_, kill_;
  std::vector<std::string> folders_;  // distinct
  std::vector<Fd> entrances_;
  // Opened ahead: in a call somebody waits.
  Fd cpu_usage_, forks_refused_, memory_peak_, oom_kills_;
};

// A launcher's own folder below each place, named after its pid namespace, pid and start time;
// boxes are made inside.
class CgroupRoot {
 public:
  ~CgroupRoot();
  CgroupRoot() = default;
  CgroupRoot(const CgroupRoot&) = delete;
  CgroupRoot& operator=(const CgroupRoot&) = delete;

  // Removes what dead launchers of this pid namespace left, then makes our own.
  bool Create(const CgroupPlace& place, std::string& problem);
  void Remove();
  const CgroupPlace& place() const { return place_; }
  const std::vector<std::string>& folders() const { return folders_; }

 private:
  CgroupPlace place_;
  std::vector<std::string> folders_;
};

// Kills what is inside and removes the folder and its children. True when it is gone.
bool RemoveCgroupTree(const std::string& folder);

}  // namespace interlock::sandbox
