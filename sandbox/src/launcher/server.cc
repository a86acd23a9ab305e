#include "server.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "process.h"

namespace interlock::sandbox {
namespace {
constexpr std::size_t kWaitingMax = 4096;
constexpr std::int64_t kSetupLimitUs = 15'000'000;
// Between looks whether a ready box has begun its program.
constexpr std::int64_t kStartLookUs = 2'000;
constexpr std::int64_t kClearDelayUs = 1'000;
constexpr std::int64_t kClearAgainUs = 20'000;  // a group is busy for a moment after its last task
constexpr std::int64_t kCpuCheckMinUs = 20'000;
constexpr int kCpus = 2;  // a box's cgroup has one; without one, checks come a little late

// Tags of epoll events: slot << 3 | what.
enum What : unsigned { kDaemon, kSignalFd, kControl, kProgram, kOut, kErr };

std::string Errno(const std::string& what) { return what + ": " + std::strerror(errno); }
}  // namespace

Server::Server(const ServerOptions& options, const std::array<Filter, kProfiles>& filters,
               const Ground& ground)
    : options_(options),
      ground_(ground),
      registry_(options.state_file),
      maker_(ground_, filters),
      fitter_(ground_, counting_),
      room_(kMessageBytesMax),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  signals_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  Watch(signals_.get(), 0, kSignalFd);
}

Server::~Server() {
  KillAll();
  FinishAll();
}

void Server::Watch(int fd, unsigned slot, unsigned what) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = (std::uint64_t{slot} << 3) | what;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
}

// From its start on, a box's sockets are of interest only when init has said its last word. That
// wakes the launcher by a shut end, since the kernel wakes on another processor for it if one is
// idle; for a message it would wait until init has left its own (wake_up_interruptible_sync_poll).
void Server::WatchForEnd(Box& box) {
  Unwatch(box.program);
  epoll_event event{};
  event.events = EPOLLRDHUP;
  event.data.u64 = (std::uint64_t{box.slot} << 3) | kControl;
  if (box.control_watched) ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, box.control.get(), &event);
  box.watched = false;
}

void Server::Unwatch(const Fd& fd) { ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd.get(), nullptr); }

unsigned Server::running() const { return static_cast<unsigned>(called_.size()); }

Box* Server::Make(Profile profile, const Shape& shape, std::string& problem) {
  unsigned slot = 0;
  while (boxes_.contains(slot)) ++slot;
  std::unique_ptr<Box> box = maker_.Make(slot, profile, shape, problem);
  if (box == nullptr) return nullptr;
  if (!registry_.Set(slot, box->pid)) {
    if (problem.empty()) problem = Errno("write the box into the state file");
    box->Kill();
  }
  Watch(box->control.get(), slot, kControl);
  Watch(box->program.get(), slot, kProgram);
  Watch(box->out.pipe.get(), slot, kOut);
  Watch(box->err.pipe.get(), slot, kErr);
  Box* made = boxes_.emplace(slot, std::move(box)).first->second.get();
  return problem.empty() ? made : nullptr;
}

void Server::Reap() {
  int status = 0;
  for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    Box* box = BoxOf(pid);
    if (box == nullptr) continue;  // an orphan of a box whose init was lost
    box->reaped = true;
    box->init_status = status;
    Finish(*box);
  }
}

Box* Server::BoxOf(pid_t pid) const {
  for (Box* box : called_) {
    if (box->pid == pid) return box;
  }
  for (const auto& [slot, box] : boxes_) {
    if (box->pid == pid) return box.get();
  }
  return nullptr;
}

