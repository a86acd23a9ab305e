// What `policy check` says of bundles that load, each finding beside its harmless twin.
#include "policies/lint.h"

#include "policy_fixture.h"

namespace interlock::policies {
namespace {

constexpr std::int64_t kNow = 1'767'225'600'000'000;  // 2026-01-01

const std::vector<KnownTool>& Tools() {
  static const std::vector<KnownTool> kTools = {
      {.name = "pay.send",
       .effect = "money",
       .input_schema = {{"type", "object"},
                        {"properties",
                         {{"amount", {{"type", "number"}}}, {"to", {{"type", "string"}}}}},
                        {"additionalProperties", false}},
       .result_schema = {}},
      {.name = "notes.add", .effect = "write", .input_schema = {}, .result_schema = {}}};
  return kTools;
}

// "CODE line" of each finding but NO_DOC and THRESHOLD_UNTESTED, which have a test of their own.
std::string Codes(const std::string& rules, const std::string& tests = "", bool notes = false) {
  const auto bundle =
      Bundle::Load({{.path = "p.lua", .text = PolicyText(rules)}}, Tools(), nullptr);
  EXPECT_TRUE(bundle.ok()) << core::Message(bundle.status());
  if (!bundle.ok()) return "";
  std::string text;
  for (const Finding& one : LintPolicies(**bundle, {{.path = "p_test.lua", .text = tests}}, kNow)) {
    if ((one.severity == "note") != notes) continue;
    text += (text.empty() ? "" : ", ") + one.code + " " + std::to_string(one.line);
  }
  return text;
}

TEST(Lint, RulesThatSayNothingNew) {
  const std::string small =
      "rule \"a\" { on = \"notes.add\", where = { [\"args.n\"] = le(5) }, allow = true }\n";
  EXPECT_EQ(
      Codes(small + "rule \"b\" { on = \"notes.add\", where = { [\"args.n\"] = le(5) }, allow "
                    "= true }\n"),
      "SAME_RULE 3");
  EXPECT_EQ(
      Codes(small + "rule \"b\" { on = \"notes.add\", where = { [\"args.n\"] = le(6) }, allow "
                    "= true }\n"),
      "");
  EXPECT_EQ(Codes(small + "rule \"no\" { on = \"notes.*\", deny = { code = \"NO\" } }\n"),
            "SHADOWED 2");
  EXPECT_EQ(Codes(small + "rule \"no\" { on = \"notes.*\", where = { [\"args.n\"] = 4 }, deny = { "
                          "code = \"NO\" } }\n"),
            "");
}

TEST(Lint, MoneyThatNothingBounds) {
  EXPECT_EQ(Codes("rule \"a\" { on = \"pay.send\", allow = true }\n"), "UNBOUNDED_ALLOW 2");
  EXPECT_EQ(Codes("rule \"a\" { on = \"pay.send\", where = { [\"args.to\"] = present() }, allow = "
                  "true }\n"),
            "UNBOUNDED_ALLOW 2");
  EXPECT_EQ(Codes("rule \"a\" { on = \"pay.send\", where = { [\"args.amount\"] = le(usd(5)) }, "
                  "allow = true }\n"),
            "");
  EXPECT_EQ(Codes("rule \"a\" { on = \"pay.send\", allow = true }\nrule \"l\" { on = \"pay.send\", "
                  "limit = { key = \"{user}\", max = 1, per = \"1d\" } }\n"),
            "");
  EXPECT_EQ(Codes("rule \"a\" { on = \"notes.add\", allow = true }\n"), "");
}

TEST(Lint, AmountsThatAreNoMoney) {
  EXPECT_EQ(Codes("rule \"a\" { on = \"pay.send\", where = { [\"args.amount\"] = le(50.5) }, allow "
                  "= true }\n"),
            "FLOAT_MONEY 2");
  EXPECT_EQ(Codes("on(\"pay.send\", \"f\", function(c)\n  if c.args.amount > 50.5 then return deny "
                  "{ code = \"X\" } end\nend)\n"),
            "FLOAT_MONEY 3");
  EXPECT_EQ(Codes("on(\"notes.add\", \"f\", function(c) if c.args.score > 50.5 then return deny { "
                  "code = \"X\" } end end)\n"),
            "");
}

TEST(Lint, BudgetsThatNobodyAsks) {
  const std::string budget =
      "local B = budget \"b\" { unit = \"USD\", limit = usd(5), per = \"run\" }\n";
  EXPECT_EQ(Codes(budget), "UNUSED_BUDGET 2");
  EXPECT_EQ(Codes("budget \"b\" { unit = \"USD\", limit = usd(5), per = \"run\" }\n"),
            "UNUSED_BUDGET 2");
  EXPECT_EQ(Codes(budget + "on(\"pay.send\", \"r\", function(c) return reserve(B, usd(1)) end)\n"),
            "");
}

TEST(Lint, WhatHasEnded) {
  EXPECT_EQ(Codes("rule \"s\" { on = \"notes.add\", mode = \"shadow\", ends = \"2025-12-31\", deny "
                  "= { code = \"X\" } }\n"),
            "SHADOW_ENDED 2");
  EXPECT_EQ(Codes("rule \"s\" { on = \"notes.add\", mode = \"shadow\", ends = \"2026-12-31\", deny "
                  "= { code = \"X\" } }\n"),
            "");
  EXPECT_EQ(
      Codes("rule \"d\" { on = \"notes.add\", deny = { code = \"X\" } }\nexception \"e\" { "
            "rule = \"p/d\", owner = \"t\", expires = \"2025-06-01\", on = \"notes.add\" }\n"),
      "EXCEPTION_ENDED 3");
}

TEST(Lint, PatternsThatFitMoreThanMeant) {
  EXPECT_EQ(Codes("local P = patterns { a = [[^[^corp.example]+$]] }\n"), "PATTERN_CLASS 2");
  EXPECT_EQ(Codes("local P = patterns { a = [[^corp.example$]] }\n"), "PATTERN_DOT 2");
  EXPECT_EQ(Codes("local P = patterns { a = [[^corp\\.example]] }\n"), "PATTERN_ANCHOR 2");
  EXPECT_EQ(Codes("local P = patterns { a = \"^corp\\\\.example(/|$)\", b = [[^[a-z.]+$]] }\n"),
            "");
}

TEST(Lint, ThresholdsWantBothSides) {
  const std::string rule =
      "rule \"a\" { doc = \"d\", on = \"pay.send\", where = { [\"args.amount\"] = le(usd(5)) }, "
      "allow = true }\n";
  const auto test = [](const std::string& amount) {
    return "test \"" + amount + "\" { tool = \"pay.send\", args = { amount = " + amount +
           " }, expect = \"deny\" }\n";
  };
  EXPECT_EQ(Codes(rule, "", true), "THRESHOLD_UNTESTED 2");
  EXPECT_EQ(Codes(rule, test("5"), true), "THRESHOLD_UNTESTED 2");
  EXPECT_EQ(Codes(rule, test("4") + test("5.01"), true), "THRESHOLD_UNTESTED 2");
  EXPECT_EQ(Codes(rule, test("5") + test("5.01"), true), "");
  EXPECT_EQ(Codes("rule \"a\" { on = \"notes.add\", allow = true }\n", "", true), "NO_DOC 2");
}

// Cedar and OPA answer allow in these two cases; here the bundle is refused and says why.
TEST(Lint, AMisspeltFieldBesideABroadAllowIsRefusedAtLoad) {
  const std::string broad = "on(\"pay.send\", \"broad\", function(c) return allow() end)\n";
  for (const std::string& rule :
       {std::string("on(\"pay.send\", \"cap\", function(c)\n  if c.args.amout > 5 then return deny "
                    "{ code = \"X\" } end\nend)\n"),
        std::string("rule \"cap\" {\n  on = \"pay.send\", where = { [\"args.amout\"] = gt(usd(5)) "
                    "}, deny = { code = \"X\" } }\n")}) {
    std::vector<Finding> findings;
    const auto bundle =
        Bundle::Load({{.path = "p.lua", .text = PolicyText(broad + rule)}}, Tools(), &findings);
    EXPECT_FALSE(bundle.ok());
    ASSERT_EQ(findings.size(), 1u);
    EXPECT_EQ(findings[0].code, "UNKNOWN_FIELD");
    EXPECT_NE(findings[0].message.find("did you mean `amount`?"), std::string::npos)
        << findings[0].message;
    EXPECT_GE(findings[0].line, 3);
  }
}

}  // namespace
}  // namespace interlock::policies
