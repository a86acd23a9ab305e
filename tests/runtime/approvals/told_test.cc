// Who told a run what to do does not approve what it asks (ADR 68).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "replays.h"
#include "staged.h"

namespace interlock::runtime::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr const char* kRefused =
    "NOT_AN_APPROVER: whoever told the run what to do does not approve what it asks";

// An operator who may approve as well.
const core::Principal kBoss{
    .tenant = "main", .id = "boss", .roles = {"operator", "approver", "cs-manager"}};

const char* const kAsksManagers = R"(approvers = { "role:cs-manager" })";

// A run that waits for its user's word, and then pays.
std::string WaitsToPay(Harness& h) {
  h.planner.plans = {FakePlanner::Ask("how much?"), FakePlanner::Calls({{"c1", "pay", kSixty}}),
                     FakePlanner::Answer("done")};
  const auto run = h.CreateRun();
  EXPECT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForUser);
  return run->id;
}

core::Json AskedBody(Harness& h, const std::string& run) {
  core::Json body;
  for (const audit::Entry& entry : h.Entries(run)) {
    if (entry.kind == "approval.requested") body = core::Json::parse(entry.bytes)["body"];
  }
  return body;
}

TEST(Told, AnOperatorDoesNotApproveWhatHeToldTheRunToDo) {
  Harness h(Asks(kAsksManagers), PayTools());
  Paid paid(h);
  const std::string run = WaitsToPay(h);
  ASSERT_TRUE(h.SendAs(kBoss, run, "pay them 60").ok());
  h.WaitForState(run, RunState::kWaitingForApproval);
  const ApprovalInfo asked = h.Pending().at(0);
  EXPECT_THAT(asked.state.told_by, ElementsAre("principal:boss"));
  EXPECT_THAT(asked.state.editors, IsEmpty()) << "he changed no arguments";
  EXPECT_EQ(AskedBody(h, run)["told_by"], core::Json({"principal:boss"}));
  EXPECT_EQ(WhyNot(h.AnswerApproval(kBoss, asked.state.id, true).status()), kRefused);
  h.Restart();
  EXPECT_EQ(WhyNot(h.AnswerApproval(kBoss, asked.state.id, true).status()), kRefused);
  EXPECT_THAT(paid.args(), IsEmpty());
  ASSERT_TRUE(h.AnswerApproval(h.manager, asked.state.id, true).ok());
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_THAT(paid.args(), SizeIs(1));
  ExpectMadeAnew(h, run, {&h.agent});
}

TEST(Told, AnOperatorWhoSaidNothingApproves) {
  Harness h(Asks(kAsksManagers), PayTools());
  Paid paid(h);
  const std::string run = WaitsToPay(h);
  ASSERT_TRUE(h.Send(run, "60").ok()) << "the user's own";
  h.WaitForState(run, RunState::kWaitingForApproval);
  EXPECT_FALSE(AskedBody(h, run).contains("told_by"));
  ASSERT_TRUE(h.AnswerApproval(kBoss, h.Pending().at(0).state.id, true).ok());
  h.WaitForState(run, RunState::kCompleted);
  ExpectMadeAnew(h, run, {&h.agent});
}

TEST(Told, WhatWasAskedBeforeHeWroteHeMayApprove) {
  Harness h(Asks(kAsksManagers), PayTools());
  Paid paid(h);
  const std::string run = WaitsToPay(h);
  ASSERT_TRUE(h.Send(run, "60").ok());
  h.WaitForState(run, RunState::kWaitingForApproval);
  ASSERT_TRUE(h.SendAs(kBoss, run, "I am looking into it").ok());
  h.WaitFor(run, [](const RunInfo& info) { return info.steps >= 3; });
  ASSERT_TRUE(h.AnswerApproval(kBoss, h.Pending().at(0).state.id, true).ok());
  h.WaitForState(run, RunState::kCompleted);
}

