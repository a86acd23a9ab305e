// Arguments against schemas. The input is `<schema>\n<arguments>`; without a schema that compiles,
// a fixed one.
#include <cstdint>
#include <string>

#include "core/check.h"
#include "tools/tool.h"

namespace {

using interlock::core::Json;
using interlock::tools::Tool;

std::shared_ptr<const Tool> ToolWith(Json schema) {
  interlock::tools::Manifest manifest;
  manifest.name = "t";
  manifest.description = "d";
  manifest.input_schema = std::move(schema);
  manifest.effect = interlock::tools::Effect::kRead;
  manifest.builtin = "b";
  auto tool = Tool::FromManifest(std::move(manifest));
  return tool.ok() ? *tool : nullptr;
}

const Json& FixedSchema() {
  static const Json schema = {
      {"type", "object"},
      {"additionalProperties", false},
      {"properties",
       {{"id", {{"type", "string"}, {"pattern", "^[a-z]+$"}}},
        {"n", {{"type", "integer"}, {"multipleOf", 3}}},
        {"list", {{"type", "array"}, {"uniqueItems", true}, {"items", {{"$ref", "#"}}}}},
        {"when", {{"format", "date-time"}}}}}};
  return schema;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t split = std::min(text.find('\n'), text.size());
  const auto schema =
      interlock::core::ParseJson(text.substr(0, split), interlock::core::kArgsLimits);
  std::shared_ptr<const Tool> tool = schema.ok() ? ToolWith(*schema) : nullptr;
  if (tool == nullptr) tool = ToolWith(FixedSchema());
  INTERLOCK_CHECK(tool != nullptr);
  const auto args = tool->ValidateArgs(text.substr(std::min(split + 1, text.size())));
  if (!args.ok()) {
    INTERLOCK_CHECK(interlock::core::Message(args.status()).find('\n') == std::string_view::npos);
    return 0;
  }
  // What passed once passes again in its canonical form, and is the same bytes.
  const auto again = tool->ValidateArgs(std::string_view(args->text));
  INTERLOCK_CHECK(again.ok() && again->text == args->text && again->digest == args->digest);
  return 0;
}
