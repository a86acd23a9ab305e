// The log's queue and the writer thread's loop. What a commit writes is in store.cc, what a command
// does in batch.cc, signing and copying of the WAL in maintenance.cc, reading in log_read.cc.
#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <optional>
#include <utility>

#include "core/check.h"
#include "entry_text.h"
#include "log_impl.h"
#include "private_file.h"
#include "rotate_finish.h"

namespace interlock::audit {
namespace {

constexpr std::chrono::milliseconds kIdleFlush{20};     // quiet time before projections follow
constexpr std::chrono::milliseconds kResumeProbe{500};  // between looks whether there is room again
constexpr int kBusyTriesAtEnd = 3;                      // of five seconds each, when the log closes
// Commands that are worth the waking of another thread: about 0.3 ms of the writer's work.
constexpr std::size_t kSegmentCommands = 16;

}  // namespace

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
  inserter_.Start();
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
  const core::Status queued = Enqueue(command, urgency);
  if (!queued.ok()) return command->Done(queued);
  work_.notify_one();
}

core::Status LogImpl::Enqueue(std::unique_ptr<Command>& command, Urgency urgency) {
  INTERLOCK_RETURN_IF_ERROR(Refusal(urgency));
  const std::lock_guard lock(mutex_);
  if (closing_) return core::FailedPrecondition("the log is closing");
  if (queue_.size() >= kQueueMax && urgency == Urgency::kNormal) {
    return core::ResourceExhausted("too many commands wait for the log; try again later");
  }
  queue_.push_back({std::move(command), urgency, core::OkStatus()});
  return core::OkStatus();
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

namespace {

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

}  // namespace

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
    if (StopIsUntold()) TellStopped();
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
           (!signed_.empty() && health() == Health::kOk) || StopIsUntold();
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
    status = ApplyAll(items, flush);
    if (status.ok()) status = Write(flush);
    if (status.ok()) Committed(flush);
  }
  for (Item& item : items) item.command->Done(status.ok() ? item.result : status);
  if (flush == Flush::kYes || !status.ok()) AnswerFlushes(flushes, status);
  if (status.ok()) TellListener(first);
  return status;
}

// Another program may hold SQLite's writer lock for longer than we wait. What is only planned is
// told so; outcomes are facts, which nobody could tell again: they wait for the lock.
core::Status LogImpl::BeginWrite(std::vector<Item>& items) {
  core::Status begun = store_->Begin();
  for (int tries_at_end = kBusyTriesAtEnd; begun.code() == core::StatusCode::kUnavailable;) {
    outcomes_wait_ = KeepOutcomes(items, begun);
    if (!outcomes_wait_) break;
    {
      const std::lock_guard lock(mutex_);
      if (closing_ && --tries_at_end <= 0) break;
    }
    begun = store_->Begin();
  }
  outcomes_wait_ = false;
  return begun;
}

// Answers all that waits but outcomes, also what was queued meanwhile. False: there are none.
bool LogImpl::KeepOutcomes(std::vector<Item>& items, const core::Status& busy) {
  std::uint64_t flushes = 0;
  {
    const std::lock_guard lock(mutex_);
    flushes = flush_wanted_;
    std::move(queue_.begin(), queue_.end(), std::back_inserter(items));
    queue_.clear();
  }
  const auto rest = std::stable_partition(items.begin(), items.end(), [](const Item& item) {
    return item.urgency == Urgency::kOutcome;
  });
  for (auto item = rest; item != items.end(); ++item) item->command->Done(busy);
  items.erase(rest, items.end());
  AnswerFlushes(flushes, busy);
  if (items.size() > kBatchMax) {
    const std::lock_guard lock(mutex_);
    const auto first = items.begin() + kBatchMax;
    queue_.insert(queue_.begin(), std::make_move_iterator(first),
                  std::make_move_iterator(items.end()));
    items.erase(first, items.end());
  }
  return !items.empty();
}

core::Status LogImpl::ApplyAll(std::vector<Item>& items, Flush flush) {
  batch_has_outcome_ = false;
  segments_given_ = 0;
  flush_begins_early_ = flush == Flush::kYes;
  if (const core::Status begun = BeginWrite(items); !begun.ok()) {
    Failed(begun, store_->NoSpace());
    return begun;
  }
  std::size_t left = items.size();
  std::size_t in_segment = 0;
  for (Item& item : items) {
    --left;
    item.result = Refusal(item.urgency);
    if (!item.result.ok()) continue;
    batch_has_outcome_ = batch_has_outcome_ || item.urgency == Urgency::kOutcome;
    if (const core::Status broken = ApplyOne(item); !broken.ok()) {
      static_cast<void>(inserter_.Drain());  // what it did goes back with the transaction
      Failed(broken, false);
      return broken;
    }
    if (item.result.ok()) ++in_segment;
    if (in_segment == kSegmentCommands && left >= kSegmentCommands) {
      GiveSegment();
      in_segment = 0;
    }
  }
  return core::OkStatus();
}

