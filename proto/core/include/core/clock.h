// Time as an interface, so that tests and the simulator own it.
#pragma once

#include <cstdint>

namespace interlock::core {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Microseconds since 1970-01-01 UTC. May step (rule 27); the journal guards against that.
  virtual std::int64_t WallMicros() const = 0;
  // Microseconds since some start; never goes back.
  virtual std::int64_t MonotonicMicros() const = 0;
};

// The kernel's clocks (CLOCK_REALTIME, CLOCK_MONOTONIC).
class SystemClock final : public Clock {
 public:
  std::int64_t WallMicros() const override;
  std::int64_t MonotonicMicros() const override;
};

}  // namespace interlock::core
