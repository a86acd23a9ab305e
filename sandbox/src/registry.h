// Which boxes run now, in a file that outlives the launcher: one fixed record a slot, {pid, start
// time} of the box's init. Whoever finds the launcher dead (the daemon, or the next daemon) kills
// and waits for what is listed, so "it is dead" is known and not hoped. A pid that was given to
// another process has another start time and is left alone.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>

namespace interlock::sandbox {

// Clock ticks after boot at which `pid` began; 0 when that cannot be read.
std::uint64_t ProcessStartTicks(pid_t pid);

// Whether the process of this number and start time has ended. False in doubt.
bool ProvenGone(pid_t pid, std::uint64_t start_ticks);

// Borrows the descriptor. Not thread-safe.
class Registry {
 public:
  explicit Registry(int fd) : fd_(fd) {}
  // Takes the room for so many slots, so that a full disk shows at start. False with errno.
  [[nodiscard]] bool Reserve(unsigned slots) const;
  // False with errno: the box is not written down and must not run.
  [[nodiscard]] bool Set(unsigned slot, pid_t pid) const;
  void Clear(unsigned slot) const;
  // Waits for the end of every listed process, and kills it if that does not come within half of
  // `patience`. False if one outlived it or could not be looked at.
  bool EndAll(std::chrono::milliseconds patience) const;

 private:
  int fd_;
};

}  // namespace interlock::sandbox
