// The append-only log of one tenant (a partition): entries are leaves of an RFC 6962 tree in
// `audit.db`.
//
// One writer thread applies commands serially, drains its queue (at most kBatchMax), commits once
// with a full sync, then acknowledges. `audit` knows bytes, envelopes and payload rows; what a run
// *is* belongs to the projectors that `runtime` gives to it (rule 22).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "audit/checkpoint.h"
#include "core/clock.h"
#include "core/digest.h"
#include "core/json.h"
#include "core/status.h"

struct sqlite3;
struct sqlite3_stmt;

namespace interlock::audit {

inline constexpr std::size_t kEntryBytesMax = 65'535;  // C2SP entry bundles have uint16 lengths
inline constexpr std::size_t kBatchMax = 256;          // commands a commit
inline constexpr std::size_t kProjectionFlushCommands = 1024;
inline constexpr std::size_t kQueueMax = 65'536;  // commands waiting; above: kResourceExhausted
inline constexpr std::int64_t kClockStepMicros = 2'000'000;  // rule 27

// What an appender says of an entry; the log adds v, index, time_us, tenant, run_seq and prev.
struct NewEntry {
  std::string_view kind;   // "call.decided"
  std::string_view run;    // a UUID, or empty for entries of no run
  std::string_view actor;  // "principal:ticketing", "agent:refund", "engine", "user:…" as an HMAC
  std::string_view body;   // a canonical JSON object; no content, only commitments (rule 20)
  std::span<const std::string> cites;  // digest names, sorted
  bool ends_run = false;               // a head is signed soon after it is committed
};

struct EntryRef {
  std::uint64_t index = 0;
  core::Digest leaf_hash{};
};

// One stored entry. `bytes` is verbatim; everything else was read from it.
struct Entry {
  std::uint64_t index = 0;
  std::int64_t time_us = 0;
  std::string kind;
  std::string run;
  std::int64_t run_seq = -1;  // -1 for entries of no run
  std::string bytes;
  core::Digest leaf_hash{};
};

// A sealed payload (see keys.h), ready to store. It belongs to one entry and one slot in it;
// entries name it as {"bytes":n,"commit":"<hex>","slot":k}.
struct SealedPayload {
  std::string key_id;
  core::Digest commitment{};
  std::string sealed;  // nonce || ciphertext of (salt || plaintext)
  std::string media;   // "application/json", "text/plain"
  std::uint64_t plain_bytes = 0;
};

struct PayloadRow {
  std::uint64_t entry_index = 0;
  int slot = 0;
  SealedPayload payload;
  bool erased = false;
};

// An entry as projectors see it: valid during the call only.
struct EntryView {
  std::uint64_t index;
  std::int64_t time_us;
  std::string_view kind;
  std::string_view run;
  std::int64_t run_seq;
  core::JsonObjectView body;
  std::string_view bytes;
  const core::Digest& leaf_hash;
};

// A fold over entries with tables of its own (rule 22): a write-back cache. Derived from entry
// bytes alone. Called on the writer thread only (or by verify and rebuild, single-threaded).
class Projector {
 public:
  virtual ~Projector() = default;
  virtual std::string_view name() const = 0;
  // CREATE TABLE / INDEX / VIEW IF NOT EXISTS statements. Tables must be named `p_<something>`,
  // views `v_…`; the authorizer allows UPDATE and DELETE on `p_` tables (and payload rows) only.
  virtual std::vector<std::string> Schema() const = 0;
  // Gives the connection to load rows from. Called once, before any other call, and again after
  // Reset.
  virtual core::Status Attach(sqlite3* db) = 0;
  // Folds one entry into memory. An error stops the log (kDataLoss): our own entry made no sense.
  virtual core::Status Apply(const EntryView& entry) = 0;
  // What was folded so far is durable now: others may be told of it (rule 1).
  virtual void Committed() {}
  // Writes every dirty row. Runs inside a transaction of the log, which also moves the watermark.
  virtual core::Status Flush() = 0;
  // What the rows written by Flush up to `next_index` come to, made with a secret; kept beside the
  // watermark. At the next start, when Attach has read the tables and gets another answer, all
  // tables are dropped and folded anew from the entries. Empty: nothing is sealed.
  virtual std::string Seal(std::uint64_t /*next_index*/) const { return {}; }
  // Forgets all memory, prepared statements too: the batch failed, or tables were rebuilt.
  virtual void Reset() = 0;

