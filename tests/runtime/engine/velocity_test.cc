// Velocity across runs: what calls did before, as the journal keeps it, through crashes, restarts,
// rotation and replay.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "engine/rows.h"
#include "replays.h"
#include "rotating.h"
#include "rules.h"

namespace interlock::runtime::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// At most 100 dollars a customer within an hour, whoever asks, and at most three payments.
std::string PerCustomer(const std::string& more = "") {
  return std::string(kPolicyHead) + R"(
velocity "paid" { tool = "pay", key = "args.customer", of = "args.amount", unit = "USD", within = "1h" }
on("pay", "much", function(c)
  local before = sum { tool = "pay", key = c.args.customer, of = "args.amount", within = "1h" }
  if before + usd(c.args.amount) > usd(100) then return deny { code = "MUCH" } end
end)
on("pay", "often", function(c)
  if count { tool = "pay", key = c.args.customer, within = "1h" } >= 3 then return deny { code = "OFTEN" } end
end)
on("*", "ok", function(c) return allow() end)
)" + more;
}

class Shop {
 public:
  explicit Shop(const std::string& policy = PerCustomer(),
                std::vector<ToolSpec> tools = {MoneyTool("pay")})
      : h(policy, std::move(tools)) {
    h.tools.Answers("pay", {{"paid", true}});
  }
  std::string Pay(const std::string& customer, int amount) {
    const auto call = h.Execute(
        "pay", {{"id", std::to_string(++calls_)}, {"customer", customer}, {"amount", amount}}, "",
        "u" + std::to_string(calls_));  // each time another user
    EXPECT_TRUE(call.ok()) << call.status();
    return call.ok() ? CodeOf(*call) : "";
  }
  static std::string CodeOf(const CallInfo& call) {
    return call.state == CallState::kOk ? "OK" : call.code;
  }
  Harness h;

 private:
  int calls_ = 0;
};

TEST(Velocity, SumsAndCountsAcrossCallersAndRestarts) {
  Shop shop;
  EXPECT_EQ(shop.Pay("ann", 60), "OK");
  EXPECT_EQ(shop.Pay("ann", 41), "MUCH");
  shop.h.Restart();
  EXPECT_EQ(shop.Pay("ann", 41), "MUCH");
  EXPECT_EQ(shop.Pay("ann", 40), "OK") << "just as much as is left";
  EXPECT_EQ(shop.Pay("bob", 90), "OK") << "another customer";
  EXPECT_EQ(shop.h.tools.runs("pay"), 3);
}

TEST(Velocity, CountsWithoutAnAmountToo) {
  Shop shop;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(shop.Pay("ann", 1), "OK");
  EXPECT_EQ(shop.Pay("ann", 1), "OFTEN");
  EXPECT_EQ(shop.Pay("bob", 1), "OK");
}

// Money that a run asked for counts for the next run.
TEST(Velocity, RunsShareIt) {
  Shop shop;
  const auto ends_as = [&](const std::string& id, int amount) {
    shop.h.planner.plans = {FakePlanner::Calls(
        {{"c1", "pay",
          R"({"amount":)" + std::to_string(amount) + R"(,"customer":"ann","id":")" + id + "\"}"}})};
    const auto run = shop.h.CreateRun();
    EXPECT_TRUE(run.ok()) << run.status();
    shop.h.WaitForState(run->id, RunState::kCompleted);
    ExpectMadeAnew(shop.h, run->id, {&shop.h.agent});
    return shop.h.CallsOf(run->id).at(0).code;
  };
  EXPECT_EQ(ends_as("a", 70), "OK");
  EXPECT_EQ(ends_as("b", 31), "MUCH");
  EXPECT_EQ(ends_as("c", 30), "OK");
}

TEST(Velocity, ACallIsInTheWindowUntilItsEndAndNoLonger) {
  Shop shop;
  EXPECT_EQ(shop.Pay("ann", 100), "OK");
  shop.h.clock.Shift(59 * kMinuteMicros);
  EXPECT_EQ(shop.Pay("ann", 1), "MUCH");
  shop.h.clock.Shift(kMinuteMicros);
  EXPECT_EQ(shop.Pay("ann", 100), "OK");
}

// Two calls that each saw room for themselves: the second is decided again.
TEST(Velocity, Rule01_CallsAtOnceDoNotPassTogether) {
  Shop shop(PerCustomer(
                R"(fact "order" { tool = "orders.get", args = { id = "{args.id}" }, on = "pay" })"),
            {MoneyTool("pay"), ReadTool("orders.get")});
  for (int round = 0; round < 4; ++round) {
    shop.h.tools.Holds("orders.get");
    std::vector<std::future<core::StatusOr<CallInfo>>> calls;
    for (int i = 0; i < 6; ++i) {
      const core::Json args = {{"id", std::to_string(round * 10 + i)},
                               {"customer", "c" + std::to_string(round)},
                               {"amount", 40}};
      calls.push_back(
          std::async(std::launch::async, [&shop, args] { return shop.h.Execute("pay", args); }));
    }
    shop.h.tools.WaitUntilHeld("orders.get", calls.size());
    shop.h.tools.Release("orders.get", OkOutcome({{"total", 5}}));
    int paid = 0;
    for (auto& call : calls) paid += call.get()->state == CallState::kOk ? 1 : 0;
    EXPECT_EQ(paid, 2) << "80 of 100 dollars";
  }
  EXPECT_EQ(shop.h.tools.runs("pay"), 8);
}

