// What a bundle's load finds: misspelt fields, unknown tools, and how facts are ordered.
#include <filesystem>
#include <fstream>

#include "harness/temp_folder.h"
#include "policy_fixture.h"

namespace interlock::policies {
namespace {

core::Json Object(core::Json properties) {
  return {
      {"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
}

std::vector<KnownTool> ShopTools() {
  const core::Json text = {{"type", "string"}};
  const core::Json number = {{"type", "integer"}};
  return {{.name = "orders.get",
           .effect = "read",
           .input_schema = Object({{"order_id", text}}),
           .result_schema = Object(
               {{"status", text}, {"customer_id", text}, {"ship", Object({{"city", text}})}})},
          {.name = "customers.get",
           .effect = "read",
           .input_schema = Object({{"id", text}}),
           .result_schema = {{"type", "object"}}},
          {.name = "refunds.create",
           .effect = "money",
           .input_schema = Object({{"order_id", text}, {"amount", number}}),
           .result_schema = nullptr},
          {.name = "refunds.note",
           .effect = "write",
           .input_schema = Object({{"text", text}}),
           .result_schema = nullptr}};
}

constexpr char kHead[] =
    "policy \"shop\" { owner = \"t\", tools = { \"refunds.*\", \"orders.*\", \"customers.*\" } }\n"
    "fact \"order\" { tool = \"orders.get\", args = { order_id = \"{args.order_id}\" }, on = "
    "\"refunds.create\" }\n";

core::StatusOr<std::shared_ptr<const Bundle>> LoadShop(const std::string& rules,
                                                       std::vector<Finding>* findings) {
  return Bundle::Load({{.path = "shop.lua", .text = kHead + rules}}, ShopTools(), findings);
}

std::string Rule(const std::string& body) {
  return "on(\"refunds.create\", \"r\", function(c)\n" + body + "\nend)\n";
}

struct Slip {
  const char* body;
  const char* code;
  const char* hint;
};

TEST(BundleCheck, NamesMisspeltFieldsAtLoad) {
  const Slip slips[] = {
      {"if c.args.amout > 5 then return deny { code = \"X\" } end", "UNKNOWN_FIELD",
       "did you mean `amount`?"},
      {"local a = c.args if a.amont == 1 then return allow() end", "UNKNOWN_FIELD",
       "did you mean `amount`?"},
      {"if c.facts.order.staus == \"x\" then return allow() end", "UNKNOWN_FIELD",
       "did you mean `status`?"},
      {"local o = c.facts.order\nreturn o.customer_ib == c.user and allow() or nil",
       "UNKNOWN_FIELD", "did you mean `customer_id`?"},
      {"if c.facts.order.ship.citty == \"x\" then return allow() end", "UNKNOWN_FIELD",
       "did you mean `city`?"},
      {"if c.facts.ordr.status == \"x\" then return allow() end", "UNKNOWN_FACT",
       "did you mean `order`?"},
      {"if c.arg.amount == 1 then return allow() end", "UNKNOWN_FIELD", "did you mean `args`?"},
      {"if c.call.tol == \"x\" then return allow() end", "UNKNOWN_FIELD", "did you mean `tool`?"},
      {"if c.flow.untrustd then return allow() end", "UNKNOWN_FIELD", "did you mean `untrusted`?"},
      {"if any({ 1 }, function(x) return c.args.amout == x end) then return allow() end",
       "UNKNOWN_FIELD", "did you mean `amount`?"},
      {"for i = 1, 3 do if c.args.amout == i then return allow() end end", "UNKNOWN_FIELD",
       "did you mean `amount`?"}};
  for (const Slip& slip : slips) {
    std::vector<Finding> findings;
    const auto bundle = LoadShop(Rule(slip.body), &findings);
    EXPECT_FALSE(bundle.ok()) << slip.body;
    ASSERT_EQ(findings.size(), 1u) << slip.body;
    EXPECT_EQ(findings[0].code, slip.code) << slip.body;
    EXPECT_EQ(findings[0].severity, "error");
    EXPECT_GE(findings[0].line, 4) << slip.body;
    EXPECT_NE(findings[0].message.find(slip.hint), std::string::npos) << findings[0].message;
  }
}

TEST(BundleCheck, CorrectRulesHaveNoFindings) {
  for (const char* body :
       {"if c.args.amount > 5 and c.facts.order.status == \"x\" then return allow() end",
        "local o = c.facts.order for i = 1, 3 do if o.ship.city == \"x\" then return allow() end "
        "end",
        "local t = { amout = 1 } if t.amout == 1 then return allow() end",
        "local a = c.args if a.amount == 1 then a = { nope = 1 } end return a.nope == 1 and "
        "allow() or nil",
        "if c.session.anything == 1 and c.principal.id == c.user then return allow() end",
        "if any({ c.args }, function(x) return x.amout == 1 end) then return allow() end",
        "local k = \"am\" .. \"ount\" if c.args[k] == 1 then return allow() end"}) {
    std::vector<Finding> findings;
    const auto bundle = LoadShop(Rule(body), &findings);
    EXPECT_TRUE(bundle.ok()) << body << ": " << core::Message(bundle.status());
    EXPECT_TRUE(findings.empty()) << body;
  }
}

TEST(BundleCheck, FieldOfSomeToolsOnlyIsAWarning) {
  std::vector<Finding> findings;
  const auto bundle = LoadShop(
      "on(\"refunds.*\", \"r\", function(c) if c.args.amount == 1 then return allow() end end)\n",
      &findings);
  EXPECT_TRUE(bundle.ok());
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].severity, "warning");
}

// Where Cedar and OPA answer allow: a deny rule with a misspelt field beside a broad allow.
TEST(FailClosed, MisspeltFieldBesideABroadAllowDenies) {
  TestCall call;
  call.tool = "refunds.create";
  call.effect = "money";
  call.args = {{"order_id", "o1"}, {"amount", 900}};
  const std::string rules =
      Rule("if c.args[\"amo\" .. \"ut\"] > 500 then return deny { code = \"TOO_MUCH\" } end") +
      "on(\"refunds.create\", \"broad\", function(c) return allow() end)\n";
  const auto bundle = LoadShop(rules, nullptr);
  ASSERT_TRUE(bundle.ok()) << core::Message(bundle.status());
  auto engine = Engine::Make(*bundle);
  ASSERT_TRUE(engine.ok());
  const Decision decision = DecideWith(**engine, call);
  EXPECT_EQ(decision.verdict, Verdict::kDeny);
  EXPECT_EQ(decision.code, "RULE_ERROR");
  const FiredRule* fired = FiredBy(decision, "shop/r");
  ASSERT_NE(fired, nullptr);
  EXPECT_EQ(fired->line, 4);
  EXPECT_NE(fired->because.find("did you mean `amount`?"), std::string::npos) << fired->because;
}

TEST(BundleCheck, NamesWhatDoesNotFitTogether) {
  const Slip slips[] = {{"on(\"refunds.creat\", \"r\", function(c) return allow() end)",
                         "UNKNOWN_TOOL", "`refunds.create`?"},
                        {"on(\"refunds.create\", \"r\", function(c) return allow() end)\n"
                         "on(\"refunds.note\", \"r\", function(c) return allow() end)",
                         "DUPLICATE_RULE", "declared twice"},
                        {"fact \"f\" { tool = \"refunds.create\", args = {} }", "FACT_EFFECT",
                         "tools of effect read"},
                        {"fact \"f\" { tool = \"orders.gt\", args = {} }", "UNKNOWN_TOOL",
                         "did you mean `orders.get`?"},
                        {"fact \"f\" { tool = \"orders.get\", args = { order = \"{args.order_id}\" "
                         "}, on = \"refunds.create\" }",
                         "UNKNOWN_FIELD", "takes no argument `order`"},
                        {"fact \"f\" { tool = \"orders.get\", args = { order_id = "
                         "\"{args.ordr_id}\" }, on = \"refunds.create\" }",
                         "UNKNOWN_FIELD", "did you mean `order_id`?"},
                        {"fact \"f\" { tool = \"customers.get\", args = { id = \"{facts.odrer.x}\" "
                         "}, on = \"refunds.create\" }",
                         "UNKNOWN_FACT", "needs `odrer`"},
                        {"fact \"a\" { tool = \"customers.get\", args = { id = \"{facts.a.x}\" }, "
                         "on = \"refunds.create\" }",
                         "FACT_CYCLE", "needs itself"},
                        {"fact \"order\" { tool = \"customers.get\", args = { id = \"x\" }, on = "
                         "\"refunds.create\" }",
                         "FACT_CONFLICT", "declared in another way"}};
  for (const Slip& slip : slips) {
    std::vector<Finding> findings;
    EXPECT_FALSE(LoadShop(slip.body, &findings).ok()) << slip.body;
    ASSERT_FALSE(findings.empty()) << slip.body;
    EXPECT_EQ(findings[0].code, slip.code) << slip.body << ": " << findings[0].message;
    EXPECT_NE(findings[0].message.find(slip.hint), std::string::npos) << findings[0].message;
  }
}

TEST(BundleCheck, RuleOutsideItsPolicyIsAnError) {
  std::vector<Finding> findings;
  const auto bundle =
      Bundle::Load({{.path = "p.lua",
                     .text = "policy \"p\" { owner = \"t\", tools = { \"orders.*\" } }\n"
                             "on(\"refunds.create\", \"r\", function(c) return allow() end)\n"}},
                   ShopTools(), &findings);
  EXPECT_EQ(core::Message(bundle.status()).substr(0, 8), "p.lua:2:");
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].code, "OUTSIDE_POLICY");
}

