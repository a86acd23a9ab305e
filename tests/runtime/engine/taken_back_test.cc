// What was taken back may be done again, and is not charged; everything else stays as it was.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "audit/verify.h"
#include "rotating.h"
#include "rules.h"

namespace interlock::runtime::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;

constexpr const char* kTrip = R"({"trip":"t1"})";

std::string TripPolicy() {
  return std::string(kPolicyHead) +
         R"(local DAY = budget "day" { unit = "USD", limit = usd(130), per = "tenant", window = "1d" }
on("flight.book", "reserve", function(c) return reserve(DAY, usd(60)) end)
on("*", "all", function(c) return allow() end))";
}

std::vector<ToolSpec> TripTools() {
  return {{.name = "flight.book",
           .effect = tools::Effect::kMoney,
           .effect_key = "book:{args.trip}",
           .failure = tools::FailureMeaning::kNoEffect,
           .compensate = "flight.cancel"},
          {.name = "flight.cancel",
           .effect = tools::Effect::kWrite,
           .effect_key = "cancel:{args.ref}",
           .failure = tools::FailureMeaning::kNoEffect}};
}

// The airline gives every booking of the trip the same reference.
void Serve(Harness& h) {
  h.tools.Answers("flight.book", {{"ref", "f1"}});
  h.tools.Answers("flight.cancel", {{"ok", true}});
}

// A run that books the trip and ends as `end` says.
RunInfo Books(Harness& h, core::StatusOr<Plan> end, RunState state) {
  h.planner.plans = {FakePlanner::Calls({{"b", "flight.book", kTrip}}), std::move(end)};
  const auto run = h.CreateRun();
  EXPECT_TRUE(run.ok()) << run.status();
  return run.ok() ? h.WaitForState(run->id, state) : RunInfo{};
}

RunInfo HalfTrip(Harness& h, RunState state = RunState::kFailed) {
  return Books(h, core::InvalidArgument("no plan for this"), state);
}

std::string CodeOf(const core::StatusOr<CallInfo>& call) {
  return call.ok() ? call->code : std::string(core::Message(call.status()));
}

// The tables are what a fold of the log makes of it, and the log is whole.
void ExpectWhole(Harness& h) {
  h.Stop();
  const StatePtr state = MakeState();
  audit::VerifyOptions options;
  options.database = h.folder + "/audit.db";
  options.projectors = {ProjectorOf(*state)};
  const audit::VerifyReport report = audit::Verify(options);
  const bool goes_on = report.reason.find("which was not checked") != std::string::npos;
  EXPECT_EQ(report.verdict, goes_on ? audit::Verdict::kIncomplete : audit::Verdict::kIntact)
      << report.reason;
  h.Start();
}

TEST(TakenBack, TheEffectMayBeMadeAgainAndTheMoneyIsThereAgain) {
  Harness h(TripPolicy(), TripTools());
  Serve(h);
  const RunInfo first = HalfTrip(h);
  EXPECT_EQ(h.Budget("day").settled, 0);
  EXPECT_THAT(h.Kinds(first.id), Contains("budget.credited").Times(1));
  EXPECT_THAT(h.Kinds(first.id), Contains("call.compensated").Times(1));
  ExpectWhole(h);
  EXPECT_EQ(h.Number("SELECT count(*) FROM v_money WHERE amount = 6000 AND compensated_by <> ''"),
            1);
  // The limit covers two flights, not three.
  EXPECT_EQ(h.Execute("flight.book", {{"trip", "t2"}})->state, CallState::kOk);
  Books(h, FakePlanner::Answer("booked"), RunState::kCompleted);
  EXPECT_EQ(h.tools.runs("flight.book"), 3);
  EXPECT_EQ(h.Budget("day").settled, 12000);
  EXPECT_EQ(CodeOf(h.Execute("flight.book", {{"trip", "t3"}})), "BUDGET");
  ExpectWhole(h);
}

TEST(TakenBack, WhatWasMadeAgainCanBeTakenBackAgain) {
  Harness h(TripPolicy(), TripTools());
  Serve(h);
  for (int times = 1; times <= 3; ++times) {
    HalfTrip(h);
    EXPECT_EQ(h.tools.runs("flight.book"), times);
    EXPECT_EQ(h.tools.runs("flight.cancel"), times);
    EXPECT_EQ(h.Budget("day").settled, 0);
    if (times == 1) h.Restart();
    if (times == 2) RotateAndRestart(h);
  }
  ExpectWhole(h);
}

// Or money would go back twice for one payment.
TEST(TakenBack, TheSameIsNotTakenBackTwice) {
  Harness h(TripPolicy(), TripTools());
  Serve(h);
  HalfTrip(h);
  const core::Json ref = {{"ref", "f1"}};
  EXPECT_EQ(CodeOf(h.Execute("flight.cancel", ref)), "DUPLICATE_EFFECT");
  RotateAndRestart(h);
  EXPECT_EQ(CodeOf(h.Execute("flight.cancel", ref)), "DUPLICATE_EFFECT");
  h.tools.Fails("flight.book", "SOLD_OUT");
  EXPECT_EQ(h.Execute("flight.book", {{"trip", "t1"}})->state, CallState::kFailed);
  EXPECT_EQ(CodeOf(h.Execute("flight.cancel", ref)), "DUPLICATE_EFFECT") << "nothing was booked";
  Serve(h);
  EXPECT_EQ(h.Execute("flight.book", {{"trip", "t1"}})->state, CallState::kOk);
  EXPECT_EQ(h.Execute("flight.cancel", ref)->state, CallState::kOk);
  EXPECT_EQ(h.tools.runs("flight.cancel"), 2);
  ExpectWhole(h);
}

