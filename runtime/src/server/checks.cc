#include "server/checks.h"

#include "core/random.h"
#include "engine/filter.h"
#include "server/names.h"

namespace interlock::runtime {

core::Status CheckLength(std::string_view field, std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return core::OkStatus();
  return BadField(field, "must be at most " + std::to_string(bytes_max) + " bytes");
}

core::Status CheckNotEmpty(std::string_view field, std::string_view text) {
  return text.empty() ? BadField(field, "is required") : core::OkStatus();
}

core::Status CheckDay(std::string_view field, std::string_view day) {
  constexpr std::size_t kDayBytes = 10;
  const bool fits = day.size() == kDayBytes && ParseFilterTime(day).ok();
  return fits || day.empty() ? core::OkStatus() : BadField(field, "must be a day, as 2026-11-23");
}

core::Status CheckRequestId(std::string_view request_id) {
  if (request_id.empty() || core::IsUuid(request_id)) return core::OkStatus();
  return BadField("request_id", "must be a UUID of 36 lower-case characters");
}

core::StatusOr<core::Json> ParseSession(std::string_view field, std::string_view text) {
  if (text.empty()) return core::Json::object();
  const core::JsonLimits limits{.bytes_max = kSessionBytesMax,
                                .depth_max = core::kArgsLimits.depth_max};
  core::StatusOr<core::Json> session = core::ParseJson(text, limits);
  if (!session.ok())
    return BadField(field, "is refused: " + std::string(core::Message(session.status())));
  if (!session->is_object()) return BadField(field, "must be a JSON object");
  return session;
}

core::StatusOr<ListPage> OpenPage(const Caller& caller, std::string_view method,
                                  std::string_view parent, std::int32_t page_size,
                                  std::string_view page_token, std::string_view filters) {
  INTERLOCK_RETURN_IF_ERROR(CheckParent(parent));
  ListPage page;
  INTERLOCK_ASSIGN_OR_RETURN(page.spec.size, PageSize(page_size));
  page.scope.append(method).append("\n").append(parent).append("\n").append(filters);
  INTERLOCK_ASSIGN_OR_RETURN(page.spec.cursor, caller.pages->Open(page.scope, page_token));
  return page;
}

}  // namespace interlock::runtime
