#include "lua_time.h"

#include <charconv>

namespace interlock::policies {
namespace {

constexpr std::int64_t kMicrosPerSecond = 1'000'000;
constexpr std::int64_t kSpanDaysMax = 3650;

// Exactly `digits` decimal digits from the front of `text`, which it removes.
std::optional<int> TakeDigits(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) return std::nullopt;
  int value = 0;
  for (const char c : text.substr(0, digits)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(digits);
  return value;
}

bool Take(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

// Days from 1970-01-01 in the proleptic Gregorian calendar (H. Hinnant, "chrono-compatible
// low-level date algorithms", days_from_civil).
std::int64_t DaysFromCivil(int year, int month, int day) {
  const int y = month <= 2 ? year - 1 : year;
  const int era = y / 400;
  const int yoe = y - era * 400;
  const int doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const int doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
  return static_cast<std::int64_t>(era) * 146097 + doe - 719468;
}

int DaysInMonth(int year, int month) {
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && leap ? 29 : kDays[month - 1];
}

std::optional<std::int64_t> TakeDate(std::string_view& text) {
  const auto year = TakeDigits(text, 4);
  if (!year || *year < 1970 || *year > 2200 || !Take(text, '-')) return std::nullopt;
  const auto month = TakeDigits(text, 2);
  if (!month || *month < 1 || *month > 12 || !Take(text, '-')) return std::nullopt;
  const auto day = TakeDigits(text, 2);
  if (!day || *day < 1 || *day > DaysInMonth(*year, *month)) return std::nullopt;
  return DaysFromCivil(*year, *month, *day) * 86'400 * kMicrosPerSecond;
}

// "10:00:00[.digits]"; no leap second.
std::optional<std::int64_t> TakeClock(std::string_view& text) {
  const auto hour = TakeDigits(text, 2);
  if (!hour || *hour > 23 || !Take(text, ':')) return std::nullopt;
  const auto minute = TakeDigits(text, 2);
  if (!minute || *minute > 59 || !Take(text, ':')) return std::nullopt;
  const auto second = TakeDigits(text, 2);
  if (!second || *second > 59) return std::nullopt;
  std::int64_t micros = ((*hour * 60 + *minute) * 60 + *second) * kMicrosPerSecond;
  if (!Take(text, '.')) return micros;
  std::int64_t unit = kMicrosPerSecond / 10;
  bool any = false;
  for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; unit /= 10, any = true) {
    micros += (text.front() - '0') * unit;
    text.remove_prefix(1);
  }
  return any ? std::optional(micros) : std::nullopt;
}

// "Z" or "+02:00", as microseconds east of UTC.
std::optional<std::int64_t> TakeZone(std::string_view& text) {
  if (Take(text, 'Z')) return 0;
  const bool west = !text.empty() && text.front() == '-';
  if (!west && (text.empty() || text.front() != '+')) return std::nullopt;
  text.remove_prefix(1);
  const auto hour = TakeDigits(text, 2);
  if (!hour || *hour > 23 || !Take(text, ':')) return std::nullopt;
  const auto minute = TakeDigits(text, 2);
  if (!minute || *minute > 59) return std::nullopt;
  const std::int64_t east = (*hour * 60 + *minute) * 60 * kMicrosPerSecond;
  return west ? -east : east;
}

std::int64_t CheckTime(lua_State* lua, int index) {
  if (lua_isinteger(lua, index) != 0) return lua_tointeger(lua, index);
  const std::string_view text = CheckText(lua, index, "a time");
  const std::optional<std::int64_t> time = ParseTime(text);
  if (!time) {
    Raise(lua, "`" + std::string(text.substr(0, 64)) +
                   "` is no time; write 2026-05-01 or 2026-05-01T10:00:00Z");
  }
  return *time;
}

int Time(lua_State* lua) {
  lua_pushinteger(lua, CheckTime(lua, 1));
  return 1;
}

// Upvalue 1 is the unit in microseconds. Whole units from the first to the second, rounded down.
int Between(lua_State* lua) {
  std::int64_t span = 0;
  if (__builtin_sub_overflow(CheckTime(lua, 2), CheckTime(lua, 1), &span)) {
    Raise(lua, "times are too far apart");
  }
  const std::int64_t unit = lua_tointeger(lua, lua_upvalueindex(1));
  const std::int64_t whole = span / unit;
  lua_pushinteger(lua, span % unit < 0 ? whole - 1 : whole);
  return 1;
}

}  // namespace

std::optional<std::int64_t> ParseTime(std::string_view text) {
  const auto date = TakeDate(text);
  if (!date || text.empty()) return date;
  if (!Take(text, 'T')) return std::nullopt;
  const auto clock = TakeClock(text);
  if (!clock) return std::nullopt;
  const auto east = TakeZone(text);
  if (!east || !text.empty()) return std::nullopt;
  return *date + *clock - *east;
}

std::optional<std::int64_t> ParseSpanMs(std::string_view text) {
  std::int64_t count = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), count);
  if (end.ec != std::errc() || end.ptr + 1 != text.data() + text.size()) return std::nullopt;
  std::int64_t unit_ms = 0;
  switch (text.back()) {
    case 's':
      unit_ms = 1'000;
      break;
    case 'm':
      unit_ms = 60'000;
      break;
    case 'h':
      unit_ms = 3'600'000;
      break;
    case 'd':
      unit_ms = 86'400'000;
      break;
    case 'w':
      unit_ms = 604'800'000;
      break;
    default:
      return std::nullopt;
  }
  if (count <= 0 || count > kSpanDaysMax * 86'400'000 / unit_ms) return std::nullopt;
  return count * unit_ms;
}

void AddTimeFunctions(lua_State* lua) {
  lua_pushcfunction(lua, &Time);
  lua_setfield(lua, -2, "time");
  for (const auto& [name, seconds] :
       {std::pair{"seconds_between", 1}, {"hours_between", 3'600}, {"days_between", 86'400}}) {
    lua_pushinteger(lua, seconds * kMicrosPerSecond);
    lua_pushcclosure(lua, &Between, 1);
    lua_setfield(lua, -2, name);
  }
}

}  // namespace interlock::policies
