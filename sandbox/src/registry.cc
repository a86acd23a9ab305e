#include "registry.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "fd.h"
#include "pidfd.h"

namespace interlock::sandbox {
namespace {
struct Record {
  std::int64_t pid = 0;
  std::uint64_t start_ticks = 0;
};

enum class Standing { kGone, kThere, kNotKnown };

// A pidfd or a start time that cannot be had proves nothing. `pidfd` is of whoever has the number.
Standing Look(pid_t pid, std::uint64_t start_ticks, Fd& pidfd) {
  pidfd = PidfdOpen(pid);
  if (!pidfd.valid() && errno == ESRCH) return Standing::kGone;
  // Asked after the pidfd was had: now the number cannot be given away under us.
  const std::uint64_t ticks = ProcessStartTicks(pid);
  if (ticks != 0 && ticks != start_ticks) return Standing::kGone;
  return pidfd.valid() && ticks != 0 ? Standing::kThere : Standing::kNotKnown;
}

// A zombie counts as gone: its pidfd is readable.
bool EndedWithin(const Fd& pidfd, int milliseconds) {
  pollfd gone{pidfd.get(), POLLIN, 0};
  return pidfd.valid() && ::poll(&gone, 1, milliseconds) == 1;
}

// True once the process is proven to be gone.
bool EndOne(const Record& record, std::chrono::milliseconds patience) {
  Fd pidfd;
  const Standing standing = Look(static_cast<pid_t>(record.pid), record.start_ticks, pidfd);
  if (standing == Standing::kGone) return true;
  const int half = static_cast<int>(patience.count() / 2);
  // An init whose launcher has gone ends by itself, and without namespaces it must live to take its
  // tree along.
  if (EndedWithin(pidfd, half)) return true;
  if (standing == Standing::kThere) PidfdSignal(pidfd, SIGKILL);
  return EndedWithin(pidfd, half);
}
}  // namespace

std::uint64_t ProcessStartTicks(pid_t pid) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/stat", static_cast<int>(pid));
  const Fd file(::open(path, O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return 0;
  char text[1024];
  const ssize_t size = ::read(file.get(), text, sizeof text - 1);
  if (size <= 0) return 0;
  text[size] = '\0';
  // The name, field 2, may hold anything: count from its closing bracket. Start time is field 22
  // (proc(5)).
  const char* at = std::strrchr(text, ')');
  for (int field = 2; at != nullptr && field < 22; ++field) {
    at = std::strchr(at + 1, ' ');
  }
  return at == nullptr ? 0 : std::strtoull(at + 1, nullptr, 10);
}

bool ProvenGone(pid_t pid, std::uint64_t start_ticks) {
  Fd pidfd;
  return Look(pid, start_ticks, pidfd) == Standing::kGone || EndedWithin(pidfd, 0);
}

bool Registry::Reserve(unsigned slots) const {
  errno = ::posix_fallocate(fd_, 0, static_cast<off_t>(slots * sizeof(Record)));
  return errno == 0;
}

bool Registry::Set(unsigned slot, pid_t pid) const {
  const Record record{pid, ProcessStartTicks(pid)};
  errno = ENOSPC;
  return record.start_ticks != 0 &&
         ::pwrite(fd_, &record, sizeof record, static_cast<off_t>(slot * sizeof record)) ==
             static_cast<ssize_t>(sizeof record);
}

void Registry::Clear(unsigned slot) const {
  const Record record;
  (void)!::pwrite(fd_, &record, sizeof record, static_cast<off_t>(slot * sizeof record));
}

bool Registry::EndAll(std::chrono::milliseconds patience) const {
  bool all_gone = true;
  Record record;
  for (off_t at = 0; ::pread(fd_, &record, sizeof record, at) == sizeof record;
       at += static_cast<off_t>(sizeof record)) {
    if (record.pid > 0) all_gone = EndOne(record, patience) && all_gone;
  }
  return all_gone;
}

}  // namespace interlock::sandbox
