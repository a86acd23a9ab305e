// Entries of a log, or of one run, read page by page.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "audit/log.h"
#include "core/status.h"

namespace interlock::runtime {

// One per thread. Borrows the log.
class EntryPager {
 public:
  // From index `first` on.
  explicit EntryPager(const audit::Log& log, std::uint64_t first = 0) : log_(log), next_(first) {}
  // All of a run; empty: all of the log.
  EntryPager(const audit::Log& log, std::string run) : log_(log), run_(std::move(run)) {}

  // The next page, oldest first; empty at the end. Errors: those of reading.
  core::StatusOr<std::vector<audit::Entry>> Next();

 private:
  const audit::Log& log_;
  const std::string run_;
  std::uint64_t next_ = 0;  // index, or run_seq of a run
  bool more_ = true;
};

}  // namespace interlock::runtime
