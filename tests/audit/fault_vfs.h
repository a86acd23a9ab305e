// SQLite's own file layer with faults on demand: no space, failed writes, failed syncs.
#pragma once

#include <atomic>
#include <mutex>
#include <string>

namespace interlock::audit {

struct Faults {
  std::atomic<bool> write_is_full{false};  // every write that would need space: SQLITE_FULL
  std::atomic<bool> write_fails{false};    // SQLITE_IOERR_WRITE
  std::atomic<bool> sync_fails{false};     // SQLITE_IOERR_FSYNC
  // While this file exists there is no space, so that freeing it makes some.
  void SetFullWhileExists(const std::string& path);
  bool IsFull() const;

 private:
  mutable std::mutex mutex_;
  std::string ballast_;
};

// Installs the layer as the default one (once) and returns its switches, all off.
Faults& InstallFaultVfs();

}  // namespace interlock::audit
