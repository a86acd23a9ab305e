// Failed and cancelled runs take back what they did, through the gate, whatever happens meanwhile.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>

#include "trip.h"

namespace interlock::runtime::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> ToolsOf(Harness& h, const std::string& run) {
  std::vector<std::string> tools;
  for (const CallInfo& call : h.CallsOf(run)) tools.push_back(call.tool);
  std::sort(tools.begin(), tools.end());
  return tools;
}

std::string CallOf(Harness& h, const std::string& run, const std::string& tool) {
  for (const CallInfo& call : h.CallsOf(run)) {
    if (call.tool == tool) return call.id;
  }
  ADD_FAILURE() << "no call of " << tool;
  return "";
}

TEST(Compensation, AFailedRunTakesBackWhatItDidNewestFirst) {
  Harness h(CancelsAre("allow()"), TripTools());
  PlanTrip(h);
  std::vector<std::string> order;
  std::mutex mutex;
  for (const std::string tool : {"flight.cancel", "hotel.cancel"}) {
    h.tools.On(tool, [&, tool](const tools::CallSpec& spec, const FakeTools::Done& done) {
      {
        const std::lock_guard lock(mutex);
        order.push_back(tool + " " + spec.args.text);
      }
      done(OkOutcome({{"ok", true}}));
    });
  }
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  const RunInfo ended = h.WaitForState(run->id, RunState::kFailed);
  EXPECT_EQ(ended.code, "PLANNER_REPLY");
  EXPECT_THAT(ended.reason, HasSubstr("no plan for this"));
  EXPECT_THAT(order, ElementsAre(R"(hotel.cancel {"ref":"h1"})", R"(flight.cancel {"ref":"f1"})"));
  const core::Json began = BodyOf(h, run->id, "run.compensating");
  EXPECT_EQ(began["as"], "failed");
  EXPECT_EQ(began["calls"],
            core::Json({CallOf(h, run->id, "hotel.book"), CallOf(h, run->id, "flight.book")}));
  EXPECT_FALSE(BodyOf(h, run->id, "run.failed").contains("uncompensated"));
  EXPECT_EQ(BodyOf(h, run->id, "call.proposed")["compensates"], CallOf(h, run->id, "flight.book"));
  ExpectReplays(h, run->id);
}

TEST(Compensation, ACancelledRunDoesSoToo) {
  Harness h(CancelsAre("allow()"), TripTools());
  PlanTrip(h);
  h.planner.plans = {Books("flight"), FakePlanner::Ask("and now?")};
  const std::string run = TripUntil(h, RunState::kWaitingForUser);
  ASSERT_TRUE(h.Cancel(run).ok());
  h.WaitForState(run, RunState::kCancelled);
  EXPECT_EQ(h.tools.runs("flight.cancel"), 1);
  EXPECT_EQ(BodyOf(h, run, "run.compensating")["as"], "cancelled");
  ExpectReplays(h, run);
}

TEST(Compensation, ACompletedRunKeepsWhatItDid) {
  Harness h(CancelsAre("allow()"), TripTools());
  PlanTrip(h);
  h.planner.plans = {Books("flight"), FakePlanner::Answer("booked")};
  const std::string run = TripUntil(h, RunState::kCompleted);
  EXPECT_THAT(h.Kinds(run), Not(Contains("run.compensating")));
  EXPECT_EQ(h.tools.runs("flight.cancel"), 0);
}

TEST(Compensation, WhatDidNotHappenIsNotTakenBack) {
  Harness h(CancelsAre("allow()"), TripTools());
  PlanTrip(h);
  h.tools.Fails("hotel.book", "SOLD_OUT");
  const std::string run = TripUntil(h, RunState::kFailed);
  EXPECT_THAT(ToolsOf(h, run), ElementsAre("flight.book", "flight.cancel", "hotel.book"));
  ExpectReplays(h, run);
}

