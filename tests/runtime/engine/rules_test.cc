// DESIGN's rules 1 to 12 and 30, each as a test of the whole engine; 13 to 15 are beside this.
#include "rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

namespace interlock::runtime::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

// ------------------------------------------------------------------ rule 1

TEST(Rules, Rule01_TwoCallsCannotSpendTheSameBudget) {
  Harness h(WithBudget("100"), {MoneyTool("pay")});
  h.tools.Holds("pay");
  std::vector<std::future<core::StatusOr<CallInfo>>> calls;
  for (int i = 0; i < 8; ++i) {
    calls.push_back(std::async(std::launch::async, [&h, i] {
      return h.Execute("pay", {{"id", i}, {"amount", 40}});
    }));
  }
  h.tools.WaitUntilHeld("pay", 2);
  EXPECT_EQ(h.Budget("day").held, 8000);
  int denied = 0;
  while (denied < 6) {  // the other six end without having run
    denied = 0;
    for (auto& call : calls)
      denied += call.wait_for(std::chrono::milliseconds(20)) == std::future_status::ready;
  }
  h.tools.Release("pay", PaidOutcome("40.00"));
  int ok = 0;
  for (auto& call : calls) {
    const auto info = call.get();
    ASSERT_TRUE(info.ok()) << info.status();
    ok += info->state == CallState::kOk;
    if (info->state != CallState::kOk) {
      EXPECT_EQ(info->code, "BUDGET");
    }
  }
  EXPECT_EQ(ok, 2);
  EXPECT_EQ(h.tools.runs("pay"), 2);
  EXPECT_EQ(h.Budget("day").settled, 8000);
  EXPECT_EQ(h.Budget("day").held, 0);
}

// ------------------------------------------------------------------ rule 2

TEST(Rules, Rule02_LookUpsNeedNoIntentAndAreRecorded) {
  Harness h(WithApproval(R"("role:cs-manager")", 1), PayTools());
  SetOrder(h, 10, false);
  const auto call = h.Execute("pay", {{"id", "o1"}});
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->state, CallState::kParked);
  EXPECT_EQ(h.tools.lookups("orders.get"), 1);
  EXPECT_EQ(h.tools.runs("orders.get"), 0);
  EXPECT_THAT(h.Kinds(""), Contains("facts.gathered"));
  EXPECT_THAT(h.Kinds(""), Not(Contains("call.intended")));
}

// ------------------------------------------------------------------ rule 3

TEST(Rules, Rule03_ABoundedWaitThenBusy) {
  Harness h(
      std::string(kPolicyHead) + R"(on("*", "all", function(c) return allow() end))",
      {{.name = "orders.cancel", .effect = tools::Effect::kWrite, .locks = {"order:{args.id}"}}});
  h.limits.lock_wait_us = 50'000;
  h.Restart();
  h.tools.Holds("orders.cancel");
  auto first = std::async(std::launch::async, [&] {
    return h.Execute("orders.cancel", {{"id", "o1"}, {"n", 1}});
  });
  h.tools.WaitUntilHeld("orders.cancel", 1);
  const auto second = h.Execute("orders.cancel", {{"id", "o1"}, {"n", 2}});
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->code, "BUSY");
  h.tools.Release("orders.cancel", OkOutcome({{"ok", true}}));
  EXPECT_EQ(first.get()->state, CallState::kOk);
}

