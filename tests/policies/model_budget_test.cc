// Budgets that models are charged by: what they are declared as, and what a request has to hold.
#include "policies/model_budget.h"

#include <gmock/gmock.h>

#include "policies/lint.h"
#include "policies/test.h"
#include "policy_fixture.h"

namespace interlock::policies {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kTokens[] =
    "budget \"llm\" { unit = \"tokens\", charges = \"model\", levels = {\n"
    "  { per = \"tenant\", limit = 10000, window = \"1d\" },\n"
    "  { per = \"user\", limit = 500, window = \"1d\", optional = true },\n"
    "  { per = \"run\", limit = 300 } } }\n";
constexpr char kCost[] =
    "budget \"cost\" { unit = \"USD\", charges = \"model\", per = \"agent\", limit = usd(2.5) }\n";

std::shared_ptr<const Bundle> Load(const std::string& rules) {
  auto bundle = Bundle::Load({{.path = "p.lua", .text = PolicyText(rules)}}, {}, nullptr);
  EXPECT_TRUE(bundle.ok()) << core::Message(bundle.status());
  return bundle.ok() ? *bundle : nullptr;
}

ModelCharge Charge(const std::string& rules, const ModelUse& most, const FakeState& state = {},
                   std::string_view user = "u1") {
  const auto bundle = Load(rules);
  DecisionInput who;
  who.call.run = "r1";
  who.call.agent = "a1";
  who.tenant = "main";
  who.user = user;
  who.now_us = 1'767'225'600'000'000 + 7'000'000;
  who.state = &state;
  return ChargeModel(bundle->model_budgets(), who, most);
}

std::vector<std::string> Held(const ModelCharge& charge) {
  std::vector<std::string> held;
  for (const Reservation& one : charge.reservations) {
    held.push_back(one.budget.name + " " + one.scope + " " + std::to_string(one.amount) + " " +
                   one.budget.unit);
  }
  return held;
}

TEST(ModelBudget, ARequestIsHeldAtEveryLevel) {
  const ModelUse most{.tokens = 300, .cost_micros = 1'234, .currency = "USD"};
  EXPECT_THAT(
      Held(Charge(std::string(kTokens) + kCost, most)),
      ElementsAre("cost agent:a1 1234 micro-USD", "llm.run run:r1 300 tokens",
                  "llm.tenant.1d tenant:main 300 tokens", "llm.user.1d user:u1 300 tokens"));
  EXPECT_EQ(Charge(kCost, most).reservations[0].budget.limit, 2'500'000);
  EXPECT_EQ(Charge(kTokens, most).reservations[1].window_start_us, 1'767'225'600'000'000);
}

TEST(ModelBudget, WhatOneLevelDoesNotCoverNoLevelHolds) {
  FakeState state;
  state.used["llm.user.1d"] = 201;
  const ModelCharge refused = Charge(kTokens, {.tokens = 300}, state);
  EXPECT_TRUE(refused.reservations.empty());
  EXPECT_EQ(refused.refused, "budget llm.user.1d: 201 used, 300 wanted, limit 500 tokens");
  EXPECT_EQ(Charge(kTokens, {.tokens = 299}, state).refused, "") << "exactly what is left";
  EXPECT_EQ(Charge(kTokens, {.tokens = 301}).refused,
            "budget llm.run: 0 used, 301 wanted, limit 300 tokens");
}

TEST(ModelBudget, WhatOnlyOthersHoldMayPass) {
  FakeState state;
  state.used["llm.user.1d"] = 201;
  EXPECT_FALSE(Charge(kTokens, {.tokens = 300}, state).may_pass) << "it is spent";
  state.held["llm.user.1d"] = 1;
  const ModelCharge waits = Charge(kTokens, {.tokens = 300}, state);
  EXPECT_EQ(waits.refused, "budget llm.user.1d: 200 used and 1 held, 300 wanted, limit 500 tokens");
  EXPECT_TRUE(waits.may_pass);
  state.used["llm.run"] = 1;
  EXPECT_FALSE(Charge(kTokens, {.tokens = 300}, state).may_pass) << "another level lasts";
  EXPECT_FALSE(Charge(kTokens, {.tokens = 1}, state).may_pass) << "nothing is refused";
}

TEST(ModelBudget, DoubtRefuses) {
  EXPECT_THAT(Charge(kCost, {.tokens = 1}).refused, HasSubstr("knows no such price"));
  EXPECT_THAT(Charge(kCost, {.tokens = 1, .cost_micros = 5, .currency = "EUR"}).refused,
              HasSubstr("counts micro-USD, and the planner has its `prices` in EUR; give both in "
                        "one currency"));
  EXPECT_EQ(Charge(kCost, {.free = true}).refused, "");
  EXPECT_THAT(Held(Charge(kTokens, {.tokens = 5}, {}, "")),
              ElementsAre("llm.run run:r1 5 tokens", "llm.tenant.1d tenant:main 5 tokens"))
      << "the level of users is optional";
  EXPECT_EQ(Charge("budget \"b\" { unit = \"requests\", charges = \"model\", per = \"user\", limit "
                   "= 3 }\n",
                   {}, {}, "")
                .refused,
            "budget b is per user, and there is none");
}

TEST(ModelBudget, AmountsAreInTheUnitOfTheShare) {
  const ModelUse use{.tokens = 7, .cost_micros = 9, .currency = "USD", .wait_ms = 11};
  EXPECT_EQ(AmountIn("tokens", use), 7);
  EXPECT_EQ(AmountIn("requests", use), 1);
  EXPECT_EQ(AmountIn("ms", use), 11);
  EXPECT_EQ(AmountIn("micro-USD", use), 9);
  EXPECT_EQ(AmountIn("micro-EUR", use), std::nullopt);
  EXPECT_EQ(AmountIn("USD", use), std::nullopt);
}

TEST(ModelBudget, WhatIsWrittenWrongIsRefusedAtLoad) {
  const auto error = [](const std::string& fields) {
    return LoadError(PolicyText("budget \"b\" { charges = \"model\", " + fields + " }\n"));
  };
  EXPECT_EQ(error("unit = \"ms\", per = \"run\", limit = 5"), "");
  EXPECT_THAT(error("unit = \"calls\", per = \"run\", limit = 5"),
              HasSubstr("in a currency, tokens, requests or ms"));
  EXPECT_THAT(error("unit = \"tokens\", per = \"key\", limit = 5"), HasSubstr("has no key"));
  EXPECT_THAT(error("unit = \"JPY\", per = \"run\", limit = money(\"9999999999999\", \"JPY\")"),
              HasSubstr("too large"));
  EXPECT_THAT(LoadError(PolicyText("budget \"b\" { charges = \"tools\", unit = \"ms\", per = "
                                   "\"run\", limit = 5 }\n")),
              HasSubstr("charges is \"model\""));
  EXPECT_THAT(
      LoadError(PolicyText("local B = budget \"b\" { charges = \"model\", unit = \"tokens\", "
                           "per = \"run\", limit = 5 }\nrule \"r\" { on = \"*\", reserve = { "
                           "budget = B, amount = 1 } }\n")),
      HasSubstr("is charged by what models use"));
}

TEST(ModelBudget, RulesReadItAndDoNotReserveFromIt) {
  const std::string local = "local B = " + std::string(kCost);
  TestCall call;
  call.state.used = {{"cost", 2'000'001}};
  const Decision read = DecideText(
      PolicyText(local +
                 "on(\"*\", \"r\", function(c) if spent { budget = B } > 2000000 then return "
                 "deny { code = \"COSTLY\" } end end)\n" +
                 kAllowAll),
      call);
  EXPECT_EQ(read.code, "COSTLY");
  const Decision reserved = DecideText(PolicyText(
      local + "on(\"*\", \"r\", function(c) return reserve(B, usd(1)) end)\n" + kAllowAll));
  EXPECT_EQ(reserved.code, "RULE_ERROR");
}

TEST(ModelBudget, ATestCaseStatesItAsMoneyOrInMillionths) {
  const auto bundle =
      Load("local B = " + std::string(kCost) +
           "on(\"*\", \"r\", function(c) if spent { budget = B } > 2000000 then return deny { code "
           "= \"COSTLY\" } end end)\n" +
           kAllowAll);
  const std::string tests =
      "test \"at\" { tool = \"t.write\", expect = \"allow\", used = { [\"cost\"] = usd(2) } }\n"
      "test \"above\" { tool = \"t.write\", expect = \"deny\", used = { [\"cost\"] = usd(2.01) } "
      "}\n"
      "test \"millionths\" { tool = \"t.write\", expect = \"deny\", used = { [\"cost\"] = 2000001 "
      "} }\n"
      "test \"share\" { tool = \"t.write\", expect = \"deny\", used = { [\"cost\"] = { "
      "[\"agent:tester\"] = usd(2.01) } } }\n";
  const PolicyTestReport report = RunPolicyTests(bundle, {{.path = "p_test.lua", .text = tests}});
  EXPECT_EQ(report.cases.size(), 4u);
  for (const PolicyTestResult& one : report.cases) EXPECT_TRUE(one.passed) << one.message;
}

TEST(ModelBudget, AttemptsAddUpAndTwoCurrenciesAreNone) {
  const ModelUse a{.tokens = 7, .cost_micros = 9, .currency = "USD"};
  const ModelUse both = Together(a, {.requests = 2, .tokens = 1, .currency = "USD"});
  EXPECT_EQ(both.requests, 3);
  EXPECT_EQ(AmountIn("requests", both), 3);
  EXPECT_EQ(both.tokens, 8);
  EXPECT_EQ(both.currency, "USD");
  EXPECT_EQ(Together(a, {.currency = "EUR"}).currency, "");
  EXPECT_EQ(Together(NoUse(), a).currency, "USD");
  EXPECT_EQ(Together(NoUse(), a).requests, 1);
  EXPECT_TRUE(Together(NoUse(), NoUse()).free);
  EXPECT_EQ(Together({.tokens = INT64_MAX}, a).tokens, INT64_MAX);
}

// No rule draws on it, and yet it is in use.
TEST(ModelBudget, IsNotCalledUnused) {
  for (const Finding& finding : LintPolicies(*Load(std::string(kTokens) + kCost), {}, 0)) {
    EXPECT_NE(finding.code, "UNUSED_BUDGET") << finding.message;
  }
}

}  // namespace
}  // namespace interlock::policies
