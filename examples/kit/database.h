// SQLite for small tool programs: typed binds, cached nothing, and no way to go on after a failed
// write.
//
// A tool may be killed at any moment, so the database uses the rollback journal and whoever opens
// it next rolls a half-done transaction back. For that the folder of the database must be writable,
// look-ups included.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

namespace example {

// An unexpected failure: writes one line to stderr and ends the process with status 70. The caller
// of the tool then knows that it does not know whether the effect happened.
[[noreturn]] void Die(std::string_view what);

using Value = std::variant<std::nullptr_t, std::int64_t, std::string>;

// One row after another. One per thread, like its database. Must not outlive it.
class Statement {
 public:
  bool Next();  // false at the end
  bool IsNull(int column) const;
  std::int64_t Int(int column) const;
  std::string Text(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  Statement(sqlite3* database, std::string_view sql, std::initializer_list<Value> values);

  sqlite3* database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

enum class OpenMode { kExisting, kCreate };

// One per thread. Every failure but a lock that others hold ends the process (Die).
class Database {
 public:
  explicit Database(const std::string& path, OpenMode mode = OpenMode::kExisting);

  Statement Query(std::string_view sql, std::initializer_list<Value> values = {});
  void Write(std::string_view sql, std::initializer_list<Value> values = {});
  void Script(const std::string& sql);  // several statements, no values
  std::int64_t last_id() const { return sqlite3_last_insert_rowid(handle_.get()); }

  // A snapshot for look-ups: writes are refused until Rollback.
  void BeginRead();
  // False when another process held the lock for kBusyTimeoutMs: nothing was begun, or nothing was
  // committed.
  bool BeginWrite();
  bool Commit();
  void Rollback();

 private:
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close(handle); }
  };
  bool Locked(const char* sql);

  std::unique_ptr<sqlite3, Close> handle_;
};

inline constexpr int kBusyTimeoutMs = 5000;

}  // namespace example
