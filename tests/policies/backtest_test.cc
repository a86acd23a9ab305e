// Recorded decisions against another bundle, and what people keep approving.
#include "policies/backtest.h"

#include <sstream>

#include "policies/suggest.h"
#include "policies/test.h"
#include "policy_fixture.h"

namespace interlock::policies {
namespace {

using core::Json;

constexpr char kHead[] =
    "policy \"pay\" { owner = \"t\", tools = { \"pay.*\" } }\n"
    "on(\"pay.send\", \"ok\", function(c) return allow() end)\n";

std::shared_ptr<const Bundle> Load(const std::string& rules) {
  const std::vector<KnownTool> tools = {{.name = "pay.send", .effect = "money"},
                                        {.name = "payees.get", .effect = "read"}};
  auto bundle = Bundle::Load({{.path = "pay.lua", .text = kHead + rules}}, tools, nullptr);
  EXPECT_TRUE(bundle.ok()) << core::Message(bundle.status());
  return bundle.ok() ? *bundle : nullptr;
}

RecordedDecision Paid(int number, int amount, const std::string& to = "acme") {
  RecordedDecision one;
  one.call = "c" + std::to_string(number);
  one.time_us = 1'767'225'600'000'000 + number * 1'000'000LL;
  one.tool = "pay.send";
  one.verdict = "allow";
  one.code = "OK";
  one.currency = "USD";
  one.amount = amount * 100;
  one.input = {{"tool", "pay.send"},
               {"user", "u1"},
               {"args", {{"amount", amount}, {"to", to}}},
               {"now", one.time_us}};
  return one;
}

TEST(Recorded, ComesBackFromItsLine) {
  RecordedDecision one = Paid(1, 20);
  one.asked_by = {"pay/large"};
  one.granted = true;
  std::istringstream in(RecordedJson(one).dump() + "\n\n" + RecordedJson(Paid(2, 5)).dump() + "\n");
  const auto read = ReadRecorded(in);
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), 2u);
  EXPECT_EQ(RecordedJson((*read)[0]), RecordedJson(one));
  std::istringstream bad("{\"call\":\"c1\",\"verdict\":\"allow\",\"tool\":\"pay.send\"}\n");
  EXPECT_EQ(core::Message(ReadRecorded(bad).status()), "line 1: it has no `input`");
}

