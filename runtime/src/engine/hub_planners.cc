// Runs whose planner is not configured any more wait for it, and go on at a start that has it
// (ADR 81).
#include <map>

#include "engine/hub.h"
#include "engine/run_state.h"
#include "engine/select.h"

namespace interlock::runtime {

Planner* Hub::PlannerOf(const AgentFile& agent) const {
  const auto found = parts.planners.find(agent.planner);
  return found == parts.planners.end() ? nullptr : found->second;
}

core::Status Hub::AddPlanned(std::set<std::string>& runs) const {
  INTERLOCK_ASSIGN_OR_RETURN(const auto waiting, RunsIn(*parts.log, RunState::kWaitingForPlanner));
  for (const RunRow& run : waiting) {
    const AgentFile* agent = PinnedAgent(run.agent, run.agent_digest);
    if (agent == nullptr || PlannerOf(*agent) != nullptr) runs.insert(run.run);
  }
  return core::OkStatus();
}

std::vector<std::string> Hub::Unplanned() const {
  struct Runs {
    std::string agent;
    std::string digest;
    std::int64_t count;
  };
  std::vector<Runs> open;
  core::Status read = parts.log->Select(
      "SELECT agent, agent_digest, count(*) FROM p_run WHERE state NOT IN (" + FinalStates() +
          ") GROUP BY agent, agent_digest",
      {}, [&open](sqlite3_stmt* row) {
        open.push_back({ColumnText(row, 0), ColumnText(row, 1), sqlite3_column_int64(row, 2)});
      });
  std::vector<std::string> lines;
  if (!read.ok()) return lines;
  std::map<std::string, std::int64_t> runs_of;  // by planner
  for (const Runs& runs : open) {
    const AgentFile* agent = PinnedAgent(runs.agent, runs.digest);
    if (agent == nullptr || PlannerOf(*agent) != nullptr) continue;
    runs_of[agent->planner] += runs.count;
  }
  for (const auto& [planner, runs] : runs_of) {
    lines.push_back(std::to_string(runs) + (runs == 1 ? " open run has" : " open runs have") +
                    " the planner `" + planner +
                    "`, which is not configured: no model is asked for them; put one of that name "
                    "into `planners` and start again, or cancel them");
  }
  return lines;
}

}  // namespace interlock::runtime
