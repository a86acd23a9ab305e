// What becomes of outcomes that nobody saw: repeated, looked up, or left to a person.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <thread>

#include "rules.h"

namespace interlock::runtime::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

ToolSpec Transfer() {
  ToolSpec pay = MoneyTool("pay");
  pay.idempotent = true;
  pay.failure = tools::FailureMeaning::kNoEffect;
  return pay;
}

ToolSpec LookedUp(std::int64_t settle_after_ms) {
  return {.name = "bill",
          .effect = tools::Effect::kWrite,
          .reconcile = "bill.state",
          .settle_after_ms = settle_after_ms};
}

// `bill` ends unseen.
void EndsUnseen(Harness& h) {
  h.tools.On("bill",
             [](const tools::CallSpec&, const FakeTools::Done& done) { done(UnknownOutcome()); });
}

TEST(Settle, Rule13_ARefusedRepeatSaysNothingOfTheFirstAttempt) {
  Harness h(WithBudget("100"), {Transfer()});
  std::atomic<int> tries = 0;
  // The first is at work for long, and its key is in use until then.
  h.tools.On("pay", [&](const tools::CallSpec&, const FakeTools::Done& done) {
    done(++tries == 1 ? UnknownOutcome() : FailedOutcome("HTTP_409"));
  });
  const auto call = h.Execute("pay", {{"id", "o1"}, {"amount", "20"}});
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->state, CallState::kUnknown);
  EXPECT_EQ(call->code, "HTTP_409");
  EXPECT_EQ(tries, h.limits.attempts_max);
  EXPECT_EQ(h.Budget("day").held, 2000) << "it may have been paid";
  EXPECT_EQ(h.Execute("pay", {{"id", "o1"}, {"amount", "20"}})->code, "DUPLICATE_EFFECT");
}

TEST(Settle, Rule13_ARefusedFirstAttemptIsOne) {
  Harness h(WithBudget("100"), {Transfer()});
  h.tools.On("pay", [](const tools::CallSpec&, const FakeTools::Done& done) {
    done(FailedOutcome("HTTP_409"));
  });
  const auto call = h.Execute("pay", {{"id", "o1"}, {"amount", "20"}});
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->state, CallState::kFailed);
  EXPECT_EQ(h.Budget("day").held, 0);
}

TEST(Settle, ARepeatThatIsAnsweredIsTheOutcome) {
  Harness h(WithBudget("100"), {Transfer()});
  std::atomic<int> tries = 0;
  h.tools.On("pay", [&](const tools::CallSpec&, const FakeTools::Done& done) {
    ++tries;
    done(tries == 1   ? UnknownOutcome()
         : tries == 2 ? FailedOutcome("HTTP_429")
                      : PaidOutcome("20.00"));
  });
  EXPECT_EQ(h.Execute("pay", {{"id", "o1"}, {"amount", "20"}})->state, CallState::kOk);
}

TEST(Settle, TheLookUpWaitsFromWhenTheEndWasNotSeenWhateverTheClockSays) {
  Harness h(AllowAll(), {LookedUp(100), {.name = "bill.state"}});
  using Steady = std::chrono::steady_clock;
  Steady::time_point ended;
  Steady::time_point asked;
  h.tools.On("bill", [&](const tools::CallSpec&, const FakeTools::Done& done) {
    h.clock.Shift(200'000);  // the attempt took longer than that, and the clock was set
    ended = Steady::now();
    done(UnknownOutcome());
  });
  h.tools.On("bill.state", [&](const tools::CallSpec&, const FakeTools::Done& done) {
    asked = Steady::now();
    done(OkOutcome({{"done", true}}));
  });
  EXPECT_EQ(h.Execute("bill", {{"id", "a"}})->state, CallState::kOk);
  EXPECT_GE(asked - ended, std::chrono::milliseconds(100));
}

TEST(Settle, ALookUpThatIsNotAnsweredIsAskedAgain) {
  Harness h(AllowAll(), {LookedUp(0), {.name = "bill.state"}});
  EndsUnseen(h);
  std::atomic<int> asked = 0;
  h.tools.On("bill.state", [&](const tools::CallSpec&, const FakeTools::Done& done) {
    done(++asked < 3 ? FailedOutcome("HTTP_503") : OkOutcome({{"done", true}}));
  });
  EXPECT_EQ(h.Execute("bill", {{"id", "a"}})->outcome, "reconciled_done");
  EXPECT_EQ(asked, 3);
}

TEST(Settle, ALookUpThatCannotTellIsAskedOnce) {
  Harness h(AllowAll(), {LookedUp(0), {.name = "bill.state"}});
  EndsUnseen(h);
  h.tools.Answers("bill.state", {{"done", nullptr}});
  const auto call = h.Execute("bill", {{"id", "a"}});
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->state, CallState::kUnknown);
  EXPECT_EQ(h.tools.lookups("bill.state"), 1);
}

