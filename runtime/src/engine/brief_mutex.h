// A mutex for sections of about a microsecond.
#pragma once

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <mutex>

namespace interlock::runtime {

// Who finds it taken looks again for some microseconds before he sleeps: to be woken costs both
// sides more than the wait. Thread-safe.
class BriefMutex {
 public:
  void lock() {
    for (int look = 0; look < kLooks; ++look) {
      if (mutex_.try_lock()) return;
      Pause();
    }
    mutex_.lock();
  }
  bool try_lock() { return mutex_.try_lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  static constexpr int kLooks = 100;  // of some 30 ns

  static void Pause() {
#ifdef __SSE2__
    _mm_pause();
#endif
  }

  std::mutex mutex_;
};

}  // namespace interlock::runtime
