// What authors are told: line coverage, golden decisions, repeated runs, changes that turn a
// verdict, and the file for editors.
#include "policies/flip.h"
#include "policies/meta.h"
#include "policies/test.h"
#include "policy_fixture.h"

namespace interlock::policies {
namespace {

const std::vector<KnownTool>& Tools() {
  static const std::vector<KnownTool> kTools = {
      {.name = "orders.get",
       .effect = "read",
       .input_schema = {{"type", "object"}, {"properties", {{"id", {{"type", "string"}}}}}},
       .result_schema = {{"type", "object"},
                         {"properties",
                          {{"status", {{"type", "string"}, {"enum", {"open", "closed"}}}},
                           {"paid", {{"type", "number"}}}}}}},
      {.name = "pay.send",
       .effect = "money",
       .input_schema = {{"type", "object"},
                        {"properties",
                         {{"amount",
                           {{"type", "integer"}, {"minimum", 0}, {"description", "in cents\n--x"}}},
                          {"to", {{"type", {"string", "null"}}}},
                          {"odd-name", {{"type", "array"}, {"items", {{"type", "integer"}}}}}}}},
       .result_schema = {}}};
  return kTools;
}

constexpr char kRules[] =
    "policy \"p\" { owner = \"t\", tools = { \"*\" } }\n"  // 1
    "fact \"order\" { tool = \"orders.get\", args = { id = \"o1\" }, on = \"pay.send\" }\n"
    "local function large(c)\n"  // 3
    "  return c.args.amount > 500\n"
    "end\n"
    "on(\"pay.send\", \"go\", function(c)\n"  // 6
    "  if large(c) then\n"
    "    return require_approval { approvers = { \"role:x\" }, expires = \"1h\" }\n"  // 8
    "  end\n"
    "  return allow()\n"  // 10
    "end)\n"
    "rule \"open\" { on = \"pay.send\", where = { [\"facts.order.status\"] = \"closed\" }, deny = "
    "{ "
    "code = \"CLOSED\" } }\n"
    "invariant \"i\" { never = function(c, d)\n"
    "  return d.verdict == \"modify\"\n"
    "end }\n";

std::shared_ptr<const Bundle> Load() {
  auto bundle = Bundle::Load({{.path = "p.lua", .text = kRules}}, Tools(), nullptr);
  EXPECT_TRUE(bundle.ok()) << core::Message(bundle.status());
  return *bundle;
}

std::string Case(const std::string& name, int amount, const std::string& status,
                 const std::string& expect) {
  return "test \"" + name +
         "\" { tool = \"pay.send\", user = \"u1\", args = { amount = " + std::to_string(amount) +
         " }, facts = { order = { status = \"" + status + "\" } }, expect = \"" + expect + "\" }\n";
}

PolicyTestReport RunTests(const std::string& tests, const PolicyTestOptions& options = {}) {
  return RunPolicyTests(Load(), {{.path = "p_test.lua", .text = tests}}, options);
}

TEST(LineCoverage, NamesTheLinesThatNoCaseRan) {
  const PolicyTestReport some = RunTests(Case("small", 5, "open", "allow"));
  ASSERT_EQ(some.coverage.size(), 1u);
  EXPECT_EQ(some.coverage[0].lines, 5u) << "4, 7, 8, 10 and the table of line 12";
  EXPECT_EQ(some.coverage[0].missed, (std::vector<int>{8, 12}));
  EXPECT_EQ(some.line_percent(), 60);
  const PolicyTestReport all =
      RunTests(Case("small", 5, "open", "allow") + Case("large", 501, "open", "ask") +
               Case("closed", 5, "closed", "deny"));
  EXPECT_TRUE(all.passed());
  EXPECT_TRUE(all.coverage[0].missed.empty());
  EXPECT_EQ(all.line_percent(), 100);
}

TEST(PolicyTestOptions, ShuffledAndTwiceIsTheSameReport) {
  std::string tests;
  for (int i = 0; i < 20; ++i) {
    tests += Case("n" + std::to_string(i), i * 50, "open", i > 10 ? "ask" : "allow");
  }
  const PolicyTestReport plain = RunTests(tests);
  const PolicyTestReport shuffled = RunTests(tests, {.shuffle = 3, .twice = true});
  EXPECT_TRUE(shuffled.passed());
  EXPECT_EQ(shuffled.golden, plain.golden);
  ASSERT_EQ(shuffled.cases.size(), 20u);
  EXPECT_EQ(shuffled.cases[7].name, "n7");
}

TEST(PolicyTestOptions, GoldenDecisionsAreKept) {
  const std::string tests = Case("small", 5, "open", "allow") + Case("closed", 5, "closed", "deny");
  const core::Json golden = RunTests(tests).golden;
  ASSERT_EQ(golden.size(), 2u);
  EXPECT_EQ(golden["p_test.lua: closed"]["code"], "CLOSED");
  EXPECT_EQ(golden["p_test.lua: closed"]["rules"],
            core::Json({"p/go allow", "p/open deny CLOSED"}));
  EXPECT_TRUE(RunTests(tests, {.golden = golden}).passed());
  core::Json other = golden;
  other["p_test.lua: small"]["code"] = "WAS";
  const PolicyTestReport changed = RunTests(tests, {.golden = other});
  EXPECT_EQ(changed.failed(), 1u);
  EXPECT_NE(changed.cases[0].message.find("the golden decision was"), std::string::npos);
  EXPECT_EQ(RunTests(tests + Case("new", 6, "open", "allow"), {.golden = golden}).failed(), 1u);
  const PolicyTestReport gone = RunTests(Case("small", 5, "open", "allow"), {.golden = golden});
  ASSERT_EQ(gone.errors.size(), 1u);
  EXPECT_EQ(gone.errors[0].code, "GOLDEN");
}

std::string Flips(int amount, const std::string& status) {
  const core::Json args = {{"amount", amount}};
  const std::vector<Fact> facts = {
      {.name = "order", .present = true, .value = {{"status", status}}, .error_code = ""}};
  const core::Json session = core::Json::object();
  const FakeState state;
  DecisionInput input;
  input.call = {.id = "c1", .run = "r1", .tool = "pay.send", .effect = "money", .agent = "a1"};
  input.args = &args;
  input.session = &session;
  input.facts = &facts;
  input.state = &state;
  std::string text;
  for (const Flip& flip : FindFlips(Load(), input)) {
    text +=
        flip.path + " " + flip.from.dump() + " -> " + flip.to.dump() + ": " + flip.verdict + "\n";
  }
  return text;
}

TEST(Flips, AreTheNearestChangesThatTurnTheVerdict) {
  EXPECT_EQ(Flips(700, "open"),
            "args.amount 700 -> 500: allow\n"
            "facts.order.status \"open\" -> \"closed\": deny CLOSED\n");
  EXPECT_EQ(Flips(20, "open"),
            "args.amount 20 -> 501: ask\n"
            "facts.order.status \"open\" -> \"closed\": deny CLOSED\n");
  EXPECT_EQ(Flips(20, "closed"), "facts.order.status \"closed\" -> \"open\": allow\n");
}

TEST(Meta, SaysWhatToolsTakeAndLookUpsGive) {
  const std::string meta = LuaMeta(*Load());
  EXPECT_TRUE(meta.starts_with("---@meta\n"));
  for (const char* line :
       {"---@class interlock.Args.pay_send\n---@field amount integer in cents --x\n---@field "
        "[\"odd-name\"] integer[]\n---@field to string\n",
        "---@class interlock.Facts.pay_send.order\n---@field paid number\n---@field status "
        "(\"open\"|\"closed\")\n",
        "---@class interlock.Facts.pay_send\n---@field order interlock.Facts.pay_send.order\n",
        "---@overload fun(selector: \"pay.send\", name: string, check: fun(c: "
        "interlock.Call.pay_send): interlock.Verdict?)\n"}) {
    EXPECT_NE(meta.find(line), std::string::npos) << line << "\n" << meta.substr(0, 1500);
  }
}

// Every function that it tells editors of is there.
TEST(Meta, NamesNothingThatIsNotThere) {
  const std::string meta = LuaMeta(*Load());
  int seen = 0;
  for (std::size_t at = meta.find("\nfunction "); at != std::string::npos;
       at = meta.find("\nfunction ", at + 1)) {
    const std::string name = meta.substr(at + 10, meta.find('(', at) - at - 10);
    if (name.find(':') != std::string::npos) continue;
    ++seen;
    EXPECT_EQ(LoadError(PolicyText("local f = " + name + "\n")), "") << name;
  }
  EXPECT_GT(seen, 80);
}

}  // namespace
}  // namespace interlock::policies
