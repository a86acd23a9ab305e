// Rules in table form: what their conditions mean, what they answer, and what refuses a bundle.
#include "policy_fixture.h"

namespace interlock::policies {
namespace {

std::string Rule(const std::string& body) {
  return PolicyText("rule \"r\" { on = \"t.write\", " + body + " }\n");
}

// The outcome of one condition: "true", "false", or why it could not tell.
std::string Ask(const std::string& where, const TestCall& call = {}) {
  const Decision decision = DecideText(Rule("where = { " + where + " }, allow = true"), call);
  if (decision.code == "OK") return "true";
  if (decision.code == "DEFAULT_DENY") return "false";
  return decision.code + ": " + FiredBy(decision, "p/r")->because;
}

TEST(TableRule, ConditionsMeanWhatTheySay) {
  const std::pair<const char*, const char*> kCases[] = {
      {"[\"args.amount\"] = 20", "true"},
      {"[\"args.amount\"] = 21", "false"},
      {"[\"args.amount\"] = le(usd(20))", "true"},
      {"[\"args.amount\"] = lt(usd(20))", "false"},
      {"[\"args.price\"] = eq(usd(48.5))", "true"},
      {"[\"args.price\"] = gt(48)", "true"},
      {"[\"args.amount\"] = gt(19.5)", "true"},
      {"[\"args.amount\"] = between(20, 30)", "true"},
      {"[\"args.amount\"] = { ge(10), lt(20) }", "false"},
      {"[\"args.id\"] = one_of(\"o1\", \"o2\")", "true"},
      {"[\"args.id\"] = one_of({ \"o3\", \"o2\" })", "false"},
      {"[\"args.id\"] = none_of(\"o3\")", "true"},
      {"[\"args.id\"] = ne(\"o1\")", "false"},
      {"[\"args.id\"] = prefix(\"o\")", "true"},
      {"[\"args.id\"] = suffix(\"2\")", "false"},
      {"[\"args.id\"] = like(\"*1\")", "true"},
      {"[\"args.id\"] = has(\"o\")", "true"},
      {"[\"args.id\"] = length(2)", "true"},
      {"[\"args.id\"] = is_not(one_of(\"o1\"))", "false"},
      {"[\"args.id\"] = any_of(prefix(\"z\"), suffix(\"1\"))", "true"},
      {"[\"args.id\"] = matches(patterns { a = [[^o\\d$]] })", "true"},
      {"[\"args.id\"] = eq(field(\"args.id\"))", "true"},
      {"[\"facts.order.total\"] = ge(field(\"args.amount\"))", "true"},
      {"[\"facts.order.status\"] = \"paid\"", "true"},
      {"[\"args.items\"] = length(le(2))", "true"},
      {"[\"args.items\"] = some { sku = \"b\", n = gt(1) }", "true"},
      {"[\"args.items\"] = each { n = le(1) }", "false"},
      {"[\"args.note\"] = absent()", "true"},
      {"[\"args.note\"] = optional(length(le(5)))", "true"},
      {"[\"args.id\"] = present()", "true"},
      {"[\"facts.gone\"] = present()", "false"},
      {"[\"session.shop\"] = \"s1\"", "true"},
      {"[\"user\"] = \"u1\"", "true"},
      {"[\"principal.roles\"] = has(\"integrator\")", "true"},
      {"[\"principal.id\"] = \"ticketing\"", "true"},
      {"[\"call.effect\"] = \"write\"", "true"},
      {"[\"call.step\"] = le(1)", "true"},
      {"[\"flow.untrusted\"] = false", "true"},
      {"[\"args.id\"] = detects(\"pii\")", "false"}};
  for (const auto& [where, expected] : kCases) EXPECT_EQ(Ask(where), expected) << where;
}

TEST(TableRule, LooksIntoTextsAndTimes) {
  TestCall call;
  call.args = {
      {"body", "write to jane@corp.example"}, {"departs", "2026-01-05"}, {"list", {1, "a"}}};
  EXPECT_EQ(Ask("[\"args.body\"] = detects({ \"email\" })", call), "true");
  EXPECT_EQ(Ask("[\"args.body\"] = detects(\"secret\")", call), "false");
  EXPECT_EQ(Ask("[\"args.departs\"] = days_away(4)", call), "true");
  EXPECT_EQ(Ask("[\"args.departs\"] = days_away(ge(5))", call), "false");
}

TEST(TableRule, WhatCannotBeToldDenies) {
  const std::pair<const char*, const char*> kCases[] = {
      {"[\"args.amout\"] = gt(5)",
       "RULE_ERROR: `args.amout` is absent; write optional(…) where it may be, or present()"},
      {"[\"args.note\"] = \"x\"",
       "RULE_ERROR: `args.note` is absent; write optional(…) where it may be, or present()"},
      {"[\"facts.gone.total\"] = 5",
       "RULE_ERROR: fact `gone` is absent: its look-up answered NOT_FOUND"},
      {"[\"facts.other.total\"] = optional(5)",
       "RULE_ERROR: no fact `other` was declared for this tool; write fact \"other\" { tool = …, "
       "args = … }"},
      {"[\"args.id\"] = gt(5)", "RULE_ERROR: `args.id` is a text, not a number"},
      {"[\"args.amount\"] = \"20\"", "RULE_ERROR: `args.amount` is a number, not a text"},
      {"[\"args.id\"] = eq(true)", "RULE_ERROR: `args.id` is a text, not a boolean"},
      {"[\"args.id\"] = le(usd(5))", "RULE_ERROR: `args.id`: `o1` is no amount"},
      {"[\"args.items\"] = some { skuu = \"b\" }", "RULE_ERROR: `skuu` is absent"},
      {"[\"args.id\"] = days_away(5)",
       "RULE_ERROR: `args.id` is a text, not a date or time such as 2026-05-01 or "
       "2026-05-01T10:00:00Z"}};
  for (const auto& [where, expected] : kCases) {
    const std::string got = Ask(where);
    if (std::string_view(expected).find("no amount") != std::string_view::npos) {
      EXPECT_TRUE(got.starts_with("RULE_ERROR: `args.id`: ")) << got;
    } else {
      EXPECT_EQ(got, expected) << where;
    }
  }
}

TEST(TableRule, AFalseConditionSettlesItWhateverTheOthersCannotTell) {
  // In either order of names: a rule about another kind of call does not deny this one.
  EXPECT_EQ(Ask("[\"args.aaa\"] = gt(5), [\"args.id\"] = \"o9\""), "false");
  EXPECT_EQ(Ask("[\"args.id\"] = \"o9\", [\"args.zzz\"] = gt(5)"), "false");
  EXPECT_EQ(Ask("[\"args.id\"] = \"o1\", [\"args.zzz\"] = gt(5)").substr(0, 10), "RULE_ERROR");
  // The deny rule with a misspelt field beside a broad allow: Cedar and OPA answer allow.
  const Decision decision = DecideText(
      PolicyText(std::string(kAllowAll) + "rule \"r\" { on = \"*\", where = { [\"args.amout\"] = "
                                          "gt(5) }, deny = { code = \"BIG\" } }\n"));
  EXPECT_EQ(decision.verdict, Verdict::kDeny);
  EXPECT_EQ(decision.code, "RULE_ERROR");
}

TEST(TableRule, AmountsWithTooManyDigitsAreNoMoney) {
  TestCall call;
  call.args["amount"] = 0.20999999999999375;
  EXPECT_EQ(Ask("[\"args.amount\"] = le(usd(50))", call).substr(0, 26),
            "RULE_ERROR: `args.amount`:");
  for (const double amount : {0.1, 0.29, 1.15, 1234567.89, 8.2, 50.0}) {
    call.args["amount"] = amount;
    EXPECT_EQ(Ask("[\"args.amount\"] = le(usd(2000000))", call), "true") << amount;
  }
}

TEST(TableRule, GivesEveryVerdict) {
  Decision decision = DecideText(Rule(
      "where = { [\"args.amount\"] = gt(5) }, deny = { code = \"BIG\", say = \"No {args.id}.\", "
      "because = \"asked {args.amount} of {facts.order.total}\", fix = { [\"args.amount\"] = "
      "field(\"facts.order.total\"), [\"args.id\"] = \"o2\" } }"));
  const FiredRule* fired = FiredBy(decision, "p/r");
  ASSERT_NE(fired, nullptr);
  EXPECT_EQ(fired->code + "|" + fired->say + "|" + fired->because, "BIG|No o1.|asked 20 of 100");
  EXPECT_EQ(core::CanonicalJson(decision.fix), "{\"args.amount\":100,\"args.id\":\"o2\"}");
  EXPECT_EQ(fired->line, 2);

  decision = DecideText(
      Rule("require_approval = { approvers = { \"role:boss\", \"user:{user}\" }, "
           "expires = \"4h\", quorum = 2, show = { \"args.amount\" }, say = \"Ask.\" }"));
  ASSERT_EQ(decision.demands.size(), 1u);
  EXPECT_EQ(decision.demands[0].approvers, (std::vector<std::string>{"role:boss", "user:u1"}));
  EXPECT_EQ(decision.demands[0].expires_ms, 4 * 3'600'000);
  EXPECT_EQ(core::CanonicalJson(decision.demands[0].show), "{\"args.amount\":20}");

  decision =
      DecideText(Rule("modify = { [\"args.amount\"] = at_most(10), [\"args.id\"] = \"x\" }"));
  ASSERT_TRUE(decision.modified_args.has_value());
  EXPECT_EQ((*decision.modified_args)["amount"], 10);
  EXPECT_EQ((*decision.modified_args)["id"], "x");

  decision = DecideText(PolicyText(
      std::string(kAllowAll) +
      "rule \"r\" { on = \"*\", limit = { key = \"{args.id}\", max = 2, per = \"1h\" } }\n"));
  ASSERT_EQ(decision.limits.size(), 1u);
  EXPECT_EQ(decision.limits[0].key, "p/r/o1");

  decision = DecideText(PolicyText(
      std::string(kAllowAll) +
      "local B = budget \"b\" { unit = \"USD\", limit = usd(100), per = \"run\" }\n"
      "rule \"r\" { on = \"*\", reserve = { budget = B, amount = field(\"args.price\") } }\n"));
  ASSERT_EQ(decision.reservations.size(), 1u);
  EXPECT_EQ(decision.reservations[0].amount, 4850);

  decision = DecideText(
      PolicyText(std::string(kAllowAll) + "rule \"r\" { on = \"*\", note = \"at {now}\" }\n"));
  EXPECT_EQ(FiredBy(decision, "p/r")->because, "at 1767225600000000");
}

TEST(TableRule, MasksWhatIsFound) {
  TestCall call;
  call.args = {{"mail", {{"body", "to jane@corp.example"}, {"n", 3}}}};
  const Decision decision = DecideText(Rule("where = { [\"args.mail\"] = detects(\"pii\") }, "
                                            "modify = { [\"args.mail\"] = masked(\"pii\") }"),
                                       call);
  ASSERT_TRUE(decision.modified_args.has_value());
  EXPECT_EQ(core::CanonicalJson(*decision.modified_args),
            "{\"mail\":{\"body\":\"to [email]\",\"n\":3}}");
}

TEST(TableRule, WhatIsWrongIsSaidAtLoad) {
  const std::pair<const char*, const char*> kCases[] = {
      {"where = { [\"arg.x\"] = 1 }, allow = true",
       "p.lua:2: `arg.x` does not start with args, facts, session, call, principal, flow, user, "
       "tenant, now, message, result or answer; did you mean `args`?"},
      {"where = { args = 1 }, allow = true",
       "p.lua:2: `args` needs a field behind it, such as `args.name`"},
      {"where = { [\"call.tol\"] = 1 }, allow = true",
       "p.lua:2: `call` has no field `tol`; did you mean `tool`?"},
      {"allow = true, deny = { code = \"X\" }",
       "p.lua:2: a rule gives one verdict, not `allow` and `deny`; write two rules"},
      {"where = {}",
       "p.lua:2: a rule needs one of allow, deny, require_approval, modify, limit, "
       "reserve, label, note"},
      {"allow = false", "p.lua:2: write allow = true, or deny = { code = \"…\" }"},
      {"wher = {}, allow = true", "p.lua:2: rule has no field `wher`; did you mean `where`?"},
      {"where = { [\"args.x\"] = { \"a\", \"b\" } }, allow = true",
       "p.lua:2: a list of conditions means that all hold; for values write one_of(…)"},
      {"where = { [\"args.x\"] = one_of(\"a\", 1) }, allow = true",
       "p.lua:2: the values of one_of and none_of are of one kind"},
      {"where = { [\"args.x\"] = { gt(5), lt(5) } }, allow = true",
       "p.lua:2: rule `p/r`: no value of `args.x` is (> 5 and < 5)"},
      {"where = { [\"args.x\"] = detects(\"emial\") }, allow = true",
       "p.lua:2: no detector finds `emial`; did you mean `email`?"},
      {"deny = { code = \"bad\" }", "p.lua:2: a code is UPPER_SNAKE, at most 63 characters"},
      {"modify = { [\"session.x\"] = 1 }", "p.lua:2: modify changes args only, not `session.x`"},
      {"limit = { key = \"all of them\", max = 1, per = \"1h\" }",
       "p.lua:2: limit.key is a text with places such as \"{args.order_id}\", or one name for all"},
      {"allow = true, examples = { { args = {}, expect = \"alow\" } }",
       "p.lua:2: example 1 of rule `p/r`: expect is a verdict, \"applies\", \"silent\" or "
       "\"error\", not `alow`; did you mean `allow`?"}};
  for (const auto& [body, expected] : kCases) EXPECT_EQ(LoadError(Rule(body)), expected);
}

TEST(TableRule, AWrongExampleRefusesTheBundle) {
  const std::string rule =
      "where = { [\"args.amount\"] = le(usd(50)) }, allow = true, examples = {\n"
      "{ args = { amount = 50 }, expect = \"allow\" },\n"
      "{ args = { amount = 50.01 }, expect = \"silent\" },\n"
      "{ args = {}, expect = \"error\", code = \"RULE_ERROR\" },\n";
  EXPECT_EQ(LoadError(Rule(rule + "}")), "");
  EXPECT_EQ(LoadError(Rule(rule + "{ args = { amount = 49 }, expect = \"default_deny\" } }")),
            "p.lua:2: example 4 of rule `p/r`: expected default_deny, got allow");
  EXPECT_EQ(LoadError(PolicyText("rule \"r\" { on = \"t.*\", allow = true, examples = { { expect = "
                                 "\"allow\" } } }\n")),
            "p.lua:2: example 1 of rule `p/r`: say which tool is called: tool = \"…\"");
}

KnownTool ToolOf(const char* schema) {
  return {.name = "t.write",
          .effect = "write",
          .input_schema = *core::ParseJson(schema, core::kPayloadLimits),
          .result_schema = nullptr};
}

TEST(TableRule, IsCheckedAgainstTheToolsSchema) {
  const KnownTool tool = ToolOf(
      R"({"type":"object","additionalProperties":false,"properties":{"amount":{"type":"number"},)"
      R"("kind":{"type":"string","enum":["refund","exchange"]}}})");
  const auto load = [&](const std::string& body) {
    const auto bundle = Bundle::Load({{.path = "p.lua", .text = Rule(body)}}, {tool}, nullptr);
    return bundle.ok() ? std::string() : std::string(core::Message(bundle.status()));
  };
  EXPECT_EQ(
      load("where = { [\"args.amount\"] = gt(5), [\"args.kind\"] = \"refund\" }, allow = true"),
      "");
  EXPECT_EQ(load("where = { [\"args.amout\"] = gt(5) }, deny = { code = \"X\" }"),
            "p.lua:2: rule `p/r`: `amout` is no argument of `t.write`; did you mean `amount`?");
  EXPECT_EQ(
      load("where = { [\"args.kind\"] = one_of(\"refnud\") }, deny = { code = \"X\" }"),
      "p.lua:2: rule `p/r`: `args.kind` is never \"refnud\" by the tool's schema; did you mean "
      "`refund`?");
  EXPECT_EQ(
      load("where = { [\"args.amount\"] = \"5\" }, deny = { code = \"X\" }"),
      "p.lua:2: rule `p/r`: `args.amount` is \"number\" by the tool's schema, and is compared "
      "with \"5\"");
  EXPECT_EQ(load("deny = { code = \"X\", say = \"{args.amoun}\" }"),
            "p.lua:2: rule `p/r`: `amoun` is no argument of `t.write`; did you mean `amount`?");
}

TEST(TableRule, TenThousandRulesOnAValueAreLookedUpNotWalked) {
  std::string text =
      "policy \"p\" { owner = \"t\", tools = { \"*\" } }\n"
      "for i = 1, 4000 do rule(\"c\" .. i) { on = \"t.write\", where = { "
      "[\"args.id\"] = \"o\" .. i, [\"args.amount\"] = gt(5) }, "
      "deny = { code = \"NO\" } } end\n"
      "rule \"broad\" { on = \"*\", allow = true }\n";
  const auto engine = MakeEngine(text);
  ASSERT_TRUE(engine.ok()) << core::Message(engine.status());
  TestCall call;
  call.args = {{"id", "o77"}, {"amount", 6}};
  Decision decision = DecideWith(**engine, call);
  ASSERT_EQ(decision.rules.size(), 2u);
  EXPECT_NE(FiredBy(decision, "p/c77"), nullptr);
  call.args["id"] = "o9999";
  EXPECT_EQ(DecideWith(**engine, call).code, "OK");
  // A value that the index cannot look up is asked of every rule.
  call.args = {{"amount", 6}};
  decision = DecideWith(**engine, call);
  EXPECT_EQ(decision.code, "RULE_ERROR");
  EXPECT_EQ(decision.rules.size(), 4001u);
}

TEST(TableRule, WorkIsBounded) {
  TestCall call;
  call.args["items"] = core::Json::array();
  for (int i = 0; i < 30'000; ++i) call.args["items"].push_back("x");
  EXPECT_EQ(Ask("[\"args.items\"] = each(is_not(is_not(\"x\")))", call).substr(0, 5), "FUEL:");
}

TEST(TableRule, TraceSaysWhyARuleDoesNotApply) {
  const auto engine = MakeEngine(
      PolicyText(std::string(kAllowAll) + "rule \"big\" { on = \"*\", where = { [\"args.amount\"] "
                                          "= gt(usd(50)) }, deny = { code = \"B\" } }\n"
                                          "on(\"*\", \"silent\", function(c) end)\n"));
  ASSERT_TRUE(engine.ok());
  const TestCall call;
  DecisionInput input;
  input.call = {
      .id = "c", .run = "r", .tool = "t.write", .effect = "write", .agent = "a", .step = 1};
  input.args = &call.args;
  input.facts = &call.facts;
  const std::vector<RuleTrace> traces = (*engine)->Trace(input);
  ASSERT_EQ(traces.size(), 3u);
  EXPECT_EQ(traces[0].id + " " + traces[0].outcome + " " + traces[0].why,
            "p/big not applicable args.amount 20 is not: > 50.00 USD");
  EXPECT_EQ(traces[1].outcome, "allow");
  EXPECT_EQ(traces[2].outcome, "abstained");
}

}  // namespace
}  // namespace interlock::policies
