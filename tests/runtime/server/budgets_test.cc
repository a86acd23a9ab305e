// BudgetService: what models came to.
#include "fixture.h"

namespace interlock::runtime {
namespace {

using ::testing::Contains;

using BudgetsTest = ServerTest;

wire::ListModelDaysRequest ModelDays() {
  wire::ListModelDaysRequest request;
  request.set_parent("tenants/main");
  return request;
}

TEST_F(BudgetsTest, ModelsAreListedByDayPageByPage) {
  wire::ListModelDaysRequest request = ModelDays();
  request.set_from_day("2026-11-01");
  request.set_to_day("2026-11-30");
  wire::ListModelDaysResponse first, second;
  ASSERT_TRUE(Call("audi", &wire::BudgetService::Stub::ListModelDays, request, &first).ok());
  request.set_page_token(first.next_page_token());
  ASSERT_TRUE(Call("op", &wire::BudgetService::Stub::ListModelDays, request, &second).ok());
  EXPECT_THAT(engine_.seen(), Contains("ListModelDays audi 2026-11-01..2026-11-30 after "));
  EXPECT_THAT(engine_.seen(), Contains("ListModelDays op 2026-11-01..2026-11-30 after "
                                       "2026-11-23|route|gpt|some-model"));
  EXPECT_EQ(second.next_page_token(), "");
  ASSERT_EQ(first.model_days_size(), 1);
  const wire::ModelDay& day = first.model_days(0);
  EXPECT_EQ(day.day() + " " + day.planner() + " " + day.provider() + " " + day.model(),
            "2026-11-23 route gpt some-model");
  EXPECT_EQ(day.requests(), 3);
  EXPECT_EQ(day.failed(), 1);
  EXPECT_EQ(day.cost().prompt_tokens(), 10);
  EXPECT_EQ(day.cost().cached_tokens(), 4);
  EXPECT_EQ(day.cost().cost_micros().at("EUR"), 7);
}

TEST_F(BudgetsTest, DaysOfModelsMustBeDays) {
  for (const char* bad : {"2026-11", "2026-11-1", "2026/11/01", "yesterday", "2026-11-011",
                          "2026-13-45", "2026-02-29", "0000-00-00"}) {
    wire::ListModelDaysRequest request = ModelDays();
    request.set_to_day(bad);
    EXPECT_EQ(FieldIn(Call("op", &wire::BudgetService::Stub::ListModelDays, request)), "to_day")
        << bad;
  }
  for (const char* other : {"ticketing", "dora"}) {
    EXPECT_EQ(Call(other, &wire::BudgetService::Stub::ListModelDays, ModelDays()).error_code(),
              grpc::StatusCode::PERMISSION_DENIED)
        << other;
  }
}

}  // namespace
}  // namespace interlock::runtime
