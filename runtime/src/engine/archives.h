// The closed logs of the tenant: their runs and calls are told as they stand, never gone on with.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "audit/keys.h"
#include "audit/log.h"
#include "core/status.h"
#include "engine/history.h"
#include "engine/rows.h"

namespace interlock::runtime {

// Where the rows and the entries of something are.
struct Place {
  const audit::Log* log = nullptr;
  const History* history = nullptr;
};

template <typename Row>
struct Archived {
  Row row;
  Place place;
  std::string origin;  // of the log
};

// The name of a log.
core::StatusOr<std::string> OriginOf(const audit::Log& log);

// Origin of the log that this one goes on from; empty: it is the first, or nobody can tell.
std::string PreviousOf(const audit::Log& log);

// Origins of the logs that one of `logs` goes on from and that are not among them: read-only
// storage has those. `logs`: newest first; null: a closed one that cannot be opened, which is what
// the one in front of it goes on from, most likely.
std::vector<std::string> OriginsAway(const std::vector<const audit::Log*>& logs);

// Thread-safe. Files are opened when they are first needed. One that cannot be opened keeps no
// other from being read, and is tried again whenever it is needed; nothing is said to be nowhere
// before all were looked at.
class Archives {
 public:
  // `folder`: the tenant's; empty: there are none. Borrows the keys, which all logs share.
  Archives(std::string folder, audit::KeyStore& keys) : folder_(std::move(folder)), keys_(keys) {}

  // The newest closed log that has it. Errors: kNotFound; kUnavailable: it may stand in one that
  // cannot be opened; those of reading.
  core::StatusOr<Archived<CallRow>> Call(const std::string& call);
  core::StatusOr<Archived<RunRow>> Run(const std::string& run);
  // Errors: kNotFound (LOG_NOT_FOUND); kUnavailable: it may be one that cannot be opened.
  core::StatusOr<const audit::Log*> OfOrigin(std::string_view origin);

  // A closed log as a whole.
  struct File {
    std::string database;
    std::string origin;
    const audit::Log* log = nullptr;  // null: it cannot be opened now, and so has no origin either
    const History* history = nullptr;
    core::Status why;  // it cannot; names the file and says what to do
  };
  // Oldest first. Errors: the folder cannot be listed.
  core::StatusOr<std::vector<File>> Files();

 private:
  struct One {
    std::string database;
    std::string origin;
    std::unique_ptr<audit::Log> log;
    std::unique_ptr<History> history;
    core::Status why;
  };
  core::Status List();
  core::Status Open(One& one) const;
  template <typename Row>
  core::StatusOr<Archived<Row>> Find(const std::string& key, const char* column);

  const std::string folder_;
  audit::KeyStore& keys_;
  std::mutex mutex_;
  bool listed_ = false;
  std::vector<One> logs_;  // oldest first; what is open stays so
};

}  // namespace interlock::runtime
