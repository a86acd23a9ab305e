// Offline verification of a log, for `audit verify`, `doctor` and `eval`.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "audit/verify.h"
#include "cli/io.h"
#include "core/status.h"

namespace interlock::runtime::cli {

struct VerifySpec {
  std::string database;                  // of audit.db, or of one closed log
  std::string verifier_key;              // empty: the one in the file
  std::vector<std::string> checkpoints;  // signed notes kept elsewhere
  std::vector<std::string> witness_keys = {};
  std::size_t witnesses_needed = 0;  // of the keys; 0: all
  bool hashes_only = false;
  bool entries_only = false;     // the runtime's projections are left out
  std::string keys_folder = {};  // of keys.db and master.key; empty: payloads stay sealed
  std::string bundle = {};       // instead of a database
  std::function<void(std::uint64_t done, std::uint64_t total)> progress = {};
};

// audit.db in a tenant's folder, in a data folder with exactly one tenant (or the folder around
// it), or the file itself. Errors: kNotFound; kInvalidArgument naming the tenants when there are
// several.
core::StatusOr<std::string> FindLog(const std::string& path);

// Everything that can be checked without keys, projections included.
audit::VerifyReport VerifyLog(const VerifySpec& spec);
// Every log of the folder that the database is in.
audit::FolderReport VerifyLogs(const VerifySpec& spec);

// The bundle of the spec.
audit::VerifyReport VerifyEvidence(const VerifySpec& spec);

void PrintReport(const Io& io, const audit::VerifyReport& report);
// Names the log that the verdict is about, when there are several.
void PrintReport(const Io& io, const audit::FolderReport& report);
core::Json ReportJson(const audit::VerifyReport& report);
int ExitCodeOf(audit::Verdict verdict);
std::string_view VerdictText(audit::Verdict verdict);  // "intact"

}  // namespace interlock::runtime::cli
