#include "store.h"

#include <algorithm>
#include <utility>

#include "audit/merkle.h"
#include "batch_rows.h"
#include "private_file.h"
#include "rotation_check.h"
#include "succession.h"
#include "tree_store.h"

namespace interlock::audit {
namespace {

core::Status BadEntry(std::uint64_t index, std::string_view what) {
  return core::DataLoss("entry " + std::to_string(index) + " " + std::string(what) +
                        "; the log is damaged: run `interlock audit verify`");
}

int OnWalCommit(void* pages, sqlite3*, const char*, int count) {
  *static_cast<int*>(pages) = count;
  return SQLITE_OK;
}

}  // namespace

core::StatusOr<std::unique_ptr<Store>> Store::Open(const LogOptions& options) {
  INTERLOCK_ASSIGN_OR_RETURN(WritableDb opened, OpenForWriting(options.folder));
  return Open(options, std::move(opened));
}

core::StatusOr<std::unique_ptr<Store>> Store::Open(const LogOptions& options, WritableDb opened) {
  const LogIdentity identity{options.tenant, options.origin, options.signer->verifier_key()};
  INTERLOCK_ASSIGN_OR_RETURN(
      const std::int64_t version,
      EstablishSchema(opened.db.get(), identity, options.signer->verifier_keys(),
                      options.clock->WallMicros()));
  if (opened.created) INTERLOCK_RETURN_IF_ERROR(SyncFolder(options.folder));
  std::unique_ptr<Store> store(new Store(std::move(opened.db)));
  store->version_at_open_ = version;
  INTERLOCK_RETURN_IF_ERROR(store->LoadState(options));
  store->projections_ = std::make_unique<Projections>(store->db(), options.projectors);
  INTERLOCK_RETURN_IF_ERROR(store->projections_->Start(store->size()));
  INTERLOCK_RETURN_IF_ERROR(AddBatchTables(store->db(), &store->inserting_));
  LockDownWriter(store->db(), &store->own_statements_);
  INTERLOCK_RETURN_IF_ERROR(store->PrepareAll());
  sqlite3_wal_hook(store->db(), OnWalCommit, &store->wal_pages_);
  return store;
}

// Rule 24: the frontier must be the one that the newest checkpoint signed, and what came after is
// read again.
core::Status Store::LoadState(const LogOptions& options) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t next,
                             QueryInt(db(), "SELECT coalesce(max(idx), -1) + 1 FROM entry"));
  const auto size = static_cast<std::uint64_t>(next);
  INTERLOCK_ASSIGN_OR_RETURN(committed_, GrowingTree::Load(db(), size));
  INTERLOCK_RETURN_IF_ERROR(LoadCheckpoint(options));
  INTERLOCK_RETURN_IF_ERROR(CheckTail(options, size));
  tree_ = committed_;
  committed_time_us_ = last_time_us_;
  return core::OkStatus();
}

core::Status Store::LoadCheckpoint(const LogOptions& options) {
  INTERLOCK_ASSIGN_OR_RETURN(
      Statement newest,
      Statement::Prepare(db(),
                         "SELECT size, root, note FROM checkpoint ORDER BY size DESC LIMIT 1"));
  INTERLOCK_ASSIGN_OR_RETURN(const bool row, newest.Step());
  if (!row) return core::OkStatus();
  std::vector<std::string> keys = options.signer->verifier_keys();
  auto checkpoint = OpenCheckpoint(newest.Bytes(2), keys.back());
  signed_by_ = keys.back();
  for (keys.pop_back(); !checkpoint.ok() && !keys.empty(); keys.pop_back()) {
    checkpoint = OpenCheckpoint(newest.Bytes(2), keys.back());
    signed_by_ = keys.back();
  }
  if (!checkpoint.ok()) {
    return core::DataLoss("the newest checkpoint does not hold: " +
                          std::string(core::Message(checkpoint.status())));
  }
  if (checkpoint->size > committed_.size()) return BadEntry(committed_.size(), "is missing");
  INTERLOCK_ASSIGN_OR_RETURN(StoredTree tree, StoredTree::On(db()));
  INTERLOCK_ASSIGN_OR_RETURN(const core::Digest root, TreeRoot(tree, checkpoint->size));
  if (root != checkpoint->root || checkpoint->origin != options.origin) {
    return core::DataLoss("the stored tree is not the one that checkpoint " +
                          std::to_string(checkpoint->size) +
                          " signed; run `interlock audit verify`");
  }
  checkpoints_at_open_.push_back(*std::move(checkpoint));
  return core::OkStatus();
}

