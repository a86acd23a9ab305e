// Where a manifest's schema comes from: YAML in place, JSON text in place, or a part of a JSON
// file.
#pragma once

#include <string>
#include <string_view>

#include "core/json.h"
#include "core/status.h"
#include "tools/yaml.h"

namespace interlock::tools {

inline constexpr std::size_t kSchemaFileBytesMax = 8 << 20;

// A YAML map or boolean as it stands; a string is parsed as JSON text.
core::StatusOr<core::Json> SchemaInline(const YamlNode& node, std::string_view file);

// The value at `pointer` (RFC 6901) of a JSON file. A step `a.b=text` into an array picks the first
// element whose value at the dotted path is that text. Errors: kNotFound, kInvalidArgument.
core::StatusOr<core::Json> SchemaFromFile(const std::string& path, std::string_view pointer);

}  // namespace interlock::tools
