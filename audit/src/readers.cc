#include "readers.h"

#include <algorithm>
#include <cstring>

#include "entry_text.h"
#include "note_text.h"
#include "schema.h"

namespace interlock::audit {
namespace {

constexpr int kPageMax = 10'000;

const std::string kEntry = "SELECT bytes, hash FROM entry WHERE idx = ?";
const std::string kRange =
    "SELECT idx, bytes, hash FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx LIMIT ?";
const std::string kOfRun =
    "SELECT run_seq, idx FROM p_entry_run WHERE run = ? AND run_seq >= ? ORDER BY run_seq LIMIT ?";
const std::string kPayload =
    "SELECT key_id, commitment, media, plain_bytes, sealed FROM payload WHERE id = ?";
const std::string kBlob = "SELECT bytes FROM blob WHERE digest = ?";
const std::string kCosignatures = "SELECT line FROM cosignature WHERE size = ? ORDER BY name";
const std::string kCosigned =
    "SELECT note FROM checkpoint WHERE size = (SELECT max(size) FROM cosignature)";

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
  LockDownReader(reader->db());
  return reader;
}

core::StatusOr<Reader::Reading> Reader::Kept(const std::string& sql) {
  if (const auto found = kept_.find(sql); found != kept_.end()) return Reading(&found->second);
  INTERLOCK_ASSIGN_OR_RETURN(Statement made, Statement::Prepare(db(), sql));
  if (kept_.size() >= kKeptMax) kept_.clear();
  return Reading(&(kept_[sql] = std::move(made)));
}

core::Status ReadRows(Statement& statement, std::span<const std::string> bound,
                      const std::function<void(sqlite3_stmt*)>& row) {
  ResetAtExit reset(statement);
  for (std::size_t i = 0; i < bound.size(); ++i) statement.Text(static_cast<int>(i) + 1, bound[i]);
  while (true) {
    INTERLOCK_ASSIGN_OR_RETURN(const bool there, statement.Step());
    if (!there) return core::OkStatus();
    row(statement.get());
  }
}

core::Status Reader::Select(const std::string& sql, std::span<const std::string> bound,
                            const std::function<void(sqlite3_stmt*)>& row) {
  INTERLOCK_ASSIGN_OR_RETURN(const Reading rows, Kept(sql));
  return ReadRows(*rows, bound, row);
}

core::StatusOr<Entry> Reader::Read(std::uint64_t index) {
  INTERLOCK_ASSIGN_OR_RETURN(const Reading rows, Kept(kEntry));
  rows->Int(1, static_cast<std::int64_t>(index));
  INTERLOCK_ASSIGN_OR_RETURN(const bool row, rows->Step());
  if (!row) return core::NotFound("no entry " + std::to_string(index));
  return MakeEntry(index, rows->Bytes(0), rows->Bytes(1));
}

core::StatusOr<EntryPage> Reader::ReadRange(std::uint64_t first, int max, std::uint64_t size) {
  max = std::clamp(max, 1, kPageMax);
  INTERLOCK_ASSIGN_OR_RETURN(const Reading rows, Kept(kRange));
  rows->Int(1, static_cast<std::int64_t>(first)).Int(2, static_cast<std::int64_t>(size));
  rows->Int(3, max);
  EntryPage page;
  for (int i = 0; i < max; ++i) {
    INTERLOCK_ASSIGN_OR_RETURN(const bool row, rows->Step());
    if (!row) break;
    INTERLOCK_ASSIGN_OR_RETURN(Entry entry, MakeEntry(static_cast<std::uint64_t>(rows->Int(0)),
                                                      rows->Bytes(1), rows->Bytes(2)));
    page.entries.push_back(std::move(entry));
  }
  page.more = !page.entries.empty() && page.entries.back().index + 1 < size;
  return page;
}

core::StatusOr<std::vector<RunPosition>> Reader::RunPositions(std::string_view run,
                                                              std::int64_t first_seq, int max) {
  INTERLOCK_ASSIGN_OR_RETURN(const Reading rows, Kept(kOfRun));
  const RunKey key = KeyOfRun(run);
  rows->Blob(1, BytesOf(key)).Int(2, first_seq).Int(3, max);
  std::vector<RunPosition> positions;
  while (true) {
    INTERLOCK_ASSIGN_OR_RETURN(const bool row, rows->Step());
    if (!row) return positions;
    positions.push_back({rows->Int(0), static_cast<std::uint64_t>(rows->Int(1))});
  }
}

core::StatusOr<std::string> Reader::ReadBlob(const core::Digest& digest) {
  INTERLOCK_ASSIGN_OR_RETURN(const Reading rows, Kept(kBlob));
  rows->Blob(1, core::AsBytes(digest));
  INTERLOCK_ASSIGN_OR_RETURN(const bool row, rows->Step());
  if (!row) return core::NotFound("no blob " + core::DigestName(digest));
  std::string bytes(rows->Bytes(0));
  if (core::Sha256(bytes) != digest) {
    return core::DataLoss("blob " + core::DigestName(digest) + " is damaged");
  }
  return bytes;
}

core::StatusOr<std::string> Reader::Cosignatures(std::uint64_t size) {
  INTERLOCK_ASSIGN_OR_RETURN(const Reading rows, Kept(kCosignatures));
  rows->Int(1, static_cast<std::int64_t>(size));
  std::string lines;
  while (true) {
    INTERLOCK_ASSIGN_OR_RETURN(const bool row, rows->Step());
    if (!row) return lines;
    lines += rows->Bytes(0);
  }
}

core::StatusOr<Checkpoint> Reader::Cosigned() {
  INTERLOCK_ASSIGN_OR_RETURN(const Reading rows, Kept(kCosigned));
  INTERLOCK_ASSIGN_OR_RETURN(const bool row, rows->Step());
  if (!row) return core::NotFound("no witness has cosigned a checkpoint yet");
  return ReadCheckpoint(rows->Bytes(0));
}

core::StatusOr<PayloadRow> Reader::ReadPayload(std::uint64_t entry_index, int slot) {
  const core::Status none = core::NotFound("entry " + std::to_string(entry_index) +
                                           " has no payload in slot " + std::to_string(slot));
  if (slot < 0 || slot >= kSlotsMax) return none;
  INTERLOCK_ASSIGN_OR_RETURN(const Reading rows, Kept(kPayload));
  rows->Int(1, PayloadKey(entry_index, slot));
  INTERLOCK_ASSIGN_OR_RETURN(const bool row, rows->Step());
  if (!row) return none;
  PayloadRow out;
  out.entry_index = entry_index;
  out.slot = slot;
  out.payload.key_id = rows->Bytes(0);
  const std::string_view commitment = rows->Bytes(1);
  if (commitment.size() != out.payload.commitment.size()) {
    return core::DataLoss("a payload of entry " + std::to_string(entry_index) + " is damaged");
  }
  std::memcpy(out.payload.commitment.data(), commitment.data(), commitment.size());
  out.payload.media = rows->Bytes(2);
  out.payload.plain_bytes = static_cast<std::uint64_t>(rows->Int(3));
  out.erased = rows->IsNull(4);
  out.payload.sealed = rows->Bytes(4);
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
