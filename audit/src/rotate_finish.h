// What Log::Open does about rotations (audit/rotate.h). The caller holds the folder's lock.
#pragma once

#include <string>
#include <string_view>

#include "audit/log.h"
#include "core/status.h"
#include "schema.h"

namespace interlock::audit {

inline constexpr std::string_view kNextFolder = "/next";
inline constexpr std::string_view kReserveFile = "/next.reserve";

// The newest entry, and the log that it stands in.
struct NewestEntry {
  std::string kind;
  std::string body;
  std::string origin;
};
core::StatusOr<NewestEntry> ReadNewest(sqlite3* db);

// No error when it is not there.
core::Status RemoveFile(const std::string& path);

// Puts the successor of a closed log in place (rotate.cc).
core::Status FinishClosed(const LogOptions& options);

// When the folder's log is closed, puts its successor in place; removes what a rotation that closed
// nothing left behind. Returns the origin of the log that is in the folder then, as OriginInFolder
// does. Errors: kFailedPrecondition when `audit.db` is missing beside closed logs, or when the
// successor was opened before and is lost.
core::StatusOr<std::string> FinishRotation(const LogOptions& options);

// The same, and the database of that log, made when there is none. One connection does both: after
// a crash the first one reads the whole write-ahead log.
struct LogToOpen {
  std::string origin;
  WritableDb database;
};
core::StatusOr<LogToOpen> OpenFinished(const LogOptions& options);

// The origin of the log in the folder: that of `options`, or one that follows it.
core::StatusOr<std::string> OriginInFolder(const LogOptions& options);

}  // namespace interlock::audit
