// What tokens cost. Prices are decimal text a million tokens; all sums are integers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"
#include "runtime/planner.h"

namespace interlock::runtime {

// Millionths of a unit of currency a million tokens, so 2.50 is 2'500'000.
struct ModelPrice {
  std::string model;  // "*": every model that is not named
  std::int64_t input = 0;
  std::int64_t cached_input = 0;  // read from the provider's cache
  std::int64_t cache_write = 0;   // written to the provider's cache
  std::int64_t output = 0;        // reasoning included
};

struct PriceTable {
  std::string currency;  // ISO 4217
  std::vector<ModelPrice> models;
};

inline constexpr std::int64_t kPriceUnitsMax = 1'000'000'000;  // below this, in whole units

// "2.50" -> 2'500'000. Errors: kInvalidArgument unless digits, and at most six after a point.
core::StatusOr<std::int64_t> ParsePrice(std::string_view text);

// nullptr when the table has neither the model nor "*".
const ModelPrice* PriceOf(const PriceTable& table, std::string_view model);

// Millionths of a unit for the plan's tokens, rounded up once. Precondition: counts are 0 to 3e9.
std::int64_t CostMicros(const ModelPrice& price, const Plan& plan);

// The same in minor units, rounded up. `exponent` is the currency's (ISO 4217: USD 2, JPY 0); 0..6.
std::int64_t MinorOfMicros(std::int64_t micros, int exponent);

}  // namespace interlock::runtime
