// The floor: what the log wrote, written again by a bare SQLite loop. No hashes, envelopes,
// triggers, checks, queue or tree; rows are ready in memory before the clock starts.
#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <thread>

#include "bench.h"

namespace interlock::audit::bench {
namespace {

constexpr int kCopyWalPages = 4096;  // as the log's own copier

void Must(int rc, sqlite3* db) {
  if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW) return;
  std::cerr << "bare loop: " << sqlite3_errmsg(db) << "\n";
  std::abort();
}

sqlite3* OpenPlain(const std::string& path, const char* sql) {
  sqlite3* db = nullptr;
  Must(sqlite3_open(path.c_str(), &db), db);
  Must(sqlite3_exec(db, sql, nullptr, nullptr, nullptr), db);
  return db;
}

// A row as it stands in the database, with the entry whose commit it belongs to.
struct StoredRow {
  std::uint64_t entry = 0;
  std::vector<sqlite3_value*> values;
};

// One table: read whole, then written in order as the commits go by.
class TableCopy {
 public:
  // `select` yields the entry first, then the columns of `insert`.
  TableCopy(sqlite3* from, const std::string& select, std::string insert)
      : insert_(std::move(insert)) {
    sqlite3_stmt* read = nullptr;
    Must(sqlite3_prepare_v2(from, select.c_str(), -1, &read, nullptr), from);
    while (sqlite3_step(read) == SQLITE_ROW) {
      StoredRow row;
      row.entry = static_cast<std::uint64_t>(sqlite3_column_int64(read, 0));
      for (int i = 1; i < sqlite3_column_count(read); ++i) {
        row.values.push_back(sqlite3_value_dup(sqlite3_column_value(read, i)));
      }
      rows_.push_back(std::move(row));
    }
    sqlite3_finalize(read);
  }
  ~TableCopy() {
    sqlite3_finalize(write_);
    for (const StoredRow& row : rows_) {
      for (sqlite3_value* value : row.values) sqlite3_value_free(value);
    }
  }
  TableCopy(const TableCopy&) = delete;
  TableCopy& operator=(const TableCopy&) = delete;

  void Prepare(sqlite3* to) {
    to_ = to;
    Must(sqlite3_prepare_v3(to, insert_.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &write_, nullptr),
         to);
  }
  // Writes the rows of entries below `end` that are not written yet.
  void WriteBelow(std::uint64_t end) {
    for (; next_ < rows_.size() && rows_[next_].entry < end; ++next_) Write(rows_[next_]);
  }
  // The same for a projection: sorted by its key, as a flush in bulk does it.
  void WriteSortedBelow(std::uint64_t end) {
    std::size_t last = next_;
    while (last < rows_.size() && rows_[last].entry < end) ++last;
    const auto begin = rows_.begin() + static_cast<std::ptrdiff_t>(next_);
    std::sort(begin, rows_.begin() + static_cast<std::ptrdiff_t>(last),
              [](const StoredRow& a, const StoredRow& b) { return Key(a) < Key(b); });
    WriteBelow(end);
  }

 private:
  static std::pair<std::string_view, std::int64_t> Key(const StoredRow& row) {
    const auto* bytes = static_cast<const char*>(sqlite3_value_blob(row.values[0]));
    const int size = sqlite3_value_bytes(row.values[0]);
    return {std::string_view(bytes, static_cast<std::size_t>(size)),
            sqlite3_value_int64(row.values[1])};
  }
  void Write(const StoredRow& row) {
    for (std::size_t i = 0; i < row.values.size(); ++i)
      Bind(static_cast<int>(i) + 1, row.values[i]);
    Must(sqlite3_step(write_), to_);
    sqlite3_reset(write_);
  }
  // Without a copy, as a program binds what it has in memory.
  void Bind(int at, sqlite3_value* value) {
    switch (sqlite3_value_type(value)) {
      case SQLITE_INTEGER:
        sqlite3_bind_int64(write_, at, sqlite3_value_int64(value));
        return;
      case SQLITE_TEXT:
        sqlite3_bind_text(write_, at, reinterpret_cast<const char*>(sqlite3_value_text(value)),
                          sqlite3_value_bytes(value), SQLITE_STATIC);
        return;
      default:
        sqlite3_bind_blob(write_, at, sqlite3_value_blob(value), sqlite3_value_bytes(value),
                          SQLITE_STATIC);
    }
  }

  const std::string insert_;
  std::vector<StoredRow> rows_;
  std::size_t next_ = 0;
  sqlite3* to_ = nullptr;
  sqlite3_stmt* write_ = nullptr;
};

// Copies the write-ahead log from a thread of its own, as the log does.
class Copier {
 public:
  explicit Copier(const std::string& path) : thread_([this, path] { Loop(path); }) {}
  ~Copier() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
  Copier(const Copier&) = delete;
  Copier& operator=(const Copier&) = delete;
  static int OnCommit(void* self, sqlite3*, const char*, int pages) {
    if (pages >= kCopyWalPages) static_cast<Copier*>(self)->Wake();
    return SQLITE_OK;
  }
  bool TakeNearlyDone() { return nearly_done_.exchange(false); }

