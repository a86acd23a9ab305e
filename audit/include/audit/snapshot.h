// A consistent copy of a log for auditors' own SQL (rule 29), made while the daemon writes.
#pragma once

#include <cstdint>
#include <string>

#include "core/status.h"

namespace interlock::audit {

struct SnapshotReport {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
};

// Copies `database` (audit.db) with SQLite's backup interface into the new file `out`: one file,
// mode 0600, without a write-ahead log. Payloads stay sealed. Errors: kFailedPrecondition when
// `out` exists or `database` is no log.
core::StatusOr<SnapshotReport> Snapshot(const std::string& database, const std::string& out);

}  // namespace interlock::audit
