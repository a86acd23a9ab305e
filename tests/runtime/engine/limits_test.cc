// Counters, holds, effect keys and words of operators: what a failure costs and what is kept (rules
// 8, 10 and 13).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <chrono>
#include <thread>

#include "rules.h"

namespace interlock::runtime::test {
namespace {

void Ends(Harness& h, const std::string& tool, const tools::Outcome& outcome) {
  h.tools.On(tool,
             [outcome](const tools::CallSpec&, const FakeTools::Done& done) { done(outcome); });
}

tools::Outcome EndedAs(tools::OutcomeKind kind) {
  tools::Outcome outcome;
  outcome.kind = kind;
  outcome.error_code = "ENDED";
  outcome.error = "it ended";
  return outcome;
}

std::string Limited(const std::string& max, const std::string& per) {
  return std::string(kPolicyHead) + R"(on("*", "slot", function(c)
  return limit { key = c.user, max = )" +
         max + R"(, per = ")" + per + R"(" }
end)
on("*", "ok", function(c) return allow() end))";
}

// Control bytes grow sixfold in JSON: what came in within its bounds could not be read back.
TEST(Limits, AReplyThatARestartCouldNotReadEndsTheRun) {
  Harness h(AllowAll(), {ReadTool("pin.check")});
  Plan plan = FakePlanner::Answer("done");
  plan.raw = std::string(3'000'000, '\x01');
  h.planner.plans = {plan};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(h.WaitForState(run->id, RunState::kFailed).code, "PLANNER_REPLY");
  h.Restart();
  EXPECT_EQ(h.WaitForState(run->id, RunState::kFailed).code, "PLANNER_REPLY");
}

TEST(Limits, AttemptsThatFailAreCountedAndOnesThatNeverStartedAreNot) {
  Harness h(Limited("3", "1h"), {ReadTool("pin.check")});
  const auto attempt = [&](const tools::Outcome& outcome) {
    Ends(h, "pin.check", outcome);
    const auto call = h.Execute("pin.check", {{"pin", 1}});
    EXPECT_TRUE(call.ok()) << call.status();
    return *call;
  };
  EXPECT_EQ(attempt(EndedAs(tools::OutcomeKind::kNotStarted)).state, CallState::kNotStarted);
  EXPECT_EQ(attempt(FailedOutcome("WRONG_PIN")).state, CallState::kFailed);
  EXPECT_EQ(attempt(EndedAs(tools::OutcomeKind::kTimeout)).state, CallState::kFailed);
  EXPECT_EQ(attempt(EndedAs(tools::OutcomeKind::kViolation)).state, CallState::kFailed);
  EXPECT_EQ(attempt(OkOutcome({{"ok", true}})).code, "LIMIT");
  EXPECT_EQ(h.tools.runs("pin.check"), 4);
  h.Restart();
  EXPECT_EQ(attempt(OkOutcome({{"ok", true}})).code, "LIMIT");
}

TEST(Limits, Rule13_AStartedReadThatFailsHasCostItsHold) {
  Harness h(
      std::string(kPolicyHead) +
          R"(local CREDITS = budget "credits" { unit = "calls", limit = 100, per = "tenant" }
on("*", "reserve", function(c) return reserve(CREDITS, 10) end)
on("*", "ok", function(c) return allow() end))",
      {ReadTool("score.get"), {.name = "free.get", .failure = tools::FailureMeaning::kNoEffect}});
  const auto settled = [&](const std::string& tool, const tools::Outcome& outcome) {
    Ends(h, tool, outcome);
    const std::int64_t before = h.Budget("credits").settled;
    EXPECT_TRUE(h.Execute(tool, {{"id", h.NewRequestId()}}).ok());
    EXPECT_EQ(h.Budget("credits").held, 0);
    return h.Budget("credits").settled - before;
  };
  EXPECT_EQ(settled("score.get", OkOutcome({{"score", 7}})), 10);
  EXPECT_EQ(settled("score.get", EndedAs(tools::OutcomeKind::kTimeout)), 10);
  EXPECT_EQ(settled("score.get", FailedOutcome("NOT_FOUND")), 10);
  EXPECT_EQ(settled("score.get", EndedAs(tools::OutcomeKind::kNotStarted)), 0);
  EXPECT_EQ(settled("free.get", FailedOutcome("NOT_FOUND")), 0);
  EXPECT_EQ(settled("free.get", EndedAs(tools::OutcomeKind::kTimeout)), 10);
}

TEST(Limits, Rule13_ABudgetInAnotherCurrencyStartsAnew) {
  const auto policy = [](const std::string& unit) {
    return std::string(kPolicyHead) + R"(local DAY = budget "day" { unit = ")" + unit +
           R"(", limit = money("100.00", ")" + unit + R"("), per = "tenant", window = "1d" }
on("pay", "reserve", function(c) return reserve(DAY, money("80.00", ")" +
           unit + R"(")) end)
