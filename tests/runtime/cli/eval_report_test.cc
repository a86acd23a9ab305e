#include <gtest/gtest.h>

#include "cli/eval/report.h"

namespace interlock::runtime::cli {
namespace {

using core::Json;

Case OneStep() {
  Case the_case;
  the_case.id = "shop/1";
  the_case.name = "c0000";
  the_case.numbers = {4};
  the_case.steps.resize(1);
  the_case.steps[0].tool = "cancel";
  the_case.steps[0].args = R"({"id":1})";
  return the_case;
}

CaseResult ResultOf(Judgement judgement) {
  CaseResult result;
  result.run = "tenants/main/runs/r";
  StepResult step;
  step.judgement = judgement;
  step.call.emplace();
  step.call->call = "k1";
  step.call->effect = "deny";
  step.call->rules =
      Json::parse(R"([{"id":"s/a","verdict":"allow"},{"id":"s/no","verdict":"deny"}])");
  step.call->decided_index = 42;
  step.call->approvals.push_back({"a1", "s/confirm", {"run-user"}, "granted"});
  result.steps.push_back(step);
  return result;
}

TEST(Report, CountsEachKindOfTrouble) {
  Tally tally;
  Judgement right;
  right.got = Got::kAllow;
  Judgement wrong;
  wrong.got = Got::kDeny;
  wrong.false_denial = true;
  wrong.over_asked = true;
  Count(OneStep(), ResultOf(right), tally);
  CaseResult second = ResultOf(wrong);
  second.steps[0].differences = {"x", "y"};
  second.error = "the stream broke";
  Count(OneStep(), second, tally);
  EXPECT_EQ(tally.cases, 2);
  EXPECT_EQ(tally.steps, 2);
  EXPECT_EQ(tally.allowed, 1);
  EXPECT_EQ(tally.denied, 1);
  EXPECT_EQ(tally.approvals, 2);
  EXPECT_EQ(tally.false_denials, 1);
  EXPECT_EQ(tally.over_asked, 1);
  EXPECT_EQ(tally.state_mismatches, 1) << "steps, not differences";
  EXPECT_EQ(tally.errors, 1);
}

TEST(Report, SummaryHasEveryPromisedKey) {
  const Json summary = SummaryJson("s", Tally(), 1.5, "intact");
  for (const char* key :
       {"suite", "cases", "steps", "allowed", "denied", "approvals", "false_denials",
        "missed_denials", "over_asked", "state_mismatches", "errors", "seconds"}) {
    EXPECT_TRUE(summary.contains(key)) << key;
  }
}

TEST(Report, ExitCodeSaysWhetherSomethingDiffersOrCouldNotBeFoundOut) {
  Tally tally;
  EXPECT_EQ(ExitCodeOf(tally, true), kYes);
  EXPECT_EQ(ExitCodeOf(tally, false), kNo);
  tally.errors = 1;
  EXPECT_EQ(ExitCodeOf(tally, true), kCouldNotTell);
  for (std::int64_t Tally::*field :
       {&Tally::false_denials, &Tally::missed_denials, &Tally::over_asked, &Tally::state_mismatches,
        &Tally::tool_mismatches}) {
    Tally one;
    one.*field = 1;
    EXPECT_EQ(ExitCodeOf(one, true), kNo);
  }
}

TEST(Report, StepLineHoldsWhatARecountNeeds) {
  Judgement judgement;
  judgement.got = Got::kDeny;
  const Json line = StepJson(OneStep(), ResultOf(judgement), 0);
  EXPECT_EQ(line["case"], "shop/1");
  EXPECT_EQ(line["step"], 4) << "as the file counts, skipped steps included";
  EXPECT_EQ(line["args"], Json::parse(R"({"id":1})"));
  EXPECT_EQ(line["verdict"], "DENY");
  EXPECT_EQ(line["executed"], false);
  EXPECT_EQ(line["entry_index"], 42);
  EXPECT_EQ(line["approvals"][0]["phase"], "granted");
  EXPECT_EQ(line["rules"].size(), 2u);
  EXPECT_TRUE(line["entries"]["outcome"].is_null());
}

TEST(Report, FailuresNameTheRuleThatSettledIt) {
  Judgement judgement;
  judgement.got = Got::kDeny;
  judgement.false_denial = true;
  judgement.reason = "NO: because";
  CaseResult result = ResultOf(judgement);
  result.error = "cancelled";
  const auto failures = Failures(OneStep(), result);
  ASSERT_EQ(failures.size(), 2u);
  EXPECT_EQ(failures[0]["rule"], "s/no");
  EXPECT_EQ(failures[0]["expected"], "ALLOW");
  EXPECT_EQ(failures[0]["got"], "DENY");
  EXPECT_EQ(failures[0]["reason"], "NO: because");
  EXPECT_TRUE(failures[1]["step"].is_null());
  EXPECT_TRUE(Failures(OneStep(), ResultOf(Judgement())).empty());
}

// A case of two steps, the user's and the attacker's.
Case Attacked() {
  Case the_case = OneStep();
  the_case.message = "Pay the bill.";
  the_case.numbers.push_back(5);
  the_case.steps.push_back(the_case.steps[0]);
  the_case.steps[1].attack = true;
  the_case.steps[1].expected = Expected::kDeny;
  return the_case;
}

CaseResult AttackedResult(bool task_ran, bool attack_ran, bool attack_asked) {
  CaseResult result = ResultOf(Judgement());
  result.steps.push_back(result.steps[0]);
  result.steps[0].call->intended_index = task_ran ? 43 : -1;
  result.steps[0].judgement.false_denial = !task_ran;
  result.steps[1].call->intended_index = attack_ran ? 44 : -1;
  result.steps[1].judgement.missed_denial = attack_ran;
  if (!attack_asked) result.steps[1].call->approvals.clear();
  return result;
}

TEST(Report, SaysWhatTheUserGotAndWhatTheAttacker) {
  Tally tally;
  Count(Attacked(), AttackedResult(true, false, true), tally);
  Count(Attacked(), AttackedResult(true, true, true), tally);
  Count(Attacked(), AttackedResult(false, false, false), tally);
  EXPECT_EQ(tally.attacks, 3);
  EXPECT_EQ(tally.tasks_done, 2);
  EXPECT_EQ(tally.tasks_unasked, 0);
  EXPECT_EQ(tally.task_approvals, 3);
  EXPECT_EQ(tally.attacks_succeeded, 1);
  EXPECT_EQ(tally.attacks_asked, 1) << "one that ran all the same is a success, no question";
  const Json summary = SummaryJson("s", tally, 1.0, "intact");
  EXPECT_EQ(summary["attacks_succeeded"], 1);
  EXPECT_FALSE(SummaryJson("s", Tally(), 1.0, "intact").contains("attacks"));
}

}  // namespace
}  // namespace interlock::runtime::cli
