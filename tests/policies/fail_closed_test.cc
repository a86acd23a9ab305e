// Whatever goes wrong in one rule denies the call, whichever rules stand around it: with a code,
// the rule and its line. Policies are made up from a seed; INTERLOCK_CASES says how many.
#include <algorithm>
#include <array>
#include <cstdlib>

#include "policy_fixture.h"
#include "schema_values.h"

namespace interlock::policies {
namespace {

constexpr int kCases = 400;

int Cases() {
  const char* const wanted = std::getenv("INTERLOCK_CASES");
  const int cases = wanted == nullptr ? 0 : std::atoi(wanted);
  return cases > 0 ? cases : kCases;
}

template <typename List>
const auto& OneOf(const List& list, Chooser& chooser) {
  return list[chooser.Below(list.size())];
}

struct Fault {
  const char* body;
  const char* code;
};

// Statements, so that they stand wherever a statement may.
constexpr std::array<Fault, 30> kFaults = {{
    // Misspelt names, and what is not there.
    {"local x = c.args.amuont", "RULE_ERROR"},
    {"local x = c.args.items[1].skuu", "RULE_ERROR"},
    {"local x = c.args.items[9]", "RULE_ERROR"},
    {"local x = c.session.shpo", "RULE_ERROR"},
    {"local x = c.facts.order.totl", "RULE_ERROR"},
    {"local x = c.facts.ordre", "RULE_ERROR"},
    {"local x = c.call.tol", "RULE_ERROR"},
    {"local x = c.principal.rolls", "RULE_ERROR"},
    {"local x = c.flow.untrustd", "RULE_ERROR"},
    {"local x = c.usr", "RULE_ERROR"},
    // A look-up that failed.
    {"local x = c.facts.gone", "RULE_ERROR"},
    {"if c.facts.gone.total > 5 then return deny { code = \"NO\" } end", "RULE_ERROR"},
    // Errors of the rule.
    {"error(\"stop\")", "RULE_ERROR"},
    {"assert(false)", "RULE_ERROR"},
    {"local x = 1 + {}", "RULE_ERROR"},
    {"local x = \"9999\" < 100", "RULE_ERROR"},
    {"local x = usd(5) > 4", "RULE_ERROR"},
    {"local x = usd(5) + eur(4)", "RULE_ERROR"},
    {"local x = money_of(c.args.note, \"USD\")", "RULE_ERROR"},
    {"local x = deny { cod = \"NO\" }", "RULE_ERROR"},
    // Too much of anything.
    {"while true do end", "FUEL"},
    {"local s = \"xxxxxxxx\" while true do s = s .. s end", "MEMORY"},
    {"local t = {} while true do t[#t + 1] = { t } end", "FUEL"},
    // Answers that are none.
    {"do return 1 end", "RULE_ERROR"},
    {"do return true end", "RULE_ERROR"},
    {"do return \"allow\" end", "RULE_ERROR"},
    {"do return {} end", "RULE_ERROR"},
    {"do return allow end", "RULE_ERROR"},
    {"do return c end", "RULE_ERROR"},
    // What bears no label is not trusted.
    {"if not trusted(c.args, \"id\") then return deny { code = \"UNTRUSTED\" } end", "UNTRUSTED"},
}};

constexpr std::array<const char*, 5> kTableFaults = {
    "where = { [\"args.amuont\"] = gt(5) }, deny = { code = \"NO\" }",
    "where = { [\"facts.gone.total\"] = gt(5) }, deny = { code = \"NO\" }",
    "where = { [\"session.shpo\"] = \"s2\" }, deny = { code = \"NO\" }",
    "where = { [\"args.note\"] = gt(5) }, deny = { code = \"NO\" }",
    "limit = { key = \"{args.idd}\", max = 5, per = \"1h\" }",
};

// Ways in which a body is reached: `$` is the fault.
constexpr std::array<const char*, 6> kAround = {
    "$",
    "if c.args.amount > 5 then $ end",
    "for _ = 1, 3 do $ end",
    "for _, item in ipairs(c.args.items) do if item.n == 2 then $ end end",
    "local n = 0 repeat n = n + 1 if n == 2 then $ end until n > 3",
    "do local seen = c.args.id .. c.user $ end",
};

// Rules that say nothing against the call.
constexpr std::array<const char*, 8> kHarmless = {
    "on(\"*\", \"h%\", function(c) return allow() end)",
    "on(\"*\", \"h%\", function(c) return note(c.args.id) end)",
    "on(\"*\", \"h%\", function(c) if c.args.amount > 900 then return deny { code = \"H\" } end "
    "end)",
    "on(\"*\", \"h%\", function(c) return limit { key = c.args.id, max = 9, per = \"1h\" } end)",
    "rule \"h%\" { on = \"*\", where = { [\"args.amount\"] = gt(900) }, deny = { code = \"H\" } }",
    "rule \"h%\" { on = \"t.*\", where = { [\"args.amount\"] = le(900) }, allow = true }",
    "rule \"h%\" { on = effect \"money\", deny = { code = \"H\" } }",
    "on(\"other.tool\", \"h%\", function(c) return deny { code = \"H\" } end)",
};

std::string Put(std::string text, char mark, const std::string& part) {
  const std::size_t at = text.find(mark);
  return at == std::string::npos ? text : text.replace(at, 1, part);
}

struct MadeUp {
  std::string text;  // with the fault
  std::string twin;  // without
  std::string code;
  int line = 0;  // of the fault
};

MadeUp MakeUp(Chooser& chance) {
  std::string fault;
  MadeUp made;
  if (chance.Below(6) == 0) {
    fault = "rule \"bad\" { on = \"*\", " + std::string(OneOf(kTableFaults, chance)) + " }";
    made.code = "RULE_ERROR";
  } else {
    const Fault& one = OneOf(kFaults, chance);
    fault =
        "on(\"*\", \"bad\", function(c) " + Put(OneOf(kAround, chance), '$', one.body) + " end)";
    made.code = one.code;
  }
  const std::size_t around = chance.Below(7);
  const std::size_t place = chance.Below(around + 1);
  std::string head = PolicyText(kAllowAll);
  for (std::size_t i = 0; i <= around; ++i) {
    if (i == place) {
      made.line = 1 + static_cast<int>(std::count(head.begin(), head.end(), '\n'));
      made.twin = head;
      head += fault + "\n";
    }
    if (i == around) break;
    const std::string rule = Put(OneOf(kHarmless, chance), '%', std::to_string(i)) + "\n";
    head += rule;
    if (i >= place) made.twin += rule;
  }
  made.text = std::move(head);
  return made;
}

TEST(FailClosed, AFaultInAnyRuleDeniesWithItsCodeRuleAndLine) {
  Chooser chance(20'261'121);
  const int cases = Cases();
  for (int i = 0; i < cases; ++i) {
    const MadeUp made = MakeUp(chance);
    SCOPED_TRACE("case " + std::to_string(i) + "\n" + made.text);
    EXPECT_EQ(DecideText(made.twin).verdict, Verdict::kAllow) << "but for the fault";
    const Decision decision = DecideText(made.text);
    EXPECT_EQ(decision.verdict, Verdict::kDeny);
    EXPECT_EQ(decision.code, made.code);
    const FiredRule* bad = FiredBy(decision, "p/bad");
    ASSERT_NE(bad, nullptr);
    EXPECT_EQ(bad->code, made.code);
    EXPECT_EQ(bad->line, made.line);
    EXPECT_TRUE(decision.reservations.empty() && decision.limits.empty());
    EXPECT_FALSE(decision.modified_args.has_value());
  }
}

TEST(FailClosed, NoBalancesAtHandIsAFaultToo) {
  const auto engine = MakeEngine(PolicyText(
      "on(\"*\", \"bad\", function(c) return limit { key = \"k\", max = 9, per = \"1h\" } "
      "end)\n" +
      std::string(kAllowAll)));
  ASSERT_TRUE(engine.ok());
  const TestCall call;
  DecisionInput input;
  input.call = {.id = "c", .run = "r", .tool = "t.go", .effect = "write", .agent = "a"};
  input.args = &call.args;
  input.session = &call.session;
  const Decision decision = (*engine)->Decide(input);
  EXPECT_EQ(decision.verdict, Verdict::kDeny);
  EXPECT_EQ(decision.code, "RULE_ERROR");
  EXPECT_EQ(FiredBy(decision, "p/bad")->line, 2);
}

}  // namespace
}  // namespace interlock::policies
