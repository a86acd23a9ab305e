#include "cli/eval/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <thread>

extern char** environ;

namespace interlock::runtime::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kExecFailed = 127;
constexpr std::chrono::milliseconds kWaitSlice{20};

std::vector<char*> PointersOf(const std::vector<std::string>& words) {
  std::vector<char*> out;
  for (const std::string& word : words) out.push_back(const_cast<char*>(word.c_str()));
  out.push_back(nullptr);
  return out;
}

core::Status SystemError(const std::string& what) {
  return core::Internal(what + ": " + std::strerror(errno));
}

struct Fd {
  int value = -1;
  ~Fd() { Close(); }
  void Close() {
    if (value >= 0) close(value);
    value = -1;
  }
};

core::StatusOr<pid_t> Spawn(const std::vector<std::string>& argv, const std::string& log, int out) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log.c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0600);
  pid_t pid = -1;
  const int error =
      posix_spawn(&pid, argv[0].c_str(), &actions, nullptr, PointersOf(argv).data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  errno = error;
  if (error != 0) return SystemError("cannot start `" + argv[0] + "`");
  return pid;
}

// Reads until the writer closes. False when `limit` passed first.
bool ReadAll(int fd, Clock::time_point limit, std::string& out) {
  std::array<char, 65536> buffer;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(limit - Clock::now());
    pollfd ready{fd, POLLIN, 0};
    if (left.count() <= 0 || poll(&ready, 1, static_cast<int>(left.count())) == 0) return false;
    const ssize_t n = read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return true;
    out.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

int WaitFor(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

// In the child, after fork: only calls that are safe there.
[[noreturn]] void Become(const std::vector<char*>& argv, int log, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(kExecFailed);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
  dup2(nothing, STDIN_FILENO);
  execv(argv[0], argv.data());
  _exit(kExecFailed);
}

}  // namespace

core::StatusOr<std::string> RunProgram(const std::vector<std::string>& argv, const std::string& log,
                                       std::chrono::milliseconds limit) {
  std::array<int, 2> ends{-1, -1};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return SystemError("pipe");
  Fd reader{ends[0]};
  Fd writer{ends[1]};
  INTERLOCK_ASSIGN_OR_RETURN(const pid_t pid, Spawn(argv, log, writer.value));
  writer.Close();
  std::string out;
  const bool in_time = ReadAll(reader.value, Clock::now() + limit, out);
  if (!in_time) kill(pid, SIGKILL);
  const int status = WaitFor(pid);
  if (!in_time) {
    return core::Error(core::StatusCode::kDeadlineExceeded,
                       "`" + argv[0] + "` took more than " + std::to_string(limit.count()) + " ms");
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return out;
  const std::string how = WIFEXITED(status) ? "exit " + std::to_string(WEXITSTATUS(status))
                                            : "signal " + std::to_string(WTERMSIG(status));
  return core::Internal("`" + argv[0] + "` ended with " + how + ": " + LastLine(log));
}

core::StatusOr<std::unique_ptr<Child>> Child::Start(const std::vector<std::string>& argv,
                                                    const std::string& log) {
  Fd out{open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)};
  if (out.value < 0) return SystemError("cannot write `" + log + "`");
  const std::vector<char*> pointers = PointersOf(argv);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return SystemError("fork");
  if (pid == 0) Become(pointers, out.value, parent);
  return std::unique_ptr<Child>(new Child(pid));
}

Child::~Child() { Stop(); }

bool Child::Running() {
  if (!ended_) ended_ = waitpid(pid_, nullptr, WNOHANG) == pid_;
  return !ended_;
}

void Child::Stop() {
  if (!Running()) return;
  kill(pid_, SIGTERM);
  const auto limit = Clock::now() + kStopGrace;
  while (Running() && Clock::now() < limit) std::this_thread::sleep_for(kWaitSlice);
  if (!Running()) return;
  kill(pid_, SIGKILL);
  WaitFor(pid_);
  ended_ = true;
}

std::string LastLine(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::string last;
  while (std::getline(in, line)) {
    if (!line.empty()) last = line;
  }
  return last;
}

}  // namespace interlock::runtime::cli
