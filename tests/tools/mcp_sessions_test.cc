// Sessions with MCP servers over a launcher that runs nothing: what depends on when it tells what.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "executor_fixture.h"

namespace interlock::tools {
namespace {

using ::testing::HasSubstr;

constexpr char kHello[] = R"({"id":1,"jsonrpc":"2.0","result":{"protocolVersion":"2025-06-18"}})"
                          "\n";
constexpr char kTools[] = R"({"id":2,"jsonrpc":"2.0","result":{"tools":[{"name":"add"}]}})"
                          "\n";
constexpr char kReply[] =
    R"({"id":3,"jsonrpc":"2.0","result":{"content":[{"text":"3","type":"text"}]}})"
    "\n";

class McpSessionsTest : public ExecutorTest {
 protected:
  void SetUp() override {
    ExecutorTest::SetUp();
    Manifest manifest = ProcessManifest(Effect::kWrite);
    manifest.mcp = McpSpec{.tool = "add", .pinned = core::Json::parse(R"([{"name":"add"}])")};
    manifest.limits.wall_ms = 3'600'000;  // no test waits for it
    tool_ = MakeTool(std::move(manifest));
    executor_->OnSessionEnd([this](SessionEnd end) { ends_.push_back(std::move(end)); });
  }
  // Begins a call of a run, whose server has answered so far.
  void Begin(const std::string& run, std::string_view told) {
    CallSpec spec = Spec();
    spec.run = run;
    EXPECT_FALSE(Run(std::move(spec)).has_value());
    box_ = launcher_.open.rbegin()->first;
    if (!told.empty())
      launcher_.specs.back().on_output({.is_stderr = false, .bytes = std::string(told)});
  }
  void EndBox(int status, std::string stdout_bytes) {
    sandbox::BoxResult box;
    box.kind = sandbox::EndKind::kExit;
    box.value = status;
    box.stdout_bytes = std::move(stdout_bytes);
    launcher_.End(box_, std::move(box));
  }
  std::string Brief() const {
    if (!outcome_->has_value()) return "none";
    return std::string(OutcomeKindName((*outcome_)->kind)) + " " + (*outcome_)->error_code;
  }

  std::uint64_t box_ = 0;
  std::vector<SessionEnd> ends_;
};

// The launcher tells what is written while it has room for it; a flood of another box may take it.
TEST_F(McpSessionsTest, ALastReplyCountsThatTheLauncherDidNotTell) {
  const std::string told = std::string(kHello) + kTools;
  Begin("r1", told);
  EndBox(0, told + kReply);
  ASSERT_EQ(Brief(), "ok ") << (*outcome_)->error;
  EXPECT_EQ((*outcome_)->result["content"][0]["text"], "3");
  ASSERT_EQ(ends_.size(), 1u);
  EXPECT_EQ(ends_[0].calls, 1);
  EXPECT_TRUE(ends_[0].by_itself);
}

TEST_F(McpSessionsTest, OfTheRestOnlyAnAnswerCounts) {
  const std::string told = std::string(kHello) + kTools;
  for (const char* rest :
       {"", "{\"id\":3", "words\n", "{\"jsonrpc\":\"2.0\",\"method\":\"x\"}\n"}) {
    Begin("r1", told);
    EndBox(0, told + rest);
    EXPECT_EQ(Brief(), "failed EXIT_0") << rest;
  }
}

TEST_F(McpSessionsTest, NoCallGoesToAServerThatIsDead) {
  Begin("r1", "");
  const auto first = outcome_;
  EndBox(0, std::string(kHello) + kTools);
  EXPECT_EQ(Brief(), "not_started SETUP");
  EXPECT_THAT((*first)->error, HasSubstr("ended before it took this call"));
  ASSERT_EQ(ends_.size(), 1u);
  EXPECT_EQ(ends_[0].calls, 0);
  EXPECT_EQ(ends_[0].why, "the MCP server ended: exit status 0");
}

TEST_F(McpSessionsTest, AServerOfOneCallIsTold) {
  Begin("", std::string(kHello) + kTools);
  launcher_.specs.back().on_output({.is_stderr = false, .bytes = kReply});
  EndBox(0, std::string(kHello) + kTools + kReply);
  EXPECT_EQ(Brief(), "ok ");
  Begin("", "");
  EndBox(1, "");
  EXPECT_EQ(Brief(), "not_started SETUP");
  ASSERT_EQ(ends_.size(), 2u);
  EXPECT_EQ(ends_[0].why, "") << "it was not needed any more";
  EXPECT_EQ(ends_[1].why, "the MCP server ended: exit status 1");
  EXPECT_EQ(ends_[1].run, "");
}

TEST_F(McpSessionsTest, WhatRunsOutlivesItsExecutor) {
  Begin("r1", std::string(kHello) + kTools);
  executor_.reset();
  EXPECT_EQ(Brief(), "none");
  EndBox(0, std::string(kHello) + kTools + kReply);
  EXPECT_EQ(Brief(), "ok ");
}

}  // namespace
}  // namespace interlock::tools
