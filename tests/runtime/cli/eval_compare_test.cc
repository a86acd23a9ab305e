#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/eval/compare.h"

namespace interlock::runtime::cli {
namespace {

using core::Json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const AskingTerms kTerms{.confirm = {"cancel"}, .ask_is_denial = {"R03"}};

CaseStep Step(Expected expected, bool confirmed = true, std::vector<std::string> rules = {}) {
  CaseStep step;
  step.tool = "cancel";
  step.expected = expected;
  step.confirmed = confirmed;
  step.rules = std::move(rules);
  return step;
}

CallRecord Call(std::string effect) {
  CallRecord call;
  call.tool = "cancel";
  call.effect = std::move(effect);
  return call;
}

CallRecord Executed(std::string outcome = "ok") {
  CallRecord call = Call("allow");
  call.intended_index = 5;
  call.outcome = std::move(outcome);
  return call;
}

CallRecord Asked(std::string phase, std::vector<std::string> approvers = {"run-user"}) {
  CallRecord call = Call("ask");
  call.approvals.push_back({"a1", "shop/confirm", std::move(approvers), std::move(phase)});
  return call;
}

TEST(Judge, AnAllowedAndExecutedCallIsRight) {
  const CallRecord call = Executed();
  const Judgement j = Judge(Step(Expected::kAllow), &call, kTerms);
  EXPECT_EQ(j.got, Got::kAllow);
  EXPECT_TRUE(j.ok()) << j.reason;
}

TEST(Judge, AConfirmationThatTheTextDemandsIsNotOverAsked) {
  CallRecord call = Asked("consumed");
  call.intended_index = 5;
  call.outcome = "ok";
  const Judgement j = Judge(Step(Expected::kAllow), &call, kTerms);
  EXPECT_TRUE(j.ok());
  EXPECT_FALSE(j.over_asked);
}

TEST(Judge, AnApprovalThatNothingDemandsIsOverAskedAndAFalseDenial) {
  CallRecord call = Asked("consumed");
  call.intended_index = 5;
  call.outcome = "ok";
  const Judgement other_tool =
      Judge(Step(Expected::kAllow), &call, {.confirm = {"refund"}, .ask_is_denial = {}});
  EXPECT_TRUE(other_tool.over_asked);
  EXPECT_TRUE(other_tool.false_denial);
  call.approvals[0].approvers = {"role:manager"};
  const Judgement other_person = Judge(Step(Expected::kAllow), &call, kTerms);
  EXPECT_TRUE(other_person.over_asked);
  EXPECT_TRUE(other_person.false_denial);
}

TEST(Judge, ADeniedCallThatShouldRunIsAFalseDenialWithItsReason) {
  CallRecord call = Call("deny");
  call.code = "NOT_YOURS";
  call.say = "not your order";
  const Judgement j = Judge(Step(Expected::kAllow), &call, kTerms);
  EXPECT_TRUE(j.false_denial);
  EXPECT_THAT(j.reason, HasSubstr("NOT_YOURS: not your order"));
}

TEST(Judge, DenyIsMetByDenialAndByRefusedArguments) {
  for (const char* effect : {"deny", "refuse"}) {
    const CallRecord call = Call(effect);
    EXPECT_TRUE(Judge(Step(Expected::kDeny), &call, kTerms).ok()) << effect;
  }
}

TEST(Judge, DenyIsMissedWhenTheCallRan) {
  const CallRecord call = Executed("failed");
  const Judgement j = Judge(Step(Expected::kDeny), &call, kTerms);
  EXPECT_TRUE(j.missed_denial) << "a tool that refuses by itself does not make up for the policy";
}

TEST(Judge, AskingIsADenialOnlyForTheNamedRulesOfUnconfirmedSteps) {
  const CallRecord call = Asked("rejected");
  EXPECT_TRUE(Judge(Step(Expected::kDeny, false, {"R03"}), &call, kTerms).ok());
  EXPECT_TRUE(Judge(Step(Expected::kDeny, false, {"R02"}), &call, kTerms).missed_denial);
  EXPECT_TRUE(Judge(Step(Expected::kDeny, true, {"R03"}), &call, kTerms).missed_denial);
}

TEST(Judge, ADenialAfterTheApprovalIsADenial) {
  CallRecord call = Asked("voided");
  call.effect = "deny";
  EXPECT_EQ(Judge(Step(Expected::kDeny), &call, kTerms).got, Got::kDeny);
}

TEST(Judge, AnOpenApprovalIsRequireApproval) {
  const CallRecord call = Asked("requested");
  EXPECT_EQ(Judge(Step(Expected::kApproval), &call, kTerms).got, Got::kApproval);
  EXPECT_TRUE(Judge(Step(Expected::kAllow), &call, kTerms).false_denial);
}

TEST(Judge, ComparesTheToolsOwnAnswer) {
  CaseStep step = Step(Expected::kAllow);
  step.tool_ok = false;
  const CallRecord failed = Executed("failed");
  const CallRecord ok = Executed("ok");
  EXPECT_TRUE(Judge(step, &failed, kTerms).ok()) << "some reads fail by design";
  EXPECT_TRUE(Judge(step, &ok, kTerms).tool_mismatch);
  step.tool_ok = true;
  EXPECT_TRUE(Judge(step, &failed, kTerms).tool_mismatch);
}

TEST(Judge, AnUnknownOutcomeOrAMissingCallIsAnError) {
  for (const char* outcome : {"", "unknown", "not_started", "timeout", "violation"}) {
    const CallRecord call = Executed(outcome);
    EXPECT_TRUE(Judge(Step(Expected::kAllow), &call, kTerms).error) << outcome;
  }
  EXPECT_TRUE(Judge(Step(Expected::kAllow), nullptr, kTerms).error);
  const CallRecord undecided = Call("");
  EXPECT_TRUE(Judge(Step(Expected::kAllow), &undecided, kTerms).error);
}

TEST(Judge, ACallOfAnotherToolIsAnError) {
  CallRecord call = Executed();
  call.tool = "refund";
  EXPECT_TRUE(Judge(Step(Expected::kAllow), &call, kTerms).error);
}

TEST(Differences, EqualObjectsHaveNone) {
  const Json a =
      Json::parse(R"({"orders":{"1":{"price":0.04999999999999716,"items":["x"],"n":2}}})");
  const Json b = Json::parse(R"({"orders":{"1":{"price":0.05,"items":["x"],"n":2.0}}})");
  EXPECT_THAT(Differences(a, b), IsEmpty());
}

TEST(Differences, NameTheirPath) {
  const Json a = Json::parse(R"({"o":{"1":{"price":1.50,"items":["x","y"],"gone":1,"kind":"1"}}})");
  const Json b = Json::parse(R"({"o":{"1":{"price":1.51,"items":["x","z"],"new":null,"kind":1}}})");
  EXPECT_THAT(
      Differences(a, b),
      ElementsAre("o/1/gone: expected 1, got nothing", "o/1/items/1: expected \"y\", got \"z\"",
                  "o/1/kind: expected \"1\", got 1", "o/1/price: expected 1.5, got 1.51",
                  "o/1/new: expected nothing, got null"));
}

TEST(Differences, AMissingObjectAndAnotherLengthAreDifferences) {
  EXPECT_THAT(Differences(Json::parse(R"({"o":{"1":{}}})"), Json::parse(R"({"o":{}})")),
              ElementsAre(HasSubstr("o/1")));
  EXPECT_THAT(Differences(Json::parse("[1,2]"), Json::parse("[1]")),
              ElementsAre(HasSubstr("[1,2]")));
}

TEST(Differences, AreBounded) {
  Json a = Json::array();
  Json b = Json::array();
  for (int i = 0; i < 100; ++i) {
    a.push_back(i);
    b.push_back(i + 1);
  }
  EXPECT_EQ(Differences(a, b).size(), kDifferencesMax);
}

}  // namespace
}  // namespace interlock::runtime::cli
