// Runs one case through the daemon: one run, its calls proposed by the scripted planner, the user's
// word relayed where the case says so, objects compared after every step.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/client.h"
#include "cli/eval/cases.h"
#include "cli/eval/compare.h"
#include "cli/eval/record.h"
#include "cli/eval/workshop.h"

namespace interlock::runtime::cli {

struct StepResult {
  Judgement judgement;
  std::optional<CallRecord> call;
  std::vector<std::string>
      differences;  // of objects; or that a call which was not allowed changed the database
};

struct CaseResult {
  std::string run;                // its name; empty when it could not be started
  std::vector<StepResult> steps;  // one for each step of the case
  std::string error;              // why the case could not be finished; empty when it was
};

// Thread-safe: workshop and client are shared, the rest is local.
CaseResult RunCase(const Workshop& workshop, const Client& client, const Case& the_case);

}  // namespace interlock::runtime::cli
