// SQLite's own file layer with faults on demand: no space, failed writes, failed syncs, and the
// n-th write or sync failing, torn, or being the last one before the power goes.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace interlock::audit {

// A file as it stands after a power cut: what was synced, and what the disk kept of the rest.
enum class Kept {
  kNothing,     // of what was not synced
  kEverything,  // as if the cache had been written at the last moment
  kHalf,        // the first half of the writes since the sync, and half of the next one
  kReordered,   // every second write since the sync: the first, the third ...
};

struct Faults {
  std::atomic<bool> write_is_full{false};  // every write that would need space: SQLITE_FULL
  std::atomic<bool> write_fails{false};    // SQLITE_IOERR_WRITE
  std::atomic<bool> sync_fails{false};     // SQLITE_IOERR_FSYNC
  std::atomic<bool> read_fails{false};     // SQLITE_IOERR_READ
  std::atomic<bool> shm_is_full{false};    // -shm cannot grow: SQLITE_IOERR_SHMSIZE with ENOSPC
  std::atomic<int> shm_refused{0};         // so often
  // While this file exists there is no space, so that freeing it makes some.
  void SetFullWhileExists(const std::string& path);
  bool IsFull() const;

  // --- one operation of many
  enum class At { kNever, kFails, kPowerCut, kKill };
  // Counts writes, truncations and syncs of database files from now on, and lets the `number`-th
  // (from 1) fail, or cuts the power there: the operation tears, and nothing after it reaches the
  // disk; or kills the process before it. Recording costs memory: for small databases.
  void Arm(At what, std::uint64_t number);
  void Disarm();
  std::uint64_t operations() const;
  bool power_is_off() const;
  // What a disk would hold now, file by file (path, bytes).
  std::map<std::string, std::string> FilesAfterPowerCut(Kept kept) const;

  // --- for the layer
  enum class Step { kGoOn, kFail, kTear, kDropped, kKill };
  Step Next();
  Step NextWhole();  // of what cannot end in its middle: a kill strikes before it
  void NoteOpen(const std::string& path);
  void NoteWrite(const std::string& path, std::int64_t at, std::string_view bytes);
  void NoteTruncate(const std::string& path, std::int64_t size);
  void NoteSync(const std::string& path);
  enum class Folder { kLeft, kSynced };
  void NoteDelete(const std::string& path, Folder folder);
  // Of rollback journals too, with their coming and going: a name that was taken out of a folder is
  // back after a power cut unless the folder was synced.
  std::atomic<bool> watches_journals{false};

 private:
  struct Change {
    std::int64_t at = 0;  // or the new size
    std::string bytes;
    bool truncates = false;
  };
  struct Disk {
    std::string synced;
    std::vector<Change> since;
    bool gone = false;                       // its name was taken away
    std::optional<std::string> still_there;  // what the name stands for on the disk all the same
  };
  static void Apply(const Change& change, std::size_t bytes_max, std::string& file);

  mutable std::mutex mutex_;
  std::string ballast_;
  At what_ = At::kNever;
  std::uint64_t number_ = 0;
  std::uint64_t operations_ = 0;
  bool recording_ = false;
  bool power_is_off_ = false;
  std::map<std::string, Disk> disks_;
};

// Puts what a disk held into a folder, by the files' names there.
void WriteFiles(const std::map<std::string, std::string>& files, const std::string& folder);

// Installs the layer as the default one (once) and returns its switches, all off.
Faults& InstallFaultVfs();

}  // namespace interlock::audit
