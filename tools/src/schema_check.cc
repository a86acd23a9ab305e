#include "schema_check.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>

#include "core/random.h"
#include "schema.h"
#include "text.h"

namespace interlock::tools {
namespace {

using core::Json;

// A step of the path from the root to the value; lives on the stack, printed only when a check
// fails.
struct Path {
  const Path* parent = nullptr;
  std::string_view key;
  std::size_t index = 0;
  bool is_index = false;
};

std::string PointerOf(const Path& path) {
  if (path.parent == nullptr) return "";
  std::string text = PointerOf(*path.parent) + "/";
  if (path.is_index) return text + std::to_string(path.index);
  for (const char c : path.key) {  // RFC 6901 §3
    if (c == '~') {
      text += "~0";
    } else if (c == '/') {
      text += "~1";
    } else {
      text += c;
    }
  }
  return text;
}

unsigned TypeOf(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return kTypeNull;
    case Json::value_t::boolean:
      return kTypeBoolean;
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return kTypeInteger;
    case Json::value_t::number_float: {
      // Draft 7 §6.1.1: 1.0 is an integer.
      const double number = value.get<double>();
      return std::trunc(number) == number ? kTypeInteger : kTypeNumber;
    }
    case Json::value_t::string:
      return kTypeString;
    case Json::value_t::array:
      return kTypeArray;
    case Json::value_t::object:
      return kTypeObject;
    default:
      return 0;
  }
}

std::string TypeNames(unsigned types) {
  if ((types & kTypeNumber) != 0) types &= ~static_cast<unsigned>(kTypeInteger);
  constexpr std::pair<unsigned, std::string_view> kNames[] = {
      {kTypeNull, "null"},       {kTypeBoolean, "a boolean"}, {kTypeInteger, "an integer"},
      {kTypeNumber, "a number"}, {kTypeString, "a string"},   {kTypeArray, "an array"},
      {kTypeObject, "an object"}};
  std::string text;
  for (const auto& [bit, name] : kNames) {
    if ((types & bit) != 0) text += (text.empty() ? "" : " or ") + std::string(name);
  }
  return text;
}

std::int64_t CharactersIn(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

bool MatchesShape(std::string_view text, std::string_view shape) {  // `9` stands for a digit
  if (text.size() != shape.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (shape[i] == '9' ? !digit : text[i] != shape[i]) return false;
  }
  return true;
}

int TwoDigits(std::string_view text, std::size_t at) {
  return (text[at] - '0') * 10 + (text[at + 1] - '0');
}

// RFC 3339 §5.6 and §5.7.
bool IsDate(std::string_view text) {
  if (!MatchesShape(text, "9999-99-99")) return false;
  const int year = TwoDigits(text, 0) * 100 + TwoDigits(text, 2);
  const int month = TwoDigits(text, 5);
  const int day = TwoDigits(text, 8);
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  if (month < 1 || month > 12 || day < 1) return false;
  return day <= kDays[month - 1] + (month == 2 && leap ? 1 : 0);
}

bool IsTime(std::string_view text) {
  if (text.size() < 9 || !MatchesShape(text.substr(0, 8), "99:99:99")) return false;
  if (TwoDigits(text, 0) > 23 || TwoDigits(text, 3) > 59 || TwoDigits(text, 6) > 60) return false;
  std::string_view rest = text.substr(8);
  if (rest[0] == '.') {
    const std::size_t end = rest.find_first_not_of("0123456789", 1);
    if (end == std::string_view::npos || end == 1) return false;
    rest = rest.substr(end);
  }
  if (rest == "Z" || rest == "z") return true;
  return rest.size() == 6 && (rest[0] == '+' || rest[0] == '-') &&
         MatchesShape(rest.substr(1), "99:99") && TwoDigits(rest, 1) <= 23 &&
         TwoDigits(rest, 4) <= 59;
}

// One `@`, something on both sides, a dot in the domain, no space or control character. Whether
// such an address exists only a mail server knows.
bool IsEmail(std::string_view text) {
  const std::size_t at = text.find('@');
  if (at == 0 || at == std::string_view::npos || text.find('@', at + 1) != std::string_view::npos) {
    return false;
  }
  const std::string_view domain = text.substr(at + 1);
  const bool clean = std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && c != 0x7F && c != '<' && c != '>' && c != ',';
  });
  return clean && domain.find('.') != std::string_view::npos && domain.front() != '.' &&
         domain.back() != '.';
}

bool HasFormat(std::string_view text, Format format) {
  switch (format) {
    case Format::kNone:
      return true;
    case Format::kDate:
      return IsDate(text);
    case Format::kTime:
      return IsTime(text);
    case Format::kDateTime:
      return text.size() > 11 && (text[10] == 'T' || text[10] == 't') &&
             IsDate(text.substr(0, 10)) && IsTime(text.substr(11));
    case Format::kEmail:
      return IsEmail(text);
    case Format::kUuid:
      return core::IsUuid(text);
  }
  return false;
}

