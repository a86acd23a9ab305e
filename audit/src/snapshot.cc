#include "audit/snapshot.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "private_file.h"
#include "schema.h"
#include "sqlite.h"

namespace interlock::audit {
namespace {

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
  return SnapshotReport{static_cast<std::uint64_t>(entries),
                        static_cast<std::uint64_t>(info.st_size)};
}

}  // namespace

core::StatusOr<SnapshotReport> Snapshot(const std::string& database, const std::string& out) {
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
  auto report = CopyTo(from.get(), out);
  if (!report.ok()) ::unlink(out.c_str());
  return report;
}

}  // namespace interlock::audit
