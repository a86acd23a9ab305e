#include "rootfs.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <numeric>

#include "mounts.h"

namespace interlock::sandbox {
namespace {
constexpr const char* kSystemFolders[] = {"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"};
constexpr const char* kSystemFiles[] = {"etc/alternatives", "etc/ld.so.cache", "etc/localtime"};
constexpr const char* kDevices[] = {"null", "zero", "full", "random", "urandom"};
constexpr const char* kRootOptions = "size=1m,nr_inodes=2048,mode=0755";

struct SmallFile {
  const char* path;
  const char* text;
};
constexpr SmallFile kEtc[] = {
    {"etc/passwd",
     "box:x:1000:1000:box:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"},
    {"etc/group", "box:x:1000:\nnogroup:x:65534:\n"},
    {"etc/hosts", "127.0.0.1 localhost\n"},
    {"etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"},
};

void MakeFile(const Steps& steps, const char* path, std::string_view text) {
  const Fd file(::open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
  steps.Must(file.get(), "create", path);
  steps.Must(::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()),
             "write", path);
}

// Copies the tree at host path `/name` to `name` below the current folder, read-only.
void BindReadOnly(const Steps& steps, const char* name, std::uint64_t extra_attributes) {
  const std::string host = std::string("/") + name;
  const Fd tree(
      ::open_tree(AT_FDCWD, host.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
  steps.Must(tree.get(), "open_tree", host.c_str());
  mount_attr attr{};
  attr.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | extra_attributes;
  steps.Must(::mount_setattr(tree.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr),
             "mount_setattr", host.c_str());
  steps.Must(::move_mount(tree.get(), "", AT_FDCWD, name, MOVE_MOUNT_F_EMPTY_PATH), "move_mount",
             host.c_str());
}

// /bin and friends are links on a merged-/usr system, folders on others.
void AddSystemFolder(const Steps& steps, const char* name) {
  const std::string host = std::string("/") + name;
  struct stat info {};
  if (::lstat(host.c_str(), &info) != 0) return;
  if (S_ISLNK(info.st_mode)) {
    char target[256];
    const ssize_t size = ::readlink(host.c_str(), target, sizeof target - 1);
    if (size <= 0) return;
    target[size] = '\0';
    steps.Must(::symlink(target, name), "symlink", name);
    return;
  }
  steps.Must(::mkdir(name, 0755), "mkdir", name);
  BindReadOnly(steps, name, MOUNT_ATTR_NODEV);
}

void AddEtc(const Steps& steps) {
  steps.Must(::mkdir("etc", 0755), "mkdir", "etc");
  for (const SmallFile& file : kEtc) MakeFile(steps, file.path, file.text);
  for (const char* name : kSystemFiles) {
    struct stat info {};
    const std::string host = std::string("/") + name;
    if (::stat(host.c_str(), &info) != 0) continue;
    if (S_ISDIR(info.st_mode)) {
      steps.Must(::mkdir(name, 0755), "mkdir", name);
    } else {
      MakeFile(steps, name, "");
    }
    BindReadOnly(steps, name, MOUNT_ATTR_NODEV);
  }
}

void AddDevices(const Steps& steps) {
  steps.Must(::mkdir("dev", 0755), "mkdir", "dev");
  for (const char* device : kDevices) {
    const std::string name = std::string("dev/") + device;
    MakeFile(steps, name.c_str(), "");
    const std::string host = "/" + name;
    const Fd tree(::open_tree(AT_FDCWD, host.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    steps.Must(tree.get(), "open_tree", host.c_str());
    steps.Must(::move_mount(tree.get(), "", AT_FDCWD, name.c_str(), MOVE_MOUNT_F_EMPTY_PATH),
               "move_mount", host.c_str());
  }
  steps.Must(::symlink("/proc/self/fd", "dev/fd"), "symlink dev/fd");
  steps.Must(::symlink("/proc/self/fd/0", "dev/stdin"), "symlink dev/stdin");
  steps.Must(::symlink("/proc/self/fd/1", "dev/stdout"), "symlink dev/stdout");
  steps.Must(::symlink("/proc/self/fd/2", "dev/stderr"), "symlink dev/stderr");
  steps.Must(::symlink("/tmp", "dev/shm"), "symlink dev/shm");
}

unsigned long TmpFlags(Profile profile) {
  const unsigned long exec =
      profile == Profile::kShell ? 0ul : static_cast<unsigned long>(MS_NOEXEC);
  return MS_NOSUID | MS_NODEV | exec;
}

std::string TmpOptions(std::int64_t bytes, std::int64_t inodes) {
  return "mode=1777,size=" + std::to_string(bytes) + ",nr_inodes=" + std::to_string(inodes);
}

// A container whose own /proc is masked may not mount a new one: then the box has an empty /proc,
// which ordinary programs bear.
void AddProc(const Steps& steps) {
  steps.Must(::mkdir("proc", 0555), "mkdir", "proc");
  const int mounted = ::mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                              "subset=pid,hidepid=invisible");
  if (mounted != 0 && errno != EPERM) steps.Fail("mount", "proc");
}

// The target of a mount, made where it is missing. Never through a link: a mount made before may
// hold a hostile tree.
Fd MakeTarget(const Steps& steps, const std::string& path, bool folder) {
  const Fd root(::open("/", O_PATH | O_CLOEXEC));
  for (std::size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
    const bool last = at == std::string::npos;
    const std::string part = path.substr(0, at);
    Fd found = OpenPath(root.get(), part);
    if (!found.valid() && errno == ENOENT) {
      if (last && !folder) {
        MakeFile(steps, part.c_str(), "");
      } else {
        steps.Must(::mkdir(part.c_str(), 0755), "mkdir", part.c_str());
      }
      found = OpenPath(root.get(), part);
    }
    steps.Must(found.get(), "open mount target", part.c_str());
    if (last) return found;
  }
}

Fd TreeOf(const Steps& steps, const Go& go, const std::vector<Fd>& fds, std::size_t index,
          int host_root) {
  const Mount& mount = go.request.spec.mounts[index];
  if (go.mounts_are_fds) return Fd(::dup(fds[index].get()));
  const Fd path = OpenPath(host_root, mount.host_path);
  steps.Must(path.get(), "open mount source", mount.host_path.c_str());
  return DetachTree(path.get(), mount.access, go.request.spec.profile, -1);
}
void ReleaseHostTree(const Steps& steps) {
  steps.Must(::umount2(kHostTree, MNT_DETACH), "release the host's tree");
  steps.Must(::rmdir(kHostTree), "rmdir", kHostTree);
}
}  // namespace

void BuildRoot(const Steps& steps, const BoxPlan& plan) {
  ::umask(0);
  steps.Must(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "make mounts private");
  steps.Must(::mount("box", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, kRootOptions),
             "mount root tmpfs");
  steps.Must(::chdir("/tmp"), "chdir to new root");
  for (const char* name : kSystemFolders) AddSystemFolder(steps, name);
  AddEtc(steps);
  AddDevices(steps);
  steps.Must(::mkdir("tmp", 01777), "mkdir", "tmp");
  steps.Must(::mount("tmp", "tmp", "tmpfs", TmpFlags(plan.profile),
                     TmpOptions(plan.tmp_bytes, plan.tmp_inodes).c_str()),
             "mount", "tmp");
  AddProc(steps);
  steps.Must(::mkdir(kHostTree + 1, 0700), "mkdir", kHostTree);
  steps.Must(::syscall(SYS_pivot_root, ".", kHostTree + 1), "pivot_root");
  steps.Must(::chdir("/"), "chdir", "/");
  // The kernel waits for a grace period here: off the call's path wherever that can be.
  if (!plan.keeps_host_tree) ReleaseHostTree(steps);
  ::umask(022);
}

void AttachMounts(const Steps& steps, const Go& go, const std::vector<Fd>& fds) {
  const std::vector<Mount>& mounts = go.request.spec.mounts;
  std::vector<std::size_t> order(mounts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  // Parents before what lies in them.
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return mounts[a].box_path < mounts[b].box_path; });
  if (mounts.empty()) return;
  const Fd host_root(::open(kHostTree, O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (const std::size_t i : order) {
    const Fd tree = TreeOf(steps, go, fds, i, host_root.get());
    steps.Must(tree.get(), "prepare mount", mounts[i].host_path.c_str());
    struct stat info {};
    steps.Must(::fstat(tree.get(), &info), "stat mount", mounts[i].host_path.c_str());
    const Fd target = MakeTarget(steps, mounts[i].box_path, S_ISDIR(info.st_mode));
    steps.Must(::move_mount(tree.get(), "", target.get(), "",
                            MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH),
               "attach mount", mounts[i].box_path.c_str());
  }
}

void SizeTmp(const Steps& steps, const BoxPlan& plan, const Limits& limits) {
  if (limits.tmp_bytes == plan.tmp_bytes && limits.tmp_inodes == plan.tmp_inodes) return;
  const unsigned long flags = MS_REMOUNT | TmpFlags(plan.profile);
  const std::string options = TmpOptions(limits.tmp_bytes, limits.tmp_inodes);
  steps.Must(::mount(nullptr, "/tmp", nullptr, flags, options.c_str()), "size /tmp");
}

void SealRoot(const Steps& steps, const BoxPlan& plan) {
  if (plan.keeps_host_tree) ReleaseHostTree(steps);
  mount_attr attr{};
  attr.attr_set = MOUNT_ATTR_RDONLY;
  steps.Must(::mount_setattr(AT_FDCWD, "/", 0, &attr, sizeof attr), "make the root read-only");
}

}  // namespace interlock::sandbox
