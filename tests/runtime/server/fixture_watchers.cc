// Who watches what tools and planners of the fake engine write.
#include "fixture.h"

namespace interlock::runtime {

core::StatusOr<std::uint64_t> FakeEngine::SubscribeOutput(
    const core::Principal& who, std::string_view run,
    std::function<void(const ToolOutput&)> watcher) {
  if (core::Status status = See("SubscribeOutput", who, run); !status.ok()) return status;
  const std::scoped_lock lock(mutex_);
  output_watchers_[next_subscription_] = std::move(watcher);
  changed_.notify_all();
  return next_subscription_++;
}
void FakeEngine::UnsubscribeOutput(std::uint64_t subscription) {
  const std::scoped_lock lock(mutex_);
  output_watchers_.erase(subscription);
  changed_.notify_all();
}
bool FakeEngine::WaitForOutputWatcher() {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(10),
                           [this] { return !output_watchers_.empty(); });
}
void FakeEngine::Write(const ToolOutput& output) {
  const std::scoped_lock lock(mutex_);
  for (const auto& [id, watcher] : output_watchers_) watcher(output);
}
core::StatusOr<std::uint64_t> FakeEngine::SubscribeText(
    const core::Principal& who, std::string_view run,
    std::function<void(const PlannerText&)> watcher) {
  if (core::Status status = See("SubscribeText", who, run); !status.ok()) return status;
  const std::scoped_lock lock(mutex_);
  text_watchers_[next_subscription_] = std::move(watcher);
  changed_.notify_all();
  return next_subscription_++;
}
void FakeEngine::UnsubscribeText(std::uint64_t subscription) {
  const std::scoped_lock lock(mutex_);
  text_watchers_.erase(subscription);
  changed_.notify_all();
}
bool FakeEngine::WaitForTextWatcher() {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(10),
                           [this] { return !text_watchers_.empty(); });
}
void FakeEngine::Write(const PlannerText& text) {
  const std::scoped_lock lock(mutex_);
  for (const auto& [id, watcher] : text_watchers_) watcher(text);
}

}  // namespace interlock::runtime
