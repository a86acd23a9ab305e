// Callers who wait no more (ADR 59): what is undecided leaves no trace, what only reads is stopped,
// and what changes anything goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <map>

#include "replays.h"
#include "rules.h"

namespace interlock::runtime::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Told = std::future<core::StatusOr<CallInfo>>;

struct Asks {
  std::string tool;
  std::string request;
  std::int64_t wait_us = -1;
  std::shared_ptr<Hangup> hangup{};
  std::string args = "{}";
};

Told Ask(Harness& h, const Asks& asks) {
  auto told = std::make_shared<std::promise<core::StatusOr<CallInfo>>>();
  Told future = told->get_future();
  ToolCallSpec spec{.tool = asks.tool,
                    .args = asks.args,
                    .user = "u1",
                    .subject = "",
                    .session = core::Json::object(),
                    .request_id = asks.request,
                    .wait_us = asks.wait_us,
                    .hangup = asks.hangup};
  h.engine().ExecuteToolCall(h.integrator, spec, [told](core::StatusOr<CallInfo> info) {
    told->set_value(std::move(info));
  });
  return future;
}

core::Json BodyOf(Harness& h, const std::string& kind) {
  for (const audit::Entry& entry : h.Entries("")) {
    if (entry.kind != kind) continue;
    const auto json = core::ParseJson(entry.bytes, core::kPayloadLimits);
    return json.ok() ? (*json)["body"] : core::Json();
  }
  return {};
}

// Before a call of orders.cancel is decided, orders.get is asked.
std::string LooksAnOrderUp() {
  return std::string(kPolicyHead) + R"(
fact "order" { tool = "orders.get", args = { id = "{args.id}" }, on = "orders.cancel" }
on("orders.cancel", "all", function(c) return allow() end))";
}

// Both tools succeed; of each call the deadline that it was given is kept, by tool.
void KeepDeadlines(Harness& h, std::map<std::string, std::int64_t>& deadlines) {
  for (const char* tool : {"orders.get", "orders.cancel"}) {
    h.tools.On(tool, [&deadlines, tool](const tools::CallSpec& spec, const FakeTools::Done& done) {
      deadlines[tool] = spec.deadline_monotonic_us;
      done(OkOutcome({{"done", true}}));
    });
  }
}

constexpr std::int64_t kMinuteMicros = 60'000'000;
constexpr std::int64_t kSecondMicros = 1'000'000;

TEST(Patience, ADeadlineThatIsOverLeavesNoTraceAndTheSameRequestIsMadeLater) {
  Harness h(AllowAll(), {WriteTool("orders.cancel")});
  h.tools.Answers("orders.cancel", {{"done", true}});
  const std::string request = h.NewRequestId();
  const std::vector<std::string> before = h.Kinds("");
  const auto late = Ask(h, {.tool = "orders.cancel", .request = request, .wait_us = 0}).get();
  EXPECT_EQ(late.status().code(), core::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(ReasonOf(late.status()), "DEADLINE");
  EXPECT_THAT(std::string(core::Message(late.status())),
              HasSubstr("nothing was done, and the same `request_id` may be sent again"));
  EXPECT_EQ(h.Kinds(""), before);
  EXPECT_EQ(h.tools.runs("orders.cancel"), 0);
  const auto again =
      Ask(h, {.tool = "orders.cancel", .request = request, .wait_us = kMinuteMicros}).get();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->state, CallState::kOk);
  EXPECT_EQ(h.tools.runs("orders.cancel"), 1);
}

TEST(Patience, WhoWentAwayBeforeTheDecisionIsForgotten) {
  Harness h(AllowAll(), {WriteTool("orders.cancel")});
  const std::vector<std::string> before = h.Kinds("");
  auto hangup = std::make_shared<Hangup>();
  hangup->Happen();
  const auto gone =
      Ask(h, {.tool = "orders.cancel", .request = h.NewRequestId(), .hangup = hangup}).get();
  EXPECT_EQ(gone.status().code(), core::StatusCode::kCancelled);
  EXPECT_EQ(ReasonOf(gone.status()), "CALLER_GONE");
  EXPECT_EQ(h.Kinds(""), before);
  EXPECT_EQ(h.tools.runs("orders.cancel"), 0);
}

