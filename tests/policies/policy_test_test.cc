// The runner of *_test.lua files.
#include "policies/test.h"
#include "policy_fixture.h"

namespace interlock::policies {
namespace {

std::shared_ptr<const Bundle> RefundBundle() {
  auto bundle = Bundle::Load(
      {{.path = "refund.lua",
        .text =
            "policy \"refund\" { owner = \"t\", tools = { \"refunds.*\" } }\n"
            "fact \"order\" { tool = \"orders.get\", args = { order_id = \"{args.order_id}\" } }\n"
            "local DAY = budget \"refund.daily\" { unit = \"USD\", limit = usd(100), per = "
            "\"tenant\", window = \"1d\" }\n"
            "on(\"refunds.create\", \"own\", function(c)\n"
            "  if c.facts.order.customer ~= c.user then return deny { code = \"NOT_YOURS\" } end\n"
            "  return allow()\n"
            "end)\n"
            "on(\"refunds.create\", \"day\", function(c) return reserve(DAY, usd(c.args.amount)) "
            "end)\n"
            "on(\"refunds.create\", \"once\", function(c) return limit { key = c.args.order_id, "
            "max = 1, per = \"1h\" } end)\n"
            "on(\"refunds.create\", \"cap\", function(c) if c.args.amount > 50 then return modify "
            "{ [\"args.amount\"] = 50 } end end)\n"
            "on(\"refunds.note\", \"never\", function(c) return allow() end)\n"}},
      {}, nullptr);
  EXPECT_TRUE(bundle.ok()) << core::Message(bundle.status());
  return *bundle;
}

PolicyTestReport RunText(const std::string& text) {
  return RunPolicyTests(RefundBundle(), {{.path = "refund_test.lua", .text = text}});
}

constexpr char kCall[] =
    "tool = \"refunds.create\", user = \"u1\", args = { order_id = \"o1\", amount = 20 }, ";

TEST(PolicyTest, PassesAndFailsAsWritten) {
  const std::string mine = std::string(kCall) + "facts = { order = { customer = \"u1\" } }, ";
  const PolicyTestReport report = RunText(
      "test \"goes out\" { " + mine +
      "expect = \"allow\", rule = \"refund/own\" }\n"
      "test \"not mine\" { " +
      kCall +
      "facts = { order = { customer = \"u2\" } }, expect = \"deny\", code = \"NOT_YOURS\" }\n"
      "test \"no order\" { " +
      kCall +
      "facts = { order = failed(\"NOT_FOUND\") }, expect = \"deny\", code = \"RULE_ERROR\" }\n"
      "test \"short\" { " +
      mine +
      "used = { [\"refund.daily\"] = usd(90) }, expect = \"deny\", code = \"BUDGET\" }\n"
      "test \"again\" { " +
      mine +
      "counts = { [\"refund/once/o1\"] = 1 }, expect = \"deny\", code = \"LIMIT\" }\n"
      "test \"capped\" { tool = \"refunds.create\", user = \"u1\", args = { order_id = \"o1\", "
      "amount = 60 },\n"
      "  facts = { order = { customer = \"u1\" } }, expect = \"modify\", args_after = { "
      "order_id = \"o1\", amount = 50 } }\n"
      "test \"wrong verdict\" { " +
      mine +
      "expect = \"deny\" }\n"
      "test \"wrong code\" { " +
      kCall +
      "facts = { order = { customer = \"u2\" } }, expect = \"deny\", code = \"OTHER\" }\n"
      "test \"wrong rule\" { " +
      mine +
      "expect = \"allow\", rule = \"refund/cap\" }\n"
      "test \"wrong args\" { tool = \"refunds.create\", user = \"u1\", args = { order_id = "
      "\"o1\", amount = 60 },\n"
      "  facts = { order = { customer = \"u1\" } }, expect = \"modify\", args_after = { amount "
      "= 50 } }\n"
      "test \"wrong word\" { " +
      mine +
      "expect = \"allowed\" }\n"
      "test \"no such fact\" { " +
      kCall + "facts = { ordr = {} }, expect = \"deny\" }\n");
  ASSERT_TRUE(report.errors.empty()) << report.errors[0].message;
  ASSERT_EQ(report.cases.size(), 12u);
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_TRUE(report.cases[i].passed) << report.cases[i].name << ": " << report.cases[i].message;
  }
  for (std::size_t i = 6; i < 12; ++i) EXPECT_FALSE(report.cases[i].passed) << report.cases[i].name;
  EXPECT_EQ(report.failed(), 6u);
  EXPECT_FALSE(report.passed());
  EXPECT_EQ(report.cases[6].message, "expected deny, got allow OK");
  EXPECT_EQ(report.cases[6].line, 8);
  EXPECT_NE(report.cases[6].explain.find("refund/own"), std::string::npos);
  EXPECT_EQ(report.unfired, std::vector<std::string>{"refund/never"});
}

TEST(Packs, PassTheirOwnTestsAndEveryRuleSpeaks) {
  for (const char* pack :
       {"baseline", "injection", "pii", "spending", "two_person", "unattended", "untrusted"}) {
    const std::string folder = std::string(INTERLOCK_SOURCE_DIR) + "/policies/packs/" + pack;
    const auto files = Bundle::ReadFolder(folder);
    const auto tests = ReadTestFolder(folder);
    ASSERT_TRUE(files.ok() && tests.ok()) << pack;
    const auto bundle = Bundle::Load(*files, {}, nullptr);
    ASSERT_TRUE(bundle.ok()) << core::Message(bundle.status());
    const PolicyTestReport report = RunPolicyTests(*bundle, *tests);
    for (const PolicyTestResult& result : report.cases) {
      EXPECT_TRUE(result.passed) << pack << ": " << result.name << ": " << result.message;
    }
    EXPECT_TRUE(report.passed()) << pack;
    EXPECT_TRUE(report.unfired.empty()) << pack;
  }
}

TEST(PolicyTest, NoCaseIsAFailure) {
  EXPECT_FALSE(RunText("").passed());
  EXPECT_FALSE(RunPolicyTests(RefundBundle(), {}).passed());
  EXPECT_EQ(RunPolicyTests(RefundBundle(), {}).errors.at(0).code, "NO_TESTS");
}

TEST(PolicyTest, BadTestFilesAreErrors) {
  for (const char* text :
       {"test \"x\" { tool = \"refunds.create\" }",
        "test \"x\" { tool = \"t\", expect = \"allow\", arg = {} }", "test { tool = \"t\" }",
        "policy \"p\" { owner = \"t\", tools = { \"*\" } }", "while true do end",
        "return os.time()"}) {
    const PolicyTestReport report = RunText(text);
    EXPECT_FALSE(report.passed()) << text;
    EXPECT_FALSE(report.errors.empty()) << text;
  }
}

}  // namespace
}  // namespace interlock::policies
