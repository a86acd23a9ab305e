// Open approvals: whose word a message takes back, how long a grant lasts, how they end (rules 14
// and 15).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <map>

#include "rules.h"

namespace interlock::runtime::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

// A run whose only call, `pay`, waits for approval.
std::string ParkedRun(Harness& h) {
  h.planner.plans = {FakePlanner::Calls({{"c1", "pay", R"({"id":"o1"})"}}),
                     FakePlanner::Answer("as you wish")};
  Pays(h, "5.00");
  const auto run = h.CreateRun();
  EXPECT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForApproval);
  return run->id;
}

TEST(OpenApprovals, Rule15_AMessageVoidsEveryConfirmationThatTheUserCouldGive) {
  for (const char* approvers : {R"("run-user")", R"("user:u1")", R"("run-user", "role:cs-manager")",
                                R"("role:cs-manager", "user:u1")"}) {
    SCOPED_TRACE(approvers);
    Harness h(AskAlways(approvers), {MoneyTool("pay")});
    const std::string run = ParkedRun(h);
    h.Restart();
    const std::string approval = h.Pending().at(0).state.id;
    ASSERT_TRUE(h.Send(run, "wait, no").ok());
    h.WaitForState(run, RunState::kCompleted);
    EXPECT_EQ(ReasonOf(h.AnswerApproval(h.manager, approval, true).status()), "APPROVAL_ENDED");
    EXPECT_EQ(h.CallsOf(run).at(0).code, "CONFIRMATION_VOIDED");
    EXPECT_EQ(h.tools.runs("pay"), 0);
  }
}

TEST(OpenApprovals, Rule15_AMessageVoidsWhatTheUserCouldGiveOnceItEscalates) {
  for (const char* to : {"run-user", "user:u1", "user:u2"}) {
    SCOPED_TRACE(to);
    Harness h(std::string(kPolicyHead) + R"(on("pay", "ask", function(c)
  return require_approval { approvers = { "role:cs-manager" }, expires = "1h",
                            escalate = { after = "30m", to = { ")" +
                  to + R"(" } } }
end))",
              {MoneyTool("pay")});
    const std::string run = ParkedRun(h);
    h.Restart();
    const std::string approval = h.Pending().at(0).state.id;
    ASSERT_TRUE(h.Send(run, "wait, no").ok());
    const bool his = std::string(to) != "user:u2";
    const auto answered = h.AnswerApproval(h.manager, approval, true);
    EXPECT_EQ(answered.ok() ? "granted" : ReasonOf(answered.status()),
              his ? "APPROVAL_ENDED" : "granted");
    h.WaitForState(run, RunState::kCompleted);
    EXPECT_EQ(h.tools.runs("pay"), his ? 0 : 1);
  }
}

TEST(OpenApprovals, Rule15_AMessageLeavesApprovalsOfOthersOpen) {
  for (const char* approvers : {R"("role:cs-manager")", R"("user:maria")"}) {
    SCOPED_TRACE(approvers);
    Harness h(AskAlways(approvers), {MoneyTool("pay")});
    const std::string run = ParkedRun(h);
    const std::string approval = h.Pending().at(0).state.id;
    ASSERT_TRUE(h.Send(run, "how long?").ok());
    ASSERT_TRUE(h.AnswerApproval(h.manager, approval, true).ok());
    h.WaitForState(run, RunState::kCompleted);
    EXPECT_EQ(h.tools.runs("pay"), 1);
  }
}

TEST(OpenApprovals, Rule15_AMessageTakesBackAYesThatWasNotUsedYetAndItsSiblings) {
  Harness h(std::string(kPolicyHead) + R"(on("pay", "user", function(c)
  return require_approval { approvers = { "run-user" }, expires = "1h" }
end)
on("pay", "manager", function(c)
  return require_approval { approvers = { "role:cs-manager" }, expires = "1h" }
end))",
            {MoneyTool("pay")});
  const std::string run = ParkedRun(h);
  std::string users;
  std::string managers;
  for (const ApprovalInfo& approval : h.Pending()) {
    (approval.state.demand.approvers[0] == "run-user" ? users : managers) = approval.state.id;
  }
  ASSERT_TRUE(h.AnswerApproval(h.integrator, users, true, "user").ok());
  ASSERT_TRUE(h.Send(run, "wait, no").ok());
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_EQ(ReasonOf(h.AnswerApproval(h.manager, managers, true).status()), "APPROVAL_ENDED");
  EXPECT_EQ(h.tools.runs("pay"), 0);
  EXPECT_THAT(h.Kinds(run), Not(Contains("call.intended")));
}