  // --- when one log follows another (rotate.h); `db` has the flushed tables
  // kFailedPrecondition, saying what and how to end it, while something is open that a new log
  // could not go on with.
  virtual core::Status MayClose(sqlite3* /*db*/) { return core::OkStatus(); }
  // Bodies of the `state.carried` entries with which the next log begins, in order; Apply folds
  // them. The same tables give the same bytes.
  virtual core::StatusOr<std::vector<std::string>> Carried(sqlite3* /*db*/) {
    return std::vector<std::string>{};
  }
};

// The serial section, valid inside Command::Apply only.
class Transaction {
 public:
  virtual ~Transaction() = default;
  // max(wall, last), the same for the whole command (rule 27).
  virtual std::int64_t now_us() const = 0;
  virtual std::uint64_t next_index() const = 0;
  // Adds an entry to the batch. Its payloads' slots are their positions. Errors: kResourceExhausted
  // above kEntryBytesMax; kFailedPrecondition when the log takes no new entries. The projectors see
  // it when the command has returned OK.
  virtual core::StatusOr<EntryRef> Append(const NewEntry& entry,
                                          std::span<SealedPayload> payloads = {}) = 0;
  // Keeps a content-addressed blob that entries cite (policy file, manifest, agent file) in the
  // same commit; one that is there already is kept once. No content of persons (rule 20).
  virtual void PutBlob(std::string_view bytes) = 0;
  // Keeps a witness's signature line ("— name base64\n") of the checkpoint of `size` entries, in
  // the same commit; one of that witness and size is kept once.
  virtual void PutCosignature(std::uint64_t size, std::string_view name, std::string_view line) = 0;
  // Erases the ciphertext of payload rows (id = entry index * 256 + slot) of earlier commits, in
  // the same commit. Commitments stay; rows that are gone or erased already are left alone.
  virtual void ErasePayloads(std::span<const std::int64_t> ids) = 0;
};

class Command {
 public:
  virtual ~Command() = default;
  // On the writer thread, serially. An error takes back every entry this command added.
  virtual core::Status Apply(Transaction& transaction) = 0;
  // Exactly once, on the writer thread, after the batch is durable (OK), or with the reason it is
  // not. Must not block; may Submit.
  virtual void Done(const core::Status& status) = 0;
};

enum class Health {
  kOk,
  kNoSpace,  // SQLITE_FULL: only outcomes (see Urgency) are taken until there is room (rule 28)
  kStopped,  // EIO, failed fsync or damage: final until restart and verify
};

enum class Urgency {
  kNormal,   // refused with kResourceExhausted while there is no space
  kOutcome,  // outcomes of effects already started: may use the ballast file
};

struct LogOptions {
  std::string folder;  // `tenants/<tenant>`; made if absent (mode 0700)
  std::string tenant;
  // Of checkpoints, e.g. "interlock.example/main". Logs that follow it in the same folder have
  // "/2", "/3", … after it (rotate.h); which one is open, the folder says.
  std::string origin;
  const core::Clock* clock = nullptr;
  Signer* signer = nullptr;            // borrowed, outlives the log
  std::vector<Projector*> projectors;  // borrowed, outlive the log
  std::uint64_t ballast_bytes = 64ull << 20;
  // A head is signed this often; an interval without entries gets one, `checkpoint.heartbeat`, so
  // that quiet times are attested too.
  std::int64_t checkpoint_interval_us = 60'000'000;
  std::uint64_t checkpoint_entries = 256;
  // Every signed note is also appended here, durably; best on another mount. Empty: nowhere.
  std::string anchor_file;
  std::uint64_t wal_warn_bytes = 1ull << 30;  // rule 29: above it health warns
  // Rule 27: called on the writer thread, before the batch's commands, when wall and monotonic time
  // moved apart by more than kClockStepMicros since the last call; `by_us` is signed. Must not
  // block; may Submit. The log itself only keeps time_us from going back; what a step forbids is
  // the caller's to decide.
  std::function<void(std::int64_t by_us)> clock_stepped;
};

// Readers' rows of a page, oldest first.
struct EntryPage {
  std::vector<Entry> entries;
  bool more = false;
};

// Thread-safe. Neither copies nor moves.
class Log {
 public:
  // Locks the folder (one daemon a partition; kFailedPrecondition with the other's pid), finishes a
  // rotation that was cut short, checks the
  // frontier and the entries since the last checkpoint (rule 24; kDataLoss names the first bad
  // index), folds what lies past the watermark into the projectors, starts the writer.
  static core::StatusOr<std::unique_ptr<Log>> Open(const LogOptions& options);
  virtual ~Log() = default;  // drains, flushes projections, signs a last checkpoint

