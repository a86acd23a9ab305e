// People who watch what runs write while they write it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace interlock::runtime {

// Who watches which run. Thread-safe.
template <typename Told>
class Watchers {
 public:
  using Watcher = std::function<void(const Told&)>;

  std::uint64_t Add(std::string_view run, Watcher watcher) {
    const std::lock_guard lock(mutex_);
    watchers_[next_] = {.run = std::string(run), .watcher = std::move(watcher)};
    count_.store(watchers_.size());
    return next_++;
  }
  // Afterwards the watcher is not running and never will. Not from within the watcher.
  void Remove(std::uint64_t id) {
    const std::lock_guard lock(mutex_);
    watchers_.erase(id);
    count_.store(watchers_.size());
  }

 protected:
  bool any() const { return count_.load() > 0; }
  void Tell(const std::string& run, const Told& told) {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, one] : watchers_) {
      if (one.run == run) one.watcher(told);
    }
  }

 private:
  struct One {
    std::string run;
    Watcher watcher;
  };

  std::mutex mutex_;
  std::map<std::uint64_t, One> watchers_;
  std::uint64_t next_ = 1;
  std::atomic<std::size_t> count_{0};
};

}  // namespace interlock::runtime
