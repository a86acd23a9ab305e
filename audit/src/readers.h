// Read-only connections, borrowed one at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "audit/log.h"
#include "run_index.h"
#include "sqlite.h"

namespace interlock::audit {

// Steps a statement through all its rows, these texts bound to its parameters.
core::Status ReadRows(Statement& statement, std::span<const std::string> bound,
                      const std::function<void(sqlite3_stmt*)>& row);

// One connection with its statements, each made when it is needed first. One per thread at a time.
class Reader {
 public:
  static core::StatusOr<std::unique_ptr<Reader>> Open(const std::string& path);

  sqlite3* db() const { return db_.get(); }
  core::StatusOr<Entry> Read(std::uint64_t index);
  // At most `max` entries from `first`, below `size`.
  core::StatusOr<EntryPage> ReadRange(std::uint64_t first, int max, std::uint64_t size);
  // At most `max` positions of a run in the table, from `first_seq`.
  core::StatusOr<std::vector<RunPosition>> RunPositions(std::string_view run,
                                                        std::int64_t first_seq, int max);
  core::StatusOr<PayloadRow> ReadPayload(std::uint64_t entry_index, int slot);
  core::StatusOr<std::string> ReadBlob(const core::Digest& digest);
  // Witnesses' signature lines of the checkpoint of this size.
  core::StatusOr<std::string> Cosignatures(std::uint64_t size);
  // The newest checkpoint that has any, without them. Errors: kNotFound.
  core::StatusOr<Checkpoint> Cosigned();
  // `read` sees one snapshot.
  core::Status Query(const std::function<core::Status(sqlite3*)>& read);
  // One statement is a snapshot by itself.
  core::Status Select(const std::string& sql, std::span<const std::string> bound,
                      const std::function<void(sqlite3_stmt*)>& row);

 private:
  static constexpr std::size_t kKeptMax = 64;
  // A kept statement, lent for one reading.
  struct EndReading {
    void operator()(Statement* statement) const { statement->Reset(); }
  };
  using Reading = std::unique_ptr<Statement, EndReading>;
  core::StatusOr<Reading> Kept(const std::string& sql);

  Db db_;
  std::unordered_map<std::string, Statement> kept_;  // by their text
};

// Thread-safe.
class ReaderPool {
 public:
  explicit ReaderPool(std::string path) : path_(std::move(path)) {}

  // Goes back to the pool when dropped.
  struct GiveBack {
    ReaderPool* pool;
    void operator()(Reader* reader) const { pool->Return(std::unique_ptr<Reader>(reader)); }
  };
  using Lease = std::unique_ptr<Reader, GiveBack>;
  core::StatusOr<Lease> Borrow();

 private:
  static constexpr std::size_t kIdleMax = 16;
  void Return(std::unique_ptr<Reader> reader);

  const std::string path_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Reader>> idle_;
};

}  // namespace interlock::audit
