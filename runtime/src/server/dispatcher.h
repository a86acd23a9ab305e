// The completion queue, its threads, and what is in flight on it.
#pragma once

#include <grpcpp/completion_queue.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <unordered_set>
#include <vector>

namespace interlock::runtime {

// What the completion queue gives back.
class Tag {
 public:
  virtual void Proceed(bool ok) = 0;

 protected:
  ~Tag() = default;
};

// An RPC between its arrival and the end of its answer.
class Inflight {
 public:
  virtual ~Inflight() = default;
  virtual void
  OnDrain() = 0;             // the server is going down: a stream ends now, a unary call may go on
  virtual void Abort() = 0;  // answer at once with UNAVAILABLE, unless it is answered already
};

// Thread-safe. Neither copies nor moves.
class Dispatcher {
 public:
  explicit Dispatcher(std::unique_ptr<grpc::ServerCompletionQueue> queue)
      : queue_(std::move(queue)) {}
  ~Dispatcher() { Close(); }

  void Start(int threads);

  // Runs `operation(queue)`, which hands a tag to gRPC, unless the queue is closed; whether it ran.
  template <typename Operation>
  bool Post(Operation operation) {
    const std::shared_lock lock(gate_);
    if (closed_) return false;
    operation(queue_.get());
    return true;
  }

  // Whether it was taken: not when draining.
  bool Track(std::shared_ptr<Inflight> rpc);
  void Untrack(const std::shared_ptr<Inflight>& rpc);

  bool draining() const { return draining_.load(std::memory_order_acquire); }
  // No new RPCs; tells those in flight, waits up to `grace`, then aborts the rest and waits for
  // their end.
  void Drain(std::chrono::milliseconds grace);
  // After the gRPC server is shut down: no tags any more, threads joined. Idempotent.
  void Close();

 private:
  void Serve();
  std::vector<std::shared_ptr<Inflight>> Tracked();

  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::vector<std::thread> threads_;
  std::shared_mutex gate_;  // guards closed_ against operations that are being started
  bool closed_ = false;
  std::atomic<bool> draining_ = false;
  std::mutex mutex_;  // guards inflight_
  std::condition_variable changed_;
  std::unordered_set<std::shared_ptr<Inflight>> inflight_;
};

}  // namespace interlock::runtime
