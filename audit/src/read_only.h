// A log's database opened by someone who only looks at it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/status.h"
#include "sqlite.h"

namespace interlock::audit {

// A file that is read without SQLite's locks, and whether it stood still meanwhile. Whoever reads
// so looks at the end, and believes only what a file said that nobody wrote to. One thread.
class StillFile {
 public:
  // Errors: kNotFound; those of SQLite.
  static core::StatusOr<StillFile> At(const std::string& path);

  // False: somebody wrote to it since, is in the middle of it, or may begin to at any moment.
  bool IsStill() const;
  // Whether its pages may change under a reader, as far as the files beside it and the lock say.
  bool MayBeWritten() const;
  bool write_ahead() const { return stamp_.write_ahead; }

 private:
  struct Stamp {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t bytes = -1;
    std::int64_t changed_ns = 0;
    std::uint32_t changes = 0;  // SQLite's own count
    bool write_ahead = false;   // the file has a write-ahead log while it is open for writing

    bool operator==(const Stamp&) const = default;
  };
  Stamp Look() const;

  std::string path_;
  Db db_;  // immutable: what the file says, through a handle whose closing ends no lock of ours
  Stamp stamp_;
};

// One snapshot, for any number of threads.
class LogReading {
 public:
  explicit LogReading(Db db) : db_(std::move(db)) {}
  LogReading(Db db, StillFile unlocked) : db_(std::move(db)), unlocked_(std::move(unlocked)) {}

  sqlite3* db() const { return db_.get(); }
  // Whether all that was read up to now is of one state of the log. Always so under SQLite's locks.
  bool IsOneState() const { return !unlocked_ || unlocked_->IsStill(); }

 private:
  Db db_;
  std::optional<StillFile> unlocked_;
};

// A closed log, and one that nobody holds, is opened as immutable: then SQLite makes no -wal or
// -shm file beside it, and whoever erases in it waits for no reader. Errors: kNotFound;
// kFailedPrecondition when half a change waits to be taken back; those of SQLite.
core::StatusOr<LogReading> OpenAtRest(const std::string& path);

}  // namespace interlock::audit
