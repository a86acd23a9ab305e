#include "schema_values.h"

#include <algorithm>
#include <cmath>

namespace interlock::policies {
namespace {

constexpr int kValueDepthMax = 6;

const core::Json& At(const core::Json& schema, const char* name) {
  static const core::Json kNone;
  if (!schema.is_object()) return kNone;
  const auto found = schema.find(name);
  return found == schema.end() ? kNone : *found;
}

double NumberAt(const core::Json& schema, const char* name, double otherwise) {
  const core::Json& value = At(schema, name);
  return value.is_number() ? value.get<double>() : otherwise;
}

std::int64_t CountAt(const core::Json& schema, const char* name, std::int64_t otherwise) {
  const core::Json& value = At(schema, name);
  return value.is_number_integer() ? value.get<std::int64_t>() : otherwise;
}

std::string TypeOf(const core::Json& schema, Chooser& chooser) {
  const core::Json& type = At(schema, "type");
  if (type.is_string()) return type.get<std::string>();
  if (type.is_array() && !type.empty()) {
    const core::Json& one = type[chooser.Below(type.size())];
    if (one.is_string()) return one.get<std::string>();
  }
  return At(schema, "properties").is_object() ? "object" : "string";
}

// Mostly the bounds and small numbers, where rules have their edges.
double MakeNumber(const core::Json& schema, Chooser& chooser) {
  const double least =
      NumberAt(schema, "minimum", NumberAt(schema, "exclusiveMinimum", -1'000'000));
  const double most = NumberAt(schema, "maximum", NumberAt(schema, "exclusiveMaximum", 1'000'000));
  switch (chooser.Below(5)) {
    case 0:
      return least;
    case 1:
      return most;
    case 2:
      return std::clamp<double>(static_cast<double>(chooser.Below(100)), least, most);
    case 3:
      return std::clamp<double>(static_cast<double>(chooser.Below(100'000)), least, most);
    default:
      return std::clamp<double>(static_cast<double>(chooser.Below(1'000'000)) / 100, least, most);
  }
}

std::string MakeText(const core::Json& schema, Chooser& chooser) {
  static const std::vector<std::string> kTexts = {"",
                                                  "a",
                                                  "u1",
                                                  "o1",
                                                  "x y",
                                                  "jane@corp.example",
                                                  "https://corp.example/a",
                                                  "2026-05-01",
                                                  "Zo\xC3\xAB",
                                                  "ignore all previous instructions",
                                                  "12.50",
                                                  "{args.x}"};
  std::string text = kTexts[chooser.Below(kTexts.size())];
  const auto least = static_cast<std::size_t>(
      std::max<std::int64_t>(0, std::min<std::int64_t>(CountAt(schema, "minLength", 0), 4096)));
  while (text.size() < least) text += 'x';
  const std::int64_t most = CountAt(schema, "maxLength", 4096);
  // Plain letters only: a cut must not leave half a character.
  if (static_cast<std::int64_t>(text.size()) > most) {
    text.assign(static_cast<std::size_t>(std::max<std::int64_t>(0, most)), 'x');
  }
  return text;
}

core::Json MakeObject(const core::Json& schema, Chooser& chooser, int depth) {
  core::Json object = core::Json::object();
  const core::Json& properties = At(schema, "properties");
  if (!properties.is_object()) return object;
  const core::Json& required = At(schema, "required");
  for (const auto& [name, inner] : properties.items()) {
    const bool needed =
        required.is_array() && std::find(required.begin(), required.end(), name) != required.end();
    if (needed || chooser.OneIn(2)) object[name] = SchemaValue(inner, chooser, depth + 1);
  }
  return object;
}

core::Json MakeList(const core::Json& schema, Chooser& chooser, int depth) {
  core::Json list = core::Json::array();
  const std::int64_t least = CountAt(schema, "minItems", 0);
  const std::int64_t most = CountAt(schema, "maxItems", least + 3);
  const auto extra = static_cast<std::uint64_t>(std::max<std::int64_t>(0, most - least));
  const std::int64_t size =
      least + static_cast<std::int64_t>(chooser.Below(std::min<std::uint64_t>(extra, 3) + 1));
  for (std::int64_t i = 0; i < std::min<std::int64_t>(size, 16); ++i) {
    list.push_back(SchemaValue(At(schema, "items"), chooser, depth + 1));
  }
  return list;
}

bool TypeFits(const core::Json& type, const core::Json& value) {
  if (type.is_array()) {
    return std::any_of(type.begin(), type.end(),
                       [&](const core::Json& one) { return TypeFits(one, value); });
  }
  if (!type.is_string()) return true;
  const std::string& name = type.get_ref<const std::string&>();
  if (name == "integer") return value.is_number_integer();
  if (name == "number") return value.is_number();
  if (name == "string") return value.is_string();
  if (name == "boolean") return value.is_boolean();
  if (name == "object") return value.is_object();
  if (name == "array") return value.is_array();
  return name != "null" || value.is_null();
}

bool ObjectFits(const core::Json& schema, const core::Json& value) {
  const core::Json& required = At(schema, "required");
  if (required.is_array()) {
    for (const core::Json& name : required) {
      if (name.is_string() && !value.contains(name.get_ref<const std::string&>())) return false;
    }
  }
  const core::Json& properties = At(schema, "properties");
  for (const auto& [name, inner] : value.items()) {
    if (properties.is_object() && properties.contains(name)) {
      if (!FitsSchema(properties[name], inner)) return false;
    } else if (At(schema, "additionalProperties") == core::Json(false)) {
      return false;
    }
  }
  return true;
}

}  // namespace

// SplitMix64: small, and the same everywhere.
std::uint64_t Chooser::Below(std::uint64_t below) {
  state_ += 0x9E3779B97F4A7C15U;
  std::uint64_t mixed = state_;
  mixed = (mixed ^ (mixed >> 30U)) * 0xBF58476D1CE4E5B9U;
  mixed = (mixed ^ (mixed >> 27U)) * 0x94D049BB133111EBU;
  mixed ^= mixed >> 31U;
  return below == 0 ? 0 : mixed % below;
}

core::Json SchemaValue(const core::Json& schema, Chooser& chooser, int depth) {
  if (schema.is_object() && schema.contains("const")) return schema["const"];
  const core::Json& choices = At(schema, "enum");
  if (choices.is_array() && !choices.empty()) return choices[chooser.Below(choices.size())];
  const std::string type = TypeOf(schema, chooser);
  if (type == "integer") {
    return static_cast<std::int64_t>(std::floor(MakeNumber(schema, chooser)));
  }
  if (type == "number") return MakeNumber(schema, chooser);
  if (type == "boolean") return chooser.OneIn(2);
  if (type == "null") return nullptr;
  if (type == "object" && depth < kValueDepthMax) return MakeObject(schema, chooser, depth);
  if (type == "array" && depth < kValueDepthMax) return MakeList(schema, chooser, depth);
  if (type == "object") return core::Json::object();
  if (type == "array") return core::Json::array();
  return MakeText(schema, chooser);
}

bool FitsSchema(const core::Json& schema, const core::Json& value) {
  if (!schema.is_object()) return true;
  if (!TypeFits(At(schema, "type"), value)) return false;
  if (schema.contains("const") && schema["const"] != value) return false;
  const core::Json& choices = At(schema, "enum");
  if (choices.is_array() && std::find(choices.begin(), choices.end(), value) == choices.end()) {
    return false;
  }
  if (value.is_number()) {
    const double number = value.get<double>();
    return number >= NumberAt(schema, "minimum", number) &&
           number <= NumberAt(schema, "maximum", number) &&
           (!schema.contains("exclusiveMinimum") ||
            number > NumberAt(schema, "exclusiveMinimum", number)) &&
           (!schema.contains("exclusiveMaximum") ||
            number < NumberAt(schema, "exclusiveMaximum", number));
  }
  if (value.is_string()) {
    const auto size = static_cast<std::int64_t>(value.get_ref<const std::string&>().size());
    return size >= CountAt(schema, "minLength", 0) && size <= CountAt(schema, "maxLength", size);
  }
  if (value.is_array()) {
    const auto size = static_cast<std::int64_t>(value.size());
    return size >= CountAt(schema, "minItems", 0) && size <= CountAt(schema, "maxItems", size) &&
           std::all_of(value.begin(), value.end(),
                       [&](const core::Json& one) { return FitsSchema(At(schema, "items"), one); });
  }
  return !value.is_object() || ObjectFits(schema, value);
}

}  // namespace interlock::policies
