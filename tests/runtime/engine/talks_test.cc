// Conversations with a model: how they end, and what replay makes of its replies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "replays.h"
#include "rules.h"

namespace interlock::runtime::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kSchema =
    "answer_schema: {type: object, properties: {n: {type: integer}}, required: [n]}\n";

void Talks(Harness& h, const std::string& lines = "") {
  h.agent = AgentNamed("tester", "on_text: ask\n" + lines);
  h.Restart();
}

// What the codecs make of a call of `final--answer`.
Plan Final(std::string text) {
  Plan plan = FakePlanner::Answer(std::move(text));
  plan.final_answer = true;
  return plan;
}

// A booking that is taken back by `cancel` where its run does not end well.
std::vector<ToolSpec> BookTools() {
  return {{.name = "book",
           .effect = tools::Effect::kWrite,
           .failure = tools::FailureMeaning::kNoEffect,
           .idempotent = true,
           .compensate = "cancel"},
          {.name = "cancel", .effect = tools::Effect::kWrite, .effect_key = "cancel:{args.ref}"}};
}

Plan Booked() { return FakePlanner::Calls({{"c1", "book", "{}"}}); }

TEST(Talks, EndWhenThePlannerGivesTheFinalAnswerAndNothingIsTakenBack) {
  Harness h(AllowAll(), BookTools());
  Talks(h);
  h.tools.Answers("book", {{"ref", "b1"}});
  h.planner.plans = {Booked(), FakePlanner::Answer("Booked. Anything else?"), Final("Good bye.")};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(h.WaitForState(run->id, RunState::kWaitingForUser).answer, "Booked. Anything else?");
  EXPECT_TRUE(h.planner.seen().front().ends_by_tool);
  ASSERT_TRUE(h.Send(run->id, "no thanks").ok());
  EXPECT_EQ(h.WaitForState(run->id, RunState::kCompleted).answer, "Good bye.");
  EXPECT_EQ(h.tools.runs("cancel"), 0);
  EXPECT_THAT(h.Kinds(run->id), Not(Contains("run.compensating")));
  ExpectMadeAnew(h, run->id, {&h.agent});
}

TEST(Talks, AnswerGivenInTheEndIsCheckedAgainstItsSchema) {
  Harness h(AllowAll(), BookTools());
  Talks(h, kSchema);
  h.planner.plans = {FakePlanner::Answer("Which one?"), Final(R"({"n":"x"})"),
                     Final(R"({"n": 3})")};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForUser);
  ASSERT_TRUE(h.Send(run->id, "the first").ok());
  EXPECT_EQ(h.WaitForState(run->id, RunState::kCompleted).answer, R"({"n":3})");
  EXPECT_THAT(h.planner.seen().back().messages.back().text, HasSubstr("ANSWER_SCHEMA"));
  ExpectMadeAnew(h, run->id, {&h.agent});
}

// ---------------------------------------------------------------- replies read again

// A reply of Anthropic's that calls `book` and says so.
Plan Wired() {
  Plan plan = FakePlanner::Calls({{"t1", "book", R"({"of":1})"}});
  plan.dialect = "anthropic";
  plan.raw = R"({"content":[{"type":"tool_use","id":"t1","name":"book","input":{"of":1}}]})";
  return plan;
}

Plan WiredAnswer() {
  Plan plan = Final(R"({"n":3})");
  plan.dialect = "anthropic";
  plan.raw =
      R"({"content":[{"type":"tool_use","id":"t2","name":"final--answer","input":{"n":3}}]})";
  return plan;
}

std::string RunOf(Harness& h, Plan first) {
  h.agent = AgentNamed("tester", kSchema);
  h.Restart();
  h.tools.Answers("book", {{"ref", "b1"}});
  h.planner.plans = {std::move(first), WiredAnswer()};
  const auto run = h.CreateRun();
  EXPECT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kCompleted);
  return run->id;
}

TEST(RepliesReadAgain, AnAnswerThatWasACallOfItsToolIsMadeAnew) {
  Harness h(AllowAll(), BookTools());
  ExpectMadeAnew(h, RunOf(h, Wired()), {&h.agent});
}

TEST(RepliesReadAgain, ACallThatItsBytesDoNotSayIsFound) {
  const auto change = [](void (*how)(ProposedCall&)) {
    Plan plan = Wired();
    how(plan.calls.front());
    return plan;
  };
  const std::pair<Plan, std::string> planted[] = {
      {change([](ProposedCall& call) { call.id = "t9"; }), "its id"},
      {change([](ProposedCall& call) { call.tool = "cancel"; }), "its tool"},
      {change([](ProposedCall& call) { call.args_text = R"({"of":2})"; }), "its arguments"},
      {change([](ProposedCall& call) { call.echo = "s"; }), "its signature"},
  };
  for (const auto& [plan, what] : planted) {
    Harness h(AllowAll(), BookTools());
    h.tools.Answers("cancel", {{"ok", true}});
    const std::string run = RunOf(h, plan);
    const auto report = ReplayOf(h, run, {&h.agent});
    ASSERT_TRUE(report.ok()) << report.status();
    ASSERT_TRUE(report->first.has_value()) << what;
    EXPECT_EQ(report->first->kind, "plan.received");
    EXPECT_EQ(report->first->why, "the recorded reply reads otherwise now: call 1, " + what);
  }
}

}  // namespace
}  // namespace interlock::runtime::test
