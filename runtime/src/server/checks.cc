#include "server/checks.h"

#include <chrono>

#include "core/random.h"
#include "server/names.h"

namespace interlock::runtime {
namespace {

// "2026-11-23", and in the calendar.
bool IsDay(std::string_view text) {
  constexpr std::string_view kForm = "dddd-dd-dd";
  if (text.size() != kForm.size()) return false;
  unsigned numbers[3] = {};
  unsigned* number = numbers;
  for (std::size_t i = 0; i < kForm.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (kForm[i] == 'd' ? !digit : text[i] != kForm[i]) return false;
    if (digit) *number = *number * 10 + static_cast<unsigned>(text[i] - '0');
    if (!digit) ++number;
  }
  return std::chrono::year_month_day(std::chrono::year(static_cast<int>(numbers[0])),
                                     std::chrono::month(numbers[1]), std::chrono::day(numbers[2]))
      .ok();
}

}  // namespace

core::Status CheckLength(std::string_view field, std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return core::OkStatus();
  return BadField(field, "must be at most " + std::to_string(bytes_max) + " bytes");
}

core::Status CheckNotEmpty(std::string_view field, std::string_view text) {
  return text.empty() ? BadField(field, "is required") : core::OkStatus();
}

core::Status CheckDay(std::string_view field, std::string_view day) {
  return day.empty() || IsDay(day) ? core::OkStatus()
                                   : BadField(field, "must be a day, as 2026-11-23");
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