// Whether `number` is a whole multiple, within what a double of 15 digits can say.
bool IsMultiple(double number, double of) {
  const double quotient = number / of;
  const double nearest = std::round(quotient);
  return std::isfinite(quotient) &&
         std::abs(quotient - nearest) <= 1e-9 * std::max(1.0, std::abs(nearest)) &&
         std::abs(nearest) < 9e15;
}

class Checker {
 public:
  explicit Checker(const std::vector<SchemaNode>& nodes) : nodes_(nodes) {}

  bool Check(NodeId id, const Json& value, const Path& path);
  bool exhausted() const { return work_ > kSchemaWorkMax; }
  core::Status status() const {
    if (exhausted()) {
      return core::ResourceExhausted("value needs too much work to check against its schema");
    }
    return core::InvalidArgument(error_);
  }

 private:
  bool Fail(const Path& path, std::string_view what) {
    if (quiet_ == 0 && error_.empty()) {
      const std::string pointer = PointerOf(path);
      error_ = "`" + OneLine(pointer.empty() ? "/" : pointer, 200) + "` " + std::string(what);
    }
    return false;
  }
  bool Quietly(NodeId id, const Json& value, const Path& path) {
    ++quiet_;
    const bool fits = Check(id, value, path);
    --quiet_;
    return fits;
  }
  bool Values(const SchemaNode& node, const Json& value, const Path& path);
  bool Number(const SchemaNode& node, double number, const Path& path);
  bool String(const SchemaNode& node, const std::string& text, const Path& path);
  bool Array(const SchemaNode& node, const Json& list, const Path& path);
  bool Items(const SchemaNode& node, const Json& list, const Path& path);
  bool Unique(const Json& list);
  bool Object(const SchemaNode& node, const Json& object, const Path& path);
  bool Property(const SchemaNode& node, const std::string& name, const Json& value,
                const Path& path);
  bool Needs(const SchemaNode& node, const Json& object, const Path& path);
  bool Combined(const SchemaNode& node, const Json& value, const Path& path);

  const std::vector<SchemaNode>& nodes_;
  std::int64_t work_ = 0;
  int quiet_ = 0;
  std::string error_;
};

bool Checker::Check(NodeId id, const Json& value, const Path& path) {
  if (++work_ > kSchemaWorkMax) return false;
  const SchemaNode& node = nodes_[id];
  if (node.never) return Fail(path, "is not allowed");
  const unsigned type = TypeOf(value);
  if (node.types != 0 && (node.types & type) == 0) {
    return Fail(path, "must be " + TypeNames(node.types) + ", not " + TypeNames(type));
  }
  if (!Values(node, value, path)) return false;
  if (value.is_number() && !Number(node, value.get<double>(), path)) return false;
  if (value.is_string() && !String(node, value.get_ref<const std::string&>(), path)) return false;
  if (value.is_array() && !Array(node, value, path)) return false;
  if (value.is_object() && !Object(node, value, path)) return false;
  return Combined(node, value, path);
}

bool Checker::Values(const SchemaNode& node, const Json& value, const Path& path) {
  if (node.constant && *node.constant != value) {
    return Fail(
        path, "must be " +
                  OneLine(node.constant->dump(-1, ' ', false, Json::error_handler_t::replace), 80));
  }
  if (!node.has_choices) return true;
  work_ += static_cast<std::int64_t>(node.choices.size());
  if (std::find(node.choices.begin(), node.choices.end(), value) != node.choices.end()) return true;
  return Fail(path,
              "must be one of the " + std::to_string(node.choices.size()) + " values of its enum");
}

bool Checker::Number(const SchemaNode& node, double number, const Path& path) {
  if (node.minimum && number < *node.minimum) return Fail(path, "is below the minimum");
  if (node.maximum && number > *node.maximum) return Fail(path, "is above the maximum");
  if (node.above && number <= *node.above) return Fail(path, "is not above exclusiveMinimum");
  if (node.below && number >= *node.below) return Fail(path, "is not below exclusiveMaximum");
  if (node.multiple_of && !IsMultiple(number, *node.multiple_of)) {
    return Fail(path, "is not a multiple of multipleOf");
  }
  return true;
}

bool Checker::String(const SchemaNode& node, const std::string& text, const Path& path) {
  if (node.length_min > 0 || node.length_max >= 0) {
    const std::int64_t length = CharactersIn(text);
    if (length < node.length_min) {
      return Fail(path, "is shorter than " + std::to_string(node.length_min));
    }
    if (node.length_max >= 0 && length > node.length_max) {
      return Fail(path, "is longer than " + std::to_string(node.length_max));
    }
  }
  if (node.pattern != nullptr) {
    work_ += static_cast<std::int64_t>(text.size() / 64);
    if (!re2::RE2::PartialMatch(text, *node.pattern))
      return Fail(path, "does not match its pattern");
  }
  if (!HasFormat(text, node.format)) return Fail(path, "does not have its format");
  return true;
}

bool Checker::Unique(const Json& list) {
  std::vector<std::string> texts;
  texts.reserve(list.size());
  for (const Json& item : list) texts.push_back(core::CanonicalJson(item));
  std::sort(texts.begin(), texts.end());
  work_ += static_cast<std::int64_t>(texts.size()) * 4;
  return std::adjacent_find(texts.begin(), texts.end()) == texts.end();
}

