#include "runtime/own_tools.h"

#include <algorithm>

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

}  // namespace

core::StatusOr<std::shared_ptr<const tools::Registry>> WithOwnTools(
    std::shared_ptr<const tools::Registry> registry, const std::vector<AgentFile>& agents) {
  if (std::none_of(agents.begin(), agents.end(), ReadsResults)) return registry;
  std::vector<ToolPtr> all = registry->tools();
  INTERLOCK_ASSIGN_OR_RETURN(ToolPtr read, MakeReadResult());
  all.push_back(std::move(read));
  return tools::Registry::Of(std::move(all));
}

}  // namespace interlock::runtime
