#include "fitting.h"

#include <fcntl.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "process.h"
#include "quota.h"

namespace interlock::sandbox {
namespace {

Fd HostRoot() { return Fd(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)); }

// Invalid with `fitting.problem`. A writable folder goes to `fitting.folders` too.
Fd OpenMount(int root, const BoxSpec& spec, const Mount& mount, bool namespaces, struct stat& info,
             Fitting& fitting) {
  Fd path = OpenPath(root, mount.host_path);
  if (!path.valid() || ::fstat(path.get(), &info) != 0) {
    fitting.problem = "mount `" + mount.host_path + "`: " + std::strerror(errno);
    if (errno == ELOOP) fitting.problem += "; give the path without symbolic links";
    return Fd();
  }
  if (mount.access == Access::kReadOnly || !S_ISDIR(info.st_mode)) return path;
  WritableFolder folder{
      Fd(::fcntl(path.get(), F_DUPFD_CLOEXEC, 3)), mount.host_path, {}, mount.quota};
  if (!folder.fd.valid()) {
    fitting.problem = "mount `" + mount.host_path + "`: " + std::strerror(errno);
    return Fd();
  }
  if (!CheckSteering(folder, mount, spec, namespaces, fitting.problem)) return Fd();
  fitting.folders.push_back(std::move(folder));
  return path;
}

// What may not be counted now is counted while the program runs.
bool WithinQuotas(CountBudget& counting, Fitting& fitting) {
  fitting.problem = OverQuotas(fitting.folders, counting);
  if (fitting.problem.empty()) return true;
  fitting.problem += "; make room there, or raise the mount's quota";
  return false;
}

// Whether a plain user could use what is at `path`. File capabilities follow the fs ids
// (credentials(7)).
bool Reachable(const Mount& mount, uid_t uid) {
  ::setfsgid(uid);
  ::setfsuid(uid);
  const int flags = mount.access == Access::kReadOnly ? O_RDONLY : O_RDWR;
  Fd fd(::open(mount.host_path.c_str(), flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!fd.valid() && errno == EISDIR) {
    fd.reset(::open(mount.host_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat info {};
    if (fd.valid() && (::fstat(fd.get(), &info) != 0 || (info.st_mode & S_IWOTH) == 0)) fd.reset();
  }
  ::setfsuid(::geteuid());
  ::setfsgid(::getegid());
  return fd.valid();
}
}  // namespace

// False: some mount cannot be idmapped, or `problem`.
bool Fitter::OpenIdMapped(const BoxSpec& spec, Fitting& fitting) {
  bool mapped = ground_.privileged && ground_.idmap;
  const Fd root = HostRoot();
  for (const Mount& mount : spec.mounts) {
    struct stat info {};
    const Fd path = OpenMount(root.get(), spec, mount, true, info, fitting);
    if (!path.valid()) return false;
    if (!mapped) continue;
    const int map = id_maps_.Get(info.st_uid, info.st_gid);
    Fd tree = map < 0 ? Fd() : DetachTree(path.get(), mount.access, spec.profile, map);
    mapped = tree.valid();
    fitting.mounts.push_back(std::move(tree));
  }
  return WithinQuotas(counting_, fitting) && mapped;
}

Fitting Fitter::WithNamespaces(const RunRequest& request, const Shape& usual) {
  const BoxSpec& spec = request.spec;
  Fitting fitting;
  fitting.go.memory_by_rlimit = !ground_.cgroups;
  fitting.shape = usual;
  // Init, its program's process; every task of the box is counted in the box's own user namespace.
  if (!ground_.cgroups) fitting.go.tasks_max = spec.limits.pids + 2;
  if (spec.mounts.empty()) {
    fitting.shape.takes_mounts = false;
    fitting.shape.keeps_host_tree = false;
    fitting.shape.tmp_bytes = spec.limits.tmp_bytes;
    fitting.shape.tmp_inodes = spec.limits.tmp_inodes;
    return fitting;
  }
  fitting.go.mounts_are_fds = OpenIdMapped(spec, fitting);
  if (fitting.go.mounts_are_fds || !fitting.problem.empty()) return fitting;
  fitting.mounts.clear();
  fitting.usual = usual.keeps_host_tree;
  fitting.shape.keeps_host_tree = true;
  for (const Mount& mount : spec.mounts) {
    struct stat info {};
    if (!ground_.privileged || mount.access == Access::kReadOnly) continue;
    if (::stat(mount.host_path.c_str(), &info) != 0) continue;
    fitting.shape.uid = info.st_uid;
    fitting.shape.gid = info.st_gid;
    fitting.usual = false;
    break;
  }
  return fitting;
}

Fitting Fitter::Without(const RunRequest& request, uid_t own_user) const {
  const BoxSpec& spec = request.spec;
  Fitting fitting;
  Go& go = fitting.go;
  go.memory_by_rlimit = !ground_.cgroups;
  if (ground_.seals_users) go.uid = go.gid = own_user;
  const Fd root = HostRoot();
  for (const Mount& mount : spec.mounts) {
    struct stat info {};
    Fd path = OpenMount(root.get(), spec, mount, false, info, fitting);
    if (path.valid() && mount.host_path != mount.box_path) {
      fitting.problem = "mount `" + mount.host_path + "` cannot appear as `" + mount.box_path +
                        "` at landlock-only: give both the same path, or demand full-nocgroup";
    }
    if (!fitting.problem.empty()) return fitting;
    if (go.uid == own_user && !Reachable(mount, go.uid)) {
      if (info.st_uid == 0) {
        fitting.problem = "mount `" + mount.host_path +
                          "` is for root alone, and a box without namespaces is never root: chown "
                          "it to another user, or demand full-nocgroup";
        return fitting;
      }
      go.uid = info.st_uid;
      go.gid = info.st_gid;
    }
    fitting.mounts.push_back(std::move(path));
  }
  if (!WithinQuotas(counting_, fitting)) return fitting;
  if (!ground_.cgroups) {
    const uid_t uid = go.uid == kKeepUid ? ::geteuid() : go.uid;
    go.tasks_max = spec.limits.pids + (uid == own_user ? 0 : TasksOf(uid));
  }
  return fitting;
}

}  // namespace interlock::sandbox
