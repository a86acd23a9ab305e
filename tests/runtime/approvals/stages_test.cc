// Approvals that are asked in stages, handed on, escalated and reminded of (ADR 51, 52), and people
// who grant faster than they can read (ADR 53).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "replays.h"
#include "staged.h"

namespace interlock::runtime::test {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

void WaitForKind(Harness& h, const std::string& run, const std::string& kind) {
  for (;;) {
    const std::vector<std::string> kinds = h.Kinds(run);
    if (std::find(kinds.begin(), kinds.end(), kind) != kinds.end()) return;
    std::this_thread::yield();
  }
}

TEST(Stages, AreAskedOneAfterTheOtherAndOfDifferentPeople) {
  Harness h(Asks(kTwoStages), PayTools());
  Paid paid(h);
  const std::string run = ParkedPay(h, kSixty);
  const std::string approval = h.Pending().at(0).state.id;
  EXPECT_EQ(ReasonOf(h.AnswerApproval(kDina, approval, true).status()), "NOT_AN_APPROVER")
      << "her stage is not asked yet";
  const auto first = h.AnswerApproval(kBoth, approval, true);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->state.phase, policies::ApprovalPhase::kPending);
  EXPECT_EQ(first->state.stage, 1);
  h.Restart();
  EXPECT_EQ(WhyNot(h.AnswerApproval(kBoth, approval, true).status()),
            "NOT_AN_APPROVER: whoever answered an earlier stage does not answer this one");
  EXPECT_EQ(ReasonOf(h.AnswerApproval(h.manager, approval, true).status()), "NOT_AN_APPROVER");
  EXPECT_THAT(paid.args(), IsEmpty());
  ASSERT_TRUE(h.AnswerApproval(kDina, approval, true).ok());
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_THAT(paid.args(), ElementsAre(kSixty));
  ExpectMadeAnew(h, run, {&h.agent});
}

// `lee` relays the user's word and is a manager as well.
TEST(Stages, OneTokenIsOneVoice) {
  const core::Principal lee{
      .tenant = "main", .id = "lee", .roles = {"approver", "cs-manager", "user-relay"}};
  const struct {
    const char* stages;
    const char* first;  // on behalf of
    const char* second;
    const char* why_not;
  } kCases[] = {
      {R"(stages = { { approvers = { "run-user" } }, { approvers = { "role:cs-manager" } } })",
       "user", "", "whoever relayed the user's yes does not approve for himself as well"},
      {R"(stages = { { approvers = { "role:cs-manager" } }, { approvers = { "run-user" } } })", "",
       "user", "whoever approved for himself does not relay the user's yes as well"},
      {R"(approvers = { "run-user", "role:cs-manager" }, quorum = 2)", "user", "",
       "whoever relayed the user's yes does not approve for himself as well"},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.stages);
    Harness h(Asks(c.stages), PayTools());
    Paid paid(h);
    const std::string run = ParkedPay(h, kSixty);
    const std::string approval = h.Pending().at(0).state.id;
    ASSERT_TRUE(h.AnswerApproval(lee, approval, true, c.first).ok());
    h.Restart();
    EXPECT_EQ(WhyNot(h.AnswerApproval(lee, approval, true, c.second).status()),
              std::string("NOT_AN_APPROVER: ") + c.why_not);
    EXPECT_THAT(paid.args(), IsEmpty());
    const bool user_is_left = *c.second != '\0';
    const core::Principal& other = user_is_left ? h.integrator : h.manager;
    ASSERT_TRUE(h.AnswerApproval(other, approval, true, c.second).ok());
    h.WaitForState(run, RunState::kCompleted);
    EXPECT_THAT(paid.args(), ElementsAre(kSixty));
  }
}

