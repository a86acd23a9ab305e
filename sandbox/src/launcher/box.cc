#include "box.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "message.h"
#include "pidfd.h"
#include "process.h"
#include "quota.h"

namespace interlock::sandbox {

namespace {

// What an author must know when a program cannot be started.
std::string WhyNotStarted(std::string_view step, int error) {
  std::string line = std::string(step) + ": " + std::strerror(error);
  if (!step.starts_with("exec ")) return line;
  if (error == ENOENT) {
    line += "; a box has /usr and its kin and what is mounted, and a script needs its interpreter";
  } else if (error == EACCES) {
    line += "; the box's user must be able to read and execute it";
  } else if (error == ENOEXEC) {
    line += "; it is neither a program nor a script that begins with #!";
  }
  return line;
}

}  // namespace

bool Stream::Open() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return false;
  pipe.reset(ends[0]);
  write_end.reset(ends[1]);
  return ::fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0;
}

void Stream::Drain() {
  char part[16 << 10];
  for (;;) {
    const ssize_t size = ::read(pipe.get(), part, sizeof part);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return;
    const std::int64_t room = cap - static_cast<std::int64_t>(kept.size());
    const std::int64_t taken = std::min<std::int64_t>(size, room);
    kept.append(part, static_cast<std::size_t>(taken));
    dropped += size - taken;
    if (dropped > 0) return;  // a flood must not hold the launcher here
  }
}

bool Box::TakeReports() {
  // Init's first: it tells of an end when the program's process is gone, so that whatever kept that
  // one from exec is there to be read by then.
  const bool more = TakeFrom(control);
  if (program.valid() && !program_left && !TakeFrom(program)) {
    program_left = true;
    if (called && !failed_) Started();
  }
  return more;
}

bool Box::TakeFrom(const Fd& socket) {
  std::string_view bytes;
  std::vector<Fd> fds;
  for (;;) {
    Report report;
    const std::span room(reinterpret_cast<char*>(&report), sizeof report);
    const Received got = ReceiveMessage(socket.get(), room, bytes, fds, MSG_DONTWAIT);
    if (got == Received::kNothing) return true;
    if (got != Received::kMessage || bytes.size() != sizeof report) return false;
    if (report.kind == ReportKind::kReady) {
      spaces = std::move(fds);
    } else if (report.kind == ReportKind::kTemporary && !fds.empty() && !has_temporary_) {
      const Quota quota{limits.tmp_bytes, limits.tmp_inodes};
      folders.push_back({std::move(fds[0]), "TMPDIR", {}, quota});
      has_temporary_ = true;
    }
    TakeReport(report);
  }
}

void Box::TakeReport(const Report& report) {
  switch (report.kind) {
    case ReportKind::kReady:
      ready = true;
      return;
    case ReportKind::kTemporary:
      return;
    case ReportKind::kFailed:
      failed_ = report;
      return;
    case ReportKind::kEnded:
      ended_ = report;
      return;
    case ReportKind::kViolation:
      violation_ = report;
      return;
    case ReportKind::kRefused:
      if (refused_.size() < kRefusedMax)
        refused_.push_back(SyscallName(report.number, report.arch));
      return;
  }
}

void Box::Started() {
  start_seen_ = !reaped;
  // A box that was ready execs at once, and nobody is woken to see it.
  start_us = watched ? MonotonicMicros() : handed_us;
  deadline_us = start_us + limits.wall_ms * 1000;
  cpu_check_us = start_us + limits.cpu_ms * 1000;
  if (has_quota()) quota_check_us = start_us + kQuotaPauseUs;
}

bool Box::Serves(const Shape& shape) const {
  if (plan.takes_mounts) return true;
  return !shape.takes_mounts && shape.tmp_bytes == plan.tmp_bytes &&
         shape.tmp_inodes == plan.tmp_inodes;
}

void Box::Decide(EndKind kind, std::string detail) {
  if (decided_ || ended_ || failed_ || violation_) return;
  decided_ = kind;
  decided_detail_ = std::move(detail);
}

void Box::Kill() {
  killed = true;
  if (reaped) return;
  if (!plan.namespaces) {
    // Init kills its descendants; it must live for that. The group, where there is one, is quicker.
    if (group != nullptr) group->KillAll();
    ::shutdown(control.get(), SHUT_WR);
    return;
  }
  PidfdSignal(pidfd, SIGKILL);
}

std::string Box::OverflowLine() const {
  if (!out.over() && !err.over()) return "";
  return std::string(out.over() ? "stdout" : "stderr") + " passed its limit of " +
         std::to_string(out.over() ? out.cap : err.cap) + " bytes";
}

