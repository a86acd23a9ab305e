#include "cli/time_range.h"

#include "cli/io.h"

namespace interlock::runtime::cli {
namespace {

constexpr std::int64_t kDayMicros = 86'400'000'000;

// As ParseTime takes it: a number has no dash but its sign, a day with a time has a colon.
bool IsDay(std::string_view text) {
  return text.find(':') == std::string_view::npos && text.find('-', 1) != std::string_view::npos;
}

}  // namespace

core::StatusOr<std::int64_t> ParseTimeUntil(std::string_view text) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t first, ParseTime(text));
  return IsDay(text) ? first + kDayMicros - 1 : first;
}

}  // namespace interlock::runtime::cli
