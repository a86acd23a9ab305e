#include "core/template.h"

#include <algorithm>
#include <charconv>

namespace interlock::core {
namespace {

// Characters that structure a key; escaped in values so that no value can imitate another key's
// shape.
bool NeedsEscape(char c) {
  const auto u = static_cast<unsigned char>(c);
  return u < 0x20 || u == 0x7f || c == '%' || c == ':' || c == '/';
}

void AppendEscaped(std::string_view value, std::string& out) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  for (const char c : value) {
    if (!NeedsEscape(c)) {
      out += c;
      continue;
    }
    out += '%';
    out += kDigits[static_cast<unsigned char>(c) >> 4];
    out += kDigits[static_cast<unsigned char>(c) & 0x0f];
  }
}

Status BadTemplate(std::string_view text, std::size_t at, std::string_view why) {
  return InvalidArgument("template `" + std::string(text) + "`: " + std::string(why) +
                         " at position " + std::to_string(at));
}

}  // namespace

StatusOr<Template> Template::Parse(std::string_view text, const std::vector<std::string>& roots) {
  Template result;
  result.text_ = std::string(text);
  std::string literal;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool doubled = i + 1 < text.size() && text[i + 1] == c;
    if ((c == '{' || c == '}') && doubled) {
      literal += c;
      ++i;
      continue;
    }
    if (c == '}') return BadTemplate(text, i, "`}` without `{` (write `}}` for a brace)");
    if (c != '{') {
      literal += c;
      continue;
    }
    const std::size_t end = text.find('}', i);
    if (end == std::string_view::npos) return BadTemplate(text, i, "`{` is never closed");
    const std::string_view path = text.substr(i + 1, end - i - 1);
    const std::string_view root = path.substr(0, path.find('.'));
    if (std::find(roots.begin(), roots.end(), root) == roots.end()) {
      return BadTemplate(text, i, "unknown name `" + std::string(root) + "`");
    }
    if (path.back() == '.' || path.find("..") != std::string_view::npos) {
      return BadTemplate(text, i, "empty part in `" + std::string(path) + "`");
    }
    result.literals_.push_back(std::move(literal));
    result.paths_.emplace_back(path);
    literal.clear();
    i = end;
  }
  result.literals_.push_back(std::move(literal));
  return result;
}

StatusOr<std::string> Template::Fill(const Json& scope,
                                     void (*append)(std::string_view, std::string&)) const {
  std::string key = literals_.front();
  for (std::size_t i = 0; i < paths_.size(); ++i) {
    const Json* value = FindPath(scope, paths_[i]);
    if (value == nullptr) return InvalidArgument("`" + paths_[i] + "` is missing");
    if (value->is_string()) {
      append(value->get_ref<const std::string&>(), key);
    } else if (value->is_number_integer() || value->is_boolean()) {
      key += value->dump();
    } else {
      return InvalidArgument("`" + paths_[i] + "` must be a string, an integer or a boolean");
    }
    key += literals_[i + 1];
  }
  return key;
}

StatusOr<std::string> Template::Expand(const Json& scope) const {
  return Fill(scope, &AppendEscaped);
}

StatusOr<std::string> Template::ExpandRaw(const Json& scope) const {
  return Fill(scope, [](std::string_view value, std::string& out) { out += value; });
}

Status CheckTemplates(const Json& value, const std::vector<std::string>& roots) {
  if (value.is_string())
    return Template::Parse(value.get_ref<const std::string&>(), roots).status();
  if (!value.is_structured()) return OkStatus();
  for (const Json& element : value) {
    INTERLOCK_RETURN_IF_ERROR(CheckTemplates(element, roots));
  }
  return OkStatus();
}

StatusOr<Json> ExpandJson(const Json& value, const Json& scope) {
  if (value.is_string()) {
    std::vector<std::string> roots;
    if (scope.is_object()) {
      for (const auto& [name, unused] : scope.items()) roots.push_back(name);
    }
    INTERLOCK_ASSIGN_OR_RETURN(const Template parsed,
                               Template::Parse(value.get_ref<const std::string&>(), roots));
    if (!parsed.is_one_placeholder()) return parsed.ExpandRaw(scope);
    const Json* found = FindPath(scope, parsed.paths().front());
    if (found == nullptr) return InvalidArgument("`" + parsed.paths().front() + "` is missing");
    return *found;
  }
  if (!value.is_structured()) return value;
  Json expanded = value;
  for (Json& element : expanded) {
    INTERLOCK_ASSIGN_OR_RETURN(element, ExpandJson(element, scope));
  }
  return expanded;
}

const Json* FindPath(const Json& scope, std::string_view path) {
  const Json* at = &scope;
  while (!path.empty()) {
    const std::size_t dot = path.find('.');
    const std::string_view name = path.substr(0, dot);
    path = dot == std::string_view::npos ? "" : path.substr(dot + 1);
    if (at->is_object()) {
      const auto found = at->find(std::string(name));
      if (found == at->end()) return nullptr;
      at = &*found;
    } else if (at->is_array()) {
      std::size_t index = 0;
      const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
      if (error != std::errc() || end != name.data() + name.size() || index >= at->size()) {
        return nullptr;
      }
      at = &(*at)[index];
    } else {
      return nullptr;
    }
  }
  return at;
}

}  // namespace interlock::core