bool Checker::Items(const SchemaNode& node, const Json& list, const Path& path) {
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::optional<NodeId> schema = i < node.tuple.size()
                                             ? std::optional<NodeId>(node.tuple[i])
                                         : node.items         ? node.items
                                         : node.tuple.empty() ? std::nullopt
                                                              : node.additional_items;
    if (!schema) return true;
    const Path here{.parent = &path, .key = {}, .index = i, .is_index = true};
    if (!Check(*schema, list[i], here)) return false;
  }
  return true;
}

bool Checker::Array(const SchemaNode& node, const Json& list, const Path& path) {
  const auto count = static_cast<std::int64_t>(list.size());
  if (count < node.items_min) {
    return Fail(path, "has fewer than " + std::to_string(node.items_min) + " items");
  }
  if (node.items_max >= 0 && count > node.items_max) {
    return Fail(path, "has more than " + std::to_string(node.items_max) + " items");
  }
  if (node.unique && !Unique(list)) return Fail(path, "has the same item twice");
  if (!Items(node, list, path)) return false;
  if (!node.contains) return true;
  const bool found = std::any_of(list.begin(), list.end(), [&](const Json& item) {
    return Quietly(*node.contains, item, path);
  });
  return found || Fail(path, "has no item that fits `contains`");
}

bool Checker::Property(const SchemaNode& node, const std::string& name, const Json& value,
                       const Path& path) {
  const Path here{.parent = &path, .key = name, .index = 0, .is_index = false};
  bool named = false;
  if (const auto it = node.properties.find(name); it != node.properties.end()) {
    named = true;
    if (!Check(it->second, value, here)) return false;
  }
  for (const auto& [pattern, schema] : node.pattern_properties) {
    work_ += 1 + static_cast<std::int64_t>(name.size() / 64);
    if (!re2::RE2::PartialMatch(name, *pattern)) continue;
    named = true;
    if (!Check(schema, value, here)) return false;
  }
  if (!named && node.additional_properties) {
    if (nodes_[*node.additional_properties].never) return Fail(here, "is not a known property");
    if (!Check(*node.additional_properties, value, here)) return false;
  }
  return !node.property_names || Check(*node.property_names, Json(name), here);
}

bool Checker::Needs(const SchemaNode& node, const Json& object, const Path& path) {
  for (const std::string& name : node.required) {
    if (!object.contains(name)) return Fail(path, "lacks `" + OneLine(name, 80) + "`");
  }
  for (const auto& [name, others] : node.dependent_required) {
    if (!object.contains(name)) continue;
    for (const std::string& other : others) {
      if (!object.contains(other)) {
        return Fail(path, "has `" + OneLine(name, 80) + "` and lacks `" + OneLine(other, 80) + "`");
      }
    }
  }
  for (const auto& [name, schema] : node.dependent_schemas) {
    if (object.contains(name) && !Check(schema, object, path)) return false;
  }
  return true;
}

bool Checker::Object(const SchemaNode& node, const Json& object, const Path& path) {
  const auto count = static_cast<std::int64_t>(object.size());
  if (count < node.properties_min) {
    return Fail(path, "has fewer than " + std::to_string(node.properties_min) + " properties");
  }
  if (node.properties_max >= 0 && count > node.properties_max) {
    return Fail(path, "has more than " + std::to_string(node.properties_max) + " properties");
  }
  if (!Needs(node, object, path)) return false;
  for (const auto& [name, value] : object.items()) {
    if (!Property(node, name, value, path)) return false;
  }
  return true;
}

bool Checker::Combined(const SchemaNode& node, const Json& value, const Path& path) {
  if (node.ref && !Check(*node.ref, value, path)) return false;
  for (const NodeId id : node.all_of) {
    if (!Check(id, value, path)) return false;
  }
  const auto fits = [&](NodeId id) { return Quietly(id, value, path); };
  if (!node.any_of.empty() && std::none_of(node.any_of.begin(), node.any_of.end(), fits)) {
    return Fail(path, "fits none of its anyOf");
  }
  if (!node.one_of.empty()) {
    const auto count = std::count_if(node.one_of.begin(), node.one_of.end(), fits);
    if (count != 1) return Fail(path, "fits " + std::to_string(count) + " of its oneOf, not one");
  }
  if (node.negated && fits(*node.negated)) return Fail(path, "fits what it must not");
  if (!node.condition) return true;
  const std::optional<NodeId> branch = fits(*node.condition) ? node.then : node.otherwise;
  return !branch || Check(*branch, value, path);
}

}  // namespace

core::Status CheckSchema(const std::vector<SchemaNode>& nodes, NodeId root, const Json& value) {
  Checker checker(nodes);
  const Path top;
  // A check that ran out of work may have failed inside a `not`: only the count says.
  const bool fits = checker.Check(root, value, top);
  if (fits && !checker.exhausted()) return core::OkStatus();
  return checker.status();
}

}  // namespace interlock::tools
