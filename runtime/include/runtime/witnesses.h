// The log's side of c2sp.org/tlog-witness: brings new heads to witnesses and keeps their
// cosignatures in the log. Beside the append path: an append never waits for a witness.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "audit/log.h"
#include "core/clock.h"
#include "core/status.h"
#include "runtime/config.h"
#include "tools/fetcher.h"

namespace interlock::runtime {

struct WitnessesOptions {
  audit::Log* log = nullptr;          // borrowed, outlives the witnesses, as the next two
  tools::Fetcher* fetcher = nullptr;  // rule 25
  const core::Clock* clock = nullptr;
  std::vector<WitnessConfig> witnesses;
  std::int64_t interval_ms = 1'000;    // each is asked at most this often; after failures less
  std::int64_t patience_ms = 300'000;  // away for longer: a warning
  std::int64_t timeout_ms = 10'000;    // of one exchange
  std::int64_t last_round_ms = 3'000;  // of the exchange at the end
  // A line for the operator when a witness comes to be, or ceases to be, something to worry about.
  // From its thread.
  std::function<void(const std::string&)> report;
};

// Thread-safe. One thread a witness.
class Witnesses {
 public:
  // Shows each the last head, for last_round_ms at most, and ends.
  virtual ~Witnesses() = default;
  // One line each: a witness that saw another history of the log, one that refuses, one that has
  // been away for longer than patience_ms.
  virtual std::vector<std::string> warnings() const = 0;
  // Calls `done` once, when any witness has cosigned a head that covers entry `index` and that is
  // stored; Log::CosignedCheckpoint gives it. From a witness's thread, or from here. Errors:
  // kDeadlineExceeded; kUnavailable when the daemon ends; kFailedPrecondition when there are none.
  virtual void AwaitCosigned(std::uint64_t index, std::chrono::steady_clock::time_point deadline,
                             std::function<void(core::Status)> done) = 0;
};

// Errors: kInvalidArgument for a key that is none.
core::StatusOr<std::unique_ptr<Witnesses>> StartWitnesses(WitnessesOptions options);

}  // namespace interlock::runtime
