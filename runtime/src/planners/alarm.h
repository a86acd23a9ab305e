// Calls functions later, on one thread of its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

namespace interlock::runtime {

// Thread-safe. Neither copies nor moves.
class Alarm {
 public:
  Alarm();
  ~Alarm() { Stop(); }
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

  // `ring` must not block, and may call this.
  void After(std::int64_t delay_ms, std::function<void()> ring);
  // Waits for what it calls just now, and calls nothing more. Not from `ring`. Idempotent.
  void Stop();

 private:
  using Time = std::chrono::steady_clock::time_point;
  void Loop();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::multimap<Time, std::function<void()>> due_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace interlock::runtime
