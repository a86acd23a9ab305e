#include "kit/database.h"

#include <cstdio>
#include <cstdlib>

namespace example {

void Die(std::string_view what) {
  std::fprintf(stderr, "%.*s\n", static_cast<int>(what.size()), what.data());
  std::_Exit(70);
}

namespace {

void DieUnless(bool good, sqlite3* database, std::string_view doing) {
  if (good) return;
  Die(std::string(doing) + ": " + (database != nullptr ? sqlite3_errmsg(database) : "no memory"));
}

int BindValue(sqlite3_stmt* statement, int index, const Value& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value)) {
    return sqlite3_bind_int64(statement, index, *number);
  }
  if (const auto* text = std::get_if<std::string>(&value)) {
    return sqlite3_bind_text64(statement, index, text->data(), text->size(), SQLITE_TRANSIENT,
                               SQLITE_UTF8);
  }
  return sqlite3_bind_null(statement, index);
}

}  // namespace

Statement::Statement(sqlite3* database, std::string_view sql, std::initializer_list<Value> values)
    : database_(database) {
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v2(database, sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  DieUnless(code == SQLITE_OK, database, "prepare");
  statement_.reset(statement);
  int index = 0;
  for (const Value& value : values) {
    DieUnless(BindValue(statement, ++index, value) == SQLITE_OK, database, "bind");
  }
}

bool Statement::Next() {
  const int code = sqlite3_step(statement_.get());
  DieUnless(code == SQLITE_ROW || code == SQLITE_DONE, database_, "step");
  return code == SQLITE_ROW;
}

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

std::int64_t Statement::Int(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string Statement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  if (text == nullptr) return "";
  return {text, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

Database::Database(const std::string& path, OpenMode mode) {
  const int create = mode == OpenMode::kCreate ? SQLITE_OPEN_CREATE : 0;
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE | create, nullptr);
  handle_.reset(handle);
  DieUnless(code == SQLITE_OK, handle, "open " + path);
  sqlite3_busy_timeout(handle, kBusyTimeoutMs);
  Script("PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY");
}

Statement Database::Query(std::string_view sql, std::initializer_list<Value> values) {
  return {handle_.get(), sql, values};
}

void Database::Write(std::string_view sql, std::initializer_list<Value> values) {
  Query(sql, values).Next();
}

void Database::Script(const std::string& sql) {
  const int code = sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  DieUnless(code == SQLITE_OK, handle_.get(), "script");
}

void Database::BeginRead() { Script("PRAGMA query_only = ON; BEGIN"); }

bool Database::BeginWrite() { return !Locked("BEGIN IMMEDIATE"); }

bool Database::Commit() {
  if (!Locked("COMMIT")) return true;
  Rollback();
  return false;
}

void Database::Rollback() { Script("ROLLBACK; PRAGMA query_only = OFF"); }

bool Database::Locked(const char* sql) {
  const int code = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
  DieUnless(code == SQLITE_OK || code == SQLITE_BUSY, handle_.get(), sql);
  return code == SQLITE_BUSY;
}

}  // namespace example
