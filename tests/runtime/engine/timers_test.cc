// Waits of coroutines: their time passes on another thread, and they go on on their own.
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/async.h"

namespace interlock::runtime {
namespace {

constexpr std::int64_t kLong = 60'000'000;  // longer than the test may take

// A thread that runs coroutines, as the engine's workers do.
class OneWorker {
 public:
  OneWorker() : guard_(asio::make_work_guard(io_)), thread_([this] { io_.run(); }) {}
  ~OneWorker() {
    guard_.reset();
    thread_.join();
  }
  std::thread::id id() const { return thread_.get_id(); }
  template <typename T>
  std::future<T> Run(asio::awaitable<T> work) {
    return asio::co_spawn(io_, std::move(work), asio::use_future);
  }

 private:
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard_;
  std::thread thread_;
};

asio::awaitable<std::thread::id> AfterAPause(Timers& timers) {
  co_await SleepFor(timers, 1);
  co_return std::this_thread::get_id();
}

struct Taken {
  bool got = false;
  std::thread::id on;
};
asio::awaitable<Taken> Take(LockTable& locks, std::vector<std::string> keys, std::int64_t wait_us) {
  const bool got = co_await locks.Take(std::move(keys), wait_us);
  co_return Taken{.got = got, .on = std::this_thread::get_id()};
}

TEST(Timers, WhoPausedGoesOnOnHisOwnThread) {
  Timers timers;
  OneWorker worker;
  EXPECT_EQ(worker.Run(AfterAPause(timers)).get(), worker.id());
}

TEST(Timers, ALockThatIsGivenBackIsHadLongBeforeTheWaitEnds) {
  Timers timers;
  LockTable locks(&timers);
  OneWorker one;
  OneWorker other;
  for (int i = 0; i < 200; ++i) {  // given back while the other is about to wait, or waits
    ASSERT_TRUE(one.Run(Take(locks, {"order:1"}, kLong)).get().got);
    auto waits = other.Run(Take(locks, {"order:1"}, kLong));
    if (i % 2 == 0) std::this_thread::yield();
    locks.Give({"order:1"});
    ASSERT_EQ(waits.wait_for(std::chrono::seconds(20)), std::future_status::ready);
    const Taken taken = waits.get();
    ASSERT_TRUE(taken.got);
    ASSERT_EQ(taken.on, other.id());
    locks.Give({"order:1"});
  }
}

TEST(Timers, AWaitThatEndsLeavesNothingTaken) {
  Timers timers;
  LockTable locks(&timers);
  OneWorker one;
  OneWorker other;
  ASSERT_TRUE(one.Run(Take(locks, {"b"}, kLong)).get().got);
  const Taken late = other.Run(Take(locks, {"a", "b"}, 1)).get();
  EXPECT_FALSE(late.got);
  EXPECT_EQ(late.on, other.id());
  EXPECT_TRUE(one.Run(Take(locks, {"a"}, 1)).get().got);
}

}  // namespace
}  // namespace interlock::runtime
