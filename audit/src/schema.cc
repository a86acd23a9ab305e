#include "schema.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "private_file.h"
#include "wal_vfs.h"

namespace interlock::audit {
namespace {

// Rows of `entry`, `tile` and `checkpoint` never change. Their triggers stop every writer that
// keeps the schema, INSERT OR REPLACE included (it deletes without firing delete triggers, so the
// insert is what must be stopped); a writer that drops the triggers is found by the tree
// (docs/audit_format.md).
constexpr const char* kSchema = R"sql(
CREATE TABLE log(
  id INTEGER PRIMARY KEY CHECK(id = 1),
  tenant TEXT NOT NULL, origin TEXT NOT NULL, verifier_key TEXT NOT NULL, created_us INTEGER NOT NULL
) STRICT;
CREATE TABLE entry(
  idx INTEGER PRIMARY KEY CHECK(idx >= 0),
  hash BLOB NOT NULL CHECK(length(hash) = 32),
  bytes BLOB NOT NULL CHECK(length(bytes) BETWEEN 2 AND 65535)
) STRICT;
CREATE TABLE tile(
  id INTEGER PRIMARY KEY CHECK(id >= 0),
  root BLOB NOT NULL CHECK(length(root) = 32),
  hashes BLOB NOT NULL CHECK(length(hashes) = 8192)
) STRICT;
CREATE TABLE checkpoint(
  size INTEGER PRIMARY KEY CHECK(size > 0),
  root BLOB NOT NULL CHECK(length(root) = 32),
  note TEXT NOT NULL
) STRICT;
CREATE TABLE payload(
  id INTEGER PRIMARY KEY CHECK(id >= 0),
  key_id TEXT NOT NULL,
  commitment BLOB NOT NULL CHECK(length(commitment) = 32),
  media TEXT NOT NULL,
  plain_bytes INTEGER NOT NULL CHECK(plain_bytes >= 0),
  sealed BLOB
) STRICT;

CREATE TABLE blob(
  digest BLOB PRIMARY KEY CHECK(length(digest) = 32),
  bytes BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER blob_new BEFORE INSERT ON blob WHEN EXISTS (SELECT 1 FROM blob WHERE digest = NEW.digest)
  BEGIN SELECT RAISE(ABORT, 'blobs are append-only'); END;
CREATE TRIGGER blob_no_update BEFORE UPDATE ON blob BEGIN SELECT RAISE(ABORT, 'blobs are append-only'); END;
CREATE TRIGGER blob_no_delete BEFORE DELETE ON blob BEGIN SELECT RAISE(ABORT, 'blobs are append-only'); END;

CREATE TRIGGER log_fixed_update BEFORE UPDATE ON log BEGIN SELECT RAISE(ABORT, 'the log row is fixed'); END;
CREATE TRIGGER log_fixed_delete BEFORE DELETE ON log BEGIN SELECT RAISE(ABORT, 'the log row is fixed'); END;
CREATE TRIGGER log_once BEFORE INSERT ON log WHEN EXISTS (SELECT 1 FROM log)
  BEGIN SELECT RAISE(ABORT, 'the log row is fixed'); END;

CREATE TRIGGER entry_next BEFORE INSERT ON entry
  WHEN NEW.idx IS NOT (SELECT coalesce(max(idx), -1) + 1 FROM entry)
  BEGIN SELECT RAISE(ABORT, 'entry index must be the next one'); END;
CREATE TRIGGER entry_no_update BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER entry_no_delete BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;

CREATE TRIGGER tile_new BEFORE INSERT ON tile WHEN EXISTS (SELECT 1 FROM tile WHERE id = NEW.id)
  BEGIN SELECT RAISE(ABORT, 'tiles are append-only'); END;
CREATE TRIGGER tile_no_update BEFORE UPDATE ON tile BEGIN SELECT RAISE(ABORT, 'tiles are append-only'); END;
CREATE TRIGGER tile_no_delete BEFORE DELETE ON tile BEGIN SELECT RAISE(ABORT, 'tiles are append-only'); END;

CREATE TRIGGER checkpoint_next BEFORE INSERT ON checkpoint
  WHEN NEW.size <= (SELECT coalesce(max(size), 0) FROM checkpoint)
  BEGIN SELECT RAISE(ABORT, 'checkpoints only grow'); END;
CREATE TRIGGER checkpoint_no_update BEFORE UPDATE ON checkpoint
  BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END;
CREATE TRIGGER checkpoint_no_delete BEFORE DELETE ON checkpoint
  BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END;

CREATE TRIGGER payload_next BEFORE INSERT ON payload
  WHEN NEW.id <= (SELECT coalesce(max(id), -1) FROM payload)
  BEGIN SELECT RAISE(ABORT, 'payload keys only grow'); END;
CREATE TRIGGER payload_erase_only BEFORE UPDATE ON payload
  WHEN NEW.sealed IS NOT NULL OR NEW.id IS NOT OLD.id OR NEW.key_id IS NOT OLD.key_id
    OR NEW.commitment IS NOT OLD.commitment OR NEW.media IS NOT OLD.media
    OR NEW.plain_bytes IS NOT OLD.plain_bytes
  BEGIN SELECT RAISE(ABORT, 'a payload can only be erased'); END;
CREATE TRIGGER payload_no_delete BEFORE DELETE ON payload
  BEGIN SELECT RAISE(ABORT, 'a payload can only be erased'); END;

CREATE TABLE p_watermark(
  id INTEGER PRIMARY KEY CHECK(id = 1),
  next_idx INTEGER NOT NULL,  -- entries below it are in the projections
  schema_digest TEXT NOT NULL
) STRICT;
)sql";

// What a version adds to the one before; the first is kSchema. Never changed once released.
constexpr std::array<const char*, kSchemaVersion> kVersions = {kSchema, R"sql(
CREATE TABLE cosignature(
  size INTEGER NOT NULL CHECK(size > 0),
  name TEXT NOT NULL,
  line TEXT NOT NULL,
  PRIMARY KEY(size, name)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER cosignature_new BEFORE INSERT ON cosignature
  WHEN EXISTS (SELECT 1 FROM cosignature WHERE size = NEW.size AND name = NEW.name)
  BEGIN SELECT RAISE(ABORT, 'cosignatures are append-only'); END;
CREATE TRIGGER cosignature_no_update BEFORE UPDATE ON cosignature
  BEGIN SELECT RAISE(ABORT, 'cosignatures are append-only'); END;
CREATE TRIGGER cosignature_no_delete BEFORE DELETE ON cosignature
  BEGIN SELECT RAISE(ABORT, 'cosignatures are append-only'); END;
)sql"};

// Table `name` is a projection: derived from entries, may be changed and rebuilt.
bool IsProjection(const char* name) { return name != nullptr && std::strncmp(name, "p_", 2) == 0; }
bool IsPayload(const char* name) { return name != nullptr && std::strcmp(name, "payload") == 0; }
bool IsInternal(const char* name) {
  return name == nullptr || std::strncmp(name, "sqlite_", 7) == 0;
}

int AuthorizeReading(void*, int action, const char*, const char*, const char*, const char*) {
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_FUNCTION:
    case SQLITE_RECURSIVE:
    case SQLITE_TRANSACTION:
      return SQLITE_OK;
    default:
      return SQLITE_DENY;
  }
}

int AuthorizeWriting(void* context, int action, const char* table, const char* b, const char* c,
                     const char* trigger) {
  switch (action) {
    case SQLITE_INSERT:
      if (IsProjection(table)) return SQLITE_OK;
      return !IsInternal(table) && *static_cast<const bool*>(context) ? SQLITE_OK : SQLITE_DENY;
    case SQLITE_UPDATE:
      return IsProjection(table) || (IsPayload(table) && std::strcmp(b, "sealed") == 0)
                 ? SQLITE_OK
                 : SQLITE_DENY;
    case SQLITE_DELETE:
      return IsProjection(table) ? SQLITE_OK : SQLITE_DENY;
    case SQLITE_SAVEPOINT:
      return SQLITE_OK;
    default:
      return AuthorizeReading(context, action, table, b, c, trigger);
  }
}

void Harden(sqlite3* db) {
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
}

// SQLite gives -wal and -shm the mode of the database file, so that is made first and private.
core::StatusOr<bool> TouchPrivate(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (fd.valid()) return true;
  if (errno == EEXIST) return false;
  return ErrnoStatus("cannot make", path);
}

// Who can write the file or put another in its place decides what the gate believes of money.
core::Status CheckOthersCannotWrite(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? core::OkStatus() : ErrnoStatus("cannot stat", path);
  }
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) == 0) return core::OkStatus();
  return core::PermissionDenied("others may write `" + path +
                                "`; take that right away (chmod go-w)");
}

