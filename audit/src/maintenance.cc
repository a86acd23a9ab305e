#include "maintenance.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <iterator>

#include "core/check.h"
#include "entry_check.h"
#include "rotation_check.h"

namespace interlock::audit {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kCopyWalPages = 4096;  // 32 MiB
constexpr int kNearlyCopiedPages = 512;
constexpr milliseconds kSignPause{50};    // at most 20 heads a second, however busy the log is
constexpr milliseconds kAwayPause{1000};  // before a signer that did not sign is asked again
constexpr milliseconds kScanPause{
    5};  // between tiles: a background scan takes a few per cent of a core

}  // namespace

Maintenance::Maintenance(const LogOptions& options, MaintenanceHost* host)
    : options_(options), host_(host) {}

core::Status Maintenance::Start(Begin begin) {
  const Head head = begin.head;
  head_ = head;
  newest_ = std::move(begin.newest);
  rotated_at_ = begin.rotated_at;
  const std::string path = options_.folder + "/" + std::string(kDatabaseName);
  INTERLOCK_ASSIGN_OR_RETURN(wal_db_, OpenDb(path, SQLITE_OPEN_READWRITE));
  // A connection that has never read has no write-ahead log open: a checkpoint on it does nothing
  // and says that all went well (sqlite3PagerCheckpoint).
  INTERLOCK_RETURN_IF_ERROR(QueryInt(wal_db_.get(), "PRAGMA schema_version").status());
  scan_end_ = head.size / kTileWidth;
  if (scan_end_ > 0) {
    INTERLOCK_ASSIGN_OR_RETURN(scan_db_, OpenForReading(path));
  }
  INTERLOCK_ASSIGN_OR_RETURN(prove_db_, OpenForReading(path));
  INTERLOCK_ASSIGN_OR_RETURN(prove_tree_, StoredTree::On(prove_db_.get()));
  const auto first = SignHead(head);
  if (first.status().code() == core::StatusCode::kFailedPrecondition) {
    return core::DataLoss("the log is not the one that was signed: " +
                          std::string(core::Message(first.status())));
  }
  if (!first.ok()) return first.status();
  if (!options_.anchor_file.empty()) {
    anchor_ = std::make_unique<Anchor>(
        [this](std::string_view note) { return AppendToAnchor(options_.anchor_file, note); },
        options_.clock);
  }
  if (head.size > 0 && (!newest_ || newest_->size < head.size)) {
    newest_ = *first;
    if (anchor_ != nullptr) anchor_->Add(first->note);
    host_->StoreCheckpoint(*first);
  }
  thread_ = std::thread([this] { Loop(); });
  return core::OkStatus();
}

void Maintenance::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  AnswerWaiters(Answer::kAll);
}

void Maintenance::HeadMoved(const Head& head, Due due) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    head_ = head;
    sign_soon_ = sign_soon_ || due == Due::kSoon;
    wake = SignIsDue() && !sign_awaited_;
  }
  if (wake) changed_.notify_one();
}

bool Maintenance::SignIsDue() const {
  const std::uint64_t size = newest_ ? newest_->size : 0;
  return head_.size >= size + options_.checkpoint_entries || (sign_soon_ && head_.size > size);
}

bool Maintenance::IsIdle() const { return newest_ ? newest_->size == head_.size : head_.size == 0; }

void Maintenance::WalGrew(int pages) {
  {
    const std::lock_guard lock(mutex_);
    wal_bytes_ = static_cast<std::uint64_t>(pages) * kPageBytes;
    // Again only after the log grew by as much, or was started anew.
    if (pages < kCopyWalPages || copy_wal_ ||
        (pages >= wal_pages_ && pages < wal_pages_ + kNearlyCopiedPages)) {
      return;
    }
    wal_pages_ = pages;
    copy_wal_ = true;
  }
  changed_.notify_one();
}

core::StatusOr<std::vector<core::Digest>> Maintenance::Prove(std::uint64_t old_size,
                                                             std::uint64_t size) {
  return ConsistencyPath(*prove_tree_, old_size, size);
}

