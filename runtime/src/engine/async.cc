#include "engine/async.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>

namespace interlock::runtime {

Timers::Timers() : guard_(asio::make_work_guard(io_)), thread_([this] { io_.run(); }) {
  ::pthread_setname_np(thread_.native_handle(), "engine-timers");
}

void Timers::Stop() {
  if (!thread_.joinable()) return;
  io_.stop();
  thread_.join();
}

asio::awaitable<void> SleepFor(Timers& timers, std::int64_t micros) {
  asio::steady_timer timer(timers.executor());
  timer.expires_after(std::chrono::microseconds(micros));
  asio::error_code ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

asio::awaitable<void> Places::Take() {
  auto start = [this](std::function<void(bool)> ready) {
    {
      const std::lock_guard lock(mutex_);
      if (free_ == 0) {
        waiters_.push_back(std::move(ready));
        return;
      }
      --free_;
    }
    ready(true);
  };
  {
    const std::lock_guard lock(mutex_);
    if (free_ > 0 && waiters_.empty()) {
      --free_;
      co_return;
    }
  }
  co_await Await<bool>(std::move(start));
}

void Places::Give() {
  std::function<void(bool)> next;
  {
    const std::lock_guard lock(mutex_);
    if (waiters_.empty()) {
      ++free_;
      return;
    }
    next = std::move(waiters_.front());
    waiters_.pop_front();
  }
  next(true);
}

bool Places::AnyFree() const {
  const std::lock_guard lock(mutex_);
  return free_ > 0;
}

std::shared_ptr<LockTable::Waiter> LockTable::Enqueue(const std::string& key,
                                                      const asio::any_io_executor& executor) {
  const std::lock_guard lock(mutex_);
  const auto [at, fresh] = held_.try_emplace(key);
  if (fresh) return nullptr;
  return at->second.emplace_back(std::make_shared<Waiter>(executor, *timers_));
}

std::vector<std::string> LockTable::Seize(std::vector<std::string> keys) {
  const std::lock_guard lock(mutex_);
  std::erase_if(keys, [this](const std::string& key) { return !held_.try_emplace(key).second; });
  return keys;
}

// True when the lock came after all, in the moment the wait ran out.
bool LockTable::StopWaiting(const std::string& key, const std::shared_ptr<Waiter>& waiter) {
  const std::lock_guard lock(mutex_);
  if (waiter->granted) return true;
  auto& queue = held_.at(key);
  queue.erase(std::find(queue.begin(), queue.end(), waiter));
  return false;
}

asio::awaitable<bool> LockTable::Take(std::vector<std::string> keys, std::int64_t wait_us) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::microseconds(wait_us);
  std::vector<std::string> taken;
  for (const std::string& key : keys) {
    const std::shared_ptr<Waiter> waiter = Enqueue(key, executor);
    if (waiter != nullptr) {
      waiter->timer.expires_at(deadline);
      asio::error_code ignored;
      co_await waiter->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      if (!StopWaiting(key, waiter)) {
        Give(taken);
        co_return false;
      }
    }
    taken.push_back(key);
  }
  co_return true;
}

void LockTable::Give(const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    std::shared_ptr<Waiter> next;
    {
      const std::lock_guard lock(mutex_);
      const auto at = held_.find(key);
      if (at == held_.end()) continue;
      if (at->second.empty()) {
        held_.erase(at);
        continue;
      }
      next = at->second.front();
      at->second.pop_front();
      next->granted = true;
    }
    // On the waiter's own thread, so that the wait has begun before it is cut short.
    asio::post(next->executor, [next] { next->timer.cancel(); });
  }
}

}  // namespace interlock::runtime
