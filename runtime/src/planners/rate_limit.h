// How much an endpoint is asked: a limit that tells each caller how long to wait, and a breaker
// that lets an endpoint rest. Pure: the caller gives the time.
#pragma once

#include <cstdint>

namespace interlock::runtime {

// A leaky bucket as a meter (GCRA, ITU-T I.371): `per_minute` units a minute, of which those of
// kBurstUs may come at once. The caller locks.
class RateLimit {
 public:
  static constexpr std::int64_t kBurstUs = 10'000'000;

  explicit RateLimit(std::int64_t per_minute) : per_minute_(per_minute) {}  // 0: no limit

  // How long `units` would have to wait.
  std::int64_t WaitUs(std::int64_t now_us) const;
  void Take(std::int64_t now_us, std::int64_t units);
  // Nothing before `until_us`: the provider said so.
  void Pause(std::int64_t until_us);
  bool IsPaused(std::int64_t now_us) const { return now_us < paused_until_us_; }

 private:
  const std::int64_t per_minute_;
  std::int64_t due_us_ = 0;  // when the bucket will be empty
  std::int64_t paused_until_us_ = 0;
};

struct BreakerOptions {
  std::int64_t failures_max = 0;  // in a row; 0: it never opens
  std::int64_t rest_us = 30'000'000;
};

// Opens after failures in a row; after its rest one attempt goes through, which closes it or lets
// it rest again. The caller locks.
class Breaker {
 public:
  explicit Breaker(BreakerOptions options) : options_(options) {}

  bool Allows(std::int64_t now_us) const;  // also says that the one attempt after a rest may go
  // An attempt that was allowed. Returns its number, by which its end is told.
  std::uint64_t Started();
  void Succeeded();
  void Failed(std::uint64_t attempt, std::int64_t now_us);
  void Abandoned(std::uint64_t attempt);  // it ended without telling anything (cancelled)
  std::int64_t failures() const { return failures_; }

 private:
  bool open() const { return options_.failures_max > 0 && failures_ >= options_.failures_max; }
  void EndTrial(std::uint64_t attempt);

  const BreakerOptions options_;
  std::int64_t failures_ = 0;  // in a row
  std::int64_t rests_until_us_ = 0;
  std::uint64_t last_ = 0;   // attempt
  std::uint64_t trial_ = 0;  // the one after a rest, while it is under way
};

}  // namespace interlock::runtime
