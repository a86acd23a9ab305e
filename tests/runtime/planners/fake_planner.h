// Planners that answer as a test says, by a clock that stands.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "runtime/planner.h"

namespace interlock::runtime::test {

using Result = core::StatusOr<Plan>;
using Done = std::function<void(Result)>;

class ManualClock final : public core::Clock {
 public:
  std::int64_t WallMicros() const override { return 0; }
  std::int64_t MonotonicMicros() const override { return now_us; }
  std::int64_t now_us = 1;
};

// Answers at once with what it was given; without anything, it waits until Finish or Cancel.
class Fake final : public Planner {
 public:
  policies::ModelUse Bound(const PlanRequest&) const override { return bound; }
  policies::ModelUse bound;
  std::uint64_t Propose(PlanRequest request, Done done) override {
    requests.push_back(std::move(request));
    if (clock != nullptr) clock->now_us += takes_us;
    const PlanRequest& kept = requests.back();
    if (kept.on_text && !says.empty()) kept.on_text({.text = says, .restarted = false});
    if (hangs) {
      clock->now_us = kept.deadline_monotonic_us;
      done(core::Error(core::StatusCode::kDeadlineExceeded, "no answer in time"));
      return 0;
    }
    if (answer.has_value()) {
      done(*answer);
      return 0;
    }
    waiting = std::move(done);
    return 7;
  }
  void Cancel(std::uint64_t handle) override {
    if (handle != 7 || !waiting) return;
    ++cancels;
    if (deaf) return;
    const auto& lost = requests.back().lost;
    if (lost != nullptr) *lost = loses;
    Finish(core::Error(core::StatusCode::kCancelled, "cancelled"));
  }
  // Of the request that waits.
  void Finish(Result result) { std::exchange(waiting, nullptr)(std::move(result)); }
  void Begins() const { requests.back().on_reply(); }
  void Says(std::string_view text) const {
    requests.back().on_text({.text = text, .restarted = false});
  }

  std::optional<Result> answer;
  std::string says;
  std::int64_t takes_us = 0;
  bool hangs = false;  // until its deadline
  ManualClock* clock = nullptr;
  std::vector<PlanRequest> requests;
  Done waiting;
  int cancels = 0;
  bool deaf = false;           // to Cancel
  policies::ModelUse loses{};  // of a request that is cancelled
};

inline Plan Saying(std::string text) {
  Plan plan;
  plan.text = std::move(text);
  return plan;
}

inline Result Failure(const std::string& why) { return core::Unavailable(why); }

}  // namespace interlock::runtime::test
