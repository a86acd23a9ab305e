// What the log answers while it is written: entries, payloads, queries, heads and proofs.
#include <algorithm>
#include <optional>

#include "audit/cosignature.h"
#include "audit/merkle.h"
#include "core/check.h"
#include "log_impl.h"
#include "rotation_check.h"
#include "tree_store.h"

namespace interlock::audit {
namespace {

constexpr int kRunPageMax = 10'000;

}  // namespace

// ---- flushing on request ----

core::Status LogImpl::FlushAndWait() const {
  INTERLOCK_CHECK(!OnWriter());
  const std::uint64_t size = size_.load(std::memory_order_acquire);
  if (flushed_.load() >= size) return core::OkStatus();
  std::unique_lock lock(mutex_);
  const std::uint64_t mine = ++flush_wanted_;
  work_.notify_one();
  flush_done_.wait(lock, [&] { return flush_answered_ >= mine; });
  // A later flush may have failed after ours went well.
  return flushed_.load() >= size ? core::OkStatus() : flush_status_;
}

// ---- readers ----

core::StatusOr<Entry> LogImpl::Read(std::uint64_t index) const {
  INTERLOCK_ASSIGN_OR_RETURN(const ReaderPool::Lease reader, readers_.Borrow());
  return reader->Read(index);
}

core::StatusOr<EntryPage> LogImpl::ReadRange(std::uint64_t first, int max) const {
  const std::uint64_t end = size();
  INTERLOCK_ASSIGN_OR_RETURN(const ReaderPool::Lease reader, readers_.Borrow());
  return reader->ReadRange(first, max, end);
}

// Positions come from the table and from what has not reached it yet. The pending ones are taken
// first: what a flush moves meanwhile is then found twice, never missed.
core::StatusOr<EntryPage> LogImpl::ReadRun(std::string_view run, std::int64_t first_seq,
                                           int max) const {
  max = std::clamp(max, 1, kRunPageMax);
  INTERLOCK_ASSIGN_OR_RETURN(const ReaderPool::Lease reader, readers_.Borrow());
  std::vector<RunPosition> positions;
  std::vector<RunPosition> pending;
  {
    const std::shared_lock lock(reload_mutex_);
    pending = store_->projections().run_index().Pending(run, first_seq);
    INTERLOCK_ASSIGN_OR_RETURN(positions, reader->RunPositions(run, first_seq, max + 1));
  }
  const std::int64_t known = positions.empty() ? first_seq - 1 : positions.back().run_seq;
  for (const RunPosition& position : pending) {
    if (position.run_seq > known) positions.push_back(position);
  }
  EntryPage page;
  page.more = positions.size() > static_cast<std::size_t>(max);
  if (page.more) positions.resize(static_cast<std::size_t>(max));
  for (const RunPosition& position : positions) {
    INTERLOCK_ASSIGN_OR_RETURN(Entry entry, reader->Read(position.index));
    page.entries.push_back(std::move(entry));
  }
  return page;
}

core::StatusOr<PayloadRow> LogImpl::ReadPayload(std::uint64_t entry_index, int slot) const {
  INTERLOCK_ASSIGN_OR_RETURN(const ReaderPool::Lease reader, readers_.Borrow());
  return reader->ReadPayload(entry_index, slot);
}

core::StatusOr<std::string> LogImpl::ReadBlob(const core::Digest& digest) const {
  INTERLOCK_ASSIGN_OR_RETURN(const ReaderPool::Lease reader, readers_.Borrow());
  return reader->ReadBlob(digest);
}

core::Status LogImpl::Query(const std::function<core::Status(sqlite3*)>& read) const {
  INTERLOCK_RETURN_IF_ERROR(FlushAndWait());
  INTERLOCK_ASSIGN_OR_RETURN(const ReaderPool::Lease reader, readers_.Borrow());
  return reader->Query(read);
}

core::Status Log::Select(const std::string& sql, std::span<const std::string> bound,
                         const std::function<void(sqlite3_stmt*)>& row) const {
  return Query([&](sqlite3* db) -> core::Status {
    INTERLOCK_ASSIGN_OR_RETURN(Statement statement, Statement::Prepare(db, sql));
    return ReadRows(statement, bound, row);
  });
}

core::Status LogImpl::Select(const std::string& sql, std::span<const std::string> bound,
                             const std::function<void(sqlite3_stmt*)>& row) const {
  INTERLOCK_RETURN_IF_ERROR(FlushAndWait());
  INTERLOCK_ASSIGN_OR_RETURN(const ReaderPool::Lease reader, readers_.Borrow());
  return reader->Select(sql, bound, row);
}

// ---- heads and proofs ----

core::StatusOr<Checkpoint> LogImpl::CheckpointNow() {
  INTERLOCK_ASSIGN_OR_RETURN(Checkpoint checkpoint, maintenance_.SignNow());
  // Stored with the next commit; a writer at rest is woken for it.
  return checkpoint;
}

core::StatusOr<Checkpoint> LogImpl::CosignedCheckpoint() const {
  INTERLOCK_ASSIGN_OR_RETURN(const ReaderPool::Lease reader, readers_.Borrow());
  INTERLOCK_ASSIGN_OR_RETURN(Checkpoint checkpoint, reader->Cosigned());
  INTERLOCK_ASSIGN_OR_RETURN(const std::string lines, reader->Cosignatures(checkpoint.size));
  checkpoint.note = WithSignatureLines(checkpoint.note, lines);
  return checkpoint;
}

core::StatusOr<std::string> LogImpl::Cosignatures(std::uint64_t size) const {
  INTERLOCK_ASSIGN_OR_RETURN(const ReaderPool::Lease reader, readers_.Borrow());
  return reader->Cosignatures(size);
}

std::vector<std::string> LogImpl::warnings() const {
  std::vector<std::string> all = maintenance_.warnings();
  if (outcomes_wait_) {
    all.emplace_back(
        "another program holds the write lock of audit.db, and outcomes of calls wait for it: end "
        "its transaction");
  }
  if (store_->projections().remade()) {
    all.emplace_back(
        "the tables beside the entries did not fit their seal at start and were made anew: "
        "expected "
        "once after an upgrade, else somebody edited audit.db");
  }
  return all;
}

core::StatusOr<EntryRef> LogImpl::RotateSignerKey(std::string_view actor) {
  EntryRef entry;
  INTERLOCK_RETURN_IF_ERROR(
      maintenance_.RotateKey([&](const KeyRotation& rotation) -> core::StatusOr<std::uint64_t> {
        std::string body;
        core::JsonObjectWriter writer(body);
        writer.String("new_key", rotation.new_key);
        writer.String("new_signature", core::Base64(rotation.new_signature));
        writer.String("old_key", rotation.old_key);
        writer.String("old_signature", core::Base64(rotation.old_signature));
        writer.Close();
        INTERLOCK_ASSIGN_OR_RETURN(entry, Append({.kind = kRotatedKind,
                                                  .run = {},
                                                  .actor = actor,
                                                  .body = body,
                                                  .cites = {},
                                                  .ends_run = true},
                                                 {}));
        return entry.index;
      }));
  INTERLOCK_RETURN_IF_ERROR(maintenance_.SignNow().status());
  return entry;
}

namespace {

// An interval without entries is attested by one.
class HeartbeatCommand final : public Command {
 public:
  explicit HeartbeatCommand(std::int64_t interval_us)
      : body_(R"({"interval_us":)" + std::to_string(interval_us) + "}") {}
  core::Status Apply(Transaction& transaction) override {
    return transaction
        .Append({.kind = kHeartbeatKind,
                 .run = {},
                 .actor = "log",
                 .body = body_,
                 .cites = {},
                 .ends_run = true})
        .status();
  }
  void Done(const core::Status& /*status*/) override {}  // health says what went wrong

