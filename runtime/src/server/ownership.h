// Which runs a caller may touch: operators, auditors and approvers all of their tenant, others
// their own.
#pragma once

#include <string_view>

#include "server/caller.h"

namespace interlock::runtime {

// Whether the caller may see runs that others made.
bool SeesAllRuns(const Caller& caller);
bool MadeBy(const RunInfo& run, const Caller& caller);

// The run, if the caller may see it. Errors: kNotFound (RUN_NOT_FOUND), also for runs of others.
core::StatusOr<RunInfo> OwnRun(const Caller& caller, std::string_view run);

// For lists: a caller who does not see all runs must name one of its own. `run` is a name or empty;
// gives its id.
core::StatusOr<std::string> RunFilter(const Caller& caller, std::string_view run);

}  // namespace interlock::runtime
