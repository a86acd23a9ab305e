#include "box.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "pidfd.h"
#include "process.h"

namespace interlock::sandbox {

bool Stream::Drain() {
  char part[64 << 10];
  while (pipe.valid()) {
    const ssize_t size = ::read(pipe.get(), part, sizeof part);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno == EAGAIN;
    if (size == 0) return false;
    const std::int64_t room = cap - static_cast<std::int64_t>(kept.size());
    const std::int64_t taken = std::min<std::int64_t>(size, room);
    kept.append(part, static_cast<std::size_t>(taken));
    dropped += size - taken;
    if (dropped > 0) return true;  // a flood must not hold the launcher here
  }
  return false;
}

bool Box::TakeReports() {
  for (;;) {
    Report report;
    const ssize_t size = ::recv(control.get(), &report, sizeof report, MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return true;
    if (size != static_cast<ssize_t>(sizeof report)) return false;
    TakeReport(report);
  }
}

void Box::TakeReport(const Report& report) {
  switch (report.kind) {
    case ReportKind::kReady:
      ready = true;
      return;
    case ReportKind::kFailed:
      failed_ = report;
      return;
    case ReportKind::kStarted:
      start_us = MonotonicMicros();
      deadline_us = start_us + limits.wall_ms * 1000;
      cpu_check_us = start_us + limits.cpu_ms * 1000;
      return;
    case ReportKind::kEnded:
      ended_ = report;
      return;
    case ReportKind::kViolation:
      violation_ = report;
      return;
  }
}

void Box::Decide(EndKind kind, std::string detail) {
  if (decided_ || ended_ || failed_ || violation_) return;
  decided_ = kind;
  decided_detail_ = std::move(detail);
}

void Box::Kill() {
  if (reaped) return;
  if (!plan.namespaces) {
    // Init kills its descendants; it must live for that. The group, where there is one, is quicker.
    if (group != nullptr) group->KillAll();
    ::shutdown(control.get(), SHUT_WR);
    return;
  }
  PidfdSignal(pidfd, SIGKILL);
}

void Box::Conclude(BoxResult& result, const CgroupUsage& usage) const {
  // A decision is only taken while nothing was reported, so what was reported after it is its
  // consequence.
  if (decided_) {
    result.kind = *decided_;
    result.detail = decided_detail_;
    return;
  }
  if (violation_) {
    result.kind = EndKind::kViolation;
    result.detail = SyscallName(violation_->number, violation_->arch);
    return;
  }
  if (failed_) {
    result.kind = EndKind::kNotRun;
    result.detail = std::string(failed_->step) + ": " + std::strerror(failed_->error);
    return;
  }
  if (ended_ && WIFEXITED(ended_->wait_status)) {
    result.kind = EndKind::kExit;
    result.value = WEXITSTATUS(ended_->wait_status);
    if (usage.oom_kills > 0) result.detail = "the memory limit ended a process of the box";
    if (usage.forks_refused > 0) result.detail = "the pids limit refused a process or thread";
    return;
  }
  if (ended_) {
    const int number = WTERMSIG(ended_->wait_status);
    result.kind = EndKind::kSignal;
    result.value = number;
    // The kernel's own count for the limit runs a little ahead of what is accounted at the end.
    const bool cpu_spent = result.cpu_us >= limits.cpu_ms * 900;
    if (number == SIGKILL && usage.oom_kills > 0) {
      result.kind = EndKind::kMemory;
      result.detail = "memory limit of " + std::to_string(limits.memory_bytes) + " bytes";
    } else if ((number == SIGXCPU || number == SIGKILL) && cpu_spent) {
      result.kind = EndKind::kCpu;
      result.detail = "cpu limit of " + std::to_string(limits.cpu_ms) + " ms";
    } else if (number == SIGXFSZ) {
      result.kind = EndKind::kDisk;
      result.detail = "file size limit of " + std::to_string(limits.file_bytes) + " bytes";
    } else if (number == SIGSYS && ended_->number == 0) {
      // Sent by the filter only where there is no listener; then the call's number is not known.
      result.kind = EndKind::kViolation;
      result.detail = "bad system call";
    }
    return;
  }
  result.kind = called ? EndKind::kLost : EndKind::kNotRun;
  result.detail = "the box's init ended early (wait status " + std::to_string(init_status) + ")";
}

BoxResult Box::Result() {
  BoxResult result;
  CgroupUsage usage;
  if (group != nullptr) usage = group->Usage();
  result.level = level;
  result.cpu_us = std::max(usage.cpu_us, ended_ ? ended_->cpu_us : 0);
  result.memory_peak_bytes = usage.memory_peak_bytes > 0 ? usage.memory_peak_bytes
                             : ended_                    ? ended_->rss_bytes
                                                         : 0;
  result.wall_us = start_us == 0 ? 0 : MonotonicMicros() - start_us;
  Conclude(result, usage);
  result.stdout_bytes = std::move(out.kept);
  result.stderr_bytes = std::move(err.kept);
  result.stdout_dropped = out.dropped;
  result.stderr_dropped = err.dropped;
  return result;
}

}  // namespace interlock::sandbox
