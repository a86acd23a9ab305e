// Approvers who hand on what they may answer (ADR 51).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "replays.h"
#include "staged.h"

namespace interlock::runtime::test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(Delegations, ADeputyAnswersInThePlaceOfWhoAskedHim) {
  Harness h(Asks(R"(approvers = { "role:cs-manager" }, quorum = 2)"), PayTools());
  Paid paid(h);
  const std::string run = ParkedPay(h, kSixty);
  const std::string approval = h.Pending().at(0).state.id;
  EXPECT_EQ(ReasonOf(h.AnswerApproval(kDeputy, approval, true).status()), "NOT_AN_APPROVER");
  const auto given = HandOn(h, h.manager, approval, "li");
  ASSERT_TRUE(given.ok()) << given.status();
  EXPECT_EQ(given->until_us, h.Pending().at(0).state.expires_us);
  EXPECT_EQ(h.log().Read(given->written.value().index)->kind, "approval.delegated");
  h.Restart();
  const auto answered = h.AnswerApproval(kDeputy, approval, true);
  ASSERT_TRUE(answered.ok()) << answered.status();
  EXPECT_THAT(answered->state.granted_by, ElementsAre("principal:li"));
  EXPECT_THAT(answered->state.granted_for, ElementsAre("principal:maria"));
  EXPECT_EQ(WhyNot(h.AnswerApproval(h.manager, approval, true).status()),
            "NOT_AN_APPROVER: somebody has answered in his place already");
  EXPECT_THAT(paid.args(), IsEmpty()) << "it is one voice, not two";
  ASSERT_TRUE(h.AnswerApproval(h.second, approval, true).ok());
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_THAT(paid.args(), SizeIs(1));
  ExpectMadeAnew(h, run, {&h.agent});
}

TEST(Delegations, WhoHandedItOnVetoesWhatHisDeputyGranted) {
  Harness h(Asks(R"(approvers = { "role:cs-manager" }, quorum = 2)"), PayTools());
  Paid paid(h);
  const std::string run = ParkedPay(h, kSixty);
  const std::string approval = h.Pending().at(0).state.id;
  ASSERT_TRUE(HandOn(h, h.manager, approval, "li").ok());
  ASSERT_TRUE(h.AnswerApproval(kDeputy, approval, true).ok());
  ASSERT_TRUE(h.AnswerApproval(h.manager, approval, false).ok());
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_EQ(h.CallsOf(run).at(0).code, "APPROVAL_REJECTED");
}

TEST(Delegations, ADeputyVetoesWhatHisGiverGranted) {
  Harness h(Asks(kTwoStages), PayTools());
  Paid paid(h);
  const std::string run = ParkedPay(h, kSixty);
  const std::string approval = h.Pending().at(0).state.id;
  ASSERT_TRUE(HandOn(h, h.manager, approval, "li").ok());
  ASSERT_TRUE(h.AnswerApproval(h.manager, approval, true).ok());
  EXPECT_EQ(ReasonOf(h.AnswerApproval(kDeputy, approval, true).status()), "NOT_AN_APPROVER")
      << "her yes is used";
  ASSERT_TRUE(h.AnswerApproval(kDeputy, approval, false).ok());
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_THAT(paid.args(), IsEmpty());
  EXPECT_EQ(h.CallsOf(run).at(0).code, "APPROVAL_REJECTED");
  const auto entries = h.Entries(run);
  const auto no = std::find_if(entries.begin(), entries.end(), [](const audit::Entry& entry) {
    return entry.kind == "approval.rejected";
  });
  ASSERT_NE(no, entries.end());
  EXPECT_THAT(no->bytes, HasSubstr(R"("by":"principal:li")"));
  EXPECT_THAT(no->bytes, HasSubstr(R"("for":"principal:maria")"));
  ExpectMadeAnew(h, run, {&h.agent});
}