void Server::Finish(Box& box) {
  if (!box.plan.namespaces) {
    // Nothing is left if init ended in order; if it was killed, its tree is ours now.
    std::vector<pid_t> others;
    for (const auto& [slot, other] : boxes_) {
      if (!other->reaped) others.push_back(other->pid);
    }
    EndChildren(others);
  }
  if (!box.settled()) box.TakeReports();
  WorkOut(box);
  const bool called = box.called;
  const std::uint64_t id = box.call_id;
  BoxResult result = box.Result();
  std::erase(called_, &box);
  dead_.push_back(std::move(boxes_.extract(box.slot).mapped()));
  if (called) Send(id, std::move(result));
  Flush();
  // What follows concerns nobody who waits. A process that the state file names a little longer is
  // gone, and whoever reads it sees that.
  registry_.Clear(box.slot);
  if (box.control_watched) Unwatch(box.control);
  if (box.watched && box.program.valid()) Unwatch(box.program);
  const std::int64_t now = MonotonicMicros();
  if (clear_at_us_ == 0) clear_at_us_ = now + kClearDelayUs;
  if (fill_at_us_ == 0) fill_at_us_ = now + kFillDelayUs;
}

void Server::WorkOut(Box& box) {
  if (box.worked_out()) return;
  for (Stream* stream : {&box.out, &box.err}) {
    stream->Drain();
    Unwatch(stream->pipe);
  }
  if (box.streams) Tell(box);
  box.WorkOut(counting_);
}

void Server::ClearUp() {
  std::erase_if(dead_, [](const std::unique_ptr<Box>& box) {
    box->spaces.clear();
    return box->group == nullptr || box->group->Remove();
  });
  clear_at_us_ = dead_.empty() ? 0 : MonotonicMicros() + kClearAgainUs;
}

void Server::FinishAll() {
  while (!boxes_.empty()) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, 0);
    if (pid < 0 && errno == ECHILD) break;
    for (auto& [slot, box] : boxes_) {
      if (box->pid != pid) continue;
      box->reaped = true;
      box->init_status = status;
      Finish(*box);
      break;
    }
  }
}

void Server::KillAll() {
  for (auto& [slot, box] : boxes_) {
    box->Decide(EndKind::kCancelled, "the daemon ended");
    box->Kill();
  }
}

// ---- calls

void Server::Accept(Call call) {
  const std::string problem = SpecProblem(call.request.spec);
  if (!problem.empty()) return Refuse(call.request.id, problem);
  if (!ground_.usable || call.request.spec.level_min > ground_.level) {
    return Refuse(call.request.id, "the box is below the level that the program demands");
  }
  if (waiting_.size() >= kWaitingMax) return Refuse(call.request.id, "too many calls are waiting");
  call.give_up_us = MonotonicMicros() + call.request.spec.limits.wall_ms * 1000;
  waiting_.push_back(std::move(call));
  StartWaiting();
}

// Whoever asked counts from then on, not from exec.
void Server::GiveUpWaiting(std::int64_t now) {
  for (auto call = waiting_.begin(); call != waiting_.end();) {
    if (now < call->give_up_us) {
      ++call;
      continue;
    }
    Refuse(call->request.id, "all " + std::to_string(options_.boxes_max) +
                                 " boxes were busy for its whole wall limit of " +
                                 std::to_string(call->request.spec.limits.wall_ms) +
                                 " ms; raise sandbox.boxes_max");
    call = waiting_.erase(call);
  }
}

void Server::StartWaiting() {
  while (!waiting_.empty() && running() < options_.boxes_max && !ending_) {
    Call call = std::move(waiting_.front());
    waiting_.pop_front();
    Start(std::move(call));
  }
}

void Server::Start(Call call) {
  const std::uint64_t id = call.request.id;
  Fitting fitting;
  Box* box = BoxFor(call, fitting);
  if (box == nullptr) return Refuse(id, fitting.problem);
  Want(call, fitting.shape);
  if (!Hand(*box, std::move(call), fitting)) {
    box->called = false;
    std::erase(called_, box);
    box->Kill();
    Refuse(id, fitting.problem);
  }
}

