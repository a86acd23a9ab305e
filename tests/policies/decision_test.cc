// What rules read, and that whatever cannot be read denies.
#include "policies/labels.h"
#include "policy_fixture.h"

namespace interlock::policies {
namespace {

// The rule sees `expression` as true.
void ExpectTrue(const std::string& expression, const TestCall& call = {}) {
  const Decision decision =
      DecideText(RuleText("if " + expression + " then return allow() end"), call);
  EXPECT_EQ(decision.code, "OK") << expression << ": "
                                 << (decision.rules.empty() ? "false" : decision.rules[0].because);
}

// Reading it is a RULE_ERROR whose text holds `hint`, even beside a broad allow.
void ExpectDenied(const std::string& expression, const std::string& hint,
                  const TestCall& call = {}) {
  const Decision decision = DecideText(
      RuleText("if " + expression + " then return deny { code = \"NO\" } end") + kAllowAll, call);
  EXPECT_EQ(decision.verdict, Verdict::kDeny) << expression;
  EXPECT_EQ(decision.code, "RULE_ERROR") << expression;
  const FiredRule* fired = FiredBy(decision, "p/r");
  ASSERT_NE(fired, nullptr) << expression;
  EXPECT_EQ(fired->line, 2) << expression;
  EXPECT_NE(fired->because.find(hint), std::string::npos) << expression << ": " << fired->because;
}

TEST(Context, HoldsTheCallAsTypedValues) {
  for (const char* expression :
       {"c.args.id == \"o1\"",
        "c.args.amount == 20",
        "c.args.price == 48.5",
        "math.type(c.args.amount) == \"integer\"",
        "#c.args.items == 2",
        "c.args.items[2].sku == \"b\"",
        "c.facts.order.status == \"paid\"",
        "c.user == \"u1\"",
        "c.session.shop == \"s1\"",
        "c.tenant == \"main\"",
        "c.principal.id == \"ticketing\"",
        "contains(c.principal.roles, \"integrator\")",
        "c.call.tool == \"t.write\"",
        "c.call.effect == \"write\"",
        "c.call.id == \"c1\"",
        "c.call.run == \"r1\"",
        "c.call.agent == \"a1\"",
        "c.call.step == 1",
        "not c.flow.untrusted",
        "c.now == 1767225600000000",
        "c.now == time(\"2026-01-01\")",
        "present(c.args, \"id\")",
        "not present(c.args, \"note\")",
        "not present(c.args, \"nope\")",
        "present(c.facts, \"order.status\")",
        "not present(c.facts, \"gone\")",
        "not present(c.facts, \"gone.x\")",
        "present(c, \"user\")",
        "present(c.args.items, 2)",
        "not present(c.args.items, 3)",
        "get(c.args, \"note\", \"-\") == \"-\"",
        "get(c.args, \"amount\", 0) == 20",
        "get(c, \"args.amount\", 0) == 20",
        "fact_error(c.facts, \"gone\") == \"NOT_FOUND\"",
        "fact_error(c.facts, \"order\") == nil",
        "c.args.items == c.args.items",
        "c.args.items[1] ~= c.args.items[2]",
        "table.concat(keys(c.args), \",\") == \"amount,id,items,price\""}) {
    ExpectTrue(expression);
  }
}

TEST(Context, WhatIsNotThereRaisesAndIsNeverNil) {
  ExpectDenied("c.args.missing", "`c.args.missing` is absent");
  ExpectDenied("c.args.note", "`c.args.note` is absent");
  ExpectDenied("not c.args.missing", "`c.args.missing` is absent");
  ExpectDenied("c.args.missing == nil", "is absent");
  ExpectDenied("c.args.missing == \"x\"", "is absent");
  ExpectDenied("c.args.items[3].sku == \"x\"", "has 2 elements, no number 3");
  ExpectDenied("c.args.items[0]", "no number 0");
  ExpectDenied("c.args.items.sku", "is a list");
  ExpectDenied("c.args.id.deep", "`string` has no `deep`");
  ExpectDenied("c.args.amount.deep", "attempt to index");
  ExpectDenied("c.facts.gone.x", "its look-up answered NOT_FOUND");
  ExpectDenied("c.facts.never.x", "no fact `never` was declared");
  ExpectDenied("present(c.facts, \"never\")", "no fact `never` was declared");
  ExpectDenied("fact_error(c.facts, \"never\")", "no fact `never` was declared");
  ExpectDenied("c.arg.id", "did you mean `args`?");
  ExpectDenied("c.call.tol", "c.call has the fields");
  ExpectDenied("c.principal.role", "c.principal has the fields");
  ExpectDenied("c.flow.trusted", "c.flow has the field untrusted");
  ExpectDenied("get(c.args, \"note\")", "write get(");
  TestCall nobody;
  nobody.user.clear();
  ExpectDenied("c.user == \"u1\"", "`c.user` is absent", nobody);
  ExpectTrue("not present(c, \"user\")", nobody);
}

TEST(Context, ComparingWhatCannotBeComparedRaises) {
  ExpectDenied("c.args.id < 5", "attempt to compare");
  ExpectDenied("usd(1) < eur(1)", "two currencies");
  ExpectDenied("usd(1) == eur(1)", "two currencies");
  ExpectDenied("usd(1) < 1", "money goes with money only");
  ExpectDenied("\"10\" + 1 > 2", "attempt to perform arithmetic");
  ExpectDenied("money_of(c.args.id, \"USD\") > usd(1)", "is not an amount");
}

TEST(Context, IteratesInOneOrder) {
  ExpectTrue(
      "(function() local s = \"\" for k, v in pairs({ b = 1, a = 2, [3] = 0, [1] = 0 }) do "
      "s = s .. k end return s end)() == \"13ab\"");
  ExpectTrue(
      "(function() local n = 0 for i, x in ipairs(c.args.items) do n = n + x.n * i end "
      "return n end)() == 5");
  ExpectTrue("any(c.args.items, function(x) return x.sku == \"b\" end)");
  ExpectTrue("not all(c.args.items, function(x) return x.sku == \"b\" end)");
  ExpectTrue("find(c.args.items, function(x) return x.n == 2 end).sku == \"b\"");
  ExpectTrue("find(c.args.items, function(x) return x.n == 9 end) == nil");
  ExpectTrue("sum(map(c.args.items, function(x) return x.n end)) == 3");
  ExpectTrue("sum(c.args.items, function(x) return usd(x.n) end) == usd(3)");
  ExpectTrue("#filter(c.args.items, function(x) return x.n > 1 end) == 1");
  ExpectTrue("count_of({ 1, 2, 1 }, 1) == 2");
  ExpectTrue("set(split(\"a,b\", \",\")).b");
}

TEST(Context, CountsUnderTheKeyOfALimit) {
  TestCall call;
  call.state.counts["p/other/o1"] = 3;
  ExpectTrue("count { rule = \"other\", key = c.args.id, within = \"1h\" } == 3", call);
  ExpectTrue("count { key = c.args.id, within = \"1h\" } == 0", call);
  ExpectDenied("count { within = \"1h\" } > 0", "a key is a text");
}

// A rule about a budget per key, beside a broad allow.
Decision DecideByCard(const std::string& body, const TestCall& call) {
  return DecideText(
      PolicyText(
          "local CARD = budget \"cards\" { unit = \"USD\", limit = usd(100), per = \"key\", "
          "window = \"1d\" }\n"
          "local ALL = budget \"all\" { unit = \"USD\", limit = usd(100), per = \"tenant\" }\n"
          "on(\"*\", \"r\", function(c) " +
          body + " end)\n" + kAllowAll),
      call);
}

// Velocity: money by a key that is taken from the arguments.
TEST(Context, ReservesAndSumsUnderAKeyOfTheArguments) {
  TestCall call;
  call.state.used["cards"] = 9'000;
  const Decision fits = DecideByCard("return reserve(CARD, usd(10), c.args.id)", call);
  EXPECT_EQ(fits.code, "OK");
  ASSERT_EQ(fits.reservations.size(), 1u);
  EXPECT_EQ(fits.reservations[0].scope, "key:o1");
  EXPECT_EQ(DecideByCard("return reserve(CARD, usd(10.01), c.args.id)", call).code, "BUDGET");
  const std::string over = " > usd(89) then return deny { code = \"MUCH\" } end";
  const Decision spent = DecideByCard("if spent { budget = CARD, key = c.args.id }" + over, call);
  EXPECT_EQ(spent.code, "MUCH");
  ASSERT_EQ(spent.reads.size(), 1u);
  EXPECT_EQ(spent.reads[0].key, "budget/cards/key:o1");
  EXPECT_FALSE(spent.reads[0].fits_only) << "its very value was compared";
  EXPECT_EQ(DecideByCard("if spent { budget = ALL }" + over, call).code, "OK");
  for (const char* body : {"return reserve(CARD, usd(1))", "return reserve(ALL, usd(1), c.args.id)",
                           "if spent { budget = CARD } == usd(0) then return allow() end",
                           "if spent { budget = 5 } == 0 then return allow() end"}) {
    EXPECT_EQ(DecideByCard(body, call).code, "RULE_ERROR") << body;
  }
}

TEST(Context, ATableReservesUnderAKeyToo) {
  const std::string head =
      "local CARD = budget \"cards\" { unit = \"USD\", limit = usd(100), per = \"key\" }\n"
      "rule \"r\" { on = \"*\", reserve = { budget = CARD, amount = usd(10)";
  const Decision fits =
      DecideText(PolicyText(head + ", key = \"{args.id}-{user}\" } }\n" + kAllowAll));
  EXPECT_EQ(fits.code, "OK");
  ASSERT_EQ(fits.reservations.size(), 1u);
  EXPECT_EQ(fits.reservations[0].scope, "key:o1-u1");
  EXPECT_NE(LoadError(PolicyText(head + " } }\n")).find("name the key"), std::string::npos);
}

TEST(Context, CannotBeWritten) {
  for (const char* body :
       {"c.args.amount = 1", "c.user = \"u2\"", "c.args = {}", "c.facts.order.status = \"x\"",
        "c.args.items[1] = nil", "c.args.items[1].sku = \"x\"", "c.new = 1"}) {
    const Decision decision = DecideText(RuleText(std::string(body) + " return allow()"));
    EXPECT_EQ(decision.code, "RULE_ERROR") << body;
    EXPECT_NE(FiredBy(decision, "p/r")->because.find("read-only"), std::string::npos) << body;
  }
}

TEST(Engine, NothingOfOneDecisionIsSeenByTheNext) {
  auto engine =
      MakeEngine(RuleText("if c.args.amount == 20 and c.facts.order.status == \"paid\" and "
                          "c.args.items[1].sku == \"a\" then return allow() end"));
  ASSERT_TRUE(engine.ok());
  TestCall call;
  EXPECT_EQ(DecideWith(**engine, call).verdict, Verdict::kAllow);
  call.facts[0].value["status"] = "open";
  EXPECT_EQ(DecideWith(**engine, call).code, "DEFAULT_DENY");
  call.facts[0].present = false;
  EXPECT_EQ(DecideWith(**engine, call).code, "RULE_ERROR");
  call.args.erase("amount");
  EXPECT_EQ(DecideWith(**engine, call).code, "RULE_ERROR");
  EXPECT_EQ(DecideWith(**engine, TestCall()).verdict, Verdict::kAllow);
}

TEST(Engine, ErrorOfOneRuleDoesNotSilenceTheOthers) {
  const Decision decision =
      DecideText(PolicyText("on(\"*\", \"a\", function(c) error(\"x\") end)\n"
                            "on(\"*\", \"b\", function(c) return deny { code = \"B\" } end)\n"));
  ASSERT_EQ(decision.rules.size(), 2u);
  EXPECT_EQ(decision.rules[0].verdict, "error");
  EXPECT_EQ(decision.rules[1].code, "B");
}

TEST(Engine, OnlyApplicableRulesRun) {
  const std::string text =
      "policy \"p\" { owner = \"t\", tools = { \"t.*\", \"u.read\" } }\n"
      "on(\"t.write\", \"name\", function(c) return note(\"name\") end)\n"
      "on(\"t.*\", \"glob\", function(c) return note(\"glob\") end)\n"
      "on(effect \"write\", \"effect\", function(c) return note(\"effect\") end)\n"
      "on({ { \"u.read\" }, \"x\" }, \"list\", function(c) return note(\"list\") end)\n"
      "on(\"*\", \"all\", function(c) return allow() end)\n";
  const auto fired = [&](const std::string& tool, const std::string& effect) {
    TestCall call;
    call.tool = tool;
    call.effect = effect;
    std::string ids;
    for (const FiredRule& rule : DecideText(text, call).rules) ids += rule.id.substr(2) + " ";
    return ids;
  };
  EXPECT_EQ(fired("t.write", "write"), "all effect glob name ");
  EXPECT_EQ(fired("t.read", "read"), "all glob ");
  EXPECT_EQ(fired("u.read", "read"), "all list ");
  EXPECT_EQ(fired("v.write", "write"), "") << "no policy lists this tool";
}

TEST(Decision, CanonicalFormsAreCanonicalJson) {
  TestCall call;
  const Decision decision =
      DecideText(RuleText("return deny { code = \"NO\", fix = { [\"args.amount\"] = 1 } }"), call);
  const std::string text = CanonicalDecision(decision);
  const auto parsed = core::ParseJson(text, core::kPayloadLimits);
  ASSERT_TRUE(parsed.ok()) << text;
  EXPECT_EQ(core::CanonicalJson(*parsed), text);
  DecisionInput input;
  input.args = &call.args;
  input.facts = &call.facts;
  const std::string canonical = CanonicalInput(input);
  const auto parsed_input = core::ParseJson(canonical, core::kPayloadLimits);
  ASSERT_TRUE(parsed_input.ok()) << canonical;
  EXPECT_EQ(core::CanonicalJson(*parsed_input), canonical);
}

TEST(Decision, LabelsAreOneTextWithAndWithoutATree) {
  LabelMap labels;
  EXPECT_EQ(CanonicalLabels(labels), "{}");
  labels.Set("args.body", {.sources = {"tool:mail.read", "user"}, .tags = {"a\"b", "pii"}});
  labels.Set("args", {.trusted = true, .readers = {"*"}});
  EXPECT_EQ(CanonicalLabels(labels), core::CanonicalJson(LabelsJson(labels)));
  // RFC 8785 puts these the other way round than their bytes stand.
  labels.Set("args.\xef\xbf\xbc", {});
  labels.Set("args.\xf0\x9f\x98\x80", {});
  const std::string text = CanonicalLabels(labels);
  EXPECT_EQ(text, core::CanonicalJson(LabelsJson(labels)));
  EXPECT_LT(text.find("\xf0\x9f\x98\x80"), text.find("\xef\xbf\xbc"));
}

TEST(Decision, InputDigestMovesWithEveryPartOfTheInput) {
  const auto digest = [&](void (*change)(TestCall&)) {
    TestCall call;
    change(call);
    DecisionInput input;
    input.call.tool = call.tool;
    input.principal_roles = &call.roles;
    input.user = call.user;
    input.args = &call.args;
    input.session = &call.session;
    input.facts = &call.facts;
    input.now_us = call.now_us;
    input.flow_untrusted = call.untrusted;
    return InputDigest(input);
  };
  const core::Digest base = digest([](TestCall&) {});
  EXPECT_EQ(base, digest([](TestCall&) {}));
  EXPECT_NE(base, digest([](TestCall& call) { call.args["amount"] = 21; }));
  EXPECT_NE(base, digest([](TestCall& call) { call.user = "u2"; }));
  EXPECT_NE(base, digest([](TestCall& call) { call.session["shop"] = "s2"; }));
  EXPECT_NE(base, digest([](TestCall& call) { call.facts[0].value["status"] = "open"; }));
  EXPECT_NE(base, digest([](TestCall& call) { call.facts[1].error_code = "TIMEOUT"; }));
  EXPECT_NE(base, digest([](TestCall& call) { call.now_us += 1; }));
  EXPECT_NE(base, digest([](TestCall& call) { call.roles.push_back("x"); }));
  EXPECT_NE(base, digest([](TestCall& call) { call.untrusted = true; }));
  EXPECT_NE(base, digest([](TestCall& call) { call.tool = "t.other"; }));
}

}  // namespace
}  // namespace interlock::policies
