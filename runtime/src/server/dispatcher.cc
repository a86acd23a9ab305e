#include "server/dispatcher.h"

namespace interlock::runtime {
namespace {
// Between Abort and the end of an answer there is only gRPC; it needs no longer than this.
constexpr std::chrono::seconds kAbortGrace{2};
}  // namespace

void Dispatcher::Start(int threads) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Serve(); });
}

void Dispatcher::Serve() {
  void* tag = nullptr;
  bool ok = false;
  while (queue_->Next(&tag, &ok)) static_cast<Tag*>(tag)->Proceed(ok);
}

bool Dispatcher::Track(std::shared_ptr<Inflight> rpc) {
  const std::scoped_lock lock(mutex_);
  if (draining()) return false;
  inflight_.insert(std::move(rpc));
  return true;
}

void Dispatcher::Untrack(const std::shared_ptr<Inflight>& rpc) {
  const std::scoped_lock lock(mutex_);
  inflight_.erase(rpc);
  if (inflight_.empty()) changed_.notify_all();
}

std::vector<std::shared_ptr<Inflight>> Dispatcher::Tracked() {
  const std::scoped_lock lock(mutex_);
  return {inflight_.begin(), inflight_.end()};
}

void Dispatcher::Drain(std::chrono::milliseconds grace) {
  {
    const std::scoped_lock lock(mutex_);  // with Track: after this none is added
    draining_.store(true, std::memory_order_release);
  }
  for (const auto& rpc : Tracked()) rpc->OnDrain();
  std::unique_lock lock(mutex_);
  const auto none_left = [this] { return inflight_.empty(); };
  if (changed_.wait_for(lock, grace, none_left)) return;
  lock.unlock();
  for (const auto& rpc : Tracked()) rpc->Abort();
  lock.lock();
  changed_.wait_for(lock, kAbortGrace, none_left);
}

void Dispatcher::Close() {
  {
    const std::unique_lock lock(gate_);
    if (closed_) return;
    closed_ = true;
    queue_->Shutdown();
  }
  for (std::thread& thread : threads_) thread.join();
  if (threads_.empty()) {  // never started: the queue must be emptied all the same
    Serve();
  }
}

}  // namespace interlock::runtime
