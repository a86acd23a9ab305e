#include "backoff.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <string>

namespace interlock::runtime {
namespace {

constexpr std::int64_t kSecondsMax = 1'000'000'000;

// "Sun, 06 Nov 1994 08:49:37 GMT"
std::optional<std::int64_t> SecondsOfDate(const std::string& text) {
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  std::tm time{};
  std::array<char, 4> month{};
  int end = 0;
  const int fields =
      std::sscanf(text.c_str(), "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", &time.tm_mday,
                  month.data(), &time.tm_year, &time.tm_hour, &time.tm_min, &time.tm_sec, &end);
  const std::size_t at = kMonths.find(month.data());
  if (fields != 6 || end != static_cast<int>(text.size()) || at == std::string_view::npos ||
      at % 3 != 0) {
    return std::nullopt;
  }
  time.tm_mon = static_cast<int>(at / 3);
  time.tm_year -= 1900;
  return static_cast<std::int64_t>(timegm(&time));
}

}  // namespace

std::int64_t BackoffMs(const BackoffOptions& options, std::int64_t number, core::Random& random) {
  std::int64_t wait = options.first_ms;
  for (std::int64_t i = 0; i < number && wait < options.max_ms; ++i) wait *= 2;
  wait = std::min(wait, options.max_ms);
  std::array<std::uint8_t, 2> bytes{};
  random.Fill(bytes);
  const std::int64_t share = (bytes[0] << 8 | bytes[1]) * 1000 / 65536;  // 0..999
  return wait * (500 + share) / 1000;
}

std::optional<std::int64_t> RetryAfterMs(std::string_view value, std::int64_t wall_us) {
  std::int64_t seconds = 0;
  const auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (error == std::errc() && stop == value.data() + value.size()) {
    if (seconds < 0) return std::nullopt;
    return std::min(seconds, kSecondsMax) * 1000;
  }
  const std::optional<std::int64_t> date = SecondsOfDate(std::string(value.substr(0, 64)));
  if (!date) return std::nullopt;
  return std::clamp<std::int64_t>(*date - wall_us / 1'000'000, 0, kSecondsMax) * 1000;
}

}  // namespace interlock::runtime