// An approval that one may answer is no content of somebody else (ADR 46).
TEST(Delegations, ADeputysLookIsAnEntryOnlyWhereHisWordDoesNotCount) {
  Harness h(Asks(R"(approvers = { "role:cs-manager" })"), PayTools());
  Paid paid(h);
  ASSERT_TRUE(HandOn(h, h.manager, "", "li", h.clock.WallMicros() + 1000 * kMinute).ok());
  ParkedPay(h, kSixty);
  const std::string approval = h.Pending().at(0).state.id;
  const core::Principal stranger{.tenant = "main", .id = "eve", .roles = {"approver"}};
  const auto looks_of = [&](const core::Principal& who) {
    EXPECT_TRUE(h.engine().GetApproval(who, approval).ok()) << who.id;
    const auto entries = h.Entries("");
    return std::count_if(entries.begin(), entries.end(), [&](const audit::Entry& entry) {
      return entry.kind == "access.read" &&
             entry.bytes.find(R"("actor":"principal:)" + who.id) != std::string::npos;
    });
  };
  EXPECT_EQ(looks_of(kDeputy), 0);
  EXPECT_EQ(looks_of(stranger), 1);
  h.clock.Shift(120 * kMinute);
  EXPECT_EQ(ReasonOf(h.AnswerApproval(kDeputy, approval, true).status()), "CLOCK_IN_DOUBT");
  EXPECT_EQ(looks_of(kDeputy), 1);
  EXPECT_EQ(looks_of(kNora), 0) << "her own right is in no doubt";
}

TEST(Delegations, NobodyIsHandedWhatHeMayNotHave) {
  Harness h(Asks(R"(approvers = { "role:cs-manager", "user:otto" })"), PayTools());
  Paid paid(h);
  ParkedPay(h, kSixty);
  const std::string approval = h.Pending().at(0).state.id;
  const auto why = [&](const core::Principal& who, const std::string& to) {
    return WhyNot(HandOn(h, who, approval, to).status());
  };
  EXPECT_EQ(why(h.manager, "ticketing"),
            "NOT_A_DELEGATE: whoever made the run does not approve its calls");
  EXPECT_EQ(why(h.manager, "u1"),
            "NOT_A_DELEGATE: the run's user confirms through a relay, not as an approver");
  EXPECT_EQ(why(h.manager, "maria"), "NOT_A_DELEGATE: it is his already");
  EXPECT_EQ(why(h.manager, "otto"),
            "NOT_A_DELEGATE: whom it would be handed to may answer by himself");
  EXPECT_THAT(why(kDeputy, "eve"), HasSubstr("NOT_A_DELEGATE: not among the approvers"));
  ASSERT_TRUE(HandOn(h, h.manager, approval, "li").ok());
  EXPECT_THAT(why(kDeputy, "eve"), HasSubstr("NOT_A_DELEGATE: not among the approvers"))
      << "what he was handed he does not hand on";
  EXPECT_EQ(ReasonOf(HandOn(h, h.integrator, approval, "li").status()), "ROLE_REQUIRED");
}

TEST(Delegations, OfAllApprovalsEndInTime) {
  Harness h(Asks(R"(approvers = { "role:cs-manager" })"), PayTools());
  Paid paid(h);
  EXPECT_EQ(HandOn(h, h.manager, "", "li", 1).status().code(), core::StatusCode::kInvalidArgument);
  const std::int64_t until = h.clock.WallMicros() + 30 * kMinute;
  ASSERT_TRUE(HandOn(h, h.manager, "", "li", until).ok());
  h.Restart();
  ASSERT_THAT(*h.engine().ListDelegations(h.operator_one), SizeIs(1));
  EXPECT_THAT(*h.engine().ListDelegations(kNora), IsEmpty()) << "it is none of hers";
  const std::string first = ParkedPay(h, kSixty);
  ASSERT_TRUE(h.AnswerApproval(kDeputy, h.Pending().at(0).state.id, true).ok());
  h.WaitForState(first, RunState::kCompleted);
  ParkedPay(h, R"({"amount":60,"id":"o2"})");
  const std::string open = h.Pending().at(0).state.id;
  h.clock.Shift(31 * kMinute);
  EXPECT_EQ(ReasonOf(h.AnswerApproval(kDeputy, open, true).status()), "NOT_AN_APPROVER");
  EXPECT_THAT(*h.engine().ListDelegations(h.operator_one), IsEmpty());
}

