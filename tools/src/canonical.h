// One byte form of a manifest, so that its digest pins what was decided on.
#pragma once

#include "core/json.h"
#include "tools/tool.h"

namespace interlock::tools {

// Everything that says what the tool is and how it runs; not where it was read from.
core::Json ManifestJson(const Manifest& manifest);

// What bounds one run: limits, and for a process its command, profile, level, mounts, environment.
core::Json LimitsJson(const Manifest& manifest);

}  // namespace interlock::tools
