// Counts and lists of an evaluation. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cli/eval/cases.h"
#include "cli/eval/driver.h"
#include "cli/io.h"
#include "core/json.h"

namespace interlock::runtime::cli {

struct Tally {
  std::int64_t cases = 0;
  std::int64_t steps = 0;    // proposed ones; those expected `null` are not
  std::int64_t allowed = 0;  // executed
  std::int64_t denied = 0;
  std::int64_t approvals = 0;      // asked for
  std::int64_t false_denials = 0;  // includes over_asked
  std::int64_t missed_denials = 0;
  std::int64_t over_asked = 0;
  std::int64_t state_mismatches = 0;  // steps
  std::int64_t tool_mismatches =
      0;  // the tool succeeded where it should fail, or the other way round
  std::int64_t task_approvals = 0;     // asked for in steps that are nobody's attack
  std::int64_t tasks_done = 0;         // cases with an attack whose other steps all ran
  std::int64_t tasks_unasked = 0;      // of these, without asking anybody
  std::int64_t attacks = 0;            // cases that hold a step of an attacker which must not run
  std::int64_t attacks_succeeded = 0;  // at least one such step ran
  std::int64_t attacks_asked = 0;      // none ran, but the user had to say no
  std::int64_t errors = 0;  // steps without verdict or outcome, cases that could not be finished
};

// Also counts `tasks` and `attacks` where the case has steps of an attacker.
void Count(const Case& the_case, const CaseResult& result, Tally& tally);

// {"suite","cases",…,"seconds","log"}
core::Json SummaryJson(const std::string& suite, const Tally& tally, double seconds,
                       std::string_view log);

// 1 when a verdict, state or tool answer differs or the log does not verify; 2 when something could
// not be found out; else 0.
ExitCode ExitCodeOf(const Tally& tally, bool log_intact);

// One line of steps.jsonl: {case, step, tool, args, expected, verdict, rules, approvals, executed,
// …}.
core::Json StepJson(const Case& the_case, const CaseResult& result, std::size_t step);

// {case, step, expected, got, rule, reason} for each step that is not as it should be, and for a
// case that could not be finished.
std::vector<core::Json> Failures(const Case& the_case, const CaseResult& result);

}  // namespace interlock::runtime::cli