// Of the first of several stages too; who repeats himself is told nothing new.
TEST(Stages, EachAnswerSaysWhichEntryHoldsIt) {
  Harness h(Asks(kTwoStages), PayTools());
  Paid paid(h);
  ParkedPay(h, kSixty);
  const ApprovalInfo asked = h.Pending().at(0);
  const Answer yes{.approval = asked.state.id,
                   .grant = true,
                   .etag = asked.etag,
                   .reason = "",
                   .on_behalf_of = "",
                   .request_id = h.NewRequestId()};
  const auto granted = Said(h, h.manager, yes);
  ASSERT_TRUE(granted.ok()) << granted.status();
  const audit::Entry entry = *h.log().Read(granted->written.value().index);
  EXPECT_EQ(entry.kind, "approval.granted");
  EXPECT_EQ(entry.leaf_hash, granted->written->leaf_hash);
  EXPECT_FALSE(Said(h, h.manager, yes)->written.has_value());
  const auto refused = h.AnswerApproval(kDina, asked.state.id, false);
  ASSERT_TRUE(refused.ok()) << refused.status();
  EXPECT_EQ(h.log().Read(refused->written.value().index)->kind, "approval.rejected");
}

TEST(Stages, AnEditBeginsWithTheFirstAgain) {
  Harness h(Asks(kTwoStages), PayTools());
  Paid paid(h);
  const std::string run = ParkedPay(h, kSixty);
  ASSERT_TRUE(h.AnswerApproval(h.manager, h.Pending().at(0).state.id, true).ok());
  ASSERT_TRUE(EditArgs(h, kDina, h.Pending().at(0).state.id, R"({"amount":30,"id":"o1"})").ok());
  const ApprovalInfo again = h.Pending().at(0);
  EXPECT_EQ(again.state.stage, 0);
  EXPECT_THAT(again.state.granted_by, IsEmpty());
  ASSERT_TRUE(h.AnswerApproval(h.manager, again.state.id, true).ok());
  EXPECT_EQ(ReasonOf(h.AnswerApproval(kDina, again.state.id, true).status()), "NOT_AN_APPROVER")
      << "she edited it";
  ASSERT_TRUE(h.AnswerApproval(kBoth, again.state.id, true).ok());
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_THAT(paid.args(), ElementsAre(R"({"amount":30,"id":"o1"})"));
}

TEST(Stages, ANoInALaterStageEndsTheCall) {
  Harness h(Asks(kTwoStages), PayTools());
  Paid paid(h);
  const std::string run = ParkedPay(h, kSixty);
  const std::string approval = h.Pending().at(0).state.id;
  ASSERT_TRUE(h.AnswerApproval(h.manager, approval, true).ok());
  ASSERT_TRUE(h.AnswerApproval(kDina, approval, false).ok());
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_THAT(paid.args(), IsEmpty());
  EXPECT_EQ(h.CallsOf(run).at(0).code, "APPROVAL_REJECTED");
}

TEST(Stages, WhoGrantedOneVetoesInTheNext) {
  Harness h(Asks(kTwoStages), PayTools());
  Paid paid(h);
  const std::string run = ParkedPay(h, kSixty);
  const std::string approval = h.Pending().at(0).state.id;
  ASSERT_TRUE(h.AnswerApproval(h.manager, approval, true).ok());
  EXPECT_EQ(ReasonOf(h.AnswerApproval(kNora, approval, false).status()), "NOT_AN_APPROVER")
      << "she has said nothing, and is not asked now";
  ASSERT_TRUE(h.AnswerApproval(h.manager, approval, false).ok());
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_THAT(paid.args(), IsEmpty());
  EXPECT_EQ(h.CallsOf(run).at(0).code, "APPROVAL_REJECTED");
}

TEST(Stages, WhoGrantedVetoesWhileOthersAreStillToGrant) {
  Harness h(Asks(R"(approvers = { "role:cs-manager" }, quorum = 2)"), PayTools());
  Paid paid(h);
  const std::string run = ParkedPay(h, kSixty);
  const std::string approval = h.Pending().at(0).state.id;
  ASSERT_TRUE(h.AnswerApproval(h.manager, approval, true).ok());
  ASSERT_TRUE(h.AnswerApproval(h.manager, approval, true).ok()) << "again, which changes nothing";
  EXPECT_THAT(h.Pending().at(0).state.granted_by, SizeIs(1));
  ASSERT_TRUE(h.AnswerApproval(h.manager, approval, false).ok());
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_EQ(h.CallsOf(run).at(0).code, "APPROVAL_REJECTED");
}

