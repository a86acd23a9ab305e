// Money, time and facts' arguments.
#include "policies/facts.h"
#include "policy_fixture.h"

namespace interlock::policies {
namespace {

struct Case {
  const char* expression;
  bool holds;  // false: raises
};

void Check(const Case& c) {
  const Decision decision =
      DecideText(RuleText("if " + std::string(c.expression) + " then return allow() end") +
                 "on(\"*\", \"z\", function(c) return note(\"x\") end)\n");
  EXPECT_EQ(decision.code, c.holds ? "OK" : "RULE_ERROR")
      << c.expression << ": " << decision.rules[0].because;
}

TEST(Money, IsExact) {
  const Case cases[] = {
      {"usd(50).minor == 5000", true},
      {"usd(50.01).minor == 5001", true},
      {"usd(0.1) + usd(0.2) == usd(0.3)", true},
      {"usd(\"12.50\").minor == 1250", true},
      {"usd(12.345)", false},
      {"usd(\"12.5x\")", false},
      {"usd({})", false},
      {"money(\"12.50\", \"USD\") == usd(12.5)", true},
      {"money(1, \"XXX\")", false},
      {"money(\"5\", \"JPY\").minor == 5", true},
      {"money(\"5.5\", \"JPY\")", false},
      {"money(\"5.125\", \"KWD\").minor == 5125", true},
      {"money_minor(1250, \"USD\") == usd(12.5)", true},
      {"money_minor(12.5, \"USD\")", false},
      {"eur(1).currency == \"EUR\" and gbp(1).currency == \"GBP\" and jpy(1).minor == 1", true},
      {"money_of(c.args.price, \"USD\") == usd(\"48.50\")", true},
      {"money_of(c.args.amount, \"USD\") == usd(20)", true},
      {"money_of(0.20999999999999375, \"USD\")", false},
      {"money_rounded(0.20999999999999375, \"USD\") == usd(0.21)", true},
      {"money_rounded(-0.20999999999999375, \"USD\") == -usd(0.21)", true},
      {"money_rounded(1.005, \"USD\") == usd(1.01)", true},
      {"money_rounded(1.0049, \"USD\") == usd(1)", true},
      {"money_rounded(0.004, \"USD\") == usd(0)", true},
      {"money_rounded(0.995, \"USD\") == usd(1)", true},
      {"money_rounded(2.5, \"JPY\").minor == 3", true},
      {"money_rounded(7, \"USD\") == usd(7)", true},
      {"money_rounded(1e300, \"USD\")", false},
      {"usd(5) - usd(7) == -usd(2)", true},
      {"usd(5) * 3 == usd(15) and 3 * usd(5) == usd(15)", true},
      {"usd(5) / 2", false},
      {"usd(5) + 1", false},
      {"usd(5) > 1", false},
      {"usd(1) <= usd(1) and usd(1) < usd(2) and usd(1) ~= usd(2)", true},
      {"math.max(usd(1), usd(3), usd(2)) == usd(3)", true},
      {"math.min(usd(1), eur(3))", false},
      {"usd(1).amount == \"1.00\"", true},
      {"usd(1).cents", false},
      {"\"up to \" .. usd(12.5) == \"up to 12.50 USD\"", true},
      {"type(usd(1)) == \"money\"", true},
  };
  for (const Case& c : cases) Check(c);
}

TEST(Money, CannotBeChanged) {
  EXPECT_EQ(DecideText(RuleText("local m = usd(1) m.minor = 5")).code, "RULE_ERROR");
}

TEST(Time, CountsWholeUnitsDownwards) {
  const Case cases[] = {
      {"days_between(\"2026-05-01\", \"2026-05-08\") == 7", true},
      {"days_between(\"2026-05-08\", \"2026-05-01\") == -7", true},
      {"days_between(\"2026-05-01T12:00:00Z\", \"2026-05-02T11:59:59Z\") == 0", true},
      {"days_between(\"2026-05-02T11:59:59Z\", \"2026-05-01T12:00:00Z\") == -1", true},
      {"days_between(c.now, \"2026-01-03\") == 2", true},
      {"hours_between(\"2026-05-01T00:00:00+02:00\", \"2026-05-01T00:00:00Z\") == 2", true},
      {"seconds_between(\"1970-01-01\", \"1970-01-01T00:00:01.5Z\") == 1", true},
      {"time(\"1970-01-02\") == 86400000000", true},
      {"time(\"2000-02-29\") > 0", true},
      {"time(\"1900-02-29\")", false},
      {"time(\"2026-02-29\")", false},
      {"time(\"2026-13-01\")", false},
      {"time(\"2026-05-01 10:00:00Z\")", false},
      {"time(\"2026-05-01T10:00:00\")", false},
      {"time(\"2026-05-01T24:00:00Z\")", false},
      {"time(\"2026-05-01Tx\")", false},
      {"time(1.5)", false},
  };
  for (const Case& c : cases) Check(c);
}

FactDecl FactOf(core::Json args) {
  FactDecl fact;
  fact.name = "f";
  fact.tool = "t.read";
  fact.args = std::move(args);
  return fact;
}

const core::Json kScope = {
    {"args", {{"id", "#W1/2"}, {"ids", {"a", "b"}}, {"n", 3}, {"none", nullptr}}},
    {"session", {{"shop", "s1"}}},
    {"user", "u1"},
    {"facts", {{"order", {{"customer", "c9"}}}}}};

TEST(Facts, WholePlaceholderGivesTheValueItself) {
  const auto args = ExpandFactArgs(FactOf({{"id", "{args.id}"},
                                           {"ids", "{args.ids}"},
                                           {"n", "{args.n}"},
                                           {"who", "{user}"},
                                           {"customer", "{facts.order.customer}"},
                                           {"fixed", 7},
                                           {"list", {"{args.n}", "x"}}}),
                                   kScope);
  ASSERT_TRUE(args.ok()) << core::Message(args.status());
  EXPECT_EQ(*args, core::Json({{"id", "#W1/2"},
                               {"ids", {"a", "b"}},
                               {"n", 3},
                               {"who", "u1"},
                               {"customer", "c9"},
                               {"fixed", 7},
                               {"list", {3, "x"}}}));
}

TEST(Facts, PlaceholderInsideATextIsSplicedIn) {
  const auto args = ExpandFactArgs(FactOf({{"key", "{session.shop}:{args.n}:{{x}}"}}), kScope);
  ASSERT_TRUE(args.ok());
  EXPECT_EQ((*args)["key"], "s1:3:{x}");
}

TEST(Facts, MissingPathIsNotFound) {
  for (const char* path : {"{args.nope}", "{args.none}", "{facts.gone.x}", "x{args.nope}"}) {
    const auto args = ExpandFactArgs(FactOf({{"a", path}}), kScope);
    EXPECT_EQ(args.status().code(), core::StatusCode::kNotFound) << path;
  }
  EXPECT_EQ(ExpandFactArgs(FactOf({{"a", "x{args.ids}"}}), kScope).status().code(),
            core::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace interlock::policies
