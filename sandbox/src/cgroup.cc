#include "cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "registry.h"

namespace interlock::sandbox {
namespace {
constexpr std::string_view kFolderPrefix = "interlock-";
// One CPU for a box: 32 spinning threads of one tool must not starve the machine.
constexpr std::int64_t kCpuPeriodUs = 100'000;
constexpr std::int64_t kCpuQuotaUs = 100'000;

Fd OpenToRead(const std::string& path) { return Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)); }

std::string ReadText(const std::string& path) {
  const Fd file = OpenToRead(path);
  std::string text;
  char part[4096];
  for (ssize_t n; file.valid() && (n = ::read(file.get(), part, sizeof part)) > 0;) {
    text.append(part, static_cast<std::size_t>(n));
  }
  return text;
}

// A few lines, from the start, also when they were read before.
std::string ReadLines(const Fd& file) {
  char text[4096];
  const ssize_t size = file.valid() ? ::pread(file.get(), text, sizeof text, 0) : 0;
  return std::string(text, size > 0 ? static_cast<std::size_t>(size) : 0);
}

bool WriteText(const std::string& path, std::string_view text) {
  const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file.valid() &&
         ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

std::int64_t ToNumber(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// The number behind `key ` in a flat keyed file. No stream: in a call somebody waits for these.
std::int64_t KeyedNumber(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ') {
      return ToNumber(line.substr(key.size() + 1));
    }
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  return 0;
}

bool HasWord(std::string_view list, std::string_view word, char separator) {
  while (!list.empty()) {
    const std::size_t end = list.find(separator);
    std::string_view item = list.substr(0, end);
    while (!item.empty() && item.back() == '\n') item.remove_suffix(1);
    if (item == word) return true;
    list = end == std::string_view::npos ? std::string_view() : list.substr(end + 1);
  }
  return false;
}

struct MountLine {
  std::string root, point, type, options;
};

std::vector<MountLine> CgroupMounts(std::string_view mountinfo) {
  std::vector<MountLine> mounts;
  std::istringstream lines{std::string(mountinfo)};
  for (std::string line; std::getline(lines, line);) {
    // proc(5): id parent dev root point options [optional…] - type source superoptions
    std::istringstream words(line);
    std::string id, parent, dev, options, word, source;
    MountLine mount;
    words >> id >> parent >> dev >> mount.root >> mount.point >> options;
    while (words >> word && word != "-") {
    }
    words >> mount.type >> source >> mount.options;
    if (mount.type == "cgroup" || mount.type == "cgroup2") mounts.push_back(std::move(mount));
  }
  return mounts;
}

// Our group in the hierarchy that has `controller` ("" = v2), from lines `id:controllers:path`.
std::string OwnGroup(std::string_view own_groups, std::string_view controller) {
  std::istringstream lines{std::string(own_groups)};
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string_view names(line.data() + first + 1, second - first - 1);
    const bool match = controller.empty() ? names.empty() : HasWord(names, controller, ',');
    if (match) return line.substr(second + 1);
  }
  return "/";
}

std::string Folder(const MountLine& mount, std::string group) {
  if (mount.root != "/" && group.starts_with(mount.root)) group = group.substr(mount.root.size());
  if (group == "/") group.clear();
  return mount.point + group;
}

std::string FindV1(const std::vector<MountLine>& mounts, std::string_view own_groups,
                   std::string_view controller) {
  for (const MountLine& mount : mounts) {
    if (mount.type == "cgroup" && HasWord(mount.options, controller, ',')) {
      return Folder(mount, OwnGroup(own_groups, controller));
    }
  }
  return "";
}

void LimitCpu(const std::string& folder, int version, std::int64_t quota_us) {
  if (folder.empty()) return;
  const std::string quota = std::to_string(quota_us);
  if (version == 2) {
    WriteText(folder + "/cpu.max", quota + " " + std::to_string(kCpuPeriodUs));
  } else {
    WriteText(folder + "/cpu.cfs_period_us", std::to_string(kCpuPeriodUs));
    WriteText(folder + "/cpu.cfs_quota_us", quota);
  }
}

// What a process writes "0" to in order to enter. A lone task that moves itself by `tasks` spares
// the kernel a global lock with a grace period (cgroup_procs_write_start), which costs
// milliseconds.
std::string EntranceOf(const std::string& folder) {
  const std::string tasks = folder + "/tasks";
  return ::access(tasks.c_str(), W_OK) == 0 ? tasks : folder + "/cgroup.procs";
}

bool EnableV2(const std::string& folder) {
  return WriteText(folder + "/cgroup.subtree_control", "+memory +pids +cpu");
}

void KillListed(const std::string& folder) {
  std::istringstream pids(ReadText(folder + "/cgroup.procs"));
  for (pid_t pid; pids >> pid;) {
    if (pid > 0) ::kill(pid, SIGKILL);
  }
}