TEST(Stages, AYesToWhatOneShowedDoesNotCountInTheNext) {
  Harness h(Asks(kTwoStages), PayTools());
  Paid paid(h);
  const std::string run = ParkedPay(h, kSixty);
  const ApprovalInfo first = h.Pending().at(0);
  ASSERT_TRUE(h.AnswerApproval(h.manager, first.state.id, true).ok());
  const ApprovalInfo second = h.Pending().at(0);
  EXPECT_NE(first.etag, second.etag);
  Answer answer{.approval = first.state.id,
                .grant = true,
                .etag = first.etag,
                .reason = "",
                .on_behalf_of = "",
                .request_id = ""};
  EXPECT_EQ(ReasonOf(Said(h, kBoth, answer).status()), "STALE_APPROVAL");
  EXPECT_EQ(h.Pending().at(0).state.granted_by.size(), 1u);
  answer.etag = second.etag;
  EXPECT_TRUE(Said(h, kBoth, answer).ok());
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_THAT(paid.args(), SizeIs(1));
}

TEST(Stages, AnAnswerThatIsSentAgainIsAnsweredAsBefore) {
  Harness h(Asks(kTwoStages), PayTools());
  Paid paid(h);
  const std::string run = ParkedPay(h, kSixty);
  const std::string approval = h.Pending().at(0).state.id;
  ASSERT_TRUE(HandOn(h, h.manager, approval, "li").ok());
  Answer answer{.approval = approval,
                .grant = true,
                .etag = h.Pending().at(0).etag,
                .reason = "fine",
                .on_behalf_of = "",
                .request_id = h.NewRequestId()};
  for (int i = 0; i < 2; ++i) {
    const auto said = Said(h, kDeputy, answer);
    ASSERT_TRUE(said.ok()) << i << " " << said.status();
    EXPECT_EQ(said->state.stage, 1);
    h.Restart();
  }
  EXPECT_THAT(h.Kinds(run), Contains("approval.granted").Times(1));
  answer.grant = false;
  EXPECT_EQ(ReasonOf(Said(h, kDeputy, answer).status()), "REQUEST_ID_REUSED");
}

TEST(Stages, WhatTheRuleGetsWrongIsDeniedAndSaid) {
  const std::pair<const char*, const char*> cases[] = {
      {R"(approvers = { "run-user" }, stages = {})",
       "require_approval has either stages, or approvers and a quorum"},
      {R"(stages = { { approvers = { "run-user" } } })",
       "require_approval.stages is a list of 2 to 4 stages"},
      {R"(stages = { { approvers = { "run-user" } }, { aprovers = { "run-user" } } })",
       "require_approval.stages[2] has no field `aprovers`; did you mean `approvers`?"},
      {R"(approvers = { "run-user" }, escalate = { after = "2h", to = { "role:x" } })",
       "require_approval.escalate.after lies before expires"},
      {R"(approvers = { "run-user" }, escalate = { after = "5m", too = { "role:x" } })",
       "require_approval.escalate has no field `too`; did you mean `to`?"},
      {R"(approvers = { "run-user" }, remind = "5s")",
       "require_approval.remind is a minute or more, and less than expires"},
  };
  for (const auto& [ask, why] : cases) {
    SCOPED_TRACE(ask);
    Harness h(Asks(ask), PayTools());
    const auto call = h.Check("pay", {{"amount", 60}, {"id", "o1"}});
    ASSERT_TRUE(call.ok()) << call.status();
    EXPECT_EQ(call->verdict, "deny");
    std::string said;
    for (const policies::FiredRule& rule : call->rules) said += rule.because + "\n";
    EXPECT_THAT(said, HasSubstr(why));
  }
}