TEST(Rules, Rule03_UnsettledKeyDeniesOtherWritesAcrossARestart) {
  Harness h(
      std::string(kPolicyHead) + R"(on("*", "all", function(c) return allow() end))",
      {{.name = "orders.cancel", .effect = tools::Effect::kWrite, .locks = {"order:{args.id}"}},
       {.name = "orders.get", .effect = tools::Effect::kRead, .locks = {"order:{args.id}"}}});
  h.tools.On("orders.cancel",
             [](const tools::CallSpec&, FakeTools::Done done) { done(UnknownOutcome()); });
  h.tools.Answers("orders.get", {{"status", "?"}});
  const auto unknown = h.Execute("orders.cancel", {{"id", "o1"}, {"n", 1}});
  ASSERT_TRUE(unknown.ok()) << unknown.status();
  EXPECT_EQ(unknown->state, CallState::kUnknown);
  h.Restart();
  h.tools.Answers("orders.cancel", {{"ok", true}});
  EXPECT_EQ(h.Execute("orders.cancel", {{"id", "o1"}, {"n", 2}})->code, "UNSETTLED");
  EXPECT_EQ(h.Execute("orders.get", {{"id", "o1"}})->state, CallState::kOk);  // a read may look
  EXPECT_EQ(h.Execute("orders.cancel", {{"id", "o2"}, {"n", 3}})->state,
            CallState::kOk);  // another key
  const auto resolved = h.Resolve(h.operator_one, unknown->id, false);
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  EXPECT_EQ(h.Execute("orders.cancel", {{"id", "o1"}, {"n", 4}})->state, CallState::kOk);
}

// ------------------------------------------------------------------ rule 4

TEST(Rules, Rule04_CallsOfAPlanAreDecidedInPlanOrderAndAParkedOneHoldsUpNobody) {
  Harness h(std::string(kPolicyHead) + R"(on("free", "free", function(c) return allow() end)
on("ask", "ask", function(c) return require_approval { approvers = { "role:cs-manager" }, expires = "1h" } end))",
            {ReadTool("free"), WriteTool("ask")});
  h.tools.Answers("free", {{"ok", true}});
  h.tools.Answers("ask", {{"ok", true}});
  h.planner.plans = {
      FakePlanner::Calls({{"a", "ask", "{}"}, {"b", "free", "{}"}, {"c", "free", "{}"}})};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForApproval);
  EXPECT_EQ(h.tools.runs("free"), 2);
  std::vector<std::string> order;
  for (const audit::Entry& entry : h.Entries(run->id)) {
    if (entry.kind != "call.proposed") continue;
    const auto view = core::JsonObjectView::Of(entry.bytes);
    order.push_back(std::to_string(*view->Object("body")->Int("position")));
  }
  EXPECT_EQ(order, (std::vector<std::string>{"0", "1", "2"}));
  ASSERT_EQ(h.Pending().size(), 1u);
  ASSERT_TRUE(h.AnswerApproval(h.manager, h.Pending()[0].state.id, true).ok());
  h.WaitForState(run->id, RunState::kCompleted);
  EXPECT_EQ(h.tools.runs("ask"), 1);
}

// ------------------------------------------------------------------ rule 5

TEST(Rules, Rule05_ModifyIsDecidedAgainAndMayNotMoveTheKey) {
  Harness h(std::string(kPolicyHead) + R"(on("pay", "cap", function(c)
  if c.args.amount > 10 then return modify { ["args.amount"] = 10 } end
  return allow()
end)
on("move", "move", function(c)
  if c.args.id ~= "other" then return modify { ["args.id"] = "other" } end
  return allow()
end)
on("loop", "loop", function(c) return modify { ["args.n"] = c.args.n + 1 } end))",
            {MoneyTool("pay"), MoneyTool("move"), WriteTool("loop")});
  std::int64_t paid = 0;
  h.tools.On("pay", [&](const tools::CallSpec& spec, FakeTools::Done done) {
    paid = spec.args.value["amount"].get<std::int64_t>();
    done(PaidOutcome("10.00"));
  });
  const auto capped = h.Execute("pay", {{"id", "o1"}, {"amount", 50}});
  ASSERT_TRUE(capped.ok()) << capped.status();
  EXPECT_EQ(capped->state, CallState::kOk);
  EXPECT_EQ(paid, 10);
  EXPECT_EQ(h.Execute("move", {{"id", "o1"}})->code, "MODIFY_KEY");
  EXPECT_EQ(h.Execute("loop", {{"n", 1}})->code, "MODIFY_LOOP");
  EXPECT_EQ(h.tools.runs("move") + h.tools.runs("loop"), 0);
}

