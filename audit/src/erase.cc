#include "audit/erase.h"

#include "schema.h"
#include "sqlite.h"

namespace interlock::audit {

core::StatusOr<std::vector<std::int64_t>> SealedUnder(const Log& log, std::string_view key_id,
                                                      std::int64_t first, std::size_t max) {
  std::vector<std::int64_t> ids;
  INTERLOCK_RETURN_IF_ERROR(log.Query([&](sqlite3* db) -> core::Status {
    INTERLOCK_ASSIGN_OR_RETURN(
        Statement select, Statement::Prepare(db,
                                             "SELECT id FROM payload WHERE id >= ? AND key_id = ? "
                                             "AND sealed IS NOT NULL ORDER BY id LIMIT ?"));
    select.Int(1, first).Text(2, key_id).Int(3, static_cast<std::int64_t>(max));
    for (;;) {
      INTERLOCK_ASSIGN_OR_RETURN(const bool row, select.Step());
      if (!row) return core::OkStatus();
      ids.push_back(select.Int(0));
    }
  }));
  return ids;
}

core::Status EmptyWal(const std::string& folder) {
  INTERLOCK_ASSIGN_OR_RETURN(
      const Db db, OpenDb(folder + "/" + std::string(kDatabaseName), SQLITE_OPEN_READWRITE));
  INTERLOCK_RETURN_IF_ERROR(Exec(db.get(), "PRAGMA synchronous = FULL"));
  const int rc =
      sqlite3_wal_checkpoint_v2(db.get(), nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  if (rc == SQLITE_OK) return core::OkStatus();
  if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED) {
    return core::Unavailable("a reader still needs old pages of the write-ahead log");
  }
  return SqlError(db.get(), "emptying the write-ahead log");
}

}  // namespace interlock::audit
