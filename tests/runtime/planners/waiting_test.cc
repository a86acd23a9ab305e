// Requests that wait for a place at their endpoint, and what becomes of their time.
#include <chrono>
#include <thread>

#include "endpoint_fixture.h"
#include "fake_planner.h"
#include "waiting_line.h"

namespace interlock::runtime::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// An endpoint with one place, which the first request has for good; the clock stands.
class WaitingTest : public EndpointTest {
 protected:
  void SetUp() override {
    EndpointTest::SetUp();
    Serve({{.bytes = "", .hold = true}});
    ModelOptions options = Options(server_->url("/v1"));
    options.concurrent_max = 1;
    options.clock = &now_;
    options.later = [this](std::int64_t ms, std::function<void()> ring) {
      alarms_ms_.push_back(ms);
      alarms_.push_back(std::move(ring));
    };
    Start(std::move(options));
    first_ = Begin();
    first_handle_ = handle_;
    while (server_->requests().empty()) std::this_thread::yield();
  }
  void TearDown() override {
    planner_.reset();
    EndpointTest::TearDown();
  }
  PlanRequest Within(std::int64_t ms) const {
    PlanRequest request;
    request.deadline_monotonic_us = now_.now_us + ms * 1000;
    return request;
  }
  static bool IsOver(const std::future<Result>& of) {
    return of.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }
  void RingAt(std::int64_t ms, std::size_t alarm) {
    now_.now_us = 1 + ms * 1000;
    ASSERT_LT(alarm, alarms_.size());
    alarms_[alarm]();
  }

  ManualClock now_;
  std::vector<std::int64_t> alarms_ms_;
  std::vector<std::function<void()>> alarms_;
  std::future<Result> first_;
  std::uint64_t first_handle_ = 0;
};

TEST_F(WaitingTest, WhoseTimeIsUpIsToldThoughNoPlaceIsFree) {
  auto late = Begin(Within(60'000));
  auto soon = Begin(Within(30'000));
  auto last = Begin();
  ASSERT_THAT(alarms_ms_, ElementsAre(60'000, 30'000));
  RingAt(29'000, 1);  // a clock of another kind: it is set anew
  EXPECT_FALSE(IsOver(soon));
  ASSERT_THAT(alarms_ms_, ElementsAre(60'000, 30'000, 1'000));
  RingAt(30'000, 2);
  ASSERT_TRUE(IsOver(soon));
  const Result told = soon.get();
  EXPECT_EQ(told.status().code(), core::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(ErrorOf(told), "the deadline came before this planner had a place");
  EXPECT_FALSE(IsOver(late));
  RingAt(30'000, 2);  // nobody is told twice
  RingAt(60'000, 0);
  ASSERT_TRUE(IsOver(late));
  EXPECT_FALSE(IsOver(last));
  EXPECT_EQ(server_->requests().size(), 1u) << "they never had a place";
  planner_->Cancel(first_handle_);
  while (server_->requests().size() < 2) std::this_thread::yield();  // the last has the place
}

TEST_F(WaitingTest, AnAlarmOfWhoWasCancelledOrHasAPlaceRingsForNobody) {
  auto cancelled = Begin(Within(30'000));
  const std::uint64_t handle = handle_;
  auto asked = Begin(Within(40'000));
  planner_->Cancel(handle);
  EXPECT_EQ(cancelled.get().status().code(), core::StatusCode::kCancelled);
  planner_->Cancel(first_handle_);
  while (server_->requests().size() < 2) std::this_thread::yield();
  RingAt(30'000, 0);
  RingAt(50'000, 0);
  EXPECT_FALSE(IsOver(asked)) << "its attempt has a time limit of its own";
  auto next = Begin();
  EXPECT_FALSE(IsOver(next));
  EXPECT_EQ(alarms_.size(), 1u);
}

TEST_F(WaitingTest, TheNextOfTheRouteHasItsShareOfTheTime) {
  Fake other;
  other.answer = Saying("from the other");
  Route route;
  route.use = {"full", "other"};
  auto router = MakeRouter(
      {.name = "smart",
       .routes = {route},
       .targets = {{"full", {.planner = planner_.get()}}, {"other", {.planner = &other}}},
       .clock = &now_});
  ASSERT_TRUE(router.ok()) << router.status();
  std::optional<Result> answer;
  (*router)->Propose(Within(120'000), [&answer](Result plan) { answer = std::move(plan); });
  EXPECT_FALSE(answer.has_value());
  ASSERT_THAT(alarms_ms_, ElementsAre(60'000));
  RingAt(60'000, 0);
  ASSERT_TRUE(answer.has_value() && answer->ok());
  EXPECT_EQ((*answer)->text, "from the other");
  EXPECT_THAT((*answer)->failed,
              ElementsAre("full: the deadline came before this planner had a place"));
}

TEST_F(WaitingTest, PlacesNeedAClockThatWakes) {
  ModelOptions options = Options(server_->url("/v1"));
  options.concurrent_max = 1;
  options.later = nullptr;
  EXPECT_THAT(ErrorOf(MakeModelPlanner(std::move(options)).status()), HasSubstr("that wakes"));
  PlannerConfig config;
  config.name = "gpt";
  config.kind = PlannerKind::kModel;
  config.model.base_url = server_->url("/v1");
  config.model.concurrent_max = 1;
  const auto set =
      PlannerSet::Make({config}, {.fetcher = fetcher_.get(), .clock = &clock_, .random = &random_});
  EXPECT_TRUE(set.ok()) << set.status();
}

TEST(WaitingLine, KnowsWhoIsFirstAndWhoIsDue) {
  WaitingLine line;
  EXPECT_EQ(line.First(), std::nullopt);
  EXPECT_EQ(line.FirstDue(), std::nullopt);
  line.Add(1, 0);
  line.Add(2, 500);
  line.Add(3, 400);
  EXPECT_EQ(line.First(), 1u);
  EXPECT_EQ(line.FirstDue(), 3u);
  EXPECT_EQ(line.next_deadline_us(), 400);
  line.Remove(3, 400);
  line.Remove(1, 0);
  line.Remove(9, 0);
  EXPECT_EQ(line.First(), 2u);
  EXPECT_EQ(line.FirstDue(), 2u);
  EXPECT_EQ(line.size(), 1u);
}

}  // namespace
}  // namespace interlock::runtime::test
