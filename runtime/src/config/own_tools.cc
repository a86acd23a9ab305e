#include "runtime/own_tools.h"

#include <algorithm>

#include "config/agent_tools.h"

namespace interlock::runtime {
namespace {

using ToolPtr = std::shared_ptr<const tools::Tool>;

core::StatusOr<ToolPtr> MakeReadResult() {
  tools::Manifest manifest;
  manifest.name = kReadResultTool;
  manifest.description =
      "Reads a part of a long result of this conversation that you were shown the first part of. "
      "`handle` is the result's name (r3) and `pointer` a JSON pointer into it (/items/4/body). "
      "Of a text it gives `limit` bytes or lines after the first `from`, of a list or an object "
      "`limit` items; `next` says where to go on.";
  manifest.input_schema = {
      {"type", "object"},
      {"properties",
       {{"handle", {{"type", "string"}, {"pattern", "^r[1-9][0-9]{0,5}$"}}},
        {"pointer", {{"type", "string"}, {"maxLength", 512}}},
        {"unit", {{"enum", {"bytes", "lines", "items"}}}},
        {"from", {{"type", "integer"}, {"minimum", 0}, {"maximum", 100'000'000}}},
        {"limit", {{"type", "integer"}, {"minimum", 1}, {"maximum", 1'048'576}}}}},
      {"required", {"handle"}},
      {"additionalProperties", false}};
  manifest.result_schema = {{"type", "object"}, {"required", {"handle"}}};
  manifest.effect = tools::Effect::kRead;
  manifest.builtin = kReadResultTool;
  // Its own words are ours; what it reads keeps the label that it has.
  manifest.trust = tools::ResultTrust::kTrusted;
  return tools::Tool::FromManifest(std::move(manifest));
}

tools::Manifest MemoryTool(std::string_view name, tools::Effect effect, core::Json properties,
                           core::Json required) {
  tools::Manifest manifest;
  manifest.name = name;
  manifest.input_schema = {{"type", "object"},
                           {"properties", std::move(properties)},
                           {"required", std::move(required)},
                           {"additionalProperties", false}};
  manifest.effect = effect;
  manifest.builtin = name;
  manifest.failure = tools::FailureMeaning::kNoEffect;
  // Its own words are ours; a note keeps the label that it was written with.
  manifest.trust = tools::ResultTrust::kTrusted;
  return manifest;
}

core::Json Letters(std::size_t max) {
  return {{"type", "string"}, {"minLength", 1}, {"maxLength", max}};
}

core::StatusOr<ToolPtr> MakeMemoryWrite() {
  tools::Manifest manifest = MemoryTool(
      kMemoryWriteTool, tools::Effect::kWrite,
      {{"topic", Letters(kTopicLettersMax)}, {"text", Letters(kNoteBytesMax)}}, {"topic", "text"});
  manifest.description =
      "Keeps a note about whom this conversation is about, for later conversations. A topic has "
      "one note: what is written again replaces it.";
  manifest.result_schema = {{"type", "object"}, {"required", {"noted"}}};
  return tools::Tool::FromManifest(std::move(manifest));
}

core::StatusOr<ToolPtr> MakeMemorySearch() {
  tools::Manifest manifest =
      MemoryTool(kMemorySearchTool, tools::Effect::kRead,
                 {{"query", Letters(kNoteQueryLettersMax)},
                  {"topic", Letters(kTopicLettersMax)},
                  {"limit", {{"type", "integer"}, {"minimum", 1}, {"maximum", kNotesShownMax}}},
                  {"trusted_only", {{"type", "boolean"}}}},
                 core::Json::array());
  manifest.description =
      "Gives the notes about whom this conversation is about, newest first: those that have every "
      "word of `query`, or the one of `topic`, or all. With `trusted_only` none that was written "
      "after untrusted content was read.";
  manifest.result_schema = {{"type", "object"}, {"required", {"notes"}}};
  return tools::Tool::FromManifest(std::move(manifest));
}

core::StatusOr<ToolPtr> MakeMemoryDelete() {
  tools::Manifest manifest = MemoryTool(kMemoryDeleteTool, tools::Effect::kWrite,
                                        {{"topic", Letters(kTopicLettersMax)}}, {"topic"});
  manifest.description = "Takes the note of a topic out of what later conversations read.";
  manifest.result_schema = {{"type", "object"}, {"required", {"deleted"}}};
  return tools::Tool::FromManifest(std::move(manifest));
}

struct OwnTool {
  std::string_view name;
  core::StatusOr<ToolPtr> (*make)();
};
constexpr OwnTool kOwnTools[] = {{kReadResultTool, MakeReadResult},
                                 {kMemoryWriteTool, MakeMemoryWrite},
                                 {kMemorySearchTool, MakeMemorySearch},
                                 {kMemoryDeleteTool, MakeMemoryDelete}};

}  // namespace

core::StatusOr<std::shared_ptr<const tools::Registry>> WithOwnTools(
    std::shared_ptr<const tools::Registry> registry, const std::vector<AgentFile>& agents) {
  std::vector<ToolPtr> all = registry->tools();
  INTERLOCK_RETURN_IF_ERROR(AddAgentTools(agents, all));
  for (const OwnTool& own : kOwnTools) {
    if (const ToolPtr other = registry->Find(own.name); other != nullptr) {
      const std::string& source = other->manifest().source;
      return core::InvalidArgument(source + (source.empty() ? "" : ": ") + "the tool `" +
                                   std::string(own.name) +
                                   "` is compiled in; give this one another name");
    }
    const auto named = [&](const AgentFile& agent) { return AgentMayUse(agent, own.name); };
    if (std::none_of(agents.begin(), agents.end(), named)) continue;
    INTERLOCK_ASSIGN_OR_RETURN(ToolPtr tool, own.make());
    all.push_back(std::move(tool));
  }
  return all.size() == registry->tools().size() ? registry : tools::Registry::Of(std::move(all));
}

}  // namespace interlock::runtime
