#include "quota.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "fd.h"
#include "process.h"

namespace interlock::sandbox {
namespace {

constexpr std::int64_t kBlockBytes = 512;  // of st_blocks, stat(2)

struct CloseDir {
  void operator()(DIR* folder) const { ::closedir(folder); }
};
using Dir = std::unique_ptr<DIR, CloseDir>;

Dir OpenFolder(int at, const char* name) {
  Fd fd(::openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  Dir open(fd.valid() ? ::fdopendir(fd.get()) : nullptr);
  if (open != nullptr) (void)fd.release();  // the stream owns it
  return open;
}

bool Beyond(const FolderUse& use, const Quota& quota) {
  return use.bytes > quota.bytes || use.files > quota.files;
}

// Of this thread.
std::int64_t CpuMicros() {
  timespec spent{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
  return std::int64_t{spent.tv_sec} * 1'000'000 + spent.tv_nsec / 1000;
}

bool IsDots(const char* name) {
  return std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0;
}

std::string OverQuota(const WritableFolder& folder, CountBudget& budget) {
  const std::int64_t before = CpuMicros();
  std::string problem;
  const Quota& quota = folder.quota;
  const FolderUse use = CountFolder(folder.fd.get(), quota, problem);
  budget.Spend(MonotonicMicros(), CpuMicros() - before);
  if (!problem.empty()) return "`" + folder.path + "` cannot be counted: " + problem;
  if (!Beyond(use, quota)) return "";
  const bool bytes = use.bytes > quota.bytes;
  return "`" + folder.path + "` holds more than its quota of " +
         std::to_string(bytes ? quota.bytes : quota.files) + (bytes ? " bytes" : " files");
}

}  // namespace

FolderUse CountFolder(int folder, const Quota& quota, std::string& problem) {
  FolderUse use;
  struct stat root {};
  std::vector<Dir> open;  // the way down to where we are
  open.push_back(OpenFolder(folder, "."));
  if (open.back() == nullptr || ::fstat(::dirfd(open.back().get()), &root) != 0) {
    problem = std::strerror(errno);
    return use;
  }
  while (!open.empty() && !Beyond(use, quota)) {
    const int at = ::dirfd(open.back().get());
    const dirent* entry = ::readdir(open.back().get());
    if (entry == nullptr) {
      open.pop_back();
      continue;
    }
    struct stat info {};
    if (IsDots(entry->d_name)) continue;
    ++use.files;  // also when it goes: who makes and removes names must not keep us here
    if (::fstatat(at, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (info.st_dev != root.st_dev) continue;
    use.bytes += std::int64_t{info.st_blocks} * kBlockBytes;
    if (!S_ISDIR(info.st_mode)) continue;
    if (open.size() >= kQuotaDepthMax) {
      problem = "its folders are nested too deep";
      return use;
    }
    Dir next = OpenFolder(at, entry->d_name);
    if (next != nullptr) {
      open.push_back(std::move(next));
    } else if (errno != ENOENT && errno != ENOTDIR) {
      problem = std::string("a folder in it: ") + std::strerror(errno);
      return use;
    }
  }
  return use;
}

std::string OverQuotas(const std::vector<WritableFolder>& folders, CountBudget& budget) {
  if (!budget.Allows(MonotonicMicros())) return "";
  for (const WritableFolder& folder : folders) {
    if (folder.quota.bytes == 0) continue;
    std::string line = OverQuota(folder, budget);
    if (!line.empty()) return line;
  }
  return "";
}

}  // namespace interlock::sandbox
