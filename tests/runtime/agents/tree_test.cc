// What reaches runs that agents start: limits, cancels, kill switches, budgets, waits; and what
// they leave behind when the run above fails.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <thread>
#include <utility>

#include "cast.h"
#include "engine/run_state.h"
#include "fault_vfs.h"

namespace interlock::runtime::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// What was told to any run above holds below at once, also where it was not passed on yet.
TEST(Tree, ARunThatEndsLetsNothingOfThoseBelowItGoOn) {
  CallIdentity id;
  id.run = "d";
  auto lineage = std::make_shared<Lineage>();
  lineage->parent = "c";
  lineage->root = "a";
  id.lineage = lineage;
  std::map<std::string, RunStanding> runs = {{"a", {RunState::kWaitingForRun, ""}},
                                             {"b", {RunState::kWaitingForRun, "a"}},
                                             {"c", {RunState::kWaitingForRun, "b"}},
                                             {"d", {RunState::kRunning, "c"}}};
  const auto admitted = [&] {
    return AdmittedByRuns(id, [&](const std::string& run) { return std::optional(runs.at(run)); });
  };
  EXPECT_TRUE(admitted());
  for (auto& [run, standing] : runs) {
    const RunStanding before = std::exchange(standing, {RunState::kCancelling, standing.parent});
    EXPECT_FALSE(admitted()) << run;
    standing = before;
  }
}

std::vector<ToolSpec> Tools() {
  return {ReadTool("orders.get"), WriteTool("door.open"), MoneyTool("pay")};
}

// As a daemon would have left it that died before it passed a cancel of `run` on; `held` is asked
// anew, and is at work.
void CancelWhileDown(Company& company, const std::string& copy, const std::string& run,
                     const std::string& held) {
  company.h.StopAndGoBackTo(copy);
  company.cast.Holds(held);
  company.h.OpenLog();
  ASSERT_TRUE(company.h.log()
                  .Append({.kind = "run.cancelling",
                           .run = run,
                           .actor = "principal:ticketing",
                           .body = R"({"by":"principal:ticketing"})",
                           .cites = {}})
                  .ok());
  ASSERT_TRUE(company.h.StartEngine().ok());
}

// ---------------------------------------------------------------- limits

TEST(Tree, AgentsThatCallInACircleAreRefusedAtTheStart) {
  Company company(AllowAll(), Tools());
  company.h.others = {AgentNamed("helper", "agents: [clerk]\n"),
                      AgentNamed("clerk", "agents: [tester]\n")};
  EXPECT_THAT(std::string(core::Message(company.h.StartEngine())),
              HasSubstr("agents call each other in a circle: helper, clerk, tester, helper"));
}

// The files of now call in no circle, and a run of before is pinned to one of then.
TEST(Tree, NoAgentCallsOneThatIsAtWorkAboveIt) {
  Company company(AllowAll(), Tools());
  const Held held = HoldHelper(company);
  const std::string copy = company.h.CopyFiles();
  company.cast.Say(FakePlanner::Answer("x"));
  company.h.agent = AgentNamed("tester", "");
  company.h.others = {AgentNamed("helper", "agents: [clerk]\n"),
                      AgentNamed("clerk", "agents: [tester]\n")};
  company.h.Stop();
  company.cast.plans["helper"] = {Asks("clerk", "go on")};
  company.cast.plans["clerk"] = {Asks("tester", "go on")};
  company.h.RestartFrom(copy);
  company.h.WaitForState(held.run, RunState::kCompleted);
  ASSERT_THAT(company.Below(held.helper), SizeIs(1));
  const std::string clerk = company.Below(held.helper).front().id;
  EXPECT_EQ(CodeOf(company, clerk, "agent.tester"), "AGENT_CYCLE");
  EXPECT_THAT(company.Below(clerk), IsEmpty());
}

