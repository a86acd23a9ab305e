#include "probe.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "landlock.h"

namespace interlock::sandbox {
namespace {
constexpr const char* kFixNamespaceCount =
    "sysctl -w user.max_user_namespaces=10000, and the same for max_mnt_, max_pid_, max_net_, "
    "max_ipc_, max_uts_ and max_cgroup_namespaces where they are 0";
constexpr const char* kFixNamespaceRight =
    "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu) or "
    "kernel.unprivileged_userns_clone=1 (Debian); in a container --security-opt "
    "seccomp=unconfined";
constexpr const char* kFixTrial =
    "see what it names; docs/sandbox.md lists the usual causes under `Running without root`";
constexpr const char* kFixLandlock =
    "boot a kernel from 5.13 on with lsm=landlock,… and, in a container, allow "
    "the landlock system calls";
constexpr const char* kFixScopes =
    "a kernel from 6.12 on; until then boxes without namespaces get no signals";
constexpr const char* kFixCgroups =
    "run as root with a writable cgroup mount, or give the service a delegated group (systemd: "
    "Delegate=yes and "
    "DelegateSubgroup=daemon)";
constexpr const char* kFixIdmap =
    "put mounted folders on a file system with idmapped mounts (ext4, xfs, btrfs; "
    "tmpfs from 6.3 on); until then such a box runs as the folder's owner";
constexpr const char* kFixUser =
    "run the daemon as root with the host's user ids, or accept that boxes share the daemon's user";

const char* FixNamespaces(const std::string& problem) {
  if (problem.find("No space left") != std::string::npos) return kFixNamespaceCount;
  if (problem.find("not permitted") != std::string::npos) return kFixNamespaceRight;
  return kFixTrial;
}

// Whether boxes can have users of their own here: in a container with a user namespace of its own,
// root has only the ids that were mapped for it.
bool HasIds(const char* map_path) {
  std::FILE* map = std::fopen(map_path, "re");
  bool has = false;
  unsigned long inside = 0;
  unsigned long count = 0;
  while (map != nullptr && std::fscanf(map, "%lu %*u %lu", &inside, &count) == 2) {
    has = has || (inside <= kUidOutside && kUidLast < inside + count);
  }
  if (map != nullptr) std::fclose(map);
  return has;
}

bool Has(unsigned capability) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &header, data) != 0) return false;
  return (data[capability / 32].effective >> (capability % 32) & 1) != 0;
}

class Prober {
 public:
  Prober(const ProbeOptions& options, CgroupRoot& groups, Probe& probe)
      : options_(options), groups_(groups), probe_(probe) {}

  bool Run(std::string& problem);

 private:
  bool Build(FilterVariant variant, std::string& problem);
  // Empty when a box of this level runs and its walls stand; the first failure otherwise.
  std::string Try(Level level);
  void TryCgroups();
  void TryNamespaces();
  void TryLandlockOnly();
  void Row(std::string name, bool available, std::string detail, const char* fix);
  bool TryIdmap() const;

  const ProbeOptions& options_;
  CgroupRoot& groups_;
  Probe& probe_;
  std::string cgroup_problem_;
};

bool Prober::Build(FilterVariant variant, std::string& problem) {
  for (std::size_t i = 0; i < kProfiles; ++i) {
    std::optional<Filter> filter = BuildFilter(static_cast<Profile>(i), variant, problem);
    if (!filter) return false;
    if (options_.name_refused) TellRefusals(*filter);
    probe_.filters[i] = std::move(*filter);
  }
  return true;
}

std::string Prober::Try(Level level) {
  probe_.ground.level = level;
  Server server(options_.server, probe_.filters, probe_.ground);
  Call call;
  BoxSpec& spec = call.request.spec;
  spec.argv = {options_.self, "--self-check",
               level >= Level::kFullNoCgroup ? "namespaces" : "plain"};
  spec.mounts = {{options_.self, options_.self, Access::kReadOnly}};
  BoxResult result = server.RunOne(std::move(call));
  const bool stands = result.kind == EndKind::kExit && result.value == 0;
  const bool counted = !probe_.ground.cgroups || result.memory_peak_bytes > 0;
  if (stands && counted) return "";
  if (stands) return "the memory group counted nothing";
  if (!result.stdout_bytes.empty())
    return result.stdout_bytes.substr(0, result.stdout_bytes.find('\n'));
  if (!result.detail.empty()) return result.detail;
  return "the trial ended with " + std::to_string(result.value);
}

void Prober::Row(std::string name, bool available, std::string detail, const char* fix) {
  probe_.capabilities.features.push_back(
      {std::move(name), available, std::move(detail), available ? "" : fix});
}

