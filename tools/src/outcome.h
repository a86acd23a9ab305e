// What an ending means. Every byte from a tool is hostile: it is parsed strictly, capped and
// escaped.
#pragma once

#include "tools/executor.h"

namespace interlock::tools {

// Of a process tool.
Outcome OutcomeOfBox(const Tool& tool, sandbox::BoxResult box);
// Of a builtin: the same checks of its result.
Outcome OutcomeOfBuiltin(const Tool& tool, Outcome outcome);
// Nothing ran.
Outcome NotStarted(std::string_view code, std::string_view why);

}  // namespace interlock::tools
