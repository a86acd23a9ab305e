// Limits of a run while those that it started are at work: what is granted is granted once, and who
// comes to a limit stops them first.
#include <gmock/gmock.h>

#include <algorithm>

#include "cast.h"

namespace interlock::runtime::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

std::vector<ToolSpec> Tools() { return {ReadTool("orders.get")}; }

// Of the first entry of this kind of the run, in the whole log.
std::int64_t PlaceOf(Company& company, const std::string& run, std::string_view kind) {
  for (const audit::Entry& entry : company.h.Entries("")) {
    if (entry.run == run && entry.kind == kind) return static_cast<std::int64_t>(entry.index);
  }
  ADD_FAILURE() << "no " << kind;
  return -1;
}

std::size_t WaitsOf(Company& company, const std::string& run) {
  return company.Bodies(run, "run.waiting").size();
}

// The first message is answered with the last step that there is, the second meets the limit.
void TakeAllSteps(Company& company, const std::string& run) {
  ASSERT_TRUE(company.h.Send(run, "how far are you?").ok());
  company.h.WaitFor(run, [&](const RunInfo& info) {
    return info.steps == 2 && info.state == RunState::kWaitingForRun;
  });
  ASSERT_TRUE(company.h.Send(run, "and now?").ok());
}

TEST(Limits, ARunThatHasTakenItsStepsStopsThoseBelowBeforeItEnds) {
  Company company(AllowAll(), Tools(), "steps_max: 2");
  const Held held = HoldHelper(company);
  TakeAllSteps(company, held.run);
  EXPECT_EQ(company.h.WaitForState(held.run, RunState::kFailed).code, "STEP_LIMIT");
  EXPECT_EQ(company.Below(held.run).front().state, RunState::kCancelled);
  EXPECT_EQ(company.cast.cancelled(), 1);
  EXPECT_EQ(CodeOf(company, held.run, "agent.helper"), "AGENT_CANCELLED");
  EXPECT_LT(PlaceOf(company, held.helper, "run.cancelled"),
            PlaceOf(company, held.run, "call.outcome"));
  EXPECT_LT(PlaceOf(company, held.run, "call.outcome"), PlaceOf(company, held.run, "run.failed"));
  ExpectMadeAnew(company.h, held.run, company.agents());
  ExpectMadeAnew(company.h, held.helper, company.agents());
}

TEST(Limits, WhatTheStoppedOneDidIsTakenBackOnceAndByItself) {
  std::vector<ToolSpec> tools = TripTools();
  tools.push_back(WriteTool("door.open"));
  Company company(AllowAll(), tools, "steps_max: 2");
  company.h.tools.Answers("flight.book", {{"ref", "f1"}});
  company.h.tools.Answers("flight.cancel", {{"ok", true}});
  company.h.tools.Holds("door.open");
  company.cast.plans["tester"] = {Asks("helper", "book"), FakePlanner::Answer("patience")};
  Plan both = CallsTool("flight.book");
  both.calls.push_back(CallsTool("door.open", "{}", "t2").calls.front());
  company.cast.plans["helper"] = {both};  // in the one step that is left above
  const std::string run = company.Create();
  const std::string helper = company.Started(run);
  company.h.tools.WaitUntilHeld("door.open", 1);
  company.h.WaitForState(run, RunState::kWaitingForRun);
  TakeAllSteps(company, run);
  company.h.WaitForState(helper, RunState::kCancelling);
  EXPECT_FALSE(IsFinal(company.h.engine().GetRun(company.h.operator_one, run)->state));
  company.h.tools.Release("door.open", OkOutcome({{"ok", true}}));
  EXPECT_EQ(company.h.WaitForState(run, RunState::kFailed).code, "STEP_LIMIT");
  EXPECT_EQ(company.h.tools.runs("flight.cancel"), 1);
  EXPECT_LT(PlaceOf(company, helper, "run.cancelled"), PlaceOf(company, run, "run.failed"));
}

TEST(Limits, ARestartFindsTheSameLimit) {
  Company company(AllowAll(), Tools(), "steps_max: 2");
  const Held held = HoldHelper(company);
  ASSERT_TRUE(company.h.Send(held.run, "how far are you?").ok());
  company.h.WaitFor(held.run, [&](const RunInfo& info) {
    return info.steps == 2 && info.state == RunState::kWaitingForRun;
  });
  const std::string copy = company.h.CopyFiles();
  company.cast.Say(FakePlanner::Answer("of the world before"));
  company.cast.Holds("helper");
  company.h.RestartFrom(copy);
  company.cast.WaitUntilHeld();
  ASSERT_TRUE(company.h.Send(held.run, "and now?").ok());
  EXPECT_EQ(company.h.WaitForState(held.run, RunState::kFailed).code, "STEP_LIMIT");
  EXPECT_EQ(company.Below(held.run).front().state, RunState::kCancelled);
}

