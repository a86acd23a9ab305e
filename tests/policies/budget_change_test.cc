// Which budgets other policies begin anew.
#include "policies/budget_change.h"

#include <gtest/gtest.h>

namespace interlock::policies {
namespace {

constexpr std::int64_t kDay = 86'400'000;

BudgetDecl Budget(const std::string& name, const std::string& per, std::int64_t window_ms,
                  const std::string& unit = "USD", std::int64_t limit = 100) {
  BudgetDecl budget;
  budget.name = name;
  budget.per = per;
  budget.window_ms = window_ms;
  budget.unit = unit;
  budget.limit = limit;
  return budget;
}

BudgetDecl Level(const std::string& whole, const std::string& level, const std::string& per,
                 std::int64_t window_ms) {
  BudgetDecl budget = Budget(whole + "." + level, per, window_ms);
  budget.level = level;
  return budget;
}

std::string Told(const std::vector<BudgetDecl>& before, const std::vector<BudgetDecl>& after) {
  std::string text;
  for (const BudgetChange& one : BudgetsAnew(before, after)) {
    text += one.budget + ": " + one.before + " -> " + one.after + "\n";
  }
  return text;
}

TEST(BudgetChange, AnotherWindowUnitOrShareBeginsAnew) {
  EXPECT_EQ(Told({Budget("a", "user", kDay)}, {Budget("a", "user", 7 * kDay)}),
            "a: USD per user within 1d -> USD per user within 7d\n");
  EXPECT_EQ(Told({Budget("a", "user", kDay)}, {Budget("a", "user", 0)}),
            "a: USD per user within 1d -> USD per user, for ever\n");
  EXPECT_EQ(Told({Budget("a", "user", kDay)}, {Budget("a", "tenant", kDay)}),
            "a: USD per user within 1d -> USD per tenant within 1d\n");
  EXPECT_EQ(Told({Budget("a", "user", kDay)}, {Budget("a", "user", kDay, "EUR")}),
            "a: USD per user within 1d -> EUR per user within 1d\n");
  EXPECT_EQ(Told({Budget("a", "user", 5'400'000)}, {Budget("a", "user", 1'500)}),
            "a: USD per user within 90m -> USD per user within 1500ms\n");
}

TEST(BudgetChange, AnotherLimitOrAnotherBudgetDoesNot) {
  EXPECT_EQ(Told({Budget("a", "user", kDay)}, {Budget("a", "user", kDay, "USD", 200)}), "");
  EXPECT_EQ(Told({Budget("a", "user", kDay)}, {Budget("b", "user", 7 * kDay)}), "");
  EXPECT_EQ(Told({Budget("a", "user", kDay)}, {}), "");
}

// Its window is a part of its name.
TEST(BudgetChange, ALevelThatTookThePlaceOfAnotherBeginsAnew) {
  const BudgetDecl month = Level("v", "user.30d", "user", 30 * kDay);
  const BudgetDecl week = Level("v", "user.7d", "user", 7 * kDay);
  EXPECT_EQ(Told({month}, {week}),
            "v.user.7d: USD per user within 30d -> USD per user within 7d\n");
  EXPECT_EQ(Told({month}, {month, week}), "") << "one more";
  EXPECT_EQ(Told({month}, {Level("v", "tenant.7d", "tenant", 7 * kDay)}), "");
  EXPECT_EQ(Told({month}, {Level("w", "user.7d", "user", 7 * kDay)}), "");
}

}  // namespace
}  // namespace interlock::policies
