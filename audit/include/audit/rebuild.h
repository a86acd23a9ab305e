// The projections of a log made anew from its entries, while no daemon has it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "audit/log.h"
#include "core/status.h"

namespace interlock::audit {

// Rows of a table, or a view's text as one row, by which the new projections are not the old ones.
struct ProjectionDifference {
  std::string name;
  std::uint64_t foreign = 0;  // that the entries do not make, and that are gone now
  std::uint64_t lacking = 0;  // that the entries make, and that were not there
};

struct RebuildReport {
  std::uint64_t entries = 0;
  std::uint64_t checkpoints = 0;     // that hold
  std::uint64_t signed_entries = 0;  // under one of them, or under the signer's last head
  std::uint64_t folded = 0;          // entries that the old projections said they hold
  std::vector<ProjectionDifference> differences;
};

// Checks hashes, tree and heads of `options.folder`'s audit.db first, then drops every `p_` table
// and `v_` view and folds them from entries. `options` as for Log::Open. Entries and heads are not
// touched; a process that ends in between leaves tables that the next Log::Open makes anew. Errors,
// with nothing changed: kFailedPrecondition: a daemon has the folder (with its pid), the signer
// never signed with the log's key, or the log cannot be read; kDataLoss: the log itself is damaged,
// or is not what the signer signed.
core::StatusOr<RebuildReport> RebuildProjections(const LogOptions& options);

}  // namespace interlock::audit
