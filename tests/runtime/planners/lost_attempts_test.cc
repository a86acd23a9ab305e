// What may be billed of attempts that gave no plan.
#include "endpoint_fixture.h"

namespace interlock::runtime::test {
namespace {

using interlock::testing::HttpReply;
using ::testing::HasSubstr;
using ::testing::Not;

// What budgets are told of attempts that gave no plan.
class LostTest : public EndpointTest {
 protected:
  static PlanRequest Charged() {
    PlanRequest request;
    request.lost = std::make_shared<std::optional<policies::ModelUse>>();
    return request;
  }
  // How many attempts may be billed, by what the server says in turn.
  std::int64_t LostAfter(std::vector<Scripted> replies) {
    Serve(std::move(replies));
    const PlanRequest request = Charged();
    [[maybe_unused]] const Result plan = Propose(request);
    EXPECT_TRUE(request.lost->has_value());
    const policies::ModelUse lost = request.lost->value_or(policies::ModelUse());
    const policies::ModelUse most = planner_->Bound(request);
    EXPECT_EQ(lost.tokens, most.tokens / most.requests * lost.requests);
    return lost.requests;
  }
};

TEST_F(LostTest, WhatAProviderTurnsAwayIsNotBilled) {
  EXPECT_EQ(LostAfter({{.bytes = HttpReply(200, kCounted)}}), 0) << "the plan tells";
  for (const int status : {400, 401, 404, 413, 422}) {
    EXPECT_EQ(LostAfter({{.bytes = HttpReply(status, "{}")}}), 0) << status;
  }
  EXPECT_EQ(LostAfter({{.bytes = HttpReply(429, "{}", "Retry-After: 0\r\n")},
                       {.bytes = HttpReply(200, kCounted)}}),
            0);
}

TEST_F(LostTest, WhatMayHaveReachedTheModelIs) {
  EXPECT_EQ(LostAfter({{.bytes = HttpReply(503, "busy")}, {.bytes = HttpReply(200, kCounted)}}), 1);
  EXPECT_EQ(LostAfter({{.bytes = ""}}), 4) << "closed without a word, three times again";
  EXPECT_EQ(LostAfter({{.bytes = HttpReply(200, "no JSON")}}), 4) << "three times again";
  EXPECT_EQ(LostAfter({{.bytes = HttpReply(200, kHello)}}), 1) << "a reply that counts nothing";
  EXPECT_EQ(
      LostAfter({{.bytes = HttpReply(200, R"({"choices":[{"message":{"content":"Hi"}}],"usage":{
                                "prompt_tokens":99999999999999999999999999,
                                "completion_tokens":1}})")}}),
      1)
      << "a reply whose counts are none";
}

constexpr char kCut[] =
    R"({"choices":[{"message":{"content":"Hi"},"finish_reason":"length"}],
        "usage":{"prompt_tokens":5,"completion_tokens":7,
                 "prompt_tokens_details":{"cached_tokens":2}}})";

// What a reply without a plan says that it used is no guess, and not the most.
TEST_F(LostTest, WhatAReplyWithoutAPlanTellsIsSpentAndNotLost) {
  Serve({{.bytes = HttpReply(200, R"({"usage":{"prompt_tokens":3,"completion_tokens":1}})")},
         {.bytes = HttpReply(503, "busy")},
         {.bytes = HttpReply(200, kCut)}});
  ModelOptions options = Options(server_->url("/v1"));
  options.prices = {
      .currency = "USD",
      .models = {
          {.model = "*", .input = 1'000'000, .cached_input = 0, .cache_write = 0, .output = 0}}};
  Start(options);
  PlanRequest request = Charged();
  request.spent = std::make_shared<Spent>();
  EXPECT_EQ(Propose(request).status().code(), core::StatusCode::kOutOfRange);
  EXPECT_EQ((*request.lost)->requests, 1) << "the one that told nothing";
  const Spent& spent = *request.spent;
  EXPECT_EQ(spent.use.requests, 2);
  EXPECT_EQ(spent.use.tokens, 16);
  EXPECT_EQ(spent.use.currency, "USD");
  EXPECT_FALSE(spent.use.free);
  EXPECT_EQ(spent.prompt_tokens, 8);
  EXPECT_EQ(spent.cached_tokens, 2);
  EXPECT_EQ(spent.completion_tokens, 8);
  EXPECT_EQ(spent.use.cost_micros, 6);
  Serve({{.bytes = HttpReply(200, kCut)}});
  const PlanRequest unasked = Charged();
  EXPECT_FALSE(Propose(unasked).ok());
  EXPECT_EQ((*unasked.lost)->requests, 1) << "nobody asked: it counts with its most";
}

TEST_F(LostTest, WhatNeverWentOutIsNot) {
  Serve({{.bytes = ""}});
  ModelOptions options = Options(server_->url("/v1"));
  server_.reset();  // connections are refused from here on
  Start(options);
  const PlanRequest request = Charged();
  EXPECT_FALSE(Propose(request).ok());
  ASSERT_TRUE(request.lost->has_value());
  EXPECT_EQ((*request.lost)->requests, 0);
}

TEST_F(LostTest, TheBoundGoesOutWithTheRequest) {
  Serve({{.bytes = HttpReply(200, kHello)}});
  ASSERT_TRUE(Propose().ok());
  const PlanRequest request = Charged();
  ASSERT_TRUE(Propose(request).ok());
  EXPECT_THAT(server_->requests()[0], Not(HasSubstr("max_completion_tokens")));
  EXPECT_THAT(server_->requests()[1], HasSubstr(R"("max_completion_tokens":8192)"));
}

}  // namespace
}  // namespace interlock::runtime::test
