#include "runtime/contexts.h"

#include <gtest/gtest.h>

#include "runtime/config.h"

namespace interlock::runtime {
namespace {

constexpr const char* kConfig = R"(data_dir: /tmp/x
tenants: [{id: main, policies: p, tools: t, agents: a}]
planners:
  - name: big
    kind: anthropic
    base_url: https://m.example/v1
    model: claude-x
    contexts: [{model: claude-x, tokens: 200000}, {model: "*", tokens: 100000}]
  - {name: small, kind: openai, base_url: "https://o.example/v1", model: gpt-y, contexts: [{model: gpt-y, tokens: 32000}]}
  - {name: dark, kind: openai, base_url: "https://o.example/v1", model: gpt-z}
  - {name: both, kind: router, routes: [{use: [big], canary: {planner: small, percent: 5}}]}
  - {name: some, kind: router, routes: [{use: [big, dark]}]}
  - {name: told, kind: scripted, folder: s}
)";

TEST(Contexts, AreThoseOfThePlannersModels) {
  const auto config = ParseConfig("c.yaml", "/srv", kConfig);
  ASSERT_TRUE(config.ok()) << config.status();
  const auto of = [&](std::string_view planner, std::string_view model) {
    return ContextOf(config->planners, planner, model).tokens;
  };
  EXPECT_EQ(of("big", ""), 200'000);
  EXPECT_EQ(of("big", "claude-y"), 100'000);
  EXPECT_EQ(of("small", "gpt-y"), 32'000);
  EXPECT_EQ(of("small", "gpt-other"), 0);
  EXPECT_EQ(of("dark", ""), 0);
  EXPECT_EQ(of("told", ""), 0);
  EXPECT_EQ(of("nobody", ""), 0);
}

// Whoever may answer must be able to read it.
TEST(Contexts, ARouterHasTheSmallestOfThoseThatItMayAsk) {
  const auto config = ParseConfig("c.yaml", "/srv", kConfig);
  ASSERT_TRUE(config.ok()) << config.status();
  const ModelContext both = ContextOf(config->planners, "both", "ignored");
  EXPECT_EQ(both.tokens, 32'000);
  EXPECT_EQ(both.model, "gpt-y");
  EXPECT_EQ(ContextOf(config->planners, "some", "").tokens, 0);
}

TEST(Contexts, FaultsNameTheLine) {
  std::string text = kConfig;
  text.replace(text.find("tokens: 200000"), 14, "tokens: 12");
  const auto config = ParseConfig("c.yaml", "/srv", text);
  ASSERT_FALSE(config.ok());
  EXPECT_NE(core::Message(config.status()).find("c.yaml:8"), std::string::npos) << config.status();
}

}  // namespace
}  // namespace interlock::runtime