core::Status InsertIdentity(sqlite3* db, const LogIdentity& identity, std::int64_t now_us) {
  INTERLOCK_ASSIGN_OR_RETURN(
      Statement insert,
      Statement::Prepare(db,
                         "INSERT INTO log(id, tenant, origin, verifier_key, created_us) "
                         "VALUES(1, ?, ?, ?, ?)"));
  return insert.Text(1, identity.tenant)
      .Text(2, identity.origin)
      .Text(3, identity.verifier_key)
      .Int(4, now_us)
      .Run();
}

core::Status Mismatch(std::string_view what, const std::string& stored, const std::string& given) {
  return core::FailedPrecondition("the log belongs to " + std::string(what) + " `" + stored +
                                  "`, not `" + given + "`");
}

core::Status CheckIdentity(sqlite3* db, const LogIdentity& given,
                           std::span<const std::string> keys) {
  INTERLOCK_ASSIGN_OR_RETURN(const LogIdentity stored, ReadIdentity(db));
  if (stored.tenant != given.tenant) return Mismatch("tenant", stored.tenant, given.tenant);
  if (stored.origin != given.origin) return Mismatch("origin", stored.origin, given.origin);
  if (std::find(keys.begin(), keys.end(), stored.verifier_key) == keys.end()) {
    return Mismatch("key", stored.verifier_key, given.verifier_key);
  }
  return core::OkStatus();
}

