#include "compensate_check.h"

#include <algorithm>
#include <string>

#include "core/template.h"
#include "text.h"

namespace interlock::tools {
namespace {

using core::InvalidArgument;
using core::Json;
using core::Status;

const std::vector<std::string>& Roots() {
  static const std::vector<std::string> kRoots = {"args", "call", "result", "session"};
  return kRoots;
}

bool Requires(const Json& schema, const std::string& name) {
  const Json required = schema.value("required", Json::array());
  return std::find(required.begin(), required.end(), Json(name)) != required.end();
}

bool MayHave(const Json& schema, const std::string& name) {
  return schema.value("properties", Json::object()).contains(name) ||
         schema.value("additionalProperties", Json(true)) != Json(false);
}

// The first name behind the root: `booking` of `result.booking.id`.
std::string FirstName(const std::string& path) {
  const std::size_t from = path.find('.') + 1;
  return path.substr(from, path.find('.', from) - from);
}

// A value that may be absent would leave a call that cannot be taken back.
Status CheckPath(const Manifest& manifest, const std::string& path) {
  const bool of_args = path.starts_with("args.");
  if (!of_args && !path.starts_with("result.")) return core::OkStatus();
  const Json& schema = of_args ? manifest.input_schema : manifest.result_schema;
  const std::string name = FirstName(path);
  if (schema.is_object() && Requires(schema, name)) return core::OkStatus();
  return InvalidArgument("`compensate.args` uses `" + OneLine(path, 120) + "`, which `" +
                         (of_args ? "input" : "result") + "` does not require");
}

Status CheckPaths(const Manifest& manifest, const Json& value) {
  if (value.is_structured()) {
    for (const Json& member : value) INTERLOCK_RETURN_IF_ERROR(CheckPaths(manifest, member));
    return core::OkStatus();
  }
  if (!value.is_string()) return core::OkStatus();
  INTERLOCK_ASSIGN_OR_RETURN(const core::Template text,
                             core::Template::Parse(value.get<std::string>(), Roots()));
  for (const std::string& path : text.paths()) {
    INTERLOCK_RETURN_IF_ERROR(CheckPath(manifest, path));
  }
  return core::OkStatus();
}

// The one type that a schema allows; empty when it does not say, or says more.
std::string TypeIn(const Json& schema) {
  const auto type = schema.is_object() ? schema.find("type") : schema.end();
  const bool one = schema.is_object() && type != schema.end() && type->is_string();
  return one ? type->get<std::string>() : "";
}

Json PropertyOf(const Json& schema, const std::string& name) {
  if (!schema.is_object()) return nullptr;
  return schema.value("properties", Json::object()).value(name, Json());
}

std::string TypeOfLiteral(const Json& value) {
  if (value.is_boolean()) return "boolean";
  if (value.is_number_integer()) return "integer";
  if (value.is_number()) return "number";
  if (value.is_array()) return "array";
  return value.is_object() ? "object" : "null";
}

// What an argument will be, as far as schemas tell.
std::string TypeOfArg(const Manifest& manifest, const Json& value) {
  if (!value.is_string()) return TypeOfLiteral(value);
  const auto text = core::Template::Parse(value.get<std::string>(), Roots());
  if (!text.ok() || !text->is_one_placeholder()) return "string";
  const std::string& path = text->paths()[0];
  const bool plain = std::count(path.begin(), path.end(), '.') == 1;
  if (path.starts_with("call.")) return "string";
  if (!plain || path.starts_with("session.")) return "";
  const Json& schema = path.starts_with("args.") ? manifest.input_schema : manifest.result_schema;
  return TypeIn(PropertyOf(schema, FirstName(path)));
}

bool Fits(const std::string& type, const std::string& wanted) {
  return type.empty() || wanted.empty() || type == wanted ||
         (type == "integer" && wanted == "number");
}

Status CheckArg(const Manifest& manifest, const Manifest& taking_back, const std::string& name,
                const Json& value) {
  const Json& schema = taking_back.input_schema;
  if (!MayHave(schema, name)) {
    return InvalidArgument("`compensate.args` has `" + OneLine(name, 80) + "`, which `" +
                           taking_back.name + "` does not take");
  }
  const std::string type = TypeOfArg(manifest, value);
  const std::string wanted = TypeIn(PropertyOf(schema, name));
  if (Fits(type, wanted)) return core::OkStatus();
  return InvalidArgument("`compensate.args." + OneLine(name, 80) + "` is of type " + type +
                         ", and `" + taking_back.name + "` takes " + wanted);
}

Status CheckAgainst(const Manifest& manifest, const Manifest& taking_back) {
  if (taking_back.effect == Effect::kRead) {
    return InvalidArgument("`compensate` needs a tool that changes something, and `" +
                           taking_back.name + "` is of effect read");
  }
  const Json& args = manifest.compensate->args;
  for (const Json& name : taking_back.input_schema.value("required", Json::array())) {
    if (name.is_string() && !args.contains(name.get<std::string>())) {
      return InvalidArgument("`compensate.args` lacks `" + name.get<std::string>() + "`, which `" +
                             taking_back.name + "` requires");
    }
  }
  for (const auto& [name, value] : args.items()) {
    INTERLOCK_RETURN_IF_ERROR(CheckArg(manifest, taking_back, name, value));
  }
  return core::OkStatus();
}

}  // namespace

Status CheckCompensateForm(const Manifest& manifest) {
  if (!manifest.compensate) return core::OkStatus();
  const Compensate& compensate = *manifest.compensate;
  if (manifest.effect == Effect::kRead) {
    return InvalidArgument("`compensate` has no meaning for effect read");
  }
  if (compensate.tool == manifest.name) {
    return InvalidArgument("`compensate` names the tool itself");
  }
  if (!compensate.args.is_object()) return InvalidArgument("`compensate.args` must be a map");
  const Status status = core::CheckTemplates(compensate.args, Roots());
  if (!status.ok()) {
    return InvalidArgument("`compensate.args`: " + std::string(core::Message(status)));
  }
  return CheckPaths(manifest, compensate.args);
}

Status CheckCompensate(const Registry& registry, const Manifest& manifest) {
  if (!manifest.compensate) return core::OkStatus();
  const std::string place =
      (manifest.source.empty() ? "" : manifest.source + ": ") + "tool `" + manifest.name + "`: ";
  const std::shared_ptr<const Tool> tool = registry.Find(manifest.compensate->tool);
  if (tool == nullptr) {
    return InvalidArgument(place + "`compensate` names an unknown tool `" +
                           OneLine(manifest.compensate->tool, 80) + "`");
  }
  const Status status = CheckAgainst(manifest, tool->manifest());
  return status.ok() ? status : InvalidArgument(place + std::string(core::Message(status)));
}

}  // namespace interlock::tools
