// People and runs below others: who edits, approves and writes is heard where it counts.
#include <gmock/gmock.h>

#include "cast.h"
#include "people.h"

namespace interlock::runtime::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

std::vector<ToolSpec> Tools() { return {ReadTool("orders.get"), MoneyTool("pay")}; }

// What is paid is what was asked for.
void PaysAsAsked(Harness& h) {
  h.tools.On("pay", [](const tools::CallSpec& spec, const FakeTools::Done& done) {
    done(PaidOutcome(spec.args.value.value("amount", "1.00")));
  });
}

Plan PaysNow(const std::string& amount, const std::string& id) {
  return CallsTool("pay", core::CanonicalJson({{"amount", amount}, {"id", id}}));
}

std::string ApprovalOf(Company& company) {
  const auto pending = company.h.Pending();
  EXPECT_THAT(pending, SizeIs(1));
  return pending.empty() ? "" : pending.front().state.id;
}

// ---------------------------------------------------------------- edits

const std::string kOnePurse = std::string(kPolicyHead) + R"(
local RUN = budget "run" { unit = "USD", limit = usd(10), per = "run", window = "1d" }
on("pay", "reserve", function(c) return reserve(RUN, usd(c.args.amount)) end)
on("pay", "ask", function(c)
  if c.call.depth == 0 then return allow() end
  return require_approval { approvers = { "role:cs-manager" }, expires = "1h", show = { "args.id" } }
end)
on("*", "all", function(c) return allow() end))";

TEST(Approvers, AnEditInARunBelowIsJudgedByThePurseOfTheTree) {
  Company company(kOnePurse, Tools());
  PaysAsAsked(company.h);
  company.cast.plans["tester"] = {PaysNow("6.00", "o1"), Asks("helper", "pay")};
  company.cast.plans["helper"] = {PaysNow("3.00", "o2")};
  const std::string run = company.Create();
  const std::string helper = company.Started(run);
  company.h.WaitForState(helper, RunState::kWaitingForApproval);
  const std::string approval = ApprovalOf(company);
  const auto over =
      EditArgs(company.h, company.h.manager, approval, R"({"amount":"5.00","id":"o2"})");
  EXPECT_EQ(ReasonOf(over.status()), "EDIT_DENIED");
  EXPECT_THAT(std::string(core::Message(over.status())), HasSubstr("BUDGET"));
  EXPECT_EQ(ApprovalOf(company), approval) << "the call waits as it did";
  const auto within =
      EditArgs(company.h, company.h.manager, approval, R"({"amount":"4.00","id":"o2"})");
  ASSERT_TRUE(within.ok()) << within.status();
  ASSERT_TRUE(company.h.AnswerApproval(company.h.second, ApprovalOf(company), true).ok());
  company.h.WaitForState(run, RunState::kCompleted);
  EXPECT_EQ(company.h.tools.runs("pay"), 2);
  for (const std::string& one : {run, helper}) ExpectMadeAnew(company.h, one, company.agents());
}

TEST(Approvers, AnEditInARunBelowIsJudgedWhereItStands) {
  Company company(std::string(kPolicyHead) + R"(
on("pay", "below", function(c)
  if c.call.depth == 0 then return deny { code = "AT_THE_TOP", say = "leave it to the helper" } end
  return require_approval { approvers = { "role:cs-manager" }, expires = "1h", show = { "args.id" } }
end)
on("agent.*", "all", function(c) return allow() end))",
                  Tools());
  PaysAsAsked(company.h);
  company.cast.plans["tester"] = {PaysNow("3.00", "o1"), Asks("helper", "pay")};
  company.cast.plans["helper"] = {PaysNow("3.00", "o2")};
  const std::string run = company.Create();
  const std::string helper = company.Started(run);
  company.h.WaitForState(helper, RunState::kWaitingForApproval);
  EXPECT_EQ(CodeOf(company, run, "pay"), "AT_THE_TOP");
  const auto edited =
      EditArgs(company.h, company.h.manager, ApprovalOf(company), R"({"amount":"2.00","id":"o2"})");
  ASSERT_TRUE(edited.ok()) << edited.status();
  ASSERT_TRUE(company.h.AnswerApproval(company.h.second, ApprovalOf(company), true).ok());
  company.h.WaitForState(run, RunState::kCompleted);
  EXPECT_EQ(company.h.tools.runs("pay"), 1);
}

const std::string kAskForBoth = std::string(kPolicyHead) + R"(
on({ "agent.helper", "pay" }, "ask", function(c)
  return require_approval { approvers = { "role:cs-manager" }, expires = "1h" }
end))";

