#include "landlock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace interlock::sandbox {
namespace {
enum : std::uint64_t {
  kExecute = 1u << 0,
  kWriteFile = 1u << 1,
  kReadFile = 1u << 2,
  kReadDir = 1u << 3,
  kRefer = 1u << 13,
  kTruncate = 1u << 14,
  kIoctlDev = 1u << 15,
  kAllFs = (1u << 16) - 1,
  kMakeChar = 1u << 6,
  kMakeBlock = 1u << 11,
  kTcp = 3,
  kScopes = 3,
};

struct RulesetAttr {
  std::uint64_t handled_access_fs;
  std::uint64_t handled_access_net;
  std::uint64_t scoped;
};
struct __attribute__((packed)) PathBeneathAttr {
  std::uint64_t allowed_access;
  std::int32_t parent_fd;
};
constexpr int kRulePathBeneath = 1;
constexpr unsigned kVersionFlag = 1;

std::uint64_t FsRights(int abi) {
  std::uint64_t rights = kAllFs;
  if (abi < 5) rights &= ~std::uint64_t{kIoctlDev};
  if (abi < 3) rights &= ~std::uint64_t{kTruncate};
  if (abi < 2) rights &= ~std::uint64_t{kRefer};
  return rights;
}

std::uint64_t RightsOf(FileRight right) {
  constexpr std::uint64_t kReading = kReadFile | kReadDir;
  constexpr std::uint64_t kWriting = kAllFs & ~(kExecute | kIoctlDev | kMakeChar | kMakeBlock);
  switch (right) {
    case FileRight::kRead:
      return kReading;
    case FileRight::kReadExecute:
      return kReading | kExecute;
    case FileRight::kReadWrite:
      return kWriting;
    case FileRight::kReadWriteExecute:
      return kWriting | kExecute;
    case FileRight::kDevice:
      return kReadFile | kWriteFile | kTruncate;
  }
  return 0;
}
}  // namespace

int LandlockAbi() {
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, kVersionFlag);
  return abi < 0 ? 0 : static_cast<int>(abi);
}

bool Landlock::Create(int abi) {
  handled_ = FsRights(abi);
  const RulesetAttr attr{handled_, abi >= 4 ? std::uint64_t{kTcp} : 0,
                         abi >= kLandlockAbiScopes ? std::uint64_t{kScopes} : 0};
  // An older kernel takes the part of the structure that it knows.
  const std::size_t size = abi >= kLandlockAbiScopes ? sizeof attr : abi >= 4 ? 16 : 8;
  ruleset_.reset(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attr, size, 0)));
  return ruleset_.valid();
}

bool Landlock::Allow(int path_fd, FileRight right) const {
  struct stat info {};
  if (::fstat(path_fd, &info) != 0) return false;
  std::uint64_t rights = RightsOf(right) & handled_;
  // Rights that speak of a folder are refused on a file.
  if (!S_ISDIR(info.st_mode)) rights &= kExecute | kWriteFile | kReadFile | kTruncate | kIoctlDev;
  const PathBeneathAttr attr{rights, path_fd};
  return ::syscall(SYS_landlock_add_rule, ruleset_.get(), kRulePathBeneath, &attr, 0) == 0;
}

bool Landlock::AllowPath(const char* path, FileRight right) const {
  const Fd fd(::open(path, O_PATH | O_CLOEXEC));
  if (!fd.valid()) return errno == ENOENT || errno == EACCES;
  return Allow(fd.get(), right);
}

bool Landlock::Enforce() const {
  return ::syscall(SYS_landlock_restrict_self, ruleset_.get(), 0) == 0;
}

}  // namespace interlock::sandbox
