// What a run's models cost, from its entries (ADR 50).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "replays.h"
#include "rules.h"

namespace interlock::runtime::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;

Plan Priced(Plan plan, std::int64_t micros, const std::string& currency) {
  plan.provider = "gpt";
  plan.prompt_tokens = 100;
  plan.completion_tokens = 20;
  plan.cost_micros = micros;
  plan.currency = currency;
  return plan;
}

Plan FromCache(Plan plan, std::int64_t saved) {
  plan.provider = "gpt";
  plan.from_cache = true;
  plan.saved_micros = saved;
  plan.currency = "USD";
  return plan;
}

std::string BytesOf(Harness& h, const std::string& run, std::string_view kind) {
  std::string bytes;
  for (const audit::Entry& entry : h.Entries(run)) {
    if (entry.kind == kind) bytes += entry.bytes + "\n";
  }
  return bytes;
}

TEST(Cost, OfARunIsWhatItsEntriesSay) {
  Harness h(AllowAll(), {});
  h.planner.plans = {Priced(FakePlanner::Ask("which?"), 1'200, "USD"),
                     Priced(FakePlanner::Ask("sure?"), 34, "USD"),
                     Priced(FakePlanner::Ask("really?"), 7, "EUR"),
                     FromCache(FakePlanner::Answer("done"), 900)};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  for (int steps = 1; steps < 4; ++steps) {
    h.WaitFor(run->id, [steps](const RunInfo& info) {
      return info.steps == steps && info.state == RunState::kWaitingForUser;
    });
    ASSERT_TRUE(h.Send(run->id, "yes").ok());
  }
  h.WaitForState(run->id, RunState::kCompleted);
  for (const bool restarted : {false, true}) {
    if (restarted) h.Restart();
    const auto info = h.engine().GetRun(h.integrator, run->id);
    ASSERT_TRUE(info.ok()) << info.status();
    EXPECT_EQ(info->models.tokens_in, 300);
    EXPECT_EQ(info->models.tokens_out, 60);
    EXPECT_THAT(info->models.micros, ElementsAre(Pair("EUR", 7), Pair("USD", 1'234)));
    EXPECT_THAT(info->models.saved_micros, ElementsAre(Pair("USD", 900)));
    EXPECT_EQ(info->models.cache_hits, 1);
    EXPECT_EQ(info->models.asked, 3);
  }
  const std::string received = BytesOf(h, run->id, "plan.received");
  EXPECT_THAT(received,
              HasSubstr(R"("asked":true,"calls":0,"cost":{"amount":"1200","unit":"micro-USD"})"));
  EXPECT_THAT(received, HasSubstr(R"("from_cache":true)"));
  EXPECT_THAT(received, HasSubstr(R"("saved":{"amount":"900","unit":"micro-USD"})"));
  ExpectMadeAnew(h, run->id, {&h.agent});
}

TEST(Cost, IsNothingWhereNobodyTellsIt) {
  Harness h(AllowAll(), {});
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kCompleted);
  const auto info = h.engine().GetRun(h.integrator, run->id);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_THAT(info->models.micros, IsEmpty());
  EXPECT_EQ(info->models.asked + info->models.cache_hits, 0);
  EXPECT_THAT(BytesOf(h, run->id, "plan.received"), Not(HasSubstr("cost")));
}

}  // namespace
}  // namespace interlock::runtime::test
