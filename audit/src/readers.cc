#include "readers.h"

#include <algorithm>
#include <cstring>

#include "entry_text.h"
#include "note_text.h"
#include "schema.h"

namespace interlock::audit {
namespace {

constexpr int kPageMax = 10'000;

core::StatusOr<Entry> MakeEntry(std::uint64_t index, std::string_view bytes,
                                std::string_view hash) {
  const auto parsed = ParseEntry(bytes);
  Entry entry;
  if (!parsed || hash.size() != entry.leaf_hash.size() || parsed->envelope.index != index) {
    return core::DataLoss("entry " + std::to_string(index) + " is damaged");
  }
  entry.index = index;
  entry.time_us = parsed->envelope.time_us;
  entry.kind = parsed->kind;
  entry.run = parsed->run;
  entry.run_seq = parsed->envelope.run_seq;
  entry.bytes = bytes;
  std::memcpy(entry.leaf_hash.data(), hash.data(), hash.size());
  return entry;
}

}  // namespace

core::StatusOr<std::unique_ptr<Reader>> Reader::Open(const std::string& path) {
  auto reader = std::make_unique<Reader>();
  INTERLOCK_ASSIGN_OR_RETURN(reader->db_, OpenForReading(path));
  sqlite3* db = reader->db();
  LockDownReader(db);
  INTERLOCK_ASSIGN_OR_RETURN(reader->entry_,
                             Statement::Prepare(db, "SELECT bytes, hash FROM entry WHERE idx = ?"));
  INTERLOCK_ASSIGN_OR_RETURN(reader->range_,
                             Statement::Prepare(db,
                                                "SELECT idx, bytes, hash FROM entry "
                                                "WHERE idx >= ? AND idx < ? ORDER BY idx LIMIT ?"));
  INTERLOCK_ASSIGN_OR_RETURN(reader->run_,
                             Statement::Prepare(db,
                                                "SELECT run_seq, idx FROM p_entry_run "
                                                "WHERE run = ? AND run_seq >= ? "
                                                "ORDER BY run_seq LIMIT ?"));
  INTERLOCK_ASSIGN_OR_RETURN(reader->payload_,
                             Statement::Prepare(db,
                                                "SELECT key_id, commitment, media, plain_bytes, "
                                                "sealed FROM payload WHERE id = ?"));
  INTERLOCK_ASSIGN_OR_RETURN(reader->blob_,
                             Statement::Prepare(db, "SELECT bytes FROM blob WHERE digest = ?"));
  INTERLOCK_ASSIGN_OR_RETURN(reader->cosignatures_,
                             Statement::Prepare(db,
                                                "SELECT line FROM cosignature WHERE size = ? "
                                                "ORDER BY name"));
  INTERLOCK_ASSIGN_OR_RETURN(reader->cosigned_,
                             Statement::Prepare(db,
                                                "SELECT note FROM checkpoint WHERE size = "
                                                "(SELECT max(size) FROM cosignature)"));
  return reader;
}

core::StatusOr<Entry> Reader::Read(std::uint64_t index) {
  ResetAtExit reset(entry_);
  entry_.Int(1, static_cast<std::int64_t>(index));
  INTERLOCK_ASSIGN_OR_RETURN(const bool row, entry_.Step());
  if (!row) return core::NotFound("no entry " + std::to_string(index));
  return MakeEntry(index, entry_.Bytes(0), entry_.Bytes(1));
}

core::StatusOr<EntryPage> Reader::ReadRange(std::uint64_t first, int max, std::uint64_t size) {
  max = std::clamp(max, 1, kPageMax);
  ResetAtExit reset(range_);
  range_.Int(1, static_cast<std::int64_t>(first)).Int(2, static_cast<std::int64_t>(size));
  range_.Int(3, max);
  EntryPage page;
  for (int i = 0; i < max; ++i) {
    INTERLOCK_ASSIGN_OR_RETURN(const bool row, range_.Step());
    if (!row) break;
    INTERLOCK_ASSIGN_OR_RETURN(Entry entry, MakeEntry(static_cast<std::uint64_t>(range_.Int(0)),
                                                      range_.Bytes(1), range_.Bytes(2)));
    page.entries.push_back(std::move(entry));
  }
  page.more = !page.entries.empty() && page.entries.back().index + 1 < size;
  return page;
}

core::StatusOr<std::vector<RunPosition>> Reader::RunPositions(std::string_view run,
                                                              std::int64_t first_seq, int max) {
  ResetAtExit reset(run_);
  const RunKey key = KeyOfRun(run);
  run_.Blob(1, BytesOf(key)).Int(2, first_seq).Int(3, max);
  std::vector<RunPosition> positions;
  while (true) {
    INTERLOCK_ASSIGN_OR_RETURN(const bool row, run_.Step());
    if (!row) return positions;
    positions.push_back({run_.Int(0), static_cast<std::uint64_t>(run_.Int(1))});
  }
}

core::StatusOr<std::string> Reader::ReadBlob(const core::Digest& digest) {
  ResetAtExit reset(blob_);
  blob_.Blob(1, core::AsBytes(digest));
  INTERLOCK_ASSIGN_OR_RETURN(const bool row, blob_.Step());
  if (!row) return core::NotFound("no blob " + core::DigestName(digest));
  std::string bytes(blob_.Bytes(0));
  if (core::Sha256(bytes) != digest) {
    return core::DataLoss("blob " + core::DigestName(digest) + " is damaged");
  }
  return bytes;
}

core::StatusOr<std::string> Reader::Cosignatures(std::uint64_t size) {
  ResetAtExit reset(cosignatures_);
  cosignatures_.Int(1, static_cast<std::int64_t>(size));
  std::string lines;
  while (true) {
    INTERLOCK_ASSIGN_OR_RETURN(const bool row, cosignatures_.Step());
    if (!row) return lines;
    lines += cosignatures_.Bytes(0);
  }
}

core::StatusOr<Checkpoint> Reader::Cosigned() {
  ResetAtExit reset(cosigned_);
  INTERLOCK_ASSIGN_OR_RETURN(const bool row, cosigned_.Step());
  if (!row) return core::NotFound("no witness has cosigned a checkpoint yet");
  return ReadCheckpoint(cosigned_.Bytes(0));
}

core::StatusOr<PayloadRow> Reader::ReadPayload(std::uint64_t entry_index, int slot) {
  const core::Status none = core::NotFound("entry " + std::to_string(entry_index) +
                                           " has no payload in slot " + std::to_string(slot));
  if (slot < 0 || slot >= kSlotsMax) return none;
  ResetAtExit reset(payload_);
  payload_.Int(1, PayloadKey(entry_index, slot));
  INTERLOCK_ASSIGN_OR_RETURN(const bool row, payload_.Step());
  if (!row) return none;
  PayloadRow out;
  out.entry_index = entry_index;
  out.slot = slot;
  out.payload.key_id = payload_.Bytes(0);
  const std::string_view commitment = payload_.Bytes(1);
  if (commitment.size() != out.payload.commitment.size()) {
    return core::DataLoss("a payload of entry " + std::to_string(entry_index) + " is damaged");
  }
  std::memcpy(out.payload.commitment.data(), commitment.data(), commitment.size());
  out.payload.media = payload_.Bytes(2);
  out.payload.plain_bytes = static_cast<std::uint64_t>(payload_.Int(3));
  out.erased = payload_.IsNull(4);
  out.payload.sealed = payload_.Bytes(4);
  return out;
}

core::Status Reader::Query(const std::function<core::Status(sqlite3*)>& read) {
  INTERLOCK_RETURN_IF_ERROR(Exec(db(), "BEGIN"));
  core::Status status = read(db());
  // The reader's own statements may still be open; a rollback ends them all.
  if (sqlite3_get_autocommit(db()) == 0) {
    const core::Status end = Exec(db(), "ROLLBACK");
    if (status.ok()) status = end;
  }
  return status;
}

core::StatusOr<ReaderPool::Lease> ReaderPool::Borrow() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<Reader> reader = std::move(idle_.back());
      idle_.pop_back();
      return Lease(reader.release(), GiveBack{this});
    }
  }
  INTERLOCK_ASSIGN_OR_RETURN(std::unique_ptr<Reader> reader, Reader::Open(path_));
  return Lease(reader.release(), GiveBack{this});
}

void ReaderPool::Return(std::unique_ptr<Reader> reader) {
  const std::lock_guard lock(mutex_);
  if (idle_.size() < kIdleMax) idle_.push_back(std::move(reader));
}

}  // namespace interlock::audit