// A program that met a limit and coped has ended well, and the detail says what it met; one that
// did not cope has ended by that limit, and `value` is still its own status.
void Box::BlameLimit(BoxResult& result, const CgroupUsage& usage) const {
  EndKind kind = result.kind;
  if (usage.oom_kills > 0) {
    kind = EndKind::kMemory;
    result.detail = "the memory limit of " + std::to_string(limits.memory_bytes) +
                    " bytes ended a process of the box";
  } else if (usage.forks_refused > 0) {
    kind = EndKind::kPids;
    result.detail =
        "the limit of " + std::to_string(limits.pids) + " pids refused a process or thread";
  } else if (ended_->tmp_full != 0) {
    kind = EndKind::kDisk;
    result.detail = "/tmp was full: " + std::to_string(limits.tmp_bytes) + " bytes, " +
                    std::to_string(limits.tmp_inodes) + " files";
  }
  const bool coped = result.kind == EndKind::kExit && result.value == 0;
  if (!coped) result.kind = kind;
}

void Box::Conclude(BoxResult& result, const CgroupUsage& usage) const {
  // A decision is only taken while nothing was reported, so what was reported after it is its
  // consequence.
  if (decided_) {
    result.kind = *decided_;
    result.detail = decided_detail_;
    if (result.kind == EndKind::kTimeout && usage.forks_refused > 0) {  // it may wait for that one
      result.detail +=
          "; the limit of " + std::to_string(limits.pids) + " pids refused a process or thread";
    }
    return;
  }
  if (violation_) {
    result.kind = EndKind::kViolation;
    result.detail = SyscallName(violation_->number, violation_->arch);
    return;
  }
  if (failed_) {
    result.kind = EndKind::kNotRun;
    result.detail = WhyNotStarted(failed_->step, failed_->error);
    return;
  }
  if (ended_ && (out.over() || err.over())) {
    // It ended before the launcher had read that far: the same program ends the same way.
    result.kind = EndKind::kOutput;
    result.detail = OverflowLine();
    return;
  }
  if (ended_ && WIFEXITED(ended_->wait_status)) {
    result.kind = EndKind::kExit;
    result.value = WEXITSTATUS(ended_->wait_status);
    return BlameLimit(result, usage);
  }
  if (ended_) {
    const int number = WTERMSIG(ended_->wait_status);
    result.kind = EndKind::kSignal;
    result.value = number;
    // For RLIMIT_CPU the kernel counts ticks, for what it accounts at the end it measures; on a
    // busy machine the ticks run ahead, by a fifth and more.
    const bool cpu_spent = result.cpu_us >= limits.cpu_ms * 500;
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
    } else {
      BlameLimit(result, usage);
    }
    return;
  }
  result.kind = called ? EndKind::kLost : EndKind::kNotRun;
  result.detail = "the box's init ended early (wait status " + std::to_string(init_status) + ")";
  if (usage.oom_kills == 0) return;
  result.detail = "memory limit of " + std::to_string(limits.memory_bytes) + " bytes";
  // Until exec the program's process shares init's memory, and dies with it. A program that was
  // seen to run does not: something else ended init, and nobody knows how far the program came.
  if (!start_seen_) result.kind = EndKind::kMemory;
}

bool Box::has_quota() const {
  return std::any_of(folders.begin(), folders.end(),
                     [](const WritableFolder& folder) { return folder.quota.bytes > 0; });
}

// Nothing of the box runs any more: what it left is final. A program that passed a quota between
// two counts and has ended well has ended well; the next one is refused.
void Box::BlameQuotas(BoxResult& result, CountBudget& counting) const {
  const bool coped = result.kind == EndKind::kExit && result.value == 0;
  const bool failed = result.kind == EndKind::kExit || result.kind == EndKind::kSignal;
  if (coped || !failed) return;
  const std::string over = OverQuotas(folders, counting);
  if (over.empty()) return;
  result.kind = EndKind::kDisk;
  result.detail += (result.detail.empty() ? "" : "; ") + over;
}

void Box::BlameLeavings(BoxResult& result) const {
  const std::string left = SetAside(folders);
  if (left.empty()) return;
  if (result.kind == EndKind::kExit || result.kind == EndKind::kSignal) {
    result.kind = EndKind::kDisk;
    result.detail = left;
  } else {
    result.detail += "; " + left;
  }
}

void Box::WorkOut(CountBudget& counting) {
  BoxResult& result = result_.emplace();
  CgroupUsage usage;
  if (group != nullptr) usage = group->Usage();
  result.level = level;
  result.cpu_us = std::max(usage.cpu_us, ended_ ? ended_->cpu_us : 0);
  result.memory_peak_bytes = usage.memory_peak_bytes > 0 ? usage.memory_peak_bytes
                             : ended_                    ? ended_->rss_bytes
                                                         : 0;
  Conclude(result, usage);
  if (has_temporary_) folders.pop_back();
  if (start_us != 0) {
    BlameQuotas(result, counting);
    BlameLeavings(result);
  }
  result.refused = std::move(refused_);
  result.stdout_bytes = std::move(out.kept);
  result.stderr_bytes = std::move(err.kept);
  result.stdout_dropped = out.dropped;
  result.stderr_dropped = err.dropped;
}

BoxResult Box::Result() {
  result_->wall_us = start_us == 0 ? 0 : MonotonicMicros() - start_us;
  return std::move(*result_);
}

}  // namespace interlock::sandbox