// Of launchers that see the same process numbers: another container may share the cgroup mount.
std::string OwnPrefix() {
  struct stat info {};
  const bool known = ::stat("/proc/self/ns/pid", &info) == 0;
  return std::string(kFolderPrefix) + std::to_string(known ? info.st_ino : 0) + "-";
}

bool BelongsToTheDead(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return false;
  name.remove_prefix(prefix.size());
  const std::size_t dash = name.find('-');
  if (dash == std::string_view::npos) return false;
  const auto pid = static_cast<pid_t>(ToNumber(name.substr(0, dash)));
  const auto ticks = static_cast<std::uint64_t>(ToNumber(name.substr(dash + 1)));
  return pid > 0 && ProvenGone(pid, ticks);
}

void SweepDead(const std::string& parent) {
  std::error_code ignored;
  std::vector<std::string> dead;
  const std::string prefix = OwnPrefix();
  for (const auto& entry : std::filesystem::directory_iterator(parent, ignored)) {
    const std::string name = entry.path().filename().string();
    if (BelongsToTheDead(name, prefix)) dead.push_back(entry.path().string());
  }
  for (const std::string& folder : dead) RemoveCgroupTree(folder);
}

std::vector<std::string*> Places(CgroupPlace& place) {
  return {&place.memory, &place.pids, &place.cpu, &place.cpuacct, &place.kill};
}
}  // namespace

CgroupPlace FindCgroupPlace(std::string_view mountinfo, std::string_view own_groups,
                            std::string_view v2_controllers) {
  const std::vector<MountLine> mounts = CgroupMounts(mountinfo);
  CgroupPlace place;
  for (const MountLine& mount : mounts) {
    if (mount.type == "cgroup2") place.kill = Folder(mount, OwnGroup(own_groups, ""));
  }
  if (!place.kill.empty() && HasWord(v2_controllers, "memory", ' ') &&
      HasWord(v2_controllers, "pids", ' ')) {
    place.version = 2;
    place.memory = place.pids = place.cpu = place.cpuacct = place.kill;
    return place;
  }
  place.memory = FindV1(mounts, own_groups, "memory");
  place.pids = FindV1(mounts, own_groups, "pids");
  place.cpu = FindV1(mounts, own_groups, "cpu");
  place.cpuacct = FindV1(mounts, own_groups, "cpuacct");
  if (!place.memory.empty() && !place.pids.empty()) place.version = 1;
  return place;
}

CgroupPlace FindCgroupPlace() {
  const std::string mountinfo = ReadText("/proc/self/mountinfo");
  const std::string own = ReadText("/proc/self/cgroup");
  const CgroupPlace first = FindCgroupPlace(mountinfo, own, "");
  const std::string controllers =
      first.kill.empty() ? "" : ReadText(first.kill + "/cgroup.controllers");
  return FindCgroupPlace(mountinfo, own, controllers);
}

bool RemoveCgroupTree(const std::string& folder) {
  std::error_code ignored;
  std::vector<std::string> children;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    if (entry.is_directory(ignored)) children.push_back(entry.path().string());
  }
  for (const std::string& child : children) RemoveCgroupTree(child);
  // The dead leave their group a moment after they are killed; removal says EBUSY until then.
  constexpr int kTries = 200;
  for (int i = 0; i < kTries; ++i) {
    if (::rmdir(folder.c_str()) == 0 || errno == ENOENT) return true;
    if (errno != EBUSY) return false;
    if (!WriteText(folder + "/cgroup.kill", "1")) KillListed(folder);
    ::usleep(5000);
  }
  return false;
}

BoxGroup::~BoxGroup() { Remove(); }

bool BoxGroup::MakeFolder(const CgroupPlace& place, const std::string& parent,
                          const std::string& name, std::string& folder, std::string& problem) {
  if (parent.empty()) return true;
  folder = parent + "/" + name;
  if (std::find(folders_.begin(), folders_.end(), folder) != folders_.end()) return true;
  if (place.make_folder(folder.c_str(), 0755) != 0) {
    problem = "mkdir " + folder + ": " + std::strerror(errno);
    return false;
  }
  folders_.push_back(folder);
  Fd entrance(::open(EntranceOf(folder).c_str(), O_WRONLY | O_CLOEXEC));
  if (!entrance.valid()) {
    problem = "open " + EntranceOf(folder) + ": " + std::strerror(errno);
    return false;
  }
  entrances_.push_back(std::move(entrance));
  return true;
}

bool BoxGroup::Create(const CgroupPlace& place, const std::string& name, std::string& problem) {
  version_ = place.version;
  const bool made = MakeFolder(place, place.memory, name, memory_, problem) &&
                    MakeFolder(place, place.pids, name, pids_, problem) &&
                    MakeFolder(place, place.cpu, name, cpu_, problem) &&
                    MakeFolder(place, place.cpuacct, name, cpuacct_, problem) &&
                    MakeFolder(place, place.kill, name, kill_, problem);
  if (!made) return false;
  LimitCpu(cpu_, version_, kCpuQuotaUs);
  OpenUsage();
  return true;
}

