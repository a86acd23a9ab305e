// What becomes durable together in a step of an agent, and what comes in between (ADR 63).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <thread>

#include "replays.h"
#include "rules.h"
#include "writer_pause.h"

namespace interlock::runtime::test {
namespace {

using ::testing::ElementsAre;

constexpr const char* kModelBudget =
    "\nbudget \"llm\" { unit = \"tokens\", charges = \"model\", per = \"tenant\", limit = 100000, "
    "window = \"1d\" }\n";

std::string RunOf(Harness& h) {
  const auto run = h.CreateRun();
  EXPECT_TRUE(run.ok()) << run.status();
  return run.ok() ? run->id : "";
}

// Kinds of a run's entries by durable step: all entries of a command bear one time, and two
// commands of a run, with a sync between them, never do.
std::vector<std::vector<std::string>> StepsOf(Harness& h, const std::string& run) {
  std::vector<std::vector<std::string>> steps;
  std::int64_t time_us = -1;
  for (const audit::Entry& entry : h.Entries(run)) {
    if (std::exchange(time_us, entry.time_us) != entry.time_us) steps.emplace_back();
    steps.back().push_back(entry.kind);
  }
  return steps;
}

std::vector<std::string> KindsFrom(Harness& h, const std::string& run, std::string_view first) {
  std::vector<std::string> kinds;
  for (const std::string& kind : h.Kinds(run)) {
    if (!kinds.empty() || kind == first) kinds.push_back(kind);
  }
  return kinds;
}

// While the writer is held, `first` asks the journal for something, and then `then` sets off what
// follows. Mostly they come to it in that order. False: the run had ended before it was asked.
template <typename First, typename Then>
bool InOrder(Harness& h, const First& first, const Then& then) {
  WriterPause pause(h.log());
  auto asked = std::async(std::launch::async, first);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  then();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  pause.End();
  return asked.get();
}

// Tries until it came in the order that is meant: `one` says whether it did.
template <typename One>
void UntilInOrder(const One& one) {
  for (int tries = 0; tries < 50; ++tries) {
    if (one()) return;
  }
  ADD_FAILURE() << "it never came first";
}

bool Stands(const std::vector<std::string>& kinds, const std::string& kind,
            const std::string& before) {
  const auto at = std::find(kinds.begin(), kinds.end(), kind);
  return at != kinds.end() && at + 1 != kinds.end() && *(at + 1) == before;
}

// Holds the first reply of the planner until Reply.
class HeldReply {
 public:
  explicit HeldReply(Harness& h) {
    h.planner.before_reply = [this] {
      if (std::exchange(once_, true)) return;
      asked_.set_value();
      replies_.get_future().wait();
    };
  }
  void WaitUntilAsked() { asked_.get_future().wait(); }
  void Reply() { replies_.set_value(); }

