// The log: a queue, the writer thread's loop, and the answers to readers. What a commit writes is
// in store.cc, what a command does in batch.cc, signing and copying of the WAL in maintenance.cc.
#include "audit/log.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <shared_mutex>
#include <thread>

#include "audit/cosignature.h"
#include "audit/merkle.h"
#include "ballast.h"
#include "batch.h"
#include "clock_watch.h"
#include "core/check.h"
#include "core/digest.h"
#include "folder_lock.h"
#include "maintenance.h"
#include "private_file.h"
#include "readers.h"
#include "rotate_finish.h"
#include "rotation_check.h"
#include "store.h"
#include "tree_store.h"

namespace interlock::audit {
namespace {

constexpr std::chrono::milliseconds kIdleFlush{20};     // quiet time before projections follow
constexpr std::chrono::milliseconds kResumeProbe{500};  // between looks whether there is room again
constexpr int kRunPageMax = 10'000;
constexpr std::size_t kTenantBytesMax = 64;

struct Item {
  std::unique_ptr<Command> command;
  Urgency urgency = Urgency::kNormal;
  core::Status result;
};

class LogImpl final : public Log, private MaintenanceHost {
 public:
  LogImpl(const LogOptions& options, FolderLock lock, std::unique_ptr<Store> store)
      : options_(options),
        lock_(std::move(lock)),
        store_(std::move(store)),
        batch_(options.tenant, [this](std::string_view run) { return store_->LoadHead(run); }),
        ballast_(options.folder, options.ballast_bytes),
        clock_watch_(*options.clock, options.clock_stepped),
        ahead_of_wall_us_(store_->last_time_us() - options.clock->WallMicros()),
        readers_(options.folder + "/" + std::string(kDatabaseName)),
        maintenance_(options_, this) {}

  // Before the threads: what Open promises.
  core::Status Start();
  ~LogImpl() override;

  void Submit(std::unique_ptr<Command> command, Urgency urgency) override;
  core::StatusOr<EntryRef> Append(const NewEntry& entry,
                                  std::vector<SealedPayload> payloads) override;

  std::uint64_t size() const override { return size_.load(std::memory_order_acquire); }
  Health health() const override { return health_.load(std::memory_order_acquire); }
  std::string health_reason() const override;
  std::vector<std::string> warnings() const override { return maintenance_.warnings(); }
  std::int64_t ahead_of_wall_us() const override { return ahead_of_wall_us_; }

  core::StatusOr<Entry> Read(std::uint64_t index) const override;
  core::StatusOr<EntryPage> ReadRange(std::uint64_t first, int max) const override;
  core::StatusOr<EntryPage> ReadRun(std::string_view run, std::int64_t first_seq,
                                    int max) const override;
  core::StatusOr<PayloadRow> ReadPayload(std::uint64_t entry_index, int slot) const override;
  core::StatusOr<std::string> ReadBlob(const core::Digest& digest) const override;
  core::Status Query(const std::function<core::Status(sqlite3*)>& read) const override;

  core::StatusOr<Checkpoint> CheckpointNow() override;
  std::optional<Checkpoint> newest_checkpoint() const override { return maintenance_.newest(); }
  void AwaitCheckpoint(std::uint64_t index, std::chrono::steady_clock::time_point deadline,
                       std::function<void(core::StatusOr<Checkpoint>)> done) const override {
    maintenance_.Await({index, deadline, std::move(done)});
  }
  core::StatusOr<Checkpoint> CosignedCheckpoint() const override;
  core::StatusOr<std::string> Cosignatures(std::uint64_t size) const override;
  const std::string& verifier_key() const override { return verifier_key_; }
  core::StatusOr<EntryRef> RotateSignerKey(std::string_view actor) override;
  core::StatusOr<std::vector<core::Digest>> InclusionProof(std::uint64_t index,
                                                           std::uint64_t size) const override;
  core::StatusOr<std::vector<core::Digest>> ConsistencyProof(std::uint64_t old_size,
                                                             std::uint64_t size) const override;
  void SetListener(std::function<void(std::uint64_t, std::uint64_t)> committed) override;

 private:
  enum class Flush { kNo, kYes };

  // MaintenanceHost, from the maintenance thread:
  void StoreCheckpoint(Checkpoint checkpoint) override;
  void Heartbeat() override;
  void WalIsNearlyCopied() override { finish_wal_.store(true, std::memory_order_release); }
  void Damaged(const core::Status& status) override { Stop(status); }

