// From YAML to Manifest: shape only. What the values must satisfy together is checked by
// Tool::FromManifest.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/status.h"
#include "tools/tool.h"
#include "tools/yaml.h"

namespace interlock::tools {

using Vars = std::vector<std::pair<std::string, std::string>>;

struct ManifestSource {
  std::string_view file;    // for messages
  std::string_view folder;  // absolute; relative paths start here
  const Vars& vars;
};

// Errors: kInvalidArgument as `file:line: what`.
core::StatusOr<Manifest> ManifestFromYaml(const YamlNode& document, const ManifestSource& source);

// Replaces `${name}` in `text`. Errors: kInvalidArgument for an unknown name or an open brace.
core::StatusOr<std::string> ExpandVars(std::string_view text, const Vars& vars);

}  // namespace interlock::tools
