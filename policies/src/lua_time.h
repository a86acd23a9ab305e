// Points in time (integer microseconds UTC), spans, and the functions that rules have for them.
#pragma once

#include <optional>

#include "vm.h"

namespace interlock::policies {

// "2026-05-01" (midnight UTC) or RFC 3339 ("2026-05-01T10:00:00.25+02:00"), years 1970 to 2200;
// else nullopt.
std::optional<std::int64_t> ParseTime(std::string_view text);
// "30s", "15m", "4h", "1d", "2w", up to 3650 days; else nullopt. Milliseconds.
std::optional<std::int64_t> ParseSpanMs(std::string_view text);

// Adds time, seconds_between, hours_between and days_between to the table on top of the stack.
void AddTimeFunctions(lua_State* lua);

}  // namespace interlock::policies
