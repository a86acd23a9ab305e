#include "engine/archives.h"

#include <filesystem>
#include <set>

#include "audit/erase.h"
#include "audit/rotate.h"
#include "engine/log_row.h"
#include "engine/select.h"
#include "runtime/engine.h"

namespace interlock::runtime {

core::StatusOr<std::string> OriginOf(const audit::Log& log) {
  return OfLogRow(log, LogColumn::kOrigin);
}

std::string PreviousOf(const audit::Log& log) {
  const auto entry = log.Read(0);
  if (!entry.ok() || entry->kind != "log.opened") return {};
  const auto view = core::JsonObjectView::Of(entry->bytes);
  const auto body = view.ok() ? view->Object("body") : std::nullopt;
  const auto previous = body ? body->Object("previous") : std::nullopt;
  return previous ? previous->String("origin").value_or("") : "";
}

std::vector<std::string> OriginsAway(const std::vector<const audit::Log*>& logs) {
  std::set<std::string> here;
  for (const audit::Log* log : logs) {
    if (log != nullptr) here.insert(OriginOf(*log).value_or(""));
  }
  std::vector<std::string> away;
  for (std::size_t i = 0; i < logs.size(); ++i) {
    const bool unopened_before = i + 1 < logs.size() && logs[i + 1] == nullptr;
    if (logs[i] == nullptr || unopened_before) continue;
    std::string previous = PreviousOf(*logs[i]);
    if (!previous.empty() && !here.contains(previous)) away.push_back(std::move(previous));
  }
  return away;
}

// No log is closed while a daemon has the folder: the list stands.
core::Status Archives::List() {
  if (listed_ || folder_.empty()) return core::OkStatus();
  INTERLOCK_ASSIGN_OR_RETURN(const auto names, audit::ListArchives(folder_));
  for (const std::string& name : names) logs_.emplace_back().database = folder_ + "/" + name;
  listed_ = true;
  return core::OkStatus();
}

core::Status Archives::Open(One& one) const {
  // An erasure that was killed has left its journal, which no reader can do away with.
  std::error_code none;
  const auto left = std::filesystem::file_size(one.database + "-journal", none);
  if (!none && left > 0) INTERLOCK_RETURN_IF_ERROR(audit::CanEraseInArchive(one.database));
  INTERLOCK_ASSIGN_OR_RETURN(auto log, audit::OpenArchive(one.database));
  INTERLOCK_ASSIGN_OR_RETURN(one.origin, OriginOf(*log));
  one.history = std::make_unique<History>(*log, keys_);
  one.log = std::move(log);
  return core::OkStatus();
}

core::StatusOr<std::vector<Archives::File>> Archives::Files() {
  const std::lock_guard lock(mutex_);
  INTERLOCK_RETURN_IF_ERROR(List());
  std::vector<File> files;
  for (One& one : logs_) {
    if (one.log == nullptr) {
      const core::Status opened = Open(one);
      const std::string name = one.database.substr(folder_.size() + 1);
      one.why = opened.ok()
                    ? opened
                    : core::Unavailable("closed log `" + name + "` cannot be opened: " +
                                        std::string(core::Message(opened)) +
                                        "; mend or restore it, it is tried again by itself");
    }
    files.push_back({one.database, one.origin, one.log.get(), one.history.get(), one.why});
  }
  return files;
}

template <typename Row>
core::StatusOr<Archived<Row>> Archives::Find(const std::string& key, const char* column) {
  INTERLOCK_ASSIGN_OR_RETURN(const auto files, Files());
  core::Status unread = core::NotFound("no closed log has `" + key + "`");
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    if (file->log == nullptr) {
      unread = file->why;
      continue;
    }
    INTERLOCK_ASSIGN_OR_RETURN(
        auto rows, Select<Row>(*file->log, "WHERE " + std::string(column) + " = ?", {key}));
    if (rows.empty()) continue;
    return Archived<Row>{std::move(rows.front()), {file->log, file->history}, file->origin};
  }
  return unread;
}

core::StatusOr<const audit::Log*> Archives::OfOrigin(std::string_view origin) {
  INTERLOCK_ASSIGN_OR_RETURN(const auto files, Files());
  core::Status unread =
      WithReason(core::NotFound("the tenant has no log of the origin `" + std::string(origin) +
                                "`; `interlock audit verify DIR` lists them"),
                 "LOG_NOT_FOUND");
  for (const File& file : files) {
    if (file.log != nullptr && file.origin == origin) return file.log;
    if (file.log == nullptr) unread = file.why;
  }
  return unread;
}

core::StatusOr<Archived<CallRow>> Archives::Call(const std::string& call) {
  return Find<CallRow>(call, "call");
}

core::StatusOr<Archived<RunRow>> Archives::Run(const std::string& run) {
  return Find<RunRow>(run, "run");
}

}  // namespace interlock::runtime