  void WriterLoop();
  // Waits for work; false when the log closes and nothing is left.
  bool TakeWork(std::vector<Item>& items, Flush& flush);
  core::Status RunBatch(std::vector<Item>& items, Flush flush);
  core::Status ApplyAll(std::vector<Item>& items);
  core::Status ApplyOne(Item& item);
  core::Status FoldNew();
  core::Status Write(Flush& flush);
  core::Status WriteOnce(Flush flush);
  void Committed(Flush flush);
  void Failed(const core::Status& status, bool no_space);
  void ReloadOverlay();
  void TellListener(std::uint64_t first);
  void TendWal();
  void TryResume();

  core::Status Refusal(Urgency urgency) const;
  void Stop(const core::Status& status);
  void SetHealth(Health health, std::string_view reason);
  core::Status FlushAndWait() const;
  core::Status CheckCommitted(std::uint64_t size) const;
  void AnswerFlushes(std::uint64_t up_to, const core::Status& status);
  bool OnWriter() const { return std::this_thread::get_id() == writer_.get_id(); }

  const LogOptions options_;
  const FolderLock lock_;

  // Writer thread only, once it runs.
  std::unique_ptr<Store> store_;
  Batch batch_;
  Ballast ballast_;
  ClockWatch clock_watch_;
  const std::int64_t ahead_of_wall_us_;
  std::string verifier_key_;
  std::size_t commands_since_flush_ = 0;
  bool batch_has_outcome_ = false;
  bool overlay_is_stale_ = false;  // a flush was rolled back and its batch then committed

  // Shared.
  std::atomic<std::uint64_t> size_{0};
  std::atomic<std::uint64_t> flushed_{0};
  std::atomic<Health> health_{Health::kOk};
  std::atomic<bool> finish_wal_{false};
  mutable std::mutex health_mutex_;
  std::string health_reason_;
  // Held by the writer while the run index forgets and folds again.
  mutable std::shared_mutex reload_mutex_;

  mutable std::mutex mutex_;
  mutable std::condition_variable work_;
  mutable std::condition_variable flush_done_;
  std::deque<Item> queue_;
  std::vector<Checkpoint> signed_;  // waiting to be stored
  mutable std::uint64_t flush_wanted_ = 0;
  std::uint64_t flush_answered_ = 0;
  core::Status flush_status_;
  bool closing_ = false;
  std::shared_ptr<const std::function<void(std::uint64_t, std::uint64_t)>> listener_;

  mutable ReaderPool readers_;
  mutable Maintenance maintenance_;  // who awaits a head changes no entry
  std::thread writer_;
};

core::Status LogImpl::Start() {
  size_ = store_->size();
  INTERLOCK_ASSIGN_OR_RETURN(const LogIdentity identity, ReadIdentity(store_->db()));
  verifier_key_ = identity.verifier_key;
  flushed_ = store_->projections().flushed_up_to();
  if (const core::Status kept = ballast_.Keep(); !kept.ok()) {
    if (kept.code() != core::StatusCode::kResourceExhausted) return kept;
    SetHealth(Health::kNoSpace, core::Message(kept));
  }
  Maintenance::Begin begin{{store_->size(), store_->Root()}, {}, store_->rotated_at()};
  if (!store_->checkpoints_at_open().empty()) begin.newest = store_->checkpoints_at_open().back();
  INTERLOCK_RETURN_IF_ERROR(maintenance_.Start(std::move(begin)));
  writer_ = std::thread([this] { WriterLoop(); });
  if (store_->version_at_open() == kSchemaVersion) return core::OkStatus();
  const std::string body = R"({"from":)" + std::to_string(store_->version_at_open()) + R"(,"to":)" +
                           std::to_string(kSchemaVersion) + "}";
  return Append({.kind = kMigratedKind, .run = {}, .actor = "log", .body = body, .cites = {}}, {})
      .status();
}

LogImpl::~LogImpl() {
  if (writer_.joinable()) {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    work_.notify_all();
    writer_.join();
  }
  maintenance_.Stop();
}

// ---- commands ----

void LogImpl::Submit(std::unique_ptr<Command> command, Urgency urgency) {
  core::Status refusal = Refusal(urgency);
  if (refusal.ok()) {
    const std::lock_guard lock(mutex_);
    if (closing_) {
      refusal = core::FailedPrecondition("the log is closing");
    } else if (queue_.size() >= kQueueMax && urgency == Urgency::kNormal) {
      refusal = core::ResourceExhausted("too many commands wait for the log; try again later");
    } else {
      queue_.push_back({std::move(command), urgency, core::OkStatus()});
    }
  }
  if (refusal.ok()) {
    work_.notify_one();
  } else {
    command->Done(refusal);
  }
}

core::Status LogImpl::Refusal(Urgency urgency) const {
  switch (health()) {
    case Health::kOk:
      return core::OkStatus();
    case Health::kNoSpace:
      if (urgency == Urgency::kOutcome) return core::OkStatus();
      return core::ResourceExhausted("the log has no space: " + health_reason());
    case Health::kStopped:
      return core::DataLoss("the log has stopped: " + health_reason());
  }
  return core::Internal("unknown health");
}

// One entry, for a caller that waits.
class AppendCommand final : public Command {
 public:
  struct Wait {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<core::Status> result;
    EntryRef ref;
  };
  AppendCommand(const NewEntry& entry, std::vector<SealedPayload> payloads, Wait& wait)
      : entry_(entry), payloads_(std::move(payloads)), wait_(wait) {}

