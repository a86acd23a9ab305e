#include "engine/row_table.h"

#include <array>
#include <cstring>

#include "audit/keyed_hash.h"

namespace interlock::runtime {

core::StatusOr<Statement> Prepare(sqlite3* db, const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(db, sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr) !=
      SQLITE_OK) {
    return core::Internal("cannot prepare `" + sql.substr(0, 80) + "`: " + sqlite3_errmsg(db));
  }
  return Statement(statement);
}

// The text outlives the step: every caller binds, steps and resets in one go.
void BindText(sqlite3_stmt* statement, int at, std::string_view text) {
  sqlite3_bind_text(statement, at, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
}

std::string_view ColumnView(sqlite3_stmt* statement, int column) {
  const unsigned char* text = sqlite3_column_text(statement, column);
  if (text == nullptr) return {};
  const int bytes = sqlite3_column_bytes(statement, column);
  return {reinterpret_cast<const char*>(text), static_cast<std::size_t>(bytes)};
}

std::string ColumnText(sqlite3_stmt* statement, int column) {
  return std::string(ColumnView(statement, column));
}

RowSum& RowSum::operator+=(const RowSum& other) {
  low += other.low;
  high += other.high;
  return *this;
}

RowSum& RowSum::operator-=(const RowSum& other) {
  low -= other.low;
  high -= other.high;
  return *this;
}

void RowHasher::AddInt(std::int64_t value) {
  std::array<char, sizeof value> bytes;
  std::memcpy(bytes.data(), &value, sizeof value);
  bytes_.append(bytes.data(), bytes.size());
}

void RowHasher::AddText(std::string_view text) {
  AddInt(static_cast<std::int64_t>(text.size()));
  bytes_ += text;
}

RowSum RowHasher::Hashed() const {
  const auto [low, high] = audit::KeyedHash(key_, bytes_);
  return {low, high};
}

}  // namespace interlock::runtime
