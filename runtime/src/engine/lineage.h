// Runs that agents start by calling another agent as a tool (ADR 42): what entries say of them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/json.h"
#include "core/status.h"
#include "engine/entries.h"

namespace interlock::runtime {

// Runs below one another, the topmost not counted.
inline constexpr std::int64_t kRunDepthMax = 4;

// Code of a call of an agent that is, or whose planner is, not configured.
inline constexpr const char* kAgentGone = "AGENT_GONE";
// Why a run fails as that.
inline constexpr const char* kAgentGoneReason =
    "the agent file that this run began with cannot be read any more";
// And of one whose run has ended, and the log cannot tell any more how.
inline constexpr const char* kAgentLost = "AGENT_LOST";
// Of a run that has not ended, and that the log cannot tell any more.
inline constexpr const char* kRunLost = "RUN_LOST";

// "agent.researcher" calls `researcher`.
std::string AgentOfTool(std::string_view tool);

// `lineage` of run.started, and back.
std::string LineageJson(const Lineage& lineage);
Lineage LineageFrom(const core::JsonObjectView& lineage);

core::Json LabelToJson(const policies::Label& label);
policies::Label LabelFromJson(const core::Json& json);
// Whose words it passes on besides; what goes back and forth names nobody twice.
void AddSource(policies::Label& label, const std::string& source);

// `ended` of call.outcome, and back; the label's words are content and stand beside it, and so do
// effects that are too many for an entry. Errors: kDataLoss, when those are nowhere.
std::string RunEndJson(const RunEnd& end);
std::string RunEndBesideJson(const RunEnd& end);
core::StatusOr<RunEnd> RunEndFrom(std::string_view ended, const core::Json& beside);
// Whether its effects are too many.
bool HasTooManyEffects(const RunEnd& end);

// What the planner reads of a call whose run is at work.
std::string ObservationAtWork(std::string_view run);

// The result of the call that started it, or why there is none. `text`: its answer, summary or
// reason; `formed`: the answer is JSON by its agent's schema.
struct RunEndText {
  std::string_view agent;
  std::string_view code;
  std::string_view text;
  bool erased = false;  // then an answer is none
  bool lost = false;    // what it did cannot be read; `text` says why
  bool formed = false;
  bool stands = false;  // as in RunEnd
};
// Nothing that it did stands: what was held for it cost nothing (rule 13).
bool LeftNothing(RunState state, std::string_view code, bool stands);
tools::Outcome OutcomeOfRun(RunState state, const RunEndText& end);

}  // namespace interlock::runtime
