#include "schema_source.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <utility>

#include "core/template.h"
#include "text.h"

namespace interlock::tools {
namespace {

// RFC 6901 §4: first `~1`, then `~0`.
std::string Unescape(std::string_view step) {
  std::string text;
  for (std::size_t i = 0; i < step.size(); ++i) {
    if (step[i] == '~' && i + 1 < step.size() && (step[i + 1] == '0' || step[i + 1] == '1')) {
      text += step[++i] == '0' ? '~' : '/';
    } else {
      text += step[i];
    }
  }
  return text;
}

const core::Json* InArray(const core::Json& list, const std::string& step) {
  if (const std::size_t equals = step.find('='); equals != std::string::npos) {
    for (const core::Json& item : list) {
      const core::Json* value = core::FindPath(item, step.substr(0, equals));
      if (value != nullptr && value->is_string() &&
          value->get_ref<const std::string&>() == step.substr(equals + 1)) {
        return &item;
      }
    }
    return nullptr;
  }
  std::size_t index = 0;
  const char* const end = step.data() + step.size();
  const auto [stop, error] = std::from_chars(step.data(), end, index);
  return error == std::errc() && stop == end && index < list.size() ? &list[index] : nullptr;
}

const core::Json* Child(const core::Json& value, const std::string& step) {
  if (value.is_array()) return InArray(value, step);
  if (!value.is_object()) return nullptr;
  const auto it = value.find(step);
  return it == value.end() ? nullptr : &*it;
}

core::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return core::NotFound("cannot read `" + path + "`");
  std::string text(kSchemaFileBytesMax + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  return text;
}

}  // namespace

core::StatusOr<core::Json> SchemaInline(const YamlNode& node, std::string_view file) {
  INTERLOCK_ASSIGN_OR_RETURN(core::Json schema, YamlToJson(node, file));
  if (!schema.is_string()) return schema;
  auto parsed = core::ParseJson(schema.get_ref<const std::string&>(), core::kArgsLimits);
  if (!parsed.ok()) {
    return YamlError(file, node.line,
                     "schema is not json: " + std::string(core::Message(parsed.status())));
  }
  return parsed;
}

core::StatusOr<core::Json> SchemaFromFile(const std::string& path, std::string_view pointer) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  auto parsed = core::ParseJson(text, {.bytes_max = kSchemaFileBytesMax, .depth_max = 64});
  if (!parsed.ok()) {
    return core::InvalidArgument("`" + path + "`: " + std::string(core::Message(parsed.status())));
  }
  const core::Json* value = &*parsed;
  while (!pointer.empty() && value != nullptr) {
    if (pointer[0] != '/') return core::InvalidArgument("a json pointer starts with `/`");
    pointer.remove_prefix(1);
    const std::size_t end = std::min(pointer.find('/'), pointer.size());
    value = Child(*value, Unescape(pointer.substr(0, end)));
    pointer.remove_prefix(end);
  }
  if (value == nullptr) return core::NotFound("`" + path + "` has nothing at that pointer");
  return *value;
}

}  // namespace interlock::tools