 private:
  void Wake() {
    {
      const std::lock_guard lock(mutex_);
      wanted_ = true;
    }
    changed_.notify_one();
  }
  void Loop(const std::string& path) {
    sqlite3* db = OpenPlain(path, "PRAGMA wal_autocheckpoint = 0");
    std::unique_lock lock(mutex_);
    while (!ending_) {
      changed_.wait(lock, [&] { return wanted_ || ending_; });
      wanted_ = false;
      lock.unlock();
      sqlite3_wal_checkpoint_v2(db, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
      nearly_done_ = true;
      lock.lock();
    }
    sqlite3_close(db);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool wanted_ = false;
  bool ending_ = false;
  std::atomic<bool> nearly_done_{false};
  std::thread thread_;
};

constexpr const char* kPragmas =
    "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
    "PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 0;";

// CREATE statements of the tables and indexes of `from`, without checks and triggers.
constexpr const char* kTables =
    "CREATE TABLE entry(idx INTEGER PRIMARY KEY, hash BLOB, bytes BLOB);"
    "CREATE TABLE tile(id INTEGER PRIMARY KEY, root BLOB, hashes BLOB);"
    "CREATE TABLE checkpoint(size INTEGER PRIMARY KEY, root BLOB, note TEXT);"
    "CREATE TABLE payload(id INTEGER PRIMARY KEY, key_id TEXT, commitment BLOB, media TEXT,"
    " plain_bytes INTEGER, sealed BLOB);"
    "CREATE TABLE p_entry_run(run BLOB, run_seq INTEGER, idx INTEGER, PRIMARY KEY(run, run_seq))"
    " WITHOUT ROWID;";

}  // namespace

double BareSeconds(const std::string& database, const std::string& folder,
                   const std::vector<std::uint64_t>& commits) {
  sqlite3* from = OpenPlain(database, "");
  // A tile belongs to the commit of its last entry, a checkpoint to the one after its size.
  TableCopy entries(from, "SELECT idx, idx, hash, bytes FROM entry ORDER BY idx",
                    "INSERT INTO entry VALUES(?, ?, ?)");
  TableCopy tiles(from,
                  "SELECT ((id & ((1 << 56) - 1)) + 1) << (8 * ((id >> 56) + 1)), id, root, hashes "
                  "FROM tile ORDER BY 1",
                  "INSERT INTO tile VALUES(?, ?, ?)");
  TableCopy heads(from, "SELECT size, size, root, note FROM checkpoint ORDER BY size",
                  "INSERT INTO checkpoint VALUES(?, ?, ?)");
  TableCopy payloads(from,
                     "SELECT id >> 8, id, key_id, commitment, media, plain_bytes, sealed "
                     "FROM payload ORDER BY id",
                     "INSERT INTO payload VALUES(?, ?, ?, ?, ?, ?)");
  TableCopy runs(from, "SELECT idx, run, run_seq, idx FROM p_entry_run ORDER BY idx",
                 "INSERT INTO p_entry_run VALUES(?, ?, ?)");
  sqlite3_close(from);

  const std::string path = folder + "/bare.db";
  sqlite3* db = OpenPlain(path, (std::string(kPragmas) + kTables).c_str());
  for (TableCopy* table : {&entries, &tiles, &heads, &payloads, &runs}) table->Prepare(db);
  double seconds = 0;
  {
    Copier copier(path);
    sqlite3_wal_hook(db, Copier::OnCommit, &copier);
    const double start = Seconds();
    std::uint64_t flushed = 0;
    for (const std::uint64_t end : commits) {
      Must(sqlite3_exec(db, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), db);
      entries.WriteBelow(end);
      payloads.WriteBelow(end);
      tiles.WriteBelow(end + 1);
      heads.WriteBelow(end);
      if (end - flushed >= kProjectionFlushCommands * kEntriesACommand || end == commits.back()) {
        runs.WriteSortedBelow(end);
        flushed = end;
      }
      Must(sqlite3_exec(db, "COMMIT", nullptr, nullptr, nullptr), db);
      if (copier.TakeNearlyDone()) {
        sqlite3_wal_checkpoint_v2(db, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
      }
    }
    seconds = Seconds() - start;
    sqlite3_wal_hook(db, nullptr, nullptr);
  }
  // Statements are finalised by the copies' ends; the connection goes once they are.
  sqlite3_close_v2(db);
  return seconds;
}

}  // namespace interlock::audit::bench
