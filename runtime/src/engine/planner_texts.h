// What planners write, shown to people while it comes (ADR 70). No record: the reply that the log
// has is that.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "engine/outputs.h"
#include "policies/bundle.h"
#include "runtime/planner.h"

namespace interlock::runtime {

// Whether a rule speaks of what agents say to people: then nothing is shown before it has spoken.
bool JudgesAnswers(policies::Engine& engine);

// Who watches which run's planner. Thread-safe. Requests that outlive the engine keep it alive.
class PlannerTexts : public std::enable_shared_from_this<PlannerTexts>,
                     public Watchers<PlannerText> {
 public:
  // Whether anything is shown from here on; at first nothing is. What was forbidden once stays so
  // for requests of before.
  void Allow(bool may);
  bool allowed() const { return allowed_.load() % 2 == 1; }
  // For PlanRequest::on_text of one request; null while nothing is shown.
  std::function<void(const TextDelta&)> For(std::string run, std::int64_t step);

 private:
  std::atomic<std::uint64_t> allowed_{0};  // counted up by each change: odd while it is allowed
};

}  // namespace interlock::runtime
