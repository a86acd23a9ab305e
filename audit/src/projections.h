// The projectors of a log and their watermark: fold, flush in bulk, drop and fold again, rebuild.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "audit/log.h"
#include "batch.h"
#include "run_index.h"
#include "sqlite.h"

namespace interlock::audit {

// Writer thread only, but for run_index().Pending.
class Projections {
 public:
  Projections(sqlite3* db, std::vector<Projector*> projectors);

  // Makes tables and views (dropping and rebuilding all of them when a schema changed or the
  // watermark is beyond `size`) and attaches the projectors. Before the authorizer is set. Then
  // folds up to `size`.
  core::Status Start(std::uint64_t size);

  core::Status Fold(const EntryView& entry);
  // The entries of the batch's newest command.
  core::Status FoldCommand(const Batch& batch);
  // Everything folded is durable.
  void Committed();
  // Writes dirty rows and the watermark. Inside a transaction of the caller, who calls Flushed()
  // after COMMIT.
  core::Status Flush(std::uint64_t next_index);
  void Flushed(std::uint64_t next_index);
  // After a rollback: forgets all memory and folds the entries in [watermark, size) again.
  core::Status Reload(std::uint64_t size);
  // The log has stopped with a batch that never became durable: the projectors forget it, so that
  // nobody waits for it. What the tables hold can still be read.
  void Forget();

  std::uint64_t flushed_up_to() const { return flushed_up_to_; }
  // Whether Start found tables that do not fit their seal.
  bool remade() const { return remade_; }
  RunIndex& run_index() { return run_index_; }

 private:
  core::Status CreateTables();
  core::Status DropTables();
  core::Status AttachAll();
  core::Status Remake();
  core::Status WriteMark(std::uint64_t next_index);
  // The text beside the watermark: the digest of the schemas, and the seals.
  std::string MarkOf(std::uint64_t next_index) const;
  core::Status FoldStored(std::uint64_t first, std::uint64_t size);
  core::Status FlushAlone(std::uint64_t next_index);
  core::StatusOr<std::uint64_t> ReadWatermark();

  sqlite3* const db_;
  RunIndex run_index_;
  std::vector<Projector*> projectors_;  // run_index_ first
  const std::string schema_digest_;
  Statement write_watermark_;
  std::uint64_t flushed_up_to_ = 0;
  bool remade_ = false;
};

// Reads entries [first, size) in order and gives each to `fold`. Errors: kDataLoss naming the index
// for bytes that are no entry; those of `fold`.
core::Status ForEachStored(sqlite3* db, std::uint64_t first, std::uint64_t size,
                           const std::function<core::Status(const EntryView&)>& fold);

// A statement of a schema by the words that SQLite keeps of it.
std::string AsStored(std::string statement);

// SHA-256 over all schema statements: a changed projector is rebuilt from entries.
std::string SchemaDigest(const std::vector<Projector*>& projectors);
// Of the text beside a stored watermark: what stands before the seals.
std::string_view SchemaDigestIn(std::string_view mark);

}  // namespace interlock::audit
