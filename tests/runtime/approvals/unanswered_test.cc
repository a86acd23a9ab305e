// Approvals that nobody can give: they wait on, and say so. Calls that nobody comes for: they end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "staged.h"

namespace interlock::runtime::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

using People = std::vector<core::Principal>;

void Configure(Harness& h, const People& people) {
  h.principals = std::make_shared<const People>(people);
  h.Restart();
}

std::vector<std::string> Warned(Harness& h) {
  const std::lock_guard lock(h.warned_mutex);
  std::vector<std::string> lines;
  for (const std::string& line : h.warned) {
    if (line.find("nobody can give approval") != std::string::npos) lines.push_back(line);
  }
  return lines;
}

TEST(Unanswered, WhatNobodyCanGiveWaitsAndSaysSoUntilSomebodyCan) {
  Harness h(Asks(R"(approvers = { "role:director" })"), PayTools());
  Paid paid(h);
  Configure(h, {h.integrator, h.manager, h.operator_one});
  const std::string run = ParkedPay(h, kSixty);
  const ApprovalInfo asked = h.Pending().at(0);
  EXPECT_EQ(asked.unanswerable,
            "it needs 1 more of role:director, and nobody of the configured principals may answer");
  EXPECT_EQ(h.Pending().at(0).unanswerable, asked.unanswerable);
  ASSERT_THAT(Warned(h), SizeIs(1)) << "once, however often it is looked at";
  EXPECT_THAT(Warned(h)[0], HasSubstr(asked.state.id));
  EXPECT_THAT(h.engine().warnings(),
              Contains(HasSubstr("1 approval waits for people who are not there")));
  EXPECT_EQ(h.CallsOf(run).at(0).state, CallState::kParked);

  Configure(h, {h.integrator, h.manager, kDina});
  EXPECT_EQ(h.Pending().at(0).unanswerable, "");
  EXPECT_THAT(h.engine().warnings(), Not(Contains(HasSubstr("who are not there"))));
  ASSERT_TRUE(h.AnswerApproval(kDina, asked.state.id, true).ok());
  h.WaitForState(run, RunState::kCompleted);
}

TEST(Unanswered, AnEditThatLeavesTooFewOfThoseWhoAreThereIsRefused) {
  Harness h(PayPolicy(R"("role:cs-manager")", 2), PayTools());
  Paid paid(h);
  Configure(h, {h.integrator, h.manager, h.second, h.operator_one});
  const std::string run = ParkedPay(h, kSixty);
  const ApprovalInfo asked = h.Pending().at(0);
  EXPECT_EQ(asked.unanswerable, "");
  const std::string thirty = R"({"amount":30,"id":"o1"})";
  const auto edited = EditArgs(h, h.manager, asked.state.id, thirty);
  EXPECT_THAT(std::string(core::Message(edited.status())), HasSubstr("(NOBODY_LEFT)"));
  EXPECT_EQ(h.Pending().at(0).state.id, asked.state.id) << "it waits on, as it was";
  EXPECT_THAT(h.Kinds(run), Contains("call.edit_refused").Times(1));
  EXPECT_TRUE(EditArgs(h, h.manager, asked.state.id, R"({"amount":10,"id":"o1"})").ok())
      << "nobody is asked";
  h.WaitForState(run, RunState::kCompleted);

  Harness wide(PayPolicy(R"("role:cs-manager")", 2), PayTools());
  Paid paid_there(wide);
  Configure(wide, {wide.integrator,
                   wide.manager,
                   wide.second,
                   wide.operator_one,
                   {.tenant = "main", .id = "nora", .roles = {"approver", "cs-manager"}}});
  ParkedPay(wide, kSixty);
  EXPECT_TRUE(EditArgs(wide, wide.manager, wide.Pending().at(0).state.id, thirty).ok());
  EXPECT_EQ(wide.Pending().at(0).unanswerable, "") << "two others are there";
}

