#include "program_digests.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/file_digest.h"
#include "fd.h"

namespace interlock::sandbox {
namespace {

constexpr std::size_t kKnownMax = 256;  // programs; beyond it they are read anew
// What every box shows of the host, at the same place (launcher/rootfs.cc).
constexpr std::string_view kSystemFolders[] = {"/usr/",   "/bin/",   "/sbin/",  "/lib/",
                                               "/lib32/", "/lib64/", "/libx32/"};

bool IsSystem(std::string_view path) {
  return std::any_of(std::begin(kSystemFolders), std::end(kSystemFolders),
                     [&](std::string_view folder) { return path.starts_with(folder); });
}

bool IsBelow(std::string_view path, std::string_view folder) {
  return path.starts_with(folder) &&
         (path.size() == folder.size() || path[folder.size()] == '/' || folder == "/");
}

Fd Open(const std::string& path, std::uint64_t resolve) {
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  how.resolve = resolve;
  return Fd(static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how)));
}

// The file that the box will see there. A link in a mount would lead elsewhere in the box than it
// does here; among the system's folders it leads to the same file as long as it stays there.
Fd OpenProgram(const BoxSpec& spec) {
  if (spec.argv.empty()) return Fd();
  const std::string& path = spec.argv[0];
  const Mount* nearest = nullptr;
  for (const Mount& mount : spec.mounts) {
    const bool nearer = nearest == nullptr || mount.box_path.size() >= nearest->box_path.size();
    if (IsBelow(path, mount.box_path) && nearer) nearest = &mount;
  }
  if (nearest != nullptr) {
    // What a program may write to is not the same a moment later.
    if (nearest->access == Access::kReadWrite) return Fd();
    return Open(nearest->host_path + path.substr(nearest->box_path.size()), RESOLVE_NO_SYMLINKS);
  }
  char real[PATH_MAX];
  if (!IsSystem(path) || ::realpath(path.c_str(), real) == nullptr || !IsSystem(real)) return Fd();
  return Open(real, RESOLVE_NO_SYMLINKS);
}

std::int64_t Nanos(const timespec& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; }

}  // namespace

ProgramDigests::Key ProgramDigests::KeyOf(const struct stat& file) {
  return {file.st_dev, file.st_ino, file.st_size, Nanos(file.st_mtim), Nanos(file.st_ctim)};
}

core::Digest ProgramDigests::Of(const BoxSpec& spec) {
  const Fd file = OpenProgram(spec);
  struct stat found {};
  if (!file.valid() || ::fstat(file.get(), &found) != 0 || !S_ISREG(found.st_mode)) return {};
  if (found.st_size > kProgramBytesMax) return {};
  const Key key = KeyOf(found);
  {
    const std::lock_guard lock(mutex_);
    const auto at = known_.find(key);
    if (at != known_.end()) return at->second;
  }
  const auto digest = core::Sha256OfFile(file.get(), kProgramBytesMax);
  // Who writes to it meanwhile has no digest: it may be of no file that ever was.
  if (!digest.ok() || ::fstat(file.get(), &found) != 0 || KeyOf(found) != key) return {};
  const std::lock_guard lock(mutex_);
  if (known_.size() >= kKnownMax) known_.clear();
  known_.emplace(key, *digest);
  return *digest;
}

}  // namespace interlock::sandbox
