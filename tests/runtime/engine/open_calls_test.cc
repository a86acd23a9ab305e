// What a run that has not ended waits for, call by call.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "trip.h"

namespace interlock::runtime::test {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;
using WaitsFor = OpenCall::WaitsFor;

constexpr std::int64_t kHourMs = 3'600'000;

std::vector<OpenCall> OpenOf(Harness& h, const std::string& run) {
  const auto info = h.engine().GetRun(h.integrator, run);
  EXPECT_TRUE(info.ok()) << info.status();
  return info.ok() ? info->open_calls : std::vector<OpenCall>{};
}

std::string Bills(Harness& h) {
  h.tools.On("bill",
             [](const tools::CallSpec&, const FakeTools::Done& done) { done(UnknownOutcome()); });
  h.planner.plans = {FakePlanner::Calls({{"c1", "bill", "{}"}})};
  const auto run = h.CreateRun();
  EXPECT_TRUE(run.ok()) << run.status();
  return run.ok() ? run->id : "";
}

TEST(OpenCalls, ACallThatACancelWaitsForIsNamed) {
  Harness h(AllowAll(), {WriteTool("bill")});
  h.tools.Holds("bill");
  h.planner.plans = {FakePlanner::Calls({{"c1", "bill", "{}"}})};
  const auto run = h.CreateRun();
  h.tools.WaitUntilHeld("bill", 1);
  EXPECT_THAT(OpenOf(h, run->id), IsEmpty()) << "it is at work, and waits for nothing else";
  ASSERT_TRUE(h.Cancel(run->id).ok());
  const auto open = OpenOf(h, run->id);
  ASSERT_THAT(open, SizeIs(1));
  EXPECT_EQ(open[0].tool, "bill");
  EXPECT_EQ(open[0].waits_for, WaitsFor::kOutcome);
  EXPECT_EQ(open[0].call, h.CallsOf(run->id).at(0).id);
  h.tools.Release("bill", OkOutcome({{"done", true}}));
  h.WaitForState(run->id, RunState::kCancelled);
  EXPECT_THAT(OpenOf(h, run->id), IsEmpty());
}

TEST(OpenCalls, ACallWhoseOutcomeIsLookedUpSaysSo) {
  Harness h(AllowAll(), {{.name = "bill",
                          .effect = tools::Effect::kWrite,
                          .reconcile = "bill.state",
                          .settle_after_ms = kHourMs},
                         ReadTool("bill.state")});
  const std::string run = Bills(h);
  // No entry says when the look for it begins.
  const auto until = std::chrono::steady_clock::now() + kReplyPatience;
  std::vector<OpenCall> open;
  while (open.empty() && std::chrono::steady_clock::now() < until) {
    open = OpenOf(h, run);
    std::this_thread::yield();
  }
  ASSERT_THAT(open, SizeIs(1));
  EXPECT_EQ(open[0].waits_for, WaitsFor::kLookUp);
  EXPECT_EQ(h.engine().GetRun(h.integrator, run)->state, RunState::kRunning);
}

TEST(OpenCalls, ACancelledRunNamesTheCallThatAPersonHasToResolve) {
  Harness h(AllowAll(), {WriteTool("bill")});
  const std::string run = Bills(h);
  h.WaitForState(run, RunState::kWaitingForPerson);
  ASSERT_TRUE(h.Cancel(run).ok());
  for (const bool restarted : {false, true}) {
    if (restarted) h.Restart();
    const auto open = OpenOf(h, run);
    ASSERT_THAT(open, SizeIs(1));
    EXPECT_EQ(open[0].waits_for, WaitsFor::kPerson);
    EXPECT_EQ(open[0].call, h.CallsOf(run).at(0).id);
    EXPECT_EQ(h.engine().GetRun(h.integrator, run)->state, RunState::kCancelling);
  }
  ASSERT_TRUE(h.Resolve(h.operator_one, h.CallsOf(run).at(0).id, false).ok());
  h.WaitForState(run, RunState::kCancelled);
  EXPECT_THAT(OpenOf(h, run), IsEmpty());
}

// No entry says that nothing was found out: whoever watches the run is told all the same.
TEST(OpenCalls, WhoWatchesIsToldWhenALookUpEndsWithoutAnAnswer) {
  Harness h(AllowAll(),
            {{.name = "bill", .effect = tools::Effect::kWrite, .reconcile = "bill.state"},
             ReadTool("bill.state")});
  h.tools.Holds("bill.state");
  const std::string run = Bills(h);
  h.tools.WaitUntilHeld("bill.state", 1);
  ASSERT_TRUE(h.Cancel(run).ok());
  auto open = OpenOf(h, run);
  ASSERT_THAT(open, SizeIs(1));
  EXPECT_EQ(open[0].waits_for, WaitsFor::kLookUp);
  h.tools.Release("bill.state", OkOutcome({{"who", "knows"}}));
  h.WaitFor(run, [](const RunInfo& info) {
    return info.open_calls.size() == 1 && info.open_calls[0].waits_for == WaitsFor::kPerson;
  });
}

std::string AsksForAll() {
  return std::string(kPolicyHead) + R"(on("*", "ask", function(c) return )" + kAsksManager +
         " end)";
}

TEST(OpenCalls, AParkedRunNamesEachApprovalThatSomebodyHasToAnswer) {
  Harness h(AsksForAll(), TripTools());
  h.planner.plans = {FakePlanner::Calls(
      {{"a", "flight.cancel", R"({"ref":"f1"})"}, {"b", "hotel.cancel", R"({"ref":"h1"})"}})};
  const auto run = h.CreateRun();
  h.WaitForState(run->id, RunState::kWaitingForApproval);
  auto open = OpenOf(h, run->id);
  ASSERT_THAT(open, SizeIs(2));
  EXPECT_EQ(open[0].tool, "flight.cancel");
  EXPECT_EQ(open[1].tool, "hotel.cancel");
  for (const OpenCall& one : open) EXPECT_EQ(one.waits_for, WaitsFor::kApproval);
  ASSERT_TRUE(h.AnswerApproval(h.manager, open[1].approval, true).ok());
  h.WaitFor(run->id, [&](const RunInfo&) { return h.tools.runs("hotel.cancel") == 1; });
  h.Restart();
  const std::string first = open[0].approval;
  open = OpenOf(h, run->id);
  ASSERT_THAT(open, SizeIs(1));
  EXPECT_EQ(open[0].approval, first);
}

// Its approvals end with it, and nobody has to answer one any more.
TEST(OpenCalls, ACancelledRunAsksNobody) {
  Harness h(std::string(kPolicyHead) +
                "on(\"*\", \"ask\", function(c)\n"
                "  if c.call.tool == \"hotel.book\" then return allow() end\n  return " +
                kAsksManager + "\nend)",
            TripTools());
  h.tools.Holds("hotel.book");
  h.planner.plans = {
      FakePlanner::Calls({{"a", "flight.cancel", R"({"ref":"f1"})"}, {"b", "hotel.book", "{}"}})};
  const auto run = h.CreateRun();
  h.tools.WaitUntilHeld("hotel.book", 1);
  h.WaitFor(run->id, [&](const RunInfo&) { return !h.Pending().empty(); });
  ASSERT_TRUE(h.Cancel(run->id).ok());
  const auto open = OpenOf(h, run->id);
  ASSERT_THAT(open, SizeIs(1));
  EXPECT_EQ(open[0].tool, "hotel.book");
  EXPECT_EQ(open[0].waits_for, WaitsFor::kOutcome);
  h.tools.Release("hotel.book", FailedOutcome("FULL"));
  h.WaitForState(run->id, RunState::kCancelled);
}

// Who watches must not take what is said beside a call for a question to the user alone.
TEST(OpenCalls, WhatIsSaidBesideAParkedCallIsOneStepWithItsParking) {
  Harness h(AsksForAll(), TripTools());
  Plan plan = FakePlanner::Calls({{"a", "flight.cancel", R"({"ref":"f1"})"}});
  plan.text = "Your manager is asked.";
  h.planner.plans = {plan};
  const auto run = h.CreateRun();
  h.WaitForState(run->id, RunState::kWaitingForApproval);
  const auto entries = h.Entries(run->id);
  ASSERT_GE(entries.size(), 2u);
  const audit::Entry& said = entries.at(entries.size() - 2);
  EXPECT_EQ(said.kind, "run.waiting");
  EXPECT_EQ(entries.back().kind, "run.parked");
  EXPECT_EQ(said.time_us, entries.back().time_us);
  ExpectMadeAnew(h, run->id, {&h.agent});
}

std::string FailsAfterAFlight(Harness& h) {
  PlanTrip(h);
  h.planner.plans = {Books("flight"), core::InvalidArgument("no plan for this")};
  return TripUntil(h, RunState::kCompensating);
}

TEST(OpenCalls, ARunThatTakesBackWhatItDidNamesItsApproval) {
  Harness h(CancelsAre(kAsksManager), TripTools());
  const std::string run = FailsAfterAFlight(h);
  h.WaitFor(run, [&](const RunInfo&) { return !h.Pending().empty(); });
  const auto open = OpenOf(h, run);
  ASSERT_THAT(open, SizeIs(1));
  EXPECT_EQ(open[0].tool, "flight.cancel");
  EXPECT_EQ(open[0].waits_for, WaitsFor::kApproval);
  EXPECT_EQ(open[0].approval, h.Pending().front().state.id);
}

TEST(OpenCalls, ARunThatASwitchKeepsFromTakingBackNamesWhatStands) {
  Harness h(AllowAll(), TripTools());
  ASSERT_TRUE(h.engine().SetSwitch(h.operator_one, "tool:flight.cancel", "odd").ok());
  const std::string run = FailsAfterAFlight(h);
  for (const bool restarted : {false, true}) {
    if (restarted) h.Restart();
    const auto open = OpenOf(h, run);
    ASSERT_THAT(open, SizeIs(1));
    EXPECT_EQ(open[0].tool, "flight.book");
    EXPECT_EQ(open[0].waits_for, WaitsFor::kSwitch);
  }
  ASSERT_TRUE(h.engine().LiftSwitch(h.operator_two, {"tool:flight.cancel", "ok", ""}).ok());
  h.WaitForState(run, RunState::kFailed);
  EXPECT_THAT(OpenOf(h, run), IsEmpty());
}

// It ends without the word of a person about what it could not take back anyway.
TEST(OpenCalls, WhatStaysUnknownDoesNotHideWhatIsTakenBack) {
  std::vector<ToolSpec> tools = TripTools();
  tools.push_back(WriteTool("mail"));
  Harness h(AllowAll(), tools);
  h.tools.On("mail",
             [](const tools::CallSpec&, const FakeTools::Done& done) { done(UnknownOutcome()); });
  PlanTrip(h);
  h.planner.plans = {Books("flight"), FakePlanner::Calls({{"m", "mail", "{}"}}),
                     core::InvalidArgument("no plan for this")};
  ASSERT_TRUE(h.engine().SetSwitch(h.operator_one, "tool:flight.cancel", "odd").ok());
  const std::string run = TripUntil(h, RunState::kWaitingForPerson);
  ASSERT_TRUE(h.Send(run, "and?").ok());  // its planner fails at that
  h.WaitForState(run, RunState::kCompensating);
  const auto open = OpenOf(h, run);
  ASSERT_THAT(open, SizeIs(1));
  EXPECT_EQ(open[0].tool, "flight.book");
  EXPECT_EQ(open[0].waits_for, WaitsFor::kSwitch);
}

TEST(OpenCalls, WhatIsInTheWayOfTakingBackIsWaitedFor) {
  Harness h(AllowAll(), ToolsOfOneDesk());
  h.tools.On("desk.call",
             [](const tools::CallSpec&, const FakeTools::Done& done) { done(UnknownOutcome()); });
  const auto unknown = h.Execute("desk.call", {{"n", "1"}});
  ASSERT_TRUE(unknown.ok()) << unknown.status();
  const std::string run = FailsAfterAFlight(h);
  const auto open = OpenOf(h, run);
  ASSERT_THAT(open, SizeIs(1));
  EXPECT_EQ(open[0].tool, "flight.book");
  EXPECT_EQ(open[0].waits_for, WaitsFor::kTurn);
  EXPECT_EQ(h.tools.runs("flight.cancel"), 0);
  std::atomic<int> told{0};  // no entry of the run says that it is stopped
  const std::uint64_t id = h.engine().Subscribe(run, [&told] { ++told; });
  ASSERT_TRUE(h.engine().SetSwitch(h.operator_one, "tool:flight.cancel", "odd").ok());
  EXPECT_GT(told.load(), 0);
  h.engine().Unsubscribe(id);
  EXPECT_EQ(OpenOf(h, run).at(0).waits_for, WaitsFor::kSwitch);
  ASSERT_TRUE(h.engine().LiftSwitch(h.operator_two, {"tool:flight.cancel", "ok", ""}).ok());
  ASSERT_TRUE(h.Resolve(h.operator_one, unknown->id, false).ok());
  h.WaitForState(run, RunState::kFailed);
}

}  // namespace
}  // namespace interlock::runtime::test