TEST(Patience, WhoGoesAwayDuringALookUpIsForgottenToo) {
  Harness h(LooksAnOrderUp(), {WriteTool("orders.cancel"), ReadTool("orders.get")});
  h.tools.Holds("orders.get");
  const std::vector<std::string> before = h.Kinds("");
  auto hangup = std::make_shared<Hangup>();
  Told told = Ask(h, {.tool = "orders.cancel",
                      .request = h.NewRequestId(),
                      .hangup = hangup,
                      .args = R"({"id":"o1"})"});
  h.tools.WaitUntilHeld("orders.get", 1);
  hangup->Happen();
  h.tools.Release("orders.get", OkOutcome({{"total", 3}}));
  EXPECT_EQ(ReasonOf(told.get().status()), "CALLER_GONE");
  EXPECT_EQ(h.Kinds(""), before);
}

TEST(Patience, ALookUpTakesNoLongerThanTheCallerWaits) {
  Harness h(LooksAnOrderUp(), {WriteTool("orders.cancel"), ReadTool("orders.get")});
  h.limits.fact_wait_us = 10 * kMinuteMicros;
  h.Restart();
  h.tools.Answers("orders.cancel", {{"done", true}});
  std::atomic<std::int64_t> left_us = 0;
  h.tools.On("orders.get", [&](const tools::CallSpec& spec, const FakeTools::Done& done) {
    left_us = spec.deadline_monotonic_us - h.clock.MonotonicMicros();
    done(OkOutcome({{"total", 3}}));
  });
  const auto hurried = Ask(h, {.tool = "orders.cancel",
                               .request = h.NewRequestId(),
                               .wait_us = kMinuteMicros,
                               .args = R"({"id":"o1"})"})
                           .get();
  EXPECT_TRUE(hurried.ok()) << hurried.status();
  EXPECT_LE(left_us, kMinuteMicros);
  const auto calm =
      Ask(h, {.tool = "orders.cancel", .request = h.NewRequestId(), .args = R"({"id":"o2"})"})
          .get();
  EXPECT_TRUE(calm.ok()) << calm.status();
  EXPECT_GT(left_us, kMinuteMicros);
}

TEST(Patience, ADeadlineThatPassesBehindAnothersLockIsNoDenial) {
  ToolSpec cancel = WriteTool("orders.cancel");
  cancel.locks = {"order:{args.id}"};
  Harness h(AllowAll(), {cancel});
  h.tools.Holds("orders.cancel");
  Told first =
      Ask(h, {.tool = "orders.cancel", .request = h.NewRequestId(), .args = R"({"id":"o1"})"});
  h.tools.WaitUntilHeld("orders.cancel", 1);
  const std::vector<std::string> before = h.Kinds("");
  const auto second = Ask(h, {.tool = "orders.cancel",
                              .request = h.NewRequestId(),
                              .wait_us = 20'000,
                              .args = R"({"id":"o1"})"})
                          .get();
  EXPECT_EQ(ReasonOf(second.status()), "DEADLINE");
  EXPECT_EQ(h.Kinds(""), before);
  h.tools.Release("orders.cancel", OkOutcome({{"done", true}}));
  EXPECT_TRUE(first.get().ok());
}

