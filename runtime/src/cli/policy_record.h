// Where commands about recorded decisions take them from: a file, or a daemon.
#pragma once

#include <string>
#include <vector>

#include "cli/policy_folder.h"
#include "policies/recorded.h"

namespace interlock::runtime::cli {

struct RecordedOptions {
  std::string file;    // made by `policy record`; empty: ask the daemon
  std::string filter;  // AIP-160, of calls
  std::string reason;
};
void AddRecorded(CLI::App* command, RecordedOptions& options);

core::StatusOr<std::vector<policies::RecordedDecision>> LoadRecorded(
    Session& session, const RecordedOptions& options);
// The decision about one call. Errors: kNotFound.
core::StatusOr<policies::RecordedDecision> LoadRecordedCall(Session& session,
                                                            const RecordedOptions& options,
                                                            const std::string& call);

}  // namespace interlock::runtime::cli