TEST(Tree, AgentsAreCalledFourDeepAndNoDeeper) {
  Company company(AllowAll(), Tools());
  company.h.agent = AgentNamed("tester", "agents: [a1]\n");
  company.h.others.clear();
  for (int i = 1; i <= 5; ++i) {
    const std::string name = "a" + std::to_string(i);
    const std::string next = "a" + std::to_string(i + 1);
    company.h.others.push_back(AgentNamed(name, i < 5 ? "agents: [" + next + "]\n" : ""));
    company.cast.plans[name] = {Asks(next, "go on")};
  }
  company.h.Restart();
  company.cast.plans["tester"] = {Asks("a1", "go on")};
  const std::string run = company.Create();
  company.h.WaitForState(run, RunState::kCompleted);
  std::string at = run;
  for (int depth = 1; depth <= 4; ++depth) {
    ASSERT_THAT(company.Below(at), SizeIs(1)) << depth;
    at = company.Below(at).front().id;
  }
  EXPECT_EQ(CodeOf(company, at, "agent.a5"), "AGENT_DEPTH");
  EXPECT_THAT(company.Below(at), IsEmpty());
}

TEST(Tree, ARunStartsNoMoreRunsThanItsAgentMay) {
  Company company(AllowAll(), Tools(), "steps_max: 8, runs_max: 2");
  company.cast.plans["tester"] = {Asks("helper", "one", "a"), Asks("helper", "two", "b")};
  company.cast.plans["helper"] = {Asks("clerk", "below")};
  const std::string run = company.Create();
  company.h.WaitForState(run, RunState::kCompleted);
  // The first and its clerk: the second finds none left.
  std::vector<std::string> codes;
  for (const CallInfo& call : company.h.CallsOf(run)) codes.push_back(call.code);
  EXPECT_THAT(codes, ::testing::UnorderedElementsAre("OK", "AGENT_RUNS"));
  ASSERT_THAT(company.Below(run), SizeIs(1));
  EXPECT_THAT(company.Below(company.Below(run).front().id), SizeIs(1));
  ExpectMadeAnew(company.h, run, company.agents());
}

TEST(Tree, TheTokensOfARunBelowAreThoseOfTheRunAbove) {
  Company company(AllowAll(), Tools(), "steps_max: 8, tokens_max: 1000");
  company.cast.plans["tester"] = {WithTokens(Asks("helper", "look"), 100),
                                  WithTokens(FakePlanner::Answer("x"), 10)};
  company.cast.plans["helper"] = {WithTokens(CallsTool("orders.get"), 500),
                                  WithTokens(CallsTool("orders.get"), 500),
                                  WithTokens(FakePlanner::Answer("never"), 1)};
  company.h.tools.Answers("orders.get", {{"status", "paid"}});
  const std::string run = company.Create();
  const RunInfo ended = company.h.WaitForState(run, RunState::kFailed);
  EXPECT_EQ(ended.code, "TOKEN_LIMIT") << "what its helper used is used";
  const RunInfo helper = company.Below(run).front();
  EXPECT_EQ(helper.state, RunState::kFailed);
  EXPECT_EQ(helper.code, "TOKEN_LIMIT");
  EXPECT_EQ(company.Bodies(run, "call.intended").front()["starts_tokens"], 900);
  EXPECT_EQ(company.Bodies(helper.id, "run.started").front()["limits"]["tokens"], 900);
  EXPECT_EQ(company.Bodies(run, "call.outcome").front()["ended"]["tokens"], 1000);
  ExpectMadeAnew(company.h, run, company.agents());
  ExpectMadeAnew(company.h, helper.id, company.agents());
}

TEST(Tree, TwoAtOnceShareWhatIsLeft) {
  Company company(AllowAll(), Tools(), "steps_max: 8, tokens_max: 1000");
  Plan both = Asks("helper", "one", "a");
  both.calls.push_back(Asks("helper", "two", "b").calls.front());
  company.cast.plans["tester"] = {WithTokens(both, 100), FakePlanner::Answer("x")};
  const std::string run = company.Create();
  company.h.WaitForState(run, RunState::kCompleted);
  std::vector<std::string> codes;
  for (const CallInfo& call : company.h.CallsOf(run)) codes.push_back(call.code);
  EXPECT_THAT(codes, ::testing::UnorderedElementsAre("OK", "TOKEN_LIMIT"))
      << "the first was granted all that was left";
  ExpectMadeAnew(company.h, run, company.agents());
}

