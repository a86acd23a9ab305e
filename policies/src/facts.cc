#include "policies/facts.h"

#include "core/template.h"
#include "placeholder.h"

namespace interlock::policies {
namespace {

core::StatusOr<const core::Json*> ValueAt(const core::Json& scope, std::string_view path) {
  const core::Json* value = core::FindPath(scope, path);
  if (value == nullptr || value->is_null()) {
    return core::NotFound("no value at `" + std::string(path) + "`");
  }
  return value;
}

core::Status AppendScalar(const core::Json& value, std::string_view path, std::string& out) {
  if (value.is_string()) {
    out += value.get_ref<const std::string&>();
  } else if (value.is_number_integer() || value.is_boolean()) {
    out += core::CanonicalJson(value);
  } else {
    return core::InvalidArgument("`" + std::string(path) +
                                 "` is no text, integer or boolean and cannot stand inside a text");
  }
  return core::OkStatus();
}

core::StatusOr<core::Json> ExpandText(const std::string& text, const core::Json& scope) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::vector<TemplatePart> parts, ParseTemplate(text));
  if (parts.size() == 1 && parts[0].is_path) {
    INTERLOCK_ASSIGN_OR_RETURN(const core::Json* whole, ValueAt(scope, parts[0].text));
    return *whole;
  }
  std::string out;
  for (const TemplatePart& part : parts) {
    if (!part.is_path) {
      out += part.text;
      continue;
    }
    INTERLOCK_ASSIGN_OR_RETURN(const core::Json* value, ValueAt(scope, part.text));
    INTERLOCK_RETURN_IF_ERROR(AppendScalar(*value, part.text, out));
  }
  return core::Json(std::move(out));
}

core::StatusOr<core::Json> Expand(const core::Json& value, const core::Json& scope) {
  if (value.is_string()) return ExpandText(value.get_ref<const std::string&>(), scope);
  if (!value.is_structured()) return value;
  core::Json out = value.is_object() ? core::Json::object() : core::Json::array();
  for (const auto& item : value.items()) {
    INTERLOCK_ASSIGN_OR_RETURN(core::Json expanded, Expand(item.value(), scope));
    if (value.is_object()) {
      out[item.key()] = std::move(expanded);
    } else {
      out.push_back(std::move(expanded));
    }
  }
  return out;
}

}  // namespace

core::StatusOr<std::vector<TemplatePart>> ParseTemplate(std::string_view text) {
  std::vector<TemplatePart> parts;
  std::string literal;
  const auto flush = [&] {
    if (!literal.empty()) parts.push_back({.is_path = false, .text = std::move(literal)});
    literal.clear();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool doubled = i + 1 < text.size() && text[i + 1] == text[i];
    if ((text[i] == '{' || text[i] == '}') && doubled) {
      literal += text[i++];
    } else if (text[i] == '}') {
      return core::InvalidArgument("`}` without `{`; write `}}` for a brace");
    } else if (text[i] == '{') {
      const std::size_t end = text.find('}', i);
      if (end == std::string_view::npos || end == i + 1) {
        return core::InvalidArgument("`{` starts a placeholder such as `{args.id}`");
      }
      flush();
      parts.push_back({.is_path = true, .text = std::string(text.substr(i + 1, end - i - 1))});
      i = end;
    } else {
      literal += text[i];
    }
  }
  flush();
  return parts;
}

core::StatusOr<core::Json> ExpandFactArgs(const FactDecl& fact, const core::Json& scope) {
  return Expand(fact.args, scope);
}

}  // namespace interlock::policies
