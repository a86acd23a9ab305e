#include "policies/budget.h"

#include <gtest/gtest.h>

#include <limits>

namespace interlock::policies {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

TEST(Budget, HoldsUpToTheLimitAndNoFurther) {
  BudgetState state;
  EXPECT_EQ(TryHold(state, 100, 60), HoldResult::kHeld);
  EXPECT_EQ(TryHold(state, 100, 41), HoldResult::kNoMoney);
  EXPECT_EQ(TryHold(state, 100, 40), HoldResult::kHeld);
  EXPECT_EQ(state.held, 100);
  EXPECT_EQ(state.available(), 0);
}

TEST(Budget, OverflowCountsAsNoMoney) {
  BudgetState state{.limit = kMax, .held = kMax - 1, .settled = 0, .version = 0};
  EXPECT_EQ(TryHold(state, kMax, 2), HoldResult::kNoMoney);
  EXPECT_EQ(TryHold(state, kMax, 1), HoldResult::kHeld);
  BudgetState both{.limit = kMax, .held = kMax, .settled = kMax, .version = 0};
  EXPECT_EQ(TryHold(both, kMax, 1), HoldResult::kNoMoney);
}

TEST(Budget, LoweredLimitRefusesNewHoldsAndKeepsOldOnes) {
  BudgetState state;
  ASSERT_EQ(TryHold(state, 100, 80), HoldResult::kHeld);
  EXPECT_EQ(TryHold(state, 50, 1), HoldResult::kNoMoney);
  EXPECT_EQ(state.held, 80);
  EXPECT_EQ(state.available(), -30);
}

TEST(Budget, SettlingLessThanTheHoldFreesTheRest) {
  BudgetState state;
  ASSERT_EQ(TryHold(state, 100, 60), HoldResult::kHeld);
  Settle(state, 60, 25);
  EXPECT_EQ(state.held, 0);
  EXPECT_EQ(state.settled, 25);
  EXPECT_EQ(state.available(), 75);
}

TEST(Budget, ReleaseGivesEverythingBack) {
  BudgetState state;
  ASSERT_EQ(TryHold(state, 100, 60), HoldResult::kHeld);
  Release(state, 60);
  EXPECT_EQ(state.available(), 100);
}

TEST(Budget, EveryChangeMovesTheVersionAndRefusalsDoNot) {
  BudgetState state;
  ASSERT_EQ(TryHold(state, 100, 60), HoldResult::kHeld);
  ASSERT_EQ(TryHold(state, 100, 60), HoldResult::kNoMoney);
  EXPECT_EQ(state.version, 1u);
  Settle(state, 60, 60);
  EXPECT_EQ(state.version, 2u);
}

TEST(BudgetDeath, MoreThanIsHeldCannotBeSettledOrReleased) {
  BudgetState state;
  ASSERT_EQ(TryHold(state, 100, 10), HoldResult::kHeld);
  EXPECT_DEATH(Settle(state, 11, 0), "");
  EXPECT_DEATH(Settle(state, 10, 11), "");
  EXPECT_DEATH(Release(state, 11), "");
  EXPECT_DEATH(TryHold(state, 100, 0), "");
}

TEST(Budget, Rule13_OnlyACredibleReportIsSettledAsReported) {
  struct Case {
    const char* what;
    bool reported;
    std::int64_t amount;
    const char* unit;
    std::int64_t settled;
    bool flagged;
  };
  const Case cases[] = {{"as reported", true, 70, "USD", 70, false},
                        {"nothing spent", true, 0, "USD", 0, false},
                        {"the whole hold", true, 100, "USD", 100, false},
                        {"not reported", false, 0, "", 100, true},
                        {"more than held", true, 101, "USD", 100, true},
                        {"negative", true, -1, "USD", 100, true},
                        {"another currency", true, 70, "EUR", 100, true},
                        {"no unit", true, 70, "", 100, true},
                        {"unit in another case", true, 70, "usd", 100, true}};
  for (const Case& c : cases) {
    const Settlement settlement = SettlementOf(100, "USD", c.reported, c.amount, c.unit);
    EXPECT_EQ(settlement.amount, c.settled) << c.what;
    EXPECT_EQ(settlement.flagged, c.flagged) << c.what;
  }
}

TEST(Budget, WindowsStartAtMultiplesFromTheEpoch) {
  EXPECT_EQ(WindowStart(1'234'567'890, 0), 0);
  EXPECT_EQ(WindowStart(86'400'000'000 + 5, 86'400'000), 86'400'000'000);
  EXPECT_EQ(WindowStart(86'400'000'000 - 1, 86'400'000), 0);
  EXPECT_EQ(WindowStart(-1, 1000), -1'000'000);
  EXPECT_EQ(WindowStart(5, kMax), 0);
}

}  // namespace
}  // namespace interlock::policies
