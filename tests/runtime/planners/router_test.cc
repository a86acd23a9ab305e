// The router over planners that answer as the test says.
#include <gmock/gmock.h>

#include <map>

#include "fake_planner.h"
#include "routes.h"

namespace interlock::runtime::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
class RouterTest : public ::testing::Test {
 protected:
  RouterTest() {
    for (auto& [name, fake] : fakes_) {
      fake.answer = Saying(name);
      fake.clock = &clock_;
    }
  }
  Route To(std::vector<std::string> use) {
    Route route;
    route.use = std::move(use);
    return route;
  }
  void Start(std::vector<Route> routes) {
    RouterOptions options{
        .name = "smart", .routes = std::move(routes), .targets = {}, .clock = &clock_};
    for (auto& [name, fake] : fakes_)
      options.targets[name] = {
          .planner = &fake, .cost = cost_[name], .timeout_ms = timeout_ms_[name]};
    auto router = MakeRouter(std::move(options));
    ASSERT_TRUE(router.ok()) << router.status();
    router_ = *std::move(router);
  }
  Result Propose(PlanRequest request = {}) {
    std::optional<Result> result;
    handle_ = router_->Propose(std::move(request), [&](Result plan) { result = std::move(plan); });
    EXPECT_TRUE(result.has_value());
    return *result;
  }

