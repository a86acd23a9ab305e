// Becomes root of a user namespace that has this user's id alone and may make no further one, then
// the launcher: a container without user namespaces, without touching the machine.
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cstdio>
#include <string>

namespace {
bool Write(const char* path, const std::string& text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  const bool written =
      fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (!written) std::perror(path);
  ::close(fd);
  return written;
}
}  // namespace

int main(int, char** argv) {
  const std::string uid = std::to_string(::geteuid());
  const std::string gid = std::to_string(::getegid());
  if (::unshare(CLONE_NEWUSER) != 0) {
    std::perror("unshare");
    return 1;
  }
  if (!Write("/proc/self/setgroups", "deny") || !Write("/proc/self/uid_map", "0 " + uid + " 1\n") ||
      !Write("/proc/self/gid_map", "0 " + gid + " 1\n") ||
      !Write("/proc/sys/user/max_user_namespaces", "0")) {
    return 1;
  }
  ::execv(INTERLOCK_LAUNCHER, argv);
  std::perror("exec " INTERLOCK_LAUNCHER);
  return 1;
}
