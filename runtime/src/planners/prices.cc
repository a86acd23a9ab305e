#include "runtime/prices.h"

#include <algorithm>
#include <array>

#include "core/check.h"

namespace interlock::runtime {
namespace {

constexpr std::int64_t kMillion = 1'000'000;
constexpr std::size_t kFractionDigits = 6;

bool IsDigits(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::int64_t NumberOf(std::string_view digits) {
  std::int64_t number = 0;
  for (const char c : digits) number = number * 10 + (c - '0');
  return number;
}

}  // namespace

core::StatusOr<std::int64_t> ParsePrice(std::string_view text) {
  const std::size_t point = text.find('.');
  const std::string_view units = text.substr(0, point);
  std::string fraction;
  if (point != std::string_view::npos) fraction = text.substr(point + 1);
  const bool ok = !units.empty() && units.size() <= 9 && IsDigits(units) && IsDigits(fraction) &&
                  fraction.size() <= kFractionDigits &&
                  (point == std::string_view::npos || !fraction.empty());
  if (!ok) {
    return core::InvalidArgument(
        "not a price a million tokens; write digits with at most six after a point, as \"2.50\"");
  }
  fraction.resize(kFractionDigits, '0');
  return NumberOf(units) * kMillion + NumberOf(fraction);
}

const ModelPrice* PriceOf(const PriceTable& table, std::string_view model) {
  const ModelPrice* rest = nullptr;
  for (const ModelPrice& price : table.models) {
    if (price.model == model) return &price;
    if (price.model == "*") rest = &price;
  }
  return rest;
}

// A count times a price may be more than 64 bits hold: whole units and millionths go apart.
std::int64_t CostMicros(const ModelPrice& price, const Plan& plan) {
  const std::int64_t plain =
      std::max<std::int64_t>(0, plan.prompt_tokens - plan.cached_tokens - plan.cache_write_tokens);
  const std::array<std::pair<std::int64_t, std::int64_t>, 4> terms = {
      {{plain, price.input},
       {std::min(plan.cached_tokens, plan.prompt_tokens), price.cached_input},
       {std::min(plan.cache_write_tokens, plan.prompt_tokens), price.cache_write},
       {plan.completion_tokens, price.output}}};
  std::int64_t micros = 0;
  std::int64_t millionths = 0;  // of a micro
  for (const auto& [tokens, a_million] : terms) {
    INTERLOCK_CHECK(tokens >= 0 && tokens <= 3'000'000'000);
    micros += tokens * (a_million / kMillion);
    millionths += tokens * (a_million % kMillion);
  }
  return micros + (millionths + kMillion - 1) / kMillion;
}

std::int64_t MinorOfMicros(std::int64_t micros, int exponent) {
  INTERLOCK_CHECK(micros >= 0 && exponent >= 0 && exponent <= 6);
  std::int64_t step = kMillion;
  for (int i = 0; i < exponent; ++i) step /= 10;
  return micros / step + (micros % step == 0 ? 0 : 1);
}

}  // namespace interlock::runtime