TEST(Approvers, WhoEditedTheWordsThatAnAgentWasGivenDoesNotApproveWhatItThenDoes) {
  Company company(kAskForBoth, Tools());
  PaysAsAsked(company.h);
  company.cast.plans["tester"] = {Asks("helper", "pay order 1")};
  company.cast.plans["helper"] = {PaysNow("3.00", "o2")};
  const std::string run = company.Create();
  company.h.WaitForState(run, RunState::kWaitingForApproval);
  const auto edited =
      EditArgs(company.h, company.h.manager, ApprovalOf(company), R"({"message":"pay order 2"})");
  ASSERT_TRUE(edited.ok()) << edited.status();
  ASSERT_TRUE(company.h.AnswerApproval(company.h.second, ApprovalOf(company), true).ok());
  const std::string helper = company.Started(run);
  company.h.WaitForState(helper, RunState::kWaitingForApproval);
  EXPECT_EQ(company.cast.SeenBy("helper").front().messages.back().text, "pay order 2");
  const std::string approval = ApprovalOf(company);
  EXPECT_EQ(ReasonOf(company.h.AnswerApproval(company.h.manager, approval, true).status()),
            "NOT_AN_APPROVER");
  ASSERT_TRUE(company.h.AnswerApproval(company.h.second, approval, true).ok());
  company.h.WaitForState(run, RunState::kCompleted);
  EXPECT_EQ(company.h.tools.runs("pay"), 1);
  for (const std::string& one : {run, helper}) ExpectMadeAnew(company.h, one, company.agents());
}

// ---------------------------------------------------------------- messages (rule 15)

std::string AskFor(const std::string& approver) {
  return std::string(kPolicyHead) + R"(
on("pay", "ask", function(c)
  return require_approval { approvers = { ")" +
         approver + R"(" }, expires = "1h" }
end)
on("*", "all", function(c) return allow() end))";
}

// A helper whose payment waits.
Held ParkHelper(Company& company) {
  PaysAsAsked(company.h);
  company.cast.plans["tester"] = {Asks("helper", "pay"), FakePlanner::Answer("patience"),
                                  FakePlanner::Answer("all ok")};
  company.cast.plans["helper"] = {PaysNow("3.00", "o1"), FakePlanner::Answer("so be it")};
  Held held{.run = company.Create(), .helper = ""};
  held.helper = company.Started(held.run);
  company.h.WaitForState(held.helper, RunState::kWaitingForApproval);
  company.h.WaitForState(held.run, RunState::kWaitingForRun);
  return held;
}

TEST(Approvers, AMessageToTheRunAboveTakesBackWhatTheUserIsAskedToConfirmBelow) {
  for (const bool restarts : {false, true}) {
    Company company(AskFor("run-user"), Tools());
    const Held held = ParkHelper(company);
    const std::string approval = ApprovalOf(company);
    if (restarts) company.h.Restart();
    ASSERT_TRUE(company.h.Send(held.run, "no, do not pay").ok());
    company.h.WaitForState(held.run, RunState::kCompleted);
    EXPECT_EQ(CodeOf(company, held.helper, "pay"), "CONFIRMATION_VOIDED");
    EXPECT_EQ(
        ReasonOf(company.h.AnswerApproval(company.h.integrator, approval, true, "user").status()),
        "APPROVAL_ENDED");
    EXPECT_EQ(company.h.tools.runs("pay"), 0);
    for (const std::string& one : {held.run, held.helper}) {
      ExpectMadeAnew(company.h, one, company.agents());
    }
  }
}

TEST(Approvers, AMessageToOneTreeLeavesTheConfirmationsOfAnother) {
  Company company(AskFor("run-user"), Tools());
  const Held held = ParkHelper(company);
  const std::string approval = ApprovalOf(company);
  company.cast.plans["tester"] = {FakePlanner::Ask("Yes?")};
  const std::string other = company.Create();
  company.h.WaitForState(other, RunState::kWaitingForUser);
  ASSERT_TRUE(company.h.Send(other, "no").ok());
  EXPECT_EQ(ApprovalOf(company), approval);
  ASSERT_TRUE(company.h.AnswerApproval(company.h.integrator, approval, true, "user").ok());
  company.h.WaitForState(held.run, RunState::kCompleted);
  EXPECT_EQ(company.h.tools.runs("pay"), 1);
}

TEST(Approvers, AnApproverBelowIsToldThatTheUserWroteToTheRunAbove) {
  Company company(AskFor("role:cs-manager"), Tools());
  const Held held = ParkHelper(company);
  ASSERT_THAT(company.h.Pending(), SizeIs(1));
  EXPECT_FALSE(company.h.Pending().front().new_message_since);
  ASSERT_TRUE(company.h.Send(held.run, "how long?").ok());
  ASSERT_THAT(company.h.Pending(), SizeIs(1)) << "it is not his to void";
  EXPECT_TRUE(company.h.Pending().front().new_message_since);
  ASSERT_TRUE(company.h.AnswerApproval(company.h.manager, ApprovalOf(company), true).ok());
  company.h.WaitForState(held.run, RunState::kCompleted);
  EXPECT_EQ(company.h.tools.runs("pay"), 1);
}