TEST(Tree, StepsCallsAndTimeOfARunBelowAreAtMostWhatTheRunAboveHasLeft) {
  Company company(AllowAll(), Tools(), "steps_max: 3, calls_max: 5, wall_ms: 5000");
  company.cast.plans["tester"] = {Asks("helper", "look")};
  const std::string run = company.Create();
  company.h.WaitForState(run, RunState::kCompleted);
  const core::Json started =
      company.Bodies(company.Below(run).front().id, "run.started").front()["limits"];
  EXPECT_EQ(started["steps"], 2);
  EXPECT_EQ(started["calls"], 4);
  EXPECT_LE(started["wall_ms"].get<std::int64_t>(), 5000);
  EXPECT_GT(started["wall_ms"].get<std::int64_t>(), 0);
}

TEST(Tree, ARunBelowThatTakesItsTimeFailsAndTellsTheRunAbove) {
  Company company(AllowAll(), Tools());
  company.h.others.front() = AgentNamed("helper", "", "wall_ms: 500");
  company.h.Restart();
  company.cast.plans["tester"] = {Asks("helper", "look")};
  company.cast.Holds("helper");
  const std::string run = company.Create();
  company.h.WaitForState(run, RunState::kCompleted);
  EXPECT_EQ(company.Below(run).front().code, "TIME_LIMIT");
  ExpectMadeAnew(company.h, company.Below(run).front().id, company.agents());
  EXPECT_EQ(company.cast.cancelled(), 1) << "its request to the model";
  EXPECT_EQ(CodeOf(company, run, "agent.helper"), "AGENT_FAILED");
  EXPECT_THAT(company.LastRead("tester"), HasSubstr("TIME_LIMIT"));
}

// ---------------------------------------------------------------- cancel

TEST(Tree, ACancelReachesTheRunBelowAndItsPlanner) {
  Company company(AllowAll(), Tools());
  const Held held = HoldHelper(company);
  ASSERT_TRUE(company.h.Cancel(held.run).ok());
  company.h.WaitForState(held.run, RunState::kCancelled);
  EXPECT_EQ(company.Below(held.run).front().state, RunState::kCancelled);
  EXPECT_EQ(company.cast.cancelled(), 1);
  EXPECT_EQ(CodeOf(company, held.run, "agent.helper"), "AGENT_CANCELLED");
  EXPECT_EQ(company.Bodies(held.helper, "run.cancelling").front()["by"], "run:" + held.run);
}

TEST(Tree, ACancelThatTheDaemonDidNotPassOnIsPassedOnAtItsStart) {
  Company company(AllowAll(), Tools());
  const Held held = HoldHelper(company);
  const std::string copy = company.h.CopyFiles();
  company.cast.Say(FakePlanner::Answer("x"));
  CancelWhileDown(company, copy, held.run, "helper");
  company.h.WaitForState(held.run, RunState::kCancelled);
  EXPECT_EQ(company.Below(held.run).front().state, RunState::kCancelled);
}

// Makes room again at its end.
class FullDisk {
 public:
  FullDisk() = default;
  ~FullDisk() { faults_.write_is_full = false; }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;
  void Set(bool full) { faults_.write_is_full = full; }

 private:
  audit::Faults& faults_ = audit::InstallFaultVfs();
};

// The disk is full from the entry on that begins the cancel.
TEST(Tree, ACancelThatCannotBePassedOnIsPassedOnWhenThereIsRoom) {
  FullDisk disk;
  Company company(AllowAll(), Tools());
  const Held held = HoldHelper(company);
  company.h.engine().Subscribe(held.run, [&, looks = 0]() mutable {
    if (looks == 2)
      return;  // an ended run is read from the tables, which the writer cannot wait for
    const auto run = company.h.engine().GetRun(company.h.operator_one, held.run);
    if (!run.ok() || run->state != RunState::kCancelling) return;
    disk.Set(++looks == 1);
  });
  company.h.engine().CancelRun(company.h.integrator, held.run, "no need", "",
                               [](const core::StatusOr<RunInfo>&) {});  // which may find it full
  while (company.h.log().health() == audit::Health::kOk) std::this_thread::yield();
  EXPECT_THAT(company.h.Kinds(held.helper), Not(Contains("run.cancelling")));
  disk.Set(false);
  company.h.WaitForState(held.run, RunState::kCancelled);
  EXPECT_EQ(company.Below(held.run).front().state, RunState::kCancelled);
  EXPECT_EQ(CodeOf(company, held.run, "agent.helper"), "AGENT_CANCELLED");
}

