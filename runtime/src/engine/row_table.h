// A write-back cache over one projection table whose primary key is a text. Rows describe their
// columns once
// (`Fields`), and the table's SQL follows from that.
#pragma once

#include <sqlite3.h>

#include <algorithm>
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
// Until the statement's next step.
std::string_view ColumnView(sqlite3_stmt* statement, int column);
std::string ColumnText(sqlite3_stmt* statement, int column);

// What a set of rows comes to: the sum of what a keyed hash makes of each. Rows that were changed,
// added or taken away by somebody without the key come to another one.
struct RowSum {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  RowSum& operator+=(const RowSum& other);
  RowSum& operator-=(const RowSum& other);
};

// A keyed hash of one row; without a key it makes nothing of any. Used by one thread at a time.
class RowHasher {
 public:
  RowHasher() = default;
  explicit RowHasher(std::string key) : key_(std::move(key)) {}  // kHashKeyBytes
  bool on() const { return !key_.empty(); }
  template <typename Row>
  RowSum Of(const Row& row) {
    if (!on()) return {};
    bytes_.assign(Row::kTable).push_back('\0');
    Row::Fields(row, [&](const char*, const auto& field) {
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(field)>, std::string>) {
        AddText(field);
      } else {
        AddInt(static_cast<std::int64_t>(field));
      }
    });
    return Hashed();
  }
  // The same of the row under the cursor, columns in the order of `Fields`.
  template <typename Row>
  RowSum OfStored(sqlite3_stmt* statement) {
    if (!on()) return {};
    static const Row kTypes;
    bytes_.assign(Row::kTable).push_back('\0');
    int column = 0;
    Row::Fields(kTypes, [&](const char*, const auto& field) {
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(field)>, std::string>) {
        AddText(ColumnView(statement, column));
      } else {
        AddInt(sqlite3_column_int64(statement, column));
      }
      ++column;
    });
    return Hashed();
  }

 private:
  void AddInt(std::int64_t value);
  void AddText(std::string_view text);
  RowSum Hashed() const;

  std::string key_;
  std::string bytes_;
};

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
    std::string sql = "CREATE TABLE IF NOT EXISTS ";
    sql.append(Row::kTable).append("(").append(columns).append(") STRICT, WITHOUT ROWID");
    return sql;
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
    INTERLOCK_ASSIGN_OR_RETURN(const Statement last,
                               Prepare(db, "SELECT max(" + key + ") FROM " + table));
    if (sqlite3_step(last.get()) != SQLITE_ROW) {
      return core::Internal("cannot read `" + table + "`: " + sqlite3_errmsg(db));
    }
    last_stored_ = ColumnText(last.get(), 0);
    return hasher_ == nullptr ? core::OkStatus() : SumStored(db, columns);
  }

  // Before Attach: sums what the table holds, with a hasher that outlives this.
  void SealWith(RowHasher* hasher) { hasher_ = hasher; }
  // Of what the last flush wrote and what stood there before.
  const RowSum& sum() const { return sum_; }

  // The row, or nullptr. The pointer holds until Reset or Trim.
  const Row* Find(const std::string& key) {
    Slot& slot = Load(key).second;
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
    Entry& entry = Load(key);
    Slot& slot = entry.second;
    if (!slot.exists) {
      slot.row = Row{};
      slot.row.*Row::kKey = key;
      slot.exists = true;
    }
    Touch(entry);
    return slot.row;
  }
  void Erase(const std::string& key) {
    Entry& entry = Load(key);
    if (!entry.second.exists) return;
    entry.second.exists = false;
    Touch(entry);
  }

  // In the order of keys, so that neighbours share a page. A row that came and went since the last
  // flush is not written at all.
  core::Status Flush() {
    std::sort(dirty_.begin(), dirty_.end(),
              [](const Entry* a, const Entry* b) { return a->first < b->first; });
    for (Entry* entry : dirty_) {
      auto& [key, slot] = *entry;
      slot.dirty = false;
      if (!slot.exists && !slot.stored) continue;
      if (hasher_ != nullptr) {
        if (slot.stored) sum_ -= slot.hash;
        slot.hash = slot.exists ? hasher_->Of(slot.row) : RowSum{};
        sum_ += slot.hash;
      }
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
      slot.stored = slot.exists;
      if (slot.stored && key > last_stored_) last_stored_ = key;
    }
    dirty_.clear();
    return core::OkStatus();
  }
  // Rows that change from now on belong to this batch.
  void SetBatch(std::int64_t batch) { batch_ = batch; }
  void Reset() {
    slots_.clear();
    dirty_.clear();
    last_stored_.clear();
    sum_ = {};
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
    bool stored = false;  // the table has a row of this key
    bool dirty = false;
    std::int64_t batch = 0;  // that changed it last
    RowSum hash;             // of the stored row
  };

  using Entry = std::pair<const std::string, Slot>;  // of the map: stays where it is

  void Touch(Entry& entry) {
    if (&entry == &unread_) return;
    Slot& slot = entry.second;
    slot.batch = batch_;
    if (slot.dirty) return;
    slot.dirty = true;
    dirty_.push_back(&entry);
  }
  Entry& Load(const std::string& key) {
    const auto [at, fresh] = slots_.try_emplace(key);
    if (!fresh) return *at;
    INTERLOCK_CHECK(select_ != nullptr);
    if (key > last_stored_) return *at;  // keys that begin with the time are mostly new
    BindText(select_.get(), 1, key);
    const int code = sqlite3_step(select_.get());
    if (code == SQLITE_ROW) {
      at->second.row = ReadRow<Row>(select_.get());
      at->second.exists = at->second.stored = true;
      if (hasher_ != nullptr) at->second.hash = hasher_->Of(at->second.row);
    }
    sqlite3_reset(select_.get());
    if (code == SQLITE_ROW || code == SQLITE_DONE) return *at;
    slots_.erase(at);
    read_error_ = true;
    unread_.second = Slot{};
    return unread_;
  }
  core::Status SumStored(sqlite3* db, const std::string& columns) {
    INTERLOCK_ASSIGN_OR_RETURN(const Statement all,
                               Prepare(db, "SELECT " + columns + " FROM " + Row::kTable));
    sum_ = {};
    int code = sqlite3_step(all.get());
    for (; code == SQLITE_ROW; code = sqlite3_step(all.get())) {
      sum_ += hasher_->OfStored<Row>(all.get());
    }
    if (code == SQLITE_DONE) return core::OkStatus();
    return core::Internal("cannot read `" + std::string(Row::kTable) + "`: " + sqlite3_errmsg(db));
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
  std::vector<Entry*> dirty_;
  std::string last_stored_;  // no row of the table has a greater key
  Entry unread_;             // stands for a row that could not be read
  bool read_error_ = false;
  std::int64_t batch_ = 1;
  RowHasher* hasher_ = nullptr;  // null: not sealed
  RowSum sum_;
};

}  // namespace interlock::runtime