// ------------------------------------------------------------------ rule 7

TEST(Rules, Rule07_ResultIsReleasedBeforeThePlannerSeesIt) {
  Harness h(std::string(kPolicyHead) + R"(on("*", "all", function(c) return allow() end))",
            {ReadTool("orders.get")});
  h.tools.Answers("orders.get", {{"status", "paid"}});
  h.planner.plans = {FakePlanner::Calls({{"c1", "orders.get", "{}"}})};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kCompleted);
  const std::vector<std::string> kinds = h.Kinds(run->id);
  const auto at = [&](const char* kind) {
    return std::find(kinds.begin(), kinds.end(), kind) - kinds.begin();
  };
  EXPECT_LT(at("call.outcome"), at("result.released"));
  const auto second_plan =
      std::find(kinds.begin() + at("result.released"), kinds.end(), "plan.requested");
  EXPECT_NE(second_plan, kinds.end());
  EXPECT_THAT(h.planner.seen()[1].messages.back().text, HasSubstr("paid"));
}

// ------------------------------------------------------------------ rule 8

TEST(Rules, Rule08_ASecondEffectWithTheSameKeyIsDeniedAndNamesTheCall) {
  Harness h(std::string(kPolicyHead) + R"(on("*", "all", function(c) return allow() end))",
            {MoneyTool("pay")});
  h.tools.On("pay",
             [](const tools::CallSpec&, FakeTools::Done done) { done(PaidOutcome("5.00")); });
  const auto first = h.Execute("pay", {{"id", "o1"}, {"n", 1}});
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->state, CallState::kOk);
  h.Restart();
  const auto second = h.Execute("pay", {{"id", "o1"}, {"n", 2}});
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->code, "DUPLICATE_EFFECT");
  EXPECT_THAT(second->say, HasSubstr(first->id));
  EXPECT_EQ(h.tools.runs("pay"), 1);
}

TEST(Rules, Rule08_AFailureWithoutEffectFreesTheKey) {
  ToolSpec pay = MoneyTool("pay");
  pay.failure = tools::FailureMeaning::kNoEffect;
  Harness h(std::string(kPolicyHead) + R"(on("*", "all", function(c) return allow() end))", {pay});
  h.tools.Fails("pay", "CARD_DECLINED");
  EXPECT_EQ(h.Execute("pay", {{"id", "o1"}, {"n", 1}})->state, CallState::kFailed);
  h.tools.On("pay",
             [](const tools::CallSpec&, FakeTools::Done done) { done(PaidOutcome("5.00")); });
  EXPECT_EQ(h.Execute("pay", {{"id", "o1"}, {"n", 2}})->state, CallState::kOk);
}

// ------------------------------------------------------------------ rule 10

TEST(Rules, Rule10_TwoPersonsResolveMoney) {
  Harness h(WithBudget("100"), {MoneyTool("pay")});
  h.tools.On("pay", [](const tools::CallSpec&, FakeTools::Done done) { done(UnknownOutcome()); });
  const auto call = h.Execute("pay", {{"id", "o1"}, {"amount", 30}});
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->state, CallState::kUnknown);
  EXPECT_EQ(h.Budget("day").held, 3000);
  EXPECT_FALSE(h.Resolve(h.integrator, call->id, true).ok());  // not an operator
  const auto once = h.Resolve(h.operator_one, call->id, true);
  ASSERT_TRUE(once.ok()) << once.status();
  EXPECT_EQ(once->state, CallState::kUnknown);
  EXPECT_EQ(ReasonOf(h.Resolve(h.operator_one, call->id, true).status()), "SECOND_PERSON_NEEDED");
  EXPECT_EQ(ReasonOf(h.Resolve(h.operator_two, call->id, false).status()), "RESOLVERS_DISAGREE");
  const auto twice = h.Resolve(h.operator_two, call->id, true);
  ASSERT_TRUE(twice.ok()) << twice.status();
  EXPECT_EQ(twice->state, CallState::kOk);
  EXPECT_EQ(h.Budget("day").held, 0);
  EXPECT_EQ(h.Budget("day").settled, 3000);
  EXPECT_THAT(h.Kinds(""), Contains("call.resolved"));
}