TEST(Compensation, ADeniedOneLeavesTheRunUncompensatedAndOperatorsAreTold) {
  Harness h(CancelsAre(R"(deny { code = "NO", say = "no" })"), TripTools());
  PlanTrip(h);
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  const RunInfo ended = h.WaitForState(run->id, RunState::kUncompensated);
  EXPECT_EQ(ended.code, "PLANNER_REPLY");
  EXPECT_EQ(BodyOf(h, run->id, "run.failed")["uncompensated"],
            BodyOf(h, run->id, "run.compensating")["calls"]);
  const auto listed = h.engine().ListRuns(h.operator_one, {}, RunState::kUncompensated);
  ASSERT_TRUE(listed.ok()) << listed.status();
  EXPECT_EQ(listed->items.size(), 1u);
  EXPECT_THAT(h.engine().warnings(), Contains(HasSubstr("could not be taken back")));
  h.Restart();
  EXPECT_EQ(h.WaitForState(run->id, RunState::kUncompensated).code, "PLANNER_REPLY");
  ExpectReplays(h, run->id);
}

TEST(Compensation, OneThatFailsDoesNotKeepTheOthersFromBeingTakenBack) {
  Harness h(CancelsAre("allow()"), TripTools());
  PlanTrip(h);
  h.tools.Fails("hotel.cancel", "TOO_LATE");
  const std::string run = TripUntil(h, RunState::kUncompensated);
  EXPECT_EQ(h.tools.runs("flight.cancel"), 1);
  EXPECT_EQ(BodyOf(h, run, "run.failed")["uncompensated"],
            core::Json({CallOf(h, run, "hotel.book")}));
}

TEST(Compensation, OneThatNeedsAnApprovalWaitsForItOverARestart) {
  for (const bool grant : {true, false}) {
    Harness h(CancelsAre(kAsksManager), TripTools());
    PlanTrip(h);
    h.planner.plans.erase(h.planner.plans.begin() + 1);  // the flight alone
    const auto run = h.CreateRun();
    ASSERT_TRUE(run.ok()) << run.status();
    h.WaitFor(run->id, [&](const RunInfo&) { return !h.Pending().empty(); });
    h.Restart();
    const auto pending = h.Pending();
    ASSERT_EQ(pending.size(), 1u);
    EXPECT_EQ(h.WaitForState(run->id, RunState::kCompensating).code, "PLANNER_REPLY");
    EXPECT_EQ(h.tools.runs("flight.cancel"), 0);
    ASSERT_TRUE(h.AnswerApproval(h.manager, pending[0].state.id, grant).ok());
    h.WaitForState(run->id, grant ? RunState::kFailed : RunState::kUncompensated);
    EXPECT_EQ(h.tools.runs("flight.cancel"), grant ? 1 : 0);
    ExpectReplays(h, run->id);
  }
}

TEST(Compensation, ARunThatCompensatesTakesNoMessageAndNoCancel) {
  Harness h(CancelsAre(kAsksManager), TripTools());
  PlanTrip(h);
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitFor(run->id, [&](const RunInfo&) { return !h.Pending().empty(); });
  const core::Status sent = h.Send(run->id, "wait").status();
  EXPECT_EQ(ReasonOf(sent), "RUN_ENDED");
  EXPECT_EQ(core::Message(sent),
            "run `" + run->id + "` is taking back what it did: it reads no messages any more");
  const core::Status cancelled = h.Cancel(run->id).status();
  EXPECT_EQ(ReasonOf(cancelled), "RUN_ENDED");
  EXPECT_EQ(core::Message(cancelled),
            "run `" + run->id + "` is taking back what it did: it cannot be cancelled");
}

TEST(Compensation, APersonSaysWhatBecameOfOneThatNobodySaw) {
  for (const bool happened : {true, false}) {
    Harness h(CancelsAre("allow()"), TripTools());
    PlanTrip(h);
    h.tools.On("hotel.cancel",
               [](const tools::CallSpec&, const FakeTools::Done& done) { done(UnknownOutcome()); });
    const auto run = h.CreateRun();
    ASSERT_TRUE(run.ok()) << run.status();
    const auto unknown = [&](const RunInfo&) {
      const auto calls = h.CallsOf(run->id);
      return std::any_of(calls.begin(), calls.end(), [](const CallInfo& call) {
        return call.tool == "hotel.cancel" && call.state == CallState::kUnknown;
      });
    };
    h.WaitFor(run->id, unknown);
    EXPECT_EQ(h.tools.runs("flight.cancel"), 0);  // newest first
    ASSERT_TRUE(h.Resolve(h.operator_one, CallOf(h, run->id, "hotel.cancel"), happened).ok());
    h.WaitForState(run->id, happened ? RunState::kFailed : RunState::kUncompensated);
    EXPECT_EQ(h.tools.runs("hotel.cancel"), 1);
    EXPECT_EQ(h.tools.runs("flight.cancel"), 1);
    ExpectReplays(h, run->id);
  }
}

