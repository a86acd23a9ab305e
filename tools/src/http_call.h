// HTTP tools and remote MCP servers: from a call to a request, from a reply to an outcome.
#pragma once

#include <string>
#include <vector>

#include "follow.h"
#include "tools/executor.h"

namespace interlock::tools {

struct HttpCall {
  FetchRequest request;
  std::vector<std::string> origins;  // where redirects may lead
};

// Precondition: an http tool. Errors: kInvalidArgument naming an argument or session value that
// does not fit into the URL, or a header file that cannot be read.
core::StatusOr<HttpCall> MakeHttpCall(const CallSpec& call, std::int64_t wall_ms_max);

// What all requests to a remote MCP server share. Precondition: a tool with `mcp` and `http`.
// Errors: as above, and kInvalidArgument when the URL is none.
core::StatusOr<FetchRequest> MakeMcpRequest(const CallSpec& call);

Outcome OutcomeOfHttp(const Tool& tool, Followed followed);

}  // namespace interlock::tools
