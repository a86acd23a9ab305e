#include "core/money.h"

#include <array>
#include <charconv>

namespace interlock::core {
namespace {

struct Currency {
  std::string_view code;
  int digits;
};

// ISO 4217: active codes whose minor unit is not 2. Others have 2.
constexpr std::array<Currency, 25> kOddDigits{{
    {"BHD", 3}, {"BIF", 0}, {"CLF", 4}, {"CLP", 0}, {"DJF", 0}, {"GNF", 0}, {"IQD", 3},
    {"ISK", 0}, {"JOD", 3}, {"JPY", 0}, {"KMF", 0}, {"KRW", 0}, {"KWD", 3}, {"LYD", 3},
    {"OMR", 3}, {"PYG", 0}, {"RWF", 0}, {"TND", 3}, {"UGX", 0}, {"UYI", 0}, {"UYW", 4},
    {"VND", 0}, {"VUV", 0}, {"XAF", 0}, {"XOF", 0},
}};

// ISO 4217: active codes with two digits.
constexpr std::string_view kTwoDigits =
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD "
    "CAD "
    "CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ "
    "GYD "
    "HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA "
    "MKD "
    "MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR "
    "RON "
    "RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD "
    "TWD "
    "TZS UAH USD UYU UZS VES WST XCD YER ZAR ZMW ZWG ";

Status BadAmount(std::string_view text, std::string_view why) {
  return InvalidArgument("`" + std::string(text.substr(0, 64)) +
                         "` is not an amount: " + std::string(why));
}

}  // namespace

StatusOr<int> MinorDigits(std::string_view currency) {
  for (const Currency& odd : kOddDigits) {
    if (odd.code == currency) return odd.digits;
  }
  const std::size_t at = currency.size() == 3 ? kTwoDigits.find(currency) : std::string_view::npos;
  if (at != std::string_view::npos && at % 4 == 0) return 2;
  return InvalidArgument("`" + std::string(currency.substr(0, 16)) +
                         "` is not a currency; use an ISO 4217 code such as USD");
}

StatusOr<Money> ParseMoney(std::string_view decimal, std::string_view currency) {
  INTERLOCK_ASSIGN_OR_RETURN(const int digits, MinorDigits(currency));
  std::string_view rest = decimal;
  const bool negative = !rest.empty() && rest.front() == '-';
  if (negative) rest.remove_prefix(1);
  const std::size_t dot = rest.find('.');
  const std::string_view whole = rest.substr(0, dot);
  std::string_view fraction = dot == std::string_view::npos ? "" : rest.substr(dot + 1);
  if (whole.empty() || (dot != std::string_view::npos && fraction.empty())) {
    return BadAmount(decimal, "write it as 12 or 12.50");
  }
  while (fraction.size() > static_cast<std::size_t>(digits) && fraction.back() == '0') {
    fraction.remove_suffix(1);
  }
  if (fraction.size() > static_cast<std::size_t>(digits)) {
    return BadAmount(decimal,
                     std::string(currency) + " has " + std::to_string(digits) + " decimals");
  }
  std::string all = negative ? "-" : "";
  all.append(whole).append(fraction).append(static_cast<std::size_t>(digits) - fraction.size(),
                                            '0');
  for (const char c : all.substr(negative ? 1 : 0)) {
    if (c < '0' || c > '9') return BadAmount(decimal, "write it as 12 or 12.50");
  }
  Money money{.minor = 0, .currency = std::string(currency)};
  const auto [end, error] = std::from_chars(all.data(), all.data() + all.size(), money.minor);
  if (error != std::errc() || end != all.data() + all.size()) {
    return BadAmount(decimal, "it is too large");
  }
  return money;
}

std::string FormatMoney(const Money& money) {
  const StatusOr<int> known = MinorDigits(money.currency);
  const auto digits = static_cast<std::size_t>(known.ok() ? *known : 0);
  std::string text = std::to_string(money.minor);
  const std::size_t sign = money.minor < 0 ? 1 : 0;
  if (digits > 0) {
    if (text.size() - sign <= digits) text.insert(sign, digits + 1 - (text.size() - sign), '0');
    text.insert(text.size() - digits, ".");
  }
  return text + " " + money.currency;
}

StatusOr<Money> Add(const Money& a, const Money& b) {
  if (a.currency != b.currency) {
    return InvalidArgument("cannot add " + a.currency + " and " + b.currency);
  }
  Money sum{.minor = 0, .currency = a.currency};
  if (__builtin_add_overflow(a.minor, b.minor, &sum.minor)) {
    return ResourceExhausted("amount is beyond the largest that can be held");
  }
  return sum;
}

StatusOr<Money> Subtract(const Money& a, const Money& b) {
  if (a.currency != b.currency) {
    return InvalidArgument("cannot subtract " + b.currency + " from " + a.currency);
  }
  Money difference{.minor = 0, .currency = a.currency};
  if (__builtin_sub_overflow(a.minor, b.minor, &difference.minor)) {
    return ResourceExhausted("amount is beyond the largest that can be held");
  }
  return difference;
}

}  // namespace interlock::core
