// One budget over several levels: what is held of all of them or of none, which of them was full,
// and that no sequence of calls overspends one.
#include <cstdlib>
#include <tuple>

#include "policies/budget.h"
#include "policies/lint.h"
#include "policy_fixture.h"
#include "schema_values.h"

namespace interlock::policies {
namespace {

constexpr char kSpend[] =
    "local SPEND = budget \"spend\" { unit = \"USD\", levels = {\n"
    "  { per = \"tenant\", limit = usd(500), window = \"1d\" },\n"
    "  { per = \"agent\", limit = usd(300), window = \"1d\" },\n"
    "  { per = \"principal\", limit = usd(250), window = \"1d\" },\n"
    "  { per = \"user\", limit = usd(200), window = \"1d\" },\n"
    "  { per = \"user\", limit = usd(400), window = \"30d\" },\n"
    "  { per = \"run\", limit = usd(90) },\n"
    "  { per = \"key\", limit = usd(120), window = \"1d\" } } }\n";
constexpr char kReserve[] =
    "on(\"*\", \"spend\", function(c) return reserve(SPEND, usd(c.args.amount), c.args.id) end)\n";

std::string Spend(const std::string& rules = kReserve) {
  return PolicyText(kSpend + rules + kAllowAll);
}

TEST(BudgetLevels, AreHeldTogether) {
  const Decision decision = DecideText(Spend());
  EXPECT_EQ(decision.verdict, Verdict::kAllow);
  std::vector<std::string> held;
  for (const Reservation& one : decision.reservations) {
    EXPECT_EQ(one.amount, 2000);
    held.push_back(one.budget.name + " " + one.scope + " " + std::to_string(one.budget.limit));
  }
  EXPECT_EQ(held, (std::vector<std::string>{
                      "spend.tenant.1d tenant:main 50000", "spend.agent.1d agent:a1 30000",
                      "spend.principal.1d principal:ticketing 25000", "spend.user.1d user:u1 20000",
                      "spend.user.30d user:u1 40000", "spend.run run:r1 9000",
                      "spend.key.1d key:o1 12000"}));
}

TEST(BudgetLevels, ADenialNamesEveryLevelThatIsFullAndHoldsNothing) {
  TestCall call;
  call.state.used = {{"spend.user.30d", 39'000}, {"spend.run", 8'000}, {"spend.agent.1d", 28'000}};
  const Decision decision = DecideText(Spend(), call);
  EXPECT_EQ(decision.verdict, Verdict::kDeny);
  EXPECT_EQ(decision.code, "BUDGET");
  EXPECT_EQ(decision.say, "The budget spend (user.30d, run) does not cover this.");
  EXPECT_EQ(FiredBy(decision, "p/spend")->because,
            "level user.30d: 39000 used, 2000 wanted, limit 40000 USD; "
            "level run: 8000 used, 2000 wanted, limit 9000 USD");
  EXPECT_TRUE(decision.reservations.empty());
  ASSERT_EQ(decision.reads.size(), 7u) << "every level that was looked at is on the record";
}

TEST(BudgetLevels, TheTableFormHoldsTheSame) {
  const std::string table = Spend(
      "rule \"spend\" { on = \"*\", reserve = { budget = SPEND, amount = field(\"args.amount\"), "
      "key = \"{args.id}\" } }\n");
  TestCall call;
  EXPECT_EQ(DecideText(table, call).reservations.size(), 7u);
  call.state.used = {{"spend.key.1d", 11'000}};
  EXPECT_EQ(DecideText(table, call).say, "The budget spend (key.1d) does not cover this.");
  EXPECT_EQ(DecideText(table, call).say, DecideText(Spend(), call).say);
}

TEST(BudgetLevels, ALevelThatTheCallHasNoneOfIsDoubtUnlessItIsOptional) {
  const auto text = [](const std::string& optional) {
    return PolicyText(
        "local B = budget \"b\" { unit = \"calls\", levels = { { per = \"tenant\", limit = 9 }, "
        "{ per = \"user\", limit = 5" +
        optional + " } } }\non(\"*\", \"r\", function(c) return reserve(B, 1) end)\n" + kAllowAll);
  };
  TestCall nobody;
  nobody.user = "";
  const Decision doubt = DecideText(text(""), nobody);
  EXPECT_EQ(doubt.code, "RULE_ERROR");
  EXPECT_EQ(FiredBy(doubt, "p/r")->because, "budget `b.user` is per user, and there is none");
  EXPECT_TRUE(doubt.reservations.empty());
  EXPECT_EQ(DecideText(text(", optional = true"), nobody).reservations.size(), 1u);
  EXPECT_EQ(DecideText(text(", optional = true")).reservations.size(), 2u);
}

TEST(BudgetLevels, OneLevelCanBeAskedFor) {
  const auto note = [](const std::string& spec) {
    TestCall call;
    call.state.used = {{"spend.user.30d", 1234}};
    const Decision decision = DecideText(
        Spend("on(\"*\", \"r\", function(c) return note(tostring(spent { budget = SPEND" + spec +
              " }.minor)) end)\n"),
        call);
    return decision.rules.back().because;
  };
  EXPECT_EQ(note(", level = \"user.30d\""), "1234");
  EXPECT_EQ(note(", level = \"key.1d\", key = c.args.id"), "0");
  EXPECT_NE(note("").find("name a level of budget `spend`: tenant.1d, agent.1d"),
            std::string::npos);
  EXPECT_NE(note(", level = \"user\"").find("name a level"), std::string::npos);
}

TEST(BudgetLevels, WhatIsWrittenWrongIsRefusedAtLoad) {
  const auto error = [](const std::string& levels, const std::string& rest = "") {
    return LoadError(
        PolicyText("budget \"b\" { unit = \"calls\", levels = { " + levels + " }" + rest + " }\n"));
  };
  EXPECT_EQ(error("{ per = \"tenant\", limit = 1 }"), "");
  EXPECT_NE(error("").find("1 to 8 levels"), std::string::npos);
  EXPECT_NE(error("{ per = \"team\", limit = 1 }").find("not `team`"), std::string::npos);
  EXPECT_NE(error("{ per = \"tenant\", limit = usd(1) }").find("is an integer"), std::string::npos);
  EXPECT_NE(error("{ per = \"tenant\", limit = 1, unit = \"calls\" }").find("`unit`"),
            std::string::npos);
  EXPECT_NE(error("{ per = \"run\", limit = 1 }, { per = \"run\", limit = 2 }").find("twice"),
            std::string::npos);
  EXPECT_NE(error("{ per = \"run\", limit = 1, window = \"24h\" }, "
                  "{ per = \"run\", limit = 2, window = \"1d\" }")
                .find("twice"),
            std::string::npos)
      << "of one length";
  EXPECT_NE(error("{ per = \"run\", limit = 1 }", ", limit = 5").find("beside levels"),
            std::string::npos);
  EXPECT_NE(LoadError(PolicyText("budget \"b.run\" { unit = \"calls\", limit = 1, per = \"run\" }\n"
                                 "budget \"b\" { unit = \"calls\", levels = { { per = \"run\", "
                                 "limit = 1 } } }\n"))
                .find("`b.run` is declared twice"),
            std::string::npos);
}

std::vector<Finding> LevelFindings(const std::string& levels) {
  const auto bundle = Bundle::Load(
      {{.path = "p.lua",
        .text = PolicyText("local B = budget \"b\" { unit = \"calls\", levels = { " + levels +
                           " } }\non(\"t.go\", \"r\", { doc = \"d\" }, function(c) return "
                           "reserve(B, 1) end)\n")}},
      {}, nullptr);
  EXPECT_TRUE(bundle.ok()) << core::Message(bundle.status());
  std::vector<Finding> found;
  if (!bundle.ok()) return found;
  for (const Finding& one : LintPolicies(**bundle, {}, 0)) {
    if (one.code == "DEAD_LEVEL") found.push_back(one);
  }
  return found;
}

TEST(BudgetLevels, ALevelThatNeverFillsFirstIsFound) {
  const auto found = LevelFindings(
      "{ per = \"tenant\", limit = 10, window = \"1d\" }, "
      "{ per = \"user\", limit = 10, window = \"1d\" }");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].message,
            "level `user.1d` of budget `b` is never full before `tenant.1d`; lower it or take it "
            "out");
  EXPECT_EQ(found[0].line, 2);
  const auto dead = [](const std::string& wide, const std::string& narrow) {
    return LevelFindings("{ " + wide + " }, { " + narrow + " }").size();
  };
  EXPECT_EQ(dead("per = \"user\", limit = 5, window = \"30d\"",
                 "per = \"user\", limit = 9, window = \"1d\""),
            1u);
  EXPECT_EQ(dead("per = \"user\", limit = 5", "per = \"run\", limit = 5"), 1u);
  // Its harmless twins: a smaller limit, a window that is no part of the other, a run that lasts
  // longer than a day, users who come by several principals, and one that may be absent.
  EXPECT_EQ(dead("per = \"tenant\", limit = 10", "per = \"user\", limit = 9"), 0u);
  EXPECT_EQ(dead("per = \"tenant\", limit = 5, window = \"1d\"",
                 "per = \"user\", limit = 9, window = \"15h\""),
            0u);
  EXPECT_EQ(dead("per = \"user\", limit = 5, window = \"1d\"", "per = \"run\", limit = 9"), 0u);
  EXPECT_EQ(dead("per = \"principal\", limit = 5", "per = \"user\", limit = 9"), 0u);
  EXPECT_EQ(dead("per = \"user\", limit = 5, optional = true", "per = \"run\", limit = 9"), 0u);
}

// Every share that calls have drawn on, held and settled as the journal does.
class Ledger final : public StateReader {
 public:
  VersionedRead BudgetUsed(const BudgetDecl& budget, std::string_view scope) const override {
    const auto at =
        shares.find({budget.name, std::string(scope), WindowStart(now_us, budget.window_ms)});
    const std::int64_t used = at == shares.end() ? 0 : at->second.held + at->second.settled;
    return {.key = "budget/" + budget.name + "/" + std::string(scope), .version = 0, .value = used};
  }
  VersionedRead Count(std::string_view, std::int64_t, std::int64_t) const override { return {}; }
  VersionedRead Sum(std::string_view, std::int64_t, std::int64_t) const override { return {}; }

  BudgetState& Share(const Reservation& one) {
    return shares[{one.budget.name, one.scope, one.window_start_us}];
  }

  std::int64_t now_us = 0;
  std::map<std::tuple<std::string, std::string, std::int64_t>, BudgetState> shares;
};

class Spender {
 public:
  explicit Spender(std::uint64_t seed) : random_(seed) {
    auto engine = MakeEngine(Spend());
    EXPECT_TRUE(engine.ok()) << core::Message(engine.status());
    engine_ = *std::move(engine);
    budgets_ = engine_->bundle().budgets();
  }

  // A call of somebody, and sometimes the end of an earlier one.
  void Step() {
    constexpr std::int64_t kHour = 3'600'000'000;
    if (random_.Below(10) == 0) ledger_.now_us += 3 * kHour;
    if (!open_.empty() && random_.Below(2) == 0) End();
    const std::string run = "r" + std::to_string(ledger_.now_us / (6 * kHour) * 4 +
                                                 static_cast<std::int64_t>(random_.Below(4)));
    const std::string agent = "a" + std::to_string(random_.Below(2));
    const std::string principal = "p" + std::to_string(random_.Below(3));
    const std::string user = "u" + std::to_string(random_.Below(4));
    const core::Json args = {{"amount", random_.Below(45)},
                             {"id", "card" + std::to_string(random_.Below(5))}};
    const core::Json session = core::Json::object();
    DecisionInput input;
    input.call = {
        .id = "c", .run = run, .tool = "t.pay", .effect = "money", .agent = agent, .step = 1};
    input.tenant = "main";
    input.principal = principal;
    input.user = user;
    input.args = &args;
    input.session = &session;
    input.now_us = ledger_.now_us;
    input.state = &ledger_;
    const Decision decision = engine_->Decide(input);
    const std::int64_t amount = args["amount"].get<std::int64_t>() * 100;
    Judge(input, decision, amount, args["id"].get<std::string>());
    if (decision.verdict == Verdict::kAllow && amount > 0) Hold(decision);
    for (const auto& [key, share] : ledger_.shares) {
      ASSERT_LE(share.held + share.settled, share.limit) << std::get<0>(key);
    }
  }

  std::map<std::string, int> full;  // how often each level was
  int allowed = 0;

 private:
  // Against a count of its own: allowed if and only if every level covers it, and the names said
  // are those of the levels that do not.
  void Judge(const DecisionInput& input, const Decision& decision, std::int64_t amount,
             const std::string& card) {
    const std::map<std::string, std::string> who = {{"tenant", "main"},
                                                    {"agent", std::string(input.call.agent)},
                                                    {"principal", std::string(input.principal)},
                                                    {"user", std::string(input.user)},
                                                    {"run", std::string(input.call.run)},
                                                    {"key", card}};
    std::string names;
    for (const std::string name :
         {"tenant.1d", "agent.1d", "principal.1d", "user.1d", "user.30d", "run", "key.1d"}) {
      for (const BudgetDecl& one : budgets_) {
        if (one.level != name) continue;
        const std::string scope = one.per + ":" + who.at(one.per);
        if (ledger_.BudgetUsed(one, scope).value + amount <= one.limit) continue;
        names += (names.empty() ? "" : ", ") + name;
        ++full[name];
      }
    }
    allowed += names.empty();
    ASSERT_EQ(decision.verdict == Verdict::kAllow, names.empty());
    if (names.empty()) {
      ASSERT_EQ(decision.reservations.size(), amount > 0 ? budgets_.size() : 0u);
    } else {
      ASSERT_EQ(decision.say, "The budget spend (" + names + ") does not cover this.");
      ASSERT_TRUE(decision.reservations.empty());
    }
  }

  void Hold(const Decision& decision) {
    for (const Reservation& one : decision.reservations) {
      ASSERT_EQ(TryHold(ledger_.Share(one), one.budget.limit, one.amount), HoldResult::kHeld);
    }
    open_.push_back(decision.reservations);
  }

  // All of it is given back together, or the same is settled at every level.
  void End() {
    const std::size_t at = random_.Below(open_.size());
    const std::int64_t hold = open_[at].front().amount;
    const auto spent =
        static_cast<std::int64_t>(random_.Below(static_cast<std::uint64_t>(hold) + 1));
    const bool back = random_.Below(3) == 0;
    for (const Reservation& one : open_[at]) {
      if (back) {
        Release(ledger_.Share(one), one.amount);
      } else {
        Settle(ledger_.Share(one), one.amount, spent);
      }
    }
    open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(at));
  }

  Chooser random_;
  std::unique_ptr<Engine> engine_;
  std::vector<BudgetDecl> budgets_;
  Ledger ledger_;
  std::vector<std::vector<Reservation>> open_;
};

// INTERLOCK_CASES says how many for a long run, 500 calls each.
std::uint64_t Seeds() {
  const char* const wanted = std::getenv("INTERLOCK_CASES");
  const int seeds = wanted == nullptr ? 0 : std::atoi(wanted);
  return seeds > 0 ? static_cast<std::uint64_t>(seeds) : 20;
}

TEST(BudgetLevels, NoSequenceOfCallsOverspendsOne) {
  std::map<std::string, int> full;
  int allowed = 0;
  for (std::uint64_t seed = 1; seed <= Seeds(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Spender spender(seed);
    for (int step = 0; step < 500; ++step) {
      spender.Step();
      if (::testing::Test::HasFatalFailure()) return;
    }
    for (const auto& [name, times] : spender.full) full[name] += times;
    allowed += spender.allowed;
  }
  EXPECT_GT(allowed, 1000);
  EXPECT_EQ(full.size(), 7u) << "every level was full at some time";
}

}  // namespace
}  // namespace interlock::policies
