// A consistent copy of a log for auditors' own SQL (rule 29), made while the daemon writes.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "core/status.h"

namespace interlock::audit {

struct SnapshotReport {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  std::uint64_t uncovered =
      0;  // of the entries: under no checkpoint, or not in the projections yet
};

// A daemon at work signs and folds a little later than it commits; verification of a copy that
// lacks that is incomplete for ever.
struct SnapshotWait {
  std::chrono::milliseconds patience{2000};  // while a daemon has the folder
  std::function<void()> ask_for_head;        // called once, when one is lacking; may be empty
};

// Copies `database` (audit.db) with SQLite's backup interface into the new file `out`: one file,
// mode 0600, without a write-ahead log. Payloads stay sealed. Errors: kFailedPrecondition when
// `out` exists or `database` is no log. The state that is copied is one that checkpoints cover, if
// there is such within the patience.
core::StatusOr<SnapshotReport> Snapshot(const std::string& database, const std::string& out,
                                        const SnapshotWait& wait);

}  // namespace interlock::audit
