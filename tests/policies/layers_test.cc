// Layers that only tighten, exceptions that end, and rules that only watch.
#include "policies/explain.h"
#include "policy_fixture.h"

namespace interlock::policies {
namespace {

std::string LoadFiles(const std::vector<std::string>& texts, std::unique_ptr<Engine>* engine) {
  std::vector<BundleFile> files;
  for (const std::string& text : texts) {
    files.push_back({.path = "f" + std::to_string(files.size()) + ".lua", .text = text});
  }
  const auto bundle = Bundle::Load(files, {}, nullptr);
  if (!bundle.ok()) return std::string(core::Message(bundle.status()));
  if (engine != nullptr) *engine = *Engine::Make(*bundle);
  return "";
}

Decision DecideFiles(const std::vector<std::string>& texts, const TestCall& call = {}) {
  std::unique_ptr<Engine> engine;
  EXPECT_EQ(LoadFiles(texts, &engine), "");
  return engine == nullptr ? Decision{} : DecideWith(*engine, call);
}

const char kOrg[] =
    "policy \"org\" { owner = \"security\", layer = \"org\", tools = { \"*\" }, owns = { "
    "\"t.write\" } }\n";
const char kTeam[] = "policy \"team\" { owner = \"shop\", tools = { \"*\" } }\n";

TEST(Layers, ALowerLayerCannotAllowWhatAHigherOneOwns) {
  const std::string team = std::string(kTeam) + "rule \"all\" { on = \"*\", allow = true }\n";
  Decision decision = DecideFiles({kOrg, team});
  EXPECT_EQ(decision.code, "DEFAULT_DENY");
  EXPECT_EQ(FiredBy(decision, "team/all")->because,
            "allows nothing here: the tool belongs to layer org");
  TestCall other;
  other.tool = "t.read";
  EXPECT_EQ(DecideFiles({kOrg, team}, other).code, "OK");
  const std::string org = std::string(kOrg) + "rule \"yes\" { on = \"t.write\", allow = true }\n";
  EXPECT_EQ(DecideFiles({org, team}).code, "OK");
  EXPECT_EQ(
      DecideFiles({org, team + "rule \"no\" { on = \"*\", deny = { code = \"TEAM\" } }\n"}).code,
      "TEAM")
      << "it may tighten";
}

TEST(Layers, AreNamedRightly) {
  EXPECT_EQ(LoadFiles({"policy \"p\" { owner = \"o\", tools = { \"*\" }, layer = \"company\" }\n"},
                      nullptr),
            "f0.lua:1: policy.layer is org, team or agent, not `company`");
}

const char kDeny[] =
    "rule \"no-writes\" { on = \"*\", where = { [\"args.amount\"] = gt(5) }, deny = { code = "
    "\"NO\" } }\n"
    "rule \"yes\" { on = \"*\", allow = true }\n";

std::string Exception(const std::string& more) {
  return "exception \"audit\" { rule = \"org/no-writes\", owner = \"cfo\", ticket = \"SEC-1\", " +
         more + " }\n";
}

TEST(Exceptions, TakeADenialBackForAWhileAndSomeCalls) {
  const std::string org = std::string(kOrg) + kDeny;
  const std::string expires = "expires = \"2026-01-02\"";
  EXPECT_EQ(DecideFiles({org}).code, "NO");
  const Decision excepted =
      DecideFiles({org + Exception(expires + ", where = { [\"args.id\"] = \"o1\" }")});
  EXPECT_EQ(excepted.code, "OK");
  const FiredRule* fired = FiredBy(excepted, "org/no-writes");
  EXPECT_EQ(fired->verdict + " " + fired->exception, "excepted org/audit");
  EXPECT_NE(Explain(excepted).find("(exception org/audit)"), std::string::npos);
  EXPECT_EQ(DecideFiles({org + Exception(expires + ", where = { [\"args.id\"] = \"o2\" }")}).code,
            "NO");
  EXPECT_EQ(DecideFiles({org + Exception(expires + ", on = \"t.other\"")}).code, "NO");
  EXPECT_EQ(DecideFiles({org + Exception(expires + ", where = { [\"args.idd\"] = \"o1\" }")}).code,
            "NO")
      << "one that cannot tell excepts nothing";
  TestCall late;
  late.now_us = 1'767'312'000'000'000;  // 2026-01-02
  EXPECT_EQ(DecideFiles({org + Exception(expires + ", on = \"*\"")}, late).code, "NO");
}

TEST(Exceptions, NeverTakeAnErrorBack) {
  const std::string org =
      std::string(kOrg) +
      "rule \"no-writes\" { on = \"*\", where = { [\"args.amout\"] = gt(5) }, deny = { "
      "code = \"NO\" } }\nrule \"yes\" { on = \"*\", allow = true }\n";
  EXPECT_EQ(DecideFiles({org + Exception("expires = \"2027-01-01\", on = \"*\"")}).code,
            "RULE_ERROR");
}

TEST(Exceptions, AreRefusedFromBelowAndWithoutAScopeOrEnd) {
  const std::string org = std::string(kOrg) + kDeny;
  EXPECT_EQ(
      LoadFiles({org, std::string(kTeam) + Exception("expires = \"2027-01-01\", on = \"*\"")},
                nullptr),
      "f1.lua:2: exception `team/audit` stands in layer team and cannot loosen layer org; ask "
      "`security`");
  EXPECT_EQ(LoadFiles({org + Exception("on = \"*\"")}, nullptr),
            "f0.lua:4: exception needs the field `expires`");
  EXPECT_EQ(LoadFiles({org + Exception("expires = \"soon\", on = \"*\"")}, nullptr),
            "f0.lua:4: exception.expires is a date such as 2026-10-01, not `soon`");
  EXPECT_EQ(LoadFiles({org + Exception("expires = \"2027-01-01\"")}, nullptr),
            "f0.lua:4: an exception says for which calls it is: `on`, `where` or both");
  EXPECT_EQ(LoadFiles({std::string(kOrg) +
                       "rule \"no-write\" { on = \"*\", deny = { code = \"NO\" } }\n" +
                       Exception("expires = \"2027-01-01\", on = \"*\"")},
                      nullptr),
            "f0.lua:3: exception `org/audit`: there is no rule `org/no-writes`; did you mean "
            "`org/no-write`?");
}

TEST(Shadow, RulesSayWhatTheyWouldAndCountForNothing) {
  const std::string team =
      std::string(kTeam) +
      "rule \"yes\" { on = \"*\", allow = true }\n"
      "rule \"table\" { on = \"*\", mode = \"shadow\", ends = \"2026-06-01\", deny = { code = "
      "\"T\" } }\n"
      "on(\"*\", \"function\", { mode = \"shadow\", ends = \"2026-06-01\" }, function(c) return "
      "deny { "
      "code = \"F\" } end)\n"
      "on(\"*\", \"broken\", { mode = \"shadow\", ends = \"2026-06-01\" }, function(c) return "
      "c.args.missing end)\n";
  const Decision decision = DecideFiles({team});
  EXPECT_EQ(decision.code, "OK");
  ASSERT_EQ(decision.rules.size(), 1u);
  ASSERT_EQ(decision.shadow.size(), 3u);
  EXPECT_EQ(decision.shadow_verdict, Verdict::kDeny);
  EXPECT_EQ(decision.shadow[0].code, "RULE_ERROR");
  TestCall late;
  late.now_us = 1'800'000'000'000'000;
  EXPECT_TRUE(DecideFiles({team}, late).shadow.empty());
  EXPECT_EQ(LoadFiles({std::string(kTeam) +
                       "rule \"r\" { on = \"*\", mode = \"shadow\", allow = true }\n"},
                      nullptr),
            "f0.lua:2: a rule in shadow needs `ends`, the date until it is watched");
}

TEST(Shadow, AnAllowInShadowAllowsNothing) {
  const Decision decision = DecideFiles(
      {std::string(kTeam) +
       "rule \"r\" { on = \"*\", mode = \"shadow\", ends = \"2026-06-01\", allow = true }\n"});
  EXPECT_EQ(decision.code, "DEFAULT_DENY");
  EXPECT_EQ(decision.shadow_verdict, Verdict::kAllow);
}

}  // namespace
}  // namespace interlock::policies
