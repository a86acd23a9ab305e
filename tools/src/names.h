// Words of the manifest that the header has no function for.
#pragma once

#include <string_view>

#include "sandbox/launcher.h"
#include "tools/tool.h"

namespace interlock::tools {

// "orders.get": [a-z0-9_]+(\.[a-z0-9_]+)*, at most kToolNameBytesMax.
bool IsToolName(std::string_view name);
// [A-Z_][A-Z0-9_]*, and not one that steers the loader or that we set.
bool IsEnvName(std::string_view name);
// What tells a failure's kind: [A-Z][A-Z0-9_]{0,63}.
bool IsErrorCode(std::string_view code);
// One safe path component: [A-Za-z0-9_.-]{1,64}, not starting with a dot.
bool IsPathComponent(std::string_view text);

}  // namespace interlock::tools