TEST(BundleLoad, RefusesWithFileAndLine) {
  const std::pair<const char*, const char*> cases[] = {
      {"policy \"p\" { owner = \"t\", tools = { \"*\" } }\nlocal x = = 1\n", "p.lua:2: "},
      {"on(\"*\", \"r\", function(c) end)\n", "p.lua:1: declare policy"},
      {"local x = 1\n", "p.lua:1: the file declares no policy"},
      {"policy \"p\" { tools = { \"*\" } }\n", "p.lua:1: policy needs the field `owner`"},
      {"policy \"p\" { owner = \"t\", tool = { \"*\" } }\n",
       "p.lua:1: policy has no field `tool`; did you mean `tools`?"},
      {"policy \"p\" { owner = \"t\", tools = { \"*\" }, default = \"allow\" }\n",
       "p.lua:1: the default is"},
      {"policy \"a b\" { owner = \"t\", tools = { \"*\" } }\n", "p.lua:1: the name of a policy"},
      {"policy \"p\" { owner = \"t\", tools = {} }\n", "p.lua:1: a selector must not be empty"},
      {"policy \"p\" { owner = \"t\", tools = { \"*\" } }\npolicy \"q\" { owner = \"t\", tools = { "
       "\"*\" } }\n",
       "p.lua:2: a file declares one policy"},
      {"policy \"p\" { owner = \"t\", tools = { \"*\" } }\non(effect \"reed\", \"r\", function() "
       "end)\n",
       "p.lua:2: an effect is"},
      {"policy \"p\" { owner = \"t\", tools = { \"*\" } }\non(\"*\", \"r\", allow)\n",
       "p.lua:2: write on("},
      {"policy \"p\" { owner = \"t\", tools = { \"*\" } }\nbudget \"b\" { unit = \"USD\", limit = "
       "5, per = \"tenant\" }\n",
       "p.lua:2: the limit of a budget in USD is money"},
      {"policy \"p\" { owner = \"t\", tools = { \"*\" } }\nbudget \"b\" { unit = \"USD\", limit = "
       "usd(5), per = \"shop\" }\n",
       "p.lua:2: budget.per is"},
      {"policy \"p\" { owner = \"t\", tools = { \"*\" } }\nfact \"f\" { tool = \"x\", args = { a = "
       "\"{arg.x}\" } }\n",
       "p.lua:2: `{arg.x}` starts with"},
      {"policy \"p\" { owner = \"t\", tools = { \"*\" } }\nlocal x = alow()\n",
       "p.lua:2: `alow` is not in the environment"},
      {"policy \"p\" { owner = \"t\", tools = { \"*\" } }\nlocal x = allow()\n",
       "p.lua:2: allow() belongs inside a rule"},
      {"policy \"p\" { owner = \"t\", tools = { \"*\" } }\ntest \"x\" { tool = \"x\", expect = "
       "\"allow\" }\n",
       "p.lua:2: test cases stand in files"}};
  for (const auto& [text, error] : cases) {
    EXPECT_TRUE(LoadError(text).starts_with(error)) << text << "\n" << LoadError(text);
  }
}

