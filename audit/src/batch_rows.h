// The rows of a batch as tables that SQLite reads from memory: one statement inserts all of them,
// at half the price of one statement a row.
#pragma once

#include <sqlite3.h>

#include "batch.h"
#include "core/status.h"

namespace interlock::audit {

// Makes the virtual tables `batch_entry` (columns as of `entry`) and `batch_payload` (as of
// `payload`) known to a connection. They read what `*batch` points to while a statement runs; null:
// no rows. `batch` must outlive the connection's statements. Before the authorizer is set.
core::Status AddBatchTables(sqlite3* db, const Batch* const* batch);

}  // namespace interlock::audit
