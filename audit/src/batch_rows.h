// The rows of a segment as tables that SQLite reads from memory: one statement inserts all of them,
// at half the price of one statement a row.
#pragma once

#include <sqlite3.h>

#include <span>

#include "batch.h"
#include "core/status.h"
#include "run_index.h"

namespace interlock::audit {

// Makes the virtual tables `batch_entry` (columns as of `entry`) and `batch_payload` (as of
// `payload`) known to a connection. They read what `*segment` points to while a statement runs;
// null: no rows. `segment` must outlive the connection's statements. Before the authorizer is set.
core::Status AddBatchTables(sqlite3* db, const Segment* const* segment);

// The same for `batch_run` (columns as of `p_entry_run`).
core::Status AddRunTable(sqlite3* db, const std::span<const RunRow>* const* rows);

}  // namespace interlock::audit
