#include <gmock/gmock.h>

#include "runtime/planner.h"

namespace interlock::runtime {
namespace {

Plan WholePlan() {
  Plan plan;
  plan.finish = Finish::kCalls;
  plan.text = "Let me \"look\"\n";
  plan.calls = {{.id = "c1", .tool = "orders.get", .args_text = R"({"order_id": "o-1"})"},
                {.id = "c2", .tool = "../../etc", .args_text = "not json \x01"}};
  plan.prompt_tokens = 12;
  plan.completion_tokens = 3;
  plan.raw = R"({"choices":[]})";
  return plan;
}

TEST(PlanJson, ReadsBackWhatItWrote) {
  const Plan plan = WholePlan();
  const std::string text = PlanToJson(plan);
  const auto again = PlanFromJson(text);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->finish, plan.finish);
  EXPECT_EQ(again->text, plan.text);
  ASSERT_EQ(again->calls.size(), 2u);
  EXPECT_EQ(again->calls[1].id, "c2");
  EXPECT_EQ(again->calls[1].tool, "../../etc");
  EXPECT_EQ(again->calls[1].args_text, "not json \x01");
  EXPECT_EQ(again->prompt_tokens, 12);
  EXPECT_EQ(again->completion_tokens, 3);
  EXPECT_EQ(again->raw, plan.raw);
  EXPECT_EQ(PlanToJson(*again), text);
}

TEST(PlanJson, IsCanonical) {
  const std::string text = PlanToJson(WholePlan());
  const auto parsed = core::ParseJson(text, core::kPayloadLimits);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(core::CanonicalJson(*parsed), text);
}

TEST(PlanJson, KeepsWhatItCostAndHowItWasMade) {
  Plan plan = WholePlan();
  plan.calls[0].echo = "signature==";
  plan.cached_tokens = 5;
  plan.cache_write_tokens = 2;
  plan.reasoning_tokens = 1;
  plan.tokens_estimated = true;
  plan.cost_micros = 1234;
  plan.currency = "USD";
  plan.from_cache = true;
  plan.saved_micros = 99;
  plan.provider = "claude";
  plan.model = "m-1";
  plan.failed = {"gpt: model endpoint answered 503"};
  plan.raw_request = R"({"model":"m-1"})";
  plan.dialect = "anthropic";
  plan.streamed = true;
  const std::string text = PlanToJson(plan);
  const auto parsed = core::ParseJson(text, core::kPayloadLimits);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(core::CanonicalJson(*parsed), text);
  EXPECT_EQ(text.find(plan.raw_request), std::string::npos);
  const auto again = PlanFromJson(text);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(PlanToJson(*again), text);
  EXPECT_EQ(again->request_sha256, RequestSha256(plan));
  EXPECT_EQ(again->calls[0].echo, "signature==");
  EXPECT_EQ(again->failed, plan.failed);
  EXPECT_EQ(again->cost_micros, 1234);
  EXPECT_EQ(again->cached_tokens, 5);
  EXPECT_TRUE(again->streamed && again->from_cache && again->tokens_estimated);
}

TEST(PlanJson, SaysNothingOfWhatIsNotThere) {
  EXPECT_EQ(PlanToJson(Plan{}),
            R"({"calls":[],"completion_tokens":0,"finish":"answer","prompt_tokens":0,)"
            R"("raw":"","text":""})");
}

TEST(PlanJson, RefusesWhatIsNoPlan) {
  const std::string good = PlanToJson(WholePlan());
  ASSERT_TRUE(PlanFromJson(good).ok());
  const std::pair<std::string, std::string> changes[] = {
      {"\"finish\":\"calls\"", "\"finish\":\"answer\""},
      {"\"finish\":\"calls\"", "\"finish\":\"dance\""},
      {"\"prompt_tokens\":12", "\"prompt_tokens\":-1"},
      {"\"prompt_tokens\":12", "\"prompt_tokens\":\"x\""},
      {"\"tool\":\"orders.get\"", "\"tool\":7"},
      {"\"raw\"", "\"row\""},
      {"\"calls\":[", "\"calls\":[1,"}};
  for (const auto& [from, to] : changes) {
    std::string bad = good;
    bad.replace(bad.find(from), from.size(), to);
    EXPECT_EQ(PlanFromJson(bad).status().code(), core::StatusCode::kInvalidArgument) << to;
  }
  for (const char* bad : {"", "[]", "{}", "null", "{\"calls\":"}) {
    EXPECT_FALSE(PlanFromJson(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace interlock::runtime
