#include "self_check.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace interlock::sandbox {
namespace {
class Checks {
 public:
  void That(bool holds, const char* wall) {
    if (holds) return;
    std::printf("%s\n", wall);
    status_ = 1;
  }
  // The call must have failed with one of these errors.
  void Refused(long result, int error, int other_error, const char* wall) {
    That(result < 0 && (errno == error || errno == other_error), wall);
  }
  int status() const { return status_; }

 private:
  int status_ = 0;
};

bool NoCapabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &header, data) != 0) return false;
  return (data[0].effective | data[0].permitted | data[1].effective | data[1].permitted) == 0;
}
}  // namespace

int SelfCheck(bool namespaces) {
  Checks check;
  check.That(::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1, "no_new_privs is not set");
  check.That(::prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2, "no system call filter is in force");
  check.That(NoCapabilities(), "capabilities are left");
  check.Refused(::socket(AF_INET, SOCK_STREAM, 0), EPERM, EPERM,
                "an internet socket could be made");
  check.Refused(::socket(AF_UNIX, SOCK_STREAM, 0), EPERM, EPERM, "a unix socket could be made");
  check.Refused(::unshare(CLONE_NEWUSER), EPERM, EPERM, "a user namespace could be made");
  check.Refused(::open("/etc/shadow", O_RDONLY), ENOENT, EACCES, "/etc/shadow could be opened");
  check.Refused(::open("/proc/1/environ", O_RDONLY), ENOENT, EACCES,
                "/proc/1/environ could be opened");
  check.Refused(::open("/usr/interlock-self-check", O_CREAT | O_WRONLY, 0600), EROFS, EACCES,
                "/usr could be written");
  if (namespaces) {
    check.That(::getpid() == 2, "the process numbers are not the box's own");
    check.Refused(::open("/interlock-self-check", O_CREAT | O_WRONLY, 0600), EROFS, EACCES,
                  "the root could be written");
    check.Refused(::kill(-1, 0), ESRCH, EPERM, "other processes can be reached");
  }
  if (!namespaces) {
    check.Refused(::fchmod(STDIN_FILENO, 0600), EPERM, EPERM, "a file's mode could be changed");
    check.Refused(::shmget(IPC_PRIVATE, 1, 0600), EPERM, EPERM,
                  "the host's shared memory could be used");
  }
  const int tmp = ::open(namespaces ? "/tmp/self-check" : "/dev/null", O_CREAT | O_WRONLY, 0600);
  check.That(tmp >= 0 && ::write(tmp, "x", 1) == 1, "the temporary folder cannot be written");
  return check.status();
}

}  // namespace interlock::sandbox