 private:
  const std::string body_;
};

}  // namespace

void LogImpl::Heartbeat() {
  Submit(std::make_unique<HeartbeatCommand>(options_.checkpoint_interval_us), Urgency::kNormal);
}

void LogImpl::StoreCheckpoint(Checkpoint checkpoint) {
  {
    const std::lock_guard lock(mutex_);
    signed_.push_back(std::move(checkpoint));
  }
  work_.notify_one();
}

core::StatusOr<std::vector<core::Digest>> LogImpl::InclusionProof(std::uint64_t index,
                                                                  std::uint64_t size) const {
  INTERLOCK_RETURN_IF_ERROR(CheckCommitted(size));
  INTERLOCK_ASSIGN_OR_RETURN(const ReaderPool::Lease reader, readers_.Borrow());
  INTERLOCK_ASSIGN_OR_RETURN(StoredTree tree, StoredTree::On(reader->db()));
  return InclusionPath(tree, index, size);
}

core::StatusOr<std::vector<core::Digest>> LogImpl::ConsistencyProof(std::uint64_t old_size,
                                                                    std::uint64_t size) const {
  INTERLOCK_RETURN_IF_ERROR(CheckCommitted(size));
  INTERLOCK_ASSIGN_OR_RETURN(const ReaderPool::Lease reader, readers_.Borrow());
  INTERLOCK_ASSIGN_OR_RETURN(StoredTree tree, StoredTree::On(reader->db()));
  return ConsistencyPath(tree, old_size, size);
}

core::Status LogImpl::CheckCommitted(std::uint64_t size) const {
  if (size <= this->size()) return core::OkStatus();
  return core::InvalidArgument("the log has " + std::to_string(this->size()) + " entries, not " +
                               std::to_string(size));
}

void LogImpl::SetListener(std::function<void(std::uint64_t, std::uint64_t)> committed) {
  const std::lock_guard lock(listener_mutex_);
  listener_ = std::move(committed);
}

}  // namespace interlock::audit
