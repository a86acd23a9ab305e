// What the end of a session with an MCP server means to those who asked it, and to operators.
#pragma once

#include <optional>
#include <string>

#include "mcp/link.h"
#include "tools/executor.h"

namespace interlock::tools {

// Of the call that a remote server was at: with the verdict that we had before, or by what ended
// the exchange.
Outcome OutcomeOfRemoteEnd(const Tool& tool, std::optional<Outcome> verdict, McpLinkEnd end);
// Of a call that waited. In our own words: what was not started is not judged as content. `code`
// is ours, empty when the server ended by itself.
Outcome OutcomeOfWaiting(const Tool& tool, std::string_view code, const McpLinkEnd& end);
// One line for operators, in the server's words too.
std::string WhyLinkEnded(const McpLinkEnd& end);

}  // namespace interlock::tools
