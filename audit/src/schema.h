// The database of a partition: tables, triggers, pragmas, and who may do what on a connection.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "audit/log.h"
#include "audit/payload_key.h"
#include "core/status.h"
#include "sqlite.h"

namespace interlock::audit {

inline constexpr std::int64_t kApplicationId = 0x494C4F47;  // "ILOG"
inline constexpr std::int64_t kSchemaVersion = 2;           // user_version
inline constexpr std::int64_t kPageBytes = 8192;
inline constexpr std::int64_t kWalBytesKept = 64 << 20;  // on the disk, once it was copied
inline constexpr std::string_view kDatabaseName = "audit.db";

// The one row of table `log`.
struct LogIdentity {
  std::string tenant;
  std::string origin;
  std::string verifier_key;
};

// Opens (or makes, mode 0600) `<folder>/audit.db` for writing: WAL, synchronous FULL, defensive, no
// trusted schema, tables and triggers in place. No authorizer yet: see LockDown. `created` says
// whether it is new.
struct WritableDb {
  Db db;
  bool created = false;
};
core::StatusOr<WritableDb> OpenForWriting(const std::string& folder);

// Makes the tables and the identity row of a new database, or checks those of an old one.
// Errors: kFailedPrecondition for another application, a newer schema, or another identity.
// `keys` are the signer's, oldest first: the log's first key must be among them. A file of an older
// version gets what came since (tables and triggers; entries stay as they are). Returns the version
// that the file had.
core::StatusOr<std::int64_t> EstablishSchema(sqlite3* db, const LogIdentity& identity,
                                             std::span<const std::string> keys,
                                             std::int64_t now_us);
// The tables and triggers of a version alone.
core::Status CreateTables(sqlite3* db, std::int64_t version = kSchemaVersion);
core::StatusOr<LogIdentity> ReadIdentity(sqlite3* db);
// kFailedPrecondition unless application_id is ours and user_version is one that we can read.
core::Status CheckFormat(sqlite3* db);

// From here on the connection may read, change `p_` tables and erase payloads; it may insert into
// the tables of the log only while `own_statements` is true. Its triggers are off: they stop every
// other program, and cost half of an insert here, where the statements are ours and prepared.
void LockDownWriter(sqlite3* db, const bool* own_statements);
// Reading only. `query_only`, no PRAGMA, no ATTACH.
enum class SteppedBy { kOneThread, kManyThreads };
core::StatusOr<Db> OpenForReading(const std::string& path, SteppedBy by = SteppedBy::kOneThread);
void LockDownReader(sqlite3* db);

// Key of a tile row: 256 hashes of level 8*level, number n (from 0). Tiles of one level are
// sequential.
inline std::int64_t TileKey(int level, std::uint64_t n) {
  return (static_cast<std::int64_t>(level) << 56) | static_cast<std::int64_t>(n);
}

}  // namespace interlock::audit
