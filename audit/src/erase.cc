#include "audit/erase.h"

#include <sys/stat.h>

#include <chrono>
#include <thread>

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

core::StatusOr<std::set<std::string, std::less<>>> KeysIn(const Log& log) {
  std::set<std::string, std::less<>> keys;
  INTERLOCK_RETURN_IF_ERROR(log.Query([&](sqlite3* db) -> core::Status {
    INTERLOCK_ASSIGN_OR_RETURN(
        Statement select,
        Statement::Prepare(db, "SELECT DISTINCT key_id FROM payload WHERE sealed IS NOT NULL"));
    for (;;) {
      INTERLOCK_ASSIGN_OR_RETURN(const bool row, select.Step());
      if (!row) return core::OkStatus();
      keys.emplace(select.Bytes(0));
    }
  }));
  return keys;
}

namespace {

constexpr int kBusyMillis = 5000;
constexpr int kTruncateTries = 20;  // between the writer's commits and our own short reads
constexpr std::chrono::milliseconds kTruncatePause{10};
constexpr int kPagesUnderLockMax = 256;  // 2 MiB: what a busy writer adds while we copy

// Gives the owner the right to write for as long as it lives.
class WritableFile {
 public:
  explicit WritableFile(const std::string& path) : path_(path) {
    ::chmod(path_.c_str(), S_IRUSR | S_IWUSR);
  }
  ~WritableFile() { ::chmod(path_.c_str(), S_IRUSR); }
  WritableFile(const WritableFile&) = delete;
  WritableFile& operator=(const WritableFile&) = delete;

 private:
  const std::string& path_;
};

core::StatusOr<Db> OpenForErasing(const std::string& database) {
  INTERLOCK_ASSIGN_OR_RETURN(Db db, OpenDb(database, SQLITE_OPEN_READWRITE));
  INTERLOCK_RETURN_IF_ERROR(CheckFormat(db.get()));
  sqlite3_busy_timeout(db.get(), kBusyMillis);
  // EXTRA: a closed log has a rollback journal, which a power cut brings back with what was erased
  // unless the folder is synced after its deletion too.
  INTERLOCK_RETURN_IF_ERROR(Exec(db.get(),
                                 "PRAGMA secure_delete = ON; PRAGMA synchronous = EXTRA;"
                                 "PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY"));
  return db;
}

// A log that has nothing to erase need not be writable.
core::StatusOr<bool> HoldsSealedUnder(const std::string& database, std::string_view key_id) {
  INTERLOCK_ASSIGN_OR_RETURN(const Db db, OpenForReading(database));
  INTERLOCK_RETURN_IF_ERROR(CheckFormat(db.get()));
  INTERLOCK_ASSIGN_OR_RETURN(
      Statement select,
      Statement::Prepare(db.get(),
                         "SELECT 1 FROM payload WHERE key_id = ? AND sealed IS NOT NULL LIMIT 1"));
  return select.Text(1, key_id).Step();
}

}  // namespace

core::Status CanEraseInArchive(const std::string& database) {
  const WritableFile writable(database);
  INTERLOCK_ASSIGN_OR_RETURN(const Db db, OpenForErasing(database));  // reads, and so takes back
  if (sqlite3_db_readonly(db.get(), "main") == 0) return core::OkStatus();
  return core::FailedPrecondition("`" + database +
                                  "` cannot be written; make it writable for the daemon");
}

core::StatusOr<std::int64_t> EraseInArchive(const std::string& database,
                                            const std::vector<std::int64_t>& ids) {
  if (ids.empty()) return 0;
  const WritableFile writable(database);
  INTERLOCK_ASSIGN_OR_RETURN(const Db db, OpenForErasing(database));
  SqlTransaction transaction(db.get());
  INTERLOCK_RETURN_IF_ERROR(transaction.Begin());
  std::int64_t count = 0;
  INTERLOCK_ASSIGN_OR_RETURN(
      Statement erase,
      Statement::Prepare(db.get(),
                         "UPDATE payload SET sealed = NULL WHERE id = ? AND sealed IS NOT NULL"));
  for (const std::int64_t id : ids) {
    INTERLOCK_RETURN_IF_ERROR(erase.Int(1, id).Run());
    count += sqlite3_changes(db.get());
  }
  INTERLOCK_RETURN_IF_ERROR(transaction.Commit());
  return count;
}

core::StatusOr<std::int64_t> EraseInArchive(const std::string& database, std::string_view key_id) {
  INTERLOCK_ASSIGN_OR_RETURN(const bool holds, HoldsSealedUnder(database, key_id));
  if (!holds) return 0;
  const WritableFile writable(database);
  INTERLOCK_ASSIGN_OR_RETURN(const Db db, OpenForErasing(database));
  SqlTransaction transaction(db.get());
  INTERLOCK_RETURN_IF_ERROR(transaction.Begin());
  INTERLOCK_ASSIGN_OR_RETURN(
      Statement erase,
      Statement::Prepare(
          db.get(), "UPDATE payload SET sealed = NULL WHERE key_id = ? AND sealed IS NOT NULL"));
  INTERLOCK_RETURN_IF_ERROR(erase.Text(1, key_id).Run());
  const std::int64_t count = sqlite3_changes(db.get());
  INTERLOCK_RETURN_IF_ERROR(transaction.Commit());
  return count;
}

// A truncating checkpoint holds SQLite's writer lock, and with a busy handler it would hold it for
// as long as it waits for readers: so the copying is done by a passive one before, which blocks
// nobody, and the truncating one gives up at once.
core::Status EmptyWal(const std::string& folder) {
  INTERLOCK_ASSIGN_OR_RETURN(
      const Db db, OpenDb(folder + "/" + std::string(kDatabaseName), SQLITE_OPEN_READWRITE));
  INTERLOCK_RETURN_IF_ERROR(Exec(db.get(), "PRAGMA synchronous = FULL"));
  sqlite3_busy_timeout(db.get(), 0);
  const auto copy = [&db](int mode, int& left) {
    int pages = 0;
    int copied = 0;
    const int rc = sqlite3_wal_checkpoint_v2(db.get(), nullptr, mode, &pages, &copied);
    left = pages - copied;
    return rc;
  };
  int rc = SQLITE_BUSY;
  for (int tries = 0; tries < kTruncateTries && rc == SQLITE_BUSY; ++tries) {
    if (tries > 0) std::this_thread::sleep_for(kTruncatePause);
    int left = 0;
    rc = copy(SQLITE_CHECKPOINT_PASSIVE, left);
    if (rc == SQLITE_OK && left > kPagesUnderLockMax) rc = SQLITE_BUSY;
    if (rc == SQLITE_OK) rc = copy(SQLITE_CHECKPOINT_TRUNCATE, left);
  }
  if (rc == SQLITE_OK) return core::OkStatus();
  if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED) {
    return core::Unavailable("a reader still needs old pages of the write-ahead log");
  }
  return SqlError(db.get(), "emptying the write-ahead log");
}

}  // namespace interlock::audit