TEST(BundleLoad, TwoFilesMayNotDeclareOnePolicy) {
  std::vector<Finding> findings;
  const std::string text = PolicyText("");
  EXPECT_FALSE(Bundle::Load({{.path = "a.lua", .text = text}, {.path = "b.lua", .text = text}}, {},
                            &findings)
                   .ok());
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].code, "DUPLICATE_POLICY");
}

TEST(BundleLoad, EmptyBundleDeniesEverything) {
  const auto bundle = Bundle::Load({}, {}, nullptr);
  ASSERT_TRUE(bundle.ok());
  auto engine = Engine::Make(*bundle);
  ASSERT_TRUE(engine.ok());
  EXPECT_EQ(DecideWith(**engine, {}).code, "DEFAULT_DENY");
}

TEST(BundleLoad, FactsComeAfterThoseTheyNeed) {
  const auto bundle = LoadShop(
      "fact \"a_owner\" { tool = \"customers.get\", args = { id = \"{facts.order.customer_id}\" }, "
      "on = "
      "\"refunds.create\" }\n",
      nullptr);
  ASSERT_TRUE(bundle.ok()) << core::Message(bundle.status());
  const std::vector<FactDecl> facts = (*bundle)->FactsFor("refunds.create");
  ASSERT_EQ(facts.size(), 2u);
  EXPECT_EQ(facts[0].name, "order");
  EXPECT_EQ(facts[1].name, "a_owner");
  EXPECT_EQ(facts[1].after, std::vector<std::string>{"order"});
  EXPECT_TRUE((*bundle)->FactsFor("refunds.note").empty());
}

