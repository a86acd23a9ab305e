// A run of which the log cannot be read any more ends (ADR 64): nobody can go on with it, and
// others may wait for it. Nothing here needs its content; what is known of it is in the log's
// tables.
#include <algorithm>

#include "engine/lineage.h"
#include "engine/open_approvals.h"
#include "engine/plan_budgets.h"
#include "engine/run_actor.h"
#include "engine/run_entries.h"
#include "engine/run_state.h"
#include "engine/select.h"
#include "runtime/own_tools.h"

namespace interlock::runtime {
namespace {

constexpr std::size_t kStandingMax = 1'000;  // that the entry names

std::string NumberOf(CallState state) { return std::to_string(static_cast<int>(state)); }
std::string NumberOf(RunState state) { return std::to_string(static_cast<int>(state)); }

// Calls that took effect, or may have, of the run and of those below it that ended well: nobody
// took these back.
core::StatusOr<std::vector<CallRow>> MayStand(const audit::Log& log, const std::string& run) {
  return Select<CallRow>(
      log,
      "WHERE run IN (WITH RECURSIVE tree(run) AS (SELECT ? UNION SELECT p_run.run FROM p_run JOIN "
      "tree ON p_run.parent = tree.run WHERE p_run.state IN (CAST(? AS INTEGER), CAST(? AS "
      "INTEGER))) SELECT run FROM tree) AND state IN (CAST(? AS INTEGER), CAST(? AS INTEGER), "
      "CAST(? AS INTEGER)) ORDER BY call DESC",
      {run, NumberOf(RunState::kCompleted), NumberOf(RunState::kEscalated),
       NumberOf(CallState::kOk), NumberOf(CallState::kUnknown), NumberOf(CallState::kIntended)});
}

// Nothing is lost with what only read, nor with what the engine does in the step that records it;
// a run that was called has ended by itself.
bool IsHarmless(const CallRow& call) {
  return call.effect == "read" || IsOwnTool(call.tool) || IsAgentTool(call.tool);
}

Draft DraftLost(const CallRow& call, const Sealer& sealer) {
  CallIdentity id;
  id.run = call.run;
  id.call = call.call;
  return DraftOutcome(id, sealer,
                      {.attempt = static_cast<int>(call.attempt),
                       .kind = IsHarmless(call) ? "failed" : "unknown",
                       .code = IsAgentTool(call.tool) ? kAgentLost : "LOST",
                       .detail = "the log cannot tell its run any more",
                       .level = call.level});
}

}  // namespace

void RunActor::EndAsLost(const core::Status& why) {
  gone_ = true;
  const auto row = hub_.RunRowOf(run_);
  if (row.status().code() == core::StatusCode::kNotFound) return;
  if (!row.ok() || hub_.stopping()) return Stall();
  if (!IsFinal(row->state)) Spawn(WriteLost(*row, std::string(core::Message(why))));
}

asio::awaitable<void> RunActor::WriteLost(RunRow row, std::string why) {
  const auto below = Select<RunRow>(
      *hub_.parts.log, "WHERE parent = ? AND state NOT IN (" + FinalStates() + ")", {run_});
  const auto standing = MayStand(*hub_.parts.log, run_);
  const auto key = hub_.parts.keys->KeyFor("");  // whose run it was cannot be told
  if (!below.ok() || !standing.ok() || !key.ok()) co_return Stall();
  for (const RunRow& run : *below) hub_.StopRun(run.run, run_);
  if (!below->empty()) co_return Stall();  // until they have ended
  const Sealer sealer = hub_.SealerFor(*key);
  std::vector<CallRow> open;
  std::vector<std::string> stands;
  for (const CallRow& call : *standing) {
    if (call.state == CallState::kIntended && call.run == run_) open.push_back(call);
    const auto tool = hub_.parts.registry->Find(call.tool);
    const bool taken_back = tool != nullptr && tool->manifest().compensate.has_value();
    if (taken_back && stands.size() < kStandingMax) stands.push_back(call.call);
  }
  std::vector<Draft> outcomes;
  for (const CallRow& call : open) outcomes.push_back(DraftLost(call, sealer));
  Draft end = DraftFinish(
      run_, sealer,
      {.state = stands.empty() ? RunState::kFailed : RunState::kUncompensated,
       .answer = "",
       .code = kRunLost,
       .reason = "the log cannot tell this run any more; a person sees to what it did: " + why,
       .as = RunState::kFailed,
       .uncompensated = std::move(stands)});
  core::Status status =
      co_await hub_.journal.Commit([this, &open, &outcomes, &end](Serial& serial) -> core::Status {
        const RunRow* now = serial.state().FindRun(run_);
        if (now == nullptr || IsFinal(now->state)) return core::OkStatus();
        for (std::size_t i = 0; i < open.size(); ++i) {
          const CallRow* call = serial.state().FindCall(open[i].call);
          if (call == nullptr || call->state != CallState::kIntended) continue;
          INTERLOCK_RETURN_IF_ERROR(serial.Append(outcomes[i]).status());
          if (!IsHarmless(open[i])) continue;  // its holds stay until a person has spoken
          CallIdentity id;
          id.run = run_;
          id.call = open[i].call;
          INTERLOCK_RETURN_IF_ERROR(hub_.gate.SettleHolds(serial, id, /*happened=*/true));
        }
        INTERLOCK_RETURN_IF_ERROR(VoidOpenApprovals(serial, run_, "run ended"));
        INTERLOCK_RETURN_IF_ERROR(SettlePlan(serial, run_, {}));
        return serial.Append(end).status();
      });
  if (!status.ok()) co_return Stall();
  for (const CallRow& call : open) {
    if (IsHarmless(call)) hub_.gate.LetGo(call.call);
  }
  hub_.parts.executor->EndRun(run_);
  if (!row.parent.empty()) hub_.TellEnd(row.parent);
}

}  // namespace interlock::runtime