TEST(Tree, ARunBelowThatIsCancelledAloneTellsTheRunAbove) {
  Company company(AllowAll(), Tools());
  const Held held = HoldHelper(company);
  ASSERT_TRUE(company.h.Cancel(held.helper).ok());
  EXPECT_EQ(company.h.WaitForState(held.run, RunState::kCompleted).answer, "all ok");
  EXPECT_EQ(CodeOf(company, held.run, "agent.helper"), "AGENT_CANCELLED");
}

std::int64_t EndOf(Company& company, const std::string& run) {
  for (const audit::Entry& entry : company.h.Entries("")) {
    if (entry.run == run && (entry.kind == "run.completed" || entry.kind == "run.cancelled")) {
      return static_cast<std::int64_t>(entry.index);
    }
  }
  ADD_FAILURE() << "no end of " << run;
  return -1;
}

// The one below it ends first, the one above reads of it and goes on.
TEST(Tree, ACancelOfTheOneInTheMiddleStopsTheOneBelowAndTellsTheOneAbove) {
  Company company(AllowAll(), Tools());
  const HeldDeep held = HoldClerk(company);
  ASSERT_TRUE(company.h.Cancel(held.helper).ok());
  EXPECT_EQ(company.h.WaitForState(held.run, RunState::kCompleted).answer, "all ok");
  EXPECT_EQ(company.Below(held.run).front().state, RunState::kCancelled);
  EXPECT_EQ(company.Below(held.helper).front().state, RunState::kCancelled);
  EXPECT_EQ(company.cast.cancelled(), 1) << "the clerk's request to the model";
  EXPECT_EQ(CodeOf(company, held.helper, "agent.clerk"), "AGENT_CANCELLED");
  EXPECT_EQ(CodeOf(company, held.run, "agent.helper"), "AGENT_CANCELLED");
  EXPECT_THAT(company.LastRead("tester"), HasSubstr("was cancelled"));
  EXPECT_EQ(company.Bodies(held.clerk, "run.cancelling").front()["by"], "run:" + held.helper);
  EXPECT_LT(EndOf(company, held.clerk), EndOf(company, held.helper));
  EXPECT_LT(EndOf(company, held.helper), EndOf(company, held.run));
  for (const std::string& run : {held.run, held.helper, held.clerk}) {
    ExpectMadeAnew(company.h, run, company.agents());
  }
}

TEST(Tree, ACancelOfTheTopmostReachesTheLowest) {
  Company company(AllowAll(), Tools());
  const HeldDeep held = HoldClerk(company);
  ASSERT_TRUE(company.h.Cancel(held.run).ok());
  company.h.WaitForState(held.run, RunState::kCancelled);
  EXPECT_LT(EndOf(company, held.clerk), EndOf(company, held.helper));
  EXPECT_LT(EndOf(company, held.helper), EndOf(company, held.run));
  EXPECT_EQ(company.cast.SeenBy("tester").size(), 1u) << "nobody is asked what now";
  for (const std::string& run : {held.run, held.helper, held.clerk}) {
    ExpectMadeAnew(company.h, run, company.agents());
  }
}

// A restart in the middle of it passes it on.
TEST(Tree, ACancelOfTheOneInTheMiddleStandsAfterACrash) {
  Company company(AllowAll(), Tools());
  const HeldDeep held = HoldClerk(company);
  const std::string copy = company.h.CopyFiles();
  company.cast.Say(FakePlanner::Answer("of the world before"));
  CancelWhileDown(company, copy, held.helper, "clerk");
  EXPECT_EQ(company.h.WaitForState(held.run, RunState::kCompleted).answer, "all ok");
  EXPECT_EQ(company.Below(held.helper).front().state, RunState::kCancelled);
  EXPECT_EQ(company.Below(held.run).front().state, RunState::kCancelled);
}