void Prober::TryCgroups() {
  const CgroupPlace place = FindCgroupPlace();
  Ground& ground = probe_.ground;
  if (place.version == 0 && place.kill.empty()) {
    cgroup_problem_ = "no hierarchy with memory and pids is mounted";
    return;
  }
  if (!groups_.Create(place, cgroup_problem_)) {
    groups_.Remove();
    return;
  }
  ground.place = groups_.place();
  ground.cgroups = place.version != 0;
  if (!ground.cgroups) cgroup_problem_ = "no hierarchy with memory and pids is mounted";
}

bool Prober::TryIdmap() const {
  IdMaps maps;
  const int map = maps.Get(::geteuid(), ::getegid());
  const Fd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const Fd self = OpenPath(root.get(), options_.self);
  return map >= 0 && DetachTree(self.get(), Access::kReadOnly, Profile::kStatic, map).valid();
}

void Prober::TryNamespaces() {
  Ground& ground = probe_.ground;
  const Level best = options_.level_cap;
  if (best < Level::kFullNoCgroup) {
    return Row("namespaces", false, "not tried: the level is capped",
               "raise sandbox.level_cap (--cap)");
  }
  if (best < Level::kFull) ground.cgroups = false;
  std::string problem = Try(ground.cgroups ? Level::kFull : Level::kFullNoCgroup);
  if (!problem.empty() && ground.cgroups) {
    // Groups that cannot be used must not take the namespaces with them.
    const CgroupPlace place = ground.place;
    ground.cgroups = false;
    ground.place = CgroupPlace{};
    if (const std::string without = Try(Level::kFullNoCgroup); without.empty()) {
      cgroup_problem_ = problem;
      problem.clear();
    } else {
      ground.cgroups = true;
      ground.place = place;
    }
  }
  if (!problem.empty()) ground.level = Level::kNone;
  Row("namespaces", problem.empty(),
      problem.empty() ? "user, mount, pid, net, ipc, uts, cgroup: a trial box held" : problem,
      FixNamespaces(problem));
}

void Prober::TryLandlockOnly() {
  Ground& ground = probe_.ground;
  const FilterVariant variant = ground.landlock_abi < kLandlockAbiScopes
                                    ? FilterVariant::kHostTreeNoSignals
                                    : FilterVariant::kHostTree;
  std::string problem;
  if (!Build(variant, problem)) return;
  problem = Try(ground.landlock_abi > 0 ? Level::kLandlockOnly : Level::kNone);
  if (!problem.empty()) ground.level = Level::kNone;
  if (!problem.empty() || ground.landlock_abi == 0) {
    Row("landlock-only trial", false, problem.empty() ? "no Landlock" : problem,
        problem.empty() ? kFixLandlock : kFixTrial);
  }
}

bool Prober::Run(std::string& problem) {
  Ground& ground = probe_.ground;
  ground.privileged = ::geteuid() == 0 && Has(CAP_SETUID) && Has(CAP_SETGID) &&
                      HasIds("/proc/self/uid_map") && HasIds("/proc/self/gid_map");
  ground.seals_users = ground.privileged;
  ground.landlock_abi = std::min(LandlockAbi(), options_.landlock_abi_max);
  if (!Build(FilterVariant::kNormal, problem)) return false;
  Row("seccomp", true, std::to_string(probe_.filters[0].notify.size()) + " instructions", "");
  Row("landlock", ground.landlock_abi > 0, "ABI " + std::to_string(ground.landlock_abi),
      kFixLandlock);
  Row("landlock scopes", ground.landlock_abi >= kLandlockAbiScopes, "from ABI 6 on", kFixScopes);
  ground.idmap = ground.privileged && TryIdmap();
  const std::string idmap_problem = ground.idmap ? "work" : std::strerror(errno);
  TryCgroups();
  const bool capped = options_.level_cap < Level::kLandlockOnly;
  if (capped) ground.landlock_abi = 0;  // level none: no walls around files
  if (ground.landlock_abi > 0 || capped) TryNamespaces();
  if (ground.level < Level::kFullNoCgroup) TryLandlockOnly();
  Row("control groups", ground.cgroups,
      ground.cgroups ? "version " + std::to_string(ground.place.version) + ": memory, pids, cpu"
                     : cgroup_problem_,
      kFixCgroups);
  Row("box user", ground.privileged,
      ground.privileged ? "boxes run as an unused user" : "boxes run as this user", kFixUser);
  if (ground.privileged) Row("idmapped mounts", ground.idmap, idmap_problem, kFixIdmap);
  ground.usable = ground.level > Level::kNone || options_.allow_none;
  probe_.capabilities.level = ground.level;
  return true;
}
}  // namespace

bool ProbeMachine(const ProbeOptions& options, CgroupRoot& groups, Probe& probe,
                  std::string& problem) {
  return Prober(options, groups, probe).Run(problem);
}

}  // namespace interlock::sandbox
