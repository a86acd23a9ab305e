// Hedged requests: who is asked besides, when, how often, and what is charged for it.
#include <gmock/gmock.h>

#include <atomic>
#include <deque>
#include <future>
#include <map>
#include <thread>

#include "alarm.h"
#include "endpoint_fixture.h"
#include "fake_planner.h"
#include "routes.h"

namespace interlock::runtime::test {
namespace {

using interlock::testing::HttpReply;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr const char* kSlower = "slower than the one asked beside it";

// A route a, b, c whose planners answer when the test says so; the alarm rings when it says so.
class HedgeTest : public ::testing::Test {
 protected:
  HedgeTest() {
    route_.use = {"a", "b", "c"};
    route_.hedge_after_ms = 500;
    route_.hedge_percent_max = 100;
  }
  void Start() {
    RouterOptions options{.name = "smart", .routes = {route_}, .targets = {}, .clock = &clock_};
    for (auto& [name, fake] : fakes_) options.targets[name] = {.planner = &fake, .cost = 0};
    options.later = [this](std::int64_t ms, std::function<void()> ring) {
      EXPECT_EQ(ms, 500);
      rings_.push_back(std::move(ring));
    };
    auto router = MakeRouter(std::move(options));
    ASSERT_TRUE(router.ok()) << router.status();
    router_ = *std::move(router);
  }
  void Propose(PlanRequest request = {}) {
    result_.reset();
    handle_ = router_->Propose(std::move(request), [this](Result plan) {
      EXPECT_FALSE(result_.has_value());
      result_ = std::move(plan);
    });
  }
  // A request whose text comes into `heard`; what begins anew comes after a bar.
  static PlanRequest Hearing(std::string& heard) {
    PlanRequest request;
    request.on_text = [&heard](const TextDelta& delta) {
      heard += (delta.restarted ? "|" : "") + std::string(delta.text);
    };
    return request;
  }
  // Every alarm that is set so far.
  void Ring() {
    for (auto& ring : std::exchange(rings_, {})) ring();
  }
  Fake& a() { return fakes_["a"]; }
  Fake& b() { return fakes_["b"]; }
  Fake& c() { return fakes_["c"]; }