// ---------------------------------------------------------------- kill switches

TEST(Tree, ASwitchOfAnyAgentAboveStopsTheRunBelow) {
  for (const std::string name : {"agent:helper", "agent:tester", "all"}) {
    Company company(AllowAll(), Tools());
    company.h.tools.Answers("door.open", {{"ok", true}});
    company.cast.plans["helper"] = {CallsTool("door.open"), FakePlanner::Answer("open")};
    const Held held = HoldHelper(company);
    ASSERT_TRUE(company.h.engine().SetSwitch(company.h.operator_one, name, "odd").ok());
    company.cast.Say(CallsTool("door.open"));
    company.h.WaitForState(held.helper, RunState::kWaitingForSwitch);
    EXPECT_EQ(CodeOf(company, held.helper, "door.open"), "KILLED") << name;
    EXPECT_EQ(company.h.tools.runs("door.open"), 0);
    const RunInfo above = company.h.WaitForState(held.run, RunState::kWaitingForRun);
    EXPECT_THAT(above.waits_for, ElementsAre(held.helper));
    company.h.Restart();
    ASSERT_TRUE(company.h.engine().LiftSwitch(company.h.operator_two, {name, "ok", ""}).ok());
    company.h.WaitForState(held.run, RunState::kCompleted);
    ExpectMadeAnew(company.h, held.helper, company.agents());
  }
}

TEST(Tree, ASwitchOfAnotherAgentStopsNothingHere) {
  Company company(AllowAll(), Tools());
  company.h.tools.Answers("door.open", {{"ok", true}});
  company.cast.plans["helper"] = {CallsTool("door.open"), FakePlanner::Answer("open")};
  const Held held = HoldHelper(company);
  ASSERT_TRUE(company.h.engine().SetSwitch(company.h.operator_one, "agent:clerk", "odd").ok());
  company.cast.Say(CallsTool("door.open"));
  company.h.WaitForState(held.run, RunState::kCompleted);
  EXPECT_EQ(company.h.tools.runs("door.open"), 1);
}

TEST(Tree, AStoppedAgentIsNotStarted) {
  Company company(AllowAll(), Tools());
  ASSERT_TRUE(company.h.engine().SetSwitch(company.h.operator_one, "agent:helper", "odd").ok());
  company.cast.plans["tester"] = {Asks("helper", "look")};
  const std::string run = company.Create();
  company.h.WaitForState(run, RunState::kCompleted);
  EXPECT_EQ(CodeOf(company, run, "agent.helper"), "KILLED");
  EXPECT_THAT(company.Below(run), IsEmpty());
  ExpectMadeAnew(company.h, run, company.agents());
}

// ---------------------------------------------------------------- a request that is open

// A run that waits for `helper` and has asked its planner; the planners of both are held. Nobody
// hears what they say.
Held HoldBoth(Company& company) {
  const Held held = HoldHelper(company);
  company.cast.plans["tester"] = {Asks("helper", "look"), FakePlanner::Answer("patience"),
                                  FakePlanner::Answer("all ok")};
  company.cast.Holds("tester");
  EXPECT_TRUE(company.h.Send(held.run, "how far are you?").ok());
  company.cast.WaitUntilHeld(2);
  return held;
}

void GoBackTo(Company& company, const std::string& copy, Planner* planner) {
  company.cast.Say(FakePlanner::Answer("of the world before"));
  company.h.StopAndGoBackTo(copy);
  company.h.asked = planner;
  company.h.Start();
}

// The helper is cancelled, and its end reaches the run above, which waits on.
void EndHelperOf(Company& company, const Held& held, RunState waits) {
  company.h.WaitForState(held.run, waits);
  company.h.WaitForState(held.helper, waits);
  ASSERT_TRUE(company.h.Cancel(held.helper).ok());
  company.h.WaitFor(held.run, [&](const RunInfo& info) {
    return info.state == waits && !company.Bodies(held.run, "call.outcome").empty();
  });
}

