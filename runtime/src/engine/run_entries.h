// The entries by which a run goes on: what the actor writes live and replay makes anew.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/entries.h"
#include "engine/gate.h"
#include "engine/step.h"
#include "policies/model_budget.h"

namespace interlock::runtime {

// How the agent ends: the schema of its answer, and whether a tool has to give it.
void AskForAnswer(const AgentFile& agent, PlanRequest& request);

// A list of an entry that has room for it stands there; a longer one is a payload of the entry, and
// its commitment stands in its place (ADR 83).
inline constexpr std::size_t kListBytesMax = 64'500;  // of its JSON
std::string ListOrSealed(Draft& draft, const Sealer& sealer, const std::vector<std::string>& list);

struct PlanRequestedFields {
  std::string_view planner;
  std::size_t messages = 0;          // of the conversation that it reads
  std::vector<std::string> results;  // calls whose results it now reads
  std::int64_t step = 0;
  std::int64_t left_ms = -1;  // of the run's wall limit; -1: nobody counts
  std::int64_t tokens = 0;    // that the prompt has, estimated; 0: nobody asked
  LeftOut left_out{};
  std::string prompt{};   // HMAC of it, when anything was left out
  std::string use{};      // UseJson of the most that it may use; empty: no model budget asks
  std::string bundle{};   // whose budgets those are: sha256:<hex>
  bool again = false;     // the reply to the request before was lost
  std::string refused{};  // why the planner is not asked (plan.refused); empty: it is
  std::string refused_code{};
  const Sealer* sealer = nullptr;  // not null
};
// Of the core once it has read its PlanRequested.
PlanRequestedFields AskedOf(RunCore& core, const AgentFile& agent, std::vector<std::string> results,
                            const Sealer& sealer);
Draft DraftPlanRequested(const std::string& run, const PlanRequestedFields& fields);

// What a prompt may weigh, for run.started: `tools` are those of the agent. Empty: nobody knows.
std::string ContextJson(const ModelContext& model, const AgentFile& agent,
                        const std::vector<std::shared_ptr<const tools::Tool>>& tools);
// And back.
ContextBudget BudgetOf(const core::JsonObjectView& context);

// Of a reply that is taken, or why there is none.
struct PlanReply {
  bool ok = false;
  std::string recorded;  // PlanToJson
  std::string code;
  std::string reason;
  std::int64_t wait_ms = -1;  // of a request that model budgets were charged for; -1: of another
  std::optional<policies::ModelUse> lost{};  // of such a request: what PlanRequest::lost says
  Spent spent{};  // what PlanRequest::spent says, and a reply that is not taken
};
// Bounded, so that a restart can read it back. `plan` becomes the error that it is.
PlanReply ReplyOf(core::StatusOr<Plan>& plan);
Draft DraftPlanReceived(const std::string& run, const Sealer& sealer, std::string_view planner,
                        std::int64_t step, const PlanReply& reply,
                        const core::StatusOr<Plan>& plan);

// `left_ms` of a run that waits: of its wall limit, which waits with it; -1: nobody counts.
Draft DraftParked(const std::string& run, const Sealer& sealer,
                  const std::vector<std::string>& approvals, std::int64_t left_ms);
Draft DraftWaitForUser(const std::string& run, const Sealer& sealer, std::string_view text,
                       std::int64_t left_ms);
Draft DraftWaitForPerson(const std::string& run, std::int64_t left_ms);
// Of a run that fails, but for those that it started, the entry says
// why: nothing else in the log may.
Draft DraftWaitForRun(const RunCore& run, const Sealer& sealer, std::int64_t left_ms);
Draft DraftWaitForSwitch(const std::string& run, std::string_view name, std::int64_t left_ms);
Draft DraftWaitForPlanner(const std::string& run, std::string_view planner, std::int64_t left_ms);
Draft DraftResumed(const std::string& run, std::string_view why);
Draft DraftCompensating(const std::string& run, const Sealer& sealer,
                        const effect::BeginCompensation& begin);
// run.completed, run.escalated, run.cancelled or run.failed.
Draft DraftFinish(const std::string& run, const Sealer& sealer, const effect::Finish& finish);

// What rules and the agent's schema make of an answer, a question or a summary. Pure; `engine`
// null: it is withheld. `agent` may be null.
JudgedText JudgeAnswer(const Gate& gate, policies::Engine* engine, const AgentFile* agent,
                       const CallIdentity& base, const Provenance& reads,
                       const effect::CheckAnswer& check);
// "answer", "question" or "summary".
std::string_view NameOf(Closing::Kind kind);
event::AnswerChecked CheckedAs(const JudgedText& judged);

}  // namespace interlock::runtime