void BoxGroup::OpenUsage() {
  if (version_ == 0) return;
  const bool v2 = version_ == 2;
  forks_refused_ = OpenToRead(pids_ + "/pids.events");
  memory_peak_ = OpenToRead(memory_ + (v2 ? "/memory.peak" : "/memory.max_usage_in_bytes"));
  oom_kills_ = OpenToRead(memory_ + (v2 ? "/memory.events" : "/memory.oom_control"));
  cpu_usage_ = OpenToRead(v2 ? cpu_ + "/cpu.stat" : cpuacct_ + "/cpuacct.usage");
}

bool BoxGroup::LimitMemory(const std::string& bytes) const {
  if (version_ == 2) {
    const bool set = WriteText(memory_ + "/memory.max", bytes);
    WriteText(memory_ + "/memory.swap.max", "0");
    WriteText(memory_ + "/memory.oom.group", "1");
    return set;
  }
  // The second is present only with swap accounting, and never below the first: one of its writes
  // fails, before the first is lowered or after it is raised.
  WriteText(memory_ + "/memory.memsw.limit_in_bytes", bytes);
  const bool set = WriteText(memory_ + "/memory.limit_in_bytes", bytes);
  WriteText(memory_ + "/memory.memsw.limit_in_bytes", bytes);
  return set;
}

bool BoxGroup::Limit(const CgroupLimits& limits, std::string& problem) {
  if (limits == limits_) return true;
  limits_ = {};
  if (!WriteText(pids_ + "/pids.max", std::to_string(limits.pids)) ||
      !LimitMemory(std::to_string(limits.memory_bytes))) {
    problem = std::string("cgroup limits: ") + std::strerror(errno);
    return false;
  }
  limits_ = limits;
  return true;
}

std::vector<int> BoxGroup::entrances() const {
  std::vector<int> fds;
  for (const Fd& fd : entrances_) fds.push_back(fd.get());
  return fds;
}

std::int64_t BoxGroup::CpuMicros() const {
  const std::string text = ReadLines(cpu_usage_);
  return version_ == 2 ? KeyedNumber(text, "usage_usec") : ToNumber(text) / 1000;
}

CgroupUsage BoxGroup::Usage() const {
  CgroupUsage usage;
  if (version_ == 0) return usage;
  usage.cpu_us = CpuMicros();
  usage.forks_refused = KeyedNumber(ReadLines(forks_refused_), "max");
  usage.memory_peak_bytes = ToNumber(ReadLines(memory_peak_));
  usage.oom_kills = KeyedNumber(ReadLines(oom_kills_), "oom_kill");
  return usage;
}

void BoxGroup::KillAll() const {
  if (!kill_.empty()) WriteText(kill_ + "/cgroup.kill", "1");
}

bool BoxGroup::Remove() {
  entrances_.clear();
  std::erase_if(folders_, [](const std::string& folder) {
    return ::rmdir(folder.c_str()) == 0 || errno == ENOENT;
  });
  return folders_.empty();
}

CgroupRoot::~CgroupRoot() { Remove(); }

bool CgroupRoot::Create(const CgroupPlace& place, std::string& problem) {
  const std::string name = OwnPrefix() + std::to_string(::getpid()) + "-" +
                           std::to_string(ProcessStartTicks(::getpid()));
  place_ = place;
  if (place.version == 2 && !EnableV2(place.kill)) {
    // A group with processes of its own may not have controlled children: then the service manager
    // gave the daemon a sub-group (systemd: DelegateSubgroup=), and its parent is ours.
    const std::string parent = std::filesystem::path(place.kill).parent_path().string();
    if (!EnableV2(parent)) {
      problem = "cannot enable controllers in " + place.kill + " or above it";
      return false;
    }
    for (std::string* at : Places(place_)) *at = parent;
  }
  for (std::string* at : Places(place_)) {
    if (at->empty()) continue;
    const std::string folder = *at + "/" + name;
    if (std::find(folders_.begin(), folders_.end(), folder) == folders_.end()) {
      SweepDead(*at);
      if (place.make_folder(folder.c_str(), 0755) != 0) {
        // Of use and not needed: a tree ends by its pid 1, or by its init.
        if (place.version == 1 && at == &place_.kill) {
          at->clear();
          continue;
        }
        problem = "mkdir " + folder + ": " + std::strerror(errno);
        return false;
      }
      folders_.push_back(folder);
    }
    *at = folder;
  }
  if (place_.version == 2 && !EnableV2(place_.kill)) {
    problem = "cannot enable controllers in " + place_.kill;
    return false;
  }
  // Holds the kernel's bandwidth control on between boxes: each first user of it patches kernel
  // code.
  LimitCpu(place_.cpu, place_.version, kCpuQuotaUs * std::max(1l, ::sysconf(_SC_NPROCESSORS_ONLN)));
  return true;
}

void CgroupRoot::Remove() {
  std::erase_if(folders_, [](const std::string& folder) { return RemoveCgroupTree(folder); });
}

}  // namespace interlock::sandbox
