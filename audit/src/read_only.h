// A log's database opened by someone who only looks at it.
#pragma once

#include <string>

#include "core/status.h"
#include "sqlite.h"

namespace interlock::audit {

// One snapshot, for any number of threads. A database at rest is opened as immutable: then SQLite
// makes no -wal or -shm file beside it. Errors: kNotFound; those of SQLite.
core::StatusOr<Db> OpenAtRest(const std::string& path);

}  // namespace interlock::audit