on("pay", "ok", function(c) return allow() end))";
  };
  Harness h(policy("USD"), {MoneyTool("pay")});
  Pays(h, "80.00");
  EXPECT_EQ(h.Execute("pay", {{"id", "o1"}})->state, CallState::kOk);
  EXPECT_EQ(h.Execute("pay", {{"id", "o2"}})->code, "BUDGET");
  h.SetPolicy(policy("EUR"));
  h.Restart();
  EXPECT_EQ(h.Execute("pay", {{"id", "o3"}})->state, CallState::kOk);
  EXPECT_EQ(h.Execute("pay", {{"id", "o4"}})->code, "BUDGET");
}

// The events of the only counter, as the table holds them; the engine must be stopped.
std::string StoredEvents(Harness& h, const std::string& first) {
  sqlite3* db = nullptr;
  EXPECT_EQ(sqlite3_open((h.folder + "/audit.db").c_str(), &db), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(db, first.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
      << sqlite3_errmsg(db);
  sqlite3_stmt* statement = nullptr;
  EXPECT_EQ(sqlite3_prepare_v2(db, "SELECT events FROM p_counter", -1, &statement, nullptr),
            SQLITE_OK);
  std::string events;
  if (sqlite3_step(statement) == SQLITE_ROW) {
    events = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
  }
  sqlite3_finalize(statement);
  sqlite3_close(db);
  return events;
}

TEST(Limits, CountersKeepTheLongestWindowAndARebuildGivesTheSame) {
  Harness h(Limited("100", "10m"), {ReadTool("orders.get")});
  Ends(h, "orders.get", OkOutcome({{"ok", true}}));
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(h.Execute("orders.get", {{"n", i}})->state, CallState::kOk);
    h.clock.Shift(6 * kMinuteMicros);
  }
  h.Stop();
  const std::string events = StoredEvents(h, "SELECT 1");
  EXPECT_EQ(std::count(events.begin(), events.end(), ':'), 2) << events;
  StoredEvents(h, "UPDATE p_watermark SET schema_digest = 'another'");
  h.Start();
  h.Stop();
  EXPECT_EQ(StoredEvents(h, "SELECT 1"), events);
  h.Start();
}

TEST(Limits, ACountOverALongerTimeThanTheLimitSeesItAll) {
  Harness h(std::string(kPolicyHead) + R"(on("*", "slot", function(c)
  return limit { key = c.user, max = 1, per = "1m" }
end)
on("*", "ok", function(c)
  if count { rule = "slot", key = c.user, within = "1h" } >= 3 then
    return deny { code = "TOO_MANY" }
  end
  return allow()
end))",
            {ReadTool("orders.get")});
  Ends(h, "orders.get", OkOutcome({{"ok", true}}));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(h.Execute("orders.get", {{"n", i}})->state, CallState::kOk);
    h.clock.Shift(2 * kMinuteMicros);
  }
  EXPECT_EQ(h.Execute("orders.get", {{"n", 4}})->code, "TOO_MANY");
}

TEST(Limits, Rule10_AWordAboutOneAttemptIsNoWordAboutTheNext) {
  ToolSpec pay = MoneyTool("pay");
  pay.idempotent = true;
  Harness h(AllowAll(), {pay});
  h.limits.attempts_max = 1;
  h.Restart();
  Ends(h, "pay", UnknownOutcome());
  const auto call = h.Execute("pay", {{"id", "o1"}});
  ASSERT_TRUE(call.ok()) << call.status();
  ASSERT_EQ(call->state, CallState::kUnknown);
  ASSERT_TRUE(h.Resolve(h.operator_one, call->id, true).ok());
  h.limits.attempts_max = 2;
  h.Restart();  // the call is tried again with its key
  const auto outcomes = [&] {
    const auto kinds = h.Kinds("");
    return std::count(kinds.begin(), kinds.end(), "call.outcome");
  };
  for (int i = 0; i < 2000 && outcomes() < 2; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ASSERT_EQ(outcomes(), 2);
  const auto once = h.Resolve(h.operator_two, call->id, true);
  ASSERT_TRUE(once.ok()) << once.status();
  EXPECT_EQ(once->state, CallState::kUnknown);
  EXPECT_EQ(h.Resolve(h.operator_one, call->id, true)->state, CallState::kOk);
}

TEST(Effects, WithoutATemplateTheKeyIsTheCallsIdAndNobodyHasToRememberIt) {
  Harness h(AllowAll(), {WriteTool("note")});
  h.tools.On("note",
             [](const tools::CallSpec&, const FakeTools::Done& done) { done(OkOutcome({})); });
  const auto first = h.Execute("note", {{"id", "o1"}, {"n", 1}});
  const auto second = h.Execute("note", {{"id", "o1"}, {"n", 1}});
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(second->state, CallState::kOk);
  EXPECT_EQ(h.tools.runs("note"), 2);
  std::vector<std::string> keys;
  for (const audit::Entry& entry : h.Entries("")) {
    if (entry.kind != "call.intended") continue;
    const auto body = core::JsonObjectView::Of(entry.bytes)->Object("body");
    keys.push_back(body->String("effect_key").value_or(""));
  }
  EXPECT_THAT(keys, ::testing::ElementsAre(first->id, second->id));
  EXPECT_EQ(h.Number("SELECT count(*) FROM p_effect"), 0);
}

}  // namespace
}  // namespace interlock::runtime::test
