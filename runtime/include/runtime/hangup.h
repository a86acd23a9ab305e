// Whether a caller has gone away before he was answered.
#pragma once

#include <functional>
#include <mutex>
#include <utility>

namespace interlock::runtime {

// Thread-safe. Shared by whoever serves the caller, who tells it, and the engine, which asks.
class Hangup {
 public:
  void Happen() {
    std::function<void()> told;
    {
      const std::lock_guard lock(mutex_);
      happened_ = true;
      told = std::exchange(told_, nullptr);
    }
    if (told) told();
  }
  bool happened() const {
    const std::lock_guard lock(mutex_);
    return happened_;
  }
  // Calls `told` when it happens, from whoever's thread; not when it has happened already.
  void Watch(std::function<void()> told) {
    const std::lock_guard lock(mutex_);
    told_ = std::move(told);
  }

 private:
  mutable std::mutex mutex_;
  bool happened_ = false;
  std::function<void()> told_;
};

}  // namespace interlock::runtime
