// What an ending means. Every byte from a tool is hostile: it is parsed strictly, capped and
// escaped.
#pragma once

#include "tools/executor.h"

namespace interlock::tools {

// Of a process tool.
Outcome OutcomeOfBox(const Tool& tool, sandbox::BoxResult box);
// Of an HTTP reply: 2xx with a result that fits is ok; anything else the server reported as its
// failure (4xx) or as one of unknown effect (5xx, unless the tool only reads).
Outcome OutcomeOfReply(const Tool& tool, int status, const std::string& body);
// Of a builtin: the same checks of its result.
Outcome OutcomeOfBuiltin(const Tool& tool, Outcome outcome);
// Nothing ran.
Outcome NotStarted(std::string_view code, std::string_view why);

}  // namespace interlock::tools
