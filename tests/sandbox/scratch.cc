// sandbox_scratch FOLDER PROGRAM [ARGS…]: runs a hostile program as root with every right, in a
// tree and in namespaces that are thrown away, and without any wall of a box. What a payload does
// here shows that it works: where a box refuses it, the box does. FOLDER is there at its own path.
// Exit 2: could not be set up.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace {
namespace fs = std::filesystem;
constexpr const char* kRoot = "/mnt";

void Must(bool ok, const char* what) {
  if (ok) return;
  std::perror(what);
  std::_Exit(2);
}

void Bind(const std::string& path) {
  const std::string target = kRoot + path;
  fs::create_directories(target);
  Must(::mount(path.c_str(), target.c_str(), nullptr, MS_BIND | MS_REC, nullptr) == 0, "bind");
}

void BuildTree(const std::string& folder) {
  Must(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "make private");
  Must(::mount("scratch", kRoot, "tmpfs", 0, "size=64m") == 0, "mount tmpfs");
  for (const char* name : {"/usr/bin", "/etc", "/tmp", "/proc"}) {
    fs::create_directories(std::string(kRoot) + name);
  }
  for (const char* name : {"/usr/bin/env", "/etc/shadow"}) {
    std::ofstream(std::string(kRoot) + name) << "scratch\n";
  }
  Bind("/dev");
  Bind(folder);
  // Not chroot, in which no user namespace may be made. pivot_root(2): the old root lies on the
  // new.
  Must(::chdir(kRoot) == 0 && ::syscall(SYS_pivot_root, ".", ".") == 0 &&
           ::umount2(".", MNT_DETACH) == 0 && ::chdir("/") == 0,
       "pivot_root");
  Must(::mount("proc", "/proc", "proc", 0, nullptr) == 0, "mount proc");
}
}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  constexpr int kSpaces =
      CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP;
  Must(::unshare(kSpaces) == 0, "unshare");
  const pid_t init = ::fork();
  if (init == 0) {
    BuildTree(argv[1]);
    // What a careless parent leaves behind.
    int left[2];
    Must(::socketpair(AF_UNIX, SOCK_STREAM, 0, left) == 0, "socketpair");
    const pid_t program = ::fork();
    if (program == 0) {
      ::setsid();
      ::execv(argv[2], argv + 2);
      std::_Exit(2);
    }
    int status = 0;
    ::waitpid(program, &status, 0);
    std::_Exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
  }
  int status = 0;
  Must(init > 0 && ::waitpid(init, &status, 0) == init, "wait");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
