// LD_PRELOAD of this library ends a process as kill -9 does, in front of a call that changes a
// file: write, ftruncate, sync, rename, unlink. Only files below $KILL_AT_WRITE_UNDER count, and
// only from the moment on that the file $KILL_AT_WRITE_ARMED is there. It holds the step to end at,
// "N CALL FILE": the Nth such call on a file of that name; any other text ends nothing. Each call
// adds its line "CALL FILE" to the file of that name with `.steps` at its end, the last one before
// it is killed.
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace {

std::string Setting(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// What the file says; empty as long as nobody has armed it.
std::string Armed(const std::string& path) {
  const int fd = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path.c_str(), O_RDONLY));
  if (fd < 0) return "";
  char text[256] = {};
  const long size = ::syscall(SYS_read, fd, text, sizeof text - 1);
  ::syscall(SYS_close, fd);
  return std::string(text, static_cast<std::size_t>(size < 0 ? 0 : size));
}

void Count(std::string_view call, std::string_view path) {
  static const std::string under = Setting("KILL_AT_WRITE_UNDER");
  static const std::string armed = Setting("KILL_AT_WRITE_ARMED");
  if (under.empty() || !path.starts_with(under)) return;
  const std::string last = Armed(armed);
  if (last.empty()) return;
  const std::string step = std::string(call) + " " + std::string(path.substr(path.rfind('/') + 1));
  static std::mutex mutex;
  static std::map<std::string, long> seen;
  const std::lock_guard lock(mutex);
  static const int fd = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, (armed + ".steps").c_str(),
                                                   O_WRONLY | O_CREAT | O_APPEND, 0600));
  ::syscall(SYS_write, fd, (step + "\n").c_str(), step.size() + 1);
  if (std::to_string(++seen[step]) + " " + step == last) ::kill(::getpid(), SIGKILL);
}

void CountFile(std::string_view call, int fd) {
  char link[32];
  char path[512];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const long size = ::syscall(SYS_readlink, link, path, sizeof path);
  if (size > 0) Count(call, {path, static_cast<std::size_t>(size)});
}

}  // namespace

extern "C" {

ssize_t write(int fd, const void* bytes, size_t size) {
  CountFile("write", fd);
  return ::syscall(SYS_write, fd, bytes, size);
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) {
  CountFile("write", fd);
  return ::syscall(SYS_pwrite64, fd, bytes, size, at);
}
ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t at) {
  return pwrite(fd, bytes, size, at);
}
int ftruncate(int fd, off_t size) noexcept {
  CountFile("truncate", fd);
  return static_cast<int>(::syscall(SYS_ftruncate, fd, size));
}
int ftruncate64(int fd, off64_t size) noexcept { return ftruncate(fd, size); }
int fsync(int fd) {
  CountFile("sync", fd);
  return static_cast<int>(::syscall(SYS_fsync, fd));
}
int fdatasync(int fd) {
  CountFile("sync", fd);
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}
int rename(const char* from, const char* to) noexcept {
  Count("rename", to);
  return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}
int unlink(const char* path) noexcept {
  Count("unlink", path);
  return static_cast<int>(::syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}
}
