// Invariants, the fuzzer that looks for calls that break them, and what it makes of such a call.
#include "policies/fuzz.h"
#include "policy_fixture.h"

namespace interlock::policies {
namespace {

const std::vector<KnownTool>& Tools() {
  static const std::vector<KnownTool> kTools = {
      {.name = "pay.send",
       .effect = "money",
       .input_schema = {{"type", "object"},
                        {"properties",
                         {{"amount", {{"type", "integer"}, {"minimum", 1}, {"maximum", 100'000}}},
                          {"to", {{"type", "string"}}},
                          {"note", {{"type", "string"}}}}},
                        {"required", {"amount", "to"}},
                        {"additionalProperties", false}},
       .result_schema = {}}};
  return kTools;
}

FuzzReport Fuzz(const std::string& rules, std::uint64_t calls = 3000, std::uint64_t seed = 1) {
  const auto bundle =
      Bundle::Load({{.path = "p.lua", .text = PolicyText(rules)}}, Tools(), nullptr);
  EXPECT_TRUE(bundle.ok()) << core::Message(bundle.status());
  if (!bundle.ok()) return {};
  return FuzzPolicies(*bundle, {}, {.calls = calls, .seed = seed});
}

constexpr char kAllowUnder[] =
    "on(\"pay.send\", \"go\", function(c) if c.args.amount <= 700 then return allow() end end)\n";
constexpr char kFunction[] =
    "invariant \"cap\" { on = \"pay.send\", never = function(c, d) return c.args.amount > 500 and "
    "d.verdict == \"allow\" end }\n";
constexpr char kTable[] =
    "invariant \"cap\" { on = \"pay.send\", where = { [\"args.amount\"] = gt(500) }, never = "
    "\"allow\" }\n";

TEST(PolicyFuzz, FindsTheCallAndMakesItSmall) {
  for (const char* invariant : {kFunction, kTable}) {
    const FuzzReport report = Fuzz(std::string(kAllowUnder) + invariant);
    ASSERT_EQ(report.broken.size(), 1u);
    EXPECT_EQ(report.broken[0].invariant, "p/cap");
    EXPECT_EQ(report.broken[0].verdict, "allow");
    EXPECT_EQ(report.broken[0].witness["args"], core::Json({{"amount", 501}, {"to", ""}}))
        << "the smallest that the schema lets be";
    EXPECT_FALSE(report.passed());
  }
}

TEST(PolicyFuzz, PassesWhereTheRuleKeepsIt) {
  const FuzzReport report =
      Fuzz(std::string("on(\"pay.send\", \"go\", function(c) if c.args.amount <= 500 then return "
                       "allow() end end)\n") +
           kFunction);
  EXPECT_TRUE(report.passed());
  EXPECT_EQ(report.calls, 3000u);
  EXPECT_GT(report.verdicts.at("allow"), 100u) << "a fuzzer that meets no allow shows nothing";
  EXPECT_GT(report.verdicts.at("deny"), 100u);
}

TEST(PolicyFuzz, TheSameSeedGivesTheSameReport) {
  const std::string rules = std::string(kAllowUnder) + kFunction;
  const FuzzReport one = Fuzz(rules, 500, 7);
  const FuzzReport two = Fuzz(rules, 500, 7);
  EXPECT_EQ(one.verdicts, two.verdicts);
  ASSERT_EQ(one.broken.size(), two.broken.size());
  EXPECT_NE(one.verdicts, Fuzz(rules, 500, 8).verdicts);
}

TEST(PolicyFuzz, AnInvariantThatCannotTellIsBroken) {
  const FuzzReport report = Fuzz(std::string(kAllowUnder) +
                                 "invariant \"n\" { on = \"pay.send\", never = function(c, d) "
                                 "return c.args.note == \"x\" end }\n");
  ASSERT_EQ(report.broken.size(), 1u);
  EXPECT_NE(report.broken[0].why.find("it cannot tell"), std::string::npos);
}

TEST(PolicyFuzz, NothingToKeepIsAnError) {
  const FuzzReport report = Fuzz(kAllowUnder);
  ASSERT_EQ(report.errors.size(), 1u);
  EXPECT_EQ(report.errors[0].code, "NO_INVARIANTS");
}

TEST(PolicyFuzz, AnInvariantThatMeetsNoCallIsAnError) {
  const FuzzReport report =
      Fuzz(std::string(kAllowUnder) + kFunction +
               "invariant \"mail\" { on = effect \"egress\", never = \"allow\" }\n",
           50);
  ASSERT_EQ(report.errors.size(), 1u);
  EXPECT_EQ(report.errors[0].code, "NOT_MET");
  EXPECT_NE(report.errors[0].message.find("`p/mail`"), std::string::npos);
  EXPECT_FALSE(report.passed());
}

TEST(Invariants, AreCheckedAtLoadAndChangeNoDecision) {
  EXPECT_NE(LoadError(PolicyText("invariant \"x\" { never = \"alow\" }")), "");
  EXPECT_NE(LoadError(PolicyText("invariant \"x\" { never = 5 }")), "");
  EXPECT_NE(LoadError(PolicyText("invariant \"x\" { on = message(), never = \"allow\" }")), "");
  EXPECT_NE(
      LoadError(PolicyText("local n = 0 invariant \"x\" { never = function(c, d) n = n + 1 end }")),
      "");
  std::vector<Finding> findings;
  const auto bundle = Bundle::Load(
      {{.path = "p.lua",
        .text = PolicyText("invariant \"x\" { on = \"pay.send\", never = function(c, d) return "
                           "c.args.amout > 5 end }\n")}},
      Tools(), &findings);
  EXPECT_FALSE(bundle.ok());
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].code, "UNKNOWN_FIELD");
  EXPECT_EQ(
      DecideText(PolicyText(std::string(kAllowAll) + "invariant \"x\" { never = \"allow\" }\n"))
          .verdict,
      Verdict::kAllow);
}

}  // namespace
}  // namespace interlock::policies