void ExpectAnswered(Company& company, const Held& held) {
  EXPECT_EQ(company.h.WaitForState(held.run, RunState::kCompleted).answer, "all ok");
  EXPECT_EQ(CodeOf(company, held.run, "agent.helper"), "AGENT_CANCELLED");
  ExpectMadeAnew(company.h, held.run, company.agents());
}

TEST(Tree, WhatEndsWhileAStoppedRunWaitsDoesNotLoseItsOpenRequest) {
  Company company(AllowAll(), Tools());
  const Held held = HoldBoth(company);
  ASSERT_TRUE(company.h.engine().SetSwitch(company.h.operator_one, "agent:tester", "odd").ok());
  GoBackTo(company, company.h.CopyFiles(), &company.cast);
  EndHelperOf(company, held, RunState::kWaitingForSwitch);
  ASSERT_TRUE(
      company.h.engine().LiftSwitch(company.h.operator_two, {"agent:tester", "ok", ""}).ok());
  ExpectAnswered(company, held);
}

TEST(Tree, WhatEndsWhileItsPlannerIsGoneDoesNotLoseItsOpenRequest) {
  Company company(AllowAll(), Tools());
  const Held held = HoldBoth(company);
  GoBackTo(company, company.h.CopyFiles(), nullptr);
  EndHelperOf(company, held, RunState::kWaitingForPlanner);
  company.h.Stop();
  company.h.asked = &company.cast;
  company.h.Start();
  ExpectAnswered(company, held);
}

TEST(Tree, AStoppedRunWithAnOpenRequestIsCancelled) {
  Company company(AllowAll(), Tools());
  const Held held = HoldBoth(company);
  ASSERT_TRUE(company.h.engine().SetSwitch(company.h.operator_one, "agent:tester", "odd").ok());
  GoBackTo(company, company.h.CopyFiles(), &company.cast);
  company.h.WaitForState(held.run, RunState::kWaitingForSwitch);
  ASSERT_TRUE(company.h.Cancel(held.run).ok());
  company.h.WaitForState(held.run, RunState::kCancelled);
  company.h.WaitForState(held.helper, RunState::kCancelled);
  ExpectMadeAnew(company.h, held.run, company.agents());
}

// ---------------------------------------------------------------- budgets

TEST(Tree, ABudgetOfARunIsThatOfTheTopmostRun) {
  Company company(std::string(kPolicyHead) + R"(
local RUN = budget "run" { unit = "USD", limit = usd(10), per = "run", window = "1d" }
on("pay", "reserve", function(c) return reserve(RUN, usd(c.args.amount)) end)
on("*", "all", function(c) return allow() end))",
                  Tools());
  Pays(company.h, "6.00");
  company.cast.plans["tester"] = {CallsTool("pay", R"({"amount":"6.00","id":"o1"})"),
                                  Asks("helper", "pay too")};
  company.cast.plans["helper"] = {CallsTool("pay", R"({"amount":"6.00","id":"o2"})")};
  const std::string run = company.Create();
  company.h.WaitForState(run, RunState::kCompleted);
  const std::string helper = company.Below(run).front().id;
  EXPECT_EQ(CodeOf(company, helper, "pay"), "BUDGET");
  EXPECT_EQ(company.h.tools.runs("pay"), 1);
  // Another tree has a purse of its own.
  company.cast.plans["tester"] = {Asks("helper", "pay")};
  company.cast.plans["helper"] = {CallsTool("pay", R"({"amount":"6.00","id":"o3"})")};
  const std::string other = company.Create();
  company.h.WaitForState(other, RunState::kCompleted);
  EXPECT_EQ(CodeOf(company, company.Below(other).front().id, "pay"), "OK");
  for (const std::string& one : {run, helper}) ExpectMadeAnew(company.h, one, company.agents());
}

