// DESIGN's rule 27 as tests of the whole engine: what a clock that was set forbids.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "harness.h"

namespace interlock::runtime::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::int64_t kMinute = 60'000'000;

constexpr const char* kPolicy =
    R"(policy "p" { version = "1", owner = "tests", tools = { "*" }, default = "deny" }
on("do", "ok", function(c) return allow() end)
on("ask", "ask", function(c)
  return require_approval { approvers = { "role:cs-manager" }, quorum = 1, expires = "1h", show = { "args.id" } }
end))";

class ClockTest : public ::testing::Test {
 protected:
  ClockTest()
      : h_(kPolicy, {{.name = "do", .effect = tools::Effect::kWrite},
                     {.name = "ask", .effect = tools::Effect::kWrite}}) {
    h_.tools.Answers("do", {{"done", true}});
    h_.tools.Answers("ask", {{"done", true}});
  }
  std::string CodeOf(const core::StatusOr<CallInfo>& call) {
    EXPECT_TRUE(call.ok()) << call.status();
    return call.ok() ? call->code : "";
  }
  CallState Do(int id) {
    const auto call = h_.Execute("do", {{"id", id}});
    EXPECT_TRUE(call.ok()) << call.status();
    return call.ok() ? call->state : CallState::kFailed;
  }
  // The step's entry follows the batch in which it was seen.
  std::string Stepped() {
    for (int look = 0; look < 2000; ++look) {
      for (const audit::Entry& entry : h_.Entries("")) {
        if (entry.kind == "clock.stepped") return entry.bytes;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return "";
  }

  Harness h_;
};

TEST_F(ClockTest, Rule27_AJumpOfMoreThanAnHourStopsNewIntentsUntilAnOperatorConfirms) {
  ASSERT_EQ(Do(1), CallState::kOk);
  h_.clock.Shift(120 * kMinute);
  EXPECT_EQ(CodeOf(h_.Execute("do", {{"id", 2}})), "CLOCK");
  EXPECT_THAT(Stepped(), HasSubstr(R"("found":"running","in_doubt":true)"));
  EXPECT_THAT(h_.engine().Unhealthy(), HasSubstr("confirm-clock"));
  h_.Restart();  // it is remembered
  EXPECT_EQ(CodeOf(h_.Execute("do", {{"id", 3}})), "CLOCK");
  EXPECT_EQ(CodeOf(h_.Check("do", {{"id", 3}})), "CLOCK");
  EXPECT_EQ(h_.tools.runs("do"), 1);

  EXPECT_EQ(h_.engine().ConfirmClock(h_.integrator, "trust me").status().code(),
            core::StatusCode::kPermissionDenied);
  EXPECT_FALSE(h_.engine().ConfirmClock(h_.operator_one, "").ok());
  const auto confirmed = h_.engine().ConfirmClock(h_.operator_one, "compared with two servers");
  ASSERT_TRUE(confirmed.ok()) << confirmed.status();
  EXPECT_EQ(h_.log().Read(confirmed->index)->kind, "clock.confirmed");
  EXPECT_EQ(h_.engine().Unhealthy(), "");
  EXPECT_EQ(Do(4), CallState::kOk);
  EXPECT_EQ(ReasonOf(h_.engine().ConfirmClock(h_.operator_one, "again").status()),
            "CLOCK_NOT_IN_DOUBT");
  h_.Restart();
  EXPECT_EQ(Do(5), CallState::kOk);
}

TEST_F(ClockTest, Rule27_ASmallerStepIsAnEntryAndWorkGoesOn) {
  ASSERT_EQ(Do(1), CallState::kOk);
  h_.clock.Shift(10 * kMinute);
  EXPECT_EQ(Do(2), CallState::kOk);
  EXPECT_THAT(Stepped(), HasSubstr(R"("found":"running","in_doubt":false)"));
}

TEST_F(ClockTest, Rule27_AClockSetBackIsAnEntryAndTimeStandsStill) {
  ASSERT_EQ(Do(1), CallState::kOk);
  h_.clock.Shift(-30 * kMinute);
  EXPECT_EQ(Do(2), CallState::kOk);
  EXPECT_THAT(Stepped(), HasSubstr(R"("by_us":"-1)"));  // about -1,800,000,000
  std::int64_t last = 0;
  for (const audit::Entry& entry : h_.Entries("")) {
    EXPECT_GE(entry.time_us, last);
    last = entry.time_us;
  }
}

// The log's time is what an answer is judged by; the clock would reach it half an hour later.
TEST_F(ClockTest, Rule27_WhatIsOverInTheLogExpiresThoughTheClockWasSetBack) {
  const auto parked = h_.Execute("ask", {{"id", 1}});
  ASSERT_TRUE(parked.ok()) << parked.status();
  h_.clock.Shift(40 * kMinute);
  ASSERT_EQ(Do(1), CallState::kOk);
  h_.clock.Shift(25 * kMinute);
  ASSERT_EQ(Do(2), CallState::kOk);
  h_.clock.Shift(-30 * kMinute);
  const auto is_expired = [&] {
    const std::vector<std::string> kinds = h_.Kinds("");
    return std::find(kinds.begin(), kinds.end(), "approval.expired") != kinds.end();
  };
  for (int look = 0; look < 400 && !is_expired(); ++look) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(is_expired());
}

TEST_F(ClockTest, Rule27_NothingExpiresWhileTheClockIsInDoubt) {
  const auto parked = h_.Execute("ask", {{"id", 1}});
  ASSERT_TRUE(parked.ok()) << parked.status();
  ASSERT_EQ(parked->state, CallState::kParked);
  h_.clock.Shift(180 * kMinute);
  EXPECT_EQ(CodeOf(h_.Execute("do", {{"id", 1}})), "CLOCK");
  // Answered in time as far as anyone can tell.
  EXPECT_TRUE(h_.AnswerApproval(h_.manager, parked->approvals[0], true).ok());
  EXPECT_THAT(h_.Kinds(""), Not(Contains("approval.expired")));
}

TEST_F(ClockTest, Rule27_ALogAheadOfTheClockAtStartIsInDoubt) {
  ASSERT_EQ(Do(1), CallState::kOk);
  h_.Stop();
  h_.clock.Shift(-120 * kMinute);
  h_.Start();
  EXPECT_EQ(CodeOf(h_.Execute("do", {{"id", 2}})), "CLOCK");
  EXPECT_THAT(Stepped(), HasSubstr(R"("found":"start","in_doubt":true)"));
  ASSERT_TRUE(h_.engine().ConfirmClock(h_.operator_one, "the old clock was wrong").ok());
  EXPECT_EQ(Do(3), CallState::kOk);
}

}  // namespace
}  // namespace interlock::runtime::test
