#include "maintenance.h"

#include <chrono>

#include "entry_check.h"
#include "tree_store.h"

namespace interlock::audit {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kCopyWalPages = 4096;  // 32 MiB
constexpr int kNearlyCopiedPages = 512;
constexpr milliseconds kSignPause{10};  // at most 100 heads a second, however busy the log is
constexpr milliseconds kScanPause{
    5};  // between tiles: a background scan takes a few per cent of a core

}  // namespace

Maintenance::Maintenance(const LogOptions& options, MaintenanceHost* host)
    : options_(options), host_(host) {}

core::Status Maintenance::Start(const Head& head, std::optional<Checkpoint> newest) {
  head_ = head;
  newest_ = std::move(newest);
  const auto first = options_.signer->Sign(options_.origin, head.size, head.root);
  if (first.status().code() == core::StatusCode::kFailedPrecondition) {
    return core::DataLoss("the log is not the one that was signed: " +
                          std::string(core::Message(first.status())));
  }
  if (!first.ok()) return first.status();
  const std::string path = options_.folder + "/" + std::string(kDatabaseName);
  INTERLOCK_ASSIGN_OR_RETURN(wal_db_, OpenDb(path, SQLITE_OPEN_READWRITE));
  INTERLOCK_ASSIGN_OR_RETURN(scan_db_, OpenForReading(path));
  scan_end_ = head.size / kTileWidth;
  if (head.size > 0 && (!newest_ || newest_->size < head.size)) {
    newest_ = *first;
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
}

void Maintenance::HeadMoved(const Head& head) {
  bool due = false;
  {
    const std::lock_guard lock(mutex_);
    head_ = head;
    due = SignIsDue();
  }
  if (due) changed_.notify_one();
}

bool Maintenance::SignIsDue() const {
  const std::uint64_t size = newest_ ? newest_->size : 0;
  return head_.size >= size + options_.checkpoint_entries;
}

void Maintenance::WalGrew(int pages) {
  if (pages < kCopyWalPages) return;
  {
    const std::lock_guard lock(mutex_);
    // Again only after the log grew by as much, or was started anew.
    if (copy_wal_ || (pages >= wal_pages_ && pages < wal_pages_ + kNearlyCopiedPages)) return;
    wal_pages_ = pages;
    copy_wal_ = true;
  }
  changed_.notify_one();
}

core::StatusOr<Checkpoint> Maintenance::SignNow() {
  const std::lock_guard signing(sign_mutex_);
  Head head;
  {
    const std::lock_guard lock(mutex_);
    if (newest_ && newest_->size == head_.size) return *newest_;
    head = head_;
  }
  auto checkpoint = options_.signer->Sign(options_.origin, head.size, head.root);
  if (!checkpoint.ok()) {
    if (checkpoint.status().code() == core::StatusCode::kFailedPrecondition) {
      host_->Damaged(checkpoint.status());
    }
    return checkpoint;
  }
  {
    const std::lock_guard lock(mutex_);
    newest_ = *checkpoint;
  }
  if (head.size > 0) host_->StoreCheckpoint(*checkpoint);
  return checkpoint;
}

std::optional<Checkpoint> Maintenance::newest() const {
  const std::lock_guard lock(mutex_);
  return newest_;
}

void Maintenance::Loop() {
  const microseconds interval(options_.checkpoint_interval_us);
  auto next_sign = steady_clock::now();
  auto heartbeat = next_sign + interval;
  bool scanning = scan_end_ > 0;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto now = steady_clock::now();
    const bool due = SignIsDue();
    const bool sign = (due && now >= next_sign) || now >= heartbeat;
    const bool copy = std::exchange(copy_wal_, false);
    lock.unlock();
    if (sign) {
      static_cast<void>(SignNow());  // a refusal went to the host; other errors are tried again
      next_sign = steady_clock::now() + kSignPause;
      heartbeat = steady_clock::now() + interval;
    }
    if (copy) CopyWal();
    if (scanning) scanning = ScanSome();
    lock.lock();
    if (stopping_) break;
    auto until = heartbeat;
    if (due && !sign) until = std::min(until, next_sign);
    if (scanning) until = std::min(until, steady_clock::now() + kScanPause);
    if (!copy_wal_ && !(SignIsDue() && !due)) changed_.wait_until(lock, until);
  }
}

void Maintenance::CopyWal() {
  int pages = 0;
  int copied = 0;
  const int rc =
      sqlite3_wal_checkpoint_v2(wal_db_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, &pages, &copied);
  if (rc == SQLITE_OK) {
    if (pages - copied <= kNearlyCopiedPages) host_->WalIsNearlyCopied();
    return;
  }
  if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED || rc == SQLITE_FULL) return;
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
