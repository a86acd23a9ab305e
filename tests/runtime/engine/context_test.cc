// Conversations that grow beyond their model's window: live, after a restart and in a replay.
#include "engine/context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "replays.h"
#include "rules.h"
#include "seen.h"

namespace interlock::runtime::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const std::vector<ToolSpec> kTools = {ReadTool("book.read")};

std::string Chapter(int bytes) {
  std::string text;
  while (static_cast<int>(text.size()) < bytes) text += "lorem ipsum dolor ";
  return text;
}

void UseWindow(Harness& h, std::int64_t tokens, const std::string& tools = "\"*\"") {
  h.context = {.model = "house-model", .tokens = tokens};
  const auto agent = ParseAgent("tester.yaml",
                                "name: tester\nversion: \"1\"\nplanner: fake\nprompt: be good\n"
                                "tools: [" +
                                    tools + "]\nlimits: {steps_max: 30}\n");
  ASSERT_TRUE(agent.ok()) << agent.status();
  h.agent = *agent;
  h.Restart();
}

std::vector<core::StatusOr<Plan>> ReadTimes(int times) {
  std::vector<core::StatusOr<Plan>> plans;
  for (int i = 0; i < times; ++i) {
    plans.emplace_back(
        FakePlanner::Calls({{"c", "book.read", "{\"page\":" + std::to_string(i) + "}"}}));
  }
  return plans;
}

TEST(Contexts, ALongRunFitsItsWindowAndIsMadeAnew) {
  Harness h(AllowAll(), kTools);
  UseWindow(h, 4'000);
  h.tools.Answers("book.read", {{"page", Chapter(4'000)}});
  h.planner.plans = ReadTimes(10);
  const auto run = h.CreateRun("read me the book");
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kCompleted);
  const auto seen = h.planner.seen();
  ASSERT_EQ(seen.size(), 11u);
  for (const PlanRequest& request : seen) {
    EXPECT_LT(EstimateTokens(TextOf(request), TokenFamily::kOther), 4'000);
    EXPECT_THAT(TextOf(request), HasSubstr("read me the book"));
    EXPECT_EQ(request.messages.front().text, "be good");
  }
  EXPECT_THAT(TextOf(seen[1]), Not(HasSubstr("left_out")));
  EXPECT_EQ(seen.back().messages[1].role, Role::kSystem);
  EXPECT_THAT(seen.back().messages[1].text, HasSubstr("older parts were left out"));
  EXPECT_THAT(TextOf(seen.back()), HasSubstr("left_out"));
  ExpectMadeAnew(h, run->id, {&h.agent});
}

// The prompt that a restart asks with is the one that was asked for before it.
TEST(Contexts, ARestartLeavesOutTheSame) {
  Harness h(AllowAll(), kTools);
  UseWindow(h, 4'000, "\"*\", read_result");
  h.tools.Answers("book.read", {{"page", Chapter(4'000)}});
  h.planner.plans = ReadTimes(8);
  h.planner.plans.emplace_back(FakePlanner::Ask("more?"));
  h.planner.plans.emplace_back(FakePlanner::Ask("still more?"));
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForUser);
  const std::string before = TextOf(h.planner.seen().back());
  h.Restart();
  ASSERT_TRUE(h.Send(run->id, "yes").ok());
  h.WaitFor(run->id, [](const RunInfo& info) { return info.answer == "still more?"; });
  const std::string after = TextOf(h.planner.seen().back());
  EXPECT_EQ(after.substr(0, before.size()), before);
  EXPECT_THAT(after, AllOf(HasSubstr(R"("handle":"r1","left_out":true)"), HasSubstr("more?\nyes")));
  ExpectMadeAnew(h, run->id, {&h.agent});
}

TEST(Contexts, WhatNoLongerFitsEndsTheRunAndSaysWhy) {
  Harness h(AllowAll(), kTools);
  UseWindow(h, 2'000);
  h.tools.Answers("book.read", {{"page", Chapter(20'000)}});
  h.planner.plans = ReadTimes(3);
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  const RunInfo ended = h.WaitForState(run->id, RunState::kFailed);
  EXPECT_EQ(ended.code, "CONTEXT_LIMIT");
  EXPECT_THAT(ended.reason, HasSubstr("the model is given 1750 at most"));
  EXPECT_THAT(ended.reason, HasSubstr("most of it is results of its newest calls ("));
  EXPECT_THAT(ended.reason, HasSubstr("name `read_result` among the agent's tools"));
  EXPECT_THAT(ended.reason, HasSubstr("`limits.context_tokens_max`"));
  EXPECT_EQ(h.planner.seen().size(), 1u);  // it was not asked in vain
  ExpectMadeAnew(h, run->id, {&h.agent});
}

TEST(Contexts, WhatAUserWroteTooMuchOfIsSaidToBeHis) {
  Harness h(AllowAll(), kTools);
  UseWindow(h, 2'000);
  const auto run = h.CreateRun(Chapter(20'000));
  ASSERT_TRUE(run.ok()) << run.status();
  const RunInfo ended = h.WaitForState(run->id, RunState::kFailed);
  EXPECT_EQ(ended.code, "CONTEXT_LIMIT");
  EXPECT_THAT(ended.reason, HasSubstr("most of it is what the user wrote ("));
  EXPECT_THAT(ended.reason, HasSubstr("start a new run"));
}

// The same that does not fit whole fits by its first part.
TEST(Contexts, AnAgentThatReadsInPartsGoesOn) {
  Harness h(AllowAll(), kTools);
  UseWindow(h, 4'000, "\"*\", read_result");
  h.tools.Answers("book.read", {{"page", Chapter(60'000)}});
  h.planner.plans = ReadTimes(3);
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kCompleted);
  ExpectMadeAnew(h, run->id, {&h.agent});
}

// A Step that forgets what it left out asks with another prompt, and replay sees it.
std::vector<Effect> KeepsAll(RunCore& run, const Event& event) {
  run.context.budget.tokens = run.context.budget.tokens > 0 ? 1'000'000 : 0;
  return Step(run, event);
}

TEST(Contexts, AMutatedStepFailsReplay) {
  Harness h(AllowAll(), kTools);
  UseWindow(h, 4'000);
  h.tools.Answers("book.read", {{"page", Chapter(4'000)}});
  h.planner.plans = ReadTimes(6);
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kCompleted);
  const std::vector<const AgentFile*> agents{&h.agent};
  const auto report = ReplayOf(h, run->id, agents, &KeepsAll);
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_FALSE(report->passes());
  EXPECT_EQ(report->first->kind, "plan.requested");
}

}  // namespace
}  // namespace interlock::runtime::test
