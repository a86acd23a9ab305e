// Budgets as people look at them: windows that count now, and whose they are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "rules.h"

namespace interlock::runtime::test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

constexpr std::int64_t kMinute = 60'000'000;

std::string Policy(const std::string& window = "30m") {
  return std::string(kPolicyHead) + R"(
local USER = budget "user" { unit = "USD", limit = usd(100), per = "user", window = ")" +
         window + R"(" }
local ALL = budget "all" { unit = "USD", limit = usd(100), per = "tenant" }
local DESK = budget "desk" { unit = "USD", limit = usd(100), per = "principal", window = "30m" }
on("pay", "r1", function(c) return reserve(USER, usd("5")) end)
on("pay", "r2", function(c) return reserve(ALL, usd("5")) end)
on("pay", "r3", function(c) return reserve(DESK, usd("5")) end)
on("pay", "all", function(c) return allow() end))";
}

// A minute into a window, so that none ends in the middle of a test.
void AlignClock(Harness& h) {
  const std::int64_t window_us = 30 * kMinute;
  h.clock.Shift(window_us - h.clock.WallMicros() % window_us + kMinute);
}

std::vector<std::string> Listed(Harness& h, const BudgetQuery& query) {
  const auto budgets = h.engine().ListBudgets(h.operator_one, query);
  EXPECT_TRUE(budgets.ok()) << budgets.status();
  std::vector<std::string> lines;
  if (!budgets.ok()) return lines;
  for (const BudgetInfo& budget : *budgets) {
    const bool named = budget.scope.find(':') != std::string::npos;
    lines.push_back(budget.name + " " + (named ? budget.scope : "hmac") +
                    (budget.past ? " past" : ""));
  }
  return lines;
}

void PayAs(Harness& h, const std::string& id, const std::string& user) {
  const auto call = h.Execute("pay", {{"id", id}}, "", user);
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->state, CallState::kOk) << call->code;
}

TEST(Budgets, PresentWindowsAreListedAndOthersWhereTheyAreAskedFor) {
  Harness h(Policy(), {MoneyTool("pay")});
  AlignClock(h);
  h.principals = std::make_shared<const std::vector<core::Principal>>(
      std::vector<core::Principal>{h.integrator});
  h.Restart();
  Pays(h, "5.00");
  PayAs(h, "o1", "u1");
  PayAs(h, "o2", "u2");
  EXPECT_THAT(Listed(h, {}), UnorderedElementsAre("user hmac", "user hmac", "all tenant:main",
                                                  "desk principal:ticketing"));
  EXPECT_THAT(Listed(h, {.user = "u1"}), ElementsAre("user user:u1"));
  EXPECT_THAT(Listed(h, {.user = "u9"}), IsEmpty());
  const auto all = h.engine().ListBudgets(h.operator_one, {.user = "u1"});
  EXPECT_EQ(all->at(0).settled, 500);
  EXPECT_EQ(all->at(0).window_end_us - all->at(0).window_start_us, 30 * kMinute);

  h.clock.Shift(31 * kMinute);
  EXPECT_THAT(Listed(h, {}), ElementsAre("all tenant:main")) << "which has no window";
  EXPECT_THAT(Listed(h, {.past = true, .user = "u2"}), ElementsAre("user user:u2 past"));
  PayAs(h, "o3", "u1");
  EXPECT_THAT(Listed(h, {.user = "u1"}), ElementsAre("user user:u1"));
  EXPECT_THAT(Listed(h, {.past = true, .user = "u1"}), SizeIs(2));
  EXPECT_THAT(Listed(h, {.past = true}), SizeIs(6));
}

TEST(Budgets, AnActivationSaysWhichBudgetsBeginAnew) {
  Harness h(Policy(), {MoneyTool("pay")});
  const std::string folder = h.folder + "/policies";
  std::filesystem::create_directories(folder);
  h.policy_folders.folder = folder;
  h.Restart();
  Pays(h, "5.00");
  PayAs(h, "o1", "u1");
  const auto activate = [&](const std::string& policy) {
    std::ofstream(folder + "/p.lua") << policy;
    auto info = h.engine().ActivatePolicy(h.operator_one, "longer window");
    EXPECT_TRUE(info.ok()) << info.status();
    return info.ok() ? info->anew : std::vector<policies::BudgetChange>{};
  };
  EXPECT_THAT(activate(Policy() + "\n-- the same"), IsEmpty());
  const auto anew = activate(Policy("7d"));
  ASSERT_THAT(anew, SizeIs(1));
  EXPECT_EQ(anew[0].budget, "user");
  EXPECT_EQ(anew[0].before, "USD per user within 30m");
  EXPECT_EQ(anew[0].after, "USD per user within 7d");
  EXPECT_THAT(h.engine().GetPolicy(h.operator_one)->anew, IsEmpty()) << "it was said";
  EXPECT_THAT(Listed(h, {.user = "u1"}), IsEmpty()) << "nothing is spent of it";
}

std::vector<std::string> Warned(Harness& h) {
  const std::lock_guard lock(h.warned_mutex);
  return std::exchange(h.warned, {});
}

TEST(Budgets, AStartWithOtherWindowsThanTheLogKnowsSaysWhichBudgetsBeginAnew) {
  Harness h(Policy(), {MoneyTool("pay")});
  Pays(h, "5.00");
  PayAs(h, "o1", "u1");
  h.SetPolicy(Policy() + "\n-- the same");
  h.Restart();
  EXPECT_THAT(Warned(h), IsEmpty());
  h.SetPolicy(Policy("7d"));
  h.Restart();
  EXPECT_THAT(Warned(h), ElementsAre("budget user begins anew: USD per user within 30m becomes USD "
                                     "per user within 7d, and what was spent before does not count "
                                     "in it"));
  h.Restart();
  EXPECT_THAT(Warned(h), IsEmpty()) << "it was said";
}

TEST(Budgets, AStartWhosePoliciesOfBeforeCannotBeLoadedSaysSo) {
  Harness h(Policy(), {MoneyTool("pay")});
  h.SetTools({MoneyTool("send")});
  h.SetPolicy(AllowAll());
  h.Restart();
  EXPECT_THAT(Warned(h), ElementsAre(AllOf(StartsWith("whether budgets begin anew cannot be said"),
                                           HasSubstr("with the tools of now"))));
}

}  // namespace
}  // namespace interlock::runtime::test
