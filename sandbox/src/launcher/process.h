// Making and ending processes.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "fd.h"

namespace interlock::sandbox {

// fork(2) with clone flags; `pidfd` may be null. Only for single-threaded processes.
pid_t CloneProcess(std::uint64_t flags, Fd* pidfd);

// Unmaps the code of this program; what is used again comes back from the page cache. What is
// mapped must be taken down when a process ends, and somebody waits for that.
void ForgetCode();

// Memory that a fork leaves out: no page of it is copied when it is written again, and no box has
// it to take down.
class UnforkedMemory {
 public:
  explicit UnforkedMemory(std::size_t bytes);
  ~UnforkedMemory();
  UnforkedMemory(const UnforkedMemory&) = delete;
  UnforkedMemory& operator=(const UnforkedMemory&) = delete;
  std::span<char> span() const { return memory_; }

 private:
  std::span<char> memory_;
};

// Closes every descriptor above 2 that is not in `kept`.
void CloseAllBut(std::vector<int> kept);

// Kills and reaps every child of this process, and what reparents to it, until there is none. The
// caller must be a subreaper (or pid 1). Children in `kept` are left alone.
void EndChildren(const std::vector<pid_t>& kept);

// As far as this process may; what it drops, no program that it starts can have.
void DropBoundingSet();
// Empties the effective, permitted, inheritable and ambient sets. False with errno.
bool DropCapabilities();

// Tasks (threads too) of a user, as RLIMIT_NPROC counts them.
std::int64_t TasksOf(uid_t uid);

std::int64_t MonotonicMicros();

}  // namespace interlock::sandbox