// The newest word of each counts.
TEST(Rules, Rule10_AWrongFirstWordCanBeTakenBack) {
  Harness h(WithBudget("100"), {MoneyTool("pay")});
  h.tools.On("pay", [](const tools::CallSpec&, FakeTools::Done done) { done(UnknownOutcome()); });
  const auto call = h.Execute("pay", {{"id", "o1"}, {"amount", 30}});
  ASSERT_TRUE(call.ok()) << call.status();
  ASSERT_TRUE(h.Resolve(h.operator_one, call->id, true).ok());
  const core::Status disagrees = h.Resolve(h.operator_two, call->id, false).status();
  EXPECT_EQ(ReasonOf(disagrees), "RESOLVERS_DISAGREE");
  EXPECT_EQ(core::Message(disagrees),
            "`principal:ops1` said `happened`; say the same, or let them resolve it the other way "
            "first, which takes their word back");
  const auto changed = h.Resolve(h.operator_one, call->id, false);
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_EQ(changed->state, CallState::kUnknown)
      << "one person has changed a word, no second spoke";
  EXPECT_EQ(h.Budget("day").held, 3000);
  const core::Status again = h.Resolve(h.operator_one, call->id, false).status();
  EXPECT_EQ(ReasonOf(again), "SECOND_PERSON_NEEDED");
  EXPECT_EQ(core::Message(again),
            "you said so already, and another operator must confirm it; to take your word back, "
            "resolve it the other way");
  h.Restart();
  EXPECT_EQ(ReasonOf(h.Resolve(h.operator_two, call->id, true).status()), "RESOLVERS_DISAGREE");
  const auto twice = h.Resolve(h.operator_two, call->id, false);
  ASSERT_TRUE(twice.ok()) << twice.status();
  EXPECT_EQ(twice->state, CallState::kFailed);
  EXPECT_EQ(h.Budget("day").held, 0);
  EXPECT_EQ(h.Budget("day").settled, 0);
  EXPECT_EQ(ReasonOf(h.Resolve(h.operator_one, call->id, true).status()), "OUTCOME_KNOWN");
}

TEST(Rules, Rule10_ARunWaitsByNameForAPerson) {
  Harness h(std::string(kPolicyHead) + R"(on("*", "all", function(c) return allow() end))",
            {WriteTool("orders.cancel")});
  h.tools.On("orders.cancel",
             [](const tools::CallSpec&, FakeTools::Done done) { done(UnknownOutcome()); });
  h.planner.plans = {FakePlanner::Calls({{"c1", "orders.cancel", "{}"}})};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForPerson);
  h.Restart();
  const auto calls = h.CallsOf(run->id);
  ASSERT_EQ(calls.size(), 1u);
  ASSERT_TRUE(h.Resolve(h.operator_one, calls[0].id, true).ok());
  h.WaitForState(run->id, RunState::kCompleted);
  EXPECT_EQ(h.tools.runs("orders.cancel"), 1);
}

// ------------------------------------------------------------------ rule 11