core::StatusOr<Checkpoint> Maintenance::SignHead(const Head& head) {
  const SignRequest request{
      options_.origin, head.size, head.root,
      [this](std::uint64_t old_size, std::uint64_t size) { return Prove(old_size, size); }};
  if (!rotated_at_) return options_.signer->Sign(request);
  auto checkpoint = SignWithNextKey(*options_.signer, request, prove_db_.get(), *rotated_at_);
  if (checkpoint.ok()) rotated_at_.reset();
  return checkpoint;
}

core::StatusOr<Checkpoint> Maintenance::SignNow() {
  const std::lock_guard signing(sign_mutex_);
  Head head;
  {
    const std::lock_guard lock(mutex_);
    sign_soon_ = false;
    if (newest_ && newest_->size == head_.size) return *newest_;
    head = head_;
  }
  auto checkpoint = SignHead(head);
  if (!checkpoint.ok()) {
    if (checkpoint.status().code() == core::StatusCode::kFailedPrecondition) {
      host_->Damaged(checkpoint.status());
    }
    const std::lock_guard lock(mutex_);
    sign_soon_ = true;
    signer_warning_ = "heads are not signed: " + std::string(core::Message(checkpoint.status()));
    return checkpoint;
  }
  // First of all to the writer: what follows from the head (a cosignature) is stored after it.
  if (head.size > 0) host_->StoreCheckpoint(*checkpoint);
  {
    const std::lock_guard lock(mutex_);
    newest_ = *checkpoint;
    signer_warning_.clear();
  }
  if (head.size > 0 && anchor_ != nullptr) anchor_->Add(checkpoint->note);
  changed_.notify_one();  // somebody may wait for it
  return checkpoint;
}

void Maintenance::Await(HeadWaiter waiter) {
  if (const auto now = AnswerOrKeep(waiter)) return waiter.done(*now);
  changed_.notify_one();
}

std::optional<core::StatusOr<Checkpoint>> Maintenance::AnswerOrKeep(HeadWaiter& waiter) {
  const std::lock_guard lock(mutex_);
  if (newest_ && newest_->size > waiter.index) return *newest_;
  if (no_more_waiters_) return core::Unavailable("the log is closing");
  sign_soon_ = true;
  waiters_.push_back(std::move(waiter));
  return std::nullopt;
}

void Maintenance::AnswerWaiters(Answer which) {
  std::vector<HeadWaiter> ready;
  std::optional<Checkpoint> newest;
  {
    const std::lock_guard lock(mutex_);
    no_more_waiters_ = which == Answer::kAll;
    if (waiters_.empty()) return;
    newest = newest_;
    const auto now = steady_clock::now();
    const auto stays = [&](const HeadWaiter& waiter) {
      return which == Answer::kDue && !(newest && newest->size > waiter.index) &&
             now < waiter.deadline;
    };
    const auto split = std::stable_partition(waiters_.begin(), waiters_.end(), stays);
    ready.assign(std::make_move_iterator(split), std::make_move_iterator(waiters_.end()));
    waiters_.erase(split, waiters_.end());
  }
  for (HeadWaiter& waiter : ready) {
    if (newest && newest->size > waiter.index) {
      waiter.done(*newest);
    } else if (which == Answer::kAll) {
      waiter.done(core::Unavailable("the log is closing"));
    } else {
      waiter.done(core::Error(core::StatusCode::kDeadlineExceeded,
                              "no checkpoint covers the entry yet; ask for its proof later"));
    }
  }
}

core::Status Maintenance::RotateKey(
    const std::function<core::StatusOr<std::uint64_t>(const KeyRotation&)>& append) {
  const auto before = SignNow();  // what the old key can still vouch for
  const std::lock_guard signing(sign_mutex_);
  if (rotated_at_) {
    return before.ok() ? core::Unavailable("a key rotation is under way") : before.status();
  }
  INTERLOCK_ASSIGN_OR_RETURN(const KeyRotation rotation, options_.signer->BeginRotation());
  INTERLOCK_RETURN_IF_ERROR(CheckRotation(rotation));
  INTERLOCK_ASSIGN_OR_RETURN(rotated_at_, append(rotation));
  return core::OkStatus();
}

