// What an ending means. Every byte from a tool is hostile: it is parsed strictly, capped and
// escaped.
#pragma once

#include <optional>

#include "mcp/dialogue.h"
#include "tools/executor.h"

namespace interlock::tools {

// Of a process tool.
Outcome OutcomeOfBox(const Tool& tool, sandbox::BoxResult box);
// Of an HTTP reply: 2xx with a result that fits is ok; anything else the server reported as its
// failure (4xx) or as one of unknown effect (5xx, unless the tool only reads).
Outcome OutcomeOfReply(const Tool& tool, int status, const std::string& body);
// Of a builtin: the same checks of its result.
Outcome OutcomeOfBuiltin(const Tool& tool, Outcome outcome);
// Of an MCP server's reply to `tools/call`: its `structuredContent` is the result, or else an
// object with its `content`; `isError` is a failure that the tool reported.
Outcome OutcomeOfMcp(const Tool& tool, const McpReply& reply);
// The server of a call has ended: with the verdict that we had before, or by itself, before it
// answered.
Outcome OutcomeOfServerEnd(const Tool& tool, std::optional<Outcome> verdict,
                           sandbox::BoxResult box);
// ": exit status 1: what stderr ends with"
std::string WhyEnded(const sandbox::BoxResult& box);
// Verdicts about a server that we end.
Outcome BadServer(std::string_view why);
Outcome TimedOut(std::string_view why);
Outcome CancelledCall(const Tool& tool);
// Nothing ran.
Outcome NotStarted(std::string_view code, std::string_view why);

}  // namespace interlock::tools