  // Queues a command. On refusal (queue full, stopped, no space) calls Done with the reason, from
  // here.
  virtual void Submit(std::unique_ptr<Command> command, Urgency urgency) = 0;
  // Submits one entry and waits until it is durable. For callers that are not in a hurry.
  virtual core::StatusOr<EntryRef> Append(const NewEntry& entry,
                                          std::vector<SealedPayload> payloads = {}) = 0;

  virtual std::uint64_t size() const = 0;  // committed entries
  virtual Health health() const = 0;
  virtual std::string health_reason() const = 0;  // empty when kOk
  // What an operator should look at while the log goes on, one line each: signer away, anchor not
  // written, large write-ahead log.
  virtual std::vector<std::string> warnings() const { return {}; }
  // Rule 27: time of the last entry at Open minus the wall clock then; above one hour the caller
  // takes no new intents until an operator confirms.
  virtual std::int64_t ahead_of_wall_us() const { return 0; }

  virtual core::StatusOr<Entry> Read(std::uint64_t index) const = 0;
  virtual core::StatusOr<EntryPage> ReadRange(std::uint64_t first, int max) const = 0;
  // Entries of one run from `first_seq`, in run_seq order; includes every acknowledged entry.
  virtual core::StatusOr<EntryPage> ReadRun(std::string_view run, std::int64_t first_seq,
                                            int max) const = 0;
  // Errors: kNotFound when there is no such row; an erased one comes back with `erased` set.
  virtual core::StatusOr<PayloadRow> ReadPayload(std::uint64_t entry_index, int slot) const = 0;

  // Runs `read` with a read-only connection whose projections include every entry acknowledged
  // before the call.
  virtual core::Status Query(const std::function<core::Status(sqlite3*)>& read) const = 0;
  // The rows of one SELECT of ours, with these texts as its parameters, as Query would see them.
  // What it is compiled to is kept for the next time. `row` must not ask the log.
  virtual core::Status Select(const std::string& sql, std::span<const std::string> bound,
                              const std::function<void(sqlite3_stmt*)>& row) const;

  // A blob that entries cite, by the SHA-256 of its bytes. Errors: kNotFound; kDataLoss when its
  // bytes changed.
  virtual core::StatusOr<std::string> ReadBlob(const core::Digest& digest) const = 0;

  // Newest signed checkpoint; signs one first if entries were added since.
  virtual core::StatusOr<Checkpoint> CheckpointNow() = 0;
  virtual std::optional<Checkpoint> newest_checkpoint() const = 0;
  // Has a head signed that covers entry `index`, and calls `done` with the first such, exactly
  // once: here when there is one already, else from the log's upkeep thread, which it must not hold
  // up. Errors: kDeadlineExceeded (the signer is away, or slow); kUnavailable when the log closes.
  virtual void AwaitCheckpoint(std::uint64_t index, std::chrono::steady_clock::time_point deadline,
                               std::function<void(core::StatusOr<Checkpoint>)> done) const = 0;
  // The newest checkpoint that a witness cosigned, its note with all cosignatures that are kept of
  // it. Errors: kNotFound.
  virtual core::StatusOr<Checkpoint> CosignedCheckpoint() const = 0;
  // Signature lines of witnesses that are kept for the checkpoint of this size; empty: none.
  virtual core::StatusOr<std::string> Cosignatures(std::uint64_t size) const = 0;
  // The key that the log began with. Later ones follow from entries `signer.rotated`.
  virtual const std::string& verifier_key() const = 0;
  // Gives the signer a new key: an entry `signer.rotated` signed by the old and the new one, then
  // a head signed by the new one.
  virtual core::StatusOr<EntryRef> RotateSignerKey(std::string_view actor) = 0;
  // RFC 6962 §2.1.1 audit path of `index` in the tree of `size` entries.
  virtual core::StatusOr<std::vector<core::Digest>> InclusionProof(std::uint64_t index,
                                                                   std::uint64_t size) const = 0;

  // RFC 6962 §2.1.2 proof that the tree of `old_size` entries is a prefix of the one of `size`.
  virtual core::StatusOr<std::vector<core::Digest>> ConsistencyProof(std::uint64_t old_size,
                                                                     std::uint64_t size) const = 0;

  // Called on the writer thread after each commit with the first and one-past-last new index, and
  // with equal ones when the log stops. Must not block, nor set one. The one before has then ended.
  virtual void SetListener(std::function<void(std::uint64_t, std::uint64_t)> committed) = 0;
};

}  // namespace interlock::audit
