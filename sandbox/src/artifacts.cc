#include "sandbox/artifacts.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "fd.h"

namespace interlock::sandbox {
namespace {

struct CloseDir {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

Fd OpenBeneath(int folder, const std::string& path, std::uint64_t flags) {
  open_how how{};
  // O_NONBLOCK: a pipe that nobody writes to must not hold us.
  how.flags = flags | O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  return Fd(static_cast<int>(::syscall(SYS_openat2, folder, path.c_str(), &how, sizeof how)));
}

bool IsPlain(std::string_view path) {
  if (path.empty() || path.front() == '/' || path.find('\0') != std::string_view::npos)
    return false;
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  }
  return true;
}

class Collector {
 public:
  Collector(int folder, const ArtifactLimits& limits) : folder_(folder), limits_(limits) {}

  void Take(const std::string& path) {
    const Fd file = OpenBeneath(folder_, path, 0);
    if (!file.valid()) return Skip(path, std::strerror(errno));
    struct stat info {};
    if (::fstat(file.get(), &info) != 0) return Skip(path, std::strerror(errno));
    if (!S_ISREG(info.st_mode)) return Skip(path, "not a regular file");
    if (info.st_nlink != 1) return Skip(path, "it has another name");
    const auto size = static_cast<std::size_t>(info.st_size);
    const std::size_t room = std::min(limits_.file_bytes_max, limits_.bytes_max - bytes_);
    if (size > room) return Skip(path, "larger than " + std::to_string(room) + " bytes");
    if (artifacts_.taken.size() >= limits_.files_max) return Skip(path, "too many files");
    Artifact artifact{.path = path, .bytes = {}};
    if (!Read(file.get(), size, artifact.bytes)) return Skip(path, "it changed while it was read");
    artifact.digest = core::Sha256(artifact.bytes);
    bytes_ += artifact.bytes.size();
    artifacts_.taken.push_back(std::move(artifact));
  }

  void TakeFolder(const std::string& path) {
    Fd folder = OpenBeneath(folder_, path, O_DIRECTORY);
    const std::unique_ptr<DIR, CloseDir> open(folder.valid() ? ::fdopendir(folder.get()) : nullptr);
    if (open == nullptr) return Skip(path + "/", std::strerror(errno));
    (void)folder.release();  // the stream owns it
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(open.get())) {
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      // One more than may be taken is enough to say so.
      if (names.size() > limits_.files_max) break;
      names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) Take(path + "/" + name);
  }

  Artifacts&& artifacts() { return std::move(artifacts_); }

 private:
  void Skip(const std::string& path, std::string why) {
    artifacts_.skipped.push_back({path, std::move(why)});
  }

  // Exactly `size` bytes and then the end: whoever writes meanwhile makes it no artifact.
  static bool Read(int file, std::size_t size, std::string& bytes) {
    bytes.resize(size + 1);
    std::size_t at = 0;
    while (at < bytes.size()) {
      const ssize_t got = ::read(file, bytes.data() + at, bytes.size() - at);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      at += static_cast<std::size_t>(got);
    }
    if (at != size) return false;
    bytes.resize(size);
    return true;
  }

  const int folder_;
  const ArtifactLimits& limits_;
  std::size_t bytes_ = 0;
  Artifacts artifacts_;
};

}  // namespace

core::StatusOr<Artifacts> CollectArtifacts(const std::string& folder,
                                           const std::vector<std::string>& names,
                                           const ArtifactLimits& limits) {
  for (const std::string& name : names) {
    const std::string_view plain =
        name.ends_with('/') ? std::string_view(name).substr(0, name.size() - 1) : name;
    if (!IsPlain(plain)) {
      return core::InvalidArgument("artifact `" + name + "` is not a plain relative path");
    }
  }
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const Fd root(
      static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, folder.c_str(), &how, sizeof how)));
  if (!root.valid()) {
    return core::Unavailable("open `" + folder + "`: " + std::strerror(errno));
  }
  Collector collector(root.get(), limits);
  for (const std::string& name : names) {
    if (name.ends_with('/')) {
      collector.TakeFolder(name.substr(0, name.size() - 1));
    } else {
      collector.Take(name);
    }
  }
  return collector.artifacts();
}

}  // namespace interlock::sandbox
