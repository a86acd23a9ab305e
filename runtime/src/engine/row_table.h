// A write-back cache over one projection table whose primary key is a text. Rows describe their
// columns once
// (`Fields`), and the table's SQL follows from that.
#pragma once

#include <sqlite3.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "audit/shown_rows.h"
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

inline void ShowField(sqlite3_context* out, const std::string& text) { audit::ShowText(out, text); }
template <typename Number>
void ShowField(sqlite3_context* out, Number number) {
  sqlite3_result_int64(out, static_cast<sqlite3_int64>(number));
}

// What RowTable shows to SQLite when it writes its rows; columns in the order of `Fields`.
template <typename Row>
struct RowsToWrite {
  using Source = std::vector<const Row*>;
  static std::string Name() { return std::string("rows_of_") + Row::kTable; }
  static std::string Columns() {
    std::string columns;
    Row row;
    Row::Fields(row, [&](const char* name, const auto&) {
      columns += (columns.empty() ? "" : ", ") + std::string(name);
    });
    return "CREATE TABLE x(" + columns + ")";
  }
  static std::size_t Count(const Source& rows) { return rows.size(); }
  static void Column(const Source& rows, std::size_t at, int column, sqlite3_context* out) {
    static const std::vector<Place> kPlaces = Places();
    const Place& place = kPlaces[static_cast<std::size_t>(column)];
    place.show(reinterpret_cast<const std::byte*>(rows[at]) + place.offset, out);
  }