core::Status AddVersions(sqlite3* db, std::int64_t from, std::int64_t to) {
  for (std::int64_t version = from; version < to; ++version) {
    INTERLOCK_RETURN_IF_ERROR(Exec(db, kVersions.at(static_cast<std::size_t>(version))));
  }
  return core::OkStatus();
}

// All of it or nothing: a crash leaves the old version.
core::Status Migrate(sqlite3* db, std::int64_t from) {
  SqlTransaction transaction(db);
  INTERLOCK_RETURN_IF_ERROR(transaction.Begin());
  INTERLOCK_RETURN_IF_ERROR(AddVersions(db, from, kSchemaVersion));
  INTERLOCK_RETURN_IF_ERROR(Exec(db, "PRAGMA user_version = " + std::to_string(kSchemaVersion)));
  return transaction.Commit();
}

}  // namespace

core::StatusOr<WritableDb> OpenForWriting(const std::string& folder) {
  const std::string path = folder + "/" + std::string(kDatabaseName);
  WritableDb out;
  INTERLOCK_RETURN_IF_ERROR(CheckOthersCannotWrite(folder));
  INTERLOCK_RETURN_IF_ERROR(CheckOthersCannotWrite(path));
  INTERLOCK_ASSIGN_OR_RETURN(out.created, TouchPrivate(path));
  INTERLOCK_ASSIGN_OR_RETURN(
      out.db, OpenDb(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, WalVfsName()));
  sqlite3* db = out.db.get();
  Harden(db);
  INTERLOCK_RETURN_IF_ERROR(Exec(db, "PRAGMA page_size = " + std::to_string(kPageBytes)));
  INTERLOCK_RETURN_IF_ERROR(Exec(db,
                                 "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                 "PRAGMA secure_delete = ON; PRAGMA foreign_keys = OFF;"
                                 "PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY;"
                                 "PRAGMA wal_autocheckpoint = 0; PRAGMA cell_size_check = ON"));
  // What a long reader made it grow by goes back to the disk with the next round through it.
  INTERLOCK_RETURN_IF_ERROR(
      Exec(db, "PRAGMA journal_size_limit = " + std::to_string(kWalBytesKept)));
  return out;
}

