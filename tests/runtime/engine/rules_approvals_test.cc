// DESIGN's rules 13 to 15: holds, approvals and messages, each as a test of the whole engine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rules.h"

namespace interlock::runtime::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

// ------------------------------------------------------------------ rule 13

TEST(Rules, Rule13_HoldWithOpenIntentNeverExpires) {
  Harness h(WithBudget("100"), {MoneyTool("pay")});
  h.tools.On("pay", [](const tools::CallSpec&, FakeTools::Done done) { done(UnknownOutcome()); });
  const auto call = h.Execute("pay", {{"id", "o1"}, {"amount", 30}});
  ASSERT_EQ(call->state, CallState::kUnknown);
  h.clock.Shift(40ll * 60 * 1'000'000);
  h.Restart();
  EXPECT_EQ(h.Budget("day").held, 3000);
}

TEST(Rules, Rule13_OnlyAWellFormedReportWithinTheHoldIsSettled) {
  Harness h(WithBudget("1000"), {MoneyTool("pay")});
  const auto settle = [&](const std::string& id, const tools::Outcome& outcome) {
    h.tools.On("pay", [outcome](const tools::CallSpec&, FakeTools::Done done) { done(outcome); });
    const std::int64_t before = h.Budget("day").settled;
    EXPECT_EQ(h.Execute("pay", {{"id", id}, {"amount", 30}})->state, CallState::kOk);
    return h.Budget("day").settled - before;
  };
  EXPECT_EQ(settle("less", PaidOutcome("12.50")), 1250);
  EXPECT_EQ(settle("more", PaidOutcome("99.00")), 3000);
  EXPECT_EQ(settle("other", OkOutcome({{"amount", "5.00"}, {"currency", "EUR"}})), 3000);
  EXPECT_EQ(settle("none", OkOutcome({{"ok", true}})), 3000);
  EXPECT_EQ(h.Budget("day").held, 0);
}

TEST(Rules, Rule13_ReleasedOnlyWhenItNeverHappened) {
  ToolSpec pay = MoneyTool("pay");
  pay.failure = tools::FailureMeaning::kNoEffect;
  Harness h(WithBudget("100"), {pay});
  h.tools.Fails("pay", "CARD_DECLINED");
  EXPECT_EQ(h.Execute("pay", {{"id", "o1"}, {"amount", 30}})->state, CallState::kFailed);
  EXPECT_EQ(h.Budget("day").held, 0);
  EXPECT_EQ(h.Budget("day").settled, 0);
}

TEST(Rules, Rule13_NoHoldWhileParked) {
  Harness h(
      std::string(kPolicyHead) +
          R"(local DAY = budget "day" { unit = "USD", limit = usd(50), per = "tenant", window = "1d" }
on("pay", "reserve", function(c) return reserve(DAY, usd(c.args.amount)) end)
on("pay", "ask", function(c)
  if c.args.amount > 20 then return require_approval { approvers = { "role:cs-manager" }, expires = "1h" } end
  return allow()
end))",
      {MoneyTool("pay")});
  h.tools.On("pay", [](const tools::CallSpec& spec, FakeTools::Done done) {
    done(PaidOutcome(std::to_string(spec.args.value["amount"].get<int>()) + ".00"));
  });
  const std::string request = h.NewRequestId();
  const auto parked = h.Execute("pay", {{"id", "o1"}, {"amount", 40}}, request);
  ASSERT_EQ(parked->state, CallState::kParked);
  EXPECT_EQ(h.Budget("day").held, 0);
  EXPECT_EQ(h.Execute("pay", {{"id", "o2"}, {"amount", 20}})->state, CallState::kOk);
  ASSERT_TRUE(h.AnswerApproval(h.manager, parked->approvals[0], true).ok());
  const auto denied = h.Execute("pay", {{"id", "o1"}, {"amount", 40}}, request);
  ASSERT_TRUE(denied.ok()) << denied.status();
  EXPECT_EQ(denied->state, CallState::kDenied);
  EXPECT_EQ(denied->code, "BUDGET");
}

// ------------------------------------------------------------------ rule 14

TEST(Rules, Rule14_AnApprovalNeverOverridesADeny) {
  Harness h(WithApproval(R"("role:cs-manager")", 1), PayTools());
  SetOrder(h, 10, false);
  const std::string request = h.NewRequestId();
  const auto parked = h.Execute("pay", {{"id", "o1"}}, request);
  ASSERT_TRUE(h.AnswerApproval(h.manager, parked->approvals[0], true).ok());
  SetOrder(h, 10, true);  // the world moved while it was parked
  const auto denied = h.Execute("pay", {{"id", "o1"}}, request);
  ASSERT_TRUE(denied.ok()) << denied.status();
  EXPECT_EQ(denied->code, "BLOCKED");
  EXPECT_EQ(h.tools.runs("pay"), 0);
}

