// What a run's models cost, from its entries (ADR 50).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

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
  plan.model = "some-model";
  plan.prompt_tokens = 100;
  plan.cached_tokens = 60;
  plan.completion_tokens = 20;
  plan.reasoning_tokens = 5;
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
    EXPECT_EQ(info->models.tokens_cached, 180);
    EXPECT_EQ(info->models.tokens_out, 60);
    EXPECT_EQ(info->models.tokens_reasoning, 15);
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

// Cut at its limit, refused, or written badly: it was billed all the same.
TEST(Cost, RepliesThatGaveNoPlanCountToo) {
  Harness h(AllowAll(), {});
  h.planner.spent = {SpentOn(Priced({}, 1'200, "USD")), SpentOn(Priced({}, 30, "USD"))};
  h.planner.plans = {Priced(FakePlanner::Ask("which?"), 4, "USD"),
                     core::Error(core::StatusCode::kPermissionDenied, "the model refused")};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForUser);
  ASSERT_TRUE(h.Send(run->id, "that").ok());
  h.WaitForState(run->id, RunState::kFailed);
  for (const bool restarted : {false, true}) {
    if (restarted) h.Restart();
    const auto info = h.engine().GetRun(h.integrator, run->id);
    ASSERT_TRUE(info.ok()) << info.status();
    EXPECT_EQ(info->models.tokens_in, 300);
    EXPECT_EQ(info->models.tokens_cached, 180);
    EXPECT_EQ(info->models.tokens_out, 60);
    EXPECT_EQ(info->models.tokens_reasoning, 15);
    EXPECT_THAT(info->models.micros, ElementsAre(Pair("USD", 1'234)));
    EXPECT_EQ(info->models.asked, 1);
  }
  EXPECT_THAT(
      BytesOf(h, run->id, "plan.received"),
      HasSubstr(R"("spent":{"cost":{"amount":"30","unit":"micro-USD"},"requests":1,)"
                R"("tokens_cached":60,"tokens_in":100,"tokens_out":20,"tokens_reasoning":5},)"
                R"("step":1)"));
  ExpectMadeAnew(h, run->id, {&h.agent});
}

std::vector<ModelDay> DaysOf(Harness& h, const DayRange& days = {}) {
  const auto page = h.engine().ListModelDays(h.auditor, {}, days);
  EXPECT_TRUE(page.ok()) << page.status();
  return page.ok() ? page->items : std::vector<ModelDay>{};
}

std::vector<std::string> NamesOf(const std::vector<ModelDay>& days) {
  std::vector<std::string> names;
  names.reserve(days.size());
  for (const ModelDay& one : days) {
    names.push_back(one.planner + "/" + one.provider + "/" + one.model + " " +
                    std::to_string(one.requests) + "-" + std::to_string(one.failed));
  }
  return names;
}

TEST(Cost, IsSummedByDayAndModelAndSurvivesARestart) {
  Harness h(AllowAll(), {});
  h.planner.plans = {Priced(FakePlanner::Ask("which?"), 1'200, "USD"),
                     FromCache(FakePlanner::Answer("done"), 900)};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForUser);
  ASSERT_TRUE(h.Send(run->id, "yes").ok());
  h.WaitForState(run->id, RunState::kCompleted);
  h.planner.plans = {core::Unavailable("nobody there")};
  const auto failed = h.CreateRun();
  ASSERT_TRUE(failed.ok()) << failed.status();
  h.WaitForState(failed->id, RunState::kFailed);
  for (const bool restarted : {false, true}) {
    if (restarted) h.Restart();
    const std::vector<ModelDay> days = DaysOf(h);
    ASSERT_THAT(NamesOf(days),
                ElementsAre("fake/gpt/ 1-0", "fake/gpt/some-model 1-0", "fake// 1-1"))
        << "what nobody answered last";
    EXPECT_EQ(days[2].cost.asked + days[2].cost.cache_hits, 0);
    EXPECT_THAT(days[0].cost.saved_micros, ElementsAre(Pair("USD", 900)));
    EXPECT_EQ(days[0].cost.cache_hits, 1);
    const ModelCost& cost = days[1].cost;
    EXPECT_EQ(cost.tokens_in, 100);
    EXPECT_EQ(cost.tokens_cached, 60);
    EXPECT_EQ(cost.tokens_out, 20);
    EXPECT_EQ(cost.tokens_reasoning, 5);
    EXPECT_THAT(cost.micros, ElementsAre(Pair("USD", 1'200)));
    EXPECT_EQ(cost.asked, 1);
    // Days are bounds, both of them in.
    const std::string day = days[2].day;
    EXPECT_EQ(DaysOf(h, {.from = day, .to = day}).size(), 3u);
    EXPECT_THAT(DaysOf(h, {.from = "2999-01-01"}), IsEmpty());
    EXPECT_THAT(DaysOf(h, {.to = "1999-01-01"}), IsEmpty());
  }
  EXPECT_EQ(h.engine().ListModelDays(h.integrator, {}, {}).status().code(),
            core::StatusCode::kPermissionDenied);
}

TEST(Cost, DaysComeInPages) {
  Harness h(AllowAll(), {});
  h.planner.plans = {Priced(FakePlanner::Answer("done"), 1, "USD")};
  for (int day = 0; day < 3; ++day) {
    const auto run = h.CreateRun();
    ASSERT_TRUE(run.ok()) << run.status();
    h.WaitForState(run->id, RunState::kCompleted);
    // Less than the hour that would put the clock in doubt.
    for (int i = 0; i < 25; ++i) {
      h.clock.Shift(59ll * 60 * 1'000'000);
      ASSERT_TRUE(h.CreateRun().ok());
    }
  }
  std::vector<std::string> days;
  PageSpec page{.size = 1, .cursor = ""};
  do {
    const auto one = h.engine().ListModelDays(h.operator_one, page, {});
    ASSERT_TRUE(one.ok()) << one.status();
    ASSERT_LE(one->items.size(), 1u);
    for (const ModelDay& day : one->items) days.push_back(day.day);
    page.cursor = one->next_cursor;
  } while (!page.cursor.empty());
  EXPECT_GE(days.size(), 3u);
  EXPECT_TRUE(std::is_sorted(days.begin(), days.end()));
  EXPECT_EQ(std::adjacent_find(days.begin(), days.end()), days.end());
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