TEST(Escalation, AsksMorePeopleAfterATimeThatARestartDoesNotForget) {
  Harness h(Asks(R"(approvers = { "role:cs-manager" },
                    escalate = { after = "10m", to = { "role:director" } })"),
            PayTools());
  Paid paid(h);
  const std::string run = ParkedPay(h, kSixty);
  const std::string approval = h.Pending().at(0).state.id;
  EXPECT_GT(h.Pending().at(0).escalate_us, 0);
  EXPECT_EQ(ReasonOf(h.AnswerApproval(kDina, approval, true).status()), "NOT_AN_APPROVER");
  h.Stop();
  h.clock.Shift(11 * kMinute);
  h.Start();
  WaitForKind(h, run, "approval.escalated");
  EXPECT_TRUE(h.Pending().at(0).state.escalated);
  EXPECT_EQ(h.Pending().at(0).escalate_us, 0);
  ASSERT_TRUE(h.AnswerApproval(kDina, approval, true).ok());
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_THAT(paid.args(), SizeIs(1));
  EXPECT_THAT(h.Kinds(run), Contains("approval.escalated").Times(1));
  ExpectMadeAnew(h, run, {&h.agent});
}

TEST(Escalation, BelongsToTheStageThatWaited) {
  Harness h(
      Asks(std::string(kTwoStages) + R"(, escalate = { after = "10m", to = { "role:cfo" } })"),
      PayTools());
  Paid paid(h);
  const core::Principal cfo{.tenant = "main", .id = "cleo", .roles = {"approver", "cfo"}};
  const std::string run = ParkedPay(h, kSixty);
  const std::string approval = h.Pending().at(0).state.id;
  h.clock.Shift(11 * kMinute);
  WaitForKind(h, run, "approval.escalated");
  ASSERT_TRUE(h.AnswerApproval(h.manager, approval, true).ok());
  EXPECT_EQ(ReasonOf(h.AnswerApproval(cfo, approval, true).status()), "NOT_AN_APPROVER")
      << "the second stage has not waited yet";
  EXPECT_GT(h.Pending().at(0).escalate_us, 0);
}

TEST(Reminders, ComeAsOftenAsTheRuleSaysAndEndWithTheAnswer) {
  Harness h(Asks(R"(approvers = { "role:cs-manager" }, remind = "5m")"), PayTools());
  Paid paid(h);
  const std::string run = ParkedPay(h, kSixty);
  h.clock.Shift(6 * kMinute);
  WaitForKind(h, run, "approval.reminded");
  EXPECT_EQ(h.Pending().at(0).reminders, 1);
  h.clock.Shift(6 * kMinute);
  while (h.Pending().at(0).reminders < 2) std::this_thread::yield();
  ASSERT_TRUE(h.AnswerApproval(h.manager, h.Pending().at(0).state.id, true).ok());
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_THAT(h.Kinds(run), Contains("approval.reminded").Times(2));
  ExpectMadeAnew(h, run, {&h.agent});
}

TEST(Reminders, AreCountedOfEachStage) {
  Harness h(Asks(std::string(kTwoStages) + R"(, remind = "5m")"), PayTools());
  Paid paid(h);
  const std::string run = ParkedPay(h, kSixty);
  h.clock.Shift(6 * kMinute);
  WaitForKind(h, run, "approval.reminded");
  ASSERT_EQ(h.Pending().at(0).reminders, 1);
  ASSERT_TRUE(h.AnswerApproval(h.manager, h.Pending().at(0).state.id, true).ok());
  EXPECT_EQ(h.Pending().at(0).reminders, 0);
}

// Ids of one millisecond come in any order, so it takes a few calls to show.
TEST(TwoApprovals, AreUsedInTheOrderInWhichTheyWereAsked) {
  Harness h(std::string(kPolicyHead) + R"(
on("pay", "a", function(c) return require_approval { approvers = { "role:cs-manager" }, expires = "1h" } end)
on("pay", "b", function(c) return require_approval { approvers = { "role:director" }, expires = "1h" } end))",
            PayTools());
  Paid paid(h);
  for (int i = 0; i < 6; ++i) {
    const std::string run = ParkedPay(h, R"({"amount":60,"id":"t)" + std::to_string(i) + R"("})");
    for (const ApprovalInfo& open : h.Pending()) {
      ASSERT_TRUE(h.AnswerApproval(kBoth, open.state.id, true).ok());
    }
    h.WaitForState(run, RunState::kCompleted);
    ExpectMadeAnew(h, run, {&h.agent});
  }
  EXPECT_THAT(paid.args(), SizeIs(6));
}

