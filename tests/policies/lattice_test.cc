// The lattice: error = deny > deny > ask > modify > limit, reserve > allow > default deny.
#include "policies/explain.h"
#include "policy_fixture.h"

namespace interlock::policies {
namespace {

const std::string kMoney =
    "local B = budget \"b\" { unit = \"USD\", limit = usd(100), per = \"tenant\" }\n";

// Rules that say one thing each; `n` keeps names apart.
std::string Say(const std::string& what, int n) {
  const std::map<std::string, std::string> bodies = {
      {"allow", "return allow()"},
      {"deny", "return deny { code = \"NO\", say = \"no\" }"},
      {"error", "return c.args.missing"},
      {"ask", "return require_approval { approvers = { \"role:boss\" }, expires = \"1h\" }"},
      {"modify", "return modify { [\"args.amount\"] = 5 }"},
      {"limit", "return limit { key = c.args.id, max = 1, per = \"1h\" }"},
      {"reserve", "return reserve(B, usd(10))"},
      {"note", "return note(\"seen\")"},
      {"nothing", ""}};
  return "on(\"*\", \"r" + std::to_string(n) + "\", function(c) " + bodies.at(what) + " end)\n";
}

Decision DecideAll(const std::vector<std::string>& words) {
  std::string rules = kMoney;
  int n = 0;
  for (const std::string& word : words) rules += Say(word, n++);
  return DecideText(PolicyText(rules));
}

TEST(Lattice, StrongestWordWins) {
  struct Case {
    std::vector<std::string> words;
    Verdict verdict;
    std::string code;
  };
  const Case cases[] = {
      {{}, Verdict::kDeny, "DEFAULT_DENY"},
      {{"nothing"}, Verdict::kDeny, "DEFAULT_DENY"},
      {{"note"}, Verdict::kDeny, "DEFAULT_DENY"},
      {{"limit"}, Verdict::kDeny, "DEFAULT_DENY"},
      {{"reserve"}, Verdict::kDeny, "DEFAULT_DENY"},
      {{"limit", "reserve", "note"}, Verdict::kDeny, "DEFAULT_DENY"},
      {{"allow"}, Verdict::kAllow, "OK"},
      {{"allow", "note", "nothing"}, Verdict::kAllow, "OK"},
      {{"allow", "limit", "reserve"}, Verdict::kAllow, "OK"},
      {{"ask"}, Verdict::kAsk, "APPROVAL_REQUIRED"},
      {{"ask", "allow"}, Verdict::kAsk, "APPROVAL_REQUIRED"},
      {{"ask", "limit", "reserve"}, Verdict::kAsk, "APPROVAL_REQUIRED"},
      {{"modify", "allow"}, Verdict::kModify, "MODIFIED"},
      {{"modify", "ask", "allow"}, Verdict::kModify, "MODIFIED"},
      {{"modify"}, Verdict::kModify, "MODIFIED"},
      {{"deny", "allow"}, Verdict::kDeny, "NO"},
      {{"deny", "ask", "modify", "allow"}, Verdict::kDeny, "NO"},
      {{"error", "allow"}, Verdict::kDeny, "RULE_ERROR"},
      {{"error", "deny", "ask", "allow"}, Verdict::kDeny, "RULE_ERROR"},
      {{"error", "modify", "allow"}, Verdict::kDeny, "RULE_ERROR"},
  };
  for (const Case& c : cases) {
    std::vector<std::string> words = c.words;
    std::sort(words.begin(), words.end());
    do {
      const Decision decision = DecideAll(words);
      EXPECT_EQ(decision.verdict, c.verdict) << ::testing::PrintToString(words);
      EXPECT_EQ(decision.code, c.code) << ::testing::PrintToString(words);
    } while (words.size() < 4 && std::next_permutation(words.begin(), words.end()));
  }
}

TEST(Lattice, DeniedCallHoldsAsksAndCountsNothing) {
  const Decision decision = DecideAll({"deny", "ask", "limit", "reserve", "allow"});
  EXPECT_TRUE(decision.demands.empty());
  EXPECT_TRUE(decision.limits.empty());
  EXPECT_TRUE(decision.reservations.empty());
  EXPECT_EQ(decision.rules.size(), 5u) << "what every rule said is still there";
}

TEST(Lattice, AllDeniesAreReported) {
  const Decision decision = DecideText(PolicyText(
      "on(\"*\", \"one\", function(c) return deny { code = \"FIRST\", say = \"One.\" } end)\n"
      "on(\"*\", \"two\", function(c) return deny { code = \"SECOND\", say = \"Two.\", because = "
      "\"inside\", fix = { [\"args.amount\"] = 1 } } end)\n"));
  EXPECT_EQ(decision.code, "FIRST");
  EXPECT_EQ(decision.say, "One. Two.");
  ASSERT_EQ(decision.rules.size(), 2u);
  EXPECT_EQ(decision.rules[1].code, "SECOND");
  EXPECT_EQ(decision.rules[1].line, 3);
  EXPECT_EQ(decision.rules[1].because, "inside");
  EXPECT_EQ(decision.fix, core::Json({{"args.amount", 1}}));
}

TEST(Lattice, BecauseNeverReachesTheModel) {
  const Decision decision =
      DecideText(RuleText("return deny { code = \"NO\", because = \"secret reason\" }"));
  EXPECT_EQ(decision.say.find("secret"), std::string::npos);
  const Decision error = DecideText(RuleText("error(\"secret reason\")"));
  EXPECT_EQ(error.code, "RULE_ERROR");
  EXPECT_EQ(error.say.find("secret"), std::string::npos);
  EXPECT_NE(FiredBy(error, "p/r")->because.find("secret reason"), std::string::npos);
}

TEST(Lattice, EqualModifiesAgreeAndOthersConflict) {
  const std::string five = "return modify { [\"args.amount\"] = 5 }";
  const auto two = [](const std::string& a, const std::string& b) {
    return DecideText(PolicyText("on(\"*\", \"a\", function(c) " + a + " end)\n" +
                                 "on(\"*\", \"b\", function(c) " + b + " end)\n" + kAllowAll));
  };
  const Decision agree = two(five, five);
  EXPECT_EQ(agree.verdict, Verdict::kModify);
  ASSERT_TRUE(agree.modified_args);
  EXPECT_EQ((*agree.modified_args)["amount"], 5);
  EXPECT_EQ((*agree.modified_args)["id"], "o1");

  const Decision differ = two(five, "return modify { [\"args.amount\"] = 6 }");
  EXPECT_EQ(differ.verdict, Verdict::kDeny);
  EXPECT_EQ(differ.code, "MODIFY_CONFLICT");
  EXPECT_FALSE(differ.modified_args);

  const Decision inside =
      two("return modify { [\"args.box\"] = { a = 1 } }", "return modify { [\"args.box.a\"] = 2 }");
  EXPECT_EQ(inside.code, "MODIFY_CONFLICT");
  EXPECT_EQ(two(five, "return modify { [\"args.amount.deep\"] = 6 }").code, "MODIFY_CONFLICT");
}

TEST(Lattice, ModifyThatChangesNothingIsDone) {
  const Decision decision = DecideText(PolicyText(
      std::string("on(\"*\", \"m\", function(c) return modify { [\"args.amount\"] = 20 } end)\n") +
      kAllowAll));
  EXPECT_EQ(decision.verdict, Verdict::kAllow);
}

TEST(Lattice, ModifyOfAPathWithoutPlaceDenies) {
  const Decision decision = DecideText(PolicyText(
      std::string("on(\"*\", \"m\", function(c) return modify { [\"args.no.such\"] = 1 } end)\n") +
      kAllowAll));
  EXPECT_EQ(decision.code, "MODIFY_PATH");
}

TEST(Lattice, FullLimitDenies) {
  TestCall call;
  const std::string text = PolicyText(Say("limit", 0) + kAllowAll);
  EXPECT_EQ(DecideText(text, call).verdict, Verdict::kAllow);
  call.state.counts["p/r0/o1"] = 1;
  const Decision full = DecideText(text, call);
  EXPECT_EQ(full.verdict, Verdict::kDeny);
  EXPECT_EQ(full.code, "LIMIT");
  ASSERT_EQ(full.reads.size(), 1u);
  EXPECT_EQ(full.reads[0].key, "counter/p/r0/o1");
}

TEST(Lattice, ReservationsOfOneDecisionAddUp) {
  TestCall call;
  const std::string text = PolicyText(kMoney + Say("reserve", 0) + Say("reserve", 1) + kAllowAll);
  call.state.used["b"] = 8000;
  const Decision fits = DecideText(text, call);
  EXPECT_EQ(fits.verdict, Verdict::kAllow);
  ASSERT_EQ(fits.reservations.size(), 2u);
  EXPECT_EQ(fits.reservations[0].amount, 1000);
  EXPECT_EQ(fits.reservations[0].scope, "tenant:main");
  call.state.used["b"] = 8001;
  const Decision short_of = DecideText(text, call);
  EXPECT_EQ(short_of.code, "BUDGET");
  EXPECT_TRUE(short_of.reservations.empty());
}

TEST(Lattice, BudgetPerUserNeedsAUser) {
  const std::string text = PolicyText(
      std::string("local B = budget \"b\" { unit = \"calls\", limit = 3, per = \"user\", window = "
                  "\"1d\" }\non(\"*\", \"r\", function(c) return reserve(B, 1) end)\n") +
      kAllowAll);
  TestCall call;
  const Decision known = DecideText(text, call);
  EXPECT_EQ(known.verdict, Verdict::kAllow);
  EXPECT_EQ(known.reservations.at(0).scope, "user:u1");
  EXPECT_EQ(known.reservations.at(0).window_start_us, call.now_us - call.now_us % 86'400'000'000);
  call.user.clear();
  EXPECT_EQ(DecideText(text, call).code, "RULE_ERROR");
}

TEST(Lattice, DemandCarriesWhatTheApproverIsBoundTo) {
  const Decision decision = DecideText(RuleText(
      "return require_approval { approvers = { \"user:b\", \"role:a\", \"role:a\" }, quorum = 2, "
      "expires = \"4h\", show = { \"args.amount\", \"facts.order.status\", \"user\" }, say = "
      "\"Wait.\" }"));
  ASSERT_EQ(decision.demands.size(), 1u);
  const ApprovalDemand& demand = decision.demands[0];
  EXPECT_EQ(demand.rule, "p/r");
  EXPECT_EQ(demand.approvers, (std::vector<std::string>{"role:a", "user:b"}));
  EXPECT_EQ(demand.quorum, 2);
  EXPECT_EQ(demand.expires_ms, 4 * 3'600'000);
  EXPECT_EQ(demand.show,
            core::Json({{"args.amount", 20}, {"facts.order.status", "paid"}, {"user", "u1"}}));
  EXPECT_EQ(decision.say, "Wait.");
  const Decision whole = DecideText(
      RuleText("return require_approval { approvers = { \"run-user\" }, expires = \"1h\" }"));
  EXPECT_EQ(whole.demands.at(0).show.at("args"), TestCall().args) << "without show: everything";
}

TEST(Explain, NamesOutcomeRuleLineAndCode) {
  const std::string text = Explain(DecideAll({"deny", "error", "allow"}));
  EXPECT_TRUE(text.starts_with("denied RULE_ERROR\n")) << text;
  EXPECT_NE(text.find("error    p/r1 (line 4) RULE_ERROR: `c.args.missing` is absent"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("deny     p/r0 (line 3) NO"), std::string::npos) << text;
  EXPECT_NE(Explain(DecideAll({})).find("no rule spoke"), std::string::npos);
}

}  // namespace
}  // namespace interlock::policies