  ManualClock clock_;
  std::map<std::string, Fake> fakes_{{"a", {}}, {"b", {}}, {"c", {}}};
  std::map<std::string, std::int64_t> cost_;
  std::map<std::string, std::int64_t> timeout_ms_{{"a", 60'000}, {"b", 60'000}, {"c", 60'000}};
  std::unique_ptr<Planner> router_;
  std::uint64_t handle_ = 0;
};

// Each may be asked and paid before the next one; prices in two currencies are no bound.
TEST_F(RouterTest, ARequestIsBoundedByAllOfItsRoute) {
  Route route = To({"a", "b"});
  route.canary = "c";
  Start({route});
  fakes_["a"].bound = {.tokens = 10, .cost_micros = 7, .currency = "USD"};
  fakes_["b"].bound = {.tokens = 30, .cost_micros = 5, .currency = "USD"};
  fakes_["c"].bound = {.free = true};
  EXPECT_EQ(router_->Bound({}).tokens, 40);
  EXPECT_EQ(router_->Bound({}).cost_micros, 12);
  EXPECT_EQ(router_->Bound({}).requests, 3);
  EXPECT_EQ(router_->Bound({}).currency, "USD");
  EXPECT_FALSE(router_->Bound({}).free);
  fakes_["c"].bound = {.tokens = 1, .cost_micros = 1, .currency = "EUR"};
  EXPECT_EQ(router_->Bound({}).currency, "");
}

TEST_F(RouterTest, TheFirstRouteThatFitsCounts) {
  Route refunds = To({"a"});
  refunds.agents = {"refund*"};
  refunds.risks = {"high"};
  Route travel = To({"b"});
  travel.agents = {"travel"};
  Start({refunds, travel, To({"c"})});
  PlanRequest request;
  request.model = "of the agent";
  request.agent = "refund-eu";
  request.risk = "high";
  EXPECT_EQ(Propose(request)->text, "a");
  EXPECT_EQ(fakes_["a"].requests[0].model, "");  // each planner has its own
  request.risk = "low";
  EXPECT_EQ(Propose(request)->text, "c");
  request.agent = "travel";
  EXPECT_EQ(Propose(request)->text, "b");
}

TEST_F(RouterTest, NoRouteIsAnError) {
  Route only = To({"a"});
  only.agents = {"x"};
  Start({only});
  const Result plan = Propose();
  EXPECT_EQ(plan.status().code(), core::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(core::Message(plan.status())), HasSubstr("no route of planner `smart`"));
}

TEST_F(RouterTest, FallsBackInOrderAndSaysFromWhom) {
  fakes_["a"].answer = Result(core::Unavailable("model endpoint answered 503"));
  fakes_["b"].answer = Result(core::InvalidArgument("reply of the model makes no sense: not JSON"));
  Start({To({"a", "b", "c"})});
  const Result plan = Propose();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->text, "c");
  EXPECT_THAT(plan->failed, ElementsAre("a: model endpoint answered 503",
                                        "b: reply of the model makes no sense: not JSON"));
  fakes_["c"].answer = Result(core::Unavailable("the last word"));
  EXPECT_EQ(core::Message(Propose().status()),
            "a: model endpoint answered 503; b: reply of the model makes no sense: not JSON; "
            "c: the last word");
  EXPECT_EQ(Propose().status().code(), core::StatusCode::kUnavailable);  // as the last of them
  fakes_["a"].answer = Result(core::Unavailable(std::string(600, 'x')));
  EXPECT_EQ(core::Message(Propose().status()).size(), 500u);
}

TEST_F(RouterTest, DoesNotFallBackAfterTheDeadline) {
  fakes_["a"].answer = Result(core::Unavailable("slow"));
  fakes_["a"].takes_us = 1000;
  Start({To({"a", "b"})});
  PlanRequest request;
  request.deadline_monotonic_us = clock_.now_us + 500;
  EXPECT_EQ(core::Message(Propose(request).status()), "slow");
  EXPECT_TRUE(fakes_["b"].requests.empty());
}

TEST_F(RouterTest, WhoHangsLeavesTimeForThoseBehindIt) {
  timeout_ms_ = {{"a", 30'000}, {"b", 10'000}, {"c", 20'000}};
  fakes_["a"].hangs = fakes_["b"].hangs = true;
  Start({To({"a", "b", "c"})});
  PlanRequest request;
  request.deadline_monotonic_us = clock_.now_us + 120'000'000;
  const Result plan = Propose(request);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->text, "c");
  EXPECT_THAT(plan->failed, ElementsAre("a: no answer in time", "b: no answer in time"));
  EXPECT_EQ(fakes_["a"].requests[0].deadline_monotonic_us, 60'000'001);
  EXPECT_EQ(fakes_["b"].requests[0].deadline_monotonic_us, 80'000'001);
  EXPECT_EQ(fakes_["c"].requests[0].deadline_monotonic_us, request.deadline_monotonic_us);
  // Nobody waits for ever, and nobody has to hurry.
  fakes_["a"].hangs = false;
  ASSERT_TRUE(Propose().ok());
  EXPECT_EQ(fakes_["a"].requests[1].deadline_monotonic_us, 0);
}

PlannerConfig ModelOf(std::string name, std::int64_t timeout_ms) {
  PlannerConfig config;
  config.name = std::move(name);
  config.kind = PlannerKind::kModel;
  config.model.timeout_ms = timeout_ms;
  return config;
}

TEST(PlanWait, LeavesEveryPlannerOfARouteItsTimeout) {
  EXPECT_EQ(PlanWaitMs({}), 120'000);
  EXPECT_EQ(PlanWaitMs({ModelOf("slow", 300'000)}), 300'000);
  std::vector<PlannerConfig> configs{ModelOf("a", 60'000), ModelOf("b", 50'000),
                                     ModelOf("c", 100'000)};
  PlannerConfig router;
  router.kind = PlannerKind::kRouter;
  router.routes.resize(2);
  router.routes[0].use = {"a", "b"};
  configs.push_back(router);
  EXPECT_EQ(PlanWaitMs(configs), 120'000);
  configs.back().routes[1].use = {"a", "a", "b"};
  configs.back().routes[1].canary = "c";
  EXPECT_EQ(PlanWaitMs(configs), 270'000);
}

TEST_F(RouterTest, PrefersTheCheapest) {
  cost_ = {{"a", 30}, {"b", 10}, {"c", 20}};
  Route route = To({"a", "b", "c"});
  route.prefer = RoutePreference::kCost;
  Start({route});
  EXPECT_EQ(Propose()->text, "b");
  fakes_["b"].answer = Result(core::Unavailable("down"));
  EXPECT_EQ(Propose()->text, "c");
}

TEST_F(RouterTest, PrefersTheFastestOnceItKnowsThem) {
  fakes_["a"].takes_us = 300;
  fakes_["b"].takes_us = 100;
  fakes_["c"].takes_us = 200;
  Route route = To({"a", "b", "c"});
  route.prefer = RoutePreference::kLatency;
  Start({route});
  std::vector<std::string> answered;
  for (int i = 0; i < 5; ++i) answered.push_back(Propose()->text);
  EXPECT_THAT(answered, ElementsAre("a", "b", "c", "b", "b"));
}

// Whoever else of the route failed is no business of the model's.
TEST_F(RouterTest, AFaultThatTheModelMayMendIsToldAlone) {
  Start({To({"a", "b"})});
  fakes_["a"].answer = core::Error(core::StatusCode::kOutOfRange, "neither text nor tool calls");
  fakes_["b"].answer = Failure("rests after 5 failures");
  for (const bool swapped : {false, true}) {
    if (swapped) std::swap(fakes_["a"].answer, fakes_["b"].answer);
    const Result failed = Propose();
    EXPECT_EQ(failed.status().code(), core::StatusCode::kOutOfRange);
    EXPECT_EQ(core::Message(failed.status()), "neither text nor tool calls");
  }
}

TEST_F(RouterTest, WhoFailsCountsAsSlowForAWhile) {
  fakes_["a"].answer = Failure("down");
  fakes_["b"].takes_us = 100;
  Route route = To({"a", "b"});
  route.prefer = RoutePreference::kLatency;
  Start({route});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Propose()->text, "b");
  EXPECT_EQ(fakes_["a"].requests.size(), 1u);
  fakes_["a"].answer = Saying("a");
  clock_.now_us += 301'000'000;
  EXPECT_EQ(Propose()->text, "a");
}

TEST_F(RouterTest, TextOfTheNextPlannerBeginsAnew) {
  fakes_["a"].says = "half a";
  fakes_["a"].answer = Result(core::Unavailable("down"));
  fakes_["b"].says = "all";
  Start({To({"a", "b"})});
  std::string heard;
  PlanRequest request;
  request.on_text = [&](const TextDelta& delta) {
    heard += (delta.restarted ? "|" : "") + std::string(delta.text);
  };
  ASSERT_TRUE(Propose(request).ok());
  EXPECT_EQ(heard, "half a|all");
}

TEST_F(RouterTest, CancelReachesThePlannerThatIsAsked) {
  fakes_["a"].answer = Result(core::Unavailable("down"));
  fakes_["b"].answer.reset();
  Start({To({"a", "b", "c"})});
  std::optional<Result> result;
  const std::uint64_t handle = router_->Propose({}, [&](Result plan) { result = std::move(plan); });
  EXPECT_FALSE(result.has_value());
  router_->Cancel(4711);
  EXPECT_FALSE(result.has_value());
  router_->Cancel(handle);
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->status().code(), core::StatusCode::kCancelled);
  EXPECT_TRUE(fakes_["c"].requests.empty());
  // Its end cancels what is open.
  result.reset();
  router_->Propose({}, [&](Result plan) { result = std::move(plan); });
  router_.reset();
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->status().code(), core::StatusCode::kCancelled);
}

TEST_F(RouterTest, RefusesARouteToNowhere) {
  RouterOptions options{.name = "smart", .routes = {To({"z"})}, .targets = {}, .clock = &clock_};
  EXPECT_EQ(MakeRouter(options).status().code(), core::StatusCode::kInvalidArgument);
  options.routes.clear();
  EXPECT_EQ(MakeRouter(options).status().code(), core::StatusCode::kInvalidArgument);
}

TEST(Canary, IsTheSameForARunAndAboutItsShareOfAll) {
  int in = 0;
  for (int i = 0; i < 10'000; ++i) {
    const std::string run = "run-" + std::to_string(i);
    if (InCanary(run, 5)) ++in;
    EXPECT_EQ(InCanary(run, 5), InCanary(run, 5));
    if (InCanary(run, 5)) {
      EXPECT_TRUE(InCanary(run, 20)) << "a larger share holds the smaller one";
    }
    EXPECT_FALSE(InCanary(run, 0));
    EXPECT_TRUE(InCanary(run, 100));
  }
  EXPECT_GT(in, 430);
  EXPECT_LT(in, 570);
}

TEST(Canary, ComesFirstAndFallsBack) {
  Route route;
  route.use = {"a", "b"};
  route.canary = "b";
  route.canary_percent = 100;
  const auto none = [](const std::string&) { return std::int64_t{0}; };
  EXPECT_THAT(OrderOf(route, "run", none, none), ElementsAre("b", "a"));
  route.canary_percent = 0;
  EXPECT_THAT(OrderOf(route, "run", none, none), ElementsAre("a", "b"));
}

}  // namespace
}  // namespace interlock::runtime::test
