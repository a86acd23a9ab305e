// What a run that has not ended waits for, call by call.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "rules.h"

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

}  // namespace
}  // namespace interlock::runtime::test
