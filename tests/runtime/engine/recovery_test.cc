// What a daemon finds that was killed at a bad moment, and what two people do at once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

#include "harness.h"
#include "writer_pause.h"

namespace interlock::runtime::test {
namespace {

using ::testing::Contains;
using ::testing::Not;

constexpr const char* kHead =
    R"(policy "p" { version = "1", owner = "tests", tools = { "*" }, default = "deny" }
)";
const std::string kAllowAll =
    std::string(kHead) + R"(on("*", "all", function(c) return allow() end))";
const std::string kAsk = std::string(kHead) + R"(on("orders.cancel", "ask", function(c)
  return require_approval { approvers = { "role:cs-manager" }, expires = "1h" } end))";

ToolSpec Write(std::string name) {
  return {.name = std::move(name), .effect = tools::Effect::kWrite};
}

// Puts an entry into the log as if the daemon had died before its run heard of it.
void AppendUnheard(Harness& h, const std::string& run, std::string_view kind, std::string body) {
  const auto added =
      h.log().Append({.kind = kind, .run = run, .actor = "engine", .body = body, .cites = {}});
  ASSERT_TRUE(added.ok()) << added.status();
}

TEST(Recovery, Rule03_ARecoveredCallKeepsItsLocksUntilItIsSettled) {
  const std::string policy = std::string(kHead) + R"(
fact "order" { tool = "orders.get", args = { id = "{args.id}" }, on = "pay" }
on("pay", "once", function(c)
  if c.facts.order.refunded then return deny { code = "REFUNDED", say = "refunded" } end
  return allow()
end))";
  Harness h(policy, {{.name = "pay",
                      .effect = tools::Effect::kMoney,
                      .effect_key = "pay:{args.id}:{args.amount}",
                      .locks = {"order:{args.id}"},
                      .idempotent = true},
                     {.name = "orders.get"}});
  h.tools.Answers("orders.get", {{"refunded", false}});
  h.tools.Holds("pay");
  auto first = std::async(std::launch::async, [&] {
    return h.Execute("pay", {{"id", "o1"}, {"amount", 1}});
  });
  h.tools.WaitUntilHeld("pay", 1);
  const std::string copy = h.CopyFiles();
  h.tools.Release("pay", OkOutcome({{"ok", true}}));
  first.wait();

  // The shop, after the restart: the retry takes until somebody has looked at the order, or a
  // while.
  std::mutex mutex;
  std::condition_variable looked;
  bool seen = false;
  int refunds = 0;
  std::vector<std::thread> threads;
  h.tools.On("pay", [&](const tools::CallSpec&, FakeTools::Done done) {
    threads.emplace_back([&, done] {
      std::unique_lock lock(mutex);
      looked.wait_for(lock, std::chrono::milliseconds(500), [&] { return seen; });
      ++refunds;
      lock.unlock();
      done(OkOutcome({{"ok", true}}));
    });
  });
  h.tools.On("orders.get", [&](const tools::CallSpec&, FakeTools::Done done) {
    const std::lock_guard lock(mutex);
    const bool refunded = refunds > 0;
    seen = true;
    looked.notify_all();
    threads.emplace_back([&, done, refunded] {
      // What was read is old by the time it arrives.
      if (!refunded) std::this_thread::sleep_for(std::chrono::milliseconds(300));
      done(OkOutcome({{"refunded", refunded}}));
    });
  });
  h.RestartFrom(copy);
  const auto second = h.Execute("pay", {{"id", "o1"}, {"amount", 2}});
  h.Stop();
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->code, "REFUNDED");
  EXPECT_EQ(refunds, 1);
}

TEST(Recovery, Rule11_AnApprovalBesideACancelRunsNothing) {
  Harness h(kAsk, {Write("orders.cancel")});
  h.tools.Answers("orders.cancel", {{"ok", true}});
  h.planner.plans = {FakePlanner::Calls({{"a", "orders.cancel", "{}"}})};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForApproval);
  const auto pending = h.Pending();
  ASSERT_EQ(pending.size(), 1u);
  WriterPause pause(h.log());
  auto granted = std::async(std::launch::async,
                            [&] { return h.AnswerApproval(h.manager, pending[0].state.id, true); });
  auto cancelled = std::async(std::launch::async, [&] { return h.Cancel(run->id); });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // both are under way, mostly
  pause.End();
  // Either may be first: an approval is open until the run has ended.
  const auto answered = granted.get();
  if (!answered.ok()) {
    EXPECT_EQ(ReasonOf(answered.status()), "APPROVAL_ENDED") << answered.status();
  }
  EXPECT_TRUE(cancelled.get().ok());
  h.WaitForState(run->id, RunState::kCancelled);
  EXPECT_EQ(h.tools.runs("orders.cancel"), 0);
  EXPECT_THAT(h.Kinds(run->id), Not(Contains("call.intended")));
}

TEST(Recovery, ARunHearsAfterARestartThatItsApprovalEnded) {
  Harness h(kAsk, {Write("orders.cancel")});
  h.planner.plans = {FakePlanner::Calls({{"a", "orders.cancel", "{}"}})};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForApproval);
  const ApprovalInfo asked = h.Pending().at(0);
  AppendUnheard(h, run->id, "approval.rejected",
                R"({"approval":")" + asked.state.id + R"(","by":"principal:maria","call":")" +
                    asked.state.call + R"("})");
  h.Restart();
  h.WaitForState(run->id, RunState::kCompleted);
  EXPECT_EQ(h.tools.runs("orders.cancel"), 0);
}

