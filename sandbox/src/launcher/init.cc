#include "init.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <span>

#include "message.h"
#include "pidfd.h"
#include "process.h"
#include "rootfs.h"
#include "worker.h"

namespace interlock::sandbox {
namespace {
constexpr std::size_t kWorkerStackBytes = 256 << 10;

std::int64_t Micros(const timeval& time) {
  return std::int64_t{time.tv_sec} * 1'000'000 + time.tv_usec;
}

bool TmpIsFull() {
  struct statfs info {};
  return ::statfs("/tmp", &info) == 0 && (info.f_bavail == 0 || info.f_ffree == 0);
}

// As pid 1, to which every orphan comes, whatever signal its end was to send.
bool NobodyIsLeft() {
  pid_t pid;
  do {
    pid = ::waitpid(-1, nullptr, WNOHANG | __WALL);
  } while (pid > 0);
  return pid < 0 && errno == ECHILD;
}

// Linux 6.11, linux/pidfd.h; kernels before have them in /proc only.
struct Space {
  unsigned long request;
  const char* path;
};
constexpr Space kSpaces[] = {{_IO(0xFF, 1), "/proc/self/ns/cgroup"},
                             {_IO(0xFF, 2), "/proc/self/ns/ipc"},
                             {_IO(0xFF, 3), "/proc/self/ns/mnt"},
                             {_IO(0xFF, 4), "/proc/self/ns/net"},
                             {_IO(0xFF, 10), "/proc/self/ns/uts"}};

// This process's namespaces. Not from /proc where that can be: what was looked up there is dropped
// when a process is reaped, and a call waits for that. None of a space that cannot be had: then it
// goes with pid 1.
std::vector<Fd> OwnSpaces() {
  const Fd self = PidfdOpen(::getpid());
  std::vector<Fd> fds;
  for (const Space& space : kSpaces) {
    Fd fd(self.valid() ? ::ioctl(self.get(), space.request, 0) : -1);
    if (!fd.valid()) fd.reset(::open(space.path, O_RDONLY | O_CLOEXEC));
    if (fd.valid()) fds.push_back(std::move(fd));
  }
  return fds;
}

// What the worker is told; left alone once it runs.
struct Start {
  WorkerSockets sockets;
  uid_t uid;
  gid_t gid;
};

struct GoMessage {
  std::vector<Fd> fds;
  Go go;
};

// One report and at most one descriptor, without the heap.
bool ReceiveReport(int socket, Report& report, int& fd) {
  iovec part{&report, sizeof report};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof fd)];
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = space;
  header.msg_controllen = sizeof space;
  const ssize_t size = ReceiveInto(socket, header, 0);
  const cmsghdr* c = size > 0 ? CMSG_FIRSTHDR(&header) : nullptr;
  if (c != nullptr && c->cmsg_type == SCM_RIGHTS) std::memcpy(&fd, CMSG_DATA(c), sizeof fd);
  return size == static_cast<ssize_t>(sizeof report);
}

class Init {
 public:
  Init(const BoxPlan& plan, const InitFds& fds)
      : plan_(plan),
        control_(fds.control),
        steps_(fds.control),
        streams_{fds.input, fds.out, fds.err},
        program_(fds.program) {}
  [[noreturn]] void Run();

 private:
  void EnterNamespaces();
  void StartWorker(uid_t uid, gid_t gid);
  [[noreturn]] void BecomeWorker();
  void TakeWorkerReady();
  void ReportReady() const;
  void TakeGo();
  void Mount(const Go& go, std::vector<Fd>& fds);
  void StartProgram(Go& go, std::vector<Fd>& fds);
  void MakeTemporaryFolder(Go& go, std::vector<Fd>& fds);
  void Serve();
  void ForgetStack();
  bool OnListener();
  bool IsNews(int number);
  void Refuse(std::uint64_t notification) const;
  bool Reap(int options);
  void ReportEnd(int status);
  [[noreturn]] void FailAndEnd(const char* step);
  void Must(bool ok, const char* step) {
    if (!ok) FailAndEnd(step);
  }
  [[noreturn]] void End();

