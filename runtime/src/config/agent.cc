#include "runtime/agent.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "config/files.h"
#include "config/yaml_reader.h"
#include "core/digest.h"
#include "core/glob.h"
#include "core/json.h"
#include "runtime/own_tools.h"
#include "tools/yaml.h"

namespace interlock::runtime {
namespace {

bool IsAgentName(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

bool IsToolPattern(std::string_view pattern) {
  return pattern.size() <= 128 && std::all_of(pattern.begin(), pattern.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
                  c == '*';
         });
}

// As a part of a tool's name.
bool IsCallable(std::string_view name) {
  return IsAgentName(name) && name.size() + kAgentToolPrefix.size() <= tools::kToolNameBytesMax &&
         name.find('-') == std::string_view::npos;
}

// What came later stands there only when it is said, so that digests of older files stay.
std::string CanonicalAgent(const AgentFile& agent) {
  core::Json json = {
      {"name", agent.name},
      {"version", agent.version},
      {"description", agent.description},
      {"planner", agent.planner},
      {"model", agent.model},
      {"prompt", agent.prompt},
      {"tools", agent.tools},
      {"limits",
       {{"steps_max", agent.limits.steps_max},
        {"wall_ms", agent.limits.wall_ms},
        {"calls_max", agent.limits.calls_max}}},
      {"on_text", agent.on_text == OnText::kAnswer ? "answer" : "ask"},
  };
  const AgentLimits defaults;
  const AgentLimits& limits = agent.limits;
  if (limits.tokens_max != defaults.tokens_max) json["limits"]["tokens_max"] = limits.tokens_max;
  if (limits.repeats_max != defaults.repeats_max) {
    json["limits"]["repeats_max"] = limits.repeats_max;
  }
  if (limits.repairs_max != defaults.repairs_max) {
    json["limits"]["repairs_max"] = limits.repairs_max;
  }
  if (limits.result_bytes_max != defaults.result_bytes_max) {
    json["limits"]["result_bytes_max"] = limits.result_bytes_max;
  }
  if (limits.context_tokens_max != defaults.context_tokens_max) {
    json["limits"]["context_tokens_max"] = limits.context_tokens_max;
  }
  if (limits.runs_max != defaults.runs_max) json["limits"]["runs_max"] = limits.runs_max;
  if (!agent.agents.empty()) json["agents"] = agent.agents;
  if (!agent.risk.empty()) json["risk"] = agent.risk;
  if (agent.results == ResultsAs::kHandles) json["results"] = "handles";
  if (agent.escalates) json["escalates"] = true;
  if (agent.streams) json["stream"] = true;
  if (!agent.together.empty()) json["together"] = agent.together;
  if (!agent.answer_schema.is_null()) json["answer_schema"] = agent.answer_schema;
  return core::CanonicalJson(json);
}

// The schema of the final answer: YAML as in tool manifests.
core::Status ReadAnswerSchema(std::string_view file, std::string_view text, AgentFile& agent) {
  INTERLOCK_ASSIGN_OR_RETURN(const auto documents, tools::ParseYaml(text, file));
  const tools::YamlNode* schema =
      documents.empty() ? nullptr : documents.front().Find("answer_schema");
  if (schema == nullptr) return core::OkStatus();
  INTERLOCK_ASSIGN_OR_RETURN(agent.answer_schema, tools::YamlToJson(*schema, file));
  tools::Manifest form;
  form.name = "run.answer";
  form.description = "the final answer";
  form.input_schema = {{"type", "object"}};
  form.result_schema = agent.answer_schema;
  form.effect = tools::Effect::kRead;
  form.builtin = "answer";
  form.source = std::string(file) + ":" + std::to_string(schema->line);
  INTERLOCK_ASSIGN_OR_RETURN(agent.answer_form, tools::Tool::FromManifest(std::move(form)));
  return core::OkStatus();
}

void ReadLimits(YamlMap map, AgentLimits& limits) {
  limits.steps_max = map.Int("steps_max", limits.steps_max, {1, 1000});
  limits.wall_ms = map.Int("wall_ms", limits.wall_ms, {1, 86'400'000});
  limits.calls_max = map.Int("calls_max", limits.calls_max, {1, 10'000});
  limits.tokens_max = map.Int("tokens_max", limits.tokens_max, {0, 1'000'000'000});
  limits.repeats_max = map.Int("repeats_max", limits.repeats_max, {1, 1000});
  limits.repairs_max = map.Int("repairs_max", limits.repairs_max, {0, 10});
  limits.result_bytes_max =
      map.Int("result_bytes_max", limits.result_bytes_max, {1'024, 1'048'576});
  limits.context_tokens_max = map.Int("context_tokens_max", 0, {0, 100'000'000});
  limits.runs_max = map.Int("runs_max", limits.runs_max, {1, 1000});
  map.Close();
}

// NAME and VERSION of NAME@VERSION.yaml; of NAME.yaml the version is empty.
std::pair<std::string, std::string> PartsOfStem(std::string_view file) {
  const std::string stem = std::filesystem::path(file).stem().string();
  const std::size_t at = stem.find('@');
  if (at == std::string::npos) return {stem, ""};
  return {stem.substr(0, at), stem.substr(at + 1)};
}

constexpr std::size_t kGroupsMax = 16;
constexpr std::size_t kGroupToolsMax = 16;

bool IsPrintable(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](unsigned char c) { return c < 0x20 || c == 0x7F; });
}

// What belongs together is named, and the agent can do all of it.
void CheckGroups(const AgentFile& agent, const YamlMap& map) {
  const int line = map.LineOfKey("together");
  if (agent.together.size() > kGroupsMax) {
    map.faults().Add(line, "`together` has more than " + std::to_string(kGroupsMax) + " groups");
  }
  for (const std::vector<std::string>& group : agent.together) {
    const std::set<std::string> tools(group.begin(), group.end());
    if (tools.size() != group.size() || group.size() < 2 || group.size() > kGroupToolsMax) {
      map.faults().Add(line, "a group of `together` names 2 to " + std::to_string(kGroupToolsMax) +
                                 " tools, each once");
    }
    for (const std::string& tool : tools) {
      if (tool.find('*') == std::string::npos && AgentMayUse(agent, tool)) continue;
      map.faults().Add(line, "`" + tool.substr(0, 64) +
                                 "` in `together` is no tool that `tools` lets the agent use; "
                                 "write its full name");
    }
  }
}

void CheckAgent(const AgentFile& agent, std::string_view file, const YamlMap& map) {
  const auto [stem, version] = PartsOfStem(file);
  if (!IsAgentName(agent.name)) {
    map.faults().Add(map.LineOfKey("name"),
                     "`name` must be 1 to 64 characters of a-z, 0-9, `_` and `-`");
  } else if (agent.name != stem) {
    map.faults().Add(map.LineOfKey("name"), "agent `" + agent.name +
                                                "` must be in a file of that name; rename it to " +
                                                agent.name + ".yaml");
  }
  if (agent.by_rollout && agent.version != version) {
    map.faults().Add(map.LineOfKey("version"),
                     "`version` must be \"" + version + "\", as the file's name says");
  }
  if (!agent.risk.empty() && !IsRisk(agent.risk)) {
    map.faults().Add(map.LineOfKey("risk"), "`risk` must be low, medium or high");
  }
  if (agent.version.size() > kVersionBytesMax || !IsPrintable(agent.version)) {
    map.faults().Add(map.LineOfKey("version"), "`version` must have at most " +
                                                   std::to_string(kVersionBytesMax) +
                                                   " bytes and no control characters");
  }
  if (!agent.together.empty()) CheckGroups(agent, map);
  for (const std::string& pattern : agent.tools) {
    if (IsToolPattern(pattern)) continue;
    map.faults().Add(map.LineOfKey("tools"),
                     "`" + pattern.substr(0, 64) + "` is no tool name or glob of one");
  }
  for (const std::string& name : agent.agents) {
    if (IsCallable(name)) continue;
    map.faults().Add(map.LineOfKey("agents"),
                     "`" + name.substr(0, 64) +
                         "` is no agent that can be called: its name has 1 to 58 characters of "
                         "a-z, 0-9 and `_`, as a tool's has");
  }
}

}  // namespace

bool IsRisk(std::string_view word) { return word == "low" || word == "medium" || word == "high"; }

core::StatusOr<AgentFile> ParseAgent(std::string_view file, std::string_view text) {
  YamlFaults faults(file);
  if (text.size() > kAgentFileBytesMax) {
    faults.Add(0, "larger than 256 KiB; shorten the prompt");
    return faults.status();
  }
  YamlMap map(ParseYaml(text, faults), "an agent file", faults);
  AgentFile agent;
  agent.name = map.RequiredText("name");
  agent.version = map.RequiredText("version");
  agent.by_rollout = std::filesystem::path(file).stem().string().find('@') != std::string::npos;
  agent.description = map.Text("description", "");
  agent.planner = map.RequiredText("planner");
  agent.model = map.Text("model", "");
  agent.risk = map.Text("risk", "");
  agent.prompt = map.Text("prompt", "");
  agent.tools = map.TextList("tools");
  agent.agents = map.TextList("agents");
  ReadLimits(map.Map("limits"), agent.limits);
  agent.on_text = map.Choice("on_text", {"answer", "ask"}, 0) == 0 ? OnText::kAnswer : OnText::kAsk;
  agent.results =
      map.Choice("results", {"text", "handles"}, 0) == 1 ? ResultsAs::kHandles : ResultsAs::kText;
  agent.escalates = map.Bool("escalates", false);
  agent.streams = map.Bool("stream", false);
  agent.together = map.TextLists("together");
  const bool has_schema = map.Has("answer_schema");
  if (has_schema) map.Known("answer_schema");
  map.Close();
  CheckAgent(agent, file, map);
  INTERLOCK_RETURN_IF_ERROR(faults.status());
  if (has_schema) INTERLOCK_RETURN_IF_ERROR(ReadAnswerSchema(file, text, agent));
  agent.canonical = CanonicalAgent(agent);
  agent.digest = core::DigestName(core::Sha256(agent.canonical));
  return agent;
}

namespace {

// A version that nobody can be given, or that is no other one, is a slip.
core::Status CheckVersions(const std::vector<AgentFile>& agents) {
  for (const AgentFile& agent : agents) {
    if (!agent.by_rollout) continue;
    const std::string file = agent.name + "@" + agent.version + ".yaml";
    const auto own = std::find_if(agents.begin(), agents.end(), [&](const AgentFile& other) {
      return other.name == agent.name && !other.by_rollout;
    });
    if (own == agents.end()) {
      return core::InvalidArgument(file + ": there is no " + agent.name +
                                   ".yaml, which everybody else would be given; add it");
    }
    if (own->version == agent.version) {
      return core::InvalidArgument(file + ": " + agent.name +
                                   ".yaml has the same version; give one of them another");
    }
  }
  return core::OkStatus();
}

}  // namespace

core::StatusOr<std::vector<AgentFile>> LoadAgents(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> paths;
  for (const auto& item : std::filesystem::directory_iterator(folder, error)) {
    if (item.path().extension() == ".yaml") paths.push_back(item.path().string());
  }
  if (error) {
    return core::NotFound("cannot read agents folder `" + folder + "`: " + error.message());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<AgentFile> agents;
  for (const std::string& path : paths) {
    INTERLOCK_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path, kAgentFileBytesMax));
    INTERLOCK_ASSIGN_OR_RETURN(AgentFile agent, ParseAgent(path, text));
    agents.push_back(std::move(agent));
  }
  INTERLOCK_RETURN_IF_ERROR(CheckVersions(agents));
  return agents;
}

namespace {

bool Names(const AgentFile& agent, std::string_view tool) {
  return std::find(agent.tools.begin(), agent.tools.end(), tool) != agent.tools.end();
}

}  // namespace

bool ReadsResults(const AgentFile& agent) { return Names(agent, kReadResultTool); }

bool IsOwnTool(std::string_view tool) { return tool == kReadResultTool || IsMemoryTool(tool); }

bool IsAgentTool(std::string_view tool) { return tool.starts_with(kAgentToolPrefix); }

// A glob is about tools of the folder: what is compiled in is named.
bool AgentMayUse(const AgentFile& agent, std::string_view tool) {
  if (IsOwnTool(tool)) return Names(agent, tool);
  if (IsAgentTool(tool)) {
    const std::string_view name = tool.substr(kAgentToolPrefix.size());
    return std::find(agent.agents.begin(), agent.agents.end(), name) != agent.agents.end();
  }
  return std::any_of(agent.tools.begin(), agent.tools.end(),
                     [&](const std::string& glob) { return core::GlobMatches(glob, tool); });
}

}  // namespace interlock::runtime
