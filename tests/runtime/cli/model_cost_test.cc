#include "cli/model_cost.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace interlock::runtime::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

wire::ModelDay Day(const std::string& day, const std::string& provider, std::int64_t micros) {
  wire::ModelDay one;
  one.set_day(day);
  one.set_planner("route");
  one.set_provider(provider);
  one.set_model("m-1");
  one.set_requests(3);
  one.set_failed(1);
  one.mutable_cost()->set_prompt_tokens(100);
  one.mutable_cost()->set_cached_tokens(60);
  one.mutable_cost()->set_completion_tokens(20);
  one.mutable_cost()->set_reasoning_tokens(5);
  one.mutable_cost()->set_cache_hits(1);
  one.mutable_cost()->set_provider_replies(1);
  (*one.mutable_cost()->mutable_cost_micros())["USD"] = micros;
  (*one.mutable_cost()->mutable_saved_micros())["USD"] = 900;
  return one;
}

struct Printed {
  std::ostringstream out;
  std::ostringstream err;
  std::istringstream in;
  Io io{out, err, in};
};

TEST(ModelCost, ALineSaysWhatIsPartOfWhat) {
  EXPECT_EQ(CostText(Day("2026-11-23", "gpt", 1'234).cost()),
            "100 tokens read (60 from the provider's cache), 20 written (5 of reasoning), "
            "0.001234 USD; 1 of 2 replies from the cache, which saved 0.0009 USD");
  EXPECT_EQ(CostText(wire::ModelCost()), "");
}

TEST(ModelCost, DaysAreSummedUnlessEachIsAskedFor) {
  ModelSums sums(/*by_day=*/false);
  ModelSums days(/*by_day=*/true);
  for (ModelSums* to : {&sums, &days}) {
    to->Take(Day("2026-11-22", "gpt", 1));
    to->Take(Day("2026-11-23", "gpt", 2));
    to->Take(Day("2026-11-23", "claude", 4));
  }
  EXPECT_EQ(days.rows().size(), 3u);
  const auto rows = sums.rows();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].provider(), "claude");
  EXPECT_EQ(rows[1].requests(), 6);
  EXPECT_EQ(rows[1].failed(), 2);
  EXPECT_EQ(rows[1].cost().cached_tokens(), 120);
  EXPECT_EQ(rows[1].cost().cost_micros().at("USD"), 3);
  EXPECT_EQ(sums.total().requests(), 9);
  EXPECT_EQ(sums.total().cost().cost_micros().at("USD"), 7);
}

TEST(ModelCost, ATableOfSeveralHasATotal) {
  ModelSums sums(/*by_day=*/true);
  sums.Take(Day("2026-11-22", "gpt", 1'000'000));
  Printed one;
  PrintModels(one.io, sums);
  EXPECT_THAT(one.out.str(), Not(HasSubstr("total")));
  EXPECT_THAT(one.out.str(), HasSubstr("2026-11-22"));
  sums.Take(Day("2026-11-23", "gpt", 500'000));
  Printed two;
  PrintModels(two.io, sums);
  EXPECT_THAT(two.out.str(), HasSubstr("total"));
  EXPECT_THAT(two.out.str(), HasSubstr("1.50 USD"));
}

TEST(ModelCost, CountersAreInPrometheusTextFormat) {
  ModelSums sums(/*by_day=*/false);
  wire::ModelDay day = Day("2026-11-22", "gpt", 1'234'567);
  day.set_model("a\"b\\c\nd");
  sums.Take(day);
  Printed printed;
  PrintExposition(printed.io, "main", sums.rows());
  const std::string labels = R"({tenant="main",planner="route",provider="gpt",model="a\"b\\c\nd")";
  const std::string text = printed.out.str();
  EXPECT_THAT(text, HasSubstr("# TYPE interlock_model_requests_total counter\n"
                              "interlock_model_requests_total" +
                              labels + "} 3\n"));
  for (const char* line :
       {"failed_requests_total|1", "cache_hits_total|1", "input_tokens_total|100",
        "cached_input_tokens_total|60", "output_tokens_total|20", "reasoning_tokens_total|5"}) {
    const std::string both = line;
    const std::size_t bar = both.find('|');
    EXPECT_THAT(text, HasSubstr("\ninterlock_model_" + both.substr(0, bar) + labels + "} " +
                                both.substr(bar + 1) + "\n"));
  }
  EXPECT_THAT(text,
              HasSubstr("\ninterlock_model_cost_total" + labels + ",currency=\"USD\"} 1.234567\n"));
  EXPECT_THAT(text, HasSubstr("\ninterlock_model_saved_cost_total" + labels +
                              ",currency=\"USD\"} 0.0009\n"));
}

}  // namespace
}  // namespace interlock::runtime::cli