TEST(Unanswered, AStartFindsWhatWasAskedBefore) {
  Harness h(Asks(R"(approvers = { "role:cs-manager" })"), PayTools());
  Paid paid(h);
  Configure(h, {h.integrator, h.manager});
  ParkedPay(h, kSixty);
  const std::string approval = h.Pending().at(0).state.id;
  EXPECT_EQ(h.Pending().at(0).unanswerable, "");
  EXPECT_THAT(Warned(h), IsEmpty());
  Configure(h, {h.integrator, h.operator_one});  // she has left
  h.Stop();                                      // what was begun at the start is done first
  ASSERT_THAT(Warned(h), SizeIs(1));
  EXPECT_THAT(Warned(h)[0], HasSubstr(approval));
  h.Start();
}

TEST(Unanswered, WhoMadeTheRunCountsForNobody) {
  Harness h(Asks(R"(approvers = { "user:ticketing" })"), PayTools());
  Paid paid(h);
  h.integrator.roles.emplace_back("approver");
  Configure(h, {h.integrator, h.manager});
  ParkedPay(h, kSixty);
  EXPECT_THAT(h.Pending().at(0).unanswerable,
              HasSubstr("(`ticketing`: whoever made the run does not approve its calls)"));
}

TEST(Unanswered, NobodyKnowsWithoutAConfiguration) {
  Harness h(Asks(R"(approvers = { "role:director" })"), PayTools());
  Paid paid(h);
  ParkedPay(h, kSixty);
  EXPECT_EQ(h.Pending().at(0).unanswerable, "");
  EXPECT_THAT(Warned(h), IsEmpty());
}

TEST(Unanswered, ARightIsHandedToNobodyWhoIsNotThere) {
  Harness h(Asks(R"(approvers = { "role:cs-manager" })"), PayTools());
  Paid paid(h);
  Configure(h, {h.integrator, h.manager, h.auditor, kDeputy});
  const std::string run = ParkedPay(h, kSixty);
  const std::string approval = h.Pending().at(0).state.id;
  EXPECT_EQ(WhyNot(HandOn(h, h.manager, approval, "lee").status()),
            "UNKNOWN_PRINCIPAL: `to` names `lee`, and no principal of this tenant is called so");
  EXPECT_EQ(WhyNot(HandOn(h, h.manager, approval, "audra").status()),
            "UNKNOWN_PRINCIPAL: `to` names `audra`, who lacks the role `approver` to answer");
  ASSERT_TRUE(HandOn(h, h.manager, approval, "li").ok());
  Configure(h, {h.integrator, h.manager});  // the deputy has left
  EXPECT_TRUE(TakeBack(h, h.manager, approval, "li").ok());
  ASSERT_TRUE(h.AnswerApproval(h.manager, approval, true).ok());
  h.WaitForState(run, RunState::kCompleted);
}

// Freed of its approvals it waits for its caller alone, and no longer than they would have.
TEST(Unanswered, ACallThatNobodyComesForIsWithdrawn) {
  Harness h(PayPolicy(), PayTools());
  Paid paid(h);
  const std::string request = h.NewRequestId();
  const core::Json args = {{"id", "o1"}, {"amount", 60}};
  const auto parked = h.Execute("pay", args, request);
  ASSERT_TRUE(parked.ok()) << parked.status();
  ASSERT_TRUE(EditArgs(h, h.manager, parked->approvals[0], R"({"amount":10,"id":"o1"})").ok());
  EXPECT_THAT(h.Pending(), IsEmpty());
  h.clock.Shift(59ll * 60 * 1'000'000);
  h.Restart();
  EXPECT_EQ(h.engine().GetCall(h.operator_one, parked->id)->state, CallState::kParked);
  h.clock.Shift(2ll * 60 * 1'000'000);
  const auto withdrawn = [&] {
    return h.engine().GetCall(h.operator_one, parked->id)->state == CallState::kWithdrawn;
  };
  while (!withdrawn()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const auto asked = h.Execute("pay", args, request);
  ASSERT_TRUE(asked.ok()) << asked.status();
  EXPECT_EQ(asked->state, CallState::kWithdrawn);
  EXPECT_THAT(paid.args(), IsEmpty());
  EXPECT_EQ(h.Execute("pay", {{"id", "o1"}, {"amount", 10}})->state, CallState::kOk)
      << "it holds nothing";
}

}  // namespace
}  // namespace interlock::runtime::test
