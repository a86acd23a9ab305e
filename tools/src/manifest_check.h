#pragma once

#include "core/status.h"
#include "tools/tool.h"

namespace interlock::tools {

// What the values of one manifest must satisfy together, whoever made it. Errors: kInvalidArgument,
// without file and line (the caller adds them).
core::Status CheckManifest(const Manifest& manifest);

}  // namespace interlock::tools
