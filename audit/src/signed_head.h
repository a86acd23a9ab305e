// What the signer remembers of a log, held against the log.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "audit/checkpoint.h"
#include "core/status.h"
#include "sqlite.h"

namespace interlock::audit {

struct SignedHead {
  Checkpoint head;     // the last one that the signer signed
  bool holds = false;  // the log has its entries, and they are those that it signed
};

// Nothing: the signer never signed a head of `origin` that has entries. `size`: entries in `db`.
// Errors: of the signer, and kDataLoss for a stored tree that cannot be read.
core::StatusOr<std::optional<SignedHead>> LastSignedHead(sqlite3* db, std::uint64_t size,
                                                         Signer& signer, const std::string& origin);

}  // namespace interlock::audit
