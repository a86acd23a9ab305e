#include "process.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

// Of the linker, etext(3): where this program's file is mapped, and where its code ends.
extern char __executable_start;  // NOLINT(bugprone-reserved-identifier)
extern char etext;

namespace interlock::sandbox {
namespace {
std::vector<pid_t> Children() {
  char path[64];
  const auto self = static_cast<int>(::getpid());
  std::snprintf(path, sizeof path, "/proc/%d/task/%d/children", self, self);
  std::vector<pid_t> pids;
  const Fd file(::open(path, O_RDONLY | O_CLOEXEC));
  std::string text;
  char part[4096];
  for (ssize_t n; file.valid() && (n = ::read(file.get(), part, sizeof part)) > 0;) {
    text.append(part, static_cast<std::size_t>(n));
  }
  for (char* at = text.data(); *at != '\0';) {
    char* end = at;
    const long pid = std::strtol(at, &end, 10);
    if (end == at) break;
    pids.push_back(static_cast<pid_t>(pid));
    at = end + (*end == ' ' ? 1 : 0);
  }
  return pids;
}
}  // namespace

pid_t CloneProcess(std::uint64_t flags, Fd* pidfd) {
  int fd = -1;
  clone_args args{};
  args.flags = flags;
  args.exit_signal = SIGCHLD;
  if (pidfd != nullptr) {
    args.flags |= CLONE_PIDFD;
    args.pidfd = reinterpret_cast<std::uint64_t>(&fd);
  }
  const auto pid = static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
  if (pid > 0 && pidfd != nullptr) pidfd->reset(fd);
  return pid;
}

void ForgetCode() {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto first = reinterpret_cast<std::uintptr_t>(&__executable_start);
  const auto end = reinterpret_cast<std::uintptr_t>(&etext) / page * page;
  // Data begins behind the code; none of it may lie on the last page that goes.
  if (end > first) ::madvise(&__executable_start, end - first, MADV_DONTNEED);
}

UnforkedMemory::UnforkedMemory(std::size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  ::madvise(memory, bytes, MADV_DONTFORK);
  memory_ = {static_cast<char*>(memory), bytes};
}

UnforkedMemory::~UnforkedMemory() { ::munmap(memory_.data(), memory_.size()); }

void CloseAllBut(std::vector<int> kept) {
  std::sort(kept.begin(), kept.end());
  unsigned next = 3;
  for (const int fd : kept) {
    const auto number = static_cast<unsigned>(fd);
    if (number > next) ::syscall(SYS_close_range, next, number - 1, 0);
    next = std::max(next, number + 1);
  }
  ::syscall(SYS_close_range, next, ~0u, 0);
}

void EndChildren(const std::vector<pid_t>& kept) {
  for (;;) {
    bool some = false;
    for (const pid_t pid : Children()) {
      if (std::find(kept.begin(), kept.end(), pid) != kept.end()) continue;
      some = true;
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, WNOHANG);
    }
    if (!some) return;
    const timespec moment{0, 500'000};
    ::nanosleep(&moment, nullptr);
  }
}

void DropBoundingSet() {
  constexpr int kCapabilitiesMax = 63;
  for (int i = 0; i <= kCapabilitiesMax; ++i) {
    if (::prctl(PR_CAPBSET_DROP, i, 0, 0, 0) != 0 && errno == EINVAL) break;
  }
}

bool DropCapabilities() {
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  return ::syscall(SYS_capset, &header, data) == 0;
}

std::int64_t TasksOf(uid_t uid) {
  std::int64_t count = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    struct stat info {};
    const std::string tasks = entry.path().string() + "/task";
    // The link count of `task` is its threads plus two.
    if (::stat(tasks.c_str(), &info) == 0 && info.st_uid == uid && info.st_nlink > 2) {
      count += static_cast<std::int64_t>(info.st_nlink) - 2;
    }
  }
  return count;
}

std::int64_t MonotonicMicros() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

}  // namespace interlock::sandbox
