// Money is exact or refused.
#include "core/money.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace interlock::core {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();

struct Good {
  const char* text;
  const char* currency;
  std::int64_t minor;
  const char* printed;
};

TEST(ParseMoney, IsExact) {
  const Good cases[] = {
      {"12.5", "USD", 1250, "12.50 USD"},
      {"12", "USD", 1200, "12.00 USD"},
      {"-3", "EUR", -300, "-3.00 EUR"},
      {"0.07", "USD", 7, "0.07 USD"},
      {"-0.07", "USD", -7, "-0.07 USD"},
      {"0", "JPY", 0, "0 JPY"},
      {"120", "JPY", 120, "120 JPY"},
      {"120.00", "JPY", 120, "120 JPY"},
      {"1.2345", "KWD", -1, nullptr},  // four digits, three allowed: refused below
      {"1.234", "KWD", 1234, "1.234 KWD"},
      {"1.2340", "KWD", 1234, "1.234 KWD"},
      {"0.1", "USD", 10, "0.10 USD"},
      {"92233720368547758.07", "USD", kMax, "92233720368547758.07 USD"},
      {"-92233720368547758.08", "USD", kMin, "-92233720368547758.08 USD"},
  };
  for (const Good& c : cases) {
    const StatusOr<Money> money = ParseMoney(c.text, c.currency);
    if (c.printed == nullptr) {
      EXPECT_FALSE(money.ok()) << c.text;
      continue;
    }
    ASSERT_TRUE(money.ok()) << c.text << ": " << Message(money.status());
    EXPECT_EQ(money->minor, c.minor) << c.text;
    EXPECT_EQ(FormatMoney(*money), c.printed);
  }
}

TEST(ParseMoney, RefusesEverythingElse) {
  for (const char* text : {"",
                           "-",
                           ".",
                           "1.",
                           ".5",
                           "-.5",
                           "+1",
                           " 1",
                           "1 ",
                           "1,000",
                           "1_000",
                           "1e2",
                           "0x10",
                           "NaN",
                           "Infinity",
                           "1.001",
                           "--1",
                           "1.-5",
                           "1.2.3",
                           "92233720368547758.08",
                           "99999999999999999999",
                           "\xd9\xa1",
                           "12.5 USD",
                           "1-2"}) {
    EXPECT_EQ(ParseMoney(text, "USD").status().code(), StatusCode::kInvalidArgument) << text;
  }
}

TEST(ParseMoney, KnowsCurrencies) {
  EXPECT_EQ(MinorDigits("USD").value(), 2);
  EXPECT_EQ(MinorDigits("JPY").value(), 0);
  EXPECT_EQ(MinorDigits("KWD").value(), 3);
  EXPECT_EQ(MinorDigits("CLF").value(), 4);
  for (const char* code : {"", "US", "usd", "USDX", "XXZ", "D E", " US", "ED "}) {
    EXPECT_EQ(MinorDigits(code).status().code(), StatusCode::kInvalidArgument) << code;
  }
}

TEST(Money, AddsAndSubtractsOneCurrencyWithoutWrapping) {
  EXPECT_EQ(Add({150, "USD"}, {-50, "USD"}).value(), (Money{100, "USD"}));
  EXPECT_EQ(Subtract({150, "USD"}, {200, "USD"}).value(), (Money{-50, "USD"}));
  EXPECT_EQ(Add({1, "USD"}, {1, "EUR"}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Subtract({1, "USD"}, {1, "EUR"}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Add({kMax, "USD"}, {1, "USD"}).status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(Subtract({kMin, "USD"}, {1, "USD"}).status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(Add({kMax, "USD"}, {0, "USD"}).value().minor, kMax);
}

TEST(FormatMoney, PrintsTheSmallestValue) {
  EXPECT_EQ(FormatMoney({kMin, "JPY"}), "-9223372036854775808 JPY");
  EXPECT_EQ(FormatMoney({-5, "KWD"}), "-0.005 KWD");
}

}  // namespace
}  // namespace interlock::core
