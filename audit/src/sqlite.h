// Thin owners of SQLite handles: connection and prepared statement, with errors as core::Status.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/status.h"

namespace interlock::audit {

// kResourceExhausted: no space; kUnavailable: busy; kPermissionDenied: authorizer or read-only;
// kFailedPrecondition: a constraint or trigger; kDataLoss: I/O error, damage and everything else.
core::Status SqlError(sqlite3* db, std::string_view doing);
// SQLite's primary code of an error that SqlError made; SQLITE_OK for any other.
int SqlCodeOf(const core::Status& status);
// True when the last failed call failed for want of space. SQLite says so by SQLITE_FULL when a
// page does not fit, and by an I/O error with the system's word for it when its shared memory
// cannot grow. A sync that fails is never only that.
bool FailedForSpace(sqlite3* db);

struct CloseDb {
  void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
};
using Db = std::unique_ptr<sqlite3, CloseDb>;

// `uri` may be a path or a file: URI. `flags` as for sqlite3_open_v2; URI is added, and NOMUTEX
// unless FULLMUTEX is among them. `vfs`: the layer below SQLite; null: the default.
core::StatusOr<Db> OpenDb(const std::string& uri, int flags, const char* vfs = nullptr);

// Keeps the other threads of a FULLMUTEX connection waiting; nothing for any other connection. Can
// be taken again by the thread that has it.
class ConnectionLock {
 public:
  explicit ConnectionLock(sqlite3* db) : mutex_(db == nullptr ? nullptr : sqlite3_db_mutex(db)) {
    sqlite3_mutex_enter(mutex_);
  }
  ~ConnectionLock() { sqlite3_mutex_leave(mutex_); }
  ConnectionLock(const ConnectionLock&) = delete;
  ConnectionLock& operator=(const ConnectionLock&) = delete;

 private:
  sqlite3_mutex* const mutex_;
};

// Runs one or more statements without results.
core::Status Exec(sqlite3* db, const std::string& sql);

// A statement that fails for want of memory or of a readable page ends the transaction, a read too
// (sqlite3VdbeHalt): what is written after it would be committed by itself. Under the
// ConnectionLock. Errors: kDataLoss.
core::Status CheckInTransaction(sqlite3* db);

// A prepared statement. Bound text and blobs are borrowed until Reset. One per thread; several of
// one FULLMUTEX connection may be stepped by several threads.
class Statement {
 public:
  Statement() = default;
  static core::StatusOr<Statement> Prepare(sqlite3* db, std::string_view sql);

  Statement& Int(int parameter, std::int64_t value);
  Statement& Text(int parameter, std::string_view value);
  Statement& Blob(int parameter, std::string_view value);

  // True: a row is there. False: done.
  core::StatusOr<bool> Step();
  // Steps a statement without results to its end and resets it, also after an error.
  core::Status Run();
  void Reset();

  std::int64_t Int(int column) const { return sqlite3_column_int64(get(), column); }
  // Text or blob, valid until the next Step or Reset.
  std::string_view Bytes(int column) const;
  bool IsNull(int column) const { return sqlite3_column_type(get(), column) == SQLITE_NULL; }
  sqlite3_stmt* get() const { return statement_.get(); }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

// Resets a statement at the end of a scope, so that a reader never leaves a snapshot open.
class ResetAtExit {
 public:
  explicit ResetAtExit(Statement& statement) : statement_(statement) {}
  ~ResetAtExit() { statement_.Reset(); }
  ResetAtExit(const ResetAtExit&) = delete;
  ResetAtExit& operator=(const ResetAtExit&) = delete;

 private:
  Statement& statement_;
};

// The one integer that `sql` yields.
core::StatusOr<std::int64_t> QueryInt(sqlite3* db, std::string_view sql);

// A transaction that rolls back unless committed.
class SqlTransaction {
 public:
  explicit SqlTransaction(sqlite3* db) : db_(db) {}
  ~SqlTransaction();
  SqlTransaction(const SqlTransaction&) = delete;
  SqlTransaction& operator=(const SqlTransaction&) = delete;

  core::Status Begin() { return Exec(db_, "BEGIN IMMEDIATE"); }
  core::Status Commit() { return Exec(db_, "COMMIT"); }

 private:
  sqlite3* db_;
};

}  // namespace interlock::audit
