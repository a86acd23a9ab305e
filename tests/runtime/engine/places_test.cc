// Who waits for word of an unknown outcome keeps its objects, and none of the tenant's places.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "rules.h"

namespace interlock::runtime::test {
namespace {

std::vector<ToolSpec> BillTools() {
  return {{.name = "bill",
           .effect = tools::Effect::kWrite,
           .locks = {"bill:{args.id}"},
           .reconcile = "bill.state",
           .settle_after_ms = 100},
          {.name = "bill.state"},
          {.name = "look"}};
}

TEST(Places, UnknownOutcomesThatWaitHoldUpNothingElse) {
  Harness h(AllowAll(), BillTools());
  h.limits.calls_max = 2;
  h.limits.lock_wait_us = 10'000;
  h.Restart();
  h.tools.On("bill",
             [](const tools::CallSpec&, const FakeTools::Done& done) { done(UnknownOutcome()); });
  h.tools.Answers("look", {{"ok", true}});
  h.tools.Holds("bill.state");
  h.planner.plans = {
      FakePlanner::Calls({{"a", "bill", R"({"id":"a"})"}, {"b", "bill", R"({"id":"b"})"}})};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.tools.WaitUntilHeld("bill.state", 2);  // as many as there are places
  const auto read = h.Execute("look", core::Json::object());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->state, CallState::kOk);
  // Their objects stay theirs.
  const auto same = h.Execute("bill", {{"id", "a"}});
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(same->code, "BUSY");
  h.tools.Release("bill.state", OkOutcome({{"done", true}}));
  h.WaitForState(run->id, RunState::kCompleted);
  for (const CallInfo& call : h.CallsOf(run->id)) EXPECT_EQ(call.outcome, "reconciled_done");
  // And as many run at once as before, however often places went back and forth.
  h.tools.Holds("look");
  h.planner.plans = {FakePlanner::Calls({{"a", "look", "{}"}, {"b", "look", "{}"}})};
  const auto next = h.CreateRun();
  ASSERT_TRUE(next.ok()) << next.status();
  h.tools.WaitUntilHeld("look", 2);
  h.tools.Release("look", OkOutcome({{"ok", true}}));
  h.WaitForState(next->id, RunState::kCompleted);
}

TEST(Places, ARepeatTakesOneAgain) {
  ToolSpec bill = BillTools()[0];
  bill.reconcile.clear();
  bill.idempotent = true;
  Harness h(AllowAll(), {bill, {.name = "look"}});
  h.limits.calls_max = 1;
  h.Restart();
  std::atomic<int> tries = 0;
  h.tools.On("bill", [&](const tools::CallSpec&, const FakeTools::Done& done) {
    done(++tries < 2 ? UnknownOutcome() : OkOutcome({{"ok", true}}));
  });
  h.tools.Answers("look", {{"ok", true}});
  const auto call = h.Execute("bill", {{"id", "a"}});
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->state, CallState::kOk);
  EXPECT_EQ(h.tools.runs("bill"), 2);
  EXPECT_EQ(h.Execute("look", core::Json::object())->state, CallState::kOk) << "it gave it back";
}

}  // namespace
}  // namespace interlock::runtime::test
