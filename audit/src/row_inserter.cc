#include "row_inserter.h"

#include <pthread.h>

#include <utility>

namespace interlock::audit {

RowInserter::~RowInserter() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  given_.notify_one();
  thread_.join();
}

void RowInserter::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void RowInserter::Give(const Segment& segment) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(&segment);
  }
  given_.notify_one();
}

core::Status RowInserter::Drain() {
  std::unique_lock lock(mutex_);
  done_.wait(lock, [&] { return taken_ == waiting_.size() && !inserting_; });
  waiting_.clear();
  taken_ = 0;
  return std::exchange(failure_, core::OkStatus());
}

void RowInserter::Loop() {
  ::pthread_setname_np(::pthread_self(), "audit-insert");
  std::unique_lock lock(mutex_);
  for (;;) {
    given_.wait(lock, [&] { return ending_ || taken_ < waiting_.size(); });
    if (taken_ == waiting_.size()) return;
    const Segment& segment = *waiting_[taken_++];
    if (failure_.ok()) {
      inserting_ = true;
      lock.unlock();
      core::Status status = insert_(segment);
      lock.lock();
      inserting_ = false;
      failure_ = std::move(status);
    }
    if (taken_ == waiting_.size()) done_.notify_one();
  }
}

}  // namespace interlock::audit