std::optional<Checkpoint> Maintenance::newest() const {
  const std::lock_guard lock(mutex_);
  return newest_;
}

std::vector<std::string> Maintenance::warnings() const {
  std::vector<std::string> all;
  if (!options_.signer->independent()) {
    all.emplace_back("signer: not independent (it runs as the daemon's own user)");
  }
  const std::lock_guard lock(mutex_);
  if (!signer_warning_.empty()) all.push_back(signer_warning_);
  const std::string unanchored = anchor_ == nullptr ? "" : anchor_->warning();
  if (!unanchored.empty()) all.push_back(unanchored);
  if (wal_bytes_ > options_.wal_warn_bytes) {
    all.push_back("the write-ahead log has " + std::to_string(wal_bytes_ >> 20) +
                  " MiB: a reader keeps it from being copied; use `interlock audit snapshot` for "
                  "long queries");
  }
  return all;
}

void Maintenance::Loop() {
  ::pthread_setname_np(::pthread_self(), "audit-upkeep");
  const microseconds interval(options_.checkpoint_interval_us);
  auto next_sign = steady_clock::now();
  auto heartbeat = next_sign + interval;
  bool scanning = scan_end_ > 0;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto now = steady_clock::now();
    const bool beat = now >= heartbeat;
    const bool idle = beat && IsIdle();
    const bool sign = (SignIsDue() && now >= next_sign) || (beat && !idle);
    const bool copy = std::exchange(copy_wal_, false);
    lock.unlock();
    if (beat) heartbeat = now + interval;
    if (idle) host_->Heartbeat();  // its commit makes the next head
    if (sign) {
      const bool done = SignNow().ok();  // a refusal went to the host, the rest is asked again
      next_sign = steady_clock::now() + (done ? kSignPause : kAwayPause);
    }
    if (copy) CopyWal();
    if (scanning) scanning = ScanSome();
    AnswerWaiters(Answer::kDue);
    lock.lock();
    auto until = heartbeat;
    for (const HeadWaiter& waiter : waiters_) {
      const bool answered = newest_ && newest_->size > waiter.index;  // by another thread's SignNow
      until = std::min(until, answered ? now : waiter.deadline);
    }
    sign_awaited_ = SignIsDue();
    if (sign_awaited_) until = std::min(until, next_sign);
    if (scanning) until = std::min(until, steady_clock::now() + kScanPause);
    if (!stopping_ && !copy_wal_) changed_.wait_until(lock, until);
  }
}

void Maintenance::CopyWal() {
  int pages = 0;
  int copied = 0;
  const int rc =
      sqlite3_wal_checkpoint_v2(wal_db_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, &pages, &copied);
  if (rc == SQLITE_OK) {
    INTERLOCK_CHECK(pages >= 0);  // -1: no write-ahead log is open
    if (pages - copied <= kNearlyCopiedPages) host_->WalIsNearlyCopied();
    return;
  }
  if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED || FailedForSpace(wal_db_.get())) return;
  host_->Damaged(SqlError(wal_db_.get(), "copying the write-ahead log"));
}

bool Maintenance::ScanSome() {
  if (scanned_ >= scan_end_) return false;
  if (const core::Status status = ScanTile(scanned_); !status.ok()) {
    if (status.code() == core::StatusCode::kDataLoss) host_->Damaged(status);
    return false;
  }
  return ++scanned_ < scan_end_;
}

core::Status Maintenance::ScanTile(std::uint64_t tile) {
  INTERLOCK_ASSIGN_OR_RETURN(StoredTree tree, StoredTree::On(scan_db_.get()));
  INTERLOCK_ASSIGN_OR_RETURN(const std::string hashes,
                             tree.Hashes(0, tile * kTileWidth, kTileWidth));
  return CheckAgainstTile(scan_db_.get(), tile * kTileWidth, hashes);
}

}  // namespace interlock::audit