  const BoxPlan& plan_;
  const int control_;
  const Steps steps_;
  const std::array<int, 3> streams_;
  Fd program_;  // the program's end towards the launcher
  pid_t worker_ = 0;
  Start start_{};
  void* stack_ = nullptr;  // of the worker until it execs, with its guard
  std::size_t stack_bytes_ = 0;
  Fd worker_socket_;
  Fd listener_;
  std::vector<Fd> spaces_;
  Fd children_;
  std::string temporary_folder_;
  bool listened_ = false;
  std::array<int, kRefusedMax> refused_{};  // told
  std::size_t refused_count_ = 0;
};

void Init::Run() {
  // Of the program, which inherits them: nothing is left to do about them when its call comes.
  for (int i = 0; i < 3; ++i) steps_.Must(::dup2(streams_[i], i), "dup2");
  std::vector<int> kept = plan_.cgroup_entrances;
  kept.push_back(control_);
  kept.push_back(program_.get());
  CloseAllBut(kept);
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  ::sigprocmask(SIG_SETMASK, &child, nullptr);
  children_.reset(::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
  steps_.Must(children_.get(), "signalfd");
  if (plan_.namespaces) {
    EnterNamespaces();
    BuildRoot(steps_, plan_);
    if (!plan_.takes_mounts) SealRoot(steps_, plan_);
    spaces_ = OwnSpaces();
    // First: the program of a call that came early runs as soon as its process is hardened.
    if (!plan_.takes_mounts) steps_.Must(DropCapabilities(), "drop init's capabilities");
    StartWorker(kKeepUid, kKeepUid);
    TakeWorkerReady();
  } else {
    steps_.Must(::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "become subreaper");
    steps_.Must(::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "become undumpable");
  }
  ReportReady();
  ForgetCode();
  if (plan_.takes_mounts) TakeGo();
  Serve();
  End();
}

void Init::EnterNamespaces() {
  // The launcher writes the id maps; one byte says that they are there.
  char byte;
  if (::read(control_, &byte, 1) != 1) ::_exit(1);
  if (plan_.map_written_by_launcher) {
    // Supplementary groups of the launcher; without privilege the kernel keeps them.
    steps_.Must(::syscall(SYS_setgroups, 0, nullptr), "setgroups");
  }
  steps_.Must(::setresgid(kUidInBox, kUidInBox, kUidInBox), "setresgid");
  steps_.Must(::setresuid(kUidInBox, kUidInBox, kUidInBox), "setresuid");
  // Cleared by the change of user, so set after it; a launcher that died before shows as end of
  // file.
  steps_.Must(::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "set death signal");
  steps_.Must(::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "become undumpable");
  // Slow and serialised in the kernel, so done here and not in the launcher's clone.
  steps_.Must(::unshare(CLONE_NEWNET), "unshare network namespace");
  steps_.Must(::sethostname("box", 3), "sethostname");
  DropBoundingSet();
}

// Runs in the new process.
void Init::BecomeWorker() {
  std::vector<int> kept = plan_.cgroup_entrances;
  kept.push_back(start_.sockets.init);
  kept.push_back(start_.sockets.launcher);
  CloseAllBut(kept);
  RunWorker(plan_, start_.sockets, start_.uid, start_.gid);
}

// With namespaces the worker shares this process's memory until exec, so that there is no copy to
// make, to keep and to take down while somebody waits. Two processes and one heap without locks:
// from here on this one touches its stack only, unless it knows that the worker waits for it.
void Init::StartWorker(uid_t uid, gid_t gid) {
  Fd worker_end;
  Must(MessagePair(worker_socket_, worker_end), "socketpair");
  start_ = {{worker_end.get(), program_.get()}, uid, gid};
  if (plan_.namespaces) {
    const auto guard = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    stack_bytes_ = guard + kWorkerStackBytes;
    stack_ = ::mmap(nullptr, stack_bytes_, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    Must(stack_ != MAP_FAILED, "map the program's first stack");
    // Below it lies what is this process's own.
    Must(::mprotect(stack_, guard, PROT_NONE) == 0, "guard the program's first stack");
    const auto begin = [](void* self) -> int {
      static_cast<Init*>(self)->BecomeWorker();
      return 1;
    };
    worker_ = ::clone(begin, static_cast<char*>(stack_) + stack_bytes_, CLONE_VM | SIGCHLD, this);
  } else {
    worker_ = ::fork();
    if (worker_ == 0) BecomeWorker();
  }
  Must(worker_ >= 0, "fork");
  program_.reset();
  for (const int fd : plan_.cgroup_entrances) ::close(fd);
}

void Init::TakeWorkerReady() {
  Report report;
  int listener = -1;
  if (!ReceiveReport(worker_socket_.get(), report, listener)) {
    errno = ECHILD;
    FailAndEnd("harden the program's process");
  }
  if (report.kind == ReportKind::kFailed) {
    SendReport(control_, report);
    End();
  }
  if (listener < 0) return;
  listener_.reset(listener);
  listened_ = true;
}

// The launcher gets what is slow to take down, so that it goes after the result and not with pid 1:
// the namespaces, and the listener with its filter.
void Init::ReportReady() const {
  const Report ready;
  std::array<int, std::size(kSpaces) + 1> fds;
  std::size_t count = 0;
  for (const Fd& space : spaces_) fds[count++] = space.get();
  if (plan_.namespaces && listener_.valid()) fds[count++] = listener_.get();
  SendMessage(control_, {reinterpret_cast<const char*>(&ready), sizeof ready},
              std::span(fds.data(), count), 0);
}

void Init::MakeTemporaryFolder(Go& go, std::vector<Fd>& fds) {
  char path[] = "/tmp/interlock-box-XXXXXX";
  Must(::mkdtemp(path) != nullptr, "make temporary folder");
  temporary_folder_ = path;
  if (go.uid != kKeepUid) Must(::chown(path, go.uid, go.gid) == 0, "chown temporary folder");
  fds.emplace_back(::open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
  Must(fds.back().valid(), "open temporary folder");
  go.request.spec.env.emplace_back("TMPDIR", path);
  Report temporary;
  temporary.kind = ReportKind::kTemporary;
  const int fd = fds.back().get();
  SendMessage(control_, {reinterpret_cast<const char*>(&temporary), sizeof temporary},
              std::span(&fd, 1), 0);
}

void Init::TakeGo() {
  // The worker waits until the mounts are there. Never freed: then it does not wait any more.
  auto& call = *new GoMessage;
  char room[kMessageBytesMax];
  std::string_view bytes;
  // A launcher that has gone, or does not want this box any more.
  if (ReceiveMessage(control_, room, bytes, call.fds, 0) != Received::kMessage) End();
  if (!DecodeGo(bytes, call.go)) {
    errno = EPROTO;
    steps_.Fail("read the call", "");
  }
  if (plan_.namespaces) {
    Mount(call.go, call.fds);
  } else {
    StartProgram(call.go, call.fds);
  }
}

void Init::Mount(const Go& go, std::vector<Fd>& fds) {
  AttachMounts(steps_, go, fds);
  SizeTmp(steps_, plan_, go.request.spec.limits);
  SealRoot(steps_, plan_);
  steps_.Must(DropCapabilities(), "drop init's capabilities");
  for (Fd& fd : fds) fd.reset();
  if (::send(worker_socket_.get(), "m", 1, MSG_NOSIGNAL) != 1) FailAndEnd("hand over the call");
}

void Init::StartProgram(Go& go, std::vector<Fd>& fds) {
  Fd channel;
  if (go.request.has_channel && !fds.empty()) {
    channel = std::move(fds.back());
    fds.pop_back();
  }
  MakeTemporaryFolder(go, fds);
  StartWorker(go.uid, go.gid);
  TakeWorkerReady();
  if (channel.valid()) fds.push_back(std::move(channel));
  std::vector<int> raw;
  for (const Fd& fd : fds) raw.push_back(fd.get());
  if (!SendMessage(worker_socket_.get(), EncodeGo(go), raw, 0)) FailAndEnd("hand over the call");
}

void Init::Serve() {
  worker_socket_.reset();
  for (;;) {
    pollfd events[] = {
        {control_, POLLIN, 0}, {listener_.get(), POLLIN, 0}, {children_.get(), POLLIN, 0}};
    if (::poll(events, std::size(events), -1) < 0) continue;
    // A notification before an end: the end may be its consequence.
    if ((events[1].revents & POLLIN) != 0 && OnListener()) return;
    if ((events[1].revents & (POLLHUP | POLLERR)) != 0) {
      // Nothing lives that has the filter, so the program has ended or is about to. In a box of its
      // own nobody else needs an answer meanwhile.
      if ((events[1].revents & POLLHUP) != 0) ForgetStack();
      if (plan_.namespaces && Reap(0)) return;
      listener_.reset();
    }
    if (events[2].revents != 0 && Reap(WNOHANG)) return;
    if (events[0].revents != 0) return;  // asked to end, or the launcher is gone
  }
}

// While the program dies, which takes longer: what is mapped then somebody waits for, and a memory
// that another processor has used must be told to that one. Nobody returns to this stack: who had
// the filter has left its own code for good.
void Init::ForgetStack() {
  if (stack_ != nullptr) ::munmap(stack_, stack_bytes_);
  stack_ = nullptr;
}

// True: the box ends. False also: whoever made the call was killed meanwhile, and the kernel took
// the notification back.
bool Init::OnListener() {
  // The kernel's structure may be longer than our headers' (seccomp_unotify(2)).
  alignas(8) char space[512] = {};
  if (::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_RECV, space) != 0) return false;
  const auto* notification = reinterpret_cast<const seccomp_notif*>(space);
  Report report;
  report.number = notification->data.nr;
  report.arch = notification->data.arch;
  const bool ends = EndsBox(report.number, report.arch);
  report.kind = ends ? ReportKind::kViolation : ReportKind::kRefused;
  if (ends || IsNews(report.number)) SendReport(control_, report);
  if (!ends) Refuse(notification->id);
  return ends;
}

// Each call is told once: a program that tries for ever must not flood the launcher.
bool Init::IsNews(int number) {
  const auto end = refused_.begin() + refused_count_;
  if (refused_count_ == kRefusedMax || std::find(refused_.begin(), end, number) != end)
    return false;
  refused_[refused_count_++] = number;
  return true;
}

// As the filter does where nobody listens. What is refused is judged by the filter alone, so what
// the program makes of its memory meanwhile changes nothing.
void Init::Refuse(std::uint64_t notification) const {
  alignas(8) char space[512] = {};
  auto* answer = reinterpret_cast<seccomp_notif_resp*>(space);
  answer->id = notification;
  answer->error = -EPERM;
  ::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_SEND, space);
}

// True when the program itself has ended.
bool Init::Reap(int options) {
  signalfd_siginfo drained;
  while ((options & WNOHANG) != 0 && ::read(children_.get(), &drained, sizeof drained) ==
                                         static_cast<ssize_t>(sizeof drained)) {
  }
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, options);
    if (pid <= 0) return false;
    if (pid != worker_) continue;
    ReportEnd(status);
    return true;
  }
}