TEST(Settle, AStopDoesNotWaitForALookUpThatIsNotDueYet) {
  Harness h(AllowAll(), {LookedUp(3'600'000), {.name = "bill.state"}});
  std::promise<void> ended;
  h.tools.On("bill", [&](const tools::CallSpec&, const FakeTools::Done& done) {
    done(UnknownOutcome());
    ended.set_value();
  });
  auto call = std::async(std::launch::async, [&] { return h.Execute("bill", {{"id", "a"}}); });
  ended.get_future().wait();
  h.StopEngine();
  EXPECT_EQ(call.get().status().code(), core::StatusCode::kUnavailable);
  EXPECT_EQ(h.Number("SELECT count(*) FROM p_call WHERE state = 7"), 1) << "for the next start";
}

TEST(Settle, AListSaysNothingOfTheDecisionWhereTheOutcomeIsUnknown) {
  Harness h(AllowAll(), {{.name = "bill", .effect = tools::Effect::kWrite}});
  EndsUnseen(h);
  const auto call = h.Execute("bill", {{"id", "a"}});
  ASSERT_TRUE(call.ok()) << call.status();
  const auto unknown = h.engine().ListCalls(h.operator_one, {}, CallState::kUnknown, "");
  ASSERT_TRUE(unknown.ok()) << unknown.status();
  ASSERT_EQ(unknown->items.size(), 1u);
  EXPECT_THAT(unknown->items[0].code, IsEmpty());
}

// ---------------------------------------------------------------- approvals of direct calls

class DirectApprovals : public ::testing::Test {
 protected:
  // A payment without a run that waits for a manager.
  std::string Park(const std::string& request) {
    const auto parked = Pay(request);
    EXPECT_EQ(parked.state, CallState::kParked);
    return parked.approvals.empty() ? "" : parked.approvals.at(0);
  }
  CallInfo Pay(const std::string& request) {
    auto call = h.Execute("pay", {{"id", "o1"}}, request);
    EXPECT_TRUE(call.ok()) << call.status();
    return call.ok() ? *std::move(call) : CallInfo{};
  }

  std::int64_t Expired() {
    const auto kinds = h.Kinds("");
    return std::count(kinds.begin(), kinds.end(), "approval.expired");
  }

  Harness h{AskAlways(R"("role:cs-manager")", "15m"), {MoneyTool("pay")}};
};

TEST_F(DirectApprovals, Rule14_AToolThatChangedWhileItWaitedIsAskedAboutAnew) {
  Pays(h, "5.00");
  const std::string request = h.NewRequestId();
  const std::string first = Park(request);
  ToolSpec changed = MoneyTool("pay");
  changed.locks = {"payer:{args.id}"};
  h.Stop();
  h.SetTools({changed});
  h.Start();
  ASSERT_TRUE(h.AnswerApproval(h.manager, first, true).ok());
  const CallInfo again = Pay(request);
  EXPECT_EQ(again.state, CallState::kParked);
  ASSERT_EQ(h.Pending().size(), 1u);
  EXPECT_NE(h.Pending().at(0).state.id, first);
  EXPECT_EQ(h.tools.runs("pay"), 0);
  ASSERT_TRUE(h.AnswerApproval(h.manager, h.Pending().at(0).state.id, true).ok());
  EXPECT_EQ(Pay(request).state, CallState::kOk);
  EXPECT_EQ(h.Number("SELECT count(*) FROM p_approval WHERE phase = 1"), 0) << "none stays granted";
}

TEST_F(DirectApprovals, Rule14_AYesThatNobodyComesForExpires) {
  Pays(h, "5.00");
  const std::string approval = Park(h.NewRequestId());
  ASSERT_TRUE(h.AnswerApproval(h.manager, approval, true).ok());
  h.clock.Shift(16 * kMinuteMicros);
  for (int i = 0; i < 2000 && Expired() == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(Expired(), 1);
  EXPECT_EQ(h.Number("SELECT count(*) FROM p_call WHERE state = 3"), 0) << "nothing waits";
}

TEST_F(DirectApprovals, WhatBecameOfItHasWordsOfItsOwn) {
  Pays(h, "5.00");
  const std::string yes = h.NewRequestId();
  ASSERT_TRUE(h.AnswerApproval(h.manager, Park(yes), true).ok());
  const CallInfo paid = Pay(yes);
  EXPECT_EQ(paid.code, "APPROVED");
  EXPECT_THAT(paid.say, IsEmpty());
  const std::string no = h.NewRequestId();
  auto parked = h.Execute("pay", {{"id", "o2"}}, no);
  ASSERT_TRUE(parked.ok()) << parked.status();
  ASSERT_TRUE(h.AnswerApproval(h.manager, parked->approvals.at(0), false).ok());
  const auto refused = h.Execute("pay", {{"id", "o2"}}, no);
  ASSERT_TRUE(refused.ok()) << refused.status();
  EXPECT_EQ(refused->code, "APPROVAL_REJECTED");
  EXPECT_THAT(refused->say, HasSubstr("refused"));
}

}  // namespace
}  // namespace interlock::runtime::test
