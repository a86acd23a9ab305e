// The compiled form of a JSON Schema: what schema_compile.cc makes and schema_check.cc walks.
#pragma once

#include <re2/re2.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/json.h"

namespace interlock::tools {

// Bits of `types`.
enum TypeBit : unsigned {
  kTypeNull = 1,
  kTypeBoolean = 2,
  kTypeInteger = 4,
  kTypeNumber = 8,
  kTypeString = 16,
  kTypeArray = 32,
  kTypeObject = 64,
};

enum class Format { kNone, kDate, kTime, kDateTime, kEmail, kUuid };

using NodeId = int;

struct SchemaNode {
  bool never = false;  // the schema `false`
  unsigned types = 0;  // 0: any
  std::optional<core::Json> constant;
  std::vector<core::Json> choices;  // enum
  bool has_choices = false;
  // numbers
  std::optional<double> minimum, maximum, above, below, multiple_of;
  // strings (lengths in characters)
  std::int64_t length_min = 0;
  std::int64_t length_max = -1;  // -1: none
  std::unique_ptr<re2::RE2> pattern;
  Format format = Format::kNone;
  // arrays
  std::optional<NodeId> items;
  std::vector<NodeId> tuple;
  std::optional<NodeId> additional_items;
  std::optional<NodeId> contains;
  std::int64_t items_min = 0;
  std::int64_t items_max = -1;
  bool unique = false;
  // objects
  std::map<std::string, NodeId, std::less<>> properties;
  std::vector<std::pair<std::unique_ptr<re2::RE2>, NodeId>> pattern_properties;
  std::optional<NodeId> additional_properties;
  std::optional<NodeId> property_names;
  std::vector<std::string> required;
  std::vector<std::pair<std::string, std::vector<std::string>>> dependent_required;
  std::vector<std::pair<std::string, NodeId>> dependent_schemas;
  std::int64_t properties_min = 0;
  std::int64_t properties_max = -1;
  // schemas of the same value
  std::optional<NodeId> ref;
  std::vector<NodeId> all_of, any_of, one_of;
  std::optional<NodeId> negated, condition, then, otherwise;
};

}  // namespace interlock::tools