core::StatusOr<std::int64_t> EstablishSchema(sqlite3* db, const LogIdentity& identity,
                                             std::span<const std::string> keys,
                                             std::int64_t now_us) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t tables,
                             QueryInt(db, "SELECT count(*) FROM sqlite_schema"));
  if (tables != 0) {
    INTERLOCK_RETURN_IF_ERROR(CheckFormat(db));
    INTERLOCK_RETURN_IF_ERROR(CheckIdentity(db, identity, keys));
    INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t version, QueryInt(db, "PRAGMA user_version"));
    if (version < kSchemaVersion) INTERLOCK_RETURN_IF_ERROR(Migrate(db, version));
    return version;
  }
  SqlTransaction transaction(db);
  INTERLOCK_RETURN_IF_ERROR(transaction.Begin());
  INTERLOCK_RETURN_IF_ERROR(CreateTables(db));
  INTERLOCK_RETURN_IF_ERROR(Exec(db, "PRAGMA application_id = " + std::to_string(kApplicationId)));
  INTERLOCK_RETURN_IF_ERROR(Exec(db, "PRAGMA user_version = " + std::to_string(kSchemaVersion)));
  INTERLOCK_RETURN_IF_ERROR(InsertIdentity(db, identity, now_us));
  INTERLOCK_RETURN_IF_ERROR(transaction.Commit());
  return kSchemaVersion;
}

core::Status CreateTables(sqlite3* db, std::int64_t version) { return AddVersions(db, 0, version); }

core::Status CheckFormat(sqlite3* db) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t application, QueryInt(db, "PRAGMA application_id"));
  if (application != kApplicationId) {
    return core::FailedPrecondition("the file is not an audit log (application_id " +
                                    std::to_string(application) + ")");
  }
  INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t version, QueryInt(db, "PRAGMA user_version"));
  if (version < 1 || version > kSchemaVersion) {
    return core::FailedPrecondition("the log has schema version " + std::to_string(version) +
                                    "; this program reads versions 1 to " +
                                    std::to_string(kSchemaVersion));
  }
  return core::OkStatus();
}

core::StatusOr<LogIdentity> ReadIdentity(sqlite3* db) {
  INTERLOCK_ASSIGN_OR_RETURN(
      Statement select,
      Statement::Prepare(db, "SELECT tenant, origin, verifier_key FROM log WHERE id = 1"));
  INTERLOCK_ASSIGN_OR_RETURN(const bool row, select.Step());
  if (!row) return core::DataLoss("the log has no identity row");
  return LogIdentity{std::string(select.Bytes(0)), std::string(select.Bytes(1)),
                     std::string(select.Bytes(2))};
}

void LockDownWriter(sqlite3* db, const bool* own_statements) {
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  sqlite3_set_authorizer(db, AuthorizeWriting, const_cast<bool*>(own_statements));
}

core::StatusOr<Db> OpenForReading(const std::string& path, SteppedBy by) {
  const int mutex = by == SteppedBy::kManyThreads ? SQLITE_OPEN_FULLMUTEX : SQLITE_OPEN_NOMUTEX;
  INTERLOCK_ASSIGN_OR_RETURN(Db db, OpenDb(path, SQLITE_OPEN_READONLY | mutex));
  Harden(db.get());
  INTERLOCK_RETURN_IF_ERROR(Exec(db.get(),
                                 "PRAGMA query_only = ON; PRAGMA temp_store = MEMORY;"
                                 "PRAGMA cell_size_check = ON"));
  return db;
}

void LockDownReader(sqlite3* db) { sqlite3_set_authorizer(db, AuthorizeReading, nullptr); }

}  // namespace interlock::audit
