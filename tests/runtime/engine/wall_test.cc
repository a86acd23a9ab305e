// The time that a run may take is the run's, over waits and restarts (ADR 69).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <thread>

#include "replays.h"
#include "rules.h"
#include "writer_pause.h"

namespace interlock::runtime::test {
namespace {

// What entries of this kind say is left, in their order.
std::vector<std::int64_t> LeftIn(Harness& h, const std::string& run, std::string_view kind) {
  std::vector<std::int64_t> left;
  for (const audit::Entry& entry : h.Entries(run)) {
    if (entry.kind != kind) continue;
    const auto json = core::ParseJson(entry.bytes, core::kPayloadLimits);
    left.push_back(json.ok() ? (*json)["body"].value("left_ms", std::int64_t{-1}) : -1);
  }
  return left;
}

void SetWall(Harness& h, const std::string& wall_ms) {
  h.agent = AgentNamed("tester", "", "steps_max: 8, wall_ms: " + wall_ms);
  h.Restart();
}

std::string WaitingRun(Harness& h) {
  const auto run = h.CreateRun();
  EXPECT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForUser);
  return run->id;
}

TEST(Wall, WhatIsLeftStandsInTheLogAndGoesOnAfterARestart) {
  Harness h(AllowAll(), {});
  SetWall(h, "3600000");
  h.planner.plans = {FakePlanner::Ask("which?"), FakePlanner::Ask("sure?"),
                     FakePlanner::Answer("done")};
  constexpr std::int64_t kThinksMs = 3;
  h.planner.before_reply = [&h] {
    const std::int64_t until_us = h.clock.MonotonicMicros() + kThinksMs * 1000;
    while (h.clock.MonotonicMicros() < until_us) std::this_thread::yield();
  };
  const std::string run = WaitingRun(h);
  h.Restart();
  ASSERT_TRUE(h.Send(run, "this").ok());
  h.WaitFor(run, [](const RunInfo& info) {
    return info.steps == 2 && info.state == RunState::kWaitingForUser;
  });
  ASSERT_TRUE(h.Send(run, "yes").ok());
  h.WaitForState(run, RunState::kCompleted);
  const auto waits = LeftIn(h, run, "run.waiting");
  const auto asks = LeftIn(h, run, "plan.requested");
  ASSERT_EQ(waits.size(), 2u);
  ASSERT_EQ(asks.size(), 3u);
  const std::vector<std::int64_t> inorder{asks[0], waits[0], asks[1], waits[1], asks[2]};
  EXPECT_LE(inorder.front(), 3'600'000);
  EXPECT_GT(inorder.back(), 0);
  EXPECT_TRUE(std::is_sorted(inorder.rbegin(), inorder.rend())) << "it only ever gets less";
  EXPECT_LE(waits[0], 3'600'000 - kThinksMs);
  EXPECT_LE(waits[1], waits[0] - kThinksMs);
  EXPECT_LE(asks[2], asks[1] - kThinksMs);
  ExpectMadeAnew(h, run, {&h.agent});
}

// A message comes between the reply and the end that it would be: the run is read back at once.
TEST(Wall, GoesOnWhileARunIsReadBack) {
  Harness h(AllowAll(), {});
  SetWall(h, "3600000");
  std::promise<void> asked;
  std::promise<void> replies;
  std::atomic<bool> first = true;
  h.planner.before_reply = [&] {
    if (!first.exchange(false)) return;
    asked.set_value();
    replies.get_future().wait();
  };
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  asked.get_future().wait();
  constexpr std::int64_t kThinksMs = 100;
  std::this_thread::sleep_for(std::chrono::milliseconds(kThinksMs));
  WriterPause pause(h.log());
  replies.set_value();
  // Mostly the reply comes to the journal first; in the other order nothing is read back.
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  auto sent = std::async(std::launch::async, [&] { return h.Send(run->id, "and?").ok(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  pause.End();
  EXPECT_TRUE(sent.get());
  h.WaitForState(run->id, RunState::kCompleted);
  const auto asks = LeftIn(h, run->id, "plan.requested");
  ASSERT_EQ(asks.size(), 2u);
  EXPECT_LE(asks[1], asks[0] - kThinksMs);
  ExpectMadeAnew(h, run->id, {&h.agent});
}

// As a daemon would have left it whose run had this much left when it died.
void LeaveWhileDown(Harness& h, const std::string& run, const std::string& left_ms) {
  h.Stop();
  h.OpenLog();
  ASSERT_TRUE(h.log()
                  .Append({.kind = "run.waiting",
                           .run = run,
                           .actor = "engine",
                           .body = R"({"for":"user","left_ms":)" + left_ms + "}",
                           .cites = {}})
                  .ok());
  ASSERT_TRUE(h.StartEngine().ok());
}

TEST(Wall, TimeThatWasUpIsNotGivenAnewByARestart) {
  for (const bool up : {true, false}) {
    Harness h(AllowAll(), {});
    SetWall(h, "3600000");
    h.planner.plans = {FakePlanner::Ask("which?"), FakePlanner::Answer("done")};
    const std::string run = WaitingRun(h);
    LeaveWhileDown(h, run, up ? "1" : "3000000");
    if (up) h.planner.Holds();  // it is cancelled by the limit
    ASSERT_TRUE(h.Send(run, "this").ok());
    const RunInfo ended = h.WaitForState(run, up ? RunState::kFailed : RunState::kCompleted);
    EXPECT_EQ(ended.code, up ? "TIME_LIMIT" : "");
  }
}

// False: the time was up before the request was made; that says nothing.
bool IsNotAsked() {
  constexpr std::int64_t kWallMicros = 600'000;
  Harness h(AllowAll(), {WriteTool("door.open"), ReadTool("idle.read")});
  h.limits.workers = 1;
  SetWall(h, "600");
  h.tools.Holds("door.open");
  h.tools.Answers("idle.read", {{"ok", true}});
  h.planner.plans = {FakePlanner::Calls({{"a", "door.open", "{}"}})};
  const auto run = h.CreateRun();
  EXPECT_TRUE(run.ok()) << run.status();
  const RunInfo begun = h.WaitFor(run->id, [&h](const RunInfo& info) {
    const auto kinds = h.Kinds(info.id);
    return IsFinal(info.state) || std::count(kinds.begin(), kinds.end(), "call.intended") > 0;
  });
  if (IsFinal(begun.state)) return false;
  h.tools.WaitUntilHeld("door.open", 1);
  WriterPause pause(h.log());
  h.tools.Release("door.open", OkOutcome({{"ok", true}}));
  // The one worker is asked until the limit has struck there.
  const std::int64_t until_us = h.clock.MonotonicMicros() + kWallMicros + kWallMicros / 2;
  while (h.clock.MonotonicMicros() < until_us) {
    EXPECT_TRUE(h.Check("idle.read", core::Json::object()).ok());
  }
  pause.End();
  EXPECT_EQ(h.WaitForState(run->id, RunState::kFailed).code, "TIME_LIMIT");
  const auto kinds = h.Kinds(run->id);
  if (std::count(kinds.begin(), kinds.end(), "plan.requested") < 2) return false;
  EXPECT_EQ(h.planner.seen().size(), 1u) << "nobody reads what it would have said";
  EXPECT_EQ(h.tools.runs("door.open"), 1);
  ExpectMadeAnew(h, run->id, {&h.agent});
  return true;
}

TEST(Wall, AModelIsNotAskedForARunWhoseTimeIsUp) {
  constexpr int kTries = 20;
  for (int i = 0; i < kTries; ++i) {
    if (IsNotAsked() || testing::Test::HasFailure()) return;
  }
  FAIL() << "the limit never struck in between";
}

}  // namespace
}  // namespace interlock::runtime::test
