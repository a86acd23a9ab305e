// Conversations with a model: how they end, and what replay makes of its replies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "replays.h"
#include "rules.h"

namespace interlock::runtime::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
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

// ---------------------------------------------------------------- while a call waits

Plan With(Plan plan, std::string text) {
  plan.text = std::move(text);
  return plan;
}

std::string AskBook() {
  return std::string(kPolicyHead) + R"(on("book", "ask", function(c)
  return require_approval { approvers = { "role:cs-manager" }, expires = "1h" }
end)
on("look", "ok", function(c) return allow() end)
on(answer(), "secret", function(c)
  if glob("*hidden*", c.answer.text) then return deny { code = "HIDDEN", say = "say less" } end
  if glob("*price is*", c.answer.text) then return modify { ["answer.text"] = "I ask." } end
end))";
}

// How the run waited, in order.
std::vector<std::string> Said(Harness& h, const std::string& run) {
  std::vector<std::string> kinds;
  for (const std::string& kind : h.Kinds(run)) {
    if (kind == "run.waiting" || kind == "run.parked") kinds.push_back(kind);
  }
  return kinds;
}

TEST(WhileACallWaits, WhatThePlannerSaysReachesTheUser) {
  Harness h(AskBook(), {BookTools()[0], BookTools()[1], ReadTool("look")});
  h.tools.Answers("book", {{"ref", "b1"}});
  h.tools.Answers("look", {{"seat", 7}});
  h.planner.plans = {With(Booked(), "It is 40 above, I ask your manager."),
                     FakePlanner::Calls({{"l1", "look", "{}"}}), FakePlanner::Answer("Seat 7."),
                     FakePlanner::Answer("booked")};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForApproval);
  EXPECT_THAT(Said(h, run->id), ElementsAre("run.waiting", "run.parked"));
  ASSERT_TRUE(h.Send(run->id, "which seat?").ok());
  h.WaitFor(run->id, [](const RunInfo& now) {
    return now.steps == 3 && now.state == RunState::kWaitingForApproval;
  });
  EXPECT_THAT(h.planner.seen().back().messages.back().text, HasSubstr("7"));
  h.Restart();  // says nothing twice
  const std::string approval = h.Pending().at(0).state.id;
  ASSERT_TRUE(h.AnswerApproval(h.manager, approval, /*grant=*/true).ok());
  EXPECT_EQ(h.WaitForState(run->id, RunState::kCompleted).answer, "booked");
  EXPECT_THAT(Said(h, run->id),
              ElementsAre("run.waiting", "run.parked", "run.waiting", "run.parked"));
  ExpectMadeAnew(h, run->id, {&h.agent});
}

TEST(WhileACallWaits, WhatRulesKeepBackIsNotSaid) {
  Harness h(AskBook(), {BookTools()[0], BookTools()[1], ReadTool("look")});
  h.tools.Answers("book", {{"ref", "b1"}});
  h.planner.plans = {With(Booked(), "the hidden price"), FakePlanner::Answer("booked")};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForApproval);
  EXPECT_THAT(Said(h, run->id), ElementsAre("run.parked"));
  EXPECT_THAT(h.Kinds(run->id), Contains("answer.checked"));
  const std::string approval = h.Pending().at(0).state.id;
  ASSERT_TRUE(h.AnswerApproval(h.manager, approval, /*grant=*/true).ok());
  h.WaitForState(run->id, RunState::kCompleted);
  ExpectMadeAnew(h, run->id, {&h.agent});
}

TEST(WhileACallWaits, WhatRulesChangeIsSaidAsTheyChangedIt) {
  Harness h(AskBook(), {BookTools()[0], BookTools()[1], ReadTool("look")});
  h.tools.Answers("book", {{"ref", "b1"}});
  h.planner.plans = {With(Booked(), "the price is 40"), FakePlanner::Answer("booked")};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForApproval);
  EXPECT_THAT(Said(h, run->id), ElementsAre("run.waiting", "run.parked"));
  ExpectMadeAnew(h, run->id, {&h.agent});
}

// ---------------------------------------------------------------- time that is up

TEST(TimeThatIsUp, StopsWhatOnlyReadsAndNothingElse) {
  Harness h(AllowAll(), {BookTools()[0], BookTools()[1], ReadTool("look")});
  h.agent = AgentNamed("tester", "", "wall_ms: 2000");
  h.Restart();
  h.tools.Holds("look");
  h.tools.Holds("book");
  h.planner.plans = {FakePlanner::Calls({{"l1", "look", "{}"}, {"c1", "book", "{}"}})};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.tools.WaitUntilHeld("look", 1);
  h.tools.WaitUntilHeld("book", 1);
  h.tools.WaitUntilCancelled(1);
  h.tools.Release("look", FailedOutcome("CANCELLED"));
  h.tools.Release("book", FailedOutcome("NO_SEAT"));
  EXPECT_EQ(h.WaitForState(run->id, RunState::kFailed).code, "TIME_LIMIT");
  EXPECT_THAT(h.tools.cancelled_tools(), ElementsAre("look"));
}

// ---------------------------------------------------------------- replies that nobody can use

core::Status ModelsFault() {
  return core::Error(core::StatusCode::kOutOfRange, "neither text nor tool calls");
}

TEST(Faults, AreToldToTheModelAndTakeNothingBack) {
  Harness h(AllowAll(), BookTools());
  h.tools.Answers("book", {{"ref", "b1"}});
  h.planner.plans = {Booked(), ModelsFault(), FakePlanner::Answer("booked")};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(h.WaitForState(run->id, RunState::kCompleted).answer, "booked");
  EXPECT_EQ(h.tools.runs("cancel"), 0);
  EXPECT_THAT(h.planner.seen().back().messages.back().text,
              HasSubstr("was not used: neither text nor tool calls. Write it anew."));
  ExpectMadeAnew(h, run->id, {&h.agent});
  h.Restart();
  EXPECT_EQ(h.WaitForState(run->id, RunState::kCompleted).steps, 3);
}

TEST(Faults, EndTheRunWhenTheyDoNotEnd) {
  Harness h(AllowAll(), BookTools());
  h.planner.plans = {ModelsFault(), ModelsFault(), ModelsFault()};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  const RunInfo failed = h.WaitForState(run->id, RunState::kFailed);
  EXPECT_EQ(failed.code, "PLANNER_REPLY");
  EXPECT_EQ(h.planner.seen().size(), 3u);
  ExpectMadeAnew(h, run->id, {&h.agent});
}

TEST(Faults, ARefusalIsNone) {
  Harness h(AllowAll(), BookTools());
  h.planner.plans = {core::Error(core::StatusCode::kPermissionDenied, "the model refused")};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(h.WaitForState(run->id, RunState::kFailed).code, "PLANNER_REFUSED");
  EXPECT_EQ(h.planner.seen().size(), 1u);
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