Box* Server::BoxFor(const Call& call, Fitting& fitting) {
  const BoxSpec& spec = call.request.spec;
  Box* box = nullptr;
  if (ground_.level >= Level::kFullNoCgroup) {
    fitting = fitter_.WithNamespaces(call.request, maker_.UsualShape());
    if (!fitting.problem.empty()) return nullptr;
    box = fitting.usual ? TakePooled(spec.profile, fitting.shape) : nullptr;
    if (box == nullptr) box = Make(spec.profile, fitting.shape, fitting.problem);
  } else {
    box = TakePooled(spec.profile, Shape{});
    if (box == nullptr) box = Make(spec.profile, Shape{}, fitting.problem);
    if (box == nullptr) return nullptr;
    fitting = fitter_.Without(call.request, kUidOutside + 1 + box->slot);
  }
  if (box == nullptr) return nullptr;
  const CgroupLimits limits{spec.limits.memory_bytes, spec.limits.pids};
  const bool limited = !ground_.cgroups || box->group->Limit(limits, fitting.problem);
  if (limited && fitting.problem.empty()) return box;
  box->Kill();
  return nullptr;
}

bool Server::Hand(Box& box, Call call, Fitting& fitting) {
  const Limits limits = call.request.spec.limits;
  std::vector<int> fds;
  if (call.input.valid()) fds.push_back(call.input.get());
  std::vector<int> mounts;
  for (const Fd& mount : fitting.mounts) mounts.push_back(mount.get());
  if (!box.plan.namespaces) fds.insert(fds.end(), mounts.begin(), mounts.end());
  if (call.channel.valid()) fds.push_back(call.channel.get());
  box.called = true;
  called_.push_back(&box);
  box.call_id = call.request.id;
  box.streams = call.request.streams;
  box.limits = limits;
  box.folders = std::move(fitting.folders);
  box.out.cap = limits.stdout_bytes;
  box.err.cap = limits.stderr_bytes;
  box.handed_us = MonotonicMicros();
  box.deadline_us = box.handed_us + (box.watched ? kSetupLimitUs : kStartLookUs);
  fitting.go.request = std::move(call.request);
  fitting.go.has_input = call.input.valid();
  const std::string go = EncodeGo(fitting.go);
  const Fd& program = box.plan.namespaces ? box.program : box.control;
  const bool mounting = box.plan.namespaces && box.plan.takes_mounts;
  if ((!mounting || SendMessage(box.control.get(), go, mounts, MSG_DONTWAIT)) &&
      SendMessage(program.get(), go, fds, MSG_DONTWAIT)) {
    return true;
  }
  // Also when this box died while it waited. Nothing of the call ran.
  fitting.problem = Errno("hand the call to the box");
  TakeReports(box);
  return false;
}

void Server::Refuse(std::uint64_t id, std::string why) {
  BoxResult result;
  result.kind = EndKind::kNotRun;
  result.detail = std::move(why);
  result.level = ground_.level;
  Send(id, std::move(result));
}

void Server::Cancel(std::uint64_t id) {
  const auto waits = std::find_if(waiting_.begin(), waiting_.end(),
                                  [id](const Call& call) { return call.request.id == id; });
  if (waits != waiting_.end()) {
    waiting_.erase(waits);
    BoxResult result;
    result.kind = EndKind::kCancelled;
    result.detail = "cancelled before it started";
    result.level = ground_.level;
    return Send(id, std::move(result));
  }
  for (Box* box : called_) {
    if (box->call_id != id) continue;
    box->Decide(EndKind::kCancelled, "cancelled");
    box->Kill();
  }
}

// ---- events

void Server::Run() {
  Watch(options_.socket, 0, kDaemon);
  while (!ending_ || !boxes_.empty()) {
    epoll_event events[64];
    const int count = ::epoll_wait(epoll_.get(), events, std::size(events), TimeToNext());
    bool signalled = false;
    for (int i = 0; i < count; ++i) {
      const auto slot = static_cast<unsigned>(events[i].data.u64 >> 3);
      const auto what = static_cast<unsigned>(events[i].data.u64 & 7);
      if (what == kDaemon) {
        OnDaemon();
      } else if (what == kSignalFd) {
        signalled = true;
      } else {
        OnBox(slot, what);
      }
    }
    OnTime();
    if (signalled) {
      Reap();
      TakeSignals();
      Reap();  // whose signal came in between
    }
    StartWaiting();
    if (ending_) KillAll();
    // What found the queue full: a program that waits for an answer to it writes nothing more.
    for (Box* box : called_) {
      if (box->streams) Tell(*box);
    }
    Flush();
    KeepHouse();
  }
  while (!outgoing_.empty()) {
    const std::size_t before = outgoing_.size();
    Flush();
    if (outgoing_.size() == before) break;
  }
}