void Init::ReportEnd(int status) {
  Report report;
  report.kind = ReportKind::kEnded;
  report.wait_status = status;
  report.number = listened_ ? 1 : 0;
  if (plan_.namespaces) {
    report.tmp_full = TmpIsFull() ? 1 : 0;
    report.alone = NobodyIsLeft() ? 1 : 0;
  }
  rusage used{};
  ::getrusage(RUSAGE_CHILDREN, &used);
  report.cpu_us = Micros(used.ru_utime) + Micros(used.ru_stime);
  report.rss_bytes = std::int64_t{used.ru_maxrss} * 1024;
  SendReport(control_, report);
  if (report.alone != 0) ::shutdown(control_, SHUT_WR);  // which wakes the launcher
}

// As Steps::Fail, but nothing stays: without namespaces there may be a process and a folder by now.
void Init::FailAndEnd(const char* step) {
  Report report;
  report.kind = ReportKind::kFailed;
  report.error = errno;
  std::snprintf(report.step, sizeof report.step, "%s", step);
  SendReport(control_, report);
  End();
}

void Init::End() {
  if (!plan_.namespaces) {
    EndChildren({});
    std::error_code ignored;
    if (!temporary_folder_.empty()) std::filesystem::remove_all(temporary_folder_, ignored);
  }
  ::_exit(0);
}
}  // namespace

void RunInit(const BoxPlan& plan, const InitFds& fds) {
  Init init(plan, fds);
  init.Run();
}

}  // namespace interlock::sandbox