core::Status Store::CheckTail(const LogOptions& options, std::uint64_t size) {
  const std::uint64_t signed_size =
      checkpoints_at_open_.empty() ? 0 : checkpoints_at_open_.back().size;
  // What no head covers, and what is in no full tile yet: older entries have the scan. At least the
  // last entry: the clock goes on from it.
  const std::uint64_t first =
      std::min({signed_size, size / kTileWidth * kTileWidth, size == 0 ? 0 : size - 1});
  return ForEachStored(db(), first, size, [&](const EntryView& entry) -> core::Status {
    const auto parsed = ParseEntry(entry.bytes);
    if (LeafHash(entry.bytes) != entry.leaf_hash)
      return BadEntry(entry.index, "is not what its hash says");
    if (!parsed || parsed->envelope.index != entry.index ||
        parsed->envelope.tenant != options.tenant) {
      return BadEntry(entry.index, "is out of its place");
    }
    if (entry.time_us < last_time_us_) return BadEntry(entry.index, "goes back in time");
    if (entry.kind == kRotatedKind && entry.index >= signed_size) {
      rotated_at_ = entry.index;
      rotated_to_ = std::string(entry.body.Token("new_key").value_or(""));
    }
    last_time_us_ = entry.time_us;
    closed_ = entry.kind == kClosedKind;
    return core::OkStatus();
  });
}

// A key that no entry leads to would make every later head one that no verifier takes.
core::Status Store::CheckSignerKey(const Signer& signer) const {
  std::string key = signed_by_;
  if (key.empty()) {
    INTERLOCK_ASSIGN_OR_RETURN(const LogIdentity identity, ReadIdentity(db()));
    key = identity.verifier_key;
  }
  const std::string present = signer.verifier_key();
  if (present == key || (rotated_at_ && present == rotated_to_)) return core::OkStatus();
  return core::FailedPrecondition(
      "the signer signs with `" + present + "`, and the log's entries lead to `" + key +
      "`; give it back its key (`signer.key`) or restore the newer log");
}

core::Status Store::PrepareAll() {
  const OwnStatements own(db(), own_statements_);
  // OR FAIL: a failed batch is rolled back as a whole, so no statement needs a journal of its own.
  INTERLOCK_ASSIGN_OR_RETURN(insert_entries_,
                             Statement::Prepare(db(),
                                                "INSERT OR FAIL INTO entry(idx, hash, bytes) "
                                                "SELECT idx, hash, bytes FROM batch_entry"));
  INTERLOCK_ASSIGN_OR_RETURN(
      insert_payloads_,
      Statement::Prepare(db(),
                         "INSERT OR FAIL INTO payload(id, key_id, commitment, media, plain_bytes, "
                         "sealed) SELECT id, key_id, commitment, media, plain_bytes, sealed "
                         "FROM batch_payload"));
  INTERLOCK_ASSIGN_OR_RETURN(
      insert_blob_, Statement::Prepare(db(),
                                       "INSERT INTO blob(digest, bytes) SELECT ?1, ?2 "
                                       "WHERE NOT EXISTS (SELECT 1 FROM blob WHERE digest = ?1)"));
  INTERLOCK_ASSIGN_OR_RETURN(erase_payload_,
                             Statement::Prepare(db(),
                                                "UPDATE payload SET sealed = NULL "
                                                "WHERE id = ? AND sealed IS NOT NULL"));
  INTERLOCK_ASSIGN_OR_RETURN(
      insert_cosignature_,
      Statement::Prepare(db(),
                         "INSERT INTO cosignature(size, name, line) SELECT ?1, ?2, ?3 WHERE NOT "
                         "EXISTS (SELECT 1 FROM cosignature WHERE size = ?1 AND name = ?2)"));
  INTERLOCK_ASSIGN_OR_RETURN(
      insert_checkpoint_,
      Statement::Prepare(db(), "INSERT INTO checkpoint(size, root, note) VALUES(?, ?, ?)"));
  INTERLOCK_ASSIGN_OR_RETURN(entry_hash_,
                             Statement::Prepare(db(), "SELECT hash FROM entry WHERE idx = ?"));
  INTERLOCK_ASSIGN_OR_RETURN(begin_, Statement::Prepare(db(), "BEGIN IMMEDIATE"));
  INTERLOCK_ASSIGN_OR_RETURN(commit_, Statement::Prepare(db(), "COMMIT"));
  INTERLOCK_ASSIGN_OR_RETURN(tiles_, TileWriter::On(db()));
  return core::OkStatus();
}

