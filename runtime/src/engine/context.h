// What a conversation weighs, and what is left out of it when it grows beyond what its model reads
// (ADR 43). Pure: the same events leave out the same things, live, after a restart and in a replay.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/planner.h"
#include "runtime/tokens.h"

namespace interlock::runtime {

struct RunCore;

// As `run.started` says; a run keeps what it began with.
struct ContextBudget {
  std::int64_t tokens = 0;    // that a prompt may have; 0: nobody knows, and nothing is left out
  std::int64_t overhead = 0;  // estimated tokens of the system prompt, the tools and the schema
  TokenFamily family = TokenFamily::kOther;
};

// Beside one message of the conversation.
struct MessageMark {
  std::int64_t tokens = -1;  // estimated; -1: not weighed yet
  std::string call{};        // whose result it holds; empty: it holds none
  std::string handle{};      // of that result; empty: it has none
  bool left_out = false;
};

// What stands in the prompt in a shorter form, or not at all.
struct LeftOut {
  std::int64_t results = 0;
  std::int64_t texts = 0;  // words and arguments of the planner itself
  std::int64_t plans = 0;  // whole, with the results of their calls
  bool any() const { return results + texts + plans > 0; }
};

// What a model reported of the newest prompt that it reported of, beside what was estimated.
struct TokenReport {
  std::int64_t reported = 1;
  std::int64_t estimated = 1;
};

struct ContextState {
  ContextBudget budget;
  std::vector<MessageMark> marks;              // of the first messages of the conversation
  std::map<std::string, TokenReport> reports;  // by provider and model
  std::string model;                           // that answered last
  std::int64_t asked = 0;                      // estimated, of the prompt that is answered now
  LeftOut left_out;
};

// Of a window, what a prompt may take: the rest is for the reply and for what the estimate misses.
std::int64_t PromptShare(std::int64_t window);

// Estimated tokens of the prompt as it stands, corrected by what the model reported so far.
std::int64_t PromptTokens(RunCore& run);

// Leaves out what it must so that the prompt fits its budget, down to three quarters of it: older
// results first, then older words and arguments of the planner, then older plans with the results
// of their calls. Never what the user said, what is open, the newest plan or its results.
void FitContext(RunCore& run);

// Why the next prompt does not fit even so, one line; nullopt: it does.
std::optional<std::string> ContextOverflow(RunCore& run);

// One line for the planner; empty: nothing was left out.
std::string LeftOutLine(const RunCore& run);

// Takes what a reply reports of its prompt.
void LearnTokens(RunCore& run, const Plan& plan);

// The conversation as the planner reads it, in one canonical text.
std::string PromptText(const RunCore& run, std::string_view system);

}  // namespace interlock::runtime
