// Bundles compared by calls that they decide differently.
#include "policies/diff.h"

#include "policy_fixture.h"

namespace interlock::policies {
namespace {

BundleDiff Diff(const std::string& before, const std::string& after,
                const std::vector<BundleFile>& tests = {}) {
  const auto load = [](const std::string& rules) {
    auto bundle = Bundle::Load({{.path = "p.lua", .text = PolicyText(rules)}}, {}, nullptr);
    EXPECT_TRUE(bundle.ok()) << core::Message(bundle.status());
    return bundle.ok() ? *bundle : nullptr;
  };
  return DiffBundles(load(before), load(after), tests);
}

std::string Small(const std::string& limit, const std::string& kinds = "\"a\", \"b\"") {
  return "rule \"small\" { on = \"t.pay\", where = { [\"args.amount\"] = le(usd(" + limit +
         ")), [\"args.kind\"] = one_of(" + kinds + ") }, allow = true }\n";
}

TEST(Diff, EqualRulesDecideEqually) {
  const BundleDiff diff = Diff(Small("50"), Small("50.00"));
  EXPECT_TRUE(diff.changes.empty());
  EXPECT_GT(diff.calls, 10u);
  EXPECT_FALSE(diff.widens());
}

TEST(Diff, ARaisedBoundIsFoundByACallBetweenThem) {
  const BundleDiff diff = Diff(Small("50"), Small("50.01"));
  ASSERT_EQ(diff.changes.size(), 1u);
  EXPECT_EQ(diff.changes[0].change, "deny DEFAULT_DENY -> allow");
  EXPECT_EQ(diff.changes[0].rules, (std::vector<std::string>{"p/small"}));
  EXPECT_EQ(diff.changes[0].witness["args"]["amount"], "50.01");
  EXPECT_TRUE(diff.widens());
}

TEST(Diff, NarrowingIsFoundAndIsNoWidening) {
  const BundleDiff diff = Diff(Small("50"), Small("50", "\"a\""));
  ASSERT_EQ(diff.changes.size(), 1u);
  EXPECT_EQ(diff.changes[0].change, "allow -> deny DEFAULT_DENY");
  EXPECT_EQ(diff.changes[0].witness["args"]["kind"], "b");
  EXPECT_FALSE(diff.widens());
}

TEST(Diff, FunctionsAreTriedByTheCallsOfTests) {
  const std::string allow =
      "on(\"t.pay\", \"f\", function(c) if c.args.to == \"me\" then return allow() end end)\n";
  const std::string more =
      "on(\"t.pay\", \"f\", function(c) if c.args.to ~= \"x\" then return allow() end end)\n";
  const std::vector<BundleFile> tests = {
      {.path = "p_test.lua",
       .text = "test \"you\" { tool = \"t.pay\", args = { to = \"you\" }, expect = \"deny\" }\n"}};
  const BundleDiff diff = Diff(allow, more, tests);
  ASSERT_EQ(diff.changes.size(), 1u);
  EXPECT_EQ(diff.changes[0].witness["args"]["to"], "you");
}

}  // namespace
}  // namespace interlock::policies