TEST(Rules, Rule11_CancelWaitsForStartedWritesAndStopsReads) {
  Harness h(std::string(kPolicyHead) + R"(on("*", "all", function(c) return allow() end))",
            {WriteTool("orders.cancel"), ReadTool("slow.read")});
  h.tools.Holds("orders.cancel");
  h.tools.Holds("slow.read");
  h.planner.plans = {FakePlanner::Calls({{"a", "orders.cancel", "{}"}, {"b", "slow.read", "{}"}})};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.tools.WaitUntilHeld("orders.cancel", 1);
  h.tools.WaitUntilHeld("slow.read", 1);
  ASSERT_TRUE(h.Cancel(run->id).ok());
  h.WaitForState(run->id, RunState::kCancelling);
  h.tools.Release("slow.read", FailedOutcome("CANCELLED"));
  h.tools.Release("orders.cancel", OkOutcome({{"ok", true}}));
  h.WaitForState(run->id, RunState::kCancelled);
  EXPECT_EQ(h.tools.cancelled().size(), 1u);  // the read's
  for (const CallInfo& call : h.CallsOf(run->id)) {
    if (call.tool == "orders.cancel") {
      EXPECT_EQ(call.state, CallState::kOk);
    }
  }
}

TEST(Rules, Rule11_ACancelReachesTheRequestToTheModel) {
  Harness h(AllowAll(), {ReadTool("orders.get")});
  h.planner.Holds();
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.planner.WaitUntilHeld();
  ASSERT_TRUE(h.Cancel(run->id).ok());
  EXPECT_EQ(h.WaitForState(run->id, RunState::kCancelled).code, "CANCELLED");
}

// ------------------------------------------------------------------ rule 12

TEST(Rules, Rule12_AParkedDirectCallRunsOnlyWhenTheCallerAsksAgain) {
  Harness h(WithApproval(R"("role:cs-manager")", 1), PayTools());
  SetOrder(h, 10, false);
  h.tools.On("pay",
             [](const tools::CallSpec&, FakeTools::Done done) { done(PaidOutcome("10.00")); });
  const std::string request = h.NewRequestId();
  const auto parked = h.Execute("pay", {{"id", "o1"}}, request);
  ASSERT_TRUE(parked.ok()) << parked.status();
  ASSERT_EQ(parked->state, CallState::kParked);
  ASSERT_EQ(parked->approvals.size(), 1u);
  ASSERT_TRUE(h.AnswerApproval(h.manager, parked->approvals[0], true).ok());
  EXPECT_EQ(h.tools.runs("pay"), 0);
  h.Restart();
  const auto done = h.Execute("pay", {{"id", "o1"}}, request);
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(done->state, CallState::kOk) << done->code;
  EXPECT_EQ(done->id, parked->id);
  const auto again = h.Execute("pay", {{"id", "o1"}}, request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->id, done->id);
  EXPECT_EQ(h.tools.runs("pay"), 1);
  EXPECT_EQ(ReasonOf(h.Execute("pay", {{"id", "o2"}}, request).status()), "REQUEST_ID_REUSED");
}