// ---------------------------------------------------------------- time

// Long enough for both to be at work on a busy machine.
constexpr const char* kShort = "wall_ms: 2000";

// The run has little time, and both a call and a run that it waits for.
struct HeldBoth {
  std::string run;
  std::string helper;
};
HeldBoth HoldBoth(Company& company) {
  company.h.tools.Holds("orders.get");
  Plan both = Asks("helper", "look");
  both.calls.push_back(CallsTool("orders.get", "{}", "t2").calls.front());
  company.cast.plans["tester"] = {both};
  company.cast.Holds("helper");
  HeldBoth held{.run = company.Create(), .helper = ""};
  company.cast.WaitUntilHeld();
  company.h.tools.WaitUntilHeld("orders.get", 1);
  held.helper = company.Started(held.run);
  return held;
}

void WaitUntilItSaysWhy(Company& company, const std::string& run) {
  company.h.WaitForState(run, RunState::kWaitingForRun);
  const auto waits = company.Bodies(run, "run.waiting");
  ASSERT_THAT(waits, SizeIs(1));
  EXPECT_EQ(waits.front()["code"], "TIME_LIMIT");
}

TEST(Limits, TimeThatIsUpIsSaidWhileOthersAreStopped) {
  Company company(AllowAll(), Tools(), kShort);
  const HeldBoth held = HoldBoth(company);
  WaitUntilItSaysWhy(company, held.run);
  company.h.WaitForState(held.helper, RunState::kCancelled);
  company.h.tools.Release("orders.get", OkOutcome({{"ok", true}}));
  EXPECT_EQ(company.h.WaitForState(held.run, RunState::kFailed).code, "TIME_LIMIT");
  EXPECT_EQ(CodeOf(company, held.run, "agent.helper"), "AGENT_CANCELLED");
  EXPECT_EQ(company.cast.SeenBy("tester").size(), 1u);
  ExpectMadeAnew(company.h, held.run, company.agents());
  ExpectMadeAnew(company.h, held.helper, company.agents());
}

// Else a restart would give the run its time anew, with the helper stopped for nothing.
TEST(Limits, TimeThatWasUpIsUpAfterACrash) {
  Company company(AllowAll(), Tools(), kShort);
  const HeldBoth held = HoldBoth(company);
  WaitUntilItSaysWhy(company, held.run);
  company.h.WaitForState(held.helper, RunState::kCancelled);
  const std::string copy = company.h.CopyFiles();
  company.h.tools.Release("orders.get", OkOutcome({{"ok", true}}));
  company.h.RestartFrom(copy);
  EXPECT_EQ(company.h.WaitForState(held.run, RunState::kFailed).code, "TIME_LIMIT");
  EXPECT_EQ(company.cast.SeenBy("tester").size(), 1u);
  ExpectMadeAnew(company.h, held.run, company.agents());
}

// ---------------------------------------------------------------- calls

// A planner that uses its last calls for agents: they would be given none.
TEST(Limits, AnAgentIsNotCalledWithTheLastCallsThatAreLeft) {
  Company company(AllowAll(), Tools(), "steps_max: 8, calls_max: 2");
  Plan both = Asks("helper", "do all that I may not do any more");
  both.calls.push_back(Asks("helper", "and this", "c2").calls.front());
  company.cast.plans["tester"] = {both};
  const std::string run = company.Create();
  EXPECT_EQ(company.h.WaitForState(run, RunState::kCompleted).answer, "done");
  EXPECT_THAT(company.Below(run), SizeIs(0));
  for (const CallInfo& call : company.h.CallsOf(run)) {
    EXPECT_EQ(call.state, CallState::kRefused);
    EXPECT_EQ(call.code, "CALL_LIMIT");
  }
  EXPECT_THAT(company.LastRead("tester"), HasSubstr("None of this run's calls are left"));
  ExpectMadeAnew(company.h, run, company.agents());
}

// With one call more the helper is given just that one.
TEST(Limits, AnAgentIsCalledWhileThereAreCallsLeft) {
  Company company(AllowAll(), Tools(), "steps_max: 8, calls_max: 2");
  company.h.tools.Answers("orders.get", {{"ok", true}});
  company.cast.plans["tester"] = {Asks("helper", "look")};
  company.cast.plans["helper"] = {CallsTool("orders.get"), CallsTool("orders.get", "{}", "t2")};
  const std::string run = company.Create();
  company.h.WaitForState(run, RunState::kCompleted);
  EXPECT_EQ(company.h.tools.runs("orders.get"), 1);
  EXPECT_EQ(company.Below(run).front().code, "CALL_LIMIT");
  ExpectMadeAnew(company.h, run, company.agents());
}

