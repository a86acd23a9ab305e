// Mutants that tests notice, and mutants that they let live.
#include "policies/mutate.h"

#include "policy_fixture.h"

namespace interlock::policies {
namespace {

const char kPolicy[] =
    "policy \"p\" { owner = \"t\", tools = { \"*\" } }\n"
    "local LIMIT = 100 -- not in a rule\n"
    "rule \"small\" { on = \"t.pay\", where = { [\"args.amount\"] = le(50) }, allow = true }\n"
    "on(\"t.pay\", \"mine\", function(c)\n"
    "  if c.args.owner ~= c.user then return deny { code = \"NOT_YOURS\" } end\n"
    "end)\n";

MutationReport Mutate(const std::string& tests) {
  return MutatePolicies({{.path = "p.lua", .text = kPolicy}}, {},
                        {{.path = "p_test.lua", .text = tests}});
}

std::string Survivors(const MutationReport& report) {
  std::string text;
  for (const Mutant& mutant : report.mutants) {
    if (mutant.killed_by.empty()) text += std::to_string(mutant.line) + ": " + mutant.change + "\n";
  }
  return text;
}

const char kGood[] =
    "local function pay(n, owner) return { tool = \"t.pay\", user = \"u1\", args = { amount = n, "
    "owner = "
    "owner } } end\n"
    "test \"at the bound\" { tool = \"t.pay\", user = \"u1\", args = { amount = 50, owner = \"u1\" "
    "}, "
    "expect = \"allow\" }\n"
    "test \"above it\" { tool = \"t.pay\", user = \"u1\", args = { amount = 51, owner = \"u1\" }, "
    "expect = "
    "\"deny\", code = \"DEFAULT_DENY\" }\n"
    "test \"not mine\" { tool = \"t.pay\", user = \"u1\", args = { amount = 5, owner = \"u2\" }, "
    "expect = "
    "\"deny\", code = \"NOT_YOURS\" }\n";

TEST(Mutate, GoodTestsKillEveryMutant) {
  const MutationReport report = Mutate(kGood);
  for (const Finding& error : report.errors) ADD_FAILURE() << error.message;
  EXPECT_EQ(Survivors(report), "");
  EXPECT_EQ(report.score(), 100);
  EXPECT_GE(report.mutants.size(), 5u);  // two rules left out, le, 50, ~=
}

TEST(Mutate, WhatIsNotTestedSurvivesAndIsNamed) {
  const MutationReport report = Mutate(
      "test \"some\" { tool = \"t.pay\", user = \"u1\", args = { amount = 5, owner = \"u1\" }, "
      "expect = "
      "\"allow\" }\n");
  EXPECT_EQ(Survivors(report),
            "3: `le` became `lt`\n3: `50` became `51`\n4: rule p/mine was left out\n");
  EXPECT_LT(report.score(), 90);
}

TEST(Mutate, FailingTestsAreMendedFirst) {
  const MutationReport report =
      Mutate("test \"wrong\" { tool = \"t.pay\", args = {}, expect = \"allow\" }\n");
  ASSERT_EQ(report.errors.size(), 1u);
  EXPECT_EQ(report.errors[0].message, "test `wrong` fails as it is; mend it first");
  EXPECT_EQ(report.score(), 0);
}

TEST(Coverage, TellsOfRulesThatWereOnlyEverSeenOneWay) {
  const auto bundle = Bundle::Load({{.path = "p.lua", .text = kPolicy}}, {}, nullptr);
  ASSERT_TRUE(bundle.ok());
  const PolicyTestReport report = RunPolicyTests(
      *bundle,
      {{.path = "p_test.lua",
        .text = "test \"some\" { tool = \"t.pay\", user = \"u1\", args = { amount = 5, owner = "
                "\"u1\" }, expect = \"allow\" }\n"}});
  EXPECT_TRUE(report.passed());
  EXPECT_EQ(report.rules, 2u);
  EXPECT_EQ(report.unfired, (std::vector<std::string>{"p/mine"}));
  EXPECT_EQ(report.never_silent, (std::vector<std::string>{"p/small"}));
}

}  // namespace
}  // namespace interlock::policies
