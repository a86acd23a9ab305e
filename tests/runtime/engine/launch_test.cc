// The two ends of a tool's run: a cancel in the moment of its start, and what it leaves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "rules.h"
#include "writer_pause.h"

namespace interlock::runtime::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

// A run whose one call waits for what it looks up.
std::string LookingUp(Harness& h) {
  h.planner.plans = {FakePlanner::Calls({{"b", "orders.cancel", "{}"}})};
  const auto run = h.CreateRun();
  EXPECT_TRUE(run.ok()) << run.status();
  h.tools.WaitUntilHeld("orders.get", 1);
  return run.ok() ? run->id : "";
}

// The call is decided, then the run is cancelled. What is answered behind each on the one worker
// says that it waits for the writer.
std::future<core::Status> DecideAndCancel(Harness& h, const std::string& run) {
  h.tools.Release("orders.get", OkOutcome({{"ok", true}}));
  EXPECT_TRUE(h.Check("idle.read", core::Json::object()).ok());
  auto cancelled = std::make_shared<std::promise<core::Status>>();
  h.engine().CancelRun(h.integrator, run, "changed my mind", "",
                       [cancelled](const auto& info) { cancelled->set_value(info.status()); });
  EXPECT_TRUE(h.Check("idle.read", core::Json::object()).ok());
  return cancelled->get_future();
}

// Rule 11: the journal's order decides. The run's call has its intent, a cancel stands right behind
// it, and both are durable before the worker hears of either: the tool was not started, so it never
// is.
TEST(Rule11, ACancelBetweenIntentAndStartIsNotLost) {
  Harness h(AllowAll() + R"(
fact "order" { tool = "orders.get", args = { id = "1" }, on = "orders.cancel" })",
            {ReadTool("orders.get"), ReadTool("idle.read"), WriteTool("orders.cancel")});
  h.limits.workers = 1;
  h.Restart();
  h.tools.Holds("orders.get");
  h.tools.Answers("orders.cancel", {{"ok", true}});
  const std::string run = LookingUp(h);
  WriterPause pause(h.log());
  auto cancelled = DecideAndCancel(h, run);
  pause.End();
  EXPECT_TRUE(cancelled.get().ok());
  h.WaitForState(run, RunState::kCancelled);
  EXPECT_THAT(h.Kinds(run), Contains("call.intended"));
  EXPECT_EQ(h.tools.runs("orders.cancel"), 0);
  const auto calls = h.CallsOf(run);
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0].state, CallState::kNotStarted);
  EXPECT_EQ(calls[0].code, "CANCELLED");
}

// The same, of a run whose row memory has let go before the worker comes to look: it stands in the
// table.
TEST(Rule11, ACancelIsSeenWhereMemoryHasLetTheRunGo) {
  Harness h(AllowAll() + R"(
fact "order" { tool = "orders.get", args = { id = "1" }, on = "orders.cancel" }
fact "idle" { tool = "slow.read", args = {}, on = "idle.read" })",
            {ReadTool("orders.get"), ReadTool("slow.read"), ReadTool("idle.read"),
             WriteTool("orders.cancel")});
  h.limits.workers = 1;
  h.runs_kept = 0;
  h.Restart();
  h.tools.Holds("orders.get");
  h.tools.Answers("slow.read", {{"ok", true}});
  h.tools.Answers("orders.cancel", {{"ok", true}});
  const std::string run = LookingUp(h);
  WriterPause pause(h.log());
  auto cancelled = DecideAndCancel(h, run);
  // The one worker is kept in a look-up until both are durable and nothing of them is in memory.
  std::promise<void> entered;
  std::promise<void> go_on;
  h.tools.On("slow.read", [&](const tools::CallSpec&, const FakeTools::Done& done) {
    entered.set_value();
    go_on.get_future().wait();
    done(OkOutcome({{"ok", true}}));
  });
  auto busy = std::async(std::launch::async,
                         [&h] { return h.Check("idle.read", core::Json::object()).status(); });
  entered.get_future().wait();
  pause.End();
  ASSERT_TRUE(
      h.log()
          .Append({.kind = "test.tick", .run = "", .actor = "engine", .body = "{}", .cites = {}})
          .ok());
  EXPECT_EQ(h.Number("SELECT count(*) FROM p_run"), 1) << "and all is flushed";
  ASSERT_TRUE(
      h.log()
          .Append({.kind = "test.tick", .run = "", .actor = "engine", .body = "{}", .cites = {}})
          .ok());
  go_on.set_value();
  EXPECT_TRUE(busy.get().ok());
  EXPECT_TRUE(cancelled.get().ok());
  h.WaitForState(run, RunState::kCancelled);
  EXPECT_EQ(h.tools.runs("orders.cancel"), 0);
  const auto calls = h.CallsOf(run);
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0].state, CallState::kNotStarted);
  EXPECT_EQ(calls[0].code, "CANCELLED");
}

TEST(Artifacts, AreSealedBesideTheOutcomeAndListed) {
  Harness h(AllowAll(), {ReadTool("report.make")});
  h.tools.On("report.make",
             [](const tools::CallSpec&, const FakeTools::Done& done) { done(OutcomeWithFiles()); });
  const auto call = h.Execute("report.make", core::Json::object());
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->state, CallState::kOk);
  for (const audit::Entry& entry : h.Entries("")) {
    if (entry.kind != "call.outcome") continue;
    EXPECT_THAT(entry.bytes, HasSubstr("\"artifact_files\":[{\"bytes\":9,"));
    EXPECT_THAT(entry.bytes, Not(HasSubstr("report.pdf"))) << "a program chose that name";
    const auto shown = h.engine().DisclosePayloads(
        h.auditor,
        {.entry_index = entry.index, .slots = {}, .reason = "test", .fields = {}, .log = ""});
    ASSERT_TRUE(shown.ok()) << shown.status();
    ASSERT_EQ(shown->payloads.size(), 3u) << "the file, the list, the result";
    EXPECT_EQ(shown->payloads[0].media, "application/octet-stream");
    EXPECT_EQ(shown->payloads[0].content, std::string("pdf\0bytes", 9));
    const core::Json list = core::Json::parse(shown->payloads[1].content);
    EXPECT_EQ(list[0]["path"], "report.pdf");
    EXPECT_EQ(list[0]["slot"], 0);
    EXPECT_EQ(list[0]["digest"], core::DigestName(core::Sha256(shown->payloads[0].content)));
    EXPECT_EQ(list[1]["why"], "Too many levels");
    return;
  }
  FAIL() << "there is no outcome";
}

TEST(Artifacts, OutcomesWithoutAnyLookAsTheyDid) {
  Harness h(AllowAll(), {ReadTool("report.make")});
  h.tools.Answers("report.make", {{"ok", true}});
  ASSERT_TRUE(h.Execute("report.make", core::Json::object()).ok());
  for (const audit::Entry& entry : h.Entries("")) {
    EXPECT_THAT(entry.bytes, Not(HasSubstr("artifact")));
  }
}

}  // namespace
}  // namespace interlock::runtime::test
