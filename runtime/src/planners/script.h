// A script of the scripted planner: what it says and proposes, step by step.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/status.h"
#include "runtime/planner.h"
#include "tools/yaml.h"

namespace interlock::runtime {

inline constexpr std::size_t kScriptStepsMax = 1000;

struct ScriptCall {
  std::string tool;                      // any text: hostile scripts name tools that do not exist
  core::Json args;                       // with templates; unless args_text is set
  std::optional<std::string> args_text;  // verbatim
};

struct ScriptStep {
  int line = 0;
  Finish finish = Finish::kCalls;
  std::string text;  // of answer and ask: a template; of calls: `say`
  std::vector<ScriptCall> calls;
};

struct Script {
  std::string file;
  std::vector<ScriptStep> steps;
};

// Errors: kInvalidArgument as `file:line: what`.
core::StatusOr<Script> ScriptFromYaml(const tools::YamlNode& document, std::string_view file);

// The plan of step `number` over the conversation so far. Placeholders: `{last.…}` is the newest
// observation,
// `{r1.…}` the first one of the run, `{session.…}`; what they name must be there.
// Errors: kInvalidArgument as `file:line: what`.
core::StatusOr<Plan> PlanOfStep(const Script& script, std::size_t number,
                                const PlanRequest& request);

}  // namespace interlock::runtime