// Grants as many as there are, and says what each reply warns of.
std::vector<std::string> GrantAll(Harness& h, int runs, const std::string& order = "f") {
  std::vector<std::string> said;
  for (int i = 0; i < runs; ++i) {
    const std::string run =
        ParkedPay(h, R"({"amount":60,"id":")" + order + std::to_string(i) + R"("})");
    const auto answered = h.AnswerApproval(h.manager, h.Pending().at(0).state.id, true);
    if (answered.ok()) h.WaitForState(run, RunState::kCompleted);
    said.push_back(answered.ok() ? answered->warning : ReasonOf(answered.status()));
  }
  return said;
}

TEST(Fatigue, WhoGrantsFasterThanHeCanReadIsTold) {
  Harness h(Asks(R"(approvers = { "role:cs-manager" })"), PayTools());
  Paid paid(h);
  h.limits.grants_per_minute = 2;
  h.Restart();
  EXPECT_THAT(GrantAll(h, 3),
              ElementsAre("", "",
                          "you have granted 3 approvals within a minute; read what each "
                          "would do"));
  int hasty = 0;
  for (const audit::Entry& entry : h.Entries("")) {
    if (entry.kind != "approval.granted") continue;
    hasty += entry.bytes.find(R"("hasty":3)") != std::string::npos;
    EXPECT_THAT(entry.bytes, AllOf(Not(HasSubstr("counters")), Not(HasSubstr("window_ms"))));
  }
  EXPECT_EQ(hasty, 1);
  h.Restart();
  EXPECT_THAT(GrantAll(h, 1, "g"), ElementsAre(HasSubstr("you have granted 4 approvals")))
      << "a restart does not begin anew";
  h.clock.Shift(2 * kMinute);
  EXPECT_THAT(GrantAll(h, 1, "k"), ElementsAre("")) << "the minute is over";
}

TEST(Fatigue, AndWaitsWhereThatIsAsked) {
  Harness h(Asks(R"(approvers = { "role:cs-manager" })"), PayTools());
  Paid paid(h);
  h.limits.grants_per_minute = 2;
  h.limits.grant_pause_us = kMinute / 2;
  h.Restart();
  EXPECT_THAT(GrantAll(h, 3), ElementsAre("", "", "TOO_FAST"));
  const std::string open = h.Pending().at(0).state.id;
  EXPECT_TRUE(h.AnswerApproval(h.second, open, false).ok()) << "others answer as before";
}

TEST(Fatigue, AClockThatWasSetBackKeepsNobodyBack) {
  Harness h(Asks(R"(approvers = { "role:cs-manager" })"), PayTools());
  Paid paid(h);
  h.limits.grants_per_minute = 2;
  h.limits.grant_pause_us = kMinute / 2;
  h.Restart();
  h.clock.Shift(-30 * kMinute);
  EXPECT_THAT(GrantAll(h, 3), ElementsAre("", "", HasSubstr("you have granted 3 approvals")));
}

// ---------------------------------------------------------------- any order

