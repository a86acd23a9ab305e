// Failed and cancelled runs take back what they did, through the gate, whatever happens meanwhile.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>

#include "rules.h"

namespace interlock::runtime::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kCancelsFirst =
    R"(on("*", "cancels", function(c)
  if c.call.tool ~= "flight.cancel" and c.call.tool ~= "hotel.cancel" then return allow() end
  if present(c.call, "compensates") then return ENGINE end
  return deny { code = "ENGINE_ONLY", say = "only the engine cancels" }
end))";

// Only the engine may cancel; what its own calls are answered is `answer`.
std::string CancelsAre(const std::string& answer) {
  std::string rule = kCancelsFirst;
  return std::string(kPolicyHead) + rule.replace(rule.find("ENGINE"), 6, answer);
}

const char* const kAsksManager =
    R"(require_approval { approvers = { "role:cs-manager" }, expires = "1h" })";

ToolSpec Booking(const std::string& what) {
  return {.name = what + ".book",
          .effect = tools::Effect::kWrite,
          .failure = tools::FailureMeaning::kNoEffect,
          .idempotent = true,
          .compensate = what + ".cancel"};
}

ToolSpec Cancelling(const std::string& what) {
  return {.name = what + ".cancel",
          .effect = tools::Effect::kWrite,
          .effect_key = "cancel:{args.ref}",
          .failure = tools::FailureMeaning::kNoEffect};
}

std::vector<ToolSpec> TripTools() {
  return {Booking("flight"), Cancelling("flight"), Booking("hotel"), Cancelling("hotel"),
          ReadTool("look")};
}

Plan Books(const std::string& what) { return FakePlanner::Calls({{what, what + ".book", "{}"}}); }

// A run that books a flight, then a hotel, and whose planner fails then.
void PlanTrip(Harness& h) {
  h.tools.Answers("flight.book", {{"ref", "f1"}});
  h.tools.Answers("hotel.book", {{"ref", "h1"}});
  h.tools.Answers("flight.cancel", {{"ok", true}});
  h.tools.Answers("hotel.cancel", {{"ok", true}});
  h.planner.plans = {Books("flight"), Books("hotel"), core::InvalidArgument("no plan for this")};
}

// The body of the newest entry of this kind.
core::Json BodyOf(Harness& h, const std::string& run, std::string_view kind) {
  core::Json body;
  for (const audit::Entry& entry : h.Entries(run)) {
    if (entry.kind != kind) continue;
    const auto json = core::ParseJson(entry.bytes, core::kPayloadLimits);
    if (json.ok()) body = (*json)["body"];
  }
  return body;
}

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
}

TEST(Compensation, ACancelledRunDoesSoToo) {
  Harness h(CancelsAre("allow()"), TripTools());
  PlanTrip(h);
  h.planner.plans = {Books("flight"), FakePlanner::Ask("and now?")};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForUser);
  ASSERT_TRUE(h.Cancel(run->id).ok());
  h.WaitForState(run->id, RunState::kCancelled);
  EXPECT_EQ(h.tools.runs("flight.cancel"), 1);
  EXPECT_EQ(BodyOf(h, run->id, "run.compensating")["as"], "cancelled");
}

TEST(Compensation, ACompletedRunKeepsWhatItDid) {
  Harness h(CancelsAre("allow()"), TripTools());
  PlanTrip(h);
  h.planner.plans = {Books("flight"), FakePlanner::Answer("booked")};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kCompleted);
  EXPECT_THAT(h.Kinds(run->id), Not(Contains("run.compensating")));
  EXPECT_EQ(h.tools.runs("flight.cancel"), 0);
}

TEST(Compensation, WhatDidNotHappenIsNotTakenBack) {
  Harness h(CancelsAre("allow()"), TripTools());
  PlanTrip(h);
  h.tools.Fails("hotel.book", "SOLD_OUT");
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kFailed);
  EXPECT_THAT(ToolsOf(h, run->id), ElementsAre("flight.book", "flight.cancel", "hotel.book"));
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
}

TEST(Compensation, OneThatFailsDoesNotKeepTheOthersFromBeingTakenBack) {
  Harness h(CancelsAre("allow()"), TripTools());
  PlanTrip(h);
  h.tools.Fails("hotel.cancel", "TOO_LATE");
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kUncompensated);
  EXPECT_EQ(h.tools.runs("flight.cancel"), 1);
  EXPECT_EQ(BodyOf(h, run->id, "run.failed")["uncompensated"],
            core::Json({CallOf(h, run->id, "hotel.book")}));
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
  }
}

TEST(Compensation, ARunThatCompensatesTakesNoMessageAndNoCancel) {
  Harness h(CancelsAre(kAsksManager), TripTools());
  PlanTrip(h);
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitFor(run->id, [&](const RunInfo&) { return !h.Pending().empty(); });
  EXPECT_EQ(ReasonOf(h.Send(run->id, "wait").status()), "RUN_ENDED");
  EXPECT_EQ(ReasonOf(h.Cancel(run->id).status()), "RUN_ENDED");
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
  }
}

TEST(Compensation, WhatThePlannerTookBackItselfIsNotTakenBackTwice) {
  Harness h(AllowAll(), TripTools());
  PlanTrip(h);
  h.planner.plans = {Books("flight"),
                     FakePlanner::Calls({{"c", "flight.cancel", R"({"ref":"f1"})"}}),
                     core::InvalidArgument("no plan for this")};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kFailed);
  EXPECT_EQ(h.tools.runs("flight.cancel"), 1);
  EXPECT_EQ(BodyOf(h, run->id, "call.decided")["code"], "DUPLICATE_EFFECT");
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
