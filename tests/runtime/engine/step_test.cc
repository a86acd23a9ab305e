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
  EXPECT_TRUE(
      Only<effect::CheckAnswer>(Step(run, event::PlanReceived{Text(Finish::kAnswer, "bye")})));
  const auto effects = Step(run, event::AnswerChecked{.passes = true});
  ASSERT_TRUE(Only<effect::Finish>(effects));
  EXPECT_EQ(std::get<effect::Finish>(effects[0]).answer, "bye");
  EXPECT_TRUE(Step(run, event::Message{"more"}).empty());
}

TEST(Step, WherePlainTextIsAQuestionTheFinalAnswerEndsTheRun) {
  for (const bool final_answer : {false, true}) {
    RunCore run;
    run.on_text = OnText::kAsk;
    Step(run, event::Message{"hi"});
    Step(run, event::PlanRequested{});
    Plan plan = Text(Finish::kAnswer, "bye");
    plan.final_answer = final_answer;
    EXPECT_TRUE(Only<effect::CheckAnswer>(Step(run, event::PlanReceived{plan})));
    const auto effects = Step(run, event::AnswerChecked{.passes = true});
    EXPECT_EQ(Only<effect::Finish>(effects), final_answer);
    EXPECT_EQ(Only<effect::WaitForUser>(effects), !final_answer);
  }
}

TEST(Step, AModelsFaultIsToldToItABoundedNumberOfTimes) {
  const event::PlanFailed fault{"MODEL_REPLY", "neither text nor tool calls"};
  RunCore run;
  run.limits.repairs_max = 2;
  Step(run, event::Message{"hi"});
  for (int i = 0; i < 2; ++i) {
    Step(run, event::PlanRequested{});
    EXPECT_TRUE(Only<effect::RequestPlan>(Step(run, fault)));
    EXPECT_EQ(run.steps, i + 1);  // it counts as one
    EXPECT_NE(run.messages.back().text.find("was not used: neither text"), std::string::npos);
    EXPECT_EQ(run.messages.back().role, Role::kUser);
  }
  Step(run, event::PlanRequested{});
  const auto effects = Step(run, fault);
  ASSERT_TRUE(Only<effect::Finish>(effects));
  EXPECT_EQ(std::get<effect::Finish>(effects[0]).code, "PLANNER_REPLY");
  EXPECT_EQ(std::get<effect::Finish>(effects[0]).reason, "neither text nor tool calls");

  RunCore other;  // no other failure is the model's to mend
  Step(other, event::Message{"hi"});
  Step(other, event::PlanRequested{});
  EXPECT_TRUE(Only<effect::Finish>(Step(other, event::PlanFailed{"PLANNER_REPLY", "not JSON"})));
}

TEST(Step, RepliesThatGaveNoPlanUseTokensToo) {
  RunCore run;
  run.limits.tokens_max = 100;
  Step(run, event::Message{"hi"});
  Step(run, event::PlanRequested{});
  EXPECT_TRUE(
      Only<effect::RequestPlan>(Step(run, event::PlanFailed{"MODEL_REPLY", "it was cut", 60})));
  EXPECT_EQ(run.tokens, 60);
  Step(run, event::PlanRequested{});
  const auto effects = Step(run, event::PlanFailed{"MODEL_REPLY", "it was cut", 40});
  ASSERT_TRUE(Only<effect::Finish>(effects));
  EXPECT_EQ(std::get<effect::Finish>(effects[0]).code, "TOKEN_LIMIT");
  RunCore other;
  Step(other, event::Message{"hi"});
  Step(other, event::PlanRequested{});
  Step(other, event::PlanReceived{Text(Finish::kAnswer, "bye"), 7});
  EXPECT_EQ(other.tokens, 7);
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
  const auto says = Step(run, event::PlanReceived{Text(Finish::kAnswer, "soon")});
  ASSERT_TRUE(Only<effect::CheckAnswer>(says));
  EXPECT_EQ(std::get<effect::CheckAnswer>(says[0]).kind, Closing::Kind::kAsk);
  EXPECT_TRUE(Only<effect::WaitForUser>(Step(run, event::AnswerChecked{.passes = true})));
  EXPECT_TRUE(Only<effect::Park>(Step(run, event::Resume{})));
  Step(run, event::CallGranted{"id0"});
  EXPECT_TRUE(Only<effect::RequestPlan>(Step(run, event::CallDone{"id0", "late"})));
  Step(run, event::PlanRequested{});
  EXPECT_NE(run.messages.back().text.find("late"), std::string::npos);
  EXPECT_EQ(run.messages.back().role, Role::kUser);  // tools' words are no system message
}

