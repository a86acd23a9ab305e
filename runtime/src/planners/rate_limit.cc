#include "rate_limit.h"

#include <algorithm>

namespace interlock::runtime {
namespace {

constexpr std::int64_t kMinuteUs = 60'000'000;
constexpr std::int64_t kUnitsMax = 1'000'000'000;

}  // namespace

std::int64_t RateLimit::WaitUs(std::int64_t now_us) const {
  const std::int64_t pause = std::max<std::int64_t>(0, paused_until_us_ - now_us);
  return std::max(pause, due_us_ - kBurstUs - now_us);
}

void RateLimit::Take(std::int64_t now_us, std::int64_t units) {
  if (per_minute_ <= 0) return;
  due_us_ = std::max(due_us_, now_us) + std::min(units, kUnitsMax) * kMinuteUs / per_minute_;
}

void RateLimit::Pause(std::int64_t until_us) {
  paused_until_us_ = std::max(paused_until_us_, until_us);
}

bool Breaker::Allows(std::int64_t now_us) const {
  return !open() || (now_us >= rests_until_us_ && trial_ == 0);
}

std::uint64_t Breaker::Started() {
  ++last_;
  if (open()) trial_ = last_;
  return last_;
}

// One that began before the rest says nothing of it.
void Breaker::EndTrial(std::uint64_t attempt) {
  if (attempt == trial_) trial_ = 0;
}

void Breaker::Succeeded() {
  failures_ = 0;
  trial_ = 0;
}

void Breaker::Failed(std::uint64_t attempt, std::int64_t now_us) {
  EndTrial(attempt);
  ++failures_;
  if (open()) rests_until_us_ = now_us + options_.rest_us;
}

void Breaker::Abandoned(std::uint64_t attempt) { EndTrial(attempt); }

}  // namespace interlock::runtime