TEST(Patience, AToolThatOnlyReadsIsStoppedWhenItsCallerGoesAway) {
  Harness h(AllowAll(), {ReadTool("orders.get")});
  h.tools.Holds("orders.get");
  auto hangup = std::make_shared<Hangup>();
  Told told = Ask(h, {.tool = "orders.get", .request = h.NewRequestId(), .hangup = hangup});
  h.tools.WaitUntilHeld("orders.get", 1);
  hangup->Happen();
  h.tools.WaitUntilCancelled(1);
  h.tools.Release("orders.get", FailedOutcome("CANCELLED"));
  const auto info = told.get();
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->state, CallState::kFailed);
  EXPECT_EQ(info->code, "CANCELLED");
}

TEST(Patience, AToolThatChangesAnythingGoesOnAndIsAskedAboutLater) {
  ToolSpec cancel = WriteTool("orders.cancel");
  cancel.cancel = tools::CancelMeaning::kSafe;  // by a person: nobody said so here
  Harness h(AllowAll(), {cancel});
  h.tools.Holds("orders.cancel");
  auto hangup = std::make_shared<Hangup>();
  const std::string request = h.NewRequestId();
  Told told = Ask(h, {.tool = "orders.cancel", .request = request, .hangup = hangup});
  h.tools.WaitUntilHeld("orders.cancel", 1);
  hangup->Happen();
  h.tools.Release("orders.cancel", OkOutcome({{"done", true}}));
  EXPECT_EQ(told.get()->state, CallState::kOk);
  EXPECT_THAT(h.tools.cancelled(), IsEmpty());
  const auto again = Ask(h, {.tool = "orders.cancel", .request = request}).get();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->state, CallState::kOk);
  EXPECT_EQ(h.tools.runs("orders.cancel"), 1);
}

TEST(Patience, OfTwoWhoWaitForOneReadTheLastCounts) {
  Harness h(AllowAll(), {ReadTool("orders.get")});
  h.tools.Holds("orders.get");
  auto one = std::make_shared<Hangup>();
  auto other = std::make_shared<Hangup>();
  const std::string request = h.NewRequestId();
  Told first = Ask(h, {.tool = "orders.get", .request = request, .hangup = one});
  h.tools.WaitUntilHeld("orders.get", 1);
  Told second = Ask(h, {.tool = "orders.get", .request = request, .hangup = other});
  ASSERT_TRUE(h.Check("orders.get", core::Json::object()).ok());
  one->Happen();
  EXPECT_THAT(h.tools.cancelled(), IsEmpty());
  h.tools.Release("orders.get", OkOutcome({{"total", 3}}));
  EXPECT_EQ(first.get()->state, CallState::kOk);
  EXPECT_EQ(second.get()->state, CallState::kOk);
}

TEST(Patience, AReadHasNoMoreTimeThanItsCallerAndAWriteHasItsOwn) {
  Harness h(AllowAll(), {ReadTool("orders.get"), WriteTool("orders.cancel")});
  std::map<std::string, std::int64_t> deadlines;
  KeepDeadlines(h, deadlines);
  const std::int64_t now_us = h.clock.MonotonicMicros();
  ASSERT_TRUE(
      Ask(h, {.tool = "orders.get", .request = h.NewRequestId(), .wait_us = 5 * kSecondMicros})
          .get()
          .ok());
  const core::Json read = BodyOf(h, "call.intended");
  EXPECT_GT(read.value("wall_ms", 0), 0);
  EXPECT_LE(read.value("wall_ms", 0), 5'000);
  EXPECT_GT(deadlines["orders.get"], now_us);
  EXPECT_LE(deadlines["orders.get"], h.clock.MonotonicMicros() + 5 * kSecondMicros);
  ASSERT_TRUE(
      Ask(h, {.tool = "orders.cancel", .request = h.NewRequestId(), .wait_us = 5 * kSecondMicros})
          .get()
          .ok());
  EXPECT_EQ(deadlines["orders.cancel"], 0);
  const auto entries = h.Entries("");
  EXPECT_EQ(std::count_if(entries.begin(), entries.end(),
                          [](const audit::Entry& entry) {
                            return entry.bytes.find(R"("wall_ms")") != std::string::npos;
                          }),
            1);
}

TEST(Patience, WhatBecameOfACallIsFoundOutWhoeverHasGone) {
  Harness h(AllowAll(),
            {{.name = "bill", .effect = tools::Effect::kWrite, .reconcile = "bill.state"},
             ReadTool("bill.state")});
  h.tools.Holds("bill");
  std::atomic<std::int64_t> left_us = 0;
  h.tools.On("bill.state", [&](const tools::CallSpec& spec, const FakeTools::Done& done) {
    left_us = spec.deadline_monotonic_us - h.clock.MonotonicMicros();
    done(OkOutcome({{"done", true}}));
  });
  auto hangup = std::make_shared<Hangup>();
  Told told = Ask(h, {.tool = "bill", .request = h.NewRequestId(), .hangup = hangup});
  h.tools.WaitUntilHeld("bill", 1);
  hangup->Happen();
  h.tools.Release("bill", UnknownOutcome());
  const auto info = told.get();
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->outcome, "reconciled_done");
  EXPECT_GT(left_us, 0);
}

