// Who waits for word of an unknown outcome keeps its objects, and none of the tenant's places.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "rules.h"
#include "trip.h"

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

// One place, which `look` has until End; what `pay` needs is decided, and waits for it.
class PayWaits {
 public:
  explicit PayWaits(const std::string& policy) : h(policy, WithLook()) {
    h.limits.calls_max = 1;
    h.Restart();
    SetOrder(h, 100, false);
    h.tools.Answers("pay", {{"paid", true}});
    h.tools.Holds("look");
    look_ = Async("look", core::Json::object());
    h.tools.WaitUntilHeld("look", 1);
  }
  std::future<core::StatusOr<CallInfo>> Async(const std::string& tool, const core::Json& args) {
    return std::async(std::launch::async, [this, tool, args] { return h.Execute(tool, args); });
  }
  void End() {
    h.tools.Release("look", OkOutcome({{"ok", true}}));
    EXPECT_TRUE(look_.get().ok());
  }

  Harness h;

 private:
  static std::vector<ToolSpec> WithLook() {
    std::vector<ToolSpec> tools = PayTools();
    tools.push_back(ReadTool("look"));
    return tools;
  }
  std::future<core::StatusOr<CallInfo>> look_;
};

// What it rests on was read long ago: it is decided anew when it may run.
TEST(Places, ADecisionThatWaitedForOneIsMadeAnew) {
  PayWaits waits(std::string(kPolicyHead) +
                 R"(fact "order" { tool = "orders.get", args = { id = "{args.id}" }, on = "pay" }
on("pay", "blocked", function(c)
  if c.facts.order.blocked then return deny { code = "BLOCKED", say = "blocked" } end
  return allow()
end)
on("look", "all", function(c) return allow() end))");
  Harness& h = waits.h;
  auto pay = waits.Async("pay", {{"id", "o1"}, {"amount", 10}});
  while (h.tools.lookups("orders.get") < 1) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // it waits for its place by now
  h.clock.Shift(11'000'000);
  SetOrder(h, 100, true);
  waits.End();
  const auto paid = pay.get();
  ASSERT_TRUE(paid.ok()) << paid.status();
  EXPECT_EQ(paid->code, "BLOCKED");
  EXPECT_EQ(h.tools.runs("pay"), 0);
  EXPECT_EQ(h.tools.lookups("orders.get"), 2);
}

// What is held counts in the window in which it is held.
TEST(Places, AHoldStandsInTheWindowInWhichItIsMade) {
  PayWaits waits(std::string(kPolicyHead) +
                 R"(local SOON = budget "soon" { unit = "USD", limit = usd(100), per = "tenant",
                             window = "10m" }
on("pay", "reserve", function(c) return reserve(SOON, usd(c.args.amount)) end)
on("*", "all", function(c) return allow() end))");
  Harness& h = waits.h;
  constexpr std::int64_t kWindow = 600'000'000;
  h.clock.Shift(kWindow - h.clock.WallMicros() % kWindow - 3'000'000);  // close to its end
  auto pay = waits.Async("pay", {{"id", "o1"}, {"amount", 10}});
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // it waits for its place by now
  h.clock.Shift(4'000'000);
  waits.End();
  const auto paid = pay.get();
  ASSERT_TRUE(paid.ok()) << paid.status();
  EXPECT_EQ(paid->state, CallState::kOk);
  const core::Json held = BodyOf(h, "", "budget.held");
  const std::int64_t now = h.clock.WallMicros() / kWindow * kWindow;
  EXPECT_EQ(held.value("window_us", ""), std::to_string(now)) << held.dump();
}

}  // namespace
}  // namespace interlock::runtime::test