  core::Status Apply(Transaction& transaction) override {
    INTERLOCK_ASSIGN_OR_RETURN(wait_.ref, transaction.Append(entry_, payloads_));
    return core::OkStatus();
  }
  void Done(const core::Status& status) override {
    const std::lock_guard lock(wait_.mutex);
    wait_.result = status;
    wait_.changed.notify_one();  // under the lock: the waiter's frame goes away with it
  }

 private:
  const NewEntry& entry_;
  std::vector<SealedPayload> payloads_;
  Wait& wait_;
};

core::StatusOr<EntryRef> LogImpl::Append(const NewEntry& entry,
                                         std::vector<SealedPayload> payloads) {
  INTERLOCK_CHECK(!OnWriter());
  AppendCommand::Wait wait;
  Submit(std::make_unique<AppendCommand>(entry, std::move(payloads), wait), Urgency::kNormal);
  std::unique_lock lock(wait.mutex);
  wait.changed.wait(lock, [&] { return wait.result.has_value(); });
  if (!wait.result->ok()) return *wait.result;
  return wait.ref;
}

// ---- the writer ----

void LogImpl::WriterLoop() {
  ::pthread_setname_np(::pthread_self(), "audit-writer");
  std::vector<Item> items;
  Flush flush = Flush::kNo;
  while (TakeWork(items, flush)) {
    static_cast<void>(RunBatch(items, flush));  // every command has its answer
    items.clear();
    TendWal();
  }
  // Closing: everything queued is done; projections, the last checkpoint and the WAL follow.
  if (health() == Health::kStopped) return;
  maintenance_.Stop();
  static_cast<void>(maintenance_.SignNow());  // without the signer the log still closes whole
  static_cast<void>(RunBatch(items, Flush::kYes));
  static_cast<void>(store_->FinishWal());  // the next Open would do it as well
}

bool LogImpl::TakeWork(std::vector<Item>& items, Flush& flush) {
  std::unique_lock lock(mutex_);
  const auto has_work = [&] {
    return closing_ || !queue_.empty() || flush_wanted_ != flush_answered_ ||
           (!signed_.empty() && health() == Health::kOk);
  };
  const bool unflushed = flushed_.load() != store_->size();
  const Health now = health();
  flush = Flush::kNo;
  if (now == Health::kNoSpace) {
    if (!work_.wait_for(lock, kResumeProbe, has_work)) {
      lock.unlock();
      TryResume();
      return true;
    }
  } else if (unflushed && now == Health::kOk) {
    if (!work_.wait_for(lock, kIdleFlush, has_work)) flush = Flush::kYes;
  } else {
    work_.wait(lock, has_work);
  }
  const std::size_t count = std::min(queue_.size(), kBatchMax);
  for (std::size_t i = 0; i < count; ++i) {
    items.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  if (flush_wanted_ != flush_answered_) flush = Flush::kYes;
  return !closing_ || !items.empty();
}

core::Status LogImpl::RunBatch(std::vector<Item>& items, Flush flush) {
  std::uint64_t flushes = 0;
  {
    const std::lock_guard lock(mutex_);
    flushes = flush_wanted_;
  }
  const std::uint64_t first = store_->size();
  commands_since_flush_ += items.size();
  if (commands_since_flush_ >= kProjectionFlushCommands) flush = Flush::kYes;

  core::Status status = Refusal(Urgency::kOutcome);  // stopped by another thread meanwhile
  if (status.ok()) {
    clock_watch_.Look();
    batch_.Start(first, store_->last_time_us());
    status = ApplyAll(items);
    if (status.ok()) status = Write(flush);
    if (status.ok()) Committed(flush);
  }
  for (Item& item : items) item.command->Done(status.ok() ? item.result : status);
  if (flush == Flush::kYes || !status.ok()) AnswerFlushes(flushes, status);
  if (status.ok()) TellListener(first);
  return status;
}

core::Status LogImpl::ApplyAll(std::vector<Item>& items) {
  batch_has_outcome_ = false;
  if (const core::Status begun = store_->Begin(); !begun.ok()) {
    Failed(begun, store_->NoSpace());
    return begun;
  }
  for (Item& item : items) {
    item.result = Refusal(item.urgency);
    if (!item.result.ok()) continue;
    batch_has_outcome_ = batch_has_outcome_ || item.urgency == Urgency::kOutcome;
    if (const core::Status broken = ApplyOne(item); !broken.ok()) {
      Failed(broken, false);
      return broken;
    }
  }
  return core::OkStatus();
}

// The command's own error is its result; the status says whether the log can go on.
core::Status LogImpl::ApplyOne(Item& item) {
  batch_.BeginCommand(options_.clock->WallMicros());
  item.result = item.command->Apply(batch_);
  if (item.result.ok()) return FoldNew();
  batch_.TakeBackCommand();
  return core::OkStatus();
}

core::Status LogImpl::FoldNew() {
  for (std::size_t i = batch_.command_start(); i < batch_.entries().size(); ++i) {
    const PendingEntry& entry = batch_.entries()[i];
    const std::string_view bytes = batch_.BytesOf(entry);
    const auto body = core::JsonObjectView::OfChecked(entry.layout.body.In(bytes));
    INTERLOCK_RETURN_IF_ERROR(store_->projections().Fold(
        EntryView{entry.index, entry.time_us, entry.layout.kind.In(bytes),
                  entry.layout.run.In(bytes), entry.run_seq, body, bytes, entry.leaf_hash}));
  }
  return core::OkStatus();
}

// One transaction. Without room for outcomes of effects that happened, the ballast makes some.
core::Status LogImpl::Write(Flush& flush) {
  core::Status status = WriteOnce(flush);
  if (status.ok()) return status;
  const bool no_space = store_->NoSpace() || status.code() == core::StatusCode::kResourceExhausted;
  if (no_space && batch_has_outcome_ && ballast_.Release()) {
    SetHealth(Health::kNoSpace, core::Message(status));
    store_->Rollback();
    // A flush that was rolled back left the projectors thinking that they are clean.
    overlay_is_stale_ = flush == Flush::kYes;
    flush = Flush::kNo;
    status = store_->Begin();
    if (status.ok()) status = WriteOnce(flush);
    if (status.ok()) return status;
  }
  Failed(status, store_->NoSpace() || status.code() == core::StatusCode::kResourceExhausted);
  return status;
}

core::Status LogImpl::WriteOnce(Flush flush) {
  INTERLOCK_RETURN_IF_ERROR(store_->Insert(batch_));
  std::vector<Checkpoint> checkpoints;
  if (health() == Health::kOk || flush == Flush::kYes) {
    const std::lock_guard lock(mutex_);
    checkpoints = signed_;
  }
  for (const Checkpoint& checkpoint : checkpoints) {
    INTERLOCK_RETURN_IF_ERROR(store_->InsertCheckpoint(checkpoint));
  }
  if (flush == Flush::kYes) {
    INTERLOCK_RETURN_IF_ERROR(store_->projections().Flush(store_->size()));
  }
  INTERLOCK_RETURN_IF_ERROR(store_->Commit());
  const std::lock_guard lock(mutex_);
  signed_.erase(signed_.begin(), signed_.begin() + static_cast<std::ptrdiff_t>(checkpoints.size()));
  return core::OkStatus();
}

void LogImpl::Committed(Flush flush) {
  store_->projections().Committed();
  store_->projections().run_index().PublishUpTo(store_->size());
  if (size_.exchange(store_->size(), std::memory_order_acq_rel) != store_->size()) {
    maintenance_.HeadMoved({store_->size(), store_->Root()},
                           batch_.ends_run() ? Maintenance::Due::kSoon : Maintenance::Due::kInTime);
  }
  if (overlay_is_stale_) {
    overlay_is_stale_ = false;
    ReloadOverlay();
  } else if (flush == Flush::kYes) {
    const std::unique_lock lock(reload_mutex_);
    store_->projections().Flushed(store_->size());
    commands_since_flush_ = 0;
    batch_.TrimHeads();
  }
  flushed_.store(store_->projections().flushed_up_to());
}

// Nothing of the batch happened: the database, the tree, the heads and the projectors go back.
void LogImpl::Failed(const core::Status& status, bool no_space) {
  if (no_space) {
    SetHealth(Health::kNoSpace, core::Message(status));
  } else if (status.code() != core::StatusCode::kUnavailable) {  // busy: a passing matter
    Stop(status);
  }
  store_->Rollback();
  batch_.Abandon();
  overlay_is_stale_ = false;
  if (health() != Health::kStopped) {
    ReloadOverlay();
  } else {
    store_->projections().Forget();  // nobody waits for what never becomes durable
  }
}

void LogImpl::ReloadOverlay() {
  const std::unique_lock lock(reload_mutex_);
  const core::Status status = store_->projections().Reload(store_->size());
  batch_.Abandon();
  commands_since_flush_ = 0;
  if (!status.ok()) Stop(status);
}

void LogImpl::TellListener(std::uint64_t first) {
  const std::uint64_t size = store_->size();
  if (size == first) return;
  std::shared_ptr<const std::function<void(std::uint64_t, std::uint64_t)>> listener;
  {
    const std::lock_guard lock(mutex_);
    listener = listener_;
  }
  if (listener != nullptr) (*listener)(first, size);
}

void LogImpl::TendWal() {
  if (finish_wal_.exchange(false)) {
    if (const core::Status status = store_->FinishWal(); !status.ok()) {
      if (status.code() == core::StatusCode::kResourceExhausted) {
        SetHealth(Health::kNoSpace, core::Message(status));
      } else {
        Stop(status);
      }
    }
  }
  maintenance_.WalGrew(store_->wal_pages());
}

void LogImpl::TryResume() {
  if (!ballast_.Keep().ok()) return;
  // A real write, through to the disk, says whether there is room. When it fails, health stays as
  // it is.
  std::vector<Item> none;
  if (RunBatch(none, Flush::kYes).ok()) SetHealth(Health::kOk, "");
}

void LogImpl::Stop(const core::Status& status) {
  SetHealth(Health::kStopped, core::Message(status));
}

// kStopped is final, and the first reason is the one that counts.
void LogImpl::SetHealth(Health health, std::string_view reason) {
  const std::lock_guard lock(health_mutex_);
  if (health_.load() == Health::kStopped) return;
  health_reason_ = reason;
  health_.store(health, std::memory_order_release);
}

std::string LogImpl::health_reason() const {
  const std::lock_guard lock(health_mutex_);
  return health_reason_;
}

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

void LogImpl::AnswerFlushes(std::uint64_t up_to, const core::Status& status) {
  {
    const std::lock_guard lock(mutex_);
    flush_answered_ = std::max(flush_answered_, up_to);
    flush_status_ = status;
  }
  flush_done_.notify_all();
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
  auto listener = std::make_shared<const std::function<void(std::uint64_t, std::uint64_t)>>(
      std::move(committed));
  const std::lock_guard lock(mutex_);
  listener_ = *listener ? std::move(listener) : nullptr;
}

core::Status CheckOptions(const LogOptions& options) {
  if (options.clock == nullptr || options.signer == nullptr) {
    return core::InvalidArgument("a log needs a clock and a signer");
  }
  const bool plain = !options.tenant.empty() && options.tenant.size() <= kTenantBytesMax &&
                     options.tenant.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_") ==
                         std::string::npos;
  if (!plain) {
    return core::InvalidArgument("tenant `" + options.tenant +
                                 "` is not a word of a-z, 0-9, `-` and `_`");
  }
  if (options.checkpoint_entries == 0 || options.checkpoint_interval_us <= 0) {
    return core::InvalidArgument("checkpoint interval and entries must be positive");
  }
  return core::OkStatus();
}

}  // namespace

core::StatusOr<std::unique_ptr<Log>> Log::Open(const LogOptions& options) {
  INTERLOCK_RETURN_IF_ERROR(CheckOptions(options));
  INTERLOCK_RETURN_IF_ERROR(MakeFolder(options.folder));
  INTERLOCK_ASSIGN_OR_RETURN(FolderLock lock, FolderLock::Take(options.folder));
  INTERLOCK_RETURN_IF_ERROR(FinishRotation(options));
  LogOptions open = options;
  INTERLOCK_ASSIGN_OR_RETURN(open.origin, OriginInFolder(options));
  INTERLOCK_ASSIGN_OR_RETURN(std::unique_ptr<Store> store, Store::Open(open));
  if (store->closed()) return core::FailedPrecondition("the log is closed; open it again");
  INTERLOCK_RETURN_IF_ERROR(store->CheckSignerKey(*options.signer));
  auto log = std::make_unique<LogImpl>(open, std::move(lock), std::move(store));
  INTERLOCK_RETURN_IF_ERROR(log->Start());
  return std::unique_ptr<Log>(std::move(log));
}

}  // namespace interlock::audit
