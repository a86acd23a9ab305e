// Agent files (YAML): what an agent is, pinned by digest at `run.started` (rule 30).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/status.h"
#include "tools/tool.h"

namespace interlock::runtime {

// What a planner's plain text means.
enum class OnText { kAnswer, kAsk };

// How results reach the planner. By handle: every result has a name that an argument may carry
// instead of a text, and of what an untrusted tool gave the planner sees the shape alone.
enum class ResultsAs { kText, kHandles };

struct AgentLimits {
  std::int64_t steps_max = 20;     // plans; 1..1000
  std::int64_t wall_ms = 600'000;  // planning and calls, time parked not counted; 1..86,400,000
  std::int64_t calls_max = 60;     // calls; 1..10,000
  std::int64_t tokens_max = 0;     // of the model, read and written; 0: no limit
  std::int64_t repeats_max = 12;   // plans in a row that make the very same calls; 1..1000
  std::int64_t repairs_max = 2;    // answers in a row that may be refused; 0..10
  // Of a result that is shown whole to an agent that may ask for its parts; 1,024..1,048,576.
  std::int64_t result_bytes_max = 16'384;
  std::int64_t context_tokens_max = 0;  // of a prompt; 0: what the model's window leaves
  std::int64_t runs_max = 16;           // that it and the agents it calls may start; 1..1000
};

struct AgentFile {
  std::string name;  // [a-z0-9_-]{1,64}; the file's name without .yaml, or what is before its `@`
  std::string version;
  bool by_rollout = false;  // from a file NAME@VERSION.yaml: given to runs by a roll-out alone
  std::string description;
  std::string planner;  // a planner's name in the daemon's config
  std::string model;
  std::string risk;                 // "low", "medium" or "high", for routes; empty: not said
  std::string prompt;               // system prompt
  std::vector<std::string> tools;   // names or globs (`*` matches any bytes); in file order
  std::vector<std::string> agents;  // that it may call as tools, `agent.NAME`; in file order
  AgentLimits limits;
  OnText on_text = OnText::kAnswer;
  ResultsAs results = ResultsAs::kText;
  bool escalates = false;  // the planner may hand the run over to a person
  bool streams = false;    // what its planner writes is shown while it comes (ADR 70)
  // Tools whose effects belong together: a run that had one of a group and ends without the others
  // has failed (ADR 71). In file order.
  std::vector<std::vector<std::string>> together;
  core::Json answer_schema;  // of the final answer; null: any text
  // Checks an answer against it (ValidateResult); null without a schema.
  std::shared_ptr<const tools::Tool> answer_form;
  std::string canonical;  // RFC 8785 form of all of the above, defaults filled in
  std::string digest;     // "sha256:<hex>" of `canonical`
};

inline constexpr std::size_t kAgentFileBytesMax = 256 * 1024;
inline constexpr std::size_t kVersionBytesMax = 64;

// Parses one agent file. `file` is for messages; its stem must be the name, or `name@version`.
// Errors: kInvalidArgument, "file:line: what; what to do", also for unknown and repeated keys.
core::StatusOr<AgentFile> ParseAgent(std::string_view file, std::string_view text);

// Every *.yaml of `folder`, sorted by name. Errors: as above; also for NAME@VERSION.yaml without
// NAME.yaml, or of the same version; kNotFound when there is no such folder.
core::StatusOr<std::vector<AgentFile>> LoadAgents(const std::string& folder);

// What `risk` of an agent and `risks` of a route may say.
bool IsRisk(std::string_view word);

// The tool by which an agent reads parts of long results; only who names it has it.
inline constexpr std::string_view kReadResultTool = "read_result";
bool ReadsResults(const AgentFile& agent);
// Whether the engine itself provides the tool of this name. Not of agents.
bool IsOwnTool(std::string_view tool);

// What the names of agents that are called as tools begin with; no tool of a folder has it.
inline constexpr std::string_view kAgentToolPrefix = "agent.";
bool IsAgentTool(std::string_view tool);

// Whether one of the agent's tool patterns matches, or it names that agent.
bool AgentMayUse(const AgentFile& agent, std::string_view tool);

}  // namespace interlock::runtime