TEST(OpenApprovals, Rule30_NobodyRelaysAUserThatTheRunDoesNotHave) {
  Harness h(AskAlways(R"("role:cs-manager")"), {MoneyTool("pay")});
  Pays(h, "5.00");
  h.planner.plans = {FakePlanner::Calls({{"c1", "pay", R"({"id":"o1"})"}})};
  const auto run = h.CreateRun("help", "");
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForApproval);
  const core::Principal relay{.tenant = "main", .id = "bot", .roles = {"user-relay", "cs-manager"}};
  const std::string approval = h.Pending().at(0).state.id;
  EXPECT_EQ(ReasonOf(h.AnswerApproval(relay, approval, true, "user").status()), "NOT_THE_USER");
  EXPECT_EQ(h.Pending().size(), 1u);
  ASSERT_TRUE(h.AnswerApproval(h.manager, approval, true).ok());
  h.WaitForState(run->id, RunState::kCompleted);
}

TEST(OpenApprovals, Rule14_AGrantThatIsNotUsedInTimeHasExpired) {
  Harness h(AskAlways(R"("role:cs-manager")", "15m"), {MoneyTool("pay")});
  Pays(h, "5.00");
  const auto grant = [&](const std::string& id, const std::string& request) {
    const auto parked = h.Execute("pay", {{"id", id}}, request);
    ASSERT_TRUE(parked.ok()) << parked.status();
    ASSERT_TRUE(h.AnswerApproval(h.manager, parked->approvals.at(0), true).ok());
  };
  const std::string late = h.NewRequestId();
  grant("o1", late);
  h.clock.Shift(14 * kMinuteMicros);
  const std::string prompt = h.NewRequestId();
  grant("o2", prompt);
  h.clock.Shift(2 * kMinuteMicros);
  EXPECT_EQ(h.Execute("pay", {{"id", "o1"}}, late)->code, "APPROVAL_EXPIRED");
  EXPECT_EQ(h.Execute("pay", {{"id", "o2"}}, prompt)->state, CallState::kOk);
  EXPECT_EQ(h.tools.runs("pay"), 1);
}

TEST(OpenApprovals, AHalfGivenApprovalIsTakenUpAgain) {
  Harness h(AskAlways(R"("role:cs-manager")"), {MoneyTool("pay")});
  const std::string run = ParkedRun(h);
  h.Restart();
  ASSERT_TRUE(h.AnswerApproval(h.manager, h.Pending().at(0).state.id, true).ok());
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_EQ(h.tools.runs("pay"), 1);
}

TEST(OpenApprovals, AnApprovalEndsOnce) {
  Harness h(AskAlways(R"("role:cs-manager")"), {MoneyTool("pay")});
  for (int i = 0; i < 25; ++i) {
    const std::string run = ParkedRun(h);
    const std::string approval = h.Pending().at(0).state.id;
    auto rejected = std::async(std::launch::async,
                               [&] { return h.AnswerApproval(h.manager, approval, false); });
    auto cancelled = std::async(std::launch::async, [&] { return h.Cancel(run); });
    (void)rejected.get();
    (void)cancelled.get();
    h.WaitFor(run, [](const RunInfo& info) { return IsFinal(info.state); });
  }
  std::map<std::string, int> ends;
  for (const audit::Entry& entry : h.Entries("")) {
    if (entry.kind != "approval.rejected" && entry.kind != "approval.voided") continue;
    const auto view = core::JsonObjectView::Of(entry.bytes);
    ++ends[*view->Object("body")->String("approval")];
  }
  EXPECT_EQ(ends.size(), 25u);
  for (const auto& [approval, count] : ends) EXPECT_EQ(count, 1) << approval;
}

}  // namespace
}  // namespace interlock::runtime::test
