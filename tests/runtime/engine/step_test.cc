// The pure core by itself: no engine, no log.
#include "engine/step.h"

#include <gtest/gtest.h>

namespace interlock::runtime {
namespace {

template <typename T>
bool Only(const std::vector<Effect>& effects) {
  return effects.size() == 1 && std::holds_alternative<T>(effects[0]);
}

Plan Calls(int count) {
  Plan plan;
  plan.finish = Finish::kCalls;
  for (int i = 0; i < count; ++i) plan.calls.push_back({"c" + std::to_string(i), "tool", "{}"});
  return plan;
}

Plan Text(Finish finish, std::string text) {
  Plan plan;
  plan.finish = finish;
  plan.text = std::move(text);
  return plan;
}

// A run with one plan of `count` calls, all of them deciding.
RunCore Deciding(int count) {
  RunCore run;
  EXPECT_TRUE(Only<effect::RequestPlan>(Step(run, event::Message{"hi"})));
  Step(run, event::PlanRequested{});
  EXPECT_TRUE(Only<effect::StartCalls>(Step(run, event::PlanReceived{Calls(count)})));
  for (int i = 0; i < count; ++i) Step(run, event::CallDeciding{0, i, "id" + std::to_string(i)});
  return run;
}

TEST(Step, AnswerEndsTheRun) {
  RunCore run;
  Step(run, event::Message{"hi"});
  Step(run, event::PlanRequested{});
  const auto effects = Step(run, event::PlanReceived{Text(Finish::kAnswer, "bye")});
  ASSERT_TRUE(Only<effect::Finish>(effects));
  EXPECT_EQ(std::get<effect::Finish>(effects[0]).answer, "bye");
  EXPECT_TRUE(Step(run, event::Message{"more"}).empty());
}

TEST(Step, PlansAgainWhenEveryCallHasEnded) {
  RunCore run = Deciding(2);
  Step(run, event::CallRunning{"id0"});
  EXPECT_TRUE(Step(run, event::CallDone{"id1", "b"}).empty());
  EXPECT_TRUE(Only<effect::RequestPlan>(Step(run, event::CallDone{"id0", "a"})));
  Step(run, event::PlanRequested{});
  ASSERT_EQ(run.messages.size(), 4u);
  EXPECT_EQ(run.messages[2].text, "a");  // plan order, not the order of ending
  EXPECT_EQ(run.messages[3].text, "b");
}

TEST(Step, ParksWhenOnlyParkedCallsAreLeft) {
  RunCore run = Deciding(2);
  EXPECT_TRUE(Step(run, event::CallParked{"id0", "pending"}).empty());
  EXPECT_TRUE(Only<effect::Park>(Step(run, event::CallDone{"id1", "b"})));
  EXPECT_TRUE(Only<effect::ResumeCall>(Step(run, event::CallGranted{"id0"})));
  EXPECT_TRUE(Step(run, event::CallGranted{"id0"}).empty());  // once
  EXPECT_TRUE(Only<effect::RequestPlan>(Step(run, event::CallDone{"id0", "a"})));
}

TEST(Step, AMessageIsPlannedForWhileACallIsParkedAndItsLateResultIsTold) {
  RunCore run = Deciding(1);
  Step(run, event::CallParked{"id0", "pending"});
  EXPECT_TRUE(Only<effect::RequestPlan>(Step(run, event::Message{"how long?"})));
  Step(run, event::PlanRequested{});
  ASSERT_EQ(run.messages.size(), 4u);
  EXPECT_EQ(run.messages[2].text, "pending");
  EXPECT_EQ(run.messages[3].text, "how long?");
  EXPECT_TRUE(Only<effect::Park>(Step(run, event::PlanReceived{Text(Finish::kAnswer, "soon")})));
  Step(run, event::CallGranted{"id0"});
  EXPECT_TRUE(Only<effect::RequestPlan>(Step(run, event::CallDone{"id0", "late"})));
  Step(run, event::PlanRequested{});
  EXPECT_NE(run.messages.back().text.find("late"), std::string::npos);
  EXPECT_EQ(run.messages.back().role, Role::kUser);  // tools' words are no system message
}

TEST(Step, ResumeFindsWhatIsLeftAtEveryPoint) {
  RunCore planning;
  Step(planning, event::Message{"hi"});
  Step(planning, event::PlanRequested{});
  EXPECT_TRUE(Only<effect::AskPlannerAgain>(Step(planning, event::Resume{})));

  RunCore answered;
  Step(answered, event::Message{"hi"});
  Step(answered, event::PlanRequested{});
  Step(answered, event::PlanReceived{Text(Finish::kAsk, "which?")});
  answered.state = RunState::kRunning;  // the log does not say yet that it waits
  EXPECT_TRUE(Only<effect::WaitForUser>(Step(answered, event::Resume{})));
  EXPECT_TRUE(Step(answered, event::Resume{}).empty());

  RunCore proposed;
  Step(proposed, event::Message{"hi"});
  Step(proposed, event::PlanRequested{});
  Step(proposed, event::PlanReceived{Calls(1)});
  EXPECT_TRUE(Only<effect::StartCalls>(Step(proposed, event::Resume{})));
}

TEST(Step, CancelWaitsForWhatRuns) {
  RunCore run = Deciding(2);
  Step(run, event::CallRunning{"id0"});
  Step(run, event::CallParked{"id1", "pending"});
  EXPECT_TRUE(Only<effect::BeginCancel>(Step(run, event::Cancel{"me"})));
  EXPECT_EQ(run.state, RunState::kCancelling);
  const auto effects = Step(run, event::CallDone{"id0", "a"});
  ASSERT_TRUE(Only<effect::Finish>(effects));
  EXPECT_EQ(std::get<effect::Finish>(effects[0]).state, RunState::kCancelled);
}

TEST(Step, LimitsEndTheRun) {
  RunCore run;
  run.limits.calls_max = 2;
  Step(run, event::Message{"hi"});
  Step(run, event::PlanRequested{});
  const auto effects = Step(run, event::PlanReceived{Calls(3)});
  ASSERT_TRUE(Only<effect::Finish>(effects));
  EXPECT_EQ(std::get<effect::Finish>(effects[0]).code, "CALL_LIMIT");
}

TEST(Step, TimeUpLosesNoStartedCall) {
  RunCore run = Deciding(1);
  Step(run, event::CallRunning{"id0"});
  EXPECT_TRUE(Step(run, event::TimeUp{}).empty());
  const auto effects = Step(run, event::CallDone{"id0", "a"});
  ASSERT_TRUE(Only<effect::Finish>(effects));
  EXPECT_EQ(std::get<effect::Finish>(effects[0]).code, "TIME_LIMIT");
}

}  // namespace
}  // namespace interlock::runtime
