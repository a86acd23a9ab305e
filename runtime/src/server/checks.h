// Checks that several handlers make of a request's fields. Errors: kInvalidArgument with a
// BadRequest.
#pragma once

#include <string>
#include <string_view>

#include "core/json.h"
#include "core/status.h"
#include "runtime/engine.h"
#include "server/caller.h"

namespace interlock::runtime {

// Why an operator changes what is in force: it stands in the entry itself.
inline constexpr std::size_t kOperatorReasonBytesMax = 200;
inline constexpr std::size_t kEtagBytesMax = 64;  // of what operators change

core::Status CheckLength(std::string_view field, std::string_view text, std::size_t bytes_max);
core::Status CheckNotEmpty(std::string_view field, std::string_view text);
// "2026-11-23", or empty.
core::Status CheckDay(std::string_view field, std::string_view day);
// A UUID in its one form (36 lower-case characters), or empty.
core::Status CheckRequestId(std::string_view request_id);
// A JSON object of at most kSessionBytesMax; empty gives {}.
core::StatusOr<core::Json> ParseSession(std::string_view field, std::string_view text);

// A list's page, from its request: parent checked, size coerced, token opened.
struct ListPage {
  PageSpec spec;
  std::string scope;  // for the next page's token
};
// `filters`: every parameter of the list but size and token, in one text.
core::StatusOr<ListPage> OpenPage(const Caller& caller, std::string_view method,
                                  std::string_view parent, std::int32_t page_size,
                                  std::string_view page_token, std::string_view filters);

template <typename Request>
core::StatusOr<ListPage> PageOf(const Caller& caller, std::string_view method,
                                const Request& request, std::string_view filters) {
  return OpenPage(caller, method, request.parent(), request.page_size(), request.page_token(),
                  filters);
}

}  // namespace interlock::runtime
