#include "init.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <span>

#include "message.h"
#include "process.h"
#include "rootfs.h"
#include "worker.h"

namespace interlock::sandbox {
namespace {
std::int64_t Micros(const timeval& time) {
  return std::int64_t{time.tv_sec} * 1'000'000 + time.tv_usec;
}

bool TmpIsFull() {
  struct statfs info {};
  return ::statfs("/tmp", &info) == 0 && (info.f_bavail == 0 || info.f_ffree == 0);
}

class Init {
 public:
  Init(const BoxPlan& plan, int control) : plan_(plan), control_(control), steps_(control) {}
  [[noreturn]] void Run();

 private:
  void EnterNamespaces();
  void StartWorker(uid_t uid, gid_t gid);
  void TakeWorkerReady();
  void ReportReady() const;
  void TakeGo();
  void MakeTemporaryFolder(Go& go, std::vector<Fd>& fds);
  void Serve();
  void OnWorkerSocket();
  bool OnListener();
  bool OnChild();
  [[noreturn]] void FailAndEnd(const char* step);
  void Must(bool ok, const char* step) {
    if (!ok) FailAndEnd(step);
  }
  [[noreturn]] void End();

  const BoxPlan& plan_;
  const int control_;
  const Steps steps_;
  pid_t worker_ = 0;
  Fd worker_socket_;
  Fd listener_;
  Fd children_;
  std::string temporary_folder_;
  bool listened_ = false;
  bool failed_ = false;
};

void Init::Run() {
  std::vector<int> kept = plan_.cgroup_entrances;
  kept.push_back(control_);
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
    StartWorker(kKeepUid, kKeepUid);
    TakeWorkerReady();
  } else {
    steps_.Must(::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "become subreaper");
    steps_.Must(::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "become undumpable");
  }
  ReportReady();
  ForgetCode();
  TakeGo();
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

void Init::StartWorker(uid_t uid, gid_t gid) {
  Fd worker_end;
  Must(MessagePair(worker_socket_, worker_end), "socketpair");
  worker_ = ::fork();
  Must(worker_ >= 0, "fork");
  if (worker_ == 0) {
    std::vector<int> kept = plan_.cgroup_entrances;
    kept.push_back(worker_end.get());
    CloseAllBut(kept);
    RunWorker(plan_, worker_end.get(), uid, gid);
  }
  for (const int fd : plan_.cgroup_entrances) ::close(fd);
}

void Init::TakeWorkerReady() {
  std::string bytes;
  std::vector<Fd> fds;
  const Received got = ReceiveMessage(worker_socket_.get(), bytes, fds, 0);
  Report report;
  if (got != Received::kMessage || bytes.size() != sizeof report) {
    errno = ECHILD;
    FailAndEnd("harden the program's process");
  }
  bytes.copy(reinterpret_cast<char*>(&report), sizeof report);
  if (report.kind == ReportKind::kFailed) {
    SendReport(control_, report);
    failed_ = true;
    End();
  }
  if (fds.empty()) return;
  listener_ = std::move(fds[0]);
  listened_ = true;
}

void Init::ReportReady() const {
  Report ready;
  const std::string_view bytes(reinterpret_cast<const char*>(&ready), sizeof ready);
  // Absent in a box without /proc: then its mounts go with pid 1.
  const Fd mounts(plan_.namespaces ? ::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC) : -1);
  const int fd = mounts.get();
  SendMessage(control_, bytes, mounts.valid() ? std::span(&fd, 1) : std::span<const int>(), 0);
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
  std::string bytes;
  std::vector<Fd> fds;
  // A launcher that has gone, or does not want this box any more.
  if (ReceiveMessage(control_, bytes, fds, 0) != Received::kMessage) End();
  Go go;
  if (!DecodeGo(bytes, go) || fds.size() < 3) {
    errno = EPROTO;
    steps_.Fail("read the call", "");
  }
  Fd channel;
  if (go.request.has_channel && fds.size() > 3) {
    channel = std::move(fds.back());
    fds.pop_back();
  }
  if (plan_.namespaces) {
    AttachMounts(steps_, go, fds);
    SealRoot(steps_, plan_, go);
    steps_.Must(DropCapabilities(), "drop init's capabilities");
    fds.erase(fds.begin() + 3, fds.end());
  } else {
    MakeTemporaryFolder(go, fds);
    StartWorker(go.uid, go.gid);
    TakeWorkerReady();
    bytes = EncodeGo(go);
  }
  if (channel.valid()) fds.push_back(std::move(channel));
  std::vector<int> raw;
  for (const Fd& fd : fds) raw.push_back(fd.get());
  if (!SendMessage(worker_socket_.get(), bytes, raw, 0)) FailAndEnd("hand over the call");
}

void Init::Serve() {
  for (;;) {
    pollfd events[] = {{control_, POLLIN, 0},
                       {worker_socket_.get(), POLLIN, 0},
                       {listener_.get(), POLLIN, 0},
                       {children_.get(), POLLIN, 0}};
    if (::poll(events, std::size(events), -1) < 0) continue;
    if (events[1].revents != 0) OnWorkerSocket();
    // A notification before an end: the end may be its consequence.
    if ((events[2].revents & POLLIN) != 0 && OnListener()) return;
    if ((events[2].revents & (POLLHUP | POLLERR)) != 0) listener_.reset();
    if (events[3].revents != 0 && OnChild()) return;
    if (events[0].revents != 0) return;  // asked to end, or the launcher is gone
  }
}

void Init::OnWorkerSocket() {
  std::string bytes;
  std::vector<Fd> fds;
  Report report;
  report.kind = ReportKind::kStarted;
  const Received got = ReceiveMessage(worker_socket_.get(), bytes, fds, 0);
  if (got == Received::kMessage && bytes.size() == sizeof report) {
    bytes.copy(reinterpret_cast<char*>(&report), sizeof report);
    failed_ = true;
  }
  SendReport(control_, report);
  worker_socket_.reset();
}

// False: whoever made the call was killed meanwhile, and the kernel took the notification back.
bool Init::OnListener() {
  // The kernel's structure may be longer than our headers' (seccomp_unotify(2)).
  alignas(8) char space[512] = {};
  if (::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_RECV, space) != 0) return false;
  const auto* notification = reinterpret_cast<const seccomp_notif*>(space);
  Report report;
  report.kind = ReportKind::kViolation;
  report.number = notification->data.nr;
  report.arch = notification->data.arch;
  SendReport(control_, report);
  return true;
}

// Reaps; true when the program itself has ended.
bool Init::OnChild() {
  signalfd_siginfo drained;
  while (::read(children_.get(), &drained, sizeof drained) ==
         static_cast<ssize_t>(sizeof drained)) {
  }
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return false;
    if (pid != worker_) continue;
    if (worker_socket_.valid()) OnWorkerSocket();
    if (failed_) return true;
    rusage used{};
    ::getrusage(RUSAGE_CHILDREN, &used);
    Report report;
    report.kind = ReportKind::kEnded;
    report.wait_status = status;
    report.number = listened_ ? 1 : 0;
    report.cpu_us = Micros(used.ru_utime) + Micros(used.ru_stime);
    report.rss_bytes = std::int64_t{used.ru_maxrss} * 1024;
    report.tmp_full = plan_.namespaces && TmpIsFull() ? 1 : 0;
    SendReport(control_, report);
    return true;
  }
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

void RunInit(const BoxPlan& plan, int control) {
  Init init(plan, control);
  init.Run();
}

}  // namespace interlock::sandbox