TEST(Tree, AModelBudgetOfARunIsThatOfTheTopmostRun) {
  Company company(AllowAll() + R"(
budget "words" { unit = "tokens", charges = "model", limit = 250, per = "run", window = "1d" })",
                  Tools());
  company.cast.bound = {.tokens = 100, .cost_micros = 0, .currency = "USD"};
  Plan first = Asks("helper", "look");
  first.prompt_tokens = 100;
  Plan second = FakePlanner::Answer("seen");
  second.prompt_tokens = 100;
  company.cast.plans["tester"] = {first};
  company.cast.plans["helper"] = {second};
  const std::string run = company.Create();
  const RunInfo ended = company.h.WaitForState(run, RunState::kFailed);
  EXPECT_EQ(ended.code, "MODEL_BUDGET") << "its helper has used what it would need";
  EXPECT_EQ(company.Below(run).front().state, RunState::kCompleted);
}

// ---------------------------------------------------------------- waits

const std::string kAskToPay = std::string(kPolicyHead) + R"(
on("pay", "ask", function(c)
  return require_approval { approvers = { "role:cs-manager" }, expires = "1h", show = { "args.id" } }
end)
on("*", "all", function(c) return allow() end))";

TEST(Tree, AnApprovalOfARunBelowIsOneLikeAnyAndTheRunAboveNamesWhatItWaitsFor) {
  Company company(kAskToPay, Tools());
  Pays(company.h, "6.00");
  company.h.tools.Answers("orders.get", {{"status", "paid"}});
  company.cast.plans["tester"] = {Asks("helper", "pay")};
  company.cast.plans["helper"] = {CallsTool("pay", R"({"amount":"6.00","id":"o1"})"),
                                  FakePlanner::Answer("paid")};
  const std::string run = company.Create();
  const std::string helper = company.Started(run);
  company.h.WaitForState(helper, RunState::kWaitingForApproval);
  EXPECT_THAT(company.h.WaitForState(run, RunState::kWaitingForRun).waits_for, ElementsAre(helper));
  company.h.Restart();
  const auto pending = company.h.Pending();
  ASSERT_THAT(pending, SizeIs(1));
  EXPECT_EQ(pending.front().run, helper);
  // Who made the topmost run made them all.
  core::Principal maker = company.h.integrator;
  maker.roles = {"approver", "cs-manager"};
  EXPECT_EQ(ReasonOf(company.h.AnswerApproval(maker, pending.front().state.id, true).status()),
            "NOT_AN_APPROVER");
  ASSERT_TRUE(company.h.AnswerApproval(company.h.manager, pending.front().state.id, true).ok());
  company.h.WaitForState(run, RunState::kCompleted);
  EXPECT_EQ(company.h.tools.runs("pay"), 1);
  EXPECT_THAT(company.LastRead("tester"), HasSubstr("paid"));
  ExpectMadeAnew(company.h, run, company.agents());
  ExpectMadeAnew(company.h, helper, company.agents());
}

TEST(Tree, AQuestionOfARunBelowIsAnsweredThere) {
  Company company(AllowAll(), Tools());
  company.cast.plans["tester"] = {Asks("helper", "look")};
  company.cast.plans["helper"] = {FakePlanner::Ask("Which order?"), FakePlanner::Answer("it is 7")};
  const std::string run = company.Create();
  const std::string helper = company.Started(run);
  EXPECT_EQ(company.h.WaitForState(helper, RunState::kWaitingForUser).answer, "Which order?");
  company.h.WaitForState(run, RunState::kWaitingForRun);
  ASSERT_TRUE(company.h.Send(helper, "the seventh").ok());
  company.h.WaitForState(run, RunState::kCompleted);
  EXPECT_THAT(company.LastRead("tester"), HasSubstr("it is 7"));
}