// It is asked again because its reply was at fault: the note stands in front of what it is told,
// and can still be shortened.
TEST(Step, TheNoteOfALateResultKeepsItsMark) {
  RunCore run = Deciding(2);
  Step(run, event::CallParked{"id0", "pending"});
  Step(run, event::CallParked{"id1", "pending"});
  Step(run, event::Message{"how long?"});
  Step(run, event::PlanRequested{});
  Step(run, event::PlanReceived{Text(Finish::kAnswer, "soon")});
  Step(run, event::AnswerChecked{.passes = true});
  Step(run, event::CallGranted{"id0"});
  Step(run, event::CallDone{"id0", "late"});
  Step(run, event::CallReleased{"id0", "late", "r1"});
  Step(run, event::PlanRequested{});
  Step(run, event::PlanFailed{std::string(kModelReply), "neither text nor calls"});
  Step(run, event::PlanRequested{});
  ASSERT_EQ(run.context.marks.size(), run.messages.size());
  for (std::size_t i = 0; i < run.messages.size(); ++i) {
    const bool note = run.messages[i].text.find("late") != std::string::npos;
    EXPECT_EQ(run.context.marks[i].handle, note ? "r1" : "") << run.messages[i].text;
    EXPECT_EQ(note && run.context.marks[i].call != "id0", false);
  }
}

// "It is 40 above; I ask your manager": said once, then the run is parked.
TEST(Step, WhatIsSaidBesideACallThatWaitsIsSaidOnce) {
  RunCore run;
  Step(run, event::Message{"hi"});
  Step(run, event::PlanRequested{});
  Plan plan = Calls(2);
  plan.text = "I ask your manager.";
  EXPECT_TRUE(Only<effect::StartCalls>(Step(run, event::PlanReceived{plan})));
  Step(run, event::CallDeciding{0, 0, "id0"});
  Step(run, event::CallDeciding{0, 1, "id1"});
  Step(run, event::CallParked{"id0", "pending"});
  EXPECT_TRUE(Only<effect::CheckAnswer>(Step(run, event::CallParked{"id1", "pending"})));
  const auto says = Step(run, event::AnswerChecked{.passes = true, .changed = true, .text = "x"});
  ASSERT_TRUE(Only<effect::WaitForUser>(says));
  EXPECT_EQ(std::get<effect::WaitForUser>(says[0]).text, "x");
  EXPECT_TRUE(Only<effect::Park>(Step(run, event::Resume{})));
  EXPECT_TRUE(Step(run, event::Resume{}).empty());
  Step(run, event::CallGranted{"id0"});
  EXPECT_TRUE(Only<effect::Park>(Step(run, event::CallDone{"id0", "a"})));
  Step(run, event::CallGranted{"id1"});
  EXPECT_TRUE(Only<effect::RequestPlan>(Step(run, event::CallDone{"id1", "b"})));
}

TEST(Step, WhatRulesKeepBackWhileACallWaitsFailsNothing) {
  RunCore run;
  run.limits.repairs_max = 0;
  Step(run, event::Message{"hi"});
  Step(run, event::PlanRequested{});
  Plan plan = Calls(1);
  plan.text = "a secret";
  Step(run, event::PlanReceived{plan});
  Step(run, event::CallDeciding{0, 0, "id0"});
  EXPECT_TRUE(Only<effect::CheckAnswer>(Step(run, event::CallParked{"id0", "pending"})));
  EXPECT_TRUE(Only<effect::Park>(Step(run, event::AnswerChecked{.code = "NO"})));
}

