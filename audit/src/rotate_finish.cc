// What an opening does before it opens: only a log that is closed has something to be finished.
#include "rotate_finish.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <vector>

#include "audit/rotate.h"
#include "entry_text.h"
#include "private_file.h"
#include "succession.h"

namespace interlock::audit {
namespace {

namespace fs = std::filesystem;

core::StatusOr<NewestEntry> NewestIn(const std::string& path) {
  INTERLOCK_ASSIGN_OR_RETURN(const Db db, OpenForReading(path));
  return ReadNewest(db.get());
}

// What is no log of ours is for the opening to refuse.
const std::string& FollowedOrGiven(const std::string& stored, const std::string& given) {
  return LogNumber(stored, given) ? stored : given;
}

std::string OriginIn(sqlite3* db, const LogOptions& options) {
  const auto identity = ReadIdentity(db);
  return identity.ok() ? FollowedOrGiven(identity->origin, options.origin) : options.origin;
}

// What stands beside a log, before anybody looks into it.
core::Status TendFolder(const LogOptions& options, const std::string& path) {
  const std::vector<std::string> archives = ArchivesIn(options.folder);
  if (!fs::exists(path)) {
    if (archives.empty()) return core::OkStatus();
    return core::FailedPrecondition("`" + path + "` is missing beside `" + archives.back() +
                                    "`; restore it");
  }
  for (const std::string& archive : archives) {
    const std::string file = options.folder + "/" + archive;
    std::error_code error;
    if (!fs::equivalent(file, path, error)) ::chmod(file.c_str(), S_IRUSR);
  }
  return core::OkStatus();
}

core::Status RemoveUnfinished(const LogOptions& options) {
  std::error_code error;
  fs::remove_all(options.folder + std::string(kNextFolder), error);
  return RemoveFile(options.folder + std::string(kReserveFile));
}

bool IsClosed(const core::StatusOr<NewestEntry>& newest) {
  return newest.ok() && newest->kind == kClosedKind;
}

}  // namespace

core::Status RemoveFile(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return core::OkStatus();
  return ErrnoStatus("cannot remove", path);
}

core::StatusOr<NewestEntry> ReadNewest(sqlite3* db) {
  NewestEntry newest;
  INTERLOCK_ASSIGN_OR_RETURN(const LogIdentity identity, ReadIdentity(db));
  newest.origin = identity.origin;
  INTERLOCK_ASSIGN_OR_RETURN(
      Statement row, Statement::Prepare(db, "SELECT bytes FROM entry ORDER BY idx DESC LIMIT 1"));
  INTERLOCK_ASSIGN_OR_RETURN(const bool there, row.Step());
  const auto entry = there ? ParseEntry(row.Bytes(0)) : std::nullopt;
  if (!entry) return newest;
  newest.kind = entry->kind;
  newest.body = entry->body;
  return newest;
}

core::StatusOr<std::string> OriginInFolder(const LogOptions& options) {
  const std::string path = options.folder + "/" + std::string(kDatabaseName);
  if (!fs::exists(path)) return options.origin;
  INTERLOCK_ASSIGN_OR_RETURN(const Db db, OpenForReading(path));
  return OriginIn(db.get(), options);
}

core::StatusOr<std::string> FinishRotation(const LogOptions& options) {
  const std::string path = options.folder + "/" + std::string(kDatabaseName);
  INTERLOCK_RETURN_IF_ERROR(TendFolder(options, path));
  if (!fs::exists(path)) return options.origin;
  const auto newest = NewestIn(path);
  if (IsClosed(newest)) {
    INTERLOCK_RETURN_IF_ERROR(FinishClosed(options));
    return OriginInFolder(options);
  }
  INTERLOCK_RETURN_IF_ERROR(RemoveUnfinished(options));
  return newest.ok() ? FollowedOrGiven(newest->origin, options.origin) : OriginInFolder(options);
}

core::StatusOr<LogToOpen> OpenFinished(const LogOptions& options) {
  const std::string path = options.folder + "/" + std::string(kDatabaseName);
  INTERLOCK_RETURN_IF_ERROR(TendFolder(options, path));
  const bool is_there = fs::exists(path);
  LogToOpen log;
  INTERLOCK_ASSIGN_OR_RETURN(log.database, OpenForWriting(options.folder));
  if (is_there && IsClosed(ReadNewest(log.database.db.get()))) {
    log.database = {};
    INTERLOCK_RETURN_IF_ERROR(FinishClosed(options));
    INTERLOCK_ASSIGN_OR_RETURN(log.database, OpenForWriting(options.folder));
  } else if (is_there) {
    INTERLOCK_RETURN_IF_ERROR(RemoveUnfinished(options));
  }
  log.origin = OriginIn(log.database.db.get(), options);
  return log;
}

}  // namespace interlock::audit
