// What Retry-After asks of one request holds for all, and they do not come back together.
#include <gmock/gmock.h>

#include <algorithm>

#include "fake_planner.h"
#include "runtime/planners.h"

namespace interlock::runtime::test {
namespace {

// Keeps what it is asked; the test answers.
class KeptFetcher final : public tools::Fetcher {
 public:
  using Done = std::function<void(core::StatusOr<tools::FetchResponse>)>;
  std::uint64_t Fetch(tools::FetchRequest request, Done done) override {
    delays_ms.push_back(request.delay_ms);
    waiting.push_back(std::move(done));
    return waiting.size();
  }
  void Cancel(std::uint64_t) override {}

  std::vector<std::int64_t> delays_ms;
  std::vector<Done> waiting;
};

// Another share each time.
class GrowingRandom final : public core::Random {
 public:
  void Fill(std::span<std::uint8_t> out) override {
    std::fill(out.begin(), out.end(), next_);
    next_ += 40;
  }

 private:
  std::uint8_t next_ = 0;
};

TEST(RetryAfter, IsTheLeastThatRequestsWaitAndTheyWaitDifferently) {
  ManualClock clock;
  KeptFetcher fetcher;
  GrowingRandom random;
  ModelOptions options;
  options.name = "gpt";
  options.base_url = "https://models.example/v1";
  options.model = "m";
  options.backoff_ms = 1'000;
  options.fetcher = &fetcher;
  options.clock = &clock;
  options.random = &random;
  auto planner = MakeModelPlanner(std::move(options));
  ASSERT_TRUE(planner.ok()) << planner.status();
  const auto propose = [&planner] { (*planner)->Propose({}, [](const Result&) {}); };
  propose();
  EXPECT_EQ(fetcher.delays_ms[0], 0);
  fetcher.waiting[0](tools::FetchResponse{.status = 429,
                                          .headers = {{"retry-after", "10"}},
                                          .body = "{}",
                                          .address = "",
                                          .wall_us = 0});
  ASSERT_EQ(fetcher.delays_ms.size(), 2u) << "it is asked again";
  propose();
  propose();
  std::vector<std::int64_t> delays(fetcher.delays_ms.begin() + 1, fetcher.delays_ms.end());
  for (const std::int64_t delay_ms : delays) {
    EXPECT_GT(delay_ms, 10'000);
    EXPECT_LE(delay_ms, 11'501);
  }
  std::sort(delays.begin(), delays.end());
  EXPECT_EQ(std::adjacent_find(delays.begin(), delays.end()), delays.end());
  clock.now_us += 10'000'000;
  propose();
  EXPECT_EQ(fetcher.delays_ms.back(), 0);
}

}  // namespace
}  // namespace interlock::runtime::test
