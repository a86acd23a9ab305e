#include "engine/archives.h"

#include <filesystem>

#include "audit/erase.h"
#include "audit/rotate.h"
#include "engine/log_row.h"
#include "engine/select.h"
#include "runtime/engine.h"

namespace interlock::runtime {

core::StatusOr<std::string> OriginOf(const audit::Log& log) {
  return OfLogRow(log, LogColumn::kOrigin);
}

// No log is closed while a daemon has the folder: the list stands.
core::Status Archives::Open() {
  const std::lock_guard lock(mutex_);
  if (opened_ || folder_.empty()) return core::OkStatus();
  std::vector<One> logs;
  for (const std::string& name : audit::ArchivesIn(folder_)) {
    One one;
    one.database = folder_ + "/" + name;
    // An erasure that was killed has left its journal, which no reader can do away with.
    std::error_code none;
    if (const auto left = std::filesystem::file_size(one.database + "-journal", none);
        !none && left > 0) {
      INTERLOCK_RETURN_IF_ERROR(audit::CanEraseInArchive(one.database));
    }
    INTERLOCK_ASSIGN_OR_RETURN(one.log, audit::OpenArchive(one.database));
    INTERLOCK_ASSIGN_OR_RETURN(one.origin, OriginOf(*one.log));
    one.history = std::make_unique<History>(*one.log, keys_);
    logs.push_back(std::move(one));
  }
  logs_ = std::move(logs);
  opened_ = true;
  return core::OkStatus();
}

template <typename Row>
core::StatusOr<Archived<Row>> Archives::Find(const std::string& key, const char* column) {
  INTERLOCK_RETURN_IF_ERROR(Open());
  for (auto one = logs_.rbegin(); one != logs_.rend(); ++one) {
    INTERLOCK_ASSIGN_OR_RETURN(
        auto rows, Select<Row>(*one->log, "WHERE " + std::string(column) + " = ?", {key}));
    if (rows.empty()) continue;
    return Archived<Row>{
        std::move(rows.front()), {one->log.get(), one->history.get()}, one->origin};
  }
  return core::NotFound("no closed log has `" + key + "`");
}

core::StatusOr<std::vector<Archives::File>> Archives::Files() {
  INTERLOCK_RETURN_IF_ERROR(Open());
  std::vector<File> files;
  for (const One& one : logs_) {
    files.push_back({one.database, one.origin, one.log.get(), one.history.get()});
  }
  return files;
}

core::StatusOr<const audit::Log*> Archives::OfOrigin(std::string_view origin) {
  INTERLOCK_RETURN_IF_ERROR(Open());
  for (const One& one : logs_) {
    if (one.origin == origin) return one.log.get();
  }
  return WithReason(core::NotFound("the tenant has no log of the origin `" + std::string(origin) +
                                   "`; `interlock audit verify DIR` lists them"),
                    "LOG_NOT_FOUND");
}

core::StatusOr<Archived<CallRow>> Archives::Call(const std::string& call) {
  return Find<CallRow>(call, "call");
}

core::StatusOr<Archived<RunRow>> Archives::Run(const std::string& run) {
  return Find<RunRow>(run, "run");
}

}  // namespace interlock::runtime
