#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>
#include <unordered_map>

#include "schema.h"
#include "schema_check.h"
#include "schema_node.h"
#include "text.h"

namespace interlock::tools {
namespace {

using core::Json;

constexpr int kDepthMax = 64;
constexpr std::int64_t kPatternMemoryMax = 1 << 20;

// Keywords that describe and do not constrain.
bool IsAnnotation(std::string_view key) {
  static const std::set<std::string_view> kAnnotations = {
      "title",    "description", "default", "examples",        "$schema",          "$comment",
      "readOnly", "writeOnly",   "$id",     "contentEncoding", "contentMediaType", "definitions",
      "$defs",    "deprecated"};
  return kAnnotations.count(key) > 0 || key.substr(0, 2) == "x-";
}

std::optional<unsigned> TypeFromName(std::string_view name) {
  static const std::pair<std::string_view, unsigned> kNames[] = {
      {"null", kTypeNull},       {"boolean", kTypeBoolean},
      {"integer", kTypeInteger}, {"number", kTypeNumber | kTypeInteger},
      {"string", kTypeString},   {"array", kTypeArray},
      {"object", kTypeObject}};
  for (const auto& [known, bits] : kNames) {
    if (known == name) return bits;
  }
  return std::nullopt;
}

std::optional<Format> FormatFromName(std::string_view name) {
  static const std::pair<std::string_view, Format> kNames[] = {{"date", Format::kDate},
                                                               {"time", Format::kTime},
                                                               {"date-time", Format::kDateTime},
                                                               {"email", Format::kEmail},
                                                               {"uuid", Format::kUuid}};
  for (const auto& [known, format] : kNames) {
    if (known == name) return format;
  }
  return std::nullopt;
}

class Compiler {
 public:
  explicit Compiler(const Json& root) : root_(root) {}

  NodeId Compile(const Json& schema, const std::string& at, int depth);
  core::Status Finish();
  std::vector<SchemaNode> TakeNodes() { return std::move(nodes_); }

 private:
  void Fail(const std::string& at, std::string_view what) {
    if (status_.ok()) {
      status_ = core::InvalidArgument("schema at `" + OneLine(at.empty() ? "/" : at, 200) +
                                      "`: " + std::string(what));
    }
  }
  void Keyword(SchemaNode& node, const std::string& key, const Json& value, const std::string& at,
               int depth);
  bool NumberKeyword(SchemaNode& node, std::string_view key, const Json& value,
                     const std::string& at);
  bool SizeKeyword(SchemaNode& node, std::string_view key, const Json& value,
                   const std::string& at);
  bool TextKeyword(SchemaNode& node, std::string_view key, const Json& value,
                   const std::string& at);
  bool ChildKeyword(SchemaNode& node, std::string_view key, const Json& value,
                    const std::string& at, int depth);
  bool ObjectKeyword(SchemaNode& node, std::string_view key, const Json& value,
                     const std::string& at, int depth);
  bool CombineKeyword(SchemaNode& node, std::string_view key, const Json& value,
                      const std::string& at, int depth);
  void Types(SchemaNode& node, const Json& value, const std::string& at);
  void Items(SchemaNode& node, const Json& value, const std::string& at, int depth);
  void Dependencies(SchemaNode& node, const Json& value, const std::string& at, int depth);
  void Reference(SchemaNode& node, const Json& value, const std::string& at, int depth);
  std::vector<std::string> Names(const Json& value, const std::string& at);
  std::vector<NodeId> Schemas(const Json& value, const std::string& at, int depth);
  std::unique_ptr<re2::RE2> Pattern(const std::string& text, const std::string& at);
  bool LoopsBack(NodeId id, std::vector<int>& colour) const;