// One way in which people answer, edit, hand on and wait; then what the log says of a call that
// ran.
class AnyOrder {
 public:
  explicit AnyOrder(unsigned seed)
      : random_(seed),
        h_(Asks(R"(stages = { { approvers = { "role:cs-manager" }, quorum = 2 },
                              { approvers = { "role:director" } } },
                   escalate = { after = "20m", to = { "user:otto" } })"),
           PayTools()),
        paid_(h_) {}

  bool Play() {
    const std::string run = ParkedPay(h_, kSixty);
    for (int i = 0; i < 24 && !h_.Pending().empty(); ++i) Act(h_.Pending().at(0));
    if (!paid_.args().empty() || h_.Pending().empty()) h_.WaitForState(run, RunState::kCompleted);
    Check(run);
    return !paid_.args().empty();
  }

 private:
  const core::Principal& Somebody() {
    static const std::vector<core::Principal> kPeople = {
        {.tenant = "main", .id = "maria", .roles = {"approver", "cs-manager"}},
        {.tenant = "main", .id = "sam", .roles = {"approver", "cs-manager"}},
        kNora,
        kBoth,
        kDina,
        kDeputy,
        {.tenant = "main", .id = "otto", .roles = {"approver"}},
        {.tenant = "main", .id = "ticketing", .roles = {"approver", "cs-manager", "director"}}};
    return kPeople[random_() % kPeople.size()];
  }

  void Act(const ApprovalInfo& open) {
    const core::Principal& who = Somebody();
    const auto what = random_() % 20;
    if (what < 13) {
      (void)h_.AnswerApproval(who, open.state.id, true);
    } else if (what < 15) {
      (void)HandOn(h_, who, open.state.id, Somebody().id);
    } else if (what < 17) {
      (void)HandOn(h_, who, "", Somebody().id, h_.clock.WallMicros() + 10 * kMinute);
    } else if (what < 18) {
      (void)EditArgs(h_, who, open.state.id,
                     R"({"amount":)" + std::to_string(21 + random_() % 50) + R"(,"id":"o1"})");
    } else {
      h_.clock.Shift(static_cast<std::int64_t>(random_() % 12) * kMinute);
    }
  }

  bool Has(const std::string& name, const std::string& role) const {
    static const std::map<std::string, std::set<std::string>> kRoles = {
        {"principal:maria", {"cs-manager"}},
        {"principal:sam", {"cs-manager"}},
        {"principal:nora", {"cs-manager"}},
        {"principal:dana", {"cs-manager", "director"}},
        {"principal:dina", {"director"}}};
    const auto at = kRoles.find(name);
    return at != kRoles.end() && at->second.contains(role);
  }

  // Every stage of a used approval has its quorum of different people with the right, by whose
  // place they spoke; none of them edited the call or made the run.
  void Check(const std::string& run) {
    std::set<std::string> editors;
    std::set<std::string> people;
    std::map<int, int> voices;  // by stage
    bool escalated = false;
    for (const audit::Entry& entry : h_.Entries(run)) {
      const core::Json body = core::Json::parse(entry.bytes)["body"];
      if (entry.kind == "call.edited") {
        for (const auto& name : body["editors"]) editors.insert(name.get<std::string>());
        people.clear(), voices.clear(), escalated = false;
      }
      escalated = escalated || entry.kind == "approval.escalated";
      if (entry.kind == "approval.granted") {
        const std::string by = body["by"];
        const std::string right = body.value("for", by);
        EXPECT_TRUE(people.insert(by).second) << by;
        if (right != by) {
          EXPECT_TRUE(people.insert(right).second) << right;
        }
        const int stage = body["stage"];
        const char* role = stage == 1 ? "cs-manager" : "director";
        EXPECT_TRUE(Has(right, role) || (escalated && right == "principal:otto")) << right;
        for (const std::string& one : {by, right}) {
          EXPECT_FALSE(editors.contains(one)) << one;
          EXPECT_NE(one, "principal:ticketing");
        }
        ++voices[stage];
      }
      if (entry.kind == "call.intended") {
        EXPECT_EQ(voices[1], 2);
        EXPECT_EQ(voices[2], 1);
      }
    }
  }

  std::minstd_rand random_;
  Harness h_;
  Paid paid_;
};

TEST(Stages, InNoOrderOfAnswersEditsAndDelegationsDoesACallRunWithoutEveryStage) {
  int ran = 0;
  for (unsigned seed = 1; seed <= 24; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    ran += AnyOrder(seed).Play() ? 1 : 0;
  }
  EXPECT_GE(ran, 3) << "hardly any call was approved: these seeds show nothing";
  EXPECT_LT(ran, 24);
}

}  // namespace
}  // namespace interlock::runtime::test