 private:
  bool once_ = false;
  std::promise<void> asked_;
  std::promise<void> replies_;
};

TEST(DurableSteps, AStepOfOneCallTakesTwo) {
  Harness h(AllowAll(), {WriteTool("door.open")});
  h.tools.Answers("door.open", {{"ok", true}});
  h.planner.plans = {FakePlanner::Calls({{"a", "door.open", R"({"id":1})"}}),
                     FakePlanner::Calls({{"b", "door.open", R"({"id":2})"}})};
  const std::string run = RunOf(h);
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_THAT(
      StepsOf(h, run),
      ElementsAre(ElementsAre("run.started", "message.received"), ElementsAre("plan.requested"),
                  ElementsAre("plan.received", "call.proposed", "call.decided", "call.intended"),
                  ElementsAre("call.outcome", "result.released", "plan.requested"),
                  ElementsAre("plan.received", "call.proposed", "call.decided", "call.intended"),
                  ElementsAre("call.outcome", "result.released", "plan.requested"),
                  ElementsAre("plan.received"), ElementsAre("run.completed")));
  ExpectMadeAnew(h, run, {&h.agent});
}

TEST(DurableSteps, OfAPlanTheFirstDecisionAndOfItsOutcomesTheLastStandTogether) {
  Harness h(AllowAll(), {WriteTool("a.do"), WriteTool("b.do")});
  h.tools.Holds("a.do");
  h.tools.Holds("b.do");
  h.planner.plans = {FakePlanner::Calls({{"a", "a.do", "{}"}, {"b", "b.do", "{}"}})};
  const std::string run = RunOf(h);
  h.tools.WaitUntilHeld("a.do", 1);
  h.tools.WaitUntilHeld("b.do", 1);
  h.tools.Release("b.do", OkOutcome({{"ok", 1}}));
  while (h.Kinds(run).back() != "call.outcome") {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  h.tools.Release("a.do", FailedOutcome("BAD"));
  h.WaitForState(run, RunState::kWaitingForPerson);  // a write that failed: nobody knows
  EXPECT_THAT(KindsFrom(h, run, "plan.received"),
              ElementsAre("plan.received", "call.proposed", "call.decided", "call.intended",
                          "call.proposed", "call.decided", "call.intended", "call.outcome",
                          "call.outcome", "run.waiting"));
  const auto steps = StepsOf(h, run);
  EXPECT_THAT(steps.at(2),
              ElementsAre("plan.received", "call.proposed", "call.decided", "call.intended"));
  EXPECT_THAT(steps.at(3), ElementsAre("call.proposed", "call.decided", "call.intended"));
  ExpectMadeAnew(h, run, {&h.agent});
}

// Its reply must not wait, outside the log, for somebody else.
TEST(DurableSteps, AReplyWhoseCallHasToWaitStandsAlone) {
  ToolSpec locked = WriteTool("door.open");
  locked.locks = {"door:{args.id}"};
  Harness h(AllowAll(), {locked});
  h.tools.Answers("door.open", {{"ok", true}});
  h.planner.plans = {FakePlanner::Calls({{"a", "door.open", R"({"id":1})"}})};
  const std::string run = RunOf(h);
  h.WaitForState(run, RunState::kCompleted);
  const auto steps = StepsOf(h, run);
  EXPECT_THAT(steps.at(2), ElementsAre("plan.received"));
  EXPECT_THAT(steps.at(3), ElementsAre("call.proposed", "call.decided", "call.intended"));
  EXPECT_THAT(steps.at(4), ElementsAre("call.outcome", "result.released", "plan.requested"));
  ExpectMadeAnew(h, run, {&h.agent});
}

TEST(DurableSteps, AReplyWhoseCallNeedsFactsStandsAlone) {
  Harness h(std::string(kPolicyHead) + R"(
fact "order" { tool = "orders.get", args = { id = "{args.id}" }, on = "pay" }
on("*", "all", function(c) return allow() end))",
            PayTools());
  SetOrder(h, 5, false);
  Pays(h, "1.00");
  h.planner.plans = {FakePlanner::Calls({{"a", "pay", R"({"id":"o1"})"}})};
  const std::string run = RunOf(h);
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_THAT(StepsOf(h, run).at(2), ElementsAre("plan.received"));
  ExpectMadeAnew(h, run, {&h.agent});
}

// A charge is settled at once, and what rules read of a balance stands before them in the log.
TEST(DurableSteps, WhereModelsAreChargedEachStandsAlone) {
  Harness h(AllowAll() + kModelBudget, {WriteTool("door.open")});
  h.planner.bound = {.tokens = 300};
  h.tools.Answers("door.open", {{"ok", true}});
  h.planner.plans = {FakePlanner::Calls({{"a", "door.open", "{}"}})};
  const std::string run = RunOf(h);
  h.WaitForState(run, RunState::kCompleted);
  const auto steps = StepsOf(h, run);
  EXPECT_THAT(steps.at(1), ElementsAre("plan.requested", "budget.held"));
  EXPECT_THAT(steps.at(2), ElementsAre("plan.received", "budget.settled"));
  EXPECT_THAT(steps.at(3), ElementsAre("call.proposed", "call.decided", "call.intended"));
  EXPECT_THAT(steps.at(4), ElementsAre("call.outcome"));
  ExpectMadeAnew(h, run, {&h.agent});
}

TEST(DurableSteps, AMessageBeforeAReplyIsReadBeforeItsCallIsDecided) {
  UntilInOrder([] {
    Harness h(AllowAll(), {WriteTool("door.open")});
    h.tools.Answers("door.open", {{"ok", true}});
    HeldReply reply(h);
    h.planner.plans = {FakePlanner::Calls({{"a", "door.open", "{}"}})};
    const std::string run = RunOf(h);
    reply.WaitUntilAsked();
    const bool asked = InOrder(
        h, [&] { return h.Send(run, "mind the dog").ok(); }, [&] { reply.Reply(); });
    if (!asked) return false;
    h.WaitForState(run, RunState::kCompleted);
    EXPECT_EQ(h.tools.runs("door.open"), 1);
    ExpectMadeAnew(h, run, {&h.agent});
    const auto steps = StepsOf(h, run);
    if (steps.at(2) != std::vector<std::string>{"message.received"}) return false;
    EXPECT_EQ(h.planner.seen().size(), 2u);  // the reply was not asked for again
    EXPECT_THAT(steps.at(3), ElementsAre("plan.received"));
    EXPECT_THAT(steps.at(4), ElementsAre("call.proposed", "call.decided", "call.intended"));
    return true;
  });
}

TEST(DurableSteps, ACancelBeforeAReplyLeavesItsCallUndecided) {
  UntilInOrder([] {
    Harness h(AllowAll(), {WriteTool("door.open")});
    h.tools.Answers("door.open", {{"ok", true}});
    HeldReply reply(h);
    h.planner.plans = {FakePlanner::Calls({{"a", "door.open", "{}"}})};
    const std::string run = RunOf(h);
    reply.WaitUntilAsked();
    const bool asked = InOrder(
        h, [&] { return h.Cancel(run).ok(); }, [&] { reply.Reply(); });
    if (!asked) return false;
    h.WaitForState(run, RunState::kCancelled);
    ExpectMadeAnew(h, run, {&h.agent});
    if (!Stands(h.Kinds(run), "run.cancelling", "plan.received")) return false;
    EXPECT_THAT(KindsFrom(h, run, "run.cancelling"),
                ElementsAre("run.cancelling", "plan.received", "run.cancelled"));
    EXPECT_EQ(h.tools.runs("door.open"), 0);
    return true;
  });
}

// A run whose one call is at work until the door is opened.
std::string AtTheDoor(Harness& h) {
  h.tools.Holds("door.open");
  h.planner.plans = {FakePlanner::Calls({{"a", "door.open", "{}"}})};
  std::string run = RunOf(h);
  h.tools.WaitUntilHeld("door.open", 1);
  return run;
}

void OpenDoor(Harness& h) { h.tools.Release("door.open", OkOutcome({{"ok", true}})); }

TEST(DurableSteps, AMessageBeforeAnOutcomeGoesIntoTheNextRequest) {
  UntilInOrder([] {
    Harness h(AllowAll(), {WriteTool("door.open")});
    const std::string run = AtTheDoor(h);
    const bool asked = InOrder(
        h, [&] { return h.Send(run, "mind the dog").ok(); }, [&] { OpenDoor(h); });
    if (!asked) return false;
    h.WaitForState(run, RunState::kCompleted);
    EXPECT_EQ(h.tools.runs("door.open"), 1);
    ExpectMadeAnew(h, run, {&h.agent});
    if (!Stands(KindsFrom(h, run, "call.intended"), "message.received", "call.outcome")) {
      return false;
    }
    EXPECT_THAT(KindsFrom(h, run, "call.intended"),
                ElementsAre("call.intended", "message.received", "call.outcome", "result.released",
                            "plan.requested", "plan.received", "run.completed"));
    const std::vector<PlanRequest> seen = h.planner.seen();
    EXPECT_EQ(seen.size(), 2u);
    EXPECT_TRUE(std::any_of(seen.back().messages.begin(), seen.back().messages.end(),
                            [](const ChatMessage& m) { return m.text == "mind the dog"; }));
    return true;
  });
}

TEST(DurableSteps, ACancelBeforeAnOutcomeLosesNoOutcome) {
  UntilInOrder([] {
    Harness h(AllowAll(), {WriteTool("door.open")});
    const std::string run = AtTheDoor(h);
    const bool asked = InOrder(
        h, [&] { return h.Cancel(run).ok(); }, [&] { OpenDoor(h); });
    if (!asked) return false;
    h.WaitForState(run, RunState::kCancelled);
    EXPECT_EQ(h.CallsOf(run).at(0).state, CallState::kOk);
    ExpectMadeAnew(h, run, {&h.agent});
    if (!Stands(h.Kinds(run), "run.cancelling", "call.outcome")) return false;
    EXPECT_THAT(KindsFrom(h, run, "call.intended"),
                ElementsAre("call.intended", "run.cancelling", "call.outcome", "run.cancelled"));
    EXPECT_EQ(h.planner.seen().size(), 1u);
    return true;
  });
}

// What a kill finds in the log is a request without a reply: the model is asked once more, and
// nothing was done of what it had said.
TEST(DurableSteps, AReplyThatAKillTakesAwayHasHadNoEffect) {
  Harness h(AllowAll(), {WriteTool("door.open")});
  h.tools.Answers("door.open", {{"ok", true}});
  HeldReply reply(h);
  h.planner.plans = {FakePlanner::Calls({{"a", "door.open", "{}"}})};
  const std::string run = RunOf(h);
  reply.WaitUntilAsked();
  const std::string copy = h.CopyFiles();
  reply.Reply();
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_EQ(h.tools.runs("door.open"), 1);
  h.RestartFrom(copy);
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_THAT(KindsFrom(h, run, "plan.requested"),
              ElementsAre("plan.requested", "plan.received", "call.proposed", "call.decided",
                          "call.intended", "call.outcome", "result.released", "plan.requested",
                          "plan.received", "run.completed"));
  ExpectMadeAnew(h, run, {&h.agent});
}

}  // namespace
}  // namespace interlock::runtime::test