TEST(Rules, Rule14_OtherShownValuesNeedANewApproval) {
  Harness h(WithApproval(R"("role:cs-manager")", 1), PayTools());
  SetOrder(h, 10, false);
  const std::string request = h.NewRequestId();
  const auto parked = h.Execute("pay", {{"id", "o1"}}, request);
  ASSERT_TRUE(h.AnswerApproval(h.manager, parked->approvals[0], true).ok());
  SetOrder(h, 99, false);
  const auto again = h.Execute("pay", {{"id", "o1"}}, request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->state, CallState::kParked);
  EXPECT_NE(again->approvals, parked->approvals);
  EXPECT_EQ(h.tools.runs("pay"), 0);
}

TEST(Rules, Rule14_QuorumRolesAndNoSelfApproval) {
  Harness h(WithApproval(R"("role:cs-manager")", 2), PayTools());
  SetOrder(h, 10, false);
  h.integrator.roles.push_back("cs-manager");
  h.planner.plans = {FakePlanner::Calls({{"c1", "pay", R"({"id":"o1"})"}})};
  h.tools.On("pay",
             [](const tools::CallSpec&, FakeTools::Done done) { done(PaidOutcome("10.00")); });
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForApproval);
  const std::string approval = h.Pending().at(0).state.id;
  EXPECT_EQ(ReasonOf(h.AnswerApproval(h.integrator, approval, true).status()),
            "NOT_AN_APPROVER");  // asked for it
  EXPECT_EQ(ReasonOf(h.AnswerApproval(h.operator_one, approval, true).status()),
            "NOT_AN_APPROVER");  // wrong role
  ASSERT_TRUE(h.AnswerApproval(h.manager, approval, true).ok());
  ASSERT_TRUE(h.AnswerApproval(h.manager, approval, true).ok());  // counts once
  EXPECT_EQ(h.tools.runs("pay"), 0);
  ASSERT_TRUE(h.AnswerApproval(h.second, approval, true).ok());
  h.WaitForState(run->id, RunState::kCompleted);
  EXPECT_EQ(h.tools.runs("pay"), 1);
  EXPECT_THAT(h.Kinds(run->id), Contains("approval.consumed"));
}

TEST(Rules, Rule14_RejectionAndExpiryDeny) {
  Harness h(WithApproval(R"("role:cs-manager")", 1), PayTools());
  SetOrder(h, 10, false);
  h.planner.plans = {FakePlanner::Calls({{"c1", "pay", R"({"id":"o1"})"}}),
                     FakePlanner::Calls({{"c2", "pay", R"({"id":"o2"})"}})};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForApproval);
  ASSERT_TRUE(h.AnswerApproval(h.manager, h.Pending().at(0).state.id, false).ok());
  h.WaitFor(run->id, [&](const RunInfo& info) {
    return info.steps == 2 && info.state == RunState::kWaitingForApproval;
  });
  h.clock.Shift(59ll * 60 * 1'000'000);
  EXPECT_EQ(h.Pending().size(), 1u);
  h.clock.Shift(2ll * 60 * 1'000'000);
  h.WaitForState(run->id, RunState::kCompleted);
  EXPECT_EQ(h.tools.runs("pay"), 0);
  EXPECT_THAT(h.planner.seen()[1].messages.back().text, HasSubstr("APPROVAL_REJECTED"));
  EXPECT_THAT(h.planner.seen()[2].messages.back().text, HasSubstr("APPROVAL_EXPIRED"));
}

std::string AsksTwo(const std::string& first, const std::string& second) {
  const auto rule = [](const std::string& name, const std::string& asked) {
    return "on(\"pay\", \"" + name + "\", function(c) return require_approval { " + asked +
           " } end)\n";
  };
  return std::string(kPolicyHead) + rule("manager", first) + rule("operator", second);
}

// A run whose one call is parked; its tool takes what it is asked for.
std::string ParkOnPay(Harness& h) {
  Pays(h, "5.00");
  h.planner.plans = {FakePlanner::Calls({{"a", "pay", R"({"id":"o1"})"}})};
  const auto run = h.CreateRun();
  EXPECT_TRUE(run.ok()) << run.status();
  if (!run.ok()) return "";
  h.WaitForState(run->id, RunState::kWaitingForApproval);
  return run->id;
}

