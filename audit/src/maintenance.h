// What goes on beside the writer: signing heads, copying the write-ahead log, reading old entries
// again.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "anchor.h"
#include "audit/checkpoint.h"
#include "audit/log.h"
#include "schema.h"
#include "sqlite.h"
#include "tree_store.h"

namespace interlock::audit {

struct Head {
  std::uint64_t size = 0;
  core::Digest root{};
};

// Who waits for a head that covers entry `index` (Log::AwaitCheckpoint).
struct HeadWaiter {
  std::uint64_t index = 0;
  std::chrono::steady_clock::time_point deadline;
  std::function<void(core::StatusOr<Checkpoint>)> done;
};

// Called from the maintenance thread, or from within SignNow. Must not block.
class MaintenanceHost {
 public:
  virtual ~MaintenanceHost() = default;
  virtual void StoreCheckpoint(Checkpoint checkpoint) = 0;
  virtual void WalIsNearlyCopied() = 0;  // the writer finishes it, so that it starts anew
  virtual void Heartbeat() = 0;          // an interval went by without an entry: append one
  virtual void Damaged(const core::Status& why) = 0;  // final
};

// Thread-safe.
class Maintenance {
 public:
  Maintenance(const LogOptions& options, MaintenanceHost* host);
  ~Maintenance() { Stop(); }
  Maintenance(const Maintenance&) = delete;
  Maintenance& operator=(const Maintenance&) = delete;

  struct Begin {
    Head head;
    std::optional<Checkpoint> newest;
    // The entry after the newest checkpoint that hands over to another key, if there is one.
    std::optional<std::uint64_t> rotated_at;
  };
  // Signs the head that was found at open, and starts. Errors: kDataLoss when the signer signed a
  // larger or another tree before: the log was rolled back or rewritten.
  core::Status Start(Begin begin);
  void Stop();  // idempotent

  // The committed head; only such are signed (rule 23). `soon`: also if fewer than
  // checkpoint_entries were added.
  enum class Due { kInTime, kSoon };
  void HeadMoved(const Head& head, Due due);
  void WalGrew(int pages);
  // Signs the newest committed head if that is not signed yet.
  core::StatusOr<Checkpoint> SignNow();
  void Await(HeadWaiter waiter);
  // Changes the signer's key while nothing is signed. `append` makes the entry durable.
  core::Status RotateKey(
      const std::function<core::StatusOr<std::uint64_t>(const KeyRotation&)>& append);
  std::optional<Checkpoint> newest() const;
  std::vector<std::string> warnings() const;

 private:
  void Loop();
  // Answers those whose head is there or whose time is over; kAll: everybody, as the log closes.
  enum class Answer { kDue, kAll };
  void AnswerWaiters(Answer which);
  // Takes the waiter when there is no answer yet.
  std::optional<core::StatusOr<Checkpoint>> AnswerOrKeep(HeadWaiter& waiter);
  bool SignIsDue() const;                                 // mutex_ held
  bool IsIdle() const;                                    // mutex_ held
  core::StatusOr<Checkpoint> SignHead(const Head& head);  // sign_mutex_ held
  core::StatusOr<std::vector<core::Digest>> Prove(std::uint64_t old_size, std::uint64_t size);
  void CopyWal();
  // Reads the next tile's worth of entries; false when all that stood there at open were read.
  bool ScanSome();
  core::Status ScanTile(std::uint64_t tile);

  const LogOptions& options_;
  MaintenanceHost* const host_;

  std::mutex sign_mutex_;  // one signing at a time; taken before mutex_
  Db prove_db_;            // under sign_mutex_, as the next two
  std::optional<StoredTree> prove_tree_;
  // The entry by which the signer must take its next key, with the next head.
  std::optional<std::uint64_t> rotated_at_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Head head_;
  std::optional<Checkpoint> newest_;
  bool sign_soon_ = false;
  bool sign_awaited_ = false;  // the thread wakes by itself when it may sign again
  std::vector<HeadWaiter> waiters_;
  bool no_more_waiters_ = false;
  std::string signer_warning_;
  std::uint64_t wal_bytes_ = 0;
  int wal_pages_ = 0;
  bool copy_wal_ = false;
  bool stopping_ = false;
  std::thread thread_;

  // Maintenance thread only.
  Db wal_db_;
  Db scan_db_;  // when there is something to scan
  std::uint64_t scanned_ = 0;
  std::uint64_t scan_end_ = 0;

  std::unique_ptr<Anchor> anchor_;  // or null; ends before what it warns through
};

}  // namespace interlock::audit