TEST(Approvers, AnApprovalBelowNamesTheAgentsThatLedToIt) {
  Company company(AskFor("role:cs-manager"), Tools());
  const Held held = ParkHelper(company);
  const ApprovalInfo pending = company.h.Pending().at(0);
  EXPECT_THAT(pending.agents, ::testing::ElementsAre("tester", "helper"));
  EXPECT_EQ(pending.root, held.run);
  ASSERT_TRUE(company.h.AnswerApproval(company.h.manager, pending.state.id, false).ok());
  company.h.WaitForState(held.run, RunState::kCompleted);
  EXPECT_EQ(CodeOf(company, held.helper, "pay"), "APPROVAL_REJECTED");
  EXPECT_THAT(company.h.Kinds(held.helper), Not(Contains("call.intended")));
}

// ---------------------------------------------------------------- who told them (ADR 68)

const core::Principal kBoss{
    .tenant = "main", .id = "boss", .roles = {"operator", "approver", "cs-manager"}};

TEST(Approvers, WhoToldTheRunAboveDoesNotApproveWhatARunBelowAsks) {
  Company company(AskFor("role:cs-manager"), Tools());
  PaysAsAsked(company.h);
  company.cast.plans["tester"] = {FakePlanner::Ask("what now?"), Asks("helper", "pay"),
                                  FakePlanner::Answer("all ok")};
  company.cast.plans["helper"] = {Asks("clerk", "pay"), FakePlanner::Answer("paid")};
  company.cast.plans["clerk"] = {PaysNow("3.00", "o1"), FakePlanner::Answer("paid")};
  const std::string run = company.Create();
  company.h.WaitForState(run, RunState::kWaitingForUser);
  ASSERT_TRUE(company.h.SendAs(kBoss, run, "have them pay").ok());
  const std::string helper = company.Started(run);
  const std::string clerk = company.Started(helper);
  company.h.WaitForState(clerk, RunState::kWaitingForApproval);
  company.h.Restart();
  const std::string approval = ApprovalOf(company);
  const auto refused = company.h.AnswerApproval(kBoss, approval, true);
  EXPECT_EQ(std::string(core::Message(refused.status())),
            "whoever told the run what to do does not approve what it asks");
  ASSERT_TRUE(company.h.AnswerApproval(company.h.manager, approval, true).ok());
  company.h.WaitForState(run, RunState::kCompleted);
  EXPECT_EQ(company.h.tools.runs("pay"), 1);
  for (const std::string& one : {run, helper, clerk}) {
    ExpectMadeAnew(company.h, one, company.agents());
  }
}

TEST(Approvers, WhoToldARunBelowDoesNotApproveWhatFollowsFromItsAnswer) {
  Company company(AskFor("role:cs-manager"), Tools());
  PaysAsAsked(company.h);
  company.cast.plans["tester"] = {Asks("helper", "whom do we pay?"), PaysNow("3.00", "o1"),
                                  FakePlanner::Answer("all ok")};
  company.cast.plans["helper"] = {FakePlanner::Ask("whom?"), FakePlanner::Answer("order 1")};
  const std::string run = company.Create();
  const std::string helper = company.Started(run);
  company.h.WaitForState(helper, RunState::kWaitingForUser);
  ASSERT_TRUE(company.h.SendAs(kBoss, helper, "order 1").ok());
  company.h.WaitForState(run, RunState::kWaitingForApproval);
  const std::string approval = ApprovalOf(company);
  EXPECT_EQ(ReasonOf(company.h.AnswerApproval(kBoss, approval, true).status()), "NOT_AN_APPROVER");
  ASSERT_TRUE(company.h.AnswerApproval(company.h.manager, approval, true).ok());
  company.h.WaitForState(run, RunState::kCompleted);
  for (const std::string& one : {run, helper}) ExpectMadeAnew(company.h, one, company.agents());
}

TEST(Approvers, WhoToldOneTreeApprovesWhatAnotherAsks) {
  Company company(AskFor("role:cs-manager"), Tools());
  PaysAsAsked(company.h);
  company.cast.plans["tester"] = {FakePlanner::Ask("what now?")};
  const std::string told = company.Create();
  company.h.WaitForState(told, RunState::kWaitingForUser);
  ASSERT_TRUE(company.h.SendAs(kBoss, told, "nothing").ok());
  company.h.WaitForState(told, RunState::kCompleted);
  const Held held = ParkHelper(company);
  ASSERT_TRUE(company.h.AnswerApproval(kBoss, ApprovalOf(company), true).ok());
  company.h.WaitForState(held.run, RunState::kCompleted);
}

}  // namespace
}  // namespace interlock::runtime::test
