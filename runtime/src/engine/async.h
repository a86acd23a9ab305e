// Coroutines over callbacks: what the gate and the runs wait with. Engine threads only, but for the
// callbacks themselves, which may come from anywhere.
#pragma once

#include <asio.hpp>
#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace interlock::runtime {

// Who waits for a callback.
template <typename Handler>
struct Waiting {
  explicit Waiting(Handler handler) : resume(std::move(handler)) {}
  Handler resume;
  std::atomic_flag told;
};

// Suspends until the callback given to `start` is called, from any thread, and goes on, with its
// value, on the coroutine's own executor. Who calls twice, or late once more, is heard once: nobody
// waits for the rest.
template <typename T, typename Start>
asio::awaitable<T> Await(Start start) {
  auto initiate = [start = std::move(start)](auto handler) mutable {
    auto executor = asio::get_associated_executor(handler);
    auto waiting = std::make_shared<Waiting<decltype(handler)>>(std::move(handler));
    start([waiting, executor](T value) mutable {
      if (waiting->told.test_and_set()) return;
      asio::post(executor, [waiting, value = std::move(value)]() mutable {
        auto resume = std::move(waiting->resume);
        resume(std::move(value));
      });
    });
  };
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(T)>(
      std::move(initiate), asio::use_awaitable);
}

// What waits for a time, on a thread of its own. An io_context that has had one timer waits in
// epoll for ever after, between any two handlers too, and is woken under its own lock: those of the
// workers have none, and wait on a condition. Thread-safe.
class Timers {
 public:
  Timers();
  ~Timers() { Stop(); }
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;

  asio::any_io_executor executor() { return io_.get_executor(); }
  // Afterwards no timer ends any more.
  void Stop();

 private:
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard_;
  std::thread thread_;
};

asio::awaitable<void> SleepFor(Timers& timers, std::int64_t micros);

// Counts places; waiters are served in order. Thread-safe.
class Places {
 public:
  explicit Places(int count) : free_(count) {}
  asio::awaitable<void> Take();
  void Give();
  bool AnyFree() const;

 private:
  mutable std::mutex mutex_;
  int free_;
  std::deque<std::function<void(bool)>> waiters_;
};

// Named locks (rule 3): taken sorted, served in order, a bounded wait. Thread-safe.
class LockTable {
 public:
  // Null: where nobody ever waits.
  explicit LockTable(Timers* timers) : timers_(timers) {}

  // Takes every key or, when that takes longer than wait_us, none. Precondition: keys are sorted
  // and unique.
  asio::awaitable<bool> Take(std::vector<std::string> keys, std::int64_t wait_us);
  void Give(const std::vector<std::string>& keys);
  // Takes what is free of the keys, at once. Returns those.
  std::vector<std::string> Seize(std::vector<std::string> keys);

 private:
  struct Waiter {
    Waiter(asio::any_io_executor on, Timers& timers)
        : executor(std::move(on)), timer(timers.executor()) {}
    const asio::any_io_executor executor;  // of the coroutine: it alone uses the timer
    asio::steady_timer timer;
    bool granted = false;  // under mutex_
  };
  // Null when the key was free and is taken now.
  std::shared_ptr<Waiter> Enqueue(const std::string& key, const asio::any_io_executor& executor);
  bool StopWaiting(const std::string& key, const std::shared_ptr<Waiter>& waiter);

  Timers* const timers_;
  std::mutex mutex_;
  std::map<std::string, std::deque<std::shared_ptr<Waiter>>> held_;  // key -> who waits
};

}  // namespace interlock::runtime
