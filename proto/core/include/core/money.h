// Money is an integer of minor units and an ISO 4217 code. Never a float.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/status.h"

namespace interlock::core {

struct Money {
  std::int64_t minor = 0;  // e.g. cents
  std::string currency;    // "USD"; three upper-case letters

  friend bool operator==(const Money&, const Money&) = default;
};

// Digits after the decimal point for a currency (ISO 4217: JPY 0, USD 2, KWD 3).
// Errors: kInvalidArgument for an unknown code.
StatusOr<int> MinorDigits(std::string_view currency);

// Parses a decimal text such as "12.5" or "-3" exactly. Errors: kInvalidArgument for anything else,
// more digits than the currency has (unless zeros), or beyond ±(2^63-1).
StatusOr<Money> ParseMoney(std::string_view decimal, std::string_view currency);

// "12.50 USD"
std::string FormatMoney(const Money& money);

// Errors: kInvalidArgument for two currencies; kResourceExhausted (never wraps) on overflow.
StatusOr<Money> Add(const Money& a, const Money& b);
StatusOr<Money> Subtract(const Money& a, const Money& b);

}  // namespace interlock::core