void Server::TakeSignals() {
  signalfd_siginfo signals[8];
  for (ssize_t size = sizeof signals; size == static_cast<ssize_t>(sizeof signals);) {
    size = ::read(signals_.get(), signals, sizeof signals);
    for (ssize_t i = 0; i * static_cast<ssize_t>(sizeof signals[0]) < size; ++i) {
      if (signals[i].ssi_signo != SIGCHLD) ending_ = true;
    }
  }
}

BoxResult Server::RunOne(Call call) {
  std::optional<BoxResult> result;
  trial_ = &result;
  Start(std::move(call));
  while (!result) {
    epoll_event events[8];
    const int count = ::epoll_wait(epoll_.get(), events, std::size(events), TimeToNext());
    for (int i = 0; i < count; ++i) {
      const auto what = static_cast<unsigned>(events[i].data.u64 & 7);
      if (what != kSignalFd) OnBox(static_cast<unsigned>(events[i].data.u64 >> 3), what);
    }
    TakeSignals();
    OnTime();
    Reap();
  }
  trial_ = nullptr;
  KillAll();
  FinishAll();
  return *result;
}

void Server::OnDaemon() {
  std::string_view bytes;
  std::vector<Fd> fds;
  for (;;) {
    const Received got = ReceiveMessage(options_.socket, room_.span(), bytes, fds, MSG_DONTWAIT);
    if (got == Received::kNothing) return;
    if (got == Received::kClosed) {
      ending_ = true;
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, options_.socket, nullptr);
      return;
    }
    OnMessage(bytes, fds, got == Received::kStripped);
  }
}

void Server::OnMessage(std::string_view bytes, std::vector<Fd>& fds, bool stripped) {
  Reader reader(bytes);
  switch (static_cast<MessageKind>(reader.U32())) {
    case MessageKind::kRun: {
      std::optional<RunRequest> request = DecodeRun(reader);
      if (!request) return;
      if (stripped) {
        return Refuse(request->id,
                      "the sandbox launcher may open no more files; raise the hard limit on open "
                      "files (LimitNOFILE) and restart the daemon");
      }
      Call call;
      call.request = std::move(*request);
      if (call.request.has_channel && !fds.empty()) {
        call.channel = std::move(fds.back());
        fds.pop_back();
      }
      if (!fds.empty()) call.input = std::move(fds[0]);
      return Accept(std::move(call));
    }
    case MessageKind::kCancel:
      return Cancel(reader.U64());
    case MessageKind::kShutdown:
      ending_ = true;
      for (; !waiting_.empty(); waiting_.pop_front()) {
        Refuse(waiting_.front().request.id, "the daemon ended before it started");
      }
      return;
    default:
      return;
  }
}

// An end of file is told until nobody watches it. Closing alone does not end that while an init
// that was cloned just now still holds its copy.
bool Server::TakeReports(Box& box) {
  const bool more = box.TakeReports();
  if (!box.program_left || !box.program.valid()) return more;
  if (box.watched) Unwatch(box.program);
  box.program.reset();
  return more;
}

