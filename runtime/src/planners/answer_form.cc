#include "answer_form.h"

#include <algorithm>
#include <iterator>

#include "wire_json.h"

namespace interlock::runtime {
namespace {

using core::Json;

constexpr const char* kAnswerMember = "answer";
constexpr std::string_view kEndsTheRun = "Gives the final answer. Call it alone, when all is done.";
constexpr std::string_view kEndsTheTalk =
    "Ends the conversation with its final answer. Plain text goes to the user, who may write back; "
    "call this alone, when the user wants nothing more.";

bool IsObjectSchema(const Json& schema) { return TextOrNone(schema, "type") == "object"; }

// What a schema names from its root, but for definitions, is a member of another root now.
void PointToMember(Json& schema) {
  if (schema.is_array()) {
    for (Json& one : schema) PointToMember(one);
  }
  if (!schema.is_object()) return;
  for (auto& [key, value] : schema.items()) {
    if (key == "const" || key == "enum" || key == "default" || key == "examples") continue;
    if (key != "$ref" || !value.is_string()) {
      PointToMember(value);
      continue;
    }
    auto& target = value.get_ref<std::string&>();
    const bool stays = target.starts_with("#/$defs/") || target.starts_with("#/definitions/");
    if (!stays && target.starts_with('#')) {
      target = "#/properties/" + std::string(kAnswerMember) + target.substr(1);
    }
  }
}

// Definitions are named from the root, so they stay there.
Json AsMember(Json inner) {
  PointToMember(inner);
  Json schema = {{"type", "object"}, {"additionalProperties", false}};
  for (const char* key : {"$defs", "definitions"}) {
    if (!inner.is_object() || !inner.contains(key)) continue;
    schema[key] = std::move(inner[key]);
    inner.erase(key);
  }
  schema["properties"][kAnswerMember] = std::move(inner);
  schema["required"] = Json::array({kAnswerMember});
  return schema;
}

// The member `answer` of an object that holds nothing else.
std::optional<Json> MemberOf(std::string_view text) {
  auto object = core::ParseJson(text, kReplyLimits);
  if (!object.ok() || !object->is_object() || object->size() != 1) return std::nullopt;
  const auto member = object->find(kAnswerMember);
  if (member == object->end()) return std::nullopt;
  return std::move(*member);
}

bool IsWrapped(const PlanRequest& request) {
  return !request.answer_schema.is_null() && !IsObjectSchema(request.answer_schema);
}

constexpr std::string_view kStrictKeys[] = {
    "$defs",
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "definitions",
    "description",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "multipleOf",
    "pattern",
    "properties",
    "required",
    "title",
    "type",
};

bool IsStrictObject(const Json& schema) {
  const Json* const properties = Member(schema, "properties");
  if (properties == nullptr) return TextOrNone(schema, "type") != "object";
  const Json* const closed = Member(schema, "additionalProperties");
  const Json* const required = Member(schema, "required");
  return closed != nullptr && *closed == false && required != nullptr && properties->is_object() &&
         required->size() == properties->size();
}

bool AllStrict(const Json& schemas) {
  return std::all_of(schemas.begin(), schemas.end(), IsStrictSchema);
}

}  // namespace

bool TakesAnswerTool(const PlanRequest& request) {
  return request.ends_by_tool || !request.answer_schema.is_null();
}

Json AnswerSchemaOf(const PlanRequest& request) {
  if (!TakesAnswerTool(request)) return nullptr;
  if (request.answer_schema.is_null()) return AsMember({{"type", "string"}});
  return IsWrapped(request) ? AsMember(request.answer_schema) : request.answer_schema;
}

tools::Manifest AnswerToolOf(const PlanRequest& request) {
  tools::Manifest manifest;
  manifest.name = kAnswerTool;
  manifest.description = request.ends_by_tool ? kEndsTheTalk : kEndsTheRun;
  manifest.input_schema = AnswerSchemaOf(request);
  return manifest;
}

core::StatusOr<std::string> AnswerOfArgs(std::string args, const PlanRequest& request) {
  if (!request.answer_schema.is_null()) return AnswerOfText(std::move(args), request);
  const auto answer = MemberOf(args);
  const bool text = answer && answer->is_string();
  if (!text || answer->get_ref<const std::string&>().empty()) {
    return ModelFault("`" + std::string(kAnswerTool) + "` needs `answer`, a text");
  }
  return answer->get<std::string>();
}

std::string AnswerOfText(std::string text, const PlanRequest& request) {
  if (!IsWrapped(request)) return text;
  const auto answer = MemberOf(text);
  return answer ? core::CanonicalJson(*answer) : text;
}

bool IsStrictSchema(const Json& schema) {
  if (!schema.is_object() || !IsStrictObject(schema)) return false;
  for (const auto& [key, value] : schema.items()) {
    if (std::find(std::begin(kStrictKeys), std::end(kStrictKeys), key) == std::end(kStrictKeys)) {
      return false;
    }
    const bool named = key == "properties" || key == "$defs" || key == "definitions";
    if ((named || key == "anyOf") && !AllStrict(value)) return false;
    if (key == "items" && !IsStrictSchema(value)) return false;
  }
  return true;
}

}  // namespace interlock::runtime
