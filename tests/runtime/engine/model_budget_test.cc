// Budgets that models are charged by, under a whole engine: held before a request, settled with
// what was used, through refusals, errors, crashes and replay.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "replays.h"
#include "rules.h"

namespace interlock::runtime::test {
namespace {

using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Not;

std::string WithTokens(int user_limit) {
  return AllowAll() + R"(
budget "llm" { unit = "tokens", charges = "model", levels = {
  { per = "user", limit = )" +
         std::to_string(user_limit) + R"(, window = "1d" },
  { per = "tenant", limit = 100000, window = "1d" } } }
budget "cost" { unit = "USD", charges = "model", per = "tenant", limit = usd(1), window = "1d" }
)";
}

Plan Used(Plan plan, std::int64_t tokens, std::int64_t cost_micros) {
  plan.prompt_tokens = tokens - 10;
  plan.completion_tokens = 10;
  plan.cost_micros = cost_micros;
  plan.currency = "USD";
  plan.provider = "fake";
  return plan;
}

class Desk {
 public:
  explicit Desk(int user_limit = 1000) : h(WithTokens(user_limit), {ReadTool("orders.get")}) {
    h.tools.Answers("orders.get", {{"total", 5}});
    h.planner.bound = {.tokens = 300, .cost_micros = 5'000, .currency = "USD"};
  }
  RunInfo Run(const std::string& user, RunState until) {
    const auto run = h.CreateRun("help", user);
    EXPECT_TRUE(run.ok()) << run.status();
    return h.WaitForState(run->id, until);
  }
  // A run whose request to the planner is open.
  RunInfo Asks(const std::string& user) {
    h.planner.Holds();
    const auto run = h.CreateRun("help", user);
    EXPECT_TRUE(run.ok()) << run.status();
    h.planner.WaitUntilHeld();
    return run.ok() ? *run : RunInfo();
  }
  // A run that finds the budget held by another's request.
  RunInfo WaitsForOthers(const std::string& user) {
    std::promise<void> asked;
    h.planner.before_asked = [&asked, once = std::make_shared<std::once_flag>()] {
      std::call_once(*once, [&asked] { asked.set_value(); });
    };
    const auto run = h.CreateRun("help", user);
    EXPECT_TRUE(run.ok()) << run.status();
    asked.get_future().wait();
    return run.ok() ? *run : RunInfo();
  }
  void Cancel(const RunInfo& run) {
    EXPECT_TRUE(h.Cancel(run.id).ok());
    h.WaitForState(run.id, RunState::kCancelled);
  }
  void ExpectAnew(const RunInfo& run) { ExpectMadeAnew(h, run.id, {&h.agent}); }
  // The same of a run that has hardly begun.
  void ExpectEqual(const RunInfo& run) {
    const auto report = ReplayOf(h, run.id, {&h.agent});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->passes() && report->left_out.empty());
  }
  void ExpectSpent(std::int64_t tokens, std::int64_t micros) {
    EXPECT_EQ(h.Budget("llm.tenant.1d").settled, tokens);
    EXPECT_EQ(h.Budget("llm.tenant.1d").held, 0);
    EXPECT_EQ(h.Budget("cost").settled, micros);
    EXPECT_EQ(h.Budget("cost").held, 0);
    EXPECT_EQ(h.Budget("cost").unit, "micro-USD");
  }
  Harness h;
};

TEST(ModelBudget, WhatAPlanUsedIsSettledAndAReplayMakesItAnew) {
  Desk desk;
  desk.h.planner.plans = {Used(FakePlanner::Calls({{"c1", "orders.get", "{}"}}), 120, 777),
                          Used(FakePlanner::Answer("five"), 130, 23)};
  const RunInfo run = desk.Run("ann", RunState::kCompleted);
  desk.ExpectSpent(250, 800);
  desk.ExpectAnew(run);
  desk.h.Restart();
  desk.ExpectSpent(250, 800);
}

TEST(ModelBudget, APlanThatIsNotCoveredIsRefusedAndTheRunSaysSo) {
  Desk desk(500);
  desk.h.planner.plans = {Used(FakePlanner::Calls({{"c1", "orders.get", "{}"}}), 201, 1),
                          Used(FakePlanner::Answer("five"), 1, 1)};
  const RunInfo run = desk.Run("ann", RunState::kFailed);
  EXPECT_EQ(run.code, "MODEL_BUDGET");
  EXPECT_THAT(run.reason, HasSubstr("budget llm.user.1d: 201 used, 300 wanted, limit 500 tokens"));
  EXPECT_EQ(desk.h.planner.seen().size(), 1u) << "the model is not asked";
  EXPECT_THAT(desk.h.Kinds(run.id), Contains("plan.refused"));
  desk.ExpectSpent(201, 1);
  desk.ExpectAnew(run);
  desk.h.planner.plans = {Used(FakePlanner::Answer("five"), 100, 1)};
  desk.Run("bob", RunState::kCompleted);  // another user's share
  desk.h.Restart();
  EXPECT_EQ(desk.Run("ann", RunState::kFailed).code, "MODEL_BUDGET");
}

TEST(ModelBudget, RequestsInFlightHoldWhatTheyMayUse) {
  Desk desk(500);
  const RunInfo first = desk.Asks("ann");
  EXPECT_EQ(desk.h.Budget("llm.user.1d").held, 300);
  EXPECT_EQ(desk.h.Budget("cost").held, 5'000);
  const RunInfo second = desk.WaitsForOthers("ann");
  desk.Cancel(first);
  // Nobody knows what the model wrote until then: the whole hold.
  const RunInfo refused = desk.h.WaitForState(second.id, RunState::kFailed);
  EXPECT_THAT(refused.reason, HasSubstr("300 used, 300 wanted, limit 500 tokens"));
  desk.ExpectSpent(300, 5'000);
  desk.ExpectAnew(first);
  desk.ExpectEqual(second);
}

TEST(ModelBudget, WhatOnlyOthersHoldIsWaitedFor) {
  Desk desk(500);
  const RunInfo first = desk.Asks("ann");
  const RunInfo second = desk.WaitsForOthers("ann");
  desk.h.planner.GoesOn(Used(FakePlanner::Answer("five"), 100, 1'000));
  desk.h.WaitForState(first.id, RunState::kCompleted);
  desk.h.WaitForState(second.id, RunState::kCompleted);
  EXPECT_THAT(desk.h.Kinds(second.id), Not(Contains("plan.refused")));
  desk.ExpectAnew(first);
  desk.ExpectAnew(second);
}

TEST(ModelBudget, WhoWaitsForOthersCanBeCancelled) {
  Desk desk(500);
  const RunInfo first = desk.Asks("ann");
  const RunInfo second = desk.WaitsForOthers("ann");
  desk.Cancel(second);
  EXPECT_THAT(desk.h.Kinds(second.id), Not(Contains("plan.requested")));
  desk.Cancel(first);
  desk.ExpectEqual(second);
}

// What the first one's request used nobody knows then, so there is no room for either.
TEST(ModelBudget, WhoWaitsForOthersIsTakenUpAfterACrash) {
  Desk desk(500);
  const RunInfo first = desk.Asks("ann");
  const RunInfo second = desk.WaitsForOthers("ann");
  const std::string copy = desk.h.CopyFiles();
  desk.Cancel(first);
  desk.h.RestartFrom(copy);
  EXPECT_EQ(desk.h.WaitForState(second.id, RunState::kFailed).code, "MODEL_BUDGET");
  EXPECT_EQ(desk.h.WaitForState(first.id, RunState::kFailed).code, "MODEL_BUDGET");
  desk.ExpectEqual(second);
}

TEST(ModelBudget, MoreThanWasHeldIsChargedAllTheSame) {
  Desk desk;
  desk.h.planner.plans = {Used(FakePlanner::Answer("long"), 900, 7'000)};
  desk.Run("ann", RunState::kCompleted);
  desk.ExpectSpent(900, 7'000);
  EXPECT_EQ(desk.Run("ann", RunState::kFailed).code, "MODEL_BUDGET");
}

// Attempts before the last one cost too: those that a provider may bill count with their most.
TEST(ModelBudget, AttemptsThatWereLostAreCharged) {
  Desk desk;
  desk.h.planner.lost = policies::ModelUse{.tokens = 40, .cost_micros = 400, .currency = "USD"};
  desk.h.planner.plans = {Used(FakePlanner::Answer("five"), 100, 1'000)};
  const RunInfo answered = desk.Run("ann", RunState::kCompleted);
  desk.ExpectSpent(140, 1'400);
  EXPECT_THAT(desk.h.Entries(answered.id),
              Contains(Field(&audit::Entry::bytes, HasSubstr(R"("flagged":true)"))));
  desk.ExpectAnew(answered);
  desk.h.planner.plans = {core::Unavailable("model endpoint answered 503")};
  const RunInfo failed = desk.Run("ann", RunState::kFailed);
  desk.ExpectSpent(180, 1'800);
  desk.ExpectAnew(failed);
}

// A reply that was cut or refused is billed for what it says, which is far below the most.
TEST(ModelBudget, RepliesThatGaveNoPlanAreSettledByWhatTheyTell) {
  Desk desk;
  desk.h.planner.lost = policies::NoUse();
  desk.h.planner.spent = {SpentOn(Used({}, 70, 55)), SpentOn(Used({}, 20, 0))};
  desk.h.planner.plans = {core::Error(core::StatusCode::kOutOfRange, "it was cut"),
                          Used(FakePlanner::Answer("five"), 130, 23)};
  const RunInfo run = desk.Run("ann", RunState::kCompleted);
  desk.ExpectSpent(220, 78);
  std::string log;
  for (const audit::Entry& entry : desk.h.Entries(run.id)) log += entry.bytes;
  EXPECT_THAT(log, HasSubstr(R"("spent":{"cost":{"amount":"55","unit":"micro-USD"},"requests":1,)"
                             R"("tokens_in":60,"tokens_out":10},"step":0)"));
  EXPECT_THAT(log, HasSubstr(R"("spent":{"cost":{"amount":"0","unit":"micro-USD"})"));
  EXPECT_THAT(log, Not(HasSubstr(R"("flagged":true)")));
  desk.ExpectAnew(run);
  desk.h.Restart();
  desk.ExpectSpent(220, 78);
}

TEST(ModelBudget, WhatNobodyCanBillCostsNothingAndAReplyThatMakesNoSenseDoes) {
  Desk desk;
  desk.h.planner.plans = {core::Unavailable("connection refused")};
  desk.h.planner.lost = policies::NoUse();
  const RunInfo away = desk.Run("ann", RunState::kFailed);
  EXPECT_EQ(away.code, "PLANNER_UNAVAILABLE");
  desk.ExpectSpent(0, 0);
  desk.ExpectAnew(away);
  desk.h.planner.plans = {core::InvalidArgument("no JSON")};
  desk.h.planner.lost.reset();
  const RunInfo garbage = desk.Run("ann", RunState::kFailed);
  EXPECT_EQ(garbage.code, "PLANNER_REPLY");
  desk.ExpectSpent(300, 5'000);
  desk.ExpectAnew(garbage);
}

TEST(ModelBudget, ACostThatCannotBeToldIsNotSpent) {
  Desk desk;
  desk.h.planner.bound.currency = "EUR";
  const RunInfo run = desk.Run("ann", RunState::kFailed);
  EXPECT_EQ(run.code, "MODEL_BUDGET");
  EXPECT_THAT(run.reason, HasSubstr("has its `prices` in EUR"));
  desk.h.planner.bound = {.tokens = 300, .cost_micros = 5'000, .currency = "USD"};
  Plan odd = Used(FakePlanner::Answer("five"), 100, 1);
  odd.currency = "";
  desk.h.planner.plans = {odd};
  desk.Run("ann", RunState::kCompleted);
  desk.ExpectSpent(100, 5'000);  // all that was held, as nobody knows
}

// What the lost reply used nobody knows: it has cost its hold, and the next request has its own.
TEST(ModelBudget, ARequestThatACrashLostIsPaidAndTheNextHoldsAnew) {
  Desk desk;
  const RunInfo run = desk.Asks("ann");
  const std::string copy = desk.h.CopyFiles();
  desk.Cancel(run);
  desk.h.RestartFrom(copy);
  desk.h.planner.WaitUntilHeld();
  EXPECT_EQ(desk.h.Budget("llm.user.1d").held, 300);
  EXPECT_EQ(desk.h.Budget("llm.user.1d").settled, 300);
  desk.Cancel(run);
  desk.ExpectSpent(600, 10'000);
  desk.ExpectAnew(run);
}

TEST(ModelBudget, ARequestThatIsNotCoveredAfterACrashIsRefused) {
  Desk desk(500);
  const RunInfo run = desk.Asks("ann");
  const std::string copy = desk.h.CopyFiles();
  desk.Cancel(run);
  desk.h.RestartFrom(copy);
  const RunInfo ended = desk.h.WaitForState(run.id, RunState::kFailed);
  EXPECT_EQ(ended.code, "MODEL_BUDGET");
  EXPECT_THAT(ended.reason, HasSubstr("300 used, 300 wanted, limit 500"));
  desk.ExpectSpent(300, 5'000);
  desk.ExpectAnew(run);
}

TEST(ModelBudget, WithoutPoliciesNoModelIsAsked) {
  Desk desk;
  desk.h.Stop();
  desk.h.SetPolicy("");
  desk.h.Start();
  const RunInfo run = desk.Run("ann", RunState::kFailed);
  EXPECT_EQ(run.code, "NO_BUNDLE");
  EXPECT_THAT(run.reason, HasSubstr("no policies are active"));
  EXPECT_TRUE(desk.h.planner.seen().empty());
  EXPECT_THAT(desk.h.Kinds(run.id), Contains("plan.refused"));
}

// Rule 27: no window turns, so that nobody gets a fresh day from a clock that jumped.
TEST(ModelBudget, WindowsStandStillWhileTheClockIsInDoubt) {
  Desk desk(500);
  desk.h.planner.plans = {Used(FakePlanner::Answer("long"), 400, 1)};
  desk.Run("ann", RunState::kCompleted);
  desk.h.clock.Shift(36 * 60 * kMinuteMicros);
  EXPECT_EQ(desk.Run("ann", RunState::kFailed).code, "MODEL_BUDGET");
  ASSERT_TRUE(desk.h.engine().clock_in_doubt());
  ASSERT_TRUE(desk.h.engine().ConfirmClock(desk.h.operator_one, "it is right").ok());
  desk.Run("ann", RunState::kCompleted);
}

TEST(ModelBudget, WithoutOneNothingIsAskedOrWritten) {
  Harness h(AllowAll(), {ReadTool("orders.get")});
  h.planner.plans = {Used(FakePlanner::Answer("five"), 100, 1)};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kCompleted);
  EXPECT_THAT(h.Kinds(run->id), Not(Contains(HasSubstr("budget."))));
  for (const audit::Entry& entry : h.Entries(run->id)) {
    EXPECT_THAT(entry.bytes, Not(HasSubstr("wait_ms")));
  }
}

}  // namespace
}  // namespace interlock::runtime::test
