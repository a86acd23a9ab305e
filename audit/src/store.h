// The writer's connection: what one commit puts into the database.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "audit/log.h"
#include "batch.h"
#include "projections.h"
#include "schema.h"
#include "sqlite.h"
#include "tree_store.h"

namespace interlock::audit {

// Writer thread only (after Open), but for Insert. A failed call leaves a transaction that Rollback
// ends.
class Store {
 public:
  static core::StatusOr<std::unique_ptr<Store>> Open(const LogOptions& options);
  // On a database of that folder, as OpenForWriting gave it.
  static core::StatusOr<std::unique_ptr<Store>> Open(const LogOptions& options, WritableDb opened);

  sqlite3* db() const { return db_.get(); }
  std::uint64_t size() const { return tree_.size(); }
  std::int64_t last_time_us() const { return last_time_us_; }
  core::Digest Root() const { return tree_.Root(); }
  // The entry after the newest checkpoint that hands over to another key: the signer may not have
  // that in use yet.
  const std::optional<std::uint64_t>& rotated_at() const { return rotated_at_; }
  // The signer's key is the one that the entries lead to. Errors: kFailedPrecondition.
  core::Status CheckSignerKey(const Signer& signer) const;
  // The last entry ends the log: nothing may follow it.
  bool closed() const { return closed_; }
  // The schema version that the file had when it was opened; smaller than ours: it was migrated.
  std::int64_t version_at_open() const { return version_at_open_; }
  const std::vector<Checkpoint>& checkpoints_at_open() const { return checkpoints_at_open_; }
  Projections& projections() { return *projections_; }

  core::Status Begin();
  // Entries, payloads and tiles of a segment; segments in order. From any one thread: statements
  // that the writer steps meanwhile, to load rows, take turns with it.
  core::Status Insert(const Segment& segment);
  // What the batch has besides its segments: blobs, cosignatures and erasures.
  core::Status InsertRest(const Batch& batch);
  core::Status InsertCheckpoint(const Checkpoint& checkpoint);
  // Durable when it returns OK.
  core::Status Commit();
  // Ends a failed transaction: the tree is again what is committed.
  void Rollback();
  // True when the last failed call failed for want of space.
  bool NoSpace() const { return FailedForSpace(db_.get()); }

  // The head of a run, from the projections and the entry rows.
  core::StatusOr<RunHead> LoadHead(std::string_view run);

  // Pages in the WAL after the last commit.
  int wal_pages() const { return wal_pages_; }
  // Copies what is left of the WAL, so that the next commit starts it anew.
  core::Status FinishWal();

 private:
  explicit Store(Db db) : db_(std::move(db)) {}
  core::Status LoadState(const LogOptions& options);
  core::Status LoadCheckpoint(const LogOptions& options);
  core::Status CheckTail(const LogOptions& options, std::uint64_t size);
  core::Status PrepareAll();
  core::Status InsertRows(const Segment& segment);
  core::Status Grow(const PendingEntry& entry);  // the tree, by one entry

  // Lets the authorizer pass the store's own inserts, also when SQLite prepares them again. Nobody
  // else uses the connection meanwhile.
  class OwnStatements {
   public:
    OwnStatements(sqlite3* db, bool& own) : lock_(db), own_(own) { own_ = true; }
    ~OwnStatements() { own_ = false; }
    OwnStatements(const OwnStatements&) = delete;
    OwnStatements& operator=(const OwnStatements&) = delete;

   private:
    const ConnectionLock lock_;
    bool& own_;
  };

  const Segment* inserting_ = nullptr;  // what the batch tables show
  Db db_;
  bool own_statements_ = false;
  Statement insert_entries_;
  Statement insert_payloads_;
  Statement insert_blob_;
  Statement insert_cosignature_;
  Statement erase_payload_;
  Statement insert_checkpoint_;
  Statement entry_hash_;
  Statement begin_;
  Statement commit_;
  TileWriter tiles_;
  std::vector<Tile> completed_;
  GrowingTree tree_;       // with the entries of the open transaction
  GrowingTree committed_;  // without
  std::int64_t last_time_us_ = 0;
  std::int64_t committed_time_us_ = 0;
  std::optional<std::uint64_t> rotated_at_;
  std::string rotated_to_;  // the key that it names
  std::string signed_by_;   // the newest checkpoint; none yet: the key that the log began with
  bool closed_ = false;
  std::int64_t version_at_open_ = kSchemaVersion;
  std::vector<Checkpoint> checkpoints_at_open_;  // the newest, or none
  std::unique_ptr<Projections> projections_;
  int wal_pages_ = 0;
};

}  // namespace interlock::audit