  ManualClock clock_;
  Route route_;
  std::map<std::string, Fake> fakes_{{"a", {}}, {"b", {}}, {"c", {}}};
  std::vector<std::function<void()>> rings_;
  std::unique_ptr<Planner> router_;
  std::optional<Result> result_;
  std::uint64_t handle_ = 0;
};

TEST_F(HedgeTest, TheNextPlannerIsAskedBesideASilentOneAndTheFirstGoodAnswerCounts) {
  Start();
  Propose();
  EXPECT_THAT(b().requests, IsEmpty());
  Ring();
  ASSERT_EQ(b().requests.size(), 1u);
  EXPECT_EQ(a().cancels, 0);
  b().Finish(Saying("from b"));
  ASSERT_TRUE(result_.has_value());
  EXPECT_EQ((*result_)->text, "from b");
  EXPECT_EQ(a().cancels, 1);
  EXPECT_THAT((*result_)->failed, ElementsAre(std::string("a: ") + kSlower));
  EXPECT_THAT(c().requests, IsEmpty());
  // The harmless twin: the first one was quicker after all.
  Propose();
  Ring();
  a().Finish(Saying("from a"));
  EXPECT_EQ((*result_)->text, "from a");
  EXPECT_EQ(b().cancels, 1);
  EXPECT_THAT((*result_)->failed, ElementsAre(std::string("b: ") + kSlower));
}

TEST_F(HedgeTest, WhoIsGivenUpIsKnownToBeSlow) {
  route_.use = {"a", "b"};
  route_.prefer = RoutePreference::kLatency;
  Start();
  Propose();
  clock_.now_us += 1'000'000;
  Ring();
  clock_.now_us += 1'000;
  b().Finish(Saying("from b"));
  ASSERT_EQ(a().requests.size(), 1u);
  Propose();
  EXPECT_EQ(b().requests.size(), 2u);
  EXPECT_EQ(a().requests.size(), 1u);
  b().Finish(Saying("from b"));
}

TEST_F(HedgeTest, IsOffUnlessARouteSaysSo) {
  route_.hedge_after_ms = 0;
  Start();
  Propose();
  EXPECT_THAT(rings_, IsEmpty());
  a().Finish(Saying("from a"));
  EXPECT_EQ((*result_)->text, "from a");
  EXPECT_EQ(a().requests[0].on_reply, nullptr);
}

TEST_F(HedgeTest, NobodyElseIsAskedOnceAReplyHasBegunOrCome) {
  Start();
  Propose();
  a().Begins();
  Ring();
  EXPECT_THAT(b().requests, IsEmpty());
  a().Finish(Saying("from a"));
  Propose();
  a().Finish(Saying("at once"));
  Ring();
  EXPECT_THAT(b().requests, IsEmpty());
  PlanRequest request;
  request.on_text = [](const TextDelta&) {};
  Propose(request);
  a().Says("so far");
  Ring();
  EXPECT_THAT(b().requests, IsEmpty());
  a().Finish(Saying("all"));
}

TEST_F(HedgeTest, OneThatFailsLeavesTheOtherAndBothTheNext) {
  Start();
  Propose();
  Ring();
  a().Finish(Failure("down"));
  EXPECT_FALSE(result_.has_value());
  EXPECT_THAT(c().requests, IsEmpty());
  b().Finish(Saying("from b"));
  EXPECT_EQ((*result_)->text, "from b");
  EXPECT_THAT((*result_)->failed, ElementsAre("a: down"));
  Propose();
  Ring();
  b().Finish(Failure("rests"));
  EXPECT_FALSE(result_.has_value());
  a().Finish(Failure("down"));
  ASSERT_EQ(c().requests.size(), 1u);
  Ring();  // nobody is left to be asked besides
  c().Finish(Saying("from c"));
  EXPECT_EQ((*result_)->text, "from c");
  EXPECT_THAT((*result_)->failed, ElementsAre("b: rests", "a: down"));
}

TEST_F(HedgeTest, OneThatRefusesAtOnceChangesNothing) {
  b().answer = Failure("this planner's endpoint rests after 3 failures in a row");
  Start();
  Propose();
  Ring();
  EXPECT_FALSE(result_.has_value());
  a().Finish(Saying("from a"));
  EXPECT_EQ((*result_)->text, "from a");
}

TEST_F(HedgeTest, TheShareOfHedgedRequestsIsKept) {
  route_.hedge_percent_max = 10;
  Start();
  std::size_t before = 0;
  for (int i = 1; i <= 50; ++i) {
    Propose();
    Ring();
    EXPECT_EQ(b().requests.size(), static_cast<std::size_t>(i / 10)) << i;
    a().Finish(Saying("slow"));
  }
  // What was saved is bounded, however long all went well.
  for (int i = 0; i < 1000; ++i) {
    Propose();
    a().Finish(Saying("quick"));
  }
  rings_.clear();
  before = b().requests.size();
  for (int i = 0; i < 20; ++i) {
    Propose();
    Ring();
    a().Finish(Saying("slow"));
  }
  EXPECT_EQ(b().requests.size() - before, 11u);
}

TEST_F(HedgeTest, NothingIsAskedAfterTheDeadlineOrACancel) {
  Start();
  PlanRequest request;
  request.deadline_monotonic_us = clock_.now_us + 10;
  Propose(request);
  clock_.now_us += 10;
  Ring();
  EXPECT_THAT(b().requests, IsEmpty());
  a().Finish(Failure("late"));
  a().deaf = true;
  Propose();
  router_->Cancel(handle_);
  Ring();
  EXPECT_THAT(b().requests, IsEmpty());
  a().Finish(Failure("cancelled at last"));
  EXPECT_EQ(result_->status().code(), core::StatusCode::kCancelled);
}

TEST_F(HedgeTest, ACancelReachesBoth) {
  Start();
  Propose();
  Ring();
  router_->Cancel(handle_);
  ASSERT_TRUE(result_.has_value());
  EXPECT_EQ(result_->status().code(), core::StatusCode::kCancelled);
  EXPECT_EQ(a().cancels, 1);
  EXPECT_EQ(b().cancels, 1);
  Propose();
  Ring();
  router_.reset();
  EXPECT_EQ(result_->status().code(), core::StatusCode::kCancelled);
  Ring();  // an alarm that comes after its router
}

// ---------------------------------------------------------------- what it costs

// What the one that is given up may be billed for is charged, whichever that is.
TEST_F(HedgeTest, TheLoserIsCharged) {
  Start();
  a().loses = b().loses = {.tokens = 70, .cost_micros = 7, .currency = "USD"};
  for (const char* winner : {"a", "b"}) {
    PlanRequest request;
    request.lost = std::make_shared<std::optional<policies::ModelUse>>();
    Propose(request);
    Ring();
    fakes_[winner].Finish(Saying(winner));
    ASSERT_TRUE(result_.has_value() && request.lost->has_value());
    EXPECT_EQ((*request.lost)->requests, 1) << winner;
    EXPECT_EQ((*request.lost)->tokens, 70);
    EXPECT_EQ((*request.lost)->cost_micros, 7);
  }
}

// It had answered already when it was given up: that answer is paid for as well.
TEST_F(HedgeTest, ASecondGoodAnswerIsPaidFor) {
  Start();
  for (const char* winner : {"a", "b"}) {
    Fake& late = fakes_[std::string(winner) == "a" ? "b" : "a"];
    late.deaf = true;
    PlanRequest request;
    request.lost = std::make_shared<std::optional<policies::ModelUse>>();
    Propose(request);
    Ring();
    fakes_[winner].Finish(Saying(winner));
    EXPECT_FALSE(result_.has_value());
    Plan second = Saying("late");
    second.provider = "p";
    second.prompt_tokens = 40;
    second.completion_tokens = 2;
    second.cost_micros = 9;
    second.currency = "USD";
    late.Finish(std::move(second));
    late.deaf = false;
    ASSERT_TRUE(result_.has_value());
    EXPECT_EQ((*result_)->text, winner);
    ASSERT_TRUE(request.lost->has_value());
    EXPECT_EQ((*request.lost)->tokens, 42);
    EXPECT_EQ((*request.lost)->cost_micros, 9);
  }
}

// ---------------------------------------------------------------- what is heard

TEST_F(HedgeTest, OneIsHeardAtATimeAndTheAnswerIsHeardWhole) {
  Start();
  for (const char* winner : {"a", "b"}) {
    std::string heard;
    Propose(Hearing(heard));
    Ring();
    b().Says("b so far");
    a().Says("a so far");
    fakes_[winner].Finish(Saying(std::string(winner) + " so far, and all"));
    EXPECT_EQ(heard, std::string(winner) == "b" ? "b so far" : "b so far|a so far, and all");
  }
}

// Nobody has heard its beginning.
TEST_F(HedgeTest, WhoWasNotHeardFromTheStartIsHeardAtTheEnd) {
  Start();
  std::string heard;
  Propose(Hearing(heard));
  Ring();
  b().Says("b so far");
  a().Says("one ");
  b().Finish(Failure("broken off"));
  a().Says("two");
  EXPECT_EQ(heard, "b so far");
  a().Finish(Saying("one two"));
  EXPECT_EQ(heard, "b so far|one two");
}

// ---------------------------------------------------------------- threads

TEST(Alarm, RingsInOrderAndNotAfterItsEnd) {
  std::vector<int> rung;
  const auto done = std::make_shared<std::promise<void>>();
  {
    Alarm alarm;
    alarm.After(3'600'000, [&rung] { rung.push_back(9); });
    alarm.After(0, [&rung, done, &alarm] {  // on its own thread: nothing comes between
      alarm.After(30, [&rung, done] {
        rung.push_back(2);
        done->set_value();
      });
      alarm.After(0, [&rung] { rung.push_back(1); });
    });
    done->get_future().wait();
    alarm.Stop();
    alarm.After(0, [&rung] { rung.push_back(8); });
  }
  EXPECT_THAT(rung, ElementsAre(1, 2));
}

// Answers, alarms and cancels from many threads: each request is answered once.
TEST(Hedge, EachRequestIsAnsweredOnceWhoeverIsFirst) {
  class Threaded final : public Planner {
   public:
    ~Threaded() override {
      for (std::thread& thread : threads_) thread.join();
    }
    std::uint64_t Propose(PlanRequest request, Done done) override {
      const std::lock_guard lock(mutex_);
      const int number = ++asked_;
      threads_.emplace_back([number, begins = std::move(request.on_reply), done = std::move(done)] {
        if (begins && number % 5 == 0) begins();
        done(number % 3 == 0 ? Failure("down") : Result(Saying("x")));
      });
      return static_cast<std::uint64_t>(number);
    }
    policies::ModelUse Bound(const PlanRequest&) const override { return {}; }
    void Cancel(std::uint64_t) override {}

   private:
    std::mutex mutex_;
    std::deque<std::thread> threads_;
    int asked_ = 0;
  };
  constexpr int kRequests = 300;
  core::SystemClock clock;
  Route route;
  route.use = {"a", "b", "a"};
  route.hedge_after_ms = 1;
  route.hedge_percent_max = 100;
  std::atomic<int> answered{0};
  std::deque<std::thread> alarms;
  {
    Threaded a;
    Threaded b;
    RouterOptions options{.name = "r", .routes = {route}, .targets = {}, .clock = &clock};
    options.targets["a"].planner = &a;
    options.targets["b"].planner = &b;
    std::mutex mutex;
    options.later = [&](std::int64_t, std::function<void()> ring) {
      const std::lock_guard lock(mutex);
      alarms.emplace_back(std::move(ring));
    };
    auto router = MakeRouter(std::move(options));
    ASSERT_TRUE(router.ok()) << router.status();
    std::vector<std::future<void>> done;
    for (int i = 0; i < kRequests; ++i) {
      const auto promise = std::make_shared<std::promise<void>>();
      done.push_back(promise->get_future());
      const std::uint64_t handle = (*router)->Propose({}, [&answered, promise](const Result&) {
        ++answered;
        promise->set_value();  // throws when it is told twice
      });
      if (i % 7 == 0) (*router)->Cancel(handle);
    }
    for (std::future<void>& one : done) one.wait();
    for (std::thread& alarm : alarms) alarm.join();
  }
  EXPECT_EQ(answered, kRequests);
}

// What each of two replies without a plan told of its use, whichever thread told it.
TEST_F(HedgeTest, WhatBothSpentIsTogether) {
  PlanRequest request;
  request.spent = std::make_shared<Spent>();
  Start();
  Propose(request);
  Ring();
  ASSERT_EQ(b().requests.size(), 1u);
  EXPECT_NE(a().requests[0].spent, b().requests[0].spent) << "they run beside each other";
  Plan used;
  used.provider = "x";
  used.prompt_tokens = 5;
  c().answer = Saying("c");
  for (Fake* fake : {&a(), &b()}) {
    Add(SpentOn(used), *fake->requests[0].spent);
    fake->Finish(Failure("refused"));
  }
  ASSERT_TRUE(result_.has_value() && result_->ok());
  EXPECT_EQ(request.spent->use.requests, 2);
  EXPECT_EQ(request.spent->use.tokens, 10);
}

// ---------------------------------------------------------------- over the wire

// A provider that takes the request and says nothing is given up, and charged with its most.
TEST_F(EndpointTest, ASilentProviderIsHedgedByTheNextOfItsRoute) {
  const LoopbackServer silent([](int, const std::string&) { return Scripted{"", true}; });
  const LoopbackServer quick(
      [](int, const std::string&) { return Scripted{HttpReply(200, kCounted)}; });
  PlannerConfig slow;
  slow.name = "slow";
  slow.kind = PlannerKind::kModel;
  slow.model = Options(silent.url("/v1"));
  PlannerConfig next = slow;
  next.name = "next";
  next.model = Options(quick.url("/v1"));
  PlannerConfig both;
  both.name = "both";
  both.kind = PlannerKind::kRouter;
  Route route;
  route.use = {"slow", "next"};
  route.hedge_after_ms = 20;
  route.hedge_percent_max = 100;
  both.routes = {route};
  auto set = PlannerSet::Make({slow, next, both},
                              {.fetcher = fetcher_.get(), .clock = &clock_, .random = &random_});
  ASSERT_TRUE(set.ok()) << set.status();
  PlanRequest request;
  request.lost = std::make_shared<std::optional<policies::ModelUse>>();
  const auto promise = std::make_shared<std::promise<Result>>();
  set->by_name().at("both")->Propose(
      request, [promise](Result plan) { promise->set_value(std::move(plan)); });
  const Result plan = promise->get_future().get();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->provider, "next");
  EXPECT_THAT(plan->failed, ElementsAre(std::string("slow: ") + kSlower));
  ASSERT_TRUE(request.lost->has_value());
  const policies::ModelUse one = set->by_name().at("slow")->Bound(request);
  EXPECT_EQ((*request.lost)->requests, 1);
  EXPECT_EQ((*request.lost)->tokens, one.tokens / one.requests);
}

TEST_F(EndpointTest, TheFirstByteOfAReplyIsTold) {
  for (const bool stream : {false, true}) {
    Serve({{.bytes = HttpReply(503, "busy")}, {.bytes = HttpReply(200, kCounted)}});
    ModelOptions options = Options(server_->url("/v1"));
    options.stream = stream;
    Start(options);
    std::atomic<int> told{0};
    PlanRequest request;
    request.on_reply = [&told] { ++told; };
    ASSERT_TRUE(Propose(std::move(request)).ok());
    EXPECT_EQ(told, 1) << stream;  // what turned it away is no reply
  }
}

}  // namespace
}  // namespace interlock::runtime::test