core::Status Store::Begin() { return begin_.Run(); }

core::Status Store::Insert(const Segment& segment) {
  const OwnStatements own(db(), own_statements_);
  INTERLOCK_RETURN_IF_ERROR(CheckInTransaction(db()));
  INTERLOCK_RETURN_IF_ERROR(InsertRows(segment));
  for (const PendingEntry& entry : segment.entries) INTERLOCK_RETURN_IF_ERROR(Grow(entry));
  return core::OkStatus();
}

core::Status Store::InsertRest(const Batch& batch) {
  const OwnStatements own(db(), own_statements_);
  INTERLOCK_RETURN_IF_ERROR(CheckInTransaction(db()));
  for (const std::string& blob : batch.blobs()) {
    const core::Digest digest = core::Sha256(blob);
    INTERLOCK_RETURN_IF_ERROR(insert_blob_.Blob(1, core::AsBytes(digest)).Blob(2, blob).Run());
  }
  for (const PendingCosignature& line : batch.cosignatures()) {
    INTERLOCK_RETURN_IF_ERROR(insert_cosignature_.Int(1, static_cast<std::int64_t>(line.size))
                                  .Text(2, line.name)
                                  .Text(3, line.line)
                                  .Run());
  }
  for (const std::int64_t id : batch.erased()) {
    INTERLOCK_RETURN_IF_ERROR(erase_payload_.Int(1, id).Run());
  }
  return core::OkStatus();
}

core::Status Store::InsertRows(const Segment& segment) {
  inserting_ = &segment;
  core::Status status = core::OkStatus();
  if (!segment.entries.empty()) status = insert_entries_.Run();
  if (status.ok() && !segment.payloads.empty()) status = insert_payloads_.Run();
  inserting_ = nullptr;
  return status;
}

core::Status Store::Grow(const PendingEntry& entry) {
  last_time_us_ = entry.time_us;
  tree_.Add(entry.leaf_hash, completed_);
  for (const Tile& tile : completed_) INTERLOCK_RETURN_IF_ERROR(tiles_.Write(tile));
  completed_.clear();
  return core::OkStatus();
}

core::Status Store::InsertCheckpoint(const Checkpoint& checkpoint) {
  const OwnStatements own(db(), own_statements_);
  INTERLOCK_RETURN_IF_ERROR(CheckInTransaction(db()));
  return insert_checkpoint_.Int(1, static_cast<std::int64_t>(checkpoint.size))
      .Blob(2, core::AsBytes(checkpoint.root))
      .Text(3, checkpoint.note)
      .Run();
}

core::Status Store::Commit() {
  INTERLOCK_RETURN_IF_ERROR(commit_.Run());
  committed_ = tree_;
  committed_time_us_ = last_time_us_;
  return core::OkStatus();
}

void Store::Rollback() {
  if (sqlite3_get_autocommit(db()) == 0) sqlite3_exec(db(), "ROLLBACK", nullptr, nullptr, nullptr);
  tree_ = committed_;
  last_time_us_ = committed_time_us_;
  completed_.clear();
}

core::StatusOr<RunHead> Store::LoadHead(std::string_view run) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::optional<RunPosition> last,
                             projections_->run_index().Last(run));
  if (!last) return RunHead{};
  ResetAtExit reset(entry_hash_);
  entry_hash_.Int(1, static_cast<std::int64_t>(last->index));
  INTERLOCK_ASSIGN_OR_RETURN(const bool row, entry_hash_.Step());
  if (!row) return BadEntry(last->index, "is missing");
  RunHead head{last->run_seq + 1, {}};
  const std::string_view hash = entry_hash_.Bytes(0);
  if (hash.size() != head.last.size()) return BadEntry(last->index, "has no hash");
  std::copy(hash.begin(), hash.end(), head.last.begin());
  return head;
}

core::Status Store::FinishWal() {
  int left = 0;
  int copied = 0;
  const int rc =
      sqlite3_wal_checkpoint_v2(db(), nullptr, SQLITE_CHECKPOINT_PASSIVE, &left, &copied);
  if (rc == SQLITE_OK || rc == SQLITE_BUSY || rc == SQLITE_LOCKED) return core::OkStatus();
  return SqlError(db(), "copying the write-ahead log");
}

}  // namespace interlock::audit