TEST(Patience, AParkedCallStaysParkedWhoeverWaitsForItNoMore) {
  Harness h(AskAlways(R"("role:cs-manager")"), {WriteTool("orders.cancel")});
  h.tools.Answers("orders.cancel", {{"done", true}});
  const std::string request = h.NewRequestId();
  const auto parked = Ask(h, {.tool = "orders.cancel", .request = request}).get();
  ASSERT_EQ(parked->state, CallState::kParked);
  ASSERT_TRUE(h.AnswerApproval(h.manager, parked->approvals.at(0), true).ok());
  const std::vector<std::string> before = h.Kinds("");
  const auto late = Ask(h, {.tool = "orders.cancel", .request = request, .wait_us = 0}).get();
  EXPECT_EQ(ReasonOf(late.status()), "DEADLINE");
  EXPECT_EQ(h.Kinds(""), before) << "the approval is there still";
  EXPECT_EQ(Ask(h, {.tool = "orders.cancel", .request = request}).get()->state, CallState::kOk);
  EXPECT_EQ(h.tools.runs("orders.cancel"), 1);
}

TEST(Patience, ACheckThatNobodyWaitsForIsGivenUp) {
  Harness h(AllowAll(), {ReadTool("orders.get")});
  std::promise<core::Status> told;
  ToolCallSpec spec{.tool = "orders.get",
                    .args = "{}",
                    .user = "u1",
                    .subject = "",
                    .session = core::Json::object(),
                    .request_id = "",
                    .wait_us = 0};
  h.engine().CheckToolCall(h.integrator, spec, [&told](const core::StatusOr<CallInfo>& info) {
    told.set_value(info.status());
  });
  EXPECT_EQ(ReasonOf(told.get_future().get()), "DEADLINE");
}

TEST(Patience, AReadOfARunHasNoMoreTimeThanTheRunAndIsMadeAnew) {
  Harness h(AllowAll(), {ReadTool("orders.get"), WriteTool("orders.cancel")});
  h.agent = AgentNamed("tester", "", "steps_max: 8, wall_ms: 5000");
  h.Restart();
  std::map<std::string, std::int64_t> deadlines;
  KeepDeadlines(h, deadlines);
  h.planner.plans = {
      FakePlanner::Calls({{"c1", "orders.get", "{}"}, {"c2", "orders.cancel", "{}"}})};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kCompleted);
  const std::int64_t left_ms = BodyOf(h, "call.intended").value("wall_ms", 0);
  EXPECT_GT(left_ms, 0);
  EXPECT_LE(left_ms, 5'100);
  EXPECT_GT(deadlines["orders.get"], 0);
  EXPECT_EQ(deadlines["orders.cancel"], 0);
  ExpectMadeAnew(h, run->id, {&h.agent});
}

}  // namespace
}  // namespace interlock::runtime::test