TEST(Compensation, ACallOfUnknownOutcomeIsWaitedFor) {
  ToolSpec hotel = Booking("hotel");
  hotel.idempotent = false;
  for (const bool happened : {true, false}) {
    Harness h(CancelsAre("allow()"),
              {Booking("flight"), Cancelling("flight"), hotel, Cancelling("hotel")});
    PlanTrip(h);
    h.tools.On("hotel.book",
               [](const tools::CallSpec&, const FakeTools::Done& done) { done(UnknownOutcome()); });
    const auto run = h.CreateRun();
    ASSERT_TRUE(run.ok()) << run.status();
    h.WaitForState(run->id, RunState::kWaitingForPerson);
    ASSERT_TRUE(h.Send(run->id, "and?").ok());  // its planner fails at that
    h.WaitForState(run->id, RunState::kCompensating);
    h.Restart();
    EXPECT_EQ(h.tools.runs("flight.cancel"), 0);
    ASSERT_TRUE(h.Resolve(h.operator_one, CallOf(h, run->id, "hotel.book"), happened).ok());
    // What a person confirms has no result to take a reference from: it stands.
    h.WaitForState(run->id, happened ? RunState::kUncompensated : RunState::kFailed);
    EXPECT_EQ(h.tools.runs("hotel.cancel"), 0);
    EXPECT_EQ(h.tools.runs("flight.cancel"), 1);
    ExpectReplays(h, run->id);
  }
}

TEST(Compensation, WhatThePlannerTookBackItselfIsNotTakenBackTwice) {
  Harness h(AllowAll(), TripTools());
  PlanTrip(h);
  h.planner.plans = {Books("flight"),
                     FakePlanner::Calls({{"c", "flight.cancel", R"({"ref":"f1"})"}}),
                     core::InvalidArgument("no plan for this")};
  const std::string run = TripUntil(h, RunState::kFailed);
  EXPECT_EQ(h.tools.runs("flight.cancel"), 1);
  EXPECT_EQ(BodyOf(h, run, "call.decided")["code"], "DUPLICATE_EFFECT");
  ExpectReplays(h, run);
}

// Whose effect would be the same is waited for, as long as nobody knows what came of it.
TEST(Compensation, WhatMayHaveBeenTakenBackIsWaitedFor) {
  for (const bool happened : {true, false}) {
    Harness h(AllowAll(), TripTools());
    PlanTrip(h);
    h.planner.plans = {Books("flight"),
                       FakePlanner::Calls({{"c", "flight.cancel", R"({"ref":"f1"})"}}),
                       core::InvalidArgument("no plan for this")};
    h.tools.On("flight.cancel",
               [](const tools::CallSpec&, const FakeTools::Done& done) { done(UnknownOutcome()); });
    const std::string run = TripUntil(h, RunState::kWaitingForPerson);
    ASSERT_TRUE(h.Send(run, "and?").ok());  // its planner fails at that
    h.WaitForState(run, RunState::kCompensating);
    h.Restart();
    h.tools.Answers("flight.cancel", {{"ok", true}});
    ASSERT_TRUE(h.Resolve(h.operator_one, CallOf(h, run, "flight.cancel"), happened).ok());
    h.WaitForState(run, RunState::kFailed);
    EXPECT_EQ(h.tools.runs("flight.cancel"), happened ? 1 : 2);
    ExpectReplays(h, run);
  }
}

TEST(Compensation, WhatIsInItsWayForNowIsWaitedFor) {
  Harness h(AllowAll(), ToolsOfOneDesk());
  PlanTrip(h);
  h.tools.On("desk.call",
             [](const tools::CallSpec&, const FakeTools::Done& done) { done(UnknownOutcome()); });
  const auto unknown = h.Execute("desk.call", {{"n", "1"}});
  ASSERT_TRUE(unknown.ok()) << unknown.status();
  ASSERT_EQ(unknown->state, CallState::kUnknown);
  const std::string run = TripUntil(h, RunState::kCompensating);
  h.WaitFor(run, [&](const RunInfo&) { return h.tools.runs("hotel.cancel") == 1; });
  EXPECT_EQ(h.tools.runs("flight.cancel"), 0);
  ASSERT_TRUE(h.Resolve(h.operator_one, unknown->id, false).ok());
  h.WaitForState(run, RunState::kFailed);
  EXPECT_EQ(h.tools.runs("flight.cancel"), 1);
  ExpectReplays(h, run);
}

