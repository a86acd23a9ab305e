#include <charconv>

#include "core/json.h"

namespace interlock::core {
namespace {

constexpr int kDepthMax = 128;
constexpr std::size_t kBad = std::string_view::npos;

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

std::size_t SkipSpace(std::string_view text, std::size_t at) {
  while (at < text.size() && IsSpace(text[at])) ++at;
  return at;
}

// `at` is on the opening quote; returns the position behind the closing one.
std::size_t SkipString(std::string_view text, std::size_t at) {
  for (++at; at < text.size(); ++at) {
    if (text[at] == '"') return at + 1;
    if (text[at] == '\\') ++at;
  }
  return kBad;
}

std::size_t SkipScalar(std::string_view text, std::size_t at) {
  const std::size_t start = at;
  while (at < text.size() && text[at] != ',' && text[at] != '}' && text[at] != ']' &&
         text[at] != '"' && text[at] != '{' && text[at] != '[' && text[at] != ':' &&
         !IsSpace(text[at])) {
    ++at;
  }
  return at == start ? kBad : at;
}

std::size_t SkipValue(std::string_view text, std::size_t at, int depth);

// `at` is behind the opening bracket; walks members or elements up to `close`.
std::size_t SkipContainer(std::string_view text, std::size_t at, char close, int depth) {
  if (depth > kDepthMax) return kBad;
  at = SkipSpace(text, at);
  if (at < text.size() && text[at] == close) return at + 1;
  while (at < text.size()) {
    if (close == '}') {
      if (text[at] != '"') return kBad;
      at = SkipString(text, at);
      if (at == kBad) return kBad;
      at = SkipSpace(text, at);
      if (at >= text.size() || text[at] != ':') return kBad;
      at = SkipSpace(text, at + 1);
    }
    at = SkipValue(text, at, depth);
    if (at == kBad) return kBad;
    at = SkipSpace(text, at);
    if (at >= text.size()) return kBad;
    if (text[at] == close) return at + 1;
    if (text[at] != ',') return kBad;
    at = SkipSpace(text, at + 1);
  }
  return kBad;
}

std::size_t SkipValue(std::string_view text, std::size_t at, int depth) {
  if (at >= text.size()) return kBad;
  if (text[at] == '"') return SkipString(text, at);
  if (text[at] == '{') return SkipContainer(text, at + 1, '}', depth + 1);
  if (text[at] == '[') return SkipContainer(text, at + 1, ']', depth + 1);
  return SkipScalar(text, at);
}

}  // namespace

StatusOr<JsonObjectView> JsonObjectView::Of(std::string_view text) {
  const std::size_t start = SkipSpace(text, 0);
  if (start >= text.size() || text[start] != '{') return InvalidArgument("not a JSON object");
  const std::size_t end = SkipValue(text, start, 0);
  if (end == kBad || SkipSpace(text, end) != text.size()) {
    return InvalidArgument("not one well-formed JSON object");
  }
  return JsonObjectView(text.substr(start, end - start));
}

std::optional<std::string_view> JsonObjectView::Raw(std::string_view key) const {
  std::size_t at = SkipSpace(text_, 1);
  while (at < text_.size() && text_[at] == '"') {
    const std::size_t name_end = SkipString(text_, at);
    const std::string_view name = text_.substr(at + 1, name_end - at - 2);
    at = SkipSpace(text_, SkipSpace(text_, name_end) + 1);
    const std::size_t value_end = SkipValue(text_, at, 0);
    if (value_end == kBad) return std::nullopt;
    if (name == key) return text_.substr(at, value_end - at);
    at = SkipSpace(text_, value_end);
    if (at >= text_.size() || text_[at] != ',') return std::nullopt;
    at = SkipSpace(text_, at + 1);
  }
  return std::nullopt;
}

std::optional<std::string_view> JsonObjectView::Token(std::string_view key) const {
  const std::optional<std::string_view> raw = Raw(key);
  if (!raw || raw->size() < 2 || raw->front() != '"') return std::nullopt;
  const std::string_view inside = raw->substr(1, raw->size() - 2);
  if (inside.find('\\') != std::string_view::npos) return std::nullopt;
  return inside;
}

std::optional<std::string> JsonObjectView::String(std::string_view key) const {
  const std::optional<std::string_view> raw = Raw(key);
  if (!raw || raw->size() < 2 || raw->front() != '"') return std::nullopt;
  const std::string_view inside = raw->substr(1, raw->size() - 2);
  if (inside.find('\\') == std::string_view::npos) return std::string(inside);
  const Json parsed = Json::parse(*raw, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_string()) return std::nullopt;
  return parsed.get<std::string>();
}

std::optional<std::int64_t> JsonObjectView::Int(std::string_view key) const {
  const std::optional<std::string_view> raw = Raw(key);
  if (!raw) return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(raw->data(), raw->data() + raw->size(), value);
  if (error != std::errc() || end != raw->data() + raw->size()) return std::nullopt;
  return value;
}

std::optional<bool> JsonObjectView::Bool(std::string_view key) const {
  const std::optional<std::string_view> raw = Raw(key);
  if (raw == "true") return true;
  if (raw == "false") return false;
  return std::nullopt;
}

std::optional<JsonObjectView> JsonObjectView::Object(std::string_view key) const {
  const std::optional<std::string_view> raw = Raw(key);
  if (!raw || raw->empty() || raw->front() != '{') return std::nullopt;
  return JsonObjectView(*raw);
}

StatusOr<std::vector<std::string_view>> JsonArrayElements(std::string_view text) {
  std::size_t at = SkipSpace(text, 0);
  if (at >= text.size() || text[at] != '[') return InvalidArgument("not a JSON array");
  const std::size_t end = SkipValue(text, at, 0);
  if (end == kBad || SkipSpace(text, end) != text.size()) {
    return InvalidArgument("not one well-formed JSON array");
  }
  std::vector<std::string_view> elements;
  at = SkipSpace(text, at + 1);
  while (text[at] != ']') {
    const std::size_t value_end = SkipValue(text, at, 0);
    elements.push_back(text.substr(at, value_end - at));
    at = SkipSpace(text, value_end);
    if (text[at] == ',') at = SkipSpace(text, at + 1);
  }
  return elements;
}

}  // namespace interlock::core
