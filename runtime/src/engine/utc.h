// Times as people and planners read them.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>

namespace interlock::runtime {

// "2026-01-31T12:00:00Z".
inline std::string UtcSeconds(std::int64_t time_us) {
  const std::time_t seconds = time_us / 1'000'000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

// "2026-01-31".
inline std::string UtcDay(std::int64_t time_us) { return UtcSeconds(time_us).substr(0, 10); }

}  // namespace interlock::runtime