// Who brings calls to the gate without a run has no such limit, and calls no agents.
TEST(Limits, CallsWithoutARunHaveNoLimitOfARun) {
  Company company(AllowAll(), Tools(), "steps_max: 8, calls_max: 1");
  company.h.tools.Answers("orders.get", {{"ok", true}});
  for (int i = 0; i < 3; ++i) {
    const auto call = company.h.Execute("orders.get", core::Json::object());
    ASSERT_TRUE(call.ok()) << call.status();
    EXPECT_EQ(call->state, CallState::kOk);
  }
  const auto agent = company.h.Execute("agent.helper", {{"message", "look"}});
  ASSERT_TRUE(agent.ok()) << agent.status();
  EXPECT_EQ(agent->code, "TOOL_NOT_ALLOWED");
}

// ---------------------------------------------------------------- tokens

const std::string kAskForHelp = std::string(kPolicyHead) + R"(
on("agent.helper", "ask", function(c)
  return require_approval { approvers = { "role:cs-manager" }, expires = "1h", show = { "args.message" } }
end)
on("*", "all", function(c) return allow() end))";

void GrantInTheLog(Company& company, const ApprovalInfo& approval) {
  const auto granted =
      company.h.log().Append({.kind = "approval.granted",
                              .run = approval.run,
                              .actor = "principal:maria",
                              .body = core::CanonicalJson({{"approval", approval.state.id},
                                                           {"by", "principal:maria"},
                                                           {"call", approval.state.call},
                                                           {"complete", true}}),
                              .cites = {}});
  ASSERT_TRUE(granted.ok()) << granted.status();
}

// Both were approved just before the daemon ended: its start goes on with both at once.
TEST(Limits, TwoThatWereApprovedTogetherAreNotBothGrantedAllThatIsLeft) {
  Company company(kAskForHelp, Tools(), "steps_max: 8, tokens_max: 1000");
  Plan both = WithTokens(Asks("helper", "one", "a"), 100);
  both.calls.push_back(Asks("helper", "two", "b").calls.front());
  company.cast.plans["tester"] = {both, FakePlanner::Answer("x")};
  company.cast.Holds("helper");
  const std::string run = company.Create();
  company.h.WaitForState(run, RunState::kWaitingForApproval);
  const auto pending = company.h.Pending();
  ASSERT_THAT(pending, SizeIs(2));
  company.h.Stop();
  company.h.OpenLog();
  for (const ApprovalInfo& approval : pending) GrantInTheLog(company, approval);
  ASSERT_TRUE(company.h.StartEngine().ok());
  company.cast.WaitUntilHeld();
  company.h.WaitForState(run, RunState::kWaitingForRun);
  std::int64_t granted = 0;
  for (const core::Json& intended : company.Bodies(run, "call.intended")) {
    granted += intended.value("starts_tokens", 0);
  }
  EXPECT_EQ(granted, 900);
  company.cast.Say(FakePlanner::Answer("seen"));
  company.h.WaitForState(run, RunState::kCompleted);
  std::vector<std::string> codes;
  for (const CallInfo& call : company.h.CallsOf(run)) codes.push_back(call.code);
  EXPECT_THAT(codes, UnorderedElementsAre("APPROVED", "TOKEN_LIMIT"));
  ExpectMadeAnew(company.h, run, company.agents());
}

const std::string kAskForHelpByFacts = std::string(kPolicyHead) + R"(
fact "order" { tool = "orders.get", args = {}, on = "agent.helper" }
on("agent.helper", "ask", function(c)
  return require_approval { approvers = { "role:cs-manager" }, expires = "1h", show = { "args.message" } }
end)
on("*", "all", function(c) return allow() end))";