TEST(Recovery, Rule10_ARunHearsAfterARestartWhatAPersonSaid) {
  Harness h(kAllowAll, {Write("orders.cancel")});
  h.tools.On("orders.cancel",
             [](const tools::CallSpec&, FakeTools::Done done) { done(UnknownOutcome()); });
  h.planner.plans = {FakePlanner::Calls({{"a", "orders.cancel", "{}"}})};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForPerson);
  const std::string call = h.CallsOf(run->id).at(0).id;
  AppendUnheard(
      h, run->id, "call.resolved",
      R"({"by":"principal:ops1","call":")" + call + R"(","complete":true,"happened":true})");
  h.Restart();
  h.WaitForState(run->id, RunState::kCompleted);
  EXPECT_EQ(h.tools.runs("orders.cancel"), 1);
}

std::size_t WorkerOf(const std::string& id) { return std::hash<std::string>{}(id) % 2; }

// A run whose only call nobody knows the end of.
RunInfo LostRun(Harness& h, const std::string& tool, const std::string& args) {
  h.planner.plans = {FakePlanner::Calls({{"a", tool, args}})};
  auto run = h.CreateRun();
  EXPECT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForPerson);
  return *run;
}

// The restart finds a call that nobody knows the end of, and a person says it before its run is
// read: the thread of that is busy with another.
TEST(Recovery, Rule10_ACallThatAPersonResolvesFirstKeepsNoLocks) {
  Harness h(kAllowAll,
            {{.name = "ship", .effect = tools::Effect::kWrite, .locks = {"order:{args.id}"}},
             {.name = "bill", .effect = tools::Effect::kWrite, .reconcile = "bill.state"},
             {.name = "bill.state"}});
  h.limits.workers = 2;
  h.limits.lock_wait_us = 200'000;
  h.Restart();
  const auto is_lost = [](const tools::CallSpec&, FakeTools::Done done) { done(UnknownOutcome()); };
  h.tools.On("ship", is_lost);
  h.tools.On("bill", is_lost);
  h.tools.Fails("bill.state", "AWAY");
  const RunInfo first = LostRun(h, "bill", R"({"id":"b"})");
  std::string id;
  std::string call;
  do {
    id = "o" + std::to_string(h.Entries("").size());
    const RunInfo run = LostRun(h, "ship", R"({"id":")" + id + R"("})");
    call = h.CallsOf(run.id).at(0).id;
    if (WorkerOf(run.id) != WorkerOf(first.id)) call.clear();
  } while (call.empty() || WorkerOf(call) == WorkerOf(first.id));
  std::promise<void> goes_on;
  const std::shared_future<void> going = goes_on.get_future().share();
  h.tools.On("bill.state", [going](const tools::CallSpec&, const FakeTools::Done& done) {
    going.wait();
    done(FailedOutcome("AWAY"));
  });
  h.Restart();
  const auto resolved = h.Resolve(h.operator_one, call, false);
  goes_on.set_value();
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  h.tools.Answers("ship", {{"ok", true}});
  const auto next = h.Execute("ship", {{"id", id}});
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(next->state, CallState::kOk) << next->code;
}

// It waited for a person; after a restart the tool answered, and the daemon ended before the run
// heard.
TEST(Recovery, AnOutcomeThatComesAfterAllSetsTheRunToWork) {
  Harness h(kAllowAll, {{.name = "ship", .effect = tools::Effect::kWrite, .idempotent = true}});
  h.tools.On("ship", [](const tools::CallSpec&, FakeTools::Done done) { done(UnknownOutcome()); });
  const RunInfo run = LostRun(h, "ship", "{}");
  const std::string call = h.CallsOf(run.id).at(0).id;
  AppendUnheard(h, run.id, "call.outcome",
                R"({"attempt":3,"call":")" + call + R"(","kind":"ok","level":"builtin"})");
  h.Restart();
  h.WaitForState(run.id, RunState::kCompleted);
}

TEST(Recovery, Rule10_AChangedManifestLeavesTheCallToAPerson) {
  Harness h(kAllowAll, {Write("orders.cancel")});
  h.tools.Holds("orders.cancel");
  auto first = std::async(std::launch::async, [&] {
    return h.Execute("orders.cancel", {{"id", "o1"}});
  });
  h.tools.WaitUntilHeld("orders.cancel", 1);
  const std::string copy = h.CopyFiles();
  h.tools.Release("orders.cancel", OkOutcome({{"ok", true}}));
  const auto done = first.get();
  ASSERT_TRUE(done.ok()) << done.status();
  ToolSpec changed = Write("orders.cancel");
  changed.cancel = tools::CancelMeaning::kSafe;
  h.SetTools({changed});
  h.RestartFrom(copy);
  core::StatusOr<CallInfo> resolved = core::Unavailable("not asked");
  for (int i = 0; i < 100 && !resolved.ok(); ++i) {  // until the restart has recorded `unknown`
    resolved = h.Resolve(h.operator_one, done->id, true);
    if (!resolved.ok()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  EXPECT_EQ(resolved->state, CallState::kOk);
  EXPECT_EQ(h.tools.runs("orders.cancel"), 1);
}

TEST(Recovery, Rule09_NoRetryOnceTheKeyIsTooOld) {
  Harness h(kAllowAll,
            {{.name = "orders.cancel", .effect = tools::Effect::kWrite, .idempotent = true}});
  h.tools.On("orders.cancel", [&](const tools::CallSpec&, FakeTools::Done done) {
    h.clock.Shift(std::int64_t{40} * 60 * 1'000'000);  // the window is an hour
    done(UnknownOutcome());
  });
  const auto call = h.Execute("orders.cancel", {{"id", "o1"}});
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->state, CallState::kUnknown);
  EXPECT_EQ(h.tools.runs("orders.cancel"), 2);  // at 0 and 40 minutes, not at 80
}

}  // namespace
}  // namespace interlock::runtime::test
