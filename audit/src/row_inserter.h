// Puts the closed segments of a batch into the open transaction while the writer applies the next
// commands: hashing on one core, SQLite on another.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "batch.h"
#include "core/status.h"

namespace interlock::audit {

// Used by one thread, the writer.
class RowInserter {
 public:
  using Insert = std::function<core::Status(const Segment&)>;

  // `insert` is called on the inserter's own thread, for one segment at a time, in order.
  explicit RowInserter(Insert insert) : insert_(std::move(insert)) {}
  ~RowInserter();
  RowInserter(const RowInserter&) = delete;
  RowInserter& operator=(const RowInserter&) = delete;

  // Begins the thread. Before the first Give.
  void Start();
  // The segment does not change before Drain has returned.
  void Give(const Segment& segment);
  // Waits until every segment is in. The first failure, if any; what was given after it was left
  // out. The next batch begins with no failure.
  core::Status Drain();

 private:
  void Loop();

  const Insert insert_;
  std::mutex mutex_;
  std::condition_variable given_;
  std::condition_variable done_;
  std::vector<const Segment*> waiting_;
  std::size_t taken_ = 0;  // of waiting_
  bool inserting_ = false;
  bool ending_ = false;
  core::Status failure_ = core::OkStatus();
  std::thread thread_;
};

}  // namespace interlock::audit
