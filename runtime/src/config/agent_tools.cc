// Agents that other agents may call as tools (ADR 42).
#include "config/agent_tools.h"

#include <algorithm>
#include <map>
#include <set>

#include "config/utf8.h"
#include "core/check.h"
#include "runtime/own_tools.h"

namespace interlock::runtime {
namespace {

const AgentFile* Find(const std::vector<AgentFile>& agents, const std::string& name) {
  const auto at = std::find_if(agents.begin(), agents.end(), [&](const AgentFile& agent) {
    return agent.name == name && !agent.by_rollout;
  });
  return at == agents.end() ? nullptr : &*at;
}

bool Calls(const AgentFile& agent, const AgentFile& other) {
  return std::find(agent.agents.begin(), agent.agents.end(), other.name) != agent.agents.end();
}

// The way from `agent` back to an agent on the way: "a, b, a". Empty: there is none. `clear`:
// agents from which it was looked for in vain.
std::string CircleFrom(const std::vector<AgentFile>& agents, const AgentFile& agent,
                       std::vector<std::string>& way, std::set<const AgentFile*>& clear) {
  if (clear.contains(&agent)) return "";
  const bool again = std::find(way.begin(), way.end(), agent.name) != way.end();
  way.push_back(agent.name);
  std::string circle;
  if (again) {
    for (const std::string& name : way) circle += (circle.empty() ? "" : ", ") + name;
  }
  for (const AgentFile& next : agents) {  // in all its versions
    if (!circle.empty()) break;
    if (Calls(agent, next)) circle = CircleFrom(agents, next, way, clear);
  }
  way.pop_back();
  if (circle.empty()) clear.insert(&agent);
  return circle;
}

core::Status CheckCallees(const std::vector<AgentFile>& agents) {
  std::set<const AgentFile*> clear;
  for (const AgentFile& agent : agents) {
    for (const std::string& callee : agent.agents) {
      if (Find(agents, callee) != nullptr) continue;
      return core::InvalidArgument("agent `" + agent.name + "` calls agent `" + callee +
                                   "`, which is not there; add " + callee +
                                   ".yaml or take it out of `agents`");
    }
    std::vector<std::string> way;
    const std::string circle = CircleFrom(agents, agent, way, clear);
    if (circle.empty()) continue;
    return core::InvalidArgument("agents call each other in a circle: " + circle +
                                 "; take one of them out of `agents`");
  }
  return core::OkStatus();
}

// Why a tool cannot stand in `together`, with what to do; empty: it can. Half of a group is taken
// back, whichever half it is.
std::string WhyNotTogether(const std::vector<std::shared_ptr<const tools::Tool>>& all,
                           const std::string& name) {
  const auto at = std::find_if(all.begin(), all.end(),
                               [&](const auto& tool) { return tool->manifest().name == name; });
  if (name.starts_with(kAgentToolPrefix)) {
    return "is an agent, whose own file says what belongs together; name the tools that it uses "
           "there";
  }
  if (at == all.end()) return "is no tool; see `interlock tools list`";
  if ((*at)->manifest().compensate) return "";
  return "could not be taken back; name `compensate` in its manifest";
}

core::Status CheckTogether(const std::vector<AgentFile>& agents,
                           const std::vector<std::shared_ptr<const tools::Tool>>& all) {
  for (const AgentFile& agent : agents) {
    for (const std::vector<std::string>& group : agent.together) {
      for (const std::string& tool : group) {
        const std::string why = WhyNotTogether(all, tool);
        if (why.empty()) continue;
        return core::InvalidArgument("agent `" + agent.name + "`: tool `" + tool +
                                     "` of `together` " + why);
      }
    }
  }
  return core::OkStatus();
}

}  // namespace

std::shared_ptr<const tools::Tool> MakeAgentTool(const std::string& agent,
                                                 const std::string& description) {
  tools::Manifest manifest;
  manifest.name = std::string(kAgentToolPrefix) + agent;
  manifest.description =
      "Gives a task to the agent `" + agent +
      "`, which works on it by itself and answers. It knows nothing of this conversation: say in "
      "`message` all that it needs. " +
      description;
  manifest.description.resize(BoundaryBefore(manifest.description, tools::kDescriptionBytesMax));
  manifest.input_schema = {
      {"type", "object"},
      {"properties", {{"message", {{"type", "string"}, {"minLength", 1}, {"maxLength", 16'384}}}}},
      {"required", {"message"}},
      {"additionalProperties", false}};
  manifest.result_schema = {{"type", "object"}, {"required", {"answer"}}};
  // What it does is decided on call by call; its own failure takes back what it did.
  manifest.effect = tools::Effect::kWrite;
  manifest.failure = tools::FailureMeaning::kNoEffect;
  manifest.builtin = "agent";
  auto tool = tools::Tool::FromManifest(std::move(manifest));
  INTERLOCK_CHECK(tool.ok());
  return *std::move(tool);
}

core::Status AddAgentTools(const std::vector<AgentFile>& agents,
                           std::vector<std::shared_ptr<const tools::Tool>>& all) {
  for (const auto& tool : all) {
    const tools::Manifest& manifest = tool->manifest();
    if (!IsAgentTool(manifest.name)) continue;
    return core::InvalidArgument(manifest.source + ": tool `" + manifest.name +
                                 "`: names that begin with `agent.` are those of agents that "
                                 "agents call; rename it");
  }
  INTERLOCK_RETURN_IF_ERROR(CheckCallees(agents));
  INTERLOCK_RETURN_IF_ERROR(CheckTogether(agents, all));
  std::map<std::string, const AgentFile*> called;
  for (const AgentFile& agent : agents) {
    for (const std::string& callee : agent.agents) called[callee] = Find(agents, callee);
  }
  for (const auto& [name, agent] : called) all.push_back(MakeAgentTool(name, agent->description));
  return core::OkStatus();
}

}  // namespace interlock::runtime