void Server::OnBox(unsigned slot, unsigned what) {
  const auto found = boxes_.find(slot);
  if (found == boxes_.end()) return;
  Box& box = *found->second;
  if (what == kControl || what == kProgram) {
    const bool more = TakeReports(box);
    // While init dies, which SIGCHLD tells.
    if (box.called && box.settled()) WorkOut(box);
    if (box.control_watched && (!more || box.ended())) {
      Unwatch(box.control);
      box.control_watched = false;
    }
    if (box.watched && !(more && box.start_us == 0 && (box.called || !box.ready))) WatchForEnd(box);
    return;
  }
  if (box.worked_out()) return;  // told in the same breath as the end
  Stream& stream = what == kOut ? box.out : box.err;
  const bool was_over = stream.over();
  stream.Drain();
  if (box.streams) Tell(box);
  if (!was_over && stream.over()) {
    TakeReports(box);
    box.Decide(EndKind::kOutput, box.OverflowLine());
    box.Kill();
  }
}

void Server::OnDeadline(Box& box, std::int64_t now) {
  TakeReports(box);
  if (box.start_us == 0 && now < box.handed_us + kSetupLimitUs) {
    box.deadline_us = std::min(now + kStartLookUs, box.handed_us + kSetupLimitUs);
    return;
  }
  if (now < box.deadline_us) return;  // it has started meanwhile
  if (box.start_us == 0) {
    // The program may begin between this look and the kill.
    box.Decide(EndKind::kLost,
               "set-up took longer than 15 s; whether the program began is not known");
  } else {
    box.Decide(EndKind::kTimeout, "wall limit of " + std::to_string(box.limits.wall_ms) + " ms");
  }
  box.Kill();
  box.deadline_us = now + kSetupLimitUs;
}

void Server::OnTime() {
  const std::int64_t now = MonotonicMicros();
  for (Box* box : called_) {
    if (now >= box->deadline_us) OnDeadline(*box, now);
    if (box->start_us != 0 && ground_.cgroups && now >= box->cpu_check_us) {
      const std::int64_t left = box->limits.cpu_ms * 1000 - box->group->CpuMicros();
      box->cpu_check_us = now + std::max(left / kCpus, kCpuCheckMinUs);
      if (left > 0) continue;
      TakeReports(*box);
      box->Decide(EndKind::kCpu, "cpu limit of " + std::to_string(box->limits.cpu_ms) + " ms");
      box->Kill();
    }
  }
  GiveUpWaiting(now);
  CountFolders(now);
}

// Takes longer than a call's end: after what came has been answered.
void Server::KeepHouse() {
  const std::int64_t now = MonotonicMicros();
  if (clear_at_us_ != 0 && now >= clear_at_us_) ClearUp();
  if (fill_at_us_ != 0 && now >= fill_at_us_) Fill();
}

// Those of the box that waits longest for it, if any does: each gets its turn, however long one
// takes.
void Server::CountFolders(std::int64_t now) {
  Box* due = nullptr;
  for (Box* box : called_) {
    if (box->quota_check_us == 0 || now < box->quota_check_us) continue;
    if (due == nullptr || box->quota_check_us < due->quota_check_us) due = box;
  }
  if (due == nullptr || !counting_.Allows(now)) return;
  const std::string over = OverQuotas(due->folders, counting_);
  due->quota_check_us = MonotonicMicros() + kQuotaPauseUs;
  if (over.empty()) return;
  TakeReports(*due);
  due->Decide(EndKind::kDisk, over);
  due->Kill();
}

int Server::TimeToNext() const {
  std::int64_t next = INT64_MAX;
  for (const std::int64_t due : {fill_at_us_, clear_at_us_}) {
    if (due != 0) next = std::min(next, due);
  }
  for (const Box* box : called_) {
    next = std::min(next, box->deadline_us);
    if (box->start_us != 0 && ground_.cgroups) next = std::min(next, box->cpu_check_us);
    if (box->quota_check_us != 0) {
      next = std::min(next, std::max(box->quota_check_us, counting_.free_at_us()));
    }
  }
  for (const Call& call : waiting_) next = std::min(next, call.give_up_us);
  if (!outgoing_.empty()) next = std::min(next, MonotonicMicros() + 1000);
  if (next == INT64_MAX) return -1;
  return static_cast<int>(
      std::clamp<std::int64_t>((next - MonotonicMicros() + 999) / 1000, 0, 60'000));
}

}  // namespace interlock::sandbox