 private:
  // A field, by where it stands in every row: `Fields` visits all of them in turn, which is not for
  // each column of each row.
  struct Place {
    std::ptrdiff_t offset;
    void (*show)(const void* field, sqlite3_context* out);
  };
  static std::vector<Place> Places() {
    std::vector<Place> places;
    const Row row;
    Row::Fields(row, [&](const char*, const auto& field) {
      using Field = std::remove_cvref_t<decltype(field)>;
      places.push_back(
          {reinterpret_cast<const std::byte*>(&field) - reinterpret_cast<const std::byte*>(&row),
           [](const void* at, sqlite3_context* out) {
             ShowField(out, *static_cast<const Field*>(at));
           }});
    });
    return places;
  }
};

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

  // Statements are made when they are needed first: most tables of a short life are never written.
  core::Status Attach(sqlite3* db) {
    ForgetStatements();
    db_ = db;
    INTERLOCK_RETURN_IF_ERROR(ShowRows());
    return hasher_ == nullptr ? core::OkStatus() : SumStored();
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
    std::vector<const Row*> fresh;
    std::vector<const Row*> again;
    for (Entry* entry : dirty_) {
      auto& [key, slot] = *entry;
      slot.dirty = false;
      if (!slot.exists && !slot.stored) continue;
      if (hasher_ != nullptr) {
        if (slot.stored) sum_ -= slot.hash;
        slot.hash = slot.exists ? hasher_->Of(slot.row) : RowSum{};
        sum_ += slot.hash;
      }
      if (!slot.exists) {
        INTERLOCK_RETURN_IF_ERROR(EraseStored(key));
      } else {
        (slot.stored ? again : fresh).push_back(&slot.row);
      }
      slot.stored = slot.exists;
      if (slot.stored && key > last_stored_) last_stored_ = key;
    }
    dirty_.clear();
    ++flushes_;
    // OR FAIL: who flushes takes the whole transaction back when a statement fails.
    INTERLOCK_RETURN_IF_ERROR(Write(insert_, "INSERT OR FAIL", fresh));
    // The next-best thing to an upsert: p_ tables allow REPLACE.
    return Write(replace_, "INSERT OR REPLACE", again);
  }
  // Rows that change from now on belong to this batch.
  void SetBatch(std::int64_t batch) { batch_ = batch; }
  void Reset() {
    last_ = nullptr;
    slots_.clear();
    dirty_.clear();
    sum_ = {};
    ForgetStatements();
  }
  // After a flush: forgets rows when there are many, but for those that were used since the flush
  // before it. They are in the table.
  void Trim(std::size_t rows_max) {
    if (slots_.size() <= rows_max || !dirty_.empty()) return;
    last_ = nullptr;
    std::erase_if(slots_, [this](const auto& entry) { return entry.second.used + 1 < flushes_; });
  }

 private:
  struct Slot {
    Row row;
    bool exists = false;
    bool stored = false;  // the table has a row of this key
    bool dirty = false;
    std::int64_t batch = 0;  // that changed it last
    std::int64_t used = 0;   // how many flushes there had been when it was looked up last
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
  // A command asks for the rows of its call again and again.
  Entry& Load(const std::string& key) {
    const bool again = last_ != nullptr && last_->first == key;
    Entry& entry = again ? *last_ : LoadFrom(key);
    last_ = &entry == &unread_ ? nullptr : &entry;
    entry.second.used = flushes_;
    return entry;
  }
  Entry& LoadFrom(const std::string& key) {
    const auto [at, fresh] = slots_.try_emplace(key);
    if (!fresh) return *at;
    if (!LookAtTable().ok()) return Unread(key);
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
    return Unread(key);
  }
  Entry& Unread(const std::string& key) {
    slots_.erase(key);
    read_error_ = true;
    unread_.second = Slot{};
    return unread_;
  }
  static std::string KeyColumn() {
    const std::string columns = ColumnList<Row>();
    return columns.substr(0, columns.find(','));
  }
  void ForgetStatements() {
    looked_ = false;
    last_stored_.clear();
    select_.reset();
    insert_.reset();
    replace_.reset();
    erase_.reset();
  }
  // Before the first row is looked for.
  core::Status LookAtTable() {
    if (looked_) return core::OkStatus();
    INTERLOCK_CHECK(db_ != nullptr);
    INTERLOCK_ASSIGN_OR_RETURN(
        select_, Prepare(db_, "SELECT " + ColumnList<Row>() + " FROM " + Row::kTable + " WHERE " +
                                  KeyColumn() + " = ?"));
    INTERLOCK_ASSIGN_OR_RETURN(
        const Statement last,
        Prepare(db_, "SELECT max(" + KeyColumn() + ") FROM " + std::string(Row::kTable)));
    if (sqlite3_step(last.get()) != SQLITE_ROW) return Unreadable();
    last_stored_ = ColumnText(last.get(), 0);
    looked_ = true;
    return core::OkStatus();
  }
  core::Status Unreadable() const {
    return core::Internal("cannot read `" + std::string(Row::kTable) + "`: " + sqlite3_errmsg(db_));
  }
  core::Status SumStored() {
    INTERLOCK_ASSIGN_OR_RETURN(
        const Statement all, Prepare(db_, "SELECT " + ColumnList<Row>() + " FROM " + Row::kTable));
    sum_ = {};
    int code = sqlite3_step(all.get());
    for (; code == SQLITE_ROW; code = sqlite3_step(all.get())) {
      sum_ += hasher_->OfStored<Row>(all.get());
    }
    return code == SQLITE_DONE ? core::OkStatus() : Unreadable();
  }
  core::Status EraseStored(const std::string& key) {
    if (erase_ == nullptr) {
      INTERLOCK_ASSIGN_OR_RETURN(erase_, Prepare(db_, std::string("DELETE FROM ") + Row::kTable +
                                                          " WHERE " + KeyColumn() + " = ?"));
    }
    BindText(erase_.get(), 1, key);
    return Run(erase_.get());
  }
  core::Status Write(Statement& statement, std::string_view verb,
                     const std::vector<const Row*>& rows) {
    if (rows.empty()) return core::OkStatus();
    if (statement == nullptr) {
      const std::string columns = ColumnList<Row>();
      INTERLOCK_ASSIGN_OR_RETURN(
          statement, Prepare(db_, std::string(verb) + " INTO " + Row::kTable + "(" + columns +
                                      ") SELECT " + columns + " FROM " + Written::Name()));
    }
    writing_ = &rows;
    core::Status status = Run(statement.get());
    writing_ = nullptr;
    return status;
  }
  // Not later: who may do what is not decided yet (audit/shown_rows.h).
  core::Status ShowRows() {
    // Another connection may have the address of one that was closed.
    if (shown_to_ != db_ || !Prepare(db_, "SELECT 1 FROM " + Written::Name()).ok()) {
      INTERLOCK_RETURN_IF_ERROR(Shown::Add(db_, &writing_));
    }
    shown_to_ = db_;
    return core::OkStatus();
  }
  static core::Status Run(sqlite3_stmt* statement) {
    const int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    if (code == SQLITE_DONE) return core::OkStatus();
    if (code == SQLITE_FULL) return core::ResourceExhausted("disk is full");
    return core::Internal("cannot write `" + std::string(Row::kTable) +
                          "`: " + sqlite3_errmsg(sqlite3_db_handle(statement)));
  }

  using Written = RowsToWrite<Row>;
  using Shown = audit::ShownRows<Written>;

  sqlite3* db_ = nullptr;
  bool looked_ = false;  // select_ and last_stored_ are known
  Statement select_;
  Statement insert_;   // of rows that the table does not have
  Statement replace_;  // of others
  Statement erase_;
  const typename Written::Source* writing_ = nullptr;
  sqlite3* shown_to_ = nullptr;
  std::unordered_map<std::string, Slot> slots_;
  std::vector<Entry*> dirty_;
  std::string last_stored_;  // no row of the table has a greater key
  Entry* last_ = nullptr;    // that was asked for; null: none that is still there
  Entry unread_;             // stands for a row that could not be read
  bool read_error_ = false;
  std::int64_t batch_ = 1;
  std::int64_t flushes_ = 0;
  RowHasher* hasher_ = nullptr;  // null: not sealed
  RowSum sum_;
};

}  // namespace interlock::runtime