// A yes is not spent on what is stopped.
TEST(Compensation, OneThatIsApprovedUnderAKillSwitchWaitsForItsEnd) {
  Harness h(CancelsAre(kAsksManager), TripTools());
  PlanTrip(h);
  h.planner.plans = {Books("flight"), core::InvalidArgument("no plan for this")};
  const std::string run = TripUntil(h, RunState::kCompensating);
  h.WaitFor(run, [&](const RunInfo&) { return !h.Pending().empty(); });
  const std::string approval = h.Pending().front().state.id;
  ASSERT_TRUE(h.engine().SetSwitch(h.operator_one, "tool:flight.cancel", "odd").ok());
  ASSERT_TRUE(h.AnswerApproval(h.manager, approval, true).ok());
  EXPECT_EQ(h.tools.runs("flight.cancel"), 0);
  h.Restart();
  ASSERT_TRUE(h.engine().LiftSwitch(h.operator_two, {"tool:flight.cancel", "ok", ""}).ok());
  h.WaitForState(run, RunState::kFailed);
  EXPECT_EQ(h.tools.runs("flight.cancel"), 1);
  ExpectReplays(h, run);
}

// A rule's own words are its last, whatever code it gives them.
TEST(Compensation, WhatARuleDeniesIsNotAskedAgain) {
  Harness h(CancelsAre(R"(deny { code = "BUSY", say = "never" })"), TripTools());
  PlanTrip(h);
  TripUntil(h, RunState::kUncompensated);
}

// ---------------------------------------------------------------- replay

// Takes back in the order in which it was done.
std::vector<Effect> StepThatBeginsWithTheOldest(RunCore& run, const Event& event) {
  auto effects = Step(run, event);
  for (Effect& effect : effects) {
    auto* begin = std::get_if<effect::BeginCompensation>(&effect);
    if (begin != nullptr) std::reverse(begin->calls.begin(), begin->calls.end());
  }
  return effects;
}

// Leaves what it did last.
std::vector<Effect> StepThatForgetsToTakeBack(RunCore& run, const Event& event) {
  const auto* compensating = std::get_if<event::Compensating>(&event);
  if (compensating == nullptr) return Step(run, event);
  event::Compensating fewer = *compensating;
  fewer.calls.erase(fewer.calls.begin());
  return Step(run, fewer);
}

// Ends at once as if nothing stood.
std::vector<Effect> StepThatTakesNothingBack(RunCore& run, const Event& event) {
  if (std::holds_alternative<event::CallDone>(event)) run.effects.clear();
  return Step(run, event);
}

// Says that what a person denied was taken back all the same.
std::vector<Effect> StepThatSaysItIsUndone(RunCore& run, const Event& event) {
  const auto* done = std::get_if<event::CallDone>(&event);
  if (done == nullptr) return Step(run, event);
  event::CallDone well = *done;
  well.took_effect = true;
  return Step(run, well);
}

TEST(Compensation, ReplayFindsAStepThatTakesBackOtherwise) {
  Harness h(CancelsAre("allow()"), TripTools());
  PlanTrip(h);
  h.tools.Fails("hotel.cancel", "TOO_LATE");
  const std::string run = TripUntil(h, RunState::kUncompensated);
  ExpectReplays(h, run);
  const struct {
    const char* name;
    StepFn step;
    const char* kind;  // of the entry at which it shows
  } mutations[] = {
      {"the oldest first", &StepThatBeginsWithTheOldest, "run.compensating"},
      {"forgets one", &StepThatForgetsToTakeBack, "call.proposed"},
      {"takes nothing back", &StepThatTakesNothingBack, "run.compensating"},
      {"says it is undone", &StepThatSaysItIsUndone, "run.failed"},
  };
  for (const auto& mutation : mutations) {
    const auto report = ReplayOf(h, run, {&h.agent}, mutation.step);
    ASSERT_TRUE(report.ok()) << mutation.name << ": " << report.status();
    ASSERT_TRUE(report->first.has_value()) << mutation.name;
    EXPECT_EQ(report->first->kind, mutation.kind) << mutation.name;
    EXPECT_FALSE(report->passes()) << mutation.name;
  }
}

