// Reads what process tools leave, away from the launcher's thread, which must not wait for a disk.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace interlock::tools {

// One thread, started with the first piece of work. Thread-safe. Its destructor does what was
// posted, and must not run on its own thread.
class ArtifactCollector {
 public:
  ~ArtifactCollector();
  void Post(std::function<void()> work);

 private:
  void Work();

  std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<std::function<void()>> work_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace interlock::tools