// What an approved call is granted is what is left where its intent stands in the log.
TEST(Limits, AReplyDuringTheLookUpsOfACallUsesNothingThatIsLentToIt) {
  Company company(kAskForHelpByFacts, {ReadTool("orders.get"), ReadTool("clock.get")},
                  "steps_max: 8, tokens_max: 1000");
  company.h.tools.Answers("orders.get", {{"ok", true}});
  company.h.tools.Answers("clock.get", {{"ok", true}});
  company.cast.plans["tester"] = {WithTokens(Asks("helper", "look"), 100)};
  const std::string run = company.Create();
  company.h.WaitForState(run, RunState::kWaitingForApproval);
  company.cast.Holds("tester");
  ASSERT_TRUE(company.h.Send(run, "how far are you?").ok());
  company.cast.WaitUntilHeld();
  company.h.tools.Holds("orders.get");
  const auto pending = company.h.Pending();
  ASSERT_THAT(pending, SizeIs(1));
  ASSERT_TRUE(company.h.AnswerApproval(company.h.manager, pending[0].state.id, true).ok());
  company.h.tools.WaitUntilHeld("orders.get", 1);
  company.cast.Say(WithTokens(FakePlanner::Answer("on its way"), 300));
  for (int i = 0; i < 10; ++i) {  // time for the log to take the reply, if it would
    ASSERT_TRUE(company.h.Execute("clock.get", core::Json::object()).ok());
  }
  company.h.tools.Release("orders.get", OkOutcome({{"ok", true}}));
  company.h.WaitForState(run, RunState::kCompleted);
  std::int64_t left = 1000;
  std::int64_t granted = -1;
  for (const audit::Entry& entry : company.h.Entries(run)) {
    const auto json = core::ParseJson(entry.bytes, core::kPayloadLimits);
    ASSERT_TRUE(json.ok()) << json.status();
    const core::Json& body = (*json)["body"];
    if (entry.kind == "plan.received" && granted < 0) left -= body.value("tokens_in", 0);
    if (entry.kind == "call.intended") granted = body.value("starts_tokens", 0);
  }
  EXPECT_EQ(granted, left);
  ExpectMadeAnew(company.h, run, company.agents());
}

TEST(Limits, ARunDoesNotUseTheTokensThatItHasLent) {
  Company company(AllowAll(), Tools(), "steps_max: 8, tokens_max: 1000");
  const Held held = HoldHelper(company);
  company.h.WaitForState(held.run, RunState::kWaitingForRun);
  const std::size_t waits = WaitsOf(company, held.run);
  ASSERT_TRUE(company.h.Send(held.run, "how far are you?").ok());
  company.h.WaitFor(held.run, [&](const RunInfo& info) {
    return info.state == RunState::kWaitingForRun && WaitsOf(company, held.run) > waits;
  });
  EXPECT_THAT(company.cast.SeenBy("tester"), SizeIs(1));
  company.cast.Say(FakePlanner::Answer("seen"));
  company.h.WaitForState(held.run, RunState::kCompleted);
  ASSERT_THAT(company.cast.SeenBy("tester"), SizeIs(2));
  std::vector<std::string> read;
  const PlanRequest newest = company.cast.SeenBy("tester").back();
  for (const ChatMessage& message : newest.messages) {
    read.push_back(message.text);
  }
  EXPECT_THAT(read, Contains("how far are you?"));
  EXPECT_THAT(read, Contains(HasSubstr("seen")));
  ExpectMadeAnew(company.h, held.run, company.agents());
}

TEST(Limits, ARunThatHasKeptTokensAnswersMeanwhile) {
  Company company(AllowAll(), Tools(), "steps_max: 8, tokens_max: 1000");
  company.h.others.front() = AgentNamed("helper", "", "steps_max: 8, tokens_max: 400");
  company.h.Restart();
  const Held held = HoldHelper(company);
  ASSERT_TRUE(company.h.Send(held.run, "how far are you?").ok());
  company.h.WaitFor(held.run, [&](const RunInfo& info) { return info.steps == 2; });
  EXPECT_EQ(company.Bodies(held.run, "call.intended").front()["starts_tokens"], 400);
  company.cast.Say(FakePlanner::Answer("seen"));
  company.h.WaitForState(held.run, RunState::kCompleted);
}

// ---------------------------------------------------------------- at a start

// It stays on the disk: the run below tells it of its end.
TEST(Limits, ARunThatOnlyWaitsForAnotherIsNotReadBackAtAStart) {
  Company company(AllowAll(), Tools());
  company.cast.plans["tester"] = {Asks("helper", "look"), FakePlanner::Answer("all ok")};
  company.cast.plans["helper"] = {FakePlanner::Ask("Which order?"), FakePlanner::Answer("it is 7")};
  const std::string run = company.Create();
  const std::string helper = company.Started(run);
  company.h.WaitForState(helper, RunState::kWaitingForUser);
  company.h.WaitForState(run, RunState::kWaitingForRun);
  company.h.Restart();
  const core::Json recovery = company.Bodies("", "recovery").back();
  EXPECT_EQ(recovery["open_intents"], 0);
  EXPECT_EQ(recovery["runs"], 0);
  ASSERT_TRUE(company.h.Send(helper, "the seventh").ok());
  EXPECT_EQ(company.h.WaitForState(run, RunState::kCompleted).answer, "all ok");
  EXPECT_THAT(company.LastRead("tester"), HasSubstr("it is 7"));
}

}  // namespace
}  // namespace interlock::runtime::test
