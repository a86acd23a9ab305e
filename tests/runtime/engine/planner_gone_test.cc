// A run whose planner is configured no more waits for it, and for nothing else (ADR 81).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "erasing.h"
#include "replays.h"
#include "rules.h"

namespace interlock::runtime::test {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

void StartWith(Harness& h, Planner* planner) {
  h.Stop();
  h.asked = planner;
  h.Start();
}

std::size_t Waits(Harness& h, const std::string& run) {
  const auto kinds = h.Kinds(run);
  return static_cast<std::size_t>(std::count(kinds.begin(), kinds.end(), "run.waiting"));
}

// Of `count` entries run.waiting, the newest for its planner.
void WaitForPlanner(Harness& h, const std::string& run, std::size_t count) {
  h.WaitFor(run, [&](const RunInfo& info) {
    return info.state == RunState::kWaitingForPlanner && Waits(h, run) == count;
  });
}

TEST(PlannerGone, ItsRunWaitsOverRestartsAndGoesOnWhenItIsThereAgain) {
  Harness h(AllowAll(), {ReadTool("orders.get")});
  h.planner.plans = {FakePlanner::Ask("well?")};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForUser);
  StartWith(h, nullptr);
  ASSERT_TRUE(h.Send(run->id, "go on").ok());
  WaitForPlanner(h, run->id, 2);
  const auto info = h.engine().GetRun(h.integrator, run->id);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_THAT(info->reason, HasSubstr("its planner `fake` is not configured"));
  EXPECT_EQ(info->code, "");
  h.Restart();
  ASSERT_TRUE(h.Send(run->id, "are you there?").ok());  // kept, and read later
  WaitForPlanner(h, run->id, 3);
  EXPECT_EQ(h.planner.seen().size(), 1u);

  StartWith(h, &h.planner);
  h.WaitForState(run->id, RunState::kCompleted);
  ASSERT_EQ(h.planner.seen().size(), 2u);
  EXPECT_EQ(h.planner.seen().back().messages.back().text, "are you there?");
  EXPECT_THAT(h.Kinds(run->id), Contains("run.resumed"));
  ExpectMadeAnew(h, run->id, {&h.agent});
}

TEST(PlannerGone, ARequestThatWasOpenIsMadeAnewByTheNextOne) {
  Harness h(AllowAll(), {});
  h.planner.Holds();
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.planner.WaitUntilHeld();
  const std::string files = h.CopyFiles();
  h.planner.GoesOn(FakePlanner::Answer("nobody hears this"));
  h.StopAndGoBackTo(files);
  h.asked = nullptr;
  h.Start();
  WaitForPlanner(h, run->id, 1);
  StartWith(h, &h.planner);
  h.WaitForState(run->id, RunState::kCompleted);
  ExpectMadeAnew(h, run->id, {&h.agent});
}

TEST(PlannerGone, ACancelDoesNotWaitForIt) {
  for (const bool asked : {false, true}) {
    Harness h(AllowAll(), {});
    h.planner.plans = {FakePlanner::Ask("well?")};
    if (asked) h.planner.Holds();
    const auto run = h.CreateRun();
    ASSERT_TRUE(run.ok()) << run.status();
    if (asked) {
      h.planner.WaitUntilHeld();
      const std::string files = h.CopyFiles();
      h.planner.GoesOn(FakePlanner::Answer("nobody hears this"));
      h.StopAndGoBackTo(files);
      h.asked = nullptr;
      h.Start();
      WaitForPlanner(h, run->id, 1);
    } else {
      h.WaitForState(run->id, RunState::kWaitingForUser);
      StartWith(h, nullptr);
      ASSERT_TRUE(h.Send(run->id, "go on").ok());
      WaitForPlanner(h, run->id, 2);
    }
    ASSERT_TRUE(h.Cancel(run->id).ok());
    h.WaitForState(run->id, RunState::kCancelled);
    ExpectMadeAnew(h, run->id, {&h.agent});
  }
}

// What a person has approved needs no planner; what comes of it is read by the next one.
TEST(PlannerGone, WhatIsApprovedMeanwhileIsDone) {
  Harness h(AskAlways(R"("role:cs-manager")"), {MoneyTool("pay")});
  Pays(h, "5.00");
  h.planner.plans = {FakePlanner::Calls({{"a", "pay", R"({"id":"o1"})"}})};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForApproval);
  StartWith(h, nullptr);
  const auto pending = h.Pending();
  ASSERT_EQ(pending.size(), 1u);
  ASSERT_TRUE(h.AnswerApproval(h.manager, pending[0].state.id, true).ok());
  WaitForPlanner(h, run->id, 1);
  EXPECT_EQ(h.tools.runs("pay"), 1);
  EXPECT_EQ(h.CallsOf(run->id).at(0).state, CallState::kOk);

  StartWith(h, &h.planner);
  h.WaitForState(run->id, RunState::kCompleted);
  EXPECT_EQ(h.tools.runs("pay"), 1);
  EXPECT_THAT(h.planner.seen().back().messages.back().text, HasSubstr("5.00"));
  ExpectMadeAnew(h, run->id, {&h.agent});
}

TEST(PlannerGone, TheOperatorIsToldAtTheStartAndUntilNoneWaits) {
  Harness h(AllowAll(), {});
  h.principals = std::make_shared<const std::vector<core::Principal>>(
      std::vector<core::Principal>{h.integrator, h.operator_one});
  h.planner.plans = {FakePlanner::Ask("well?")};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForUser);
  h.Restart();
  EXPECT_THAT(h.engine().warnings(), IsEmpty());
  StartWith(h, nullptr);
  ASSERT_TRUE(ApplyRetention(h, /*validate_only=*/true).ok());  // behind the look at the start
  EXPECT_THAT(h.engine().warnings(),
              ElementsAre(AllOf(HasSubstr("1 open run has the planner `fake`"),
                                HasSubstr("put one of that name into `planners`"))));
  {
    const std::lock_guard lock(h.warned_mutex);
    EXPECT_THAT(h.warned, Contains(HasSubstr("1 open run has the planner `fake`")));
  }
  ASSERT_TRUE(h.Cancel(run->id).ok());
  h.WaitForState(run->id, RunState::kCancelled);
  EXPECT_THAT(h.engine().warnings(), IsEmpty());
}

}  // namespace
}  // namespace interlock::runtime::test
