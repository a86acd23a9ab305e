#include "alarm.h"

#include <utility>

namespace interlock::runtime {

Alarm::Alarm() : thread_([this] { Loop(); }) {}

void Alarm::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    due_.clear();
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Alarm::After(std::int64_t delay_ms, std::function<void()> ring) {
  const Time at = std::chrono::steady_clock::now() + std::chrono::milliseconds(delay_ms);
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    due_.emplace(at, std::move(ring));
  }
  changed_.notify_all();
}

void Alarm::Loop() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (due_.empty()) {
      changed_.wait(lock);
    } else if (const Time first = due_.begin()->first; first > std::chrono::steady_clock::now()) {
      changed_.wait_until(lock, first);
    } else {
      const auto next = due_.extract(due_.begin());
      lock.unlock();
      next.mapped()();
      lock.lock();
    }
  }
}

}  // namespace interlock::runtime