TEST(Velocity, WhatNeverStartedIsGivenBackAndAttemptsThatFailedAreNot) {
  Shop shop;
  tools::Outcome not_started;
  not_started.kind = tools::OutcomeKind::kNotStarted;
  shop.h.tools.On("pay",
                  [&](const tools::CallSpec&, const FakeTools::Done& done) { done(not_started); });
  shop.Pay("ann", 100);
  shop.h.tools.Fails("pay", "CARD_DECLINED");
  shop.Pay("ann", 70);
  shop.h.tools.Answers("pay", {{"paid", true}});
  EXPECT_EQ(shop.Pay("ann", 31), "MUCH");
  EXPECT_EQ(shop.Pay("ann", 30), "OK");
}

// A rule about another tool asks; nobody asked while the calls went by.
TEST(Velocity, AnotherToolMayAskLongAfter) {
  Shop shop(std::string(kPolicyHead) + R"(
velocity "seen" { tool = "orders.get", key = "args.id", within = "2h" }
on("*", "slot", function(c) return limit { key = c.user, max = 100, per = "1m" } end)
on("*", "ok", function(c) return allow() end)
on("pay", "looked-up", function(c)
  if count { tool = "orders.get", key = c.args.id, within = "2h" } == 0 then return deny { code = "BLIND" } end
end))",
            {MoneyTool("pay"), ReadTool("orders.get")});
  shop.h.tools.Answers("orders.get", {{"total", 1}});
  EXPECT_EQ(shop.h.Execute("pay", {{"id", "7"}})->code, "BLIND");
  EXPECT_EQ(shop.h.Execute("orders.get", {{"id", "7"}})->state, CallState::kOk);
  for (int i = 0; i < 3; ++i) {
    shop.h.clock.Shift(30 * kMinuteMicros);
    EXPECT_EQ(shop.h.Execute("orders.get", {{"id", "8"}})->state, CallState::kOk);
  }
  shop.h.Restart();
  EXPECT_EQ(shop.h.Execute("pay", {{"id", "7"}})->state, CallState::kOk);
  shop.h.clock.Shift(31 * kMinuteMicros);
  EXPECT_EQ(shop.h.Execute("pay", {{"id", "7"}, {"n", 2}})->code, "BLIND");
}

TEST(Velocity, GoesOnInTheNextLog) {
  Shop shop;
  EXPECT_EQ(shop.Pay("ann", 70), "OK");
  RotateAndRestart(shop.h);
  EXPECT_EQ(shop.Pay("ann", 31), "MUCH");
  EXPECT_EQ(shop.Pay("ann", 30), "OK");
}

// A key that everybody shares: its row is bounded, and what it sums is never too little.
TEST(Velocity, ABusyKeyIsBoundedAndErrsOnTheStrictSide) {
  Shop shop(std::string(kPolicyHead) + R"(
velocity "paid" { tool = "pay", key = "tenant", of = "args.amount", unit = "USD", within = "1h" }
on("pay", "much", function(c)
  local before = sum { velocity = "paid", key = "main", within = "1h" }
  if before + usd(c.args.amount) > usd(2000) then return deny { code = "MUCH" } end
end)
on("*", "ok", function(c) return allow() end))");
  int calls = 0;
  const auto pay = [&](int amount) {
    const auto call =
        shop.h.Execute("pay", {{"id", "b" + std::to_string(++calls)}, {"amount", amount}});
    return call.ok() ? Shop::CodeOf(*call) : "";
  };
  for (int i = 0; i < 300; ++i) ASSERT_EQ(pay(2), "OK");
  shop.h.clock.Shift(30 * kMinuteMicros);
  for (int i = 0; i < 300; ++i) ASSERT_EQ(pay(2), "OK");
  const auto most = static_cast<std::int64_t>(kCounterEventsMax) * 64;
  EXPECT_LT(shop.h.Number("SELECT max(length(events)) FROM p_counter"), most);
  EXPECT_EQ(pay(801), "MUCH");
  EXPECT_EQ(pay(800), "OK") << "to the cent while all is in the window";
  shop.h.Restart();
  shop.h.clock.Shift(31 * kMinuteMicros);  // the first half leaves, but for a pair across
  EXPECT_EQ(pay(601), "MUCH");
  EXPECT_EQ(pay(590), "OK");
}

// Rule 20: an entry tells how much, and of whom nothing.
TEST(Velocity, Rule20_EntriesHoldNoKeyInTheClear) {
  Shop shop;
  EXPECT_EQ(shop.Pay("annabella-4711", 60), "OK");
  bool found = false;
  for (const audit::Entry& entry : shop.h.Entries("")) {
    EXPECT_THAT(entry.bytes, Not(HasSubstr("annabella-4711")));
    if (entry.kind != "call.intended") continue;
    EXPECT_THAT(entry.bytes, HasSubstr(R"(:6000"])"));
    found = true;
  }
  EXPECT_TRUE(found);
}

}  // namespace
}  // namespace interlock::runtime::test
