#include "folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <thread>

namespace interlock::audit {
namespace {

std::string HolderOf(int fd) {
  std::array<char, 32> text{};
  const ssize_t n = ::pread(fd, text.data(), text.size(), 0);
  std::string pid(text.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
  if (const std::size_t end = pid.find('\n'); end != std::string::npos) pid.resize(end);
  return pid.empty() ? "unknown" : pid;
}

// A verifier that looks whether the lock is taken holds it for some microseconds itself.
bool LockSoon(int fd) {
  for (int tries = 0; tries < 5; ++tries) {
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return false;
}

}  // namespace

bool FolderLock::IsTaken(const std::string& folder) {
  const std::string path = folder + "/lock";
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return false;
  return ::flock(fd.get(), LOCK_SH | LOCK_NB) != 0;  // closing lets go
}

bool FolderLock::CanBeSeen(const std::string& folder) {
  const std::string path = folder + "/lock";
  return ::access(path.c_str(), F_OK) != 0 || ::access(path.c_str(), R_OK) == 0;
}

core::StatusOr<FolderLock> FolderLock::Take(const std::string& folder) {
  const std::string path = folder + "/lock";
  FolderLock lock;
  lock.fd_ = UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock.fd_.valid()) return ErrnoStatus("cannot open", path);
  if (!LockSoon(lock.fd_.get())) {
    return core::FailedPrecondition("`" + folder + "` is in use by process " +
                                    HolderOf(lock.fd_.get()) + "; one process a folder");
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock.fd_.get(), 0) != 0 ||
      ::pwrite(lock.fd_.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return ErrnoStatus("cannot write", path);
  }
  return lock;
}

}  // namespace interlock::audit
