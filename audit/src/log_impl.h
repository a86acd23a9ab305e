// The log that writes: a queue, one writer thread, readers. log.cc has the queue and the writer,
// log_read.cc the answers to readers, heads and proofs.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "audit/log.h"
#include "ballast.h"
#include "batch.h"
#include "clock_watch.h"
#include "folder_lock.h"
#include "maintenance.h"
#include "readers.h"
#include "row_inserter.h"
#include "schema.h"
#include "store.h"

namespace interlock::audit {

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
        inserter_([this](const Segment& segment) { return InsertGiven(segment); }),
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
  std::vector<std::string> warnings() const override;
  std::int64_t ahead_of_wall_us() const override { return ahead_of_wall_us_; }

  core::StatusOr<Entry> Read(std::uint64_t index) const override;
  core::StatusOr<EntryPage> ReadRange(std::uint64_t first, int max) const override;
  core::StatusOr<EntryPage> ReadRun(std::string_view run, std::int64_t first_seq,
                                    int max) const override;
  core::StatusOr<PayloadRow> ReadPayload(std::uint64_t entry_index, int slot) const override;
  core::StatusOr<std::string> ReadBlob(const core::Digest& digest) const override;
  core::Status Query(const std::function<core::Status(sqlite3*)>& read) const override;
  core::Status Select(const std::string& sql, std::span<const std::string> bound,
                      const std::function<void(sqlite3_stmt*)>& row) const override;

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
  void Damaged(const core::Status& status) override;

  void WriterLoop();
  // Waits for work; false when the log closes and nothing is left.
  bool TakeWork(std::vector<Item>& items, Flush& flush);
  core::Status RunBatch(std::vector<Item>& items, Flush flush);
  core::Status BeginWrite(std::vector<Item>& items);
  bool KeepOutcomes(std::vector<Item>& items, const core::Status& busy);
  core::Status ApplyAll(std::vector<Item>& items, Flush flush);
  core::Status ApplyOne(Item& item);
  // Lets the inserter begin with what the commands so far have appended.
  void GiveSegment();
  core::Status InsertGiven(const Segment& segment);  // on the inserter's thread
  // The segments that the inserter does not have.
  core::Status InsertSegments();
  core::Status Write(Flush& flush);
  core::Status WriteOnce(Flush flush);
  void Committed(Flush flush);
  void Failed(const core::Status& status, bool no_space);
  void ReloadOverlay();
  void TellListener(std::uint64_t first);
  void TendWal();
  void TryResume();

  core::Status Refusal(Urgency urgency) const;
  // Takes the command unless it is refused.
  core::Status Enqueue(std::unique_ptr<Command>& command, Urgency urgency);
  void Stop(const core::Status& status);
  void SetHealth(Health health, std::string_view reason);
  bool StopIsUntold() const { return health() == Health::kStopped && !stop_told_; }
  void TellStopped();
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
  std::size_t segments_given_ = 0;   // of the batch, to the inserter
  bool flush_begins_early_ = false;  // the inserter takes it with the first segment
  bool overlay_is_stale_ = false;    // a flush was rolled back and its batch then committed
  bool stop_told_ = false;           // to the listener

  // Shared.
  std::atomic<std::uint64_t> size_{0};
  std::atomic<std::uint64_t> flushed_{0};
  std::atomic<Health> health_{Health::kOk};
  std::atomic<bool> finish_wal_{false};
  std::atomic<bool> outcomes_wait_{false};  // for a lock that another program holds
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

  std::mutex listener_mutex_;  // held while it is called
  std::function<void(std::uint64_t, std::uint64_t)> listener_;

  RowInserter inserter_;
  mutable ReaderPool readers_;
  mutable Maintenance maintenance_;  // who awaits a head changes no entry
  std::thread writer_;
};

}  // namespace interlock::audit
