#include "runtime/prices.h"

#include <gtest/gtest.h>

namespace interlock::runtime {
namespace {

TEST(Price, IsReadExactly) {
  const std::pair<const char*, std::int64_t> good[] = {
      {"0", 0},          {"2.50", 2'500'000}, {"15", 15'000'000},
      {"0.075", 75'000}, {"0.000001", 1},     {"999999999.999999", 999'999'999'999'999}};
  for (const auto& [text, price] : good) EXPECT_EQ(ParsePrice(text).value_or(-1), price) << text;
  for (const char* bad : {"", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", "0.0000001", " 1", "1 ",
                          "1000000000", "1.2.3", "0x1", "nan"}) {
    EXPECT_EQ(ParsePrice(bad).status().code(), core::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(Price, IsThatOfTheModelOrOfEveryOther) {
  PriceTable table;
  table.models.push_back({.model = "*", .input = 1});
  table.models.push_back({.model = "m", .input = 2});
  EXPECT_EQ(PriceOf(table, "m")->input, 2);
  EXPECT_EQ(PriceOf(table, "x")->input, 1);
  table.models.erase(table.models.begin());
  EXPECT_EQ(PriceOf(table, "x"), nullptr);
}

Plan Tokens(std::int64_t prompt, std::int64_t cached, std::int64_t written, std::int64_t output) {
  Plan plan;
  plan.prompt_tokens = prompt;
  plan.cached_tokens = cached;
  plan.cache_write_tokens = written;
  plan.completion_tokens = output;
  return plan;
}

TEST(Cost, CountsEachKindOfTokenOnceAndRoundsUpOnce) {
  const ModelPrice price{.model = "m",
                         .input = 3'000'000,
                         .cached_input = 300'000,
                         .cache_write = 3'750'000,
                         .output = 15'000'000};
  EXPECT_EQ(CostMicros(price, Tokens(0, 0, 0, 0)), 0);
  EXPECT_EQ(CostMicros(price, Tokens(1000, 0, 0, 100)), 4500);
  // 100 plain (300) + 800 cached (240) + 100 written (375) + 10 written by the model (150)
  EXPECT_EQ(CostMicros(price, Tokens(1000, 800, 100, 10)), 1065);
  EXPECT_EQ(CostMicros(price, Tokens(1, 1, 0, 0)), 1);    // 0.3 of a micro
  EXPECT_EQ(CostMicros(price, Tokens(11, 10, 1, 0)), 7);  // 3 + 3.75
}

TEST(Cost, HoldsTheLargestSums) {
  const std::int64_t most = 999'999'999'999'999;
  const ModelPrice price{.model = "m", .input = most, .output = most};
  EXPECT_EQ(CostMicros(price, Tokens(3'000'000'000, 0, 0, 2'000'000'000)),
            4'999'999'999'999'995'000);
}

TEST(Cost, BecomesMinorUnitsRoundedUp) {
  EXPECT_EQ(MinorOfMicros(0, 2), 0);
  EXPECT_EQ(MinorOfMicros(1, 2), 1);
  EXPECT_EQ(MinorOfMicros(10'000, 2), 1);
  EXPECT_EQ(MinorOfMicros(10'001, 2), 2);
  EXPECT_EQ(MinorOfMicros(1'000'000, 0), 1);
  EXPECT_EQ(MinorOfMicros(7, 6), 7);
}

}  // namespace
}  // namespace interlock::runtime
