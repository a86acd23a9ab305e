// Where a program waits for the disk: each fdatasync of the log's threads, by its own version of
// that function, which comes before the library's.
#pragma once

#include <cstdint>
#include <vector>

#include "stack.h"

namespace interlock::bench {

struct SyncSpan {
  SteadyClock::time_point start;
  SteadyClock::time_point end;
};

// Since the program's start. Commits are syncs of the log's writer; heads, and copies of the
// write-ahead log into the database, are synced by its upkeep. Thread-safe.
struct Syncs {
  std::vector<SyncSpan> of_writer;
  std::vector<SyncSpan> of_upkeep;
};
Syncs SyncsSoFar();

}  // namespace interlock::bench
