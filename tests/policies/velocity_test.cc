// Velocity: what calls did before, counted and summed under keys of their own arguments.
#include <gmock/gmock.h>

#include "policies/backtest.h"
#include "policies/explain.h"
#include "policies/test.h"
#include "policy_fixture.h"

namespace interlock::policies {
namespace {

using ::testing::HasSubstr;

constexpr char kPaid[] =
    "velocity \"paid\" { tool = \"t.write\", key = \"args.id\", of = \"args.amount\", unit = "
    "\"USD\", within = \"7d\" }\n";

std::string Paid(const std::string& body) {
  return PolicyText(kPaid + ("on(\"*\", \"r\", function(c) " + body + " end)\n") + kAllowAll);
}

std::string BecauseOf(const Decision& decision, const std::string& rule) {
  const FiredRule* fired = FiredBy(decision, rule);
  return fired == nullptr ? "" : fired->because;
}

TEST(Velocity, ACallThatGoesOnIsCountedUnderItsKeyWithItsAmount) {
  const Decision decision = DecideText(Paid(""));
  ASSERT_EQ(decision.verdict, Verdict::kAllow);
  ASSERT_EQ(decision.tallies.size(), 1u);
  EXPECT_EQ(decision.tallies[0].velocity, "p/paid");
  EXPECT_EQ(decision.tallies[0].key, "p/paid:USD/o1");
  EXPECT_EQ(decision.tallies[0].amount, 2000);
  EXPECT_EQ(decision.tallies[0].within_ms, 7 * 86'400'000LL);
  EXPECT_THAT(CanonicalDecision(decision),
              HasSubstr(R"("tallies":[{"amount":"2000","key":"p/paid:USD/o1")"));
  EXPECT_THAT(Explain(decision), HasSubstr("counts under p/paid:USD/o1, 2000 more"));
}

TEST(Velocity, ADeniedCallAndAnotherToolAreNotCounted) {
  EXPECT_TRUE(DecideText(Paid("return deny { code = \"NO\" }")).tallies.empty());
  EXPECT_TRUE(DecideText(Paid("return modify { [\"args.amount\"] = 5 }")).tallies.empty());
  TestCall other;
  other.tool = "t.read";
  EXPECT_EQ(DecideText(Paid(""), other).verdict, Verdict::kAllow);
  EXPECT_TRUE(DecideText(Paid(""), other).tallies.empty());
  const Decision asked =
      DecideText(Paid("return require_approval { approvers = { \"role:x\" }, expires = \"1h\" }"));
  EXPECT_EQ(asked.verdict, Verdict::kAsk);
  EXPECT_EQ(asked.tallies.size(), 1u) << "it goes on once it was granted";
}

TEST(Velocity, RulesAskHowManyAndHowMuch) {
  const std::string text = Paid(
      "local n = count { tool = \"t.write\", key = c.args.id, within = \"1d\" }\n"
      "local s = sum { tool = \"t.write\", key = c.args.id, of = \"args.amount\", within = \"7d\" "
      "}\n"
      "if n >= 3 then return deny { code = \"OFTEN\" } end\n"
      "if s + usd(c.args.amount) > usd(100) then return deny { code = \"MUCH\" } end");
  TestCall call;
  EXPECT_EQ(DecideText(text, call).code, "OK");
  call.state.counts["p/paid:USD/o1"] = 3;
  EXPECT_EQ(DecideText(text, call).code, "OFTEN");
  call.state.counts["p/paid:USD/o1"] = 2;
  call.state.sums["p/paid:USD/o1"] = 8'000;
  const Decision at = DecideText(text, call);
  EXPECT_EQ(at.code, "OK");  // 80 and 20 are not above 100
  ASSERT_EQ(at.reads.size(), 2u);
  EXPECT_FALSE(at.reads[0].fits_only);
  EXPECT_EQ(at.reads[0].asked, "p/paid:USD/o1");
  EXPECT_NE(at.reads[0].summed, at.reads[1].summed);
  call.state.sums["p/paid:USD/o1"] = 8'001;
  EXPECT_EQ(DecideText(text, call).code, "MUCH");
  call.args["id"] = "o2";
  EXPECT_EQ(DecideText(text, call).code, "OK") << "another key";
}

TEST(Velocity, KeysComeFromAnythingOfTheCall) {
  const auto key = [](const std::string& path) {
    const Decision decision = DecideText(PolicyText("velocity \"v\" { tool = \"*\", key = \"" +
                                                    path + "\", within = \"1d\" }\n" + kAllowAll));
    return decision.tallies.empty() ? decision.code : decision.tallies[0].key;
  };
  EXPECT_EQ(key("user"), "p/v:calls/u1");
  EXPECT_EQ(key("call.run"), "p/v:calls/r1");
  EXPECT_EQ(key("session.shop"), "p/v:calls/s1");
  EXPECT_EQ(key("facts.order.status"), "p/v:calls/paid");
  EXPECT_EQ(key("args.amount"), "p/v:calls/20");
  EXPECT_EQ(key("{user}/{args.id}"), "p/v:calls/u1/o1");
  EXPECT_EQ(key("args.items"), "RULE_ERROR");
}

// What is not counted no rule could bound, so leaving the key out is no way round.
TEST(Velocity, ACallWithoutItsKeyOrAmountIsDeniedUnlessTheVelocityIsOptional) {
  const auto decide = [](const std::string& rest, const TestCall& call) {
    return DecideText(
        PolicyText("velocity \"v\" { tool = \"t.write\", key = \"args.id\", within = \"1d\"" +
                   rest + " }\n" + kAllowAll),
        call);
  };
  TestCall without;
  without.args.erase("id");
  const Decision denied = decide("", without);
  EXPECT_EQ(denied.code, "RULE_ERROR");
  EXPECT_EQ(denied.say, "This call could not be counted, so it is denied.");
  EXPECT_THAT(BecauseOf(denied, "p/v"), HasSubstr("`args.id` is absent"));
  EXPECT_EQ(FiredBy(denied, "p/v")->line, 2);
  EXPECT_EQ(decide("", {}).code, "OK");
  EXPECT_EQ(decide(", optional = true", without).code, "OK");
  EXPECT_TRUE(decide(", optional = true", without).tallies.empty());
  TestCall odd_key;
  odd_key.args["id"] = {"o1", "o2"};
  EXPECT_EQ(decide(", optional = true", odd_key).code, "RULE_ERROR") << "there, and no key";

  const std::string of = ", of = \"args.amount\", unit = \"USD\"";
  for (const core::Json& amount : {core::Json("a lot"), core::Json(20.005), core::Json(-1)}) {
    TestCall odd;
    odd.args["amount"] = amount;
    EXPECT_EQ(decide(of, odd).code, "RULE_ERROR") << amount;
    EXPECT_TRUE(decide(of, odd).tallies.empty());
  }
  TestCall cents;
  cents.args["amount"] = 0.29;  // is 0.28999999999999998 in binary
  ASSERT_EQ(decide(of, cents).tallies.size(), 1u);
  EXPECT_EQ(decide(of, cents).tallies[0].amount, 29);
}

TEST(Velocity, AQuestionThatNothingCountsIsAnError) {
  const auto error = [](const std::string& ask) {
    return BecauseOf(
        DecideText(PolicyText(std::string(kPaid) +
                              "velocity \"seats\" { tool = \"t.write\", key = "
                              "\"user\", within = \"1d\" }\n" +
                              "on(\"*\", \"r\", function(c) " + ask + " return allow() end)\n")),
        "p/r");
  };
  EXPECT_THAT(error("local t = \"t.wrote\" count { tool = t, key = \"x\", within = \"1d\" }"),
              HasSubstr("no velocity counts `t.wrote`; declare velocity \"name\" { tool = "));
  EXPECT_THAT(error("count { tool = \"t.write\", key = \"x\", within = \"1d\" }"),
              HasSubstr("say velocity = one of `p/paid`, `p/seats`"));
  EXPECT_THAT(error("count { velocity = \"paid\", key = \"x\", within = \"8d\" }"),
              HasSubstr("looks back over 604800 s; ask for no more"));
  EXPECT_THAT(error("sum { velocity = \"seats\", key = \"x\", within = \"1h\" }"),
              HasSubstr("`p/seats` sums nothing"));
  EXPECT_THAT(
      error("sum { tool = \"t.write\", of = \"args.price\", key = \"x\", within = \"1h\" }"),
      HasSubstr("no velocity sums `args.price` of `t.write`"));
  EXPECT_THAT(error("local v = \"paed\" count { velocity = v, key = \"x\", within = \"1h\" }"),
              HasSubstr("there is no velocity `p/paed`"));
  EXPECT_EQ(error("count { velocity = \"seats\", key = \"x\", within = \"1h\" }"), "");
  EXPECT_EQ(error("sum { tool = \"t.write\", of = \"args.amount\", key = 1, within = \"1h\" }"),
            "");
  EXPECT_EQ(error("sum({ 1, 2 })"), "") << "lists are summed as ever";
}

// What its own policy counts is meant, whatever other teams count of the same tool.
TEST(Velocity, AnotherTeamsVelocityOfTheToolDoesNotDisturb) {
  const std::string other =
      "policy \"q\" { owner = \"others\", tools = { \"*\" } }\n"
      "velocity \"theirs\" { tool = \"t.write\", key = \"user\", within = \"1d\" }\n";
  const auto bundle = Bundle::Load(
      {{.path = "p.lua",
        .text = Paid("if count { tool = \"t.write\", key = c.args.id, within = \"1d\" } >= 3 "
                     "then return deny { code = \"OFTEN\" } end")},
       {.path = "q.lua", .text = other}},
      {}, nullptr);
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  const auto engine = Engine::Make(*bundle);
  ASSERT_TRUE(engine.ok());
  TestCall call;
  call.state.counts = {{"p/paid:USD/o1", 2}, {"q/theirs:calls/o1", 9}};
  EXPECT_EQ(DecideWith(**engine, call).code, "OK");
  call.state.counts["p/paid:USD/o1"] = 3;
  EXPECT_EQ(DecideWith(**engine, call).code, "OFTEN");
}

TEST(Velocity, AMisspeltQuestionIsFoundAtLoad) {
  const auto error = [](const std::string& ask) {
    return LoadError(PolicyText(std::string(kPaid) + "on(\"*\", \"r\", function(c) local n = " +
                                ask + " return allow() end)\n"));
  };
  EXPECT_EQ(error("count { velocity = \"paid\", key = c.args.id, within = \"1d\" }"), "");
  EXPECT_EQ(error("sum { velocity = \"p/paid\", key = c.args.id, within = \"1d\" }"), "");
  EXPECT_EQ(error("count { velocity = \"paed\", key = c.args.id, within = \"1d\" }"),
            "p.lua:3: there is no velocity `paed`; did you mean `paid`?");
  EXPECT_EQ(error("sum({ tool = \"t.wrote\", key = c.args.id, within = \"1d\" })"),
            "p.lua:3: no velocity counts `t.wrote`; did you mean `t.write`?");
  EXPECT_EQ(error("count { rule = \"paed\", key = c.args.id, within = \"1d\" }"), "")
      << "the slots of a rule";
  EXPECT_EQ(error("count { tool = \"t.\" .. \"write\", key = c.args.id, within = \"1d\" }"), "")
      << "what the text does not show is found when it is asked";
}

// Each look costs an HMAC and up to hundreds of events.
TEST(Velocity, LooksCostFuel) {
  const auto ask = [](int times) {
    return DecideText(Paid("for i = 1, " + std::to_string(times) +
                           " do count { velocity = \"paid\", key = c.args.id, within = \"1d\" } "
                           "end"))
        .code;
  };
  EXPECT_EQ(ask(100), "OK");
  EXPECT_EQ(ask(250), "FUEL");
}

TEST(Velocity, WhatIsWrittenWrongIsRefusedAtLoad) {
  const auto error = [](const std::string& fields) {
    return LoadError(PolicyText("velocity \"v\" { " + fields + " }\n"));
  };
  EXPECT_EQ(error("tool = \"t.write\", key = \"args.id\", within = \"1d\""), "");
  EXPECT_THAT(error("key = \"args.id\", within = \"1d\""), HasSubstr("needs the field `tool`"));
  EXPECT_THAT(error("tool = \"t.write\", within = \"1d\""), HasSubstr("`key`"));
  EXPECT_THAT(error("tool = \"t.write\", key = \"args.id\""), HasSubstr("`within`"));
  EXPECT_THAT(error("tool = \"t.write\", key = \"arg.id\", within = \"1d\""),
              HasSubstr("does not start with args"));
  EXPECT_THAT(error("tool = \"t.write\", key = \"user\", within = \"1d\", of = \"args.amount\""),
              HasSubstr("in `unit`"));
  EXPECT_THAT(error("tool = answer(), key = \"user\", within = \"1d\""),
              HasSubstr("counts calls of tools"));
  EXPECT_THAT(LoadError(PolicyText(std::string(kPaid) + kPaid)), HasSubstr("declared twice"));
}

TEST(Velocity, FieldsThatNoToolHasAreFoundAtLoad) {
  const std::vector<KnownTool> tools = {
      {.name = "t.write",
       .effect = "write",
       .input_schema = {{"properties", {{"id", {{"type", "string"}}}}}}}};
  const auto load = [&](const std::string& key) {
    const auto bundle =
        Bundle::Load({{.path = "p.lua",
                       .text = PolicyText("velocity \"v\" { tool = \"t.write\", key = \"" + key +
                                          "\", within = \"1d\" }\n")}},
                     tools, nullptr);
    return bundle.ok() ? "" : std::string(core::Message(bundle.status()));
  };
  EXPECT_EQ(load("args.id"), "");
  EXPECT_EQ(load("args.idd"),
            "p.lua:2: rule `p/v`: `idd` is no argument of `t.write`; did you mean `id`?");
  EXPECT_THAT(load("facts.order.id"), HasSubstr("no fact `order` is declared"));
}

TEST(Velocity, TestCasesStateWhatWasBefore) {
  const std::string text = Paid(
      "if sum { velocity = \"paid\", key = c.args.id, within = \"1d\" } > usd(50) then return deny "
      "{ code = \"MUCH\" } end");
  const auto bundle = Bundle::Load({{.path = "p.lua", .text = text}}, {}, nullptr);
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  const std::string tests =
      "test \"none\" { tool = \"t.write\", args = { id = \"o1\", amount = 1 }, expect = \"allow\" "
      "}\n"
      "test \"much\" { tool = \"t.write\", args = { id = \"o1\", amount = 1 }, expect = \"deny\", "
      "code = \"MUCH\", sums = { [\"p/paid:USD/o1\"] = usd(50.01) } }\n"
      "test \"at\" { tool = \"t.write\", args = { id = \"o1\", amount = 1 }, expect = \"allow\", "
      "sums = { [\"p/paid:USD/o1\"] = { [\"86400000\"] = 5000 } } }\n";
  const PolicyTestReport report = RunPolicyTests(*bundle, {{.path = "p_test.lua", .text = tests}});
  EXPECT_EQ(report.cases.size(), 3u);
  for (const PolicyTestResult& one : report.cases) EXPECT_TRUE(one.passed) << one.message;
}

// The record of a backtest needs no velocity: the candidate's counts what went by.
TEST(Velocity, ABacktestCountsWhatTheCandidateWouldHave) {
  const std::vector<KnownTool> tools = {{.name = "pay.send", .effect = "money"}};
  const std::string text =
      "policy \"pay\" { owner = \"t\", tools = { \"pay.*\" } }\n"
      "velocity \"to\" { tool = \"pay.send\", key = \"args.to\", of = \"args.amount\", unit = "
      "\"USD\", within = \"1h\" }\n"
      "on(\"pay.send\", \"ok\", function(c) return allow() end)\n"
      "on(\"pay.send\", \"much\", function(c) if sum { velocity = \"to\", key = c.args.to, within "
      "= "
      "\"1h\" } + usd(c.args.amount) > usd(100) then return deny { code = \"MUCH\" } end end)\n";
  const auto candidate = Bundle::Load({{.path = "pay.lua", .text = text}}, tools, nullptr);
  ASSERT_TRUE(candidate.ok()) << candidate.status();
  const auto paid = [](int minute, int amount, const std::string& to) {
    RecordedDecision one;
    one.call = "c" + std::to_string(minute);
    one.time_us = 1'767'225'600'000'000 + minute * 60'000'000LL;
    one.tool = "pay.send";
    one.verdict = "allow";
    one.code = "OK";
    one.input = {{"tool", "pay.send"},
                 {"user", "u1"},
                 {"args", {{"amount", amount}, {"to", to}}},
                 {"now", one.time_us}};
    return one;
  };
  // c2 is denied and so leaves room for c3; by c70 the first is out of the window.
  const BacktestReport report =
      Backtest(*candidate,
               {paid(0, 60, "a"), paid(1, 60, "b"), paid(2, 50, "a"), paid(3, 40, "a"),
                paid(4, 1, "a"), paid(60, 55, "a"), paid(61, 5, "a")},
               BacktestOptions());
  ASSERT_EQ(report.changes.size(), 1u);
  EXPECT_EQ(report.changes[0].change, "allow -> deny MUCH");
  EXPECT_EQ(report.seeded, 5u) << "looked back to before the first of them";
  EXPECT_EQ(report.changes[0].examples, (std::vector<std::string>{"c2", "c4"}));
}

}  // namespace
}  // namespace interlock::policies
