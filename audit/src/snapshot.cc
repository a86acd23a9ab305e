#include "audit/snapshot.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "folder_lock.h"
#include "private_file.h"
#include "schema.h"
#include "sqlite.h"

namespace interlock::audit {
namespace {

constexpr std::chrono::milliseconds kLookAgain{20};

// Entries of the state that this connection reads which no checkpoint covers, or which the
// projections do not have.
core::StatusOr<std::uint64_t> Uncovered(sqlite3* db) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t uncovered,
                             QueryInt(db,
                                      "SELECT (SELECT coalesce(max(idx), -1) + 1 FROM entry) - "
                                      "min((SELECT coalesce(max(size), 0) FROM checkpoint), "
                                      "(SELECT coalesce(max(next_idx), 0) FROM p_watermark))"));
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, uncovered));
}

// Leaves the connection in a transaction that reads one state: a covered one, or the last that was
// seen.
core::StatusOr<std::uint64_t> BeginCovered(sqlite3* db, const std::string& folder,
                                           const SnapshotWait& wait) {
  const auto deadline = std::chrono::steady_clock::now() + wait.patience;
  for (bool asked = false;;) {
    INTERLOCK_RETURN_IF_ERROR(Exec(db, "BEGIN"));
    INTERLOCK_ASSIGN_OR_RETURN(const std::uint64_t uncovered, Uncovered(db));
    const bool late = std::chrono::steady_clock::now() >= deadline;
    if (uncovered == 0 || late || !FolderLock::IsTaken(folder)) return uncovered;
    INTERLOCK_RETURN_IF_ERROR(Exec(db, "COMMIT"));
    if (!asked && wait.ask_for_head) wait.ask_for_head();
    asked = true;
    std::this_thread::sleep_for(kLookAgain);
  }
}

core::Status CopyAll(sqlite3* from, sqlite3* to) {
  sqlite3_backup* backup = sqlite3_backup_init(to, "main", from, "main");
  if (backup == nullptr) return SqlError(to, "beginning the copy");
  const int rc = sqlite3_backup_step(backup, -1);  // in one step: one state of the log
  sqlite3_backup_finish(backup);
  return rc == SQLITE_DONE ? core::OkStatus() : SqlError(to, "copying the log");
}

core::StatusOr<SnapshotReport> CopyTo(sqlite3* from, const std::string& out) {
  INTERLOCK_ASSIGN_OR_RETURN(const Db to, OpenDb(out, SQLITE_OPEN_READWRITE));
  INTERLOCK_RETURN_IF_ERROR(CopyAll(from, to.get()));
  INTERLOCK_RETURN_IF_ERROR(Exec(to.get(), "PRAGMA journal_mode = DELETE"));
  INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t entries,
                             QueryInt(to.get(), "SELECT coalesce(max(idx), -1) + 1 FROM entry"));
  struct stat info {};
  if (::stat(out.c_str(), &info) != 0) return ErrnoStatus("cannot read", out);
  return SnapshotReport{.entries = static_cast<std::uint64_t>(entries),
                        .bytes = static_cast<std::uint64_t>(info.st_size)};
}

}  // namespace

core::StatusOr<SnapshotReport> Snapshot(const std::string& database, const std::string& out,
                                        const SnapshotWait& wait) {
  INTERLOCK_ASSIGN_OR_RETURN(const Db from, OpenForReading(database));
  INTERLOCK_RETURN_IF_ERROR(CheckFormat(from.get()));
  {
    const UniqueFd file(::open(out.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file.valid()) {
      if (errno == EEXIST) {
        return core::FailedPrecondition("`" + out + "` exists; name a new file");
      }
      return ErrnoStatus("cannot make", out);
    }
  }
  const std::size_t slash = database.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : database.substr(0, slash);
  const auto uncovered = BeginCovered(from.get(), folder, wait);
  auto report =
      uncovered.ok() ? CopyTo(from.get(), out) : core::StatusOr<SnapshotReport>(uncovered.status());
  if (!report.ok()) {
    ::unlink(out.c_str());
    return report;
  }
  report->uncovered = *uncovered;
  return report;
}

}  // namespace interlock::audit
