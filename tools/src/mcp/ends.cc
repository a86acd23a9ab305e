#include "mcp/ends.h"

#include <utility>

#include "http_call.h"
#include "outcome.h"
#include "text.h"

namespace interlock::tools {
namespace {

constexpr std::size_t kBodyShownBytes = 200;

std::string_view ToldWaiting(std::string_view code) {
  if (code == "REFUSED") return "the MCP server does not list the tools that are pinned";
  if (code == "CANCELLED") return "cancelled before the MCP server took it";
  if (code == "DEADLINE") return "the MCP server was not ready in time";
  return "the MCP server ended before it took this call";
}

}  // namespace

Outcome OutcomeOfRemoteEnd(const Tool& tool, std::optional<Outcome> verdict, McpLinkEnd end) {
  const bool unsent = end.exchange && !end.sent;
  if (verdict && unsent && verdict->error_code == "TIMEOUT") {
    return NotStarted("DEADLINE", "the MCP server could not be asked in time");
  }
  if (verdict && unsent && verdict->error_code == "CANCELLED") {
    return NotStarted("CANCELLED", "cancelled before the MCP server was asked");
  }
  if (verdict) return *std::move(verdict);
  if (!end.broken.empty()) return BadServer("the MCP server broke the protocol: " + end.broken);
  if (end.exchange) return OutcomeOfHttp(tool, *std::move(end.exchange));
  return NotStarted("SETUP", ToldWaiting("SETUP"));
}

Outcome OutcomeOfWaiting(const Tool& tool, std::string_view code, const McpLinkEnd& end) {
  if (!code.empty()) return NotStarted(code, ToldWaiting(code));
  if (end.exchange && !end.exchange->sent) return OutcomeOfHttp(tool, *end.exchange);
  if (end.exchange && end.exchange->reply.ok() && end.broken.empty()) {
    return NotStarted("SETUP", "the MCP server answered HTTP " +
                                   std::to_string(end.exchange->reply->status) +
                                   " before it took this call");
  }
  return NotStarted("SETUP", ToldWaiting("SETUP"));
}

std::string WhyLinkEnded(const McpLinkEnd& end) {
  if (!end.broken.empty()) return "the MCP server broke the protocol: " + end.broken;
  if (!end.exchange) {
    const bool ran = end.box.kind != sandbox::EndKind::kNotRun;
    return (ran ? "the MCP server ended" : "the MCP server did not start") + WhyEnded(end.box);
  }
  const core::StatusOr<FetchResponse>& reply = end.exchange->reply;
  if (!reply.ok()) return "the MCP server: " + OneLine(core::Message(reply.status()));
  return "the MCP server answered HTTP " + std::to_string(reply->status) + ": " +
         OneLine(reply->body, kBodyShownBytes);
}

}  // namespace interlock::tools
