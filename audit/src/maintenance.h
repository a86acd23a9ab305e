// What goes on beside the writer: signing heads, copying the write-ahead log, reading old entries
// again.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "audit/checkpoint.h"
#include "audit/log.h"
#include "schema.h"
#include "sqlite.h"

namespace interlock::audit {

struct Head {
  std::uint64_t size = 0;
  core::Digest root{};
};

// Called from the maintenance thread, or from within SignNow. Must not block.
class MaintenanceHost {
 public:
  virtual ~MaintenanceHost() = default;
  virtual void StoreCheckpoint(Checkpoint checkpoint) = 0;
  virtual void WalIsNearlyCopied() = 0;  // the writer finishes it, so that it starts anew
  virtual void Damaged(const core::Status& why) = 0;  // final
};

// Thread-safe.
class Maintenance {
 public:
  Maintenance(const LogOptions& options, MaintenanceHost* host);
  ~Maintenance() { Stop(); }
  Maintenance(const Maintenance&) = delete;
  Maintenance& operator=(const Maintenance&) = delete;

  // Signs the head that was found at open, and starts. Errors: kDataLoss when the signer signed a
  // larger or another tree before: the log was rolled back or rewritten.
  core::Status Start(const Head& head, std::optional<Checkpoint> newest);
  void Stop();  // idempotent

  // The committed head; only such are signed (rule 23).
  void HeadMoved(const Head& head);
  void WalGrew(int pages);
  // Signs the newest committed head if that is not signed yet.
  core::StatusOr<Checkpoint> SignNow();
  std::optional<Checkpoint> newest() const;

 private:
  void Loop();
  bool SignIsDue() const;  // mutex_ held
  void SignDue();
  void CopyWal();
  // Reads the next tile's worth of entries; false when all that stood there at open were read.
  bool ScanSome();
  core::Status ScanTile(std::uint64_t tile);

  const LogOptions& options_;
  MaintenanceHost* const host_;

  std::mutex sign_mutex_;  // one signing at a time; taken before mutex_
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Head head_;
  std::optional<Checkpoint> newest_;
  int wal_pages_ = 0;
  bool copy_wal_ = false;
  bool stopping_ = false;
  std::thread thread_;

  // Maintenance thread only.
  Db wal_db_;
  Db scan_db_;
  std::uint64_t scanned_ = 0;
  std::uint64_t scan_end_ = 0;
};

}  // namespace interlock::audit
