// Every example of docs/policy_guide.md, docs/policy_cookbook.md and docs/memory.md runs: blocks
// marked `lua policy` load, blocks marked `lua test` pass against the policies above them.
#include <fstream>
#include <sstream>

#include "policies/test.h"
#include "policy_fixture.h"

namespace interlock::policies {
namespace {

struct Block {
  std::string kind;
  std::string text;
};

void AddBlocks(const std::string& page, std::vector<Block>& blocks) {
  std::ifstream in(std::string(INTERLOCK_SOURCE_DIR) + "/docs/" + page);
  std::string line;
  bool inside = false;
  while (std::getline(in, line)) {
    if (line.starts_with("```")) {
      inside = !inside;
      if (inside) blocks.push_back({.kind = line.substr(3), .text = ""});
    } else if (inside) {
      blocks.back().text += line + "\n";
    }
  }
}

std::vector<Block> BlocksOfTheGuide() {
  std::vector<Block> blocks;
  AddBlocks("policy_guide.md", blocks);
  AddBlocks("policy_cookbook.md", blocks);
  AddBlocks("memory.md", blocks);
  return blocks;
}

TEST(Guide, ExamplesLoadAndTheirTestsPass) {
  std::vector<BundleFile> policies;
  std::vector<BundleFile> tests;
  for (const Block& block : BlocksOfTheGuide()) {
    const std::string number = std::to_string(10 + policies.size() + tests.size());
    if (block.kind == "lua policy")
      policies.push_back({.path = "g" + number + ".lua", .text = block.text});
    if (block.kind == "lua test")
      tests.push_back({.path = "g" + number + "_test.lua", .text = block.text});
  }
  ASSERT_GE(policies.size(), 2u);
  ASSERT_GE(tests.size(), 2u);
  const auto bundle = Bundle::Load(policies, {}, nullptr);
  ASSERT_TRUE(bundle.ok()) << core::Message(bundle.status());
  const PolicyTestReport report = RunPolicyTests(*bundle, tests);
  for (const Finding& error : report.errors) ADD_FAILURE() << error.file << ": " << error.message;
  for (const PolicyTestResult& result : report.cases) {
    EXPECT_TRUE(result.passed) << result.name << ": " << result.message << "\n" << result.explain;
  }
}

// Twenty-one rules, and each shows where it begins and ends.
TEST(Cookbook, HasTwentyOneRulesThatShowTheirExamples) {
  std::vector<Block> blocks;
  AddBlocks("policy_cookbook.md", blocks);
  std::string all;
  for (const Block& block : blocks) all += block.text;
  for (int number = 1; number <= 21; ++number) {
    const std::size_t at = all.find("-- " + std::to_string(number) + ". ");
    ASSERT_NE(at, std::string::npos) << number;
    const std::size_t next = all.find("-- " + std::to_string(number + 1) + ". ", at);
    const std::string recipe = all.substr(at, next - at);
    const bool shadow = recipe.find("mode = \"shadow\"") != std::string::npos;
    EXPECT_TRUE(shadow || recipe.find("examples = {") != std::string::npos) << number;
  }
}

// `expression` --> what it is: each line of a block marked `lua values`.
TEST(Guide, ValuesAreAsShown) {
  int seen = 0;
  for (const Block& block : BlocksOfTheGuide()) {
    if (block.kind != "lua values") continue;
    std::istringstream lines(block.text);
    for (std::string line; std::getline(lines, line);) {
      const std::size_t arrow = line.find(" --> ");
      if (arrow == std::string::npos) continue;
      const std::string expression = line.substr(0, arrow);
      std::string value = line.substr(arrow + 5);
      ++seen;
      if (value == "error") {
        EXPECT_EQ(DecideText(RuleText("local x = " + expression)).code, "RULE_ERROR") << line;
      } else {
        EXPECT_EQ(DecideText(RuleText("if (" + expression + ") == (" + value +
                                      ") then return allow() end"))
                      .code,
                  "OK")
            << line;
      }
    }
  }
  EXPECT_GE(seen, 30);
}

}  // namespace
}  // namespace interlock::policies