// A candidate that would not have let the engine cancel.
TEST(Compensation, ReplayShowsWhereOtherPoliciesWouldNotHaveTakenBack) {
  Harness h(CancelsAre("allow()"), TripTools());
  PlanTrip(h);
  const std::string run = TripUntil(h, RunState::kFailed);
  const auto same = ReplayOf(h, run, {&h.agent}, &Step, CancelsAre("allow()") + "-- again\n");
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_TRUE(same->passes());
  const auto other =
      ReplayOf(h, run, {&h.agent}, &Step, CancelsAre(R"(deny { code = "NO", say = "no" })"));
  ASSERT_TRUE(other.ok()) << other.status();
  ASSERT_TRUE(other->first.has_value());
  EXPECT_EQ(other->first->kind, "call.decided");
  EXPECT_THAT(other->first->rebuilt, HasSubstr(R"("code":"NO")"));
}

// What was given back is the tool's word of then, and the manifest says how it is taken back.
TEST(Compensation, ReplayNeedsTheManifestOfThen) {
  Harness h(CancelsAre("allow()"), TripTools());
  PlanTrip(h);
  const std::string run = TripUntil(h, RunState::kFailed);
  std::vector<ToolSpec> tools = TripTools();
  tools.at(0).compensate = "hotel.cancel";
  h.SetTools(tools);
  const auto report = ReplayOf(h, run, {&h.agent});
  EXPECT_EQ(ReasonOf(report.status()), "TOOL_CHANGED");
}

// What the world has done by key: it outlives every crash, and answers a repeat alike.
struct World {
  std::mutex mutex;
  std::map<std::string, std::string> done;  // tool by key
  std::map<std::string, std::string> Now() {
    const std::lock_guard lock(mutex);
    return done;
  }
  std::vector<std::string> Tools() {
    std::vector<std::string> tools;
    for (const auto& [key, tool] : Now()) tools.push_back(tool);
    std::sort(tools.begin(), tools.end());
    return tools;
  }
  void Serve(Harness& h) {
    for (const std::string tool : {"flight.book", "hotel.book", "flight.cancel", "hotel.cancel"}) {
      h.tools.On(tool, [this, tool](const tools::CallSpec& spec, const FakeTools::Done& done_one) {
        {
          const std::lock_guard lock(mutex);
          done.emplace(spec.idempotency_key, tool);
        }
        done_one(OkOutcome({{"ref", tool}}));
      });
    }
  }
};

// The files and the world as a kill -9 would leave them after each commit of the run.
struct Crash {
  std::string files;
  std::map<std::string, std::string> world;
};

TEST(Compensation, AKillAfterAnyCommitNeitherRepeatsNorForgetsOne) {
  std::vector<ToolSpec> tools = TripTools();
  for (ToolSpec& tool : tools) tool.idempotent = tool.effect == tools::Effect::kWrite;
  Harness h(CancelsAre("allow()"), tools);
  World world;
  world.Serve(h);
  h.tools.Holds("look");
  h.planner.plans = {FakePlanner::Calls({{"l", "look", "{}"}}), Books("flight"), Books("hotel"),
                     core::InvalidArgument("no plan for this")};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.tools.WaitUntilHeld("look", 1);
  std::vector<Crash> crashes;
  const std::uint64_t watch = h.engine().Subscribe(run->id, [&] {  // the writer waits meanwhile
    Crash crash{.files = h.CopyFiles() + std::to_string(crashes.size()), .world = {}};
    std::filesystem::rename(h.folder + ".copy", crash.files);
    crash.world = world.Now();
    crashes.push_back(std::move(crash));
  });
  h.tools.Release("look", OkOutcome({{"ok", true}}));
  h.WaitForState(run->id, RunState::kFailed);
  h.engine().Unsubscribe(watch);
  h.Stop();
  const std::vector<std::string> once = {"flight.book", "flight.cancel", "hotel.book",
                                         "hotel.cancel"};
  EXPECT_EQ(world.Tools(), once);
  ASSERT_GE(crashes.size(), 10u);
  for (std::size_t i = 0; i < crashes.size(); ++i) {
    SCOPED_TRACE("killed after commit " + std::to_string(i));
    world.done = crashes[i].world;
    h.tools.Answers("look", {{"ok", true}});
    h.RestartFrom(crashes[i].files);
    h.WaitForState(run->id, RunState::kFailed);
    h.Stop();
    EXPECT_EQ(world.Tools(), once);
  }
}

}  // namespace
}  // namespace interlock::runtime::test