TEST(TakenBack, ACompensationThatFailedFreesNothing) {
  Harness h(TripPolicy(), TripTools());
  Serve(h);
  h.tools.Fails("flight.cancel", "TOO_LATE");
  const RunInfo run = HalfTrip(h, RunState::kUncompensated);
  EXPECT_THAT(h.Kinds(run.id), Not(Contains("budget.credited")));
  EXPECT_THAT(h.Kinds(run.id), Not(Contains("call.compensated")));
  EXPECT_EQ(h.Budget("day").settled, 6000);
  EXPECT_EQ(CodeOf(h.Execute("flight.book", {{"trip", "t1"}})), "DUPLICATE_EFFECT");
}

TEST(TakenBack, OneOfUnknownOutcomeFreesNothingUntilAPersonSaysThatItHappened) {
  for (const bool happened : {true, false}) {
    Harness h(TripPolicy(), TripTools());
    Serve(h);
    h.tools.On("flight.cancel",
               [](const tools::CallSpec&, const FakeTools::Done& done) { done(UnknownOutcome()); });
    h.planner.plans = {FakePlanner::Calls({{"b", "flight.book", kTrip}}),
                       core::InvalidArgument("no plan for this")};
    const auto run = h.CreateRun();
    ASSERT_TRUE(run.ok()) << run.status();
    std::string cancel;
    h.WaitFor(run->id, [&](const RunInfo&) {
      for (const CallInfo& call : h.CallsOf(run->id)) {
        if (call.state == CallState::kUnknown) cancel = call.id;
      }
      return !cancel.empty();
    });
    EXPECT_EQ(h.Budget("day").settled, 6000);
    EXPECT_EQ(CodeOf(h.Execute("flight.book", {{"trip", "t1"}})), "DUPLICATE_EFFECT");
    h.Restart();
    ASSERT_TRUE(h.Resolve(h.operator_one, cancel, happened).ok());
    h.WaitForState(run->id, happened ? RunState::kFailed : RunState::kUncompensated);
    EXPECT_EQ(h.Budget("day").settled, happened ? 0 : 6000);
    EXPECT_EQ(CodeOf(h.Execute("flight.book", {{"trip", "t1"}})),
              happened ? "OK" : "DUPLICATE_EFFECT");
    ExpectWhole(h);
  }
}

// Whose word the arguments are is nobody's but the planner's: a budget is no place for it.
TEST(TakenBack, WhatAPlannerCancelsItselfFreesNothing) {
  Harness h(TripPolicy(), TripTools());
  Serve(h);
  Books(h, FakePlanner::Calls({{"c", "flight.cancel", R"({"ref":"f1"})"}}), RunState::kCompleted);
  EXPECT_EQ(h.tools.runs("flight.cancel"), 1);
  EXPECT_EQ(h.Budget("day").settled, 6000);
  EXPECT_EQ(CodeOf(h.Execute("flight.book", {{"trip", "t1"}})), "DUPLICATE_EFFECT");
}

// A tool that says what it moves: a fee stays charged, and without a word nothing goes back.
TEST(TakenBack, OnlyWhatTheToolSaysThatItGaveBackIsCredited) {
  struct Case {
    core::Json answer;
    std::int64_t settled;
  };
  const std::vector<Case> cases = {
      {{{"amount", "45.50"}, {"currency", "USD"}}, 1450},
      {{{"amount", "60.00"}, {"currency", "USD"}}, 0},
      {{{"amount", "900.00"}, {"currency", "USD"}}, 0},  // never more than it was charged for
      {{{"amount", "60.00"}, {"currency", "EUR"}}, 6000},
      {{{"ok", true}}, 6000},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.answer.dump());
    std::vector<ToolSpec> tools = TripTools();
    tools[1].effect = tools::Effect::kMoney;
    tools[1].money = true;
    Harness h(TripPolicy(), tools);
    Serve(h);
    h.tools.Answers("flight.cancel", one.answer);
    HalfTrip(h);
    EXPECT_EQ(h.Budget("day").settled, one.settled);
  }
}

TEST(TakenBack, WhatATwinWithoutACompensationDidStaysCharged) {
  std::vector<ToolSpec> tools = TripTools();
  tools[0].compensate.clear();
  Harness h(TripPolicy(), tools);
  Serve(h);
  HalfTrip(h);
  EXPECT_EQ(h.tools.runs("flight.cancel"), 0);
  EXPECT_EQ(h.Budget("day").settled, 6000);
  EXPECT_EQ(CodeOf(h.Execute("flight.book", {{"trip", "t1"}})), "DUPLICATE_EFFECT");
}

}  // namespace
}  // namespace interlock::runtime::test