TEST(Delegations, AreTakenBack) {
  Harness h(Asks(R"(approvers = { "role:cs-manager" })"), PayTools());
  Paid paid(h);
  ASSERT_TRUE(HandOn(h, h.manager, "", "li", h.clock.WallMicros() + 30 * kMinute).ok());
  const auto ended = TakeBack(h, h.manager, "", "li");
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->until_us, 0);
  h.Restart();
  EXPECT_THAT(*h.engine().ListDelegations(h.operator_one), IsEmpty());
  ParkedPay(h, kSixty);
  EXPECT_EQ(ReasonOf(h.AnswerApproval(kDeputy, h.Pending().at(0).state.id, true).status()),
            "NOT_AN_APPROVER");
  EXPECT_EQ(ReasonOf(TakeBack(h, h.manager, "", "li").status()), "DELEGATION_NOT_FOUND");
}

TEST(Delegations, OfOneApprovalAreTakenBackAlsoWhenOthersAreAsked) {
  Harness h(Asks(kTwoStages), PayTools());
  Paid paid(h);
  ParkedPay(h, kSixty);
  const std::string approval = h.Pending().at(0).state.id;
  ASSERT_TRUE(HandOn(h, h.manager, approval, "li").ok());
  ASSERT_TRUE(HandOn(h, h.manager, approval, "eve").ok());
  ASSERT_TRUE(h.AnswerApproval(kNora, approval, true).ok());
  EXPECT_EQ(ReasonOf(HandOn(h, h.manager, approval, "li").status()), "NOT_A_DELEGATE")
      << "the second stage does not ask her";
  ASSERT_TRUE(TakeBack(h, h.manager, approval, "li").ok());
  const auto left = *h.engine().ListDelegations(h.operator_one);
  ASSERT_THAT(left, SizeIs(1));
  EXPECT_EQ(left[0].to, "eve");
}

TEST(Delegations, OfOneApprovalEndWithIt) {
  Harness h(Asks(R"(approvers = { "role:cs-manager" })"), PayTools());
  Paid paid(h);
  const std::string run = ParkedPay(h, kSixty);
  const std::string approval = h.Pending().at(0).state.id;
  ASSERT_TRUE(HandOn(h, h.manager, approval, "li").ok());
  ASSERT_TRUE(HandOn(h, h.manager, "", "eve", h.clock.WallMicros() + 30 * kMinute).ok());
  ASSERT_TRUE(h.AnswerApproval(kDeputy, approval, true).ok());
  h.WaitForState(run, RunState::kCompleted);
  h.Restart();
  const auto left = *h.engine().ListDelegations(h.operator_one);
  ASSERT_THAT(left, SizeIs(1));
  EXPECT_EQ(left[0].to, "eve");
}

TEST(Delegations, AnOperatorEndsThoseOfOthersAndNobodyElseDoes) {
  Harness h(Asks(R"(approvers = { "role:cs-manager" })"), PayTools());
  ASSERT_TRUE(HandOn(h, h.manager, "", "li", h.clock.WallMicros() + 30 * kMinute).ok());
  EXPECT_EQ(ReasonOf(TakeBack(h, kNora, "", "li", "maria").status()), "ROLE_REQUIRED");
  EXPECT_EQ(ReasonOf(TakeBack(h, kNora, "", "li").status()), "DELEGATION_NOT_FOUND")
      << "she has handed on nothing";
  EXPECT_EQ(ReasonOf(HandOn(h, h.operator_one, "", "li", 1).status()), "ROLE_REQUIRED");
  EXPECT_THAT(*h.engine().ListDelegations(h.operator_one), SizeIs(1));
  ASSERT_TRUE(TakeBack(h, h.operator_one, "", "li", "maria").ok());
  EXPECT_THAT(*h.engine().ListDelegations(h.operator_one), IsEmpty());
  const audit::Entry ended = h.Entries("").back();
  EXPECT_THAT(ended.bytes, AllOf(HasSubstr(R"("by":"maria")"), HasSubstr("principal:ops1")));
}

