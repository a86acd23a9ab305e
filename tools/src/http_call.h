// HTTP tools: from a call to a request, from a reply to an outcome.
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

Outcome OutcomeOfHttp(const Tool& tool, Followed followed);

}  // namespace interlock::tools