TEST(Backtest, GroupsWhatChangedByRuleWithItsMoney) {
  const auto candidate = Load(
      "rule \"cap\" { on = \"pay.send\", where = { [\"args.amount\"] = gt(50) }, deny = { code = "
      "\"CAP\" } }\n");
  const BacktestReport report =
      Backtest(candidate, {Paid(1, 20), Paid(2, 60), Paid(3, 70)}, BacktestOptions());
  EXPECT_EQ(report.decisions, 3u);
  EXPECT_EQ(report.same, 1u);
  EXPECT_EQ(report.newly_denied, 2u);
  EXPECT_EQ(report.newly_allowed, 0u);
  ASSERT_EQ(report.changes.size(), 1u);
  EXPECT_EQ(report.changes[0].change, "allow -> deny CAP");
  EXPECT_EQ(report.changes[0].rules, std::vector<std::string>{"pay/cap"});
  EXPECT_EQ(report.changes[0].money.at("USD"), 13'000);
  EXPECT_EQ(report.changes[0].examples, (std::vector<std::string>{"c2", "c3"}));
}

// A denial frees money: the third call fits only because the second was refused.
TEST(Backtest, MovesBudgetsAsTheCandidateWouldHave) {
  const std::string budget =
      "local DAY = budget \"pay.day\" { unit = \"USD\", limit = usd(100), per = \"tenant\", window "
      "= \"1d\" }\n"
      "on(\"pay.send\", \"day\", function(c) return reserve(DAY, usd(c.args.amount)) end)\n";
  const std::vector<RecordedDecision> calls = {Paid(1, 40), Paid(2, 70), Paid(3, 60)};
  const BacktestReport report = Backtest(Load(budget), calls, BacktestOptions());
  ASSERT_EQ(report.changes.size(), 1u);
  EXPECT_EQ(report.changes[0].change, "allow -> deny BUDGET");
  EXPECT_EQ(report.changes[0].examples, std::vector<std::string>{"c2"});
}

TEST(Backtest, MovesCountersWithTime) {
  const std::string limit =
      "on(\"pay.send\", \"two\", function(c) return limit { key = c.args.to, max = 2, per = \"1m\" "
      "} end)\n";
  const std::vector<RecordedDecision> calls = {Paid(1, 1), Paid(2, 1), Paid(3, 1), Paid(90, 1),
                                               Paid(4, 1, "other")};
  const BacktestReport report = Backtest(Load(limit), calls, BacktestOptions());
  ASSERT_EQ(report.changes.size(), 1u);
  EXPECT_EQ(report.changes[0].change, "allow -> deny LIMIT");
  EXPECT_EQ(report.changes[0].examples, std::vector<std::string>{"c3"});
}

// Slots of an hour are counted over a day by another rule.
TEST(Backtest, ForgetsNoSlotThatAnotherRuleCounts) {
  const std::string rules =
      "on(\"pay.send\", \"hour\", function(c) return limit { key = c.args.to, max = 9, per = "
      "\"1h\" } end)\n"
      "on(\"pay.send\", \"day\", function(c) if count { rule = \"hour\", key = c.args.to, within "
      "= \"1d\" } >= 2 then return deny { code = \"OFTEN\" } end end)\n";
  const std::vector<RecordedDecision> calls = {Paid(1, 1), Paid(7'200, 1), Paid(14'400, 1)};
  const BacktestReport report = Backtest(Load(rules), calls, BacktestOptions());
  ASSERT_EQ(report.changes.size(), 1u);
  EXPECT_EQ(report.changes[0].change, "allow -> deny OFTEN");
  EXPECT_EQ(report.changes[0].examples, std::vector<std::string>{"c14400"});
}

// What a rule changes is decided again before it counts, as the gate would have it.
TEST(Backtest, DecidesWhatRulesChangeAgain) {
  const std::string cut =
      "on(\"pay.send\", \"cut\", function(c) if c.args.amount > 50 then return modify { "
      "[\"args.amount\"] = 50 } end end)\n";
  const std::string day =
      "local DAY = budget \"pay.day\" { unit = \"USD\", limit = usd(150), per = \"tenant\", window "
      "= \"1d\" }\n"
      "on(\"pay.send\", \"day\", function(c) return reserve(DAY, usd(c.args.amount)) end)\n";
  const BacktestReport moved =
      Backtest(Load(cut + day), {Paid(1, 90), Paid(2, 90), Paid(3, 90)}, BacktestOptions());
  ASSERT_EQ(moved.changes.size(), 1u) << "90 fits beside 50, and is 50 then; not beside 100";
  EXPECT_EQ(moved.changes[0].change, "allow -> deny BUDGET");
  EXPECT_EQ(moved.changes[0].examples, std::vector<std::string>{"c3"});
  const BacktestReport loop =
      Backtest(Load("on(\"pay.send\", \"up\", function(c) return modify { [\"args.amount\"] = "
                    "c.args.amount + 1 } end)\n"),
               {Paid(1, 1)}, BacktestOptions());
  ASSERT_EQ(loop.changes.size(), 1u);
  EXPECT_EQ(loop.changes[0].change, "allow -> deny MODIFY_LOOP");
}

TEST(Backtest, AnApprovalGivenThenStandsAndANewDemandIsAsAssumed) {
  const auto candidate = Load(
      "local DAY = budget \"pay.day\" { unit = \"USD\", limit = usd(100), per = \"tenant\", window "
      "= \"1d\" }\n"
      "on(\"pay.send\", \"large\", function(c) if c.args.amount > 50 then return require_approval "
      "{ approvers = { \"role:x\" }, expires = \"1h\" } end end)\n"
      "on(\"pay.send\", \"day\", function(c) return reserve(DAY, usd(c.args.amount)) end)\n");
  const std::vector<RecordedDecision> fresh = {Paid(1, 80), Paid(2, 30)};
  EXPECT_EQ(Backtest(candidate, fresh, {.assume = Assume::kRefused}).newly_denied, 0u);
  EXPECT_EQ(Backtest(candidate, fresh, {.assume = Assume::kGranted}).newly_denied, 1u);
  std::vector<RecordedDecision> granted = fresh;
  granted[0].verdict = "ask";
  granted[0].asked_by = {"pay/large"};
  granted[0].granted = true;
  EXPECT_EQ(Backtest(candidate, granted, {.assume = Assume::kRefused}).newly_denied, 1u);
}

TEST(Backtest, WhatNobodyRecordedIsNoDenial) {
  const auto candidate = Load(
      "fact \"payee\" { tool = \"payees.get\", args = { id = \"{args.to}\" }, on = \"pay.send\" }\n"
      "on(\"pay.send\", \"known\", function(c) if not c.facts.payee.known then return deny { code "
      "= \"PAYEE\" } end end)\n");
  std::vector<RecordedDecision> calls = {Paid(1, 20), Paid(2, 20), Paid(3, 20)};
  calls[1].input["facts"] = {{"payee", {{"known", false}}}, {"old", {{"x", 1}}}};
  calls[2].undecidable = "erased";
  const BacktestReport report = Backtest(candidate, calls, BacktestOptions());
  EXPECT_EQ(report.decisions, 1u);
  EXPECT_EQ(report.newly_denied, 1u);
  EXPECT_EQ(report.undecidable, (std::map<std::string, std::size_t>{
                                    {"nobody recorded the fact `payee`", 1}, {"erased", 1}}));
}

TEST(Backtest, AToolWithoutAManifestIsNoDenialEither) {
  std::vector<RecordedDecision> calls = {Paid(1, 20), Paid(2, 20)};
  for (RecordedDecision& one : calls) one.input["tool"] = one.tool = "pay.recall";
  calls[1].input["effect"] = "money";
  const BacktestReport report = Backtest(Load(""), calls, BacktestOptions());
  EXPECT_EQ(report.decisions, 1u) << "of the second the effect is stated";
  EXPECT_EQ(report.undecidable,
            (std::map<std::string, std::size_t>{{"no manifest of `pay.recall`: give --tools", 1}}));
}

TEST(Backtest, EarlierOnesMoveBudgetsButAreNotCounted) {
  const auto candidate = Load(
      "on(\"pay.send\", \"one\", function(c) return limit { key = c.args.to, max = 1, per = \"1h\" "
      "} end)\n");
  const std::vector<RecordedDecision> calls = {Paid(1, 1), Paid(2, 1)};
  const BacktestReport report = Backtest(candidate, calls, {.since_us = calls[1].time_us});
  EXPECT_EQ(report.decisions, 1u);
  EXPECT_EQ(report.newly_denied, 1u);
}

std::vector<RecordedDecision> Granted(int count) {
  std::vector<RecordedDecision> out;
  for (int i = 0; i < count; ++i) {
    out.push_back(Paid(i, 60 + i, i % 2 == 0 ? "acme" : "globex"));
    out.back().verdict = "ask";
    out.back().asked_by = {"pay/large"};
    out.back().granted = true;
  }
  return out;
}

TEST(Suggest, WhatIsAlwaysGrantedBecomesAnExceptionWhoseTestsHold) {
  const auto suggested = SuggestExceptions(Granted(12), {.least = 10});
  ASSERT_EQ(suggested.size(), 1u);
  EXPECT_EQ(suggested[0].granted, 12u);
  EXPECT_NE(suggested[0].policy.find("[\"args.amount\"] = le(71)"), std::string::npos);
  EXPECT_NE(suggested[0].policy.find("[\"args.to\"] = one_of(\"acme\", \"globex\")"),
            std::string::npos);
  std::string exception = suggested[0].policy;
  const std::string signature = "owner = \"?\", ticket = \"?\", expires = \"?\"";
  const std::size_t at = exception.find(signature);
  ASSERT_NE(at, std::string::npos);
  exception.replace(at, signature.size(),
                    "owner = \"t\", ticket = \"T-1\", expires = \"2030-01-01\"");
  const auto bundle = Load(
      "rule \"large\" { on = \"pay.send\", where = { [\"args.amount\"] = gt(50) }, "
      "require_approval "
      "= { approvers = { \"role:x\" }, expires = \"1h\" } }\n" +
      exception);
  ASSERT_NE(bundle, nullptr);
  const PolicyTestReport report =
      RunPolicyTests(bundle, {{.path = "pay_test.lua", .text = suggested[0].tests}});
  EXPECT_EQ(report.cases.size(), 3u);
  for (const PolicyTestResult& one : report.cases) {
    EXPECT_TRUE(one.passed) << one.name << ": " << one.message;
  }
}

TEST(Suggest, SaysWhatAnExceptionWouldLeaveOpenAndNeverForMoneyOrEgress) {
  auto calls = Granted(12);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    calls[i].input["args"]["note"] = "note " + std::to_string(i);
    calls[i].currency.clear();
    calls[i].effect = "write";
  }
  const auto suggested = SuggestExceptions(calls, {.least = 10});
  ASSERT_EQ(suggested.size(), 1u);
  EXPECT_NE(suggested[0].policy.find("-- any value: \"args.note\"\n"), std::string::npos);
  calls[3].effect = "egress";
  EXPECT_TRUE(SuggestExceptions(calls, {.least = 10}).empty());
  calls[3].effect = "";
  EXPECT_TRUE(SuggestExceptions(calls, {.least = 10}).empty()) << "it may have been either";
}

TEST(Suggest, ANameOfARecordIsNoCode) {
  auto calls = Granted(12);
  for (RecordedDecision& one : calls) one.asked_by = {"pay/a\" } os.exit() --"};
  const auto suggested = SuggestExceptions(calls, {.least = 10});
  ASSERT_EQ(suggested.size(), 1u);
  EXPECT_NE(suggested[0].policy.find("exception \"usual-a\\\" } os.exit() --\" {\n"),
            std::string::npos);
}

TEST(Suggest, NothingIsSuggestedAfterARefusalOrTooFewOrWithoutABound) {
  EXPECT_TRUE(SuggestExceptions(Granted(9), {.least = 10}).empty());
  auto refused = Granted(12);
  refused[3].granted = false;
  refused[3].rejected = true;
  EXPECT_TRUE(SuggestExceptions(refused, {.least = 10}).empty());
  auto unbounded = Granted(12);
  for (std::size_t i = 0; i < unbounded.size(); ++i) {
    unbounded[i].input["args"] = {{"to", "payee" + std::to_string(i)}};
  }
  EXPECT_TRUE(SuggestExceptions(unbounded, {.least = 10}).empty());
}

}  // namespace
}  // namespace interlock::policies