TEST(BundleLoad, IdCoversFilesToolsAndNothingElse) {
  const auto id = [](std::vector<BundleFile> files, std::vector<KnownTool> tools) {
    return (*Bundle::Load(std::move(files), std::move(tools), nullptr))->id();
  };
  const BundleFile a{.path = "a.lua", .text = PolicyText("")};
  const BundleFile b{.path = "b.lua",
                     .text = "policy \"q\" { owner = \"t\", tools = { \"*\" } }\n"};
  EXPECT_EQ(id({a, b}, {}), id({b, a}, {}));
  EXPECT_NE(id({a, b}, {}), id({a}, {}));
  BundleFile changed = b;
  changed.text += " ";
  EXPECT_NE(id({a, b}, {}), id({a, changed}, {}));
  EXPECT_NE(id({a}, {}), id({a}, ShopTools()));
  std::vector<KnownTool> reversed = ShopTools();
  std::reverse(reversed.begin(), reversed.end());
  EXPECT_EQ(id({a}, ShopTools()), id({a}, reversed));
}

TEST(BundleLoad, ReadsAFolderWithoutItsTests) {
  const test::TempFolder temp;
  const std::string& folder = temp.path();
  for (const char* name : {"b.lua", "a.lua", "a_test.lua", "notes.txt"}) {
    std::ofstream(folder + "/" + name) << "-- " << name;
  }
  const auto files = Bundle::ReadFolder(folder);
  ASSERT_TRUE(files.ok());
  ASSERT_EQ(files->size(), 2u);
  EXPECT_EQ((*files)[0].path, "a.lua");
  EXPECT_EQ((*files)[0].text, "-- a.lua");
  EXPECT_EQ(Bundle::ReadFolder(folder + "/none").status().code(), core::StatusCode::kNotFound);
}

}  // namespace
}  // namespace interlock::policies