// Rule 15: as with a parked call, the planner reads that it is open, and what came of it later.
TEST(Tree, AMessageDoesNotWaitForTheRunBelow) {
  Company company(AllowAll(), Tools());
  const Held held = HoldHelper(company);
  company.cast.plans["tester"] = {Asks("helper", "look"), FakePlanner::Answer("patience"),
                                  FakePlanner::Answer("all ok")};
  ASSERT_TRUE(company.h.Send(held.run, "how far are you?").ok());
  company.h.WaitFor(held.run, [&](const RunInfo& info) {
    return info.steps == 2 && info.state == RunState::kWaitingForRun;
  });
  const auto messages = company.cast.SeenBy("tester").back().messages;
  EXPECT_EQ(messages.back().text, "how far are you?");
  EXPECT_THAT(messages[messages.size() - 2].text, HasSubstr(held.helper));
  company.cast.Say(FakePlanner::Answer("seen"));
  EXPECT_EQ(company.h.WaitForState(held.run, RunState::kCompleted).answer, "all ok");
  EXPECT_THAT(company.LastRead("tester"), HasSubstr("seen"));
  ExpectMadeAnew(company.h, held.run, company.agents());
}

// Ends and words of the user come in any order; what the core saw is what the log tells.
TEST(Tree, HoweverEndsAndMessagesFallTheRunIsMadeAnew) {
  for (int round = 0; round < 12; ++round) {
    SCOPED_TRACE(round);
    Company company(AllowAll(), Tools());
    Plan both = Asks("helper", "one", "a");
    both.calls.push_back(Asks("helper", "two", "b").calls.front());
    company.cast.plans["tester"] = {both, FakePlanner::Answer("patience"),
                                    FakePlanner::Answer("all ok")};
    company.cast.Holds("helper");
    const std::string run = company.Create();
    company.cast.WaitUntilHeld(2);
    company.h.WaitForState(run, RunState::kWaitingForRun);
    // It may have ended by then.
    std::thread user([&] { static_cast<void>(company.h.Send(run, "how far are you?")); });
    company.cast.Say(FakePlanner::Answer("seen"));
    user.join();
    company.h.WaitForState(run, RunState::kCompleted);
    EXPECT_THAT(company.Bodies(run, "call.outcome"), SizeIs(2));
    ExpectMadeAnew(company.h, run, company.agents());
  }
}

// ---------------------------------------------------------------- what is left behind

TEST(Tree, ARunThatFailsTakesBackWhatRunsBelowItDid) {
  Company company(AllowAll(), TripTools());
  company.h.tools.Answers("flight.book", {{"ref", "f1"}});
  std::string taken_back;
  company.h.tools.On("flight.cancel",
                     [&](const tools::CallSpec& spec, const FakeTools::Done& done) {
                       taken_back = spec.args.text;
                       done(OkOutcome({{"ok", true}}));
                     });
  company.cast.plans["tester"] = {Asks("helper", "book"), core::InvalidArgument("no plan")};
  company.cast.plans["helper"] = {CallsTool("flight.book"), FakePlanner::Answer("booked")};
  const std::string run = company.Create();
  company.h.WaitForState(run, RunState::kFailed);
  EXPECT_EQ(taken_back, R"({"ref":"f1"})");
  EXPECT_EQ(company.h.tools.runs("flight.cancel"), 1);
  const std::string helper = company.Below(run).front().id;
  const std::string booked = company.h.CallsOf(helper).front().id;
  EXPECT_EQ(company.Bodies(run, "run.compensating").front()["calls"], core::Json::array({booked}));
  EXPECT_EQ(company.Bodies(run, "call.outcome").front()["ended"]["effects"],
            core::Json::array({booked}));
}

TEST(Tree, ARunBelowThatFailsTakesBackWhatItDidItself) {
  Company company(AllowAll(), TripTools());
  company.h.tools.Answers("flight.book", {{"ref", "f1"}});
  company.h.tools.Answers("flight.cancel", {{"ok", true}});
  company.cast.plans["tester"] = {Asks("helper", "book"), core::InvalidArgument("no plan")};
  company.cast.plans["helper"] = {CallsTool("flight.book"), core::InvalidArgument("no plan")};
  const std::string run = company.Create();
  company.h.WaitForState(run, RunState::kFailed);
  EXPECT_EQ(company.h.tools.runs("flight.cancel"), 1) << "and nobody takes it back again";
  EXPECT_THAT(company.h.Kinds(run), Not(Contains("run.compensating")));
  EXPECT_THAT(company.h.Kinds(company.Below(run).front().id), Contains("run.compensating"));
}

}  // namespace
}  // namespace interlock::runtime::test