TEST(Delegations, AreSixteenOfOneGiverAndWhatIsRenewedOrOverDoesNotCount) {
  Harness h(Asks(R"(approvers = { "role:cs-manager" })"), PayTools());
  const std::int64_t until = h.clock.WallMicros() + 30 * kMinute;
  for (int i = 0; i < 16; ++i) {
    ASSERT_TRUE(HandOn(h, h.manager, "", "p" + std::to_string(i), until).ok()) << i;
  }
  EXPECT_EQ(WhyNot(HandOn(h, h.manager, "", "p16", until).status()),
            "DELEGATION_LIMIT: 16 delegations of yours are in force; end some first");
  EXPECT_TRUE(HandOn(h, h.manager, "", "p3", until + kMinute).ok()) << "it is renewed";
  EXPECT_TRUE(HandOn(h, h.second, "", "p3", until).ok()) << "others have their own";
  h.Restart();
  EXPECT_EQ(ReasonOf(HandOn(h, h.manager, "", "p16", until).status()), "DELEGATION_LIMIT");
  h.clock.Shift(32 * kMinute);
  EXPECT_TRUE(HandOn(h, h.manager, "", "p16", h.clock.WallMicros() + kMinute).ok());
  EXPECT_THAT(*h.engine().ListDelegations(h.operator_one), SizeIs(1));
}

TEST(Delegations, NameAPrincipalAndEndWithinAMonth) {
  Harness h(Asks(R"(approvers = { "role:cs-manager" })"), PayTools());
  Paid paid(h);
  ParkedPay(h, kSixty);
  const std::string approval = h.Pending().at(0).state.id;
  const std::int64_t day = 24 * 60 * kMinute;
  const auto code = [&](const std::string& to, std::int64_t until_us) {
    return HandOn(h, h.manager, approval, to, until_us).status().code();
  };
  for (const std::string& to :
       {std::string(), std::string("li anne"), std::string("li|eve"), std::string(65, 'l')}) {
    EXPECT_EQ(code(to, 0), core::StatusCode::kInvalidArgument) << to;
  }
  EXPECT_EQ(code("li", h.clock.WallMicros() + 32 * day), core::StatusCode::kInvalidArgument);
  EXPECT_EQ(code("li", -1), core::StatusCode::kInvalidArgument);
  EXPECT_EQ(code("li", h.clock.WallMicros() + 30 * day), core::StatusCode::kOk);
  EXPECT_EQ(code(std::string(64, 'l'), 0), core::StatusCode::kOk);
  const auto given = h.engine().ListDelegations(h.operator_one);
  ASSERT_TRUE(given.ok()) << given.status();
  for (const policies::Delegation& one : *given) {
    EXPECT_EQ(one.until_us, h.Pending().at(0).state.expires_us) << "no longer than the approval";
  }
  EXPECT_EQ(HandOn(h, h.manager, "", "li").status().code(), core::StatusCode::kInvalidArgument)
      << "all, without a time";
  DelegateSpec of_all;
  of_all.to = "li";
  of_all.end = true;
  of_all.until_us = h.clock.WallMicros() + kMinute;
  EXPECT_EQ(WhyNot(Handed(h, h.manager, of_all).status()),
            "INVALID_ARGUMENT: what ends has no `until_time`; leave one of the two out");
}

TEST(Delegations, DoNotCountWhileTheClockIsInDoubt) {
  Harness h(Asks(R"(approvers = { "role:cs-manager" })"), PayTools());
  Paid paid(h);
  ASSERT_TRUE(HandOn(h, h.manager, "", "li", h.clock.WallMicros() + 1000 * kMinute).ok());
  ParkedPay(h, kSixty);
  const std::string approval = h.Pending().at(0).state.id;
  h.clock.Shift(120 * kMinute);
  EXPECT_EQ(ReasonOf(h.AnswerApproval(kDeputy, approval, true).status()), "CLOCK_IN_DOUBT");
  EXPECT_EQ(ReasonOf(HandOn(h, h.manager, approval, "eve").status()), "CLOCK_IN_DOUBT");
  EXPECT_TRUE(h.AnswerApproval(h.manager, approval, false).ok()) << "his own word counts";
}

}  // namespace
}  // namespace interlock::runtime::test