  const Json& root_;
  core::Status status_;
  std::vector<SchemaNode> nodes_;
  std::unordered_map<const Json*, NodeId> known_;  // also what makes recursive schemas end
};

NodeId Compiler::Compile(const Json& schema, const std::string& at, int depth) {
  if (const auto it = known_.find(&schema); it != known_.end()) return it->second;
  const auto id = static_cast<NodeId>(nodes_.size());
  nodes_.emplace_back();
  known_.emplace(&schema, id);
  if (depth > kDepthMax) Fail(at, "nested too deep");
  if (id >= kSchemaNodesMax) Fail(at, "too many sub-schemas");
  if (!status_.ok()) return id;
  if (schema.is_boolean()) {
    nodes_[id].never = !schema.get<bool>();
    return id;
  }
  if (!schema.is_object()) {
    Fail(at, "must be an object, true or false");
    return id;
  }
  SchemaNode node;
  // Draft 7: beside `$ref` all other keywords are ignored; silence would hide a rule, so it is
  // refused.
  for (const auto& [key, value] : schema.items()) {
    if (!IsAnnotation(key) && key != "$ref" && schema.contains("$ref")) {
      Fail(at, "`" + OneLine(key, 80) + "` beside $ref has no effect in draft 7; use allOf");
    }
    Keyword(node, key, value, at + "/" + key, depth + 1);
  }
  nodes_[id] = std::move(node);
  return id;
}

void Compiler::Keyword(SchemaNode& node, const std::string& key, const Json& value,
                       const std::string& at, int depth) {
  if (!status_.ok()) return;
  if (IsAnnotation(key) || NumberKeyword(node, key, value, at) ||
      SizeKeyword(node, key, value, at) || TextKeyword(node, key, value, at) ||
      ChildKeyword(node, key, value, at, depth) || ObjectKeyword(node, key, value, at, depth) ||
      CombineKeyword(node, key, value, at, depth)) {
    return;
  }
  Fail(at, "unknown keyword");
}

bool Compiler::NumberKeyword(SchemaNode& node, std::string_view key, const Json& value,
                             const std::string& at) {
  std::optional<double>* const target = key == "minimum"            ? &node.minimum
                                        : key == "maximum"          ? &node.maximum
                                        : key == "exclusiveMinimum" ? &node.above
                                        : key == "exclusiveMaximum" ? &node.below
                                        : key == "multipleOf"       ? &node.multiple_of
                                                                    : nullptr;
  if (target == nullptr) return false;
  if (!value.is_number()) {
    Fail(at, "must be a number");
  } else if (key == "multipleOf" && !(value.get<double>() > 0)) {
    Fail(at, "must be above 0");
  } else {
    *target = value.get<double>();
  }
  return true;
}

bool Compiler::SizeKeyword(SchemaNode& node, std::string_view key, const Json& value,
                           const std::string& at) {
  std::int64_t* const target = key == "minLength"       ? &node.length_min
                               : key == "maxLength"     ? &node.length_max
                               : key == "minItems"      ? &node.items_min
                               : key == "maxItems"      ? &node.items_max
                               : key == "minProperties" ? &node.properties_min
                               : key == "maxProperties" ? &node.properties_max
                                                        : nullptr;
  if (target == nullptr) return false;
  if (!value.is_number_integer() || value.get<std::int64_t>() < 0) {
    Fail(at, "must be an integer of at least 0");
  } else {
    *target = value.get<std::int64_t>();
  }
  return true;
}

std::unique_ptr<re2::RE2> Compiler::Pattern(const std::string& text, const std::string& at) {
  re2::RE2::Options options(re2::RE2::Quiet);
  options.set_max_mem(kPatternMemoryMax);
  auto pattern = std::make_unique<re2::RE2>(text, options);
  if (!pattern->ok()) {
    Fail(at, "not a pattern that RE2 takes (no look-around, no back references): " +
                 OneLine(pattern->error(), 120));
  }
  return pattern;
}

void Compiler::Types(SchemaNode& node, const Json& value, const std::string& at) {
  const Json list = value.is_array() ? value : Json::array({value});
  for (const Json& name : list) {
    const std::optional<unsigned> bits =
        name.is_string() ? TypeFromName(name.get_ref<const std::string&>()) : std::nullopt;
    if (!bits) {
      Fail(at, "must be one of null, boolean, integer, number, string, array, object");
      return;
    }
    node.types |= *bits;
  }
  if (node.types == 0) Fail(at, "must not be empty");
}

bool Compiler::TextKeyword(SchemaNode& node, std::string_view key, const Json& value,
                           const std::string& at) {
  if (key == "type") {
    Types(node, value, at);
  } else if (key == "pattern") {
    if (value.is_string()) {
      node.pattern = Pattern(value.get<std::string>(), at);
    } else {
      Fail(at, "must be text");
    }
  } else if (key == "format") {
    const std::optional<Format> format =
        value.is_string() ? FormatFromName(value.get_ref<const std::string&>()) : std::nullopt;
    if (!format) Fail(at, "must be one of date, time, date-time, email, uuid; else use pattern");
    node.format = format.value_or(Format::kNone);
  } else if (key == "const") {
    node.constant = value;
  } else if (key == "enum") {
    if (!value.is_array() || value.empty()) {
      Fail(at, "must be a list of at least one value");
    } else {
      node.choices.assign(value.begin(), value.end());
      node.has_choices = true;
    }
  } else if (key == "uniqueItems") {
    if (!value.is_boolean()) Fail(at, "must be true or false");
    node.unique = value.is_boolean() && value.get<bool>();
  } else {
    return false;
  }
  return true;
}

void Compiler::Items(SchemaNode& node, const Json& value, const std::string& at, int depth) {
  if (value.is_array()) {
    node.tuple = Schemas(value, at, depth);
  } else {
    node.items = Compile(value, at, depth);
  }
}

bool Compiler::ChildKeyword(SchemaNode& node, std::string_view key, const Json& value,
                            const std::string& at, int depth) {
  if (key == "items") {
    Items(node, value, at, depth);
    return true;
  }
  std::optional<NodeId>* const target = key == "additionalItems" ? &node.additional_items
                                        : key == "contains"      ? &node.contains
                                        : key == "additionalProperties"
                                            ? &node.additional_properties
                                        : key == "propertyNames" ? &node.property_names
                                        : key == "not"           ? &node.negated
                                        : key == "if"            ? &node.condition
                                        : key == "then"          ? &node.then
                                        : key == "else"          ? &node.otherwise
                                                                 : nullptr;
  if (target == nullptr) return false;
  *target = Compile(value, at, depth);
  return true;
}

std::vector<std::string> Compiler::Names(const Json& value, const std::string& at) {
  std::vector<std::string> names;
  if (!value.is_array()) Fail(at, "must be a list of names");
  for (const Json& name : value.is_array() ? value : Json::array()) {
    if (name.is_string()) {
      names.push_back(name.get<std::string>());
    } else {
      Fail(at, "must be a list of names");
    }
  }
  return names;
}

void Compiler::Dependencies(SchemaNode& node, const Json& value, const std::string& at, int depth) {
  for (const auto& [name, needs] : value.items()) {
    if (needs.is_array()) {
      node.dependent_required.emplace_back(name, Names(needs, at));
    } else {
      node.dependent_schemas.emplace_back(name, Compile(needs, at + "/" + name, depth));
    }
  }
}

bool Compiler::ObjectKeyword(SchemaNode& node, std::string_view key, const Json& value,
                             const std::string& at, int depth) {
  if (key == "required") {
    node.required = Names(value, at);
    return true;
  }
  if (key != "properties" && key != "patternProperties" && key != "dependencies") return false;
  if (!value.is_object()) {
    Fail(at, "must be a map");
  } else if (key == "dependencies") {
    Dependencies(node, value, at, depth);
  } else if (key == "properties") {
    for (const auto& [name, schema] : value.items()) {
      node.properties[name] = Compile(schema, at + "/" + name, depth);
    }
  } else {
    for (const auto& [text, schema] : value.items()) {
      node.pattern_properties.emplace_back(Pattern(text, at),
                                           Compile(schema, at + "/" + text, depth));
    }
  }
  return true;
}

std::vector<NodeId> Compiler::Schemas(const Json& value, const std::string& at, int depth) {
  std::vector<NodeId> ids;
  if (!value.is_array() || value.empty()) {
    Fail(at, "must be a list of at least one schema");
    return ids;
  }
  for (std::size_t i = 0; i < value.size(); ++i) {
    ids.push_back(Compile(value[i], at + "/" + std::to_string(i), depth));
  }
  return ids;
}

void Compiler::Reference(SchemaNode& node, const Json& value, const std::string& at, int depth) {
  if (!value.is_string() || value.get_ref<const std::string&>().substr(0, 1) != "#") {
    Fail(at, "must point into this document, as `#/definitions/x`");
    return;
  }
  const std::string pointer = value.get<std::string>().substr(1);
  const Json* target = &root_;
  // json_pointer throws on bad escapes, a border like the parser's.
  try {
    const Json::json_pointer path(pointer);
    target = root_.contains(path) ? &root_.at(path) : nullptr;
  } catch (const Json::exception&) {
    target = nullptr;
  }
  if (target == nullptr) {
    Fail(at, "points to nothing");
    return;
  }
  node.ref = Compile(*target, pointer, depth);
}

bool Compiler::CombineKeyword(SchemaNode& node, std::string_view key, const Json& value,
                              const std::string& at, int depth) {
  if (key == "$ref") {
    Reference(node, value, at, depth);
  } else if (key == "allOf") {
    node.all_of = Schemas(value, at, depth);
  } else if (key == "anyOf") {
    node.any_of = Schemas(value, at, depth);
  } else if (key == "oneOf") {
    node.one_of = Schemas(value, at, depth);
  } else {
    return false;
  }
  return true;
}

// Whether checking one value against `id` would come back to `id` with the same value: it would
// never end.
bool Compiler::LoopsBack(NodeId id, std::vector<int>& colour) const {
  enum { kNew, kOpen, kDone };
  if (colour[id] == kDone) return false;
  if (colour[id] == kOpen) return true;
  colour[id] = kOpen;
  const SchemaNode& node = nodes_[id];
  std::vector<NodeId> next = node.all_of;
  next.insert(next.end(), node.any_of.begin(), node.any_of.end());
  next.insert(next.end(), node.one_of.begin(), node.one_of.end());
  for (const auto& one : {node.ref, node.negated, node.condition, node.then, node.otherwise}) {
    if (one) next.push_back(*one);
  }
  for (const auto& [name, schema] : node.dependent_schemas) next.push_back(schema);
  const bool loops =
      std::any_of(next.begin(), next.end(), [&](NodeId to) { return LoopsBack(to, colour); });
  colour[id] = kDone;
  return loops;
}

core::Status Compiler::Finish() {
  INTERLOCK_RETURN_IF_ERROR(status_);
  std::vector<int> colour(nodes_.size(), 0);
  for (NodeId id = 0; id < static_cast<NodeId>(nodes_.size()); ++id) {
    if (LoopsBack(id, colour)) {
      return core::InvalidArgument("schema refers to itself without going into the value");
    }
  }
  return core::OkStatus();
}

class CompiledSchema final : public Schema {
 public:
  explicit CompiledSchema(std::vector<SchemaNode> nodes) : nodes_(std::move(nodes)) {}
  core::Status Check(const Json& value) const override { return CheckSchema(nodes_, 0, value); }

 private:
  std::vector<SchemaNode> nodes_;
};

}  // namespace

core::StatusOr<std::unique_ptr<const Schema>> Schema::Compile(const Json& schema) {
  if (schema.dump(-1, ' ', false, Json::error_handler_t::replace).size() > kSchemaBytesMax) {
    return core::ResourceExhausted("schema is larger than " + std::to_string(kSchemaBytesMax) +
                                   " bytes");
  }
  Compiler compiler(schema);
  compiler.Compile(schema, "", 0);
  INTERLOCK_RETURN_IF_ERROR(compiler.Finish());
  return std::unique_ptr<const Schema>(std::make_unique<CompiledSchema>(compiler.TakeNodes()));
}

}  // namespace interlock::tools
