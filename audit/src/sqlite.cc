#include "sqlite.h"

#include <cerrno>

#include "audit/read_error.h"
#include "core/check.h"
#include "private_file.h"

namespace interlock::audit {
namespace {

core::StatusCode CodeOf(int primary) {
  switch (primary) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return core::StatusCode::kUnavailable;
    case SQLITE_AUTH:
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return core::StatusCode::kPermissionDenied;
    case SQLITE_CONSTRAINT:
      return core::StatusCode::kFailedPrecondition;
    default:
      return core::StatusCode::kDataLoss;
  }
}

constexpr absl::string_view kSqlCode = "interlock/sqlite";

core::Status WithSqlCode(core::Status status, sqlite3* db) {
  status.SetPayload(kSqlCode, absl::Cord(std::to_string(sqlite3_errcode(db) & 0xFF)));
  return status;
}

// Counting every allocation takes a lock of the whole process, a tenth of an insert. Has an effect
// only before SQLite's first use in the process.
void CountNoMemory() {
  static const int once = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  static_cast<void>(once);
}

core::Status NoDatabase(sqlite3* db) {
  const char* file = sqlite3_db_filename(db, "main");
  return core::DataLoss("`" + std::string(file == nullptr ? "" : file) +
                        "` is no SQLite database: something else was written there; put the file "
                        "back from a backup, see docs/runbook.md");
}

}  // namespace

core::Status SqlError(sqlite3* db, std::string_view doing) {
  if ((sqlite3_errcode(db) & 0xFF) == SQLITE_NOTADB) return WithSqlCode(NoDatabase(db), db);
  std::string message(doing);
  message += ": ";
  message += sqlite3_errmsg(db);
  message += " (sqlite " + std::to_string(sqlite3_extended_errcode(db)) + ")";
  if (FailedForSpace(db)) return core::ResourceExhausted(message + std::string(kMakeRoom));
  return WithSqlCode(core::Error(CodeOf(sqlite3_errcode(db)), message), db);
}

int SqlCodeOf(const core::Status& status) {
  const auto code = status.GetPayload(kSqlCode);
  return code ? std::stoi(std::string(*code)) : SQLITE_OK;
}

bool IsDamage(const core::Status& status) {
  if (status.code() != core::StatusCode::kDataLoss) return false;
  const int code = SqlCodeOf(status);
  return code == SQLITE_OK || code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
}

bool FailedForSpace(sqlite3* db) {
  const int extended = sqlite3_extended_errcode(db);
  if ((extended & 0xFF) == SQLITE_FULL) return true;
  if ((extended & 0xFF) != SQLITE_IOERR) return false;
  // A commit that fails here leaves no errno behind (OP_AutoCommit does not keep it). What did not
  // grow is an index in memory, made anew from the log at will: nothing is lost but time.
  if (extended == SQLITE_IOERR_SHMSIZE) return true;
  if (extended == SQLITE_IOERR_FSYNC || extended == SQLITE_IOERR_DIR_FSYNC) return false;
  const int why = sqlite3_system_errno(db);
  return why == ENOSPC || why == EDQUOT;
}

core::StatusOr<Db> OpenDb(const std::string& uri, int flags, const char* vfs) {
  CountNoMemory();
  sqlite3* raw = nullptr;
  if ((flags & SQLITE_OPEN_FULLMUTEX) == 0) flags |= SQLITE_OPEN_NOMUTEX;
  const int rc = sqlite3_open_v2(uri.c_str(), &raw, flags | SQLITE_OPEN_URI, vfs);
  Db db(raw);
  if (raw == nullptr) return core::ResourceExhausted("no memory for a database connection");
  // A library built without threads would take the flag and lock nothing.
  INTERLOCK_CHECK((flags & SQLITE_OPEN_FULLMUTEX) == 0 || sqlite3_db_mutex(raw) != nullptr);
  if (rc != SQLITE_OK) return SqlError(raw, "cannot open `" + uri + "`");
  sqlite3_extended_result_codes(raw, 0);
  sqlite3_busy_timeout(raw, 5000);
  return db;
}

core::Status Exec(sqlite3* db, const std::string& sql) {
  if (sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) {
    return core::OkStatus();
  }
  return SqlError(db, "`" + sql.substr(0, 60) + "`");
}

core::Status CheckInTransaction(sqlite3* db) {
  if (sqlite3_get_autocommit(db) == 0) return core::OkStatus();
  return core::DataLoss("the transaction has ended: a read or write of it failed");
}

core::StatusOr<Statement> Statement::Prepare(sqlite3* db, std::string_view sql) {
  sqlite3_stmt* raw = nullptr;
  const ConnectionLock lock(db);
  if (sqlite3_prepare_v3(db, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                         &raw, nullptr) != SQLITE_OK) {
    return SqlError(db, "cannot prepare `" + std::string(sql.substr(0, 60)) + "`");
  }
  Statement statement;
  statement.statement_.reset(raw);
  return statement;
}

Statement& Statement::Int(int parameter, std::int64_t value) {
  sqlite3_bind_int64(get(), parameter, value);
  return *this;
}

Statement& Statement::Text(int parameter, std::string_view value) {
  // A null pointer would bind NULL; an empty text is not that.
  sqlite3_bind_text64(get(), parameter, value.data() == nullptr ? "" : value.data(), value.size(),
                      SQLITE_STATIC, SQLITE_UTF8);
  return *this;
}

Statement& Statement::Blob(int parameter, std::string_view value) {
  sqlite3_bind_blob64(get(), parameter, value.data() == nullptr ? "" : value.data(), value.size(),
                      SQLITE_STATIC);
  return *this;
}

core::StatusOr<bool> Statement::Step() {
  // The connection keeps the last error of all its threads: it is read before they go on.
  const ConnectionLock lock(sqlite3_db_handle(get()));
  const int rc = sqlite3_step(get());
  if (rc == SQLITE_ROW) return true;
  if (rc == SQLITE_DONE) return false;
  return SqlError(sqlite3_db_handle(get()), "reading");
}

core::Status Statement::Run() {
  const ConnectionLock lock(sqlite3_db_handle(get()));
  const int rc = sqlite3_step(get());
  if (rc == SQLITE_DONE || rc == SQLITE_ROW) {
    sqlite3_reset(get());
    return core::OkStatus();
  }
  core::Status status = SqlError(sqlite3_db_handle(get()), "writing");
  sqlite3_reset(get());
  return status;
}

void Statement::Reset() {
  if (get() != nullptr) sqlite3_reset(get());
}

std::string_view Statement::Bytes(int column) const {
  const void* data = sqlite3_column_blob(get(), column);
  const int size = sqlite3_column_bytes(get(), column);
  if (data == nullptr || size <= 0) return {};
  return {static_cast<const char*>(data), static_cast<std::size_t>(size)};
}

core::StatusOr<std::int64_t> QueryInt(sqlite3* db, std::string_view sql) {
  INTERLOCK_ASSIGN_OR_RETURN(Statement statement, Statement::Prepare(db, sql));
  INTERLOCK_ASSIGN_OR_RETURN(const bool row, statement.Step());
  if (!row) return core::NotFound("no row from `" + std::string(sql.substr(0, 60)) + "`");
  return statement.Int(0);
}

SqlTransaction::~SqlTransaction() {
  if (sqlite3_get_autocommit(db_) == 0) {
    sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
  }
}

}  // namespace interlock::audit
