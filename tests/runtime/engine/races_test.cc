// What must hold when several callers act at once, or the world moves between two looks (rules 1,
// 8, 13 and 14).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "rules.h"

namespace interlock::runtime::test {
namespace {

constexpr const char* kFact =
    R"(fact "order" { tool = "orders.get", args = { id = "{args.id}" }, on = "pay" }
)";

using Calls = std::vector<CallInfo>;

// These calls of `pay` all have their facts before the first of them is decided.
Calls PayAtOnce(Harness& h, const std::vector<core::Json>& args, const std::string& user) {
  h.tools.Holds("orders.get");
  std::vector<std::future<core::StatusOr<CallInfo>>> calls;
  for (const core::Json& one : args) {
    calls.push_back(std::async(std::launch::async,
                               [&h, one, user] { return h.Execute("pay", one, "", user); }));
  }
  h.tools.WaitUntilHeld("orders.get", args.size());
  h.tools.Release("orders.get", OkOutcome({{"total", 5}}));
  Calls ended;
  for (auto& call : calls) {
    const auto info = call.get();
    EXPECT_TRUE(info.ok()) << info.status();
    if (info.ok()) ended.push_back(*info);
  }
  return ended;
}

std::int64_t CountCode(const Calls& calls, const std::string& code) {
  return std::count_if(calls.begin(), calls.end(),
                       [&](const CallInfo& call) { return call.code == code; });
}

std::vector<ToolSpec> PayWithFact() { return {MoneyTool("pay"), ReadTool("orders.get")}; }

// The limit itself lets all of them pass: only the count that the rule read tells them apart.
TEST(Races, Rule01_ADecisionOnACountThatMovedIsMadeAgain) {
  Harness h(std::string(kPolicyHead) + kFact + R"(on("pay", "first-two", function(c)
  if count { rule = "slot", key = c.user, within = "1h" } < 2 then return allow() end
  return deny { code = "TOO_MANY" }
end)
on("pay", "slot", function(c) return limit { key = c.user, max = 100, per = "1h" } end))",
            PayWithFact());
  Pays(h, "1.00");
  for (int round = 0; round < 4; ++round) {
    std::vector<core::Json> args;
    for (int i = 0; i < 8; ++i) args.push_back({{"id", std::to_string(round * 8 + i)}});
    const Calls calls = PayAtOnce(h, args, "u" + std::to_string(round));
    EXPECT_EQ(CountCode(calls, "TOO_MANY"), 6);
    EXPECT_EQ(h.tools.runs("pay"), 2 * (round + 1));
  }
}

TEST(Races, Rule08_OfCallsWithOneKeyAtOnceOneRuns) {
  Harness h(std::string(kPolicyHead) + kFact + R"(on("pay", "ok", function(c) return allow() end))",
            PayWithFact());
  Pays(h, "1.00");
  std::vector<core::Json> args;
  for (int i = 0; i < 6; ++i) args.push_back({{"id", "o1"}, {"n", i}});
  EXPECT_EQ(CountCode(PayAtOnce(h, args, "u1"), "DUPLICATE_EFFECT"), 5);
  EXPECT_EQ(h.tools.runs("pay"), 1);
}

TEST(Races, Rule08_AnOpenAndAnUnknownKeyDenyOtherCallersAndRuns) {
  Harness h(AllowAll(), {MoneyTool("pay")});
  h.tools.Holds("pay");
  auto open = std::async(std::launch::async, [&] {
    return h.Execute("pay", {{"id", "o1"}, {"n", 1}});
  });
  h.tools.WaitUntilHeld("pay", 1);
  EXPECT_EQ(h.Execute("pay", {{"id", "o1"}, {"n", 2}}, "", "u2")->code, "DUPLICATE_EFFECT");
  h.tools.Release("pay", UnknownOutcome());
  const auto unknown = open.get();
  ASSERT_TRUE(unknown.ok()) << unknown.status();
  ASSERT_EQ(unknown->state, CallState::kUnknown);
  h.Restart();
  h.planner.plans = {FakePlanner::Calls({{"c1", "pay", R"({"id":"o1","n":3})"}})};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kCompleted);
  EXPECT_EQ(h.CallsOf(run->id).at(0).code, "DUPLICATE_EFFECT");
  Pays(h, "1.00");
  EXPECT_EQ(h.Execute("pay", {{"id", "o2"}})->state, CallState::kOk);  // another key
  ASSERT_TRUE(h.Resolve(h.operator_one, unknown->id, false).ok());
  ASSERT_TRUE(h.Resolve(h.operator_two, unknown->id, false).ok());
  EXPECT_EQ(h.Execute("pay", {{"id", "o1"}, {"n", 4}})->state, CallState::kOk);
}