// Of plans that the user's words brought about; the call that waits is of an older one.
TEST(Step, ResultsOfANewPlanAreReadAlthoughAnOlderCallWaits) {
  RunCore run = Deciding(1);
  Step(run, event::CallParked{"id0", "pending"});
  Step(run, event::Message{"and my other order?"});
  Step(run, event::PlanRequested{});
  EXPECT_TRUE(Only<effect::StartCalls>(Step(run, event::PlanReceived{Calls(2)})));
  Step(run, event::CallDeciding{1, 0, "id1"});
  Step(run, event::CallDeciding{1, 1, "id2"});
  Step(run, event::CallParked{"id2", "pending"});
  // The call beside it waits: no complete picture yet.
  EXPECT_TRUE(Only<effect::Park>(Step(run, event::CallDone{"id1", "on its way"})));
  Step(run, event::CallGranted{"id2"});
  EXPECT_TRUE(Only<effect::RequestPlan>(Step(run, event::CallDone{"id2", "b"})));
  Step(run, event::PlanRequested{});
  ASSERT_EQ(run.messages.size(), 7u);
  EXPECT_EQ(run.messages[5].text, "on its way");
  EXPECT_EQ(run.messages[6].text, "b");
  EXPECT_EQ(run.slots.size(), 1u);  // the older one still waits
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
  EXPECT_TRUE(Only<effect::CheckAnswer>(Step(answered, event::Resume{})));
  EXPECT_TRUE(Only<effect::WaitForUser>(Step(answered, event::AnswerChecked{.passes = true})));
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

TEST(Step, ARefusedAnswerGoesBackABoundedNumberOfTimes) {
  RunCore run;
  run.limits.repairs_max = 1;
  Step(run, event::Message{"hi"});
  Step(run, event::PlanRequested{});
  Step(run, event::PlanReceived{Text(Finish::kAnswer, "secret")});
  const event::AnswerChecked refused{.code = "SECRET", .say = "Leave it out."};
  EXPECT_TRUE(Only<effect::RequestPlan>(Step(run, refused)));
  EXPECT_NE(run.messages.back().text.find("SECRET). Leave it out."), std::string::npos);
  Step(run, event::PlanRequested{});
  Step(run, event::PlanReceived{Text(Finish::kAnswer, "secret again")});
  const auto effects = Step(run, refused);
  ASSERT_TRUE(Only<effect::Finish>(effects));
  EXPECT_EQ(std::get<effect::Finish>(effects[0]).code, "ANSWER_WITHHELD");
}

TEST(Step, WhatTheUserWritesGivesTheRepairsBack) {
  RunCore run;
  run.limits.repairs_max = 1;
  Step(run, event::Message{"hi"});
  for (int turn = 0; turn < 3; ++turn) {
    Step(run, event::PlanRequested{});
    Step(run, event::PlanReceived{Text(Finish::kAsk, "which?")});
    EXPECT_TRUE(Only<effect::RequestPlan>(Step(run, event::AnswerChecked{.code = "NO"})));
    Step(run, event::PlanRequested{});
    Step(run, event::PlanReceived{Text(Finish::kAsk, "this one?")});
    EXPECT_TRUE(Only<effect::WaitForUser>(Step(run, event::AnswerChecked{.passes = true})));
    EXPECT_TRUE(Only<effect::RequestPlan>(Step(run, event::Message{"yes"})));
  }
}

TEST(Step, TheVerySameCallsAgainAndAgainAreALoop) {
  RunCore run;
  run.limits.repeats_max = 3;
  Step(run, event::Message{"hi"});
  for (int plan = 0; plan < 3; ++plan) {
    Step(run, event::PlanRequested{});
    ASSERT_TRUE(Only<effect::StartCalls>(Step(run, event::PlanReceived{Calls(1)})));
    const std::string id = "id" + std::to_string(plan);
    Step(run, event::CallDeciding{plan, 0, id});
    Step(run, event::CallDone{id, "a"});
  }
  Step(run, event::PlanRequested{});
  const auto effects = Step(run, event::PlanReceived{Calls(1)});
  ASSERT_TRUE(Only<effect::Finish>(effects));
  EXPECT_EQ(std::get<effect::Finish>(effects[0]).code, "LOOP");
}

// Plans with this call, one after the other, each answered.
std::vector<Effect> Made(RunCore& run, int plan, const std::string& tool, const std::string& args) {
  Step(run, event::PlanRequested{});
  Plan made = Calls(1);
  made.calls[0].tool = tool;
  made.calls[0].args_text = args;
  const auto effects = Step(run, event::PlanReceived{made});
  const std::string id = "id" + std::to_string(plan);
  Step(run, event::CallDeciding{plan, 0, id});
  Step(run, event::CallDone{id, "a"});
  return effects;
}

std::string CodeOf(const std::vector<Effect>& effects) {
  const bool ends = Only<effect::Finish>(effects);
  return ends ? std::get<effect::Finish>(effects[0]).code : "";
}

TEST(Step, ALoopIsSeenWhateverStandsBetweenAndHoweverItIsWritten) {
  const std::string same[] = {R"({"a":1,"b":2})", R"({ "b":2, "a":1 })"};
  for (const bool loops : {true, false}) {
    RunCore run;
    run.limits.repeats_max = 3;
    Step(run, event::Message{"hi"});
    std::string code;
    int plan = 0;
    for (; plan < 12 && code.empty(); ++plan) {
      const bool mine = plan % 3 == 0;
      const std::string own = R"({"a":)" + std::to_string(plan) + "}";
      code = CodeOf(Made(run, plan, mine ? "poll" : "look", mine && loops ? same[plan % 2] : own));
    }
    EXPECT_EQ(code, loops ? "LOOP" : "");
    EXPECT_EQ(plan, loops ? 10 : 12);  // the fourth of them
  }
}

TEST(Step, AUsersWordsBeginTheCountAnew) {
  RunCore run;
  run.limits.repeats_max = 2;
  for (int plan = 0; plan < 8; ++plan) {
    if (plan % 2 == 0) Step(run, event::Message{"again"});
    EXPECT_EQ(CodeOf(Made(run, plan, "poll", "{}")), "");
  }
}

TEST(Step, OnePlanCanBeALoop) {
  RunCore run;
  run.limits.repeats_max = 3;
  Step(run, event::Message{"hi"});
  Step(run, event::PlanRequested{});
  EXPECT_TRUE(Only<effect::StartCalls>(Step(run, event::PlanReceived{Calls(3)})));
  RunCore more = Deciding(1);
  more.limits.repeats_max = 3;
  Step(more, event::CallDone{"id0", "a"});
  Step(more, event::PlanRequested{});
  const auto effects = Step(more, event::PlanReceived{Calls(3)});
  ASSERT_EQ(CodeOf(effects), "LOOP");
  EXPECT_EQ(std::get<effect::Finish>(effects[0]).reason,
            "the planner made the very same call of `tool` 4 times");
}

TEST(Step, OtherArgumentsAreNoLoop) {
  RunCore run;
  run.limits.repeats_max = 1;
  Step(run, event::Message{"hi"});
  for (int plan = 0; plan < 5; ++plan) {
    Step(run, event::PlanRequested{});
    Plan next = Calls(1);
    next.calls[0].args_text = R"({"page":)" + std::to_string(plan) + "}";
    ASSERT_TRUE(Only<effect::StartCalls>(Step(run, event::PlanReceived{next})));
    const std::string id = "id" + std::to_string(plan);
    Step(run, event::CallDeciding{plan, 0, id});
    Step(run, event::CallDone{id, "a"});
  }
}

TEST(Step, TokensAreCountedOverThePlans) {
  RunCore run;
  run.limits.tokens_max = 100;
  Step(run, event::Message{"hi"});
  Step(run, event::PlanRequested{});
  Plan plan = Calls(1);
  plan.prompt_tokens = 90;
  plan.completion_tokens = 10;
  Step(run, event::PlanReceived{plan});  // what was paid for is still done
  Step(run, event::CallDeciding{0, 0, "id0"});
  const auto effects = Step(run, event::CallDone{"id0", "a"});
  ASSERT_TRUE(Only<effect::Finish>(effects));
  EXPECT_EQ(std::get<effect::Finish>(effects[0]).code, "TOKEN_LIMIT");
}

Plan HandOver(std::string args) {
  Plan plan = Calls(1);
  plan.calls.push_back({"h", std::string(kEscalateTool), std::move(args)});
  return plan;
}

TEST(Step, AHandOverWaitsForTheCallsBesideIt) {
  RunCore run;
  run.escalates = true;
  Step(run, event::Message{"hi"});
  Step(run, event::PlanRequested{});
  EXPECT_TRUE(Only<effect::StartCalls>(
      Step(run, event::PlanReceived{HandOver(R"({"summary":"angry customer"})")})));
  Step(run, event::CallDeciding{0, 0, "id0"});
  EXPECT_TRUE(Only<effect::CheckAnswer>(Step(run, event::CallDone{"id0", "a"})));
  const auto effects = Step(run, event::AnswerChecked{.passes = true});
  ASSERT_TRUE(Only<effect::Finish>(effects));
  EXPECT_EQ(std::get<effect::Finish>(effects[0]).state, RunState::kEscalated);
  EXPECT_EQ(std::get<effect::Finish>(effects[0]).answer, "angry customer");
}

TEST(Step, AMessageComesBeforeAHandOver) {
  RunCore run;
  run.escalates = true;
  Step(run, event::Message{"hi"});
  Step(run, event::PlanRequested{});
  Step(run, event::PlanReceived{HandOver(R"({"summary":"angry customer"})")});
  Step(run, event::CallDeciding{0, 0, "id0"});
  Step(run, event::Message{"never mind"});
  EXPECT_TRUE(Only<effect::RequestPlan>(Step(run, event::CallDone{"id0", "a"})));
  Step(run, event::PlanRequested{});
  ASSERT_EQ(run.messages.size(), 5u);  // each call of the plan has its answer
  EXPECT_NE(run.messages[3].text.find("NOT_HANDED_OVER"), std::string::npos);
  EXPECT_EQ(run.messages[4].text, "never mind");
}

TEST(Step, AHandOverWithoutASummaryIsRefusedAndWithoutLeaveIsACallLikeAny) {
  RunCore run;
  run.escalates = true;
  Step(run, event::Message{"hi"});
  Step(run, event::PlanRequested{});
  Step(run, event::PlanReceived{HandOver("{}")});
  Step(run, event::CallDeciding{0, 0, "id0"});
  EXPECT_TRUE(Only<effect::RequestPlan>(Step(run, event::CallDone{"id0", "a"})));

  RunCore may_not;
  Step(may_not, event::Message{"hi"});
  Step(may_not, event::PlanRequested{});
  Step(may_not, event::PlanReceived{HandOver(R"({"summary":"x"})")});
  ASSERT_EQ(may_not.slots.size(), 2u);
  EXPECT_EQ(may_not.slots[1].phase, SlotPhase::kProposed);
}

TEST(Step, TimeUpLosesNoStartedCall) {
  RunCore run = Deciding(1);
  Step(run, event::CallRunning{"id0"});
  EXPECT_TRUE(Step(run, event::TimeUp{}).empty());
  const auto effects = Step(run, event::CallDone{"id0", "a"});
  ASSERT_TRUE(Only<effect::Finish>(effects));
  EXPECT_EQ(std::get<effect::Finish>(effects[0]).code, "TIME_LIMIT");
}

// Once as it strikes, whatever the run has said before; not again, and not in the place of another.
TEST(Step, TimeUpIsSaidOfARunThatWaitsForAnother) {
  RunCore run = Deciding(1);
  ASSERT_TRUE(Only<effect::WaitForRun>(Step(run, event::CallRunning{"id0", "below"})));
  const auto effects = Step(run, event::TimeUp{});
  ASSERT_EQ(effects.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<effect::StopRuns>(effects[0]));
  EXPECT_TRUE(std::holds_alternative<effect::WaitForRun>(effects[1]));
  EXPECT_TRUE(Only<effect::StopRuns>(Step(run, event::TimeUp{})));
  const auto ends = Step(run, event::CallDone{"id0", "a"});
  ASSERT_TRUE(Only<effect::Finish>(ends));
  EXPECT_EQ(std::get<effect::Finish>(ends[0]).code, "TIME_LIMIT");
}

// One in the gate may start one more run: the log says which are waited for.
TEST(Step, TimeUpWhileACallIsInTheGateIsSaidBehindIt) {
  RunCore run = Deciding(2);
  run.slots[1].proposed.tool = "agent.helper";
  Step(run, event::CallRunning{"id0", "below"});
  EXPECT_TRUE(Only<effect::StopRuns>(Step(run, event::TimeUp{})));
  const auto effects = Step(run, event::CallRunning{"id1", "below, too"});
  ASSERT_EQ(effects.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<effect::StopRuns>(effects[0]));
  EXPECT_TRUE(std::holds_alternative<effect::WaitForRun>(effects[1]));
}

TEST(Step, TimeUpDoesNotTakeThePlaceOfAnotherFailure) {
  RunCore run = Deciding(1);
  run.limits.steps_max = 1;
  Step(run, event::CallRunning{"id0", "below"});
  Step(run, event::Message{"how far?"});
  EXPECT_TRUE(Only<effect::StopRuns>(Step(run, event::TimeUp{})));
  const auto ends = Step(run, event::CallDone{"id0", "a"});
  ASSERT_TRUE(Only<effect::Finish>(ends));
  EXPECT_EQ(std::get<effect::Finish>(ends[0]).code, "STEP_LIMIT");
}

}  // namespace
}  // namespace interlock::runtime