// Both are needed, so neither is of use for longer than the other.
TEST(Rules, Rule14_ACallIsDeniedWhenTheFirstOfItsApprovalsExpiresGrantedOrNot) {
  Harness h(AsksTwo(R"(approvers = { "role:cs-manager" }, expires = "30m")",
                    R"(approvers = { "role:director" }, expires = "50m", remind = "35m")"),
            PayTools());
  const std::string run = ParkOnPay(h);
  const auto pending = h.Pending();
  ASSERT_EQ(pending.size(), 2u);
  EXPECT_EQ(pending[0].state.expires_us, pending[1].state.expires_us);
  for (const ApprovalInfo& one : pending) {  // the manager's; he is no director
    static_cast<void>(h.AnswerApproval(h.manager, one.state.id, true));
  }
  ASSERT_EQ(h.Pending().size(), 1u);
  h.Stop();
  h.clock.Shift(31 * kMinuteMicros);
  h.Start();
  h.WaitForState(run, RunState::kCompleted);  // its planner goes on
  EXPECT_EQ(h.CallsOf(run).at(0).code, "APPROVAL_EXPIRED");
  EXPECT_TRUE(h.Pending().empty());
  EXPECT_EQ(h.tools.runs("pay"), 0);
  h.Stop();
  h.clock.Shift(20 * kMinuteMicros);
  h.Start();
  EXPECT_THAT(h.Kinds(run), Contains("approval.expired").Times(1));
  EXPECT_THAT(h.Kinds(run), Contains("approval.reminded").Times(0));
}

TEST(Rules, Rule14_BothInTimeLetItGo) {
  Harness h(AsksTwo(R"(approvers = { "role:cs-manager" }, expires = "30m")",
                    R"(approvers = { "role:operator" }, expires = "50m")"),
            PayTools());
  const std::string run = ParkOnPay(h);
  const core::Principal otto{.tenant = "main", .id = "otto", .roles = {"approver", "operator"}};
  for (const ApprovalInfo& one : h.Pending()) {
    const bool managers = h.AnswerApproval(h.manager, one.state.id, true).ok();
    EXPECT_TRUE(managers || h.AnswerApproval(otto, one.state.id, true).ok());
    h.clock.Shift(10 * kMinuteMicros);
  }
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_EQ(h.tools.runs("pay"), 1);
}

TEST(Rules, Rule14_ParkedCallsSurviveARestartAndAreConsumedOnce) {
  Harness h(WithApproval(R"("role:cs-manager")", 1), PayTools());
  SetOrder(h, 10, false);
  h.planner.plans = {FakePlanner::Calls({{"c1", "pay", R"({"id":"o1"})"}})};
  h.tools.On("pay",
             [](const tools::CallSpec&, FakeTools::Done done) { done(PaidOutcome("10.00")); });
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForApproval);
  h.Restart();
  const std::string approval = h.Pending().at(0).state.id;
  ASSERT_TRUE(h.AnswerApproval(h.manager, approval, true).ok());
  h.WaitForState(run->id, RunState::kCompleted);
  h.Restart();
  EXPECT_EQ(ReasonOf(h.AnswerApproval(h.second, approval, true).status()), "APPROVAL_ENDED");
  EXPECT_EQ(h.tools.runs("pay"), 1);
}

// ------------------------------------------------------------------ rule 15

TEST(Rules, Rule15_ANewMessageVoidsTheUsersOwnConfirmation) {
  Harness h(WithApproval(R"("run-user")", 1), PayTools());
  SetOrder(h, 10, false);
  h.planner.plans = {FakePlanner::Calls({{"c1", "pay", R"({"id":"o1"})"}}),
                     FakePlanner::Answer("as you wish")};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForApproval);
  const std::string approval = h.Pending().at(0).state.id;
  ASSERT_TRUE(h.Send(run->id, "wait, not that one").ok());
  h.WaitForState(run->id, RunState::kCompleted);
  EXPECT_EQ(ReasonOf(h.AnswerApproval(h.integrator, approval, true, "user").status()),
            "APPROVAL_ENDED");
  EXPECT_EQ(h.tools.runs("pay"), 0);
  EXPECT_EQ(h.planner.seen()[1].messages.back().text, "wait, not that one");
}

TEST(Rules, Rule15_AMessageIsReadInTheNextPlanAndOtherApprovalsStay) {
  Harness h(WithApproval(R"("role:cs-manager")", 1), PayTools());
  SetOrder(h, 10, false);
  h.planner.plans = {FakePlanner::Calls({{"c1", "pay", R"({"id":"o1"})"}}),
                     FakePlanner::Answer("it is with the manager")};
  h.tools.On("pay",
             [](const tools::CallSpec&, FakeTools::Done done) { done(PaidOutcome("10.00")); });
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForApproval);
  ASSERT_TRUE(h.Send(run->id, "how long?").ok());
  h.WaitFor(run->id, [&](const RunInfo& info) {
    return info.steps == 2 && info.state == RunState::kWaitingForApproval;
  });
  const auto pending = h.Pending();
  ASSERT_EQ(pending.size(), 1u);
  EXPECT_TRUE(pending[0].new_message_since);
  EXPECT_THAT(h.planner.seen()[1].messages[3].text, HasSubstr("pending"));
  ASSERT_TRUE(h.AnswerApproval(h.manager, pending[0].state.id, true).ok());
  h.WaitForState(run->id, RunState::kCompleted);
  EXPECT_EQ(h.tools.runs("pay"), 1);
}

}  // namespace
}  // namespace interlock::runtime::test
