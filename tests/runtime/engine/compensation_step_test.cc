// The pure core of a run that takes back what it did.
#include <gtest/gtest.h>

#include "engine/run_state.h"
#include "engine/step_compensation.h"

namespace interlock::runtime {
namespace {

using Calls = std::vector<std::string>;

template <typename T>
const T* Only(const std::vector<Effect>& effects) {
  return effects.size() == 1 ? std::get_if<T>(&effects[0]) : nullptr;
}

// A run whose calls `effects` took effect, and which has begun to compensate as the log says.
RunCore Begun(const Calls& effects) {
  RunCore run;
  for (const std::string& call : effects) run.effects.push_back({.call = call});
  const auto began =
      EndUncompleted(run, {.state = RunState::kFailed, .code = "LOOP", .reason = "why"});
  const auto* begin = Only<effect::BeginCompensation>(began);
  EXPECT_NE(begin, nullptr);
  if (begin == nullptr) return run;
  const auto then = Step(run, event::Compensating{begin->ending, begin->calls});
  const auto* first = Only<effect::Compensate>(then);
  EXPECT_NE(first, nullptr);
  if (first != nullptr) {
    EXPECT_EQ(first->of, effects.back());
  }
  return run;
}

TEST(CompensationStep, ARunThatDidNothingEndsAtOnce) {
  RunCore run;
  const auto effects = EndUncompleted(run, {.state = RunState::kCancelled, .code = "CANCELLED"});
  const auto* finish = Only<effect::Finish>(effects);
  ASSERT_NE(finish, nullptr);
  EXPECT_EQ(finish->state, RunState::kCancelled);
  EXPECT_EQ(run.state, RunState::kCancelled);
}

TEST(CompensationStep, NothingIsTakenBackBeforeTheLogSaysSo) {
  RunCore run;
  run.effects = {{.call = "a"}};
  EndUncompleted(run, {.state = RunState::kFailed, .code = "LOOP"});
  EXPECT_EQ(run.state, RunState::kCompensating);
  EXPECT_TRUE(Step(run, event::Resume{}).empty());
  EXPECT_FALSE(CompensationWaits(run));
}

TEST(CompensationStep, NewestFirstAndOneAfterTheOther) {
  RunCore run = Begun({"a", "b"});
  Step(run, event::CompensationProposed{"b", "undo-b"});
  EXPECT_TRUE(Step(run, event::Resume{}).empty());
  EXPECT_TRUE(Step(run, event::CallRunning{"undo-b"}).empty());
  const auto then = Step(run, event::CallDone{"undo-b", "", true});
  const auto* next = Only<effect::Compensate>(then);
  ASSERT_NE(next, nullptr);
  EXPECT_EQ(next->of, "a");
  EXPECT_TRUE(Step(run, event::CallDone{"undo-b", "", true}).empty());  // heard twice
  Step(run, event::CompensationProposed{"a", "undo-a"});
  const auto last = Step(run, event::CallDone{"undo-a", "", true});
  const auto* finish = Only<effect::Finish>(last);
  ASSERT_NE(finish, nullptr);
  EXPECT_EQ(finish->state, RunState::kFailed);
  EXPECT_EQ(finish->code, "LOOP");
  EXPECT_EQ(finish->reason, "why");
  EXPECT_TRUE(finish->uncompensated.empty());
}

CallSlot AtWork(const std::string& call, std::int64_t position) {
  return {.proposed = {},
          .step = 0,
          .position = position,
          .call = call,
          .phase = SlotPhase::kRunning,
          .observation = "",
          .compensable = true};
}

// The log's order is the one that a restart finds, and a replay.
TEST(CompensationStep, TakesBackInTheOrderOfTheLogHoweverHeardOf) {
  RunCore run;
  run.slots = {AtWork("a", 0), AtWork("b", 1), AtWork("c", 2), AtWork("asks next", 3)};
  Step(run, event::CallDone{.call = "a", .observation = "", .took_effect = true, .index = 7});
  Step(run, event::CallDone{.call = "c", .observation = "", .took_effect = true, .index = 9});
  Step(run, event::CallDone{.call = "b",
                            .observation = "",
                            .took_effect = true,
                            .index = 8,
                            .effects = {"of b, first", "of b, last"}});
  Step(run, event::CallDone{.call = "asks next", .observation = "", .took_effect = true});
  EndUncompleted(run, {.state = RunState::kFailed, .code = "LOOP"});
  Calls order;
  for (const Compensation& one : run.compensations) order.push_back(one.of);
  EXPECT_EQ(order, Calls({"asks next", "c", "of b, last", "of b, first", "b", "a"}));
}

TEST(CompensationStep, WhatCouldNotBeTakenBackIsNamedAndTheRestGoesOn) {
  RunCore run = Begun({"a", "b"});
  Step(run, event::CompensationProposed{"b", "undo-b"});
  EXPECT_NE(Only<effect::Compensate>(Step(run, event::CallDone{"undo-b", "denied"})), nullptr);
  Step(run, event::CompensationProposed{"a", "undo-a"});
  const auto last = Step(run, event::CallDone{"undo-a", "", true});
  const auto* finish = Only<effect::Finish>(last);
  ASSERT_NE(finish, nullptr);
  EXPECT_EQ(finish->state, RunState::kUncompensated);
  EXPECT_EQ(finish->as, RunState::kFailed);
  EXPECT_EQ(finish->uncompensated, Calls({"b"}));
  EXPECT_EQ(run.state, RunState::kUncompensated);
}

TEST(CompensationStep, WaitsForAnApprovalAndGoesOnWhenItIsGiven) {
  RunCore run = Begun({"a"});
  EXPECT_FALSE(CompensationWaits(run));
  Step(run, event::CompensationProposed{"a", "undo-a"});
  Step(run, event::CallParked{"undo-a", "pending"});
  EXPECT_TRUE(CompensationWaits(run));
  const auto granted = Step(run, event::CallGranted{"undo-a"});
  const auto* resume = Only<effect::ResumeCall>(granted);
  ASSERT_NE(resume, nullptr);
  EXPECT_EQ(resume->call, "undo-a");
  EXPECT_FALSE(CompensationWaits(run));
}

TEST(CompensationStep, ACallThatAPersonHasToSpeakOfIsWaitedFor) {
  for (const bool happened : {true, false}) {
    RunCore run;
    run.effects = {{.call = "a"}};
    run.slots.push_back({.proposed = {},
                         .step = 0,
                         .position = 0,
                         .call = "b",
                         .phase = SlotPhase::kPerson,
                         .observation = "",
                         .shown = true,
                         .compensable = true});
    EndUncompleted(run, {.state = RunState::kFailed, .code = "LOOP"});
    EXPECT_TRUE(Step(run, event::Compensating{run.ending, run.compensations}).empty());
    EXPECT_TRUE(CompensationWaits(run));
    const auto then = Step(run, event::CallDone{"b", "", happened});
    const auto* next = Only<effect::Compensate>(then);
    ASSERT_NE(next, nullptr);
    EXPECT_EQ(next->of, happened ? "b" : "a");
  }
}

TEST(CompensationStep, NobodyPlansAndNobodyCancelsAnyMore) {
  RunCore run = Begun({"a"});
  for (const Event& event :
       {Event(event::Message{"hi"}), Event(event::Cancel{"me"}), Event(event::TimeUp{}),
        Event(event::PlanFailed{"X", ""}), Event(event::CallDone{"other", "", true})}) {
    EXPECT_TRUE(Step(run, event).empty());
  }
  EXPECT_EQ(run.state, RunState::kCompensating);
}

TEST(CompensationStep, OnlyWhatTakesBackIsAdmitted) {
  EXPECT_TRUE(Admits(RunState::kCompensating, "a"));
  EXPECT_FALSE(Admits(RunState::kCompensating, ""));
  EXPECT_FALSE(Admits(RunState::kRunning, "a"));
  EXPECT_TRUE(Admits(RunState::kRunning, ""));
  EXPECT_FALSE(Admits(RunState::kUncompensated, "a"));
}

}  // namespace
}  // namespace interlock::runtime
