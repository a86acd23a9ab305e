// A write-back cache over one projection table whose primary key is a text. Rows describe their
// columns once
// (`Fields`), and the table's SQL follows from that.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/status.h"

namespace interlock::runtime {

struct StatementFinalizer {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, StatementFinalizer>;

core::StatusOr<Statement> Prepare(sqlite3* db, const std::string& sql);
void BindText(sqlite3_stmt* statement, int at, std::string_view text);
std::string ColumnText(sqlite3_stmt* statement, int column);

// Reads the row under the cursor, columns in the order of `Fields`.
template <typename Row>
Row ReadRow(sqlite3_stmt* statement) {
  Row row;
  int column = 0;
  Row::Fields(row, [&](const char*, auto& field) {
    using Field = std::remove_reference_t<decltype(field)>;
    if constexpr (std::is_same_v<Field, std::string>) {
      field = ColumnText(statement, column);
    } else {
      field = static_cast<Field>(sqlite3_column_int64(statement, column));
    }
    ++column;
  });
  return row;
}

template <typename Row>
std::string ColumnList() {
  std::string list;
  Row row;
  Row::Fields(row, [&](const char* name, auto&) {
    list += (list.empty() ? "" : ", ") + std::string(name);
  });
  return list;
}

// Used by one thread at a time (the caller locks).
template <typename Row>
class RowTable {
 public:
  static std::string CreateSql() {
    std::string columns;
    Row row;
    Row::Fields(row, [&](const char* name, auto& field) {
      using Field = std::remove_reference_t<decltype(field)>;
      const bool first = columns.empty();
      columns += (first ? "" : ", ") + std::string(name) +
                 (std::is_same_v<Field, std::string> ? " TEXT NOT NULL" : " INTEGER NOT NULL") +
                 (first ? " PRIMARY KEY" : "");
    });
    return std::string("CREATE TABLE IF NOT EXISTS ") + Row::kTable + "(" + columns +
           ") STRICT, WITHOUT ROWID";
  }

  core::Status Attach(sqlite3* db) {
    const std::string columns = ColumnList<Row>();
    std::string marks;
    Row row;
    Row::Fields(row, [&](const char*, auto&) { marks += marks.empty() ? "?" : ", ?"; });
    const std::string key = columns.substr(0, columns.find(','));
    const std::string table = Row::kTable;
    INTERLOCK_ASSIGN_OR_RETURN(
        select_, Prepare(db, "SELECT " + columns + " FROM " + table + " WHERE " + key + " = ?"));
    // The next-best thing to an upsert that keeps one statement for both: p_ tables allow REPLACE.
    INTERLOCK_ASSIGN_OR_RETURN(write_, Prepare(db, "INSERT OR REPLACE INTO " + table + "(" +
                                                       columns + ") VALUES(" + marks + ")"));
    INTERLOCK_ASSIGN_OR_RETURN(erase_,
                               Prepare(db, "DELETE FROM " + table + " WHERE " + key + " = ?"));
    return core::OkStatus();
  }

  // The row, or nullptr. The pointer holds until Reset or Trim.
  const Row* Find(const std::string& key) {
    Slot& slot = Load(key);
    return slot.exists ? &slot.row : nullptr;
  }
  // Whether a row could not be read (as opposed to: is not there) since this was asked last. What
  // Find and Edit gave then is nothing to act on.
  bool TakeReadError() { return std::exchange(read_error_, false); }
  // What memory knows: found / known absent / unknown. For readers on other threads.
  enum class Peek { kFound, kAbsent, kUnknown };
  Peek PeekAt(const std::string& key, Row& out, std::int64_t& batch) const {
    const auto found = slots_.find(key);
    if (found == slots_.end()) return Peek::kUnknown;
    batch = found->second.batch;
    if (!found->second.exists) return Peek::kAbsent;
    out = found->second.row;
    return Peek::kFound;
  }
  // The row to change; made with its key when absent.
  Row& Edit(const std::string& key) {
    Slot& slot = Load(key);
    if (!slot.exists) {
      slot.row = Row{};
      slot.row.*Row::kKey = key;
      slot.exists = true;
    }
    Touch(key, slot);
    return slot.row;
  }
  void Erase(const std::string& key) {
    Slot& slot = Load(key);
    if (!slot.exists) return;
    slot.exists = false;
    Touch(key, slot);
  }

  core::Status Flush() {
    for (const std::string& key : dirty_) {
      Slot& slot = slots_.at(key);
      sqlite3_stmt* statement = slot.exists ? write_.get() : erase_.get();
      if (slot.exists) {
        Bind(statement, slot.row);
      } else {
        BindText(statement, 1, key);
      }
      const int code = sqlite3_step(statement);
      sqlite3_reset(statement);
      if (code == SQLITE_FULL) return core::ResourceExhausted("disk is full");
      if (code != SQLITE_DONE) {
        return core::Internal("cannot write `" + std::string(Row::kTable) +
                              "`: " + sqlite3_errmsg(sqlite3_db_handle(statement)));
      }
      slot.dirty = false;
    }
    dirty_.clear();
    return core::OkStatus();
  }
  // Rows that change from now on belong to this batch.
  void SetBatch(std::int64_t batch) { batch_ = batch; }
  void Reset() {
    slots_.clear();
    dirty_.clear();
    select_.reset();
    write_.reset();
    erase_.reset();
  }
  // Forgets clean rows when there are many: they are in the table.
  void Trim(std::size_t rows_max) {
    if (slots_.size() <= rows_max || !dirty_.empty()) return;
    slots_.clear();
  }

 private:
  struct Slot {
    Row row;
    bool exists = false;
    bool dirty = false;
    std::int64_t batch = 0;  // that changed it last
  };

  void Touch(const std::string& key, Slot& slot) {
    if (&slot == &unread_) return;
    slot.batch = batch_;
    if (slot.dirty) return;
    slot.dirty = true;
    dirty_.push_back(key);
  }
  Slot& Load(const std::string& key) {
    const auto [at, fresh] = slots_.try_emplace(key);
    if (!fresh) return at->second;
    INTERLOCK_CHECK(select_ != nullptr);
    BindText(select_.get(), 1, key);
    const int code = sqlite3_step(select_.get());
    if (code == SQLITE_ROW) {
      at->second.row = ReadRow<Row>(select_.get());
      at->second.exists = true;
    }
    sqlite3_reset(select_.get());
    if (code == SQLITE_ROW || code == SQLITE_DONE) return at->second;
    slots_.erase(at);
    read_error_ = true;
    unread_ = Slot{};
    return unread_;
  }
  static void Bind(sqlite3_stmt* statement, const Row& row) {
    int at = 0;
    Row::Fields(row, [&](const char*, const auto& field) {
      ++at;
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(field)>, std::string>) {
        BindText(statement, at, field);
      } else {
        sqlite3_bind_int64(statement, at, static_cast<sqlite3_int64>(field));
      }
    });
  }

  Statement select_;
  Statement write_;
  Statement erase_;
  std::unordered_map<std::string, Slot> slots_;
  std::vector<std::string> dirty_;
  Slot unread_;  // stands for a row that could not be read
  bool read_error_ = false;
  std::int64_t batch_ = 1;
};

}  // namespace interlock::runtime
