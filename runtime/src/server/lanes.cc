#include "server/lanes.h"

#include <asio/post.hpp>
#include <asio/thread_pool.hpp>
#include <atomic>
#include <string>

namespace interlock::runtime {

struct Lanes::One {
  explicit One(std::size_t threads) : pool(threads) {}

  std::atomic<int> requests{0};
  asio::thread_pool pool;
};

// Two threads where tenants, or long reads, are apart from each other.
Lanes::Lanes()
    : lanes_{std::make_unique<One>(2), std::make_unique<One>(2), std::make_unique<One>(1),
             std::make_unique<One>(2)} {}

Lanes::~Lanes() { Close(); }

bool Lanes::Post(Lane lane, std::function<void()> task) {
  One& one = *lanes_.at(static_cast<std::size_t>(lane));
  if (one.requests.fetch_add(1) >= kLaneRequestsMax) {
    one.requests.fetch_sub(1);
    return false;
  }
  asio::post(one.pool, [&one, task = std::move(task)] {
    task();
    one.requests.fetch_sub(1);
  });
  return true;
}

void Lanes::Close() {
  for (const auto& one : lanes_) one->pool.stop();
  for (const auto& one : lanes_) one->pool.join();
}

core::Status Lanes::TooLate() {
  return WithReason(
      core::Error(core::StatusCode::kDeadlineExceeded,
                  "the caller's deadline had passed before it was the request's turn"),
      "DEADLINE");
}

core::Status Lanes::TooMany() {
  return WithReason(core::ResourceExhausted("too many requests wait for the same; ask later"),
                    "TOO_MANY_WAIT");
}

}  // namespace interlock::runtime