void LogImpl::GiveSegment() {
  batch_.CloseSegment();
  inserter_.Give(batch_.segment(segments_given_++));
}

core::Status LogImpl::InsertGiven(const Segment& segment) {
  if (std::exchange(flush_begins_early_, false)) {
    INTERLOCK_RETURN_IF_ERROR(store_->projections().run_index().Flush());
  }
  return store_->Insert(segment);
}

core::Status LogImpl::InsertSegments() {
  for (std::size_t at = segments_given_; at < batch_.segments(); ++at) {
    INTERLOCK_RETURN_IF_ERROR(store_->Insert(batch_.segment(at)));
  }
  return core::OkStatus();
}

// The command's own error is its result; the status says whether the log can go on.
core::Status LogImpl::ApplyOne(Item& item) {
  batch_.BeginCommand(options_.clock->WallMicros());
  item.result = item.command->Apply(batch_);
  if (item.result.ok()) return store_->projections().FoldCommand(batch_);
  batch_.TakeBackCommand();
  return core::OkStatus();
}

// One transaction. Without room for outcomes of effects that happened, the ballast makes some.
core::Status LogImpl::Write(Flush& flush) {
  core::Status status = inserter_.Drain();
  if (status.ok()) status = WriteOnce(flush);
  if (status.ok()) return status;
  const bool no_space = store_->NoSpace() || status.code() == core::StatusCode::kResourceExhausted;
  if (no_space && batch_has_outcome_ && ballast_.Release()) {
    SetHealth(Health::kNoSpace, core::Message(status));
    store_->Rollback();
    // A flush that was rolled back left the projectors thinking that they are clean.
    overlay_is_stale_ = flush == Flush::kYes;
    flush = Flush::kNo;
    segments_given_ = 0;  // what the inserter did went back as well
    status = store_->Begin();
    if (status.ok()) status = WriteOnce(flush);
    if (status.ok()) return status;
  }
  Failed(status, store_->NoSpace() || status.code() == core::StatusCode::kResourceExhausted);
  return status;
}

core::Status LogImpl::WriteOnce(Flush flush) {
  INTERLOCK_RETURN_IF_ERROR(InsertSegments());
  INTERLOCK_RETURN_IF_ERROR(store_->InsertRest(batch_));
  std::vector<Checkpoint> checkpoints;
  // Without room only what must be: a cosignature stands under a head that stands beside it.
  if (health() == Health::kOk || flush == Flush::kYes || !batch_.cosignatures().empty()) {
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
  // Entries are there for readers before any state tells of them.
  store_->projections().run_index().PublishUpTo(store_->size());
  if (size_.exchange(store_->size(), std::memory_order_acq_rel) != store_->size()) {
    maintenance_.HeadMoved({store_->size(), store_->Root()},
                           batch_.ends_run() ? Maintenance::Due::kSoon : Maintenance::Due::kInTime);
  }
  store_->projections().Committed();
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
  const std::lock_guard lock(listener_mutex_);
  if (listener_) listener_(first, size);
}

void LogImpl::TellStopped() {
  stop_told_ = true;
  const std::lock_guard lock(listener_mutex_);
  if (listener_) listener_(size(), size());
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

void LogImpl::Damaged(const core::Status& status) {
  Stop(status);
  const std::lock_guard lock(mutex_);
  work_.notify_one();  // the writer tells it
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

void LogImpl::AnswerFlushes(std::uint64_t up_to, const core::Status& status) {
  {
    const std::lock_guard lock(mutex_);
    flush_answered_ = std::max(flush_answered_, up_to);
    flush_status_ = status;
  }
  flush_done_.notify_all();
}

namespace {

core::Status CheckOptions(const LogOptions& options) {
  if (options.clock == nullptr || options.signer == nullptr) {
    return core::InvalidArgument("a log needs a clock and a signer");
  }
  if (!IsTenantName(options.tenant)) {
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
  LogOptions open = options;
  INTERLOCK_ASSIGN_OR_RETURN(LogToOpen found, OpenFinished(options));
  open.origin = std::move(found.origin);
  INTERLOCK_ASSIGN_OR_RETURN(std::unique_ptr<Store> store,
                             Store::Open(open, std::move(found.database)));
  if (store->closed()) return core::FailedPrecondition("the log is closed; open it again");
  INTERLOCK_RETURN_IF_ERROR(store->CheckSignerKey(*options.signer));
  auto log = std::make_unique<LogImpl>(open, std::move(lock), std::move(store));
  INTERLOCK_RETURN_IF_ERROR(log->Start());
  return std::unique_ptr<Log>(std::move(log));
}

}  // namespace interlock::audit
