#include "mounts.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "plan.h"
#include "process.h"

namespace interlock::sandbox {
namespace {
constexpr std::size_t kIdMapsMax = 256;

bool WriteOnce(const char* path, std::string_view text) {
  const Fd file(::open(path, O_WRONLY | O_CLOEXEC));
  return file.valid() &&
         ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

bool WriteMap(pid_t pid, const char* name, unsigned inside, unsigned outside) {
  char path[64];
  char line[64];
  std::snprintf(path, sizeof path, "/proc/%d/%s", static_cast<int>(pid), name);
  std::snprintf(line, sizeof line, "%u %u 1\n", inside, outside);
  return WriteOnce(path, line);
}
}  // namespace

Fd OpenPath(int root_fd, const std::string& absolute_path) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_BENEATH;
  const char* relative = absolute_path.c_str() + 1;
  return Fd(static_cast<int>(
      ::syscall(SYS_openat2, root_fd, *relative == '\0' ? "." : relative, &how, sizeof how)));
}

Fd DetachTree(int path_fd, Access access, Profile profile, int idmap) {
  Fd tree(
      ::open_tree(path_fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
  if (!tree.valid()) return tree;
  mount_attr attr{};
  attr.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  if (access == Access::kReadOnly) {
    attr.attr_set |= MOUNT_ATTR_RDONLY;
  } else if (profile != Profile::kShell) {
    attr.attr_set |= MOUNT_ATTR_NOEXEC;  // what a program may write, it may not run
  }
  if (idmap >= 0) {
    attr.attr_set |= MOUNT_ATTR_IDMAP;
    attr.userns_fd = static_cast<std::uint64_t>(idmap);
  }
  if (::mount_setattr(tree.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr) != 0) {
    const int error = errno;
    tree.reset();
    errno = error;
  }
  return tree;
}

int IdMaps::Get(uid_t uid, gid_t gid) {
  if (const auto found = maps_.find({uid, gid}); found != maps_.end()) return found->second.get();
  if (maps_.size() >= kIdMapsMax) maps_.clear();
  // A namespace lives as long as a descriptor of it: the process is only needed to be mapped.
  const pid_t child = CloneProcess(CLONE_NEWUSER, nullptr);
  if (child == 0) {
    for (;;) ::pause();
  }
  if (child < 0) return -1;
  Fd space;
  if (WriteIdMaps(child, uid, kUidOutside, gid, kUidOutside, true)) {
    char path[64];
    std::snprintf(path, sizeof path, "/proc/%d/ns/user", static_cast<int>(child));
    space.reset(::open(path, O_RDONLY | O_CLOEXEC));
  }
  const int error = errno;
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  errno = error;
  if (!space.valid()) return -1;
  return maps_.emplace(std::pair(uid, gid), std::move(space)).first->second.get();
}

bool WriteIdMaps(pid_t pid, uid_t inside_uid, uid_t outside_uid, gid_t inside_gid,
                 gid_t outside_gid, bool privileged) {
  if (!privileged) {
    char path[64];
    std::snprintf(path, sizeof path, "/proc/%d/setgroups", static_cast<int>(pid));
    if (!WriteOnce(path, "deny")) return false;  // user_namespaces(7): before gid_map
  }
  return WriteMap(pid, "uid_map", inside_uid, outside_uid) &&
         WriteMap(pid, "gid_map", inside_gid, outside_gid);
}

}  // namespace interlock::sandbox