TEST(Races, Rule13_AFailureThatMayHaveHadAnEffectKeepsItsHold) {
  Harness h(std::string(kPolicyHead) +
                R"(local DAY = budget "day" { unit = "USD", limit = usd(100), per = "tenant" }
on("pay", "reserve", function(c) return reserve(DAY, usd(30)) end)
on("pay", "ok", function(c) return allow() end))",
            {MoneyTool("pay")});
  h.tools.Fails("pay", "SERVER_ERROR");
  EXPECT_EQ(h.Execute("pay", {{"id", "o1"}})->state, CallState::kUnknown);
  h.Restart();
  EXPECT_EQ(h.Budget("day").held, 3000);
  EXPECT_EQ(h.Budget("day").settled, 0);
}

TEST(Races, Rule14_ABundleChangeAloneVoidsNoApproval) {
  const std::string policy = AskAlways(R"("role:cs-manager")");
  Harness h(policy, {MoneyTool("pay")});
  Pays(h, "1.00");
  const std::string request = h.NewRequestId();
  const auto parked = h.Execute("pay", {{"id", "o1"}}, request);
  ASSERT_TRUE(parked.ok()) << parked.status();
  ASSERT_TRUE(h.AnswerApproval(h.manager, parked->approvals.at(0), true).ok());
  h.SetPolicy(policy + "\n-- other words\n");
  h.Restart();
  EXPECT_EQ(h.Execute("pay", {{"id", "o1"}}, request)->state, CallState::kOk);
}

TEST(Races, Rule14_CallersWhoAskAtOnceConsumeAnApprovalOnce) {
  Harness h(AskAlways(R"("role:cs-manager")"), {MoneyTool("pay")});
  Pays(h, "1.00");
  const std::string request = h.NewRequestId();
  const auto parked = h.Execute("pay", {{"id", "o1"}}, request);
  ASSERT_TRUE(parked.ok()) << parked.status();
  ASSERT_TRUE(h.AnswerApproval(h.manager, parked->approvals.at(0), true).ok());
  std::vector<std::future<core::StatusOr<CallInfo>>> asks;
  for (int i = 0; i < 4; ++i) {
    asks.push_back(std::async(std::launch::async, [&h, &request] {
      return h.Execute("pay", {{"id", "o1"}}, request);
    }));
  }
  for (auto& ask : asks) {
    const auto info = ask.get();
    ASSERT_TRUE(info.ok()) << info.status();
    EXPECT_EQ(info->state, CallState::kOk);
  }
  const auto kinds = h.Kinds("");
  EXPECT_EQ(std::count(kinds.begin(), kinds.end(), "approval.consumed"), 1);
  EXPECT_EQ(h.tools.runs("pay"), 1);
}

// The second request comes to its worker when the journal has been given all that it knew of.
TEST(Races, WhatWasAskedBeforeAStopIsAnsweredBeforeItIsOver) {
  Harness h(AllowAll(), {ReadTool("pay")});
  h.planner.plans = {FakePlanner::Ask("which?")};
  h.limits.workers = 1;
  h.Restart();
  const std::string run = h.CreateRun()->id;
  h.WaitForState(run, RunState::kWaitingForUser);
  std::promise<void> asked;
  std::promise<void> go_on;
  h.engine().SendMessage(h.integrator, "none", "this", "", [&](const core::StatusOr<RunInfo>&) {
    asked.set_value();
    go_on.get_future().wait();  // on the one worker
  });
  asked.get_future().wait();
  bool answered = false;
  h.engine().CancelRun(h.integrator, run, "enough", "",
                       [&](const core::StatusOr<RunInfo>&) { answered = true; });
  Engine& engine = h.engine();
  audit::Log& log = h.log();
  auto stopped = std::async(std::launch::async, [&] { h.StopEngine(); });
  while (engine.Unhealthy().empty()) std::this_thread::yield();
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(log.CheckpointNow().ok());  // time to commit
  go_on.set_value();
  stopped.get();
  EXPECT_TRUE(answered);
}

}  // namespace
}  // namespace interlock::runtime::test
