// Where an evaluation happens: a folder with the daemon's configuration and data, a template
// database and a copy of it a case, the planner's scripts, and the daemon itself.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/client.h"
#include "cli/eval/cases.h"
#include "cli/eval/process.h"
#include "cli/eval/suite.h"
#include "core/digest.h"
#include "core/status.h"

namespace interlock::runtime::cli {

struct WorkshopSpec {
  Suite suite;
  std::string data;   // as found by FindData
  std::string cases;  // the file; what `prepare` reads
  std::string out;  // kept; must be absent or empty. Empty: a temporary folder, removed at the end
  std::string program_folder;  // ${bin}: interlockd is there
  std::string daemon;          // path of interlockd; empty: program_folder/interlockd
};

// Methods on one case are thread-safe against those on other cases.
class Workshop {
 public:
  // Makes the folder, imports the template database, starts the daemon and waits until it serves.
  // Call before other threads exist. Errors say what is missing or how the daemon ended.
  static core::StatusOr<std::unique_ptr<Workshop>> Open(WorkshopSpec spec);
  ~Workshop();
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;

  const Endpoint& endpoint() const { return endpoint_; }
  const Suite& suite() const { return spec_.suite; }
  const std::string& folder() const { return folder_; }
  bool has_database() const { return !spec_.suite.database_file.empty(); }
  // The cases in this program's form: what `prepare` wrote, or the file itself.
  std::string cases_file() const;
  std::string log_folder() const { return folder_ + "/data/tenants/main"; }

  // A fresh copy of the database, what tools play back, and the planner's script.
  core::Status Prepare(const Case& the_case) const;
  // Removes the case's database and script, unless all is kept.
  void Clear(const Case& the_case) const;
  // The named objects of the case's database; `wanted` is {collection: {id: anything}}.
  core::StatusOr<core::Json> Export(const Case& the_case, const core::Json& wanted) const;
  // Of the database file's bytes.
  core::StatusOr<core::Digest> DatabaseDigest(const Case& the_case) const;

  // Stops the daemon, which closes its log. Idempotent.
  void StopDaemon();

 private:
  explicit Workshop(WorkshopSpec spec) : spec_(std::move(spec)) {}
  core::Status MakeFolders();
  core::Status Import();
  core::Status PrepareData();
  core::Status JoinPolicies();
  core::Status WriteConfig();
  core::Status StartDaemon();
  core::Status WaitUntilServing();
  Vars AllVars() const;
  std::string CaseFolder(const Case& the_case) const { return work() + "/" + the_case.name; }
  std::string made() const { return folder_ + "/made"; }
  std::string policies_folder() const;
  std::string work() const { return folder_ + "/databases"; }

  WorkshopSpec spec_;
  std::string folder_;
  bool temporary_ = false;
  Endpoint endpoint_;
  std::unique_ptr<Child> daemon_;
};

}  // namespace interlock::runtime::cli
