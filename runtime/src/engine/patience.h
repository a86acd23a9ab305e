// How long those who asked for one call wait for it (ADR 59).
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "runtime/hangup.h"

namespace interlock::runtime {

// As long as any of them does. Thread-safe. Times are of the monotonic clock.
class Patience {
 public:
  static constexpr std::int64_t kForEver = std::numeric_limits<std::int64_t>::max();

  // One more waits, until then or until he goes away (null: he cannot).
  void Join(std::int64_t until_us, std::shared_ptr<const Hangup> hangup) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({until_us, std::move(hangup)});
  }
  // The latest deadline of those who have not gone; 0: all have.
  std::int64_t until_us() const {
    const std::lock_guard lock(mutex_);
    std::int64_t latest_us = 0;
    for (const Waiting& one : waiting_) {
      const bool gone = one.hangup != nullptr && one.hangup->happened();
      if (!gone) latest_us = std::max(latest_us, one.until_us);
    }
    return latest_us;
  }
  // Nobody waits any more.
  bool Over(std::int64_t now_us) const { return until_us() <= now_us; }

 private:
  struct Waiting {
    std::int64_t until_us;
    std::shared_ptr<const Hangup> hangup;
  };
  mutable std::mutex mutex_;
  std::vector<Waiting> waiting_;
};

}  // namespace interlock::runtime