TEST(Rules, Rule12_ADuplicateInFlightAttachesToTheFirst) {
  Harness h(std::string(kPolicyHead) + R"(on("*", "all", function(c) return allow() end))",
            {WriteTool("orders.cancel")});
  h.tools.Holds("orders.cancel");
  const std::string request = h.NewRequestId();
  auto first = std::async(std::launch::async, [&] {
    return h.Execute("orders.cancel", {{"id", "o1"}}, request);
  });
  h.tools.WaitUntilHeld("orders.cancel", 1);
  auto second = std::async(std::launch::async, [&] {
    return h.Execute("orders.cancel", {{"id", "o1"}}, request);
  });
  EXPECT_EQ(second.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  h.tools.Release("orders.cancel", OkOutcome({{"ok", true}}));
  EXPECT_EQ(first.get()->id, second.get()->id);
  EXPECT_EQ(h.tools.runs("orders.cancel"), 1);
}

// ------------------------------------------------------------------ rule 30 and the rest

TEST(Rules, Rule30_OthersDoNotSeeARun) {
  Harness h(std::string(kPolicyHead) + R"(on("*", "all", function(c) return allow() end))",
            {ReadTool("orders.get")});
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  const core::Principal stranger{.tenant = "main", .id = "stranger", .roles = {"integrator"}};
  EXPECT_EQ(ReasonOf(h.engine().GetRun(stranger, run->id).status()), "RUN_NOT_FOUND");
  EXPECT_TRUE(h.engine().GetRun(h.integrator, run->id).ok());
  h.WaitForState(run->id, RunState::kCompleted);
}

TEST(Rules, RequestIdMakesOneRun) {
  Harness h(std::string(kPolicyHead) + R"(on("*", "all", function(c) return allow() end))",
            {ReadTool("orders.get")});
  const std::string request = h.NewRequestId();
  const auto first = h.CreateRun("help", "u1", request);
  ASSERT_TRUE(first.ok()) << first.status();
  h.Restart();
  const auto second = h.CreateRun("help", "u1", request);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(first->id, second->id);
}

TEST(Rules, HostilePlansAreRefusedAndTheRunGoesOn) {
  Harness h(std::string(kPolicyHead) + R"(on("*", "all", function(c) return allow() end))",
            {ReadTool("orders.get")});
  h.tools.Answers("orders.get", {{"ok", true}});
  h.planner.plans = {
      FakePlanner::Calls({{"a", "rm -rf /", "{}"},
                          {"b", "orders.get", "not json"},
                          {"c", "orders.get", R"({"a":1,"a":2})"},
                          {"d", "orders.get", R"({"n":9223372036854775808})"},
                          {"e", "orders.get", R"({"n":NaN})"},
                          {"f", "orders.get", "\"" + std::string(1 << 20, 'x') + "\""},
                          {"g", std::string(100'000, 'y'), "{}"},
                          {"h", "orders.get", "{}"}})};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kCompleted);
  EXPECT_EQ(h.tools.runs("orders.get"), 1);
  int refused = 0;
  for (const CallInfo& call : h.CallsOf(run->id)) refused += call.state == CallState::kRefused;
  EXPECT_EQ(refused, 7);
}

TEST(Rules, WhatDoesNotFitARecordIsRefusedNotTriedForEver) {
  Harness h(std::string(kPolicyHead) + R"(
on("*", "all", function(c)
  for i = 1, 900 do
    if count { rule = "p/all", key = "k" .. i, within = "1h" } > 5 then return deny { code = "MANY" } end
  end
  return allow()
end))",
            {WriteTool("orders.cancel")});
  h.tools.Answers("orders.cancel", {{"ok", true}});
  const auto call = h.Execute("orders.cancel", {{"id", "o1"}});
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->state, CallState::kRefused);
  EXPECT_EQ(call->code, "TOO_LARGE");
  EXPECT_EQ(h.tools.runs("orders.cancel"), 0);
}

TEST(Rules, StepAndCallLimitsEndARun) {
  Harness h(std::string(kPolicyHead) + R"(on("*", "all", function(c) return allow() end))",
            {ReadTool("orders.get")});
  h.tools.Answers("orders.get", {{"ok", true}});
  for (int i = 0; i < 20; ++i)
    h.planner.plans.push_back(FakePlanner::Calls({{"c", "orders.get", "{}"}}));
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(h.WaitForState(run->id, RunState::kFailed).code, "STEP_LIMIT");
  EXPECT_EQ(h.tools.runs("orders.get"), 8);
}

TEST(Rules, AFailingPlannerFailsOneRun) {
  Harness h(std::string(kPolicyHead) + R"(on("*", "all", function(c) return allow() end))",
            {ReadTool("orders.get")});
  h.planner.plans = {core::Unavailable("no model")};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(h.WaitForState(run->id, RunState::kFailed).code, "PLANNER_UNAVAILABLE");
  h.planner.plans = {FakePlanner::Answer("fine")};
  const auto next = h.CreateRun();
  EXPECT_EQ(h.WaitForState(next->id, RunState::kCompleted).answer, "fine");
}

}  // namespace
}  // namespace interlock::runtime::test
