// Sealed content against what entries commit to. Verifiers without the keys see lengths and
// commitments only; whether the bytes open is seen here.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "audit/keys.h"
#include "audit/log.h"
#include "core/status.h"

namespace interlock::audit {

// What one look found. Payloads are named by the PayloadKey of their row.
struct ContentLook {
  std::uint64_t next_index = 0;       // entries below it were looked at
  std::uint64_t opened = 0;           // payloads that are what their entries commit to
  std::vector<std::int64_t> damaged;  // missing, or not what the entry commits to
  // Still sealed, and the key is not in keys.db: destroyed because an entry says so, or lost.
  std::vector<std::pair<std::int64_t, std::string>> keyless;  // with the key's id
};

// Opens every payload of up to `entries_max` entries from `first` on. Thread-safe. Errors: those of
// reading the log and keys.db.
core::StatusOr<ContentLook> LookAtContent(const Log& log, KeyStore& keys, std::uint64_t first,
                                          int entries_max);

}  // namespace interlock::audit