TEST(Told, AMessageThatNobodyReadTellsNothing) {
  Harness h(Asks(kAsksManagers) + R"(
on(message(), "no-orders", function(c)
  if glob("*secretly*", c.message.text) then return deny { code = "NO" } end
end))",
            PayTools());
  Paid paid(h);
  const std::string run = WaitsToPay(h);
  ASSERT_TRUE(h.SendAs(kBoss, run, "secretly pay 60").ok());
  h.WaitForState(run, RunState::kWaitingForApproval);
  EXPECT_FALSE(AskedBody(h, run).contains("told_by"));
}

TEST(Told, HeEditsButDoesNotApprove) {
  Harness h(Asks(kAsksManagers), PayTools());
  Paid paid(h);
  const std::string run = WaitsToPay(h);
  ASSERT_TRUE(h.SendAs(kBoss, run, "pay them 60").ok());
  h.WaitForState(run, RunState::kWaitingForApproval);
  const auto edited = EditArgs(h, kBoss, h.Pending().at(0).state.id, R"({"amount":30,"id":"o1"})");
  ASSERT_TRUE(edited.ok()) << edited.status();
  const ApprovalInfo asked = h.Pending().at(0);
  EXPECT_THAT(asked.state.editors, ElementsAre("principal:boss"));
  EXPECT_THAT(asked.state.told_by, ElementsAre("principal:boss"));
  EXPECT_EQ(ReasonOf(h.AnswerApproval(kBoss, asked.state.id, true).status()), "NOT_AN_APPROVER");
  ASSERT_TRUE(h.AnswerApproval(h.second, asked.state.id, true).ok());
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_THAT(paid.args(), ElementsAre(R"({"amount":30,"id":"o1"})"));
  ExpectMadeAnew(h, run, {&h.agent});
}

TEST(Told, AnEditThatLeavesOnlyWhoToldItIsRefused) {
  Harness h(Asks(R"(approvers = { "user:boss", "user:maria" })"), PayTools());
  Paid paid(h);
  const std::string run = WaitsToPay(h);
  ASSERT_TRUE(h.SendAs(kBoss, run, "pay them 60").ok());
  h.WaitForState(run, RunState::kWaitingForApproval);
  const std::string approval = h.Pending().at(0).state.id;
  const auto edited = EditArgs(h, h.manager, approval, R"({"amount":30,"id":"o1"})");
  EXPECT_EQ(ReasonOf(edited.status()), "EDIT_DENIED");
  EXPECT_THAT(std::string(core::Message(edited.status())), HasSubstr("NOBODY_LEFT"));
  ASSERT_TRUE(h.AnswerApproval(h.manager, approval, true).ok()) << "she may say yes herself";
  h.WaitForState(run, RunState::kCompleted);
}

TEST(Told, NobodyHandsHimTheRight) {
  Harness h(Asks(kAsksManagers), PayTools());
  Paid paid(h);
  const std::string run = WaitsToPay(h);
  const core::Principal ops{.tenant = "main", .id = "ops", .roles = {"operator", "approver"}};
  ASSERT_TRUE(h.SendAs(ops, run, "pay them 60").ok());
  h.WaitForState(run, RunState::kWaitingForApproval);
  const std::string approval = h.Pending().at(0).state.id;
  EXPECT_EQ(WhyNot(HandOn(h, h.manager, approval, "ops").status()),
            "NOT_A_DELEGATE: whoever told the run what to do does not approve what it asks");
  ASSERT_TRUE(HandOn(h, h.manager, "", "ops", h.clock.WallMicros() + kMinute).ok())
      << "all at once, of which this is none";
  EXPECT_EQ(ReasonOf(h.AnswerApproval(ops, approval, true).status()), "NOT_AN_APPROVER");
  ASSERT_TRUE(HandOn(h, h.manager, approval, "li").ok());
  ASSERT_TRUE(h.AnswerApproval(kDeputy, approval, true).ok());
  h.WaitForState(run, RunState::kCompleted);
}

}  // namespace
}  // namespace interlock::runtime::test
