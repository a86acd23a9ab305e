// The planner against a server on loopback that answers well, badly, late or not at all.
#include <gmock/gmock.h>
#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <future>

#include "endpoint_fixture.h"

namespace interlock::runtime::test {
namespace {

using interlock::testing::HttpReply;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST_F(EndpointTest, AsksTheEndpointAndUnderstandsIt) {
  Serve({{.bytes = HttpReply(200, kHello)}});
  PlanRequest request;
  request.messages = {{.role = Role::kUser, .text = "Hi", .calls = {}, .call_id = {}}};
  const Result plan = Propose(request);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->text, "Hello");
  EXPECT_EQ(plan->raw, kHello);
  EXPECT_EQ(plan->provider, "gpt");
  EXPECT_EQ(plan->model, "default-model");
  EXPECT_TRUE(plan->tokens_estimated);
  EXPECT_GT(plan->prompt_tokens, 10);
  EXPECT_EQ(plan->completion_tokens, 1);
  EXPECT_EQ(plan->currency, "");
  ASSERT_EQ(server_->requests().size(), 1u);
  const std::string sent = server_->requests()[0];
  EXPECT_THAT(sent, HasSubstr("POST /v1/chat/completions HTTP/1.1\r\n"));
  EXPECT_THAT(sent, HasSubstr(std::string("Authorization: Bearer ") + kKey + "\r\n"));
  EXPECT_THAT(
      sent, HasSubstr(R"({"model":"default-model","messages":[{"role":"user","content":"Hi"}]})"));
}

TEST_F(EndpointTest, TheAgentsModelComesFirst) {
  Serve({{.bytes = HttpReply(200, kHello)}});
  PlanRequest request;
  request.model = "agent-model";
  ASSERT_TRUE(Propose(request).ok());
  EXPECT_THAT(server_->requests()[0], HasSubstr(R"("model":"agent-model")"));
}

TEST_F(EndpointTest, TriesAgainAfterErrorsThatPass) {
  Serve({{.bytes = HttpReply(429, "{}", "Retry-After: 0\r\n")},
         {.bytes = HttpReply(503, "busy")},
         {.bytes = ""},  // connection closed without a word
         {.bytes = HttpReply(200, kHello)}});
  const Result plan = Propose();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(server_->requests().size(), 4u);
}

TEST_F(EndpointTest, GivesUpAfterItsRetries) {
  Serve({{.bytes = HttpReply(
              429, R"({"error":{"code":"rate_limit_exceeded","message":"sk-very-secret-1"}})")}});
  const Result plan = Propose();
  EXPECT_EQ(plan.status().code(), core::StatusCode::kUnavailable);
  EXPECT_EQ(ErrorOf(plan), "model endpoint answered 429 (rate_limit_exceeded)");
  EXPECT_EQ(server_->requests().size(), 4u);
}

TEST_F(EndpointTest, DoesNotWaitLongerThanAllowed) {
  Serve({{.bytes = HttpReply(429, "{}", "Retry-After: 3600\r\n")}});
  EXPECT_EQ(Propose().status().code(), core::StatusCode::kUnavailable);
  EXPECT_EQ(server_->requests().size(), 1u);
}

TEST_F(EndpointTest, DoesNotRetryBeyondTheDeadline) {
  Serve({{.bytes = HttpReply(503, "", "Retry-After: 5\r\n")}});
  PlanRequest request;
  request.deadline_monotonic_us = clock_.MonotonicMicros() + 4'000'000;
  EXPECT_EQ(Propose(request).status().code(), core::StatusCode::kUnavailable);
  EXPECT_EQ(server_->requests().size(), 1u);
}

struct Final {
  int status;
  core::StatusCode code;
  const char* message;
};
class EndpointFinal : public EndpointTest, public ::testing::WithParamInterface<Final> {};

TEST_P(EndpointFinal, IsNotTriedAgain) {
  Serve({{.bytes =
              HttpReply(GetParam().status, R"({"error":{"message":"key sk-very-secret-1 is bad"}})",
                        "Location: http://127.0.0.1:1/\r\n")}});
  const Result plan = Propose();
  EXPECT_EQ(plan.status().code(), GetParam().code);
  EXPECT_EQ(ErrorOf(plan), GetParam().message);
  EXPECT_EQ(server_->requests().size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(
    All, EndpointFinal,
    ::testing::Values(
        Final{400, core::StatusCode::kInvalidArgument, "model endpoint answered 400"},
        Final{401, core::StatusCode::kFailedPrecondition,
              "model endpoint answered 401; check the planner's api key"},
        Final{404, core::StatusCode::kInvalidArgument, "model endpoint answered 404"},
        Final{302, core::StatusCode::kInvalidArgument,
              "model endpoint answered 302, a redirect; set `base_url` to where it leads"},
        Final{204, core::StatusCode::kInvalidArgument, "model endpoint answered 204"}));

TEST_F(EndpointTest, GarbageIsTriedAgainAndThenFailsOneStep) {
  const Scripted garbage{.bytes = HttpReply(200, "<html>sk-very-secret-1</html>")};
  const Scripted hello{.bytes = HttpReply(200, kHello)};
  Serve({garbage, garbage, hello});
  EXPECT_TRUE(Propose().ok());
  EXPECT_EQ(server_->requests().size(), 3u);
  Serve({garbage, garbage, garbage, garbage, hello});
  const Result plan = Propose();
  EXPECT_EQ(plan.status().code(), core::StatusCode::kDataLoss);
  EXPECT_THAT(ErrorOf(plan), HasSubstr("reply of the model makes no sense: not JSON"));
  EXPECT_EQ(server_->requests().size(), 4u);  // retries_max and the first
  EXPECT_TRUE(Propose().ok());
}

TEST_F(EndpointTest, GarbageTripsTheBreakerAndAModelsFaultDoesNot) {
  const std::string empty = R"({"choices":[{"message":{"content":""}}]})";
  for (const std::string& body : {std::string("<html>"), empty}) {
    Serve({{.bytes = HttpReply(200, body)}});
    ModelOptions options = Options(server_->url("/v1"));
    options.retries_max = 0;
    options.breaker_failures = 2;
    Start(options);
    for (int i = 0; i < 3; ++i) {
      const Result plan = Propose();
      const bool rests = i == 2 && body != empty;
      EXPECT_EQ(plan.status().code(), rests           ? core::StatusCode::kUnavailable
                                      : body == empty ? core::StatusCode::kOutOfRange
                                                      : core::StatusCode::kDataLoss);
    }
    EXPECT_EQ(server_->requests().size(), body == empty ? 3u : 2u);
  }
}

TEST_F(EndpointTest, AModelsFaultAndARefusalAreNotTriedAgain) {
  for (const char* finish : {"length", "content_filter"}) {
    const std::string body = R"({"choices":[{"message":{"content":"Hal"},"finish_reason":")" +
                             std::string(finish) + "\"}]}";
    Serve({{.bytes = HttpReply(200, body)}});
    EXPECT_EQ(Propose().status().code(), std::string_view(finish) == "length"
                                             ? core::StatusCode::kOutOfRange
                                             : core::StatusCode::kPermissionDenied);
    EXPECT_EQ(server_->requests().size(), 1u);
  }
}

TEST_F(EndpointTest, BytesThatAreNotHttpFailTheStep) {
  Serve({{.bytes = "\x16\x03\x01 what?\r\n\r\n"}});
  EXPECT_EQ(Propose().status().code(), core::StatusCode::kInvalidArgument);
}

TEST_F(EndpointTest, HalfAReplyIsTriedAgain) {
  const std::string whole = HttpReply(200, kHello);
  Serve({{.bytes = whole.substr(0, whole.size() - 5)}, {.bytes = whole}});
  EXPECT_TRUE(Propose().ok());
  EXPECT_EQ(server_->requests().size(), 2u);
}

TEST_F(EndpointTest, AHugeReplyEndsTheStep) {
  const std::string body =
      R"({"choices":[{"message":{"content":")" + std::string(kPlanBytesMax, 'x') + "\"}}]}";
  Serve({{.bytes = HttpReply(200, body)}});
  const Result plan = Propose();
  EXPECT_EQ(plan.status().code(), core::StatusCode::kResourceExhausted);
  EXPECT_EQ(server_->requests().size(), 1u);
}

TEST_F(EndpointTest, SaysHowLongAProviderAsksToWait) {
  Serve({{.bytes = HttpReply(429, "", "Retry-After: 90\r\n")}});
  EXPECT_EQ(ErrorOf(Propose()), "model endpoint answered 429; it asks to wait 90 s");
  PlanRequest request;
  request.deadline_monotonic_us = clock_.MonotonicMicros() + 30'000'000;
  EXPECT_EQ(ErrorOf(Propose(request)),
            "this planner's provider asked to wait (Retry-After), longer than the deadline leaves");
  EXPECT_EQ(server_->requests().size(), 1u);
  ModelOptions limited = Options(server_->url("/v1"));
  limited.requests_per_minute = 600;
  Start(limited);
  EXPECT_EQ(ErrorOf(Propose()), "model endpoint answered 429; it asks to wait 90 s");
  EXPECT_EQ(ErrorOf(Propose(request)),
            "this planner's provider asked to wait (Retry-After), longer than the deadline leaves")
      << "not the planner's own limit";
}

TEST_F(EndpointTest, ASlowReplyIsADeadline) {
  Serve({{.bytes = "HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\n12", .hold = true}});
  PlanRequest request;
  request.deadline_monotonic_us = clock_.MonotonicMicros() + 100'000;
  const Result plan = Propose(request);
  EXPECT_EQ(plan.status().code(), core::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(ErrorOf(plan), "`127.0.0.1` did not answer in time");
}

TEST_F(EndpointTest, CancelEndsARunningStepAndAWaitingRetry) {
  Serve({{.bytes = "", .hold = true}});
  auto running = Begin();
  planner_->Cancel(handle_);
  EXPECT_EQ(running.get().status().code(), core::StatusCode::kCancelled);
  Serve({{.bytes = HttpReply(503, "", "Retry-After: 50\r\n")}});
  auto waiting = Begin();
  while (server_->requests().empty()) std::this_thread::yield();
  planner_->Cancel(handle_);
  planner_->Cancel(4711);
  EXPECT_EQ(waiting.get().status().code(), core::StatusCode::kCancelled);
}

TEST_F(EndpointTest, ItsEndCancelsWhatIsOpen) {
  Serve({{.bytes = "", .hold = true}});
  auto running = Begin();
  planner_.reset();
  EXPECT_EQ(running.get().status().code(), core::StatusCode::kCancelled);
}

// What budgets hold before a request: never less than what the reply then reports.
TEST_F(EndpointTest, BoundsWhatARequestMayUse) {
  Serve({{.bytes = HttpReply(200, kCounted)}});
  ModelOptions options = StreamOptions();
  options.output_tokens_max = 1'000;
  options.prices.currency = "USD";
  options.prices.models.push_back({.model = "default-model",
                                   .input = 3'000'000,
                                   .cache_write = 4'000'000,
                                   .output = 15'000'000});
  Start(options);
  PlanRequest request;
  request.messages.push_back(
      {.role = Role::kUser, .text = std::string(6'000, 'x'), .calls = {}, .call_id = ""});
  const policies::ModelUse most = planner_->Bound(request);
  EXPECT_EQ(most.requests, 4) << "three retries";
  EXPECT_GE(most.tokens, 4 * 2'000);
  EXPECT_LE(most.tokens, 4 * 2'400);
  EXPECT_EQ(most.cost_micros, (most.tokens - 4'000) * 4 + 4'000 * 15);
  EXPECT_EQ(most.currency, "USD");
  EXPECT_FALSE(most.free);
  request.model = "unheard-of";
  EXPECT_EQ(planner_->Bound(request).currency, "") << "no price, no bound";
}

TEST_F(EndpointTest, ALimitBeyondWhatCanBeCountedIsRefused) {
  ModelOptions options = Options("https://model.example/v1");
  options.output_tokens_max = 3'000'000'001;
  const auto planner = MakeModelPlanner(options);
  ASSERT_FALSE(planner.ok());
  EXPECT_THAT(std::string(core::Message(planner.status())),
              HasSubstr("`output_tokens_max` is at most 1000000000"));
}

struct Spoken {
  Dialect dialect;
  const char* line;
  const char* header;
  const char* reply;
};
class EndpointDialect : public EndpointTest, public ::testing::WithParamInterface<Spoken> {};

TEST_P(EndpointDialect, HasItsPathItsHeaderAndItsReply) {
  Serve({{.bytes = HttpReply(200, GetParam().reply)}});
  ModelOptions options = Options(server_->url("/v1"));
  options.dialect = GetParam().dialect;
  Start(options);
  const Result plan = Propose();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->text, "Hello");
  EXPECT_THAT(server_->requests()[0], HasSubstr(GetParam().line));
  EXPECT_THAT(server_->requests()[0], HasSubstr(GetParam().header));
  const auto recorded = PlanFromJson(PlanToJson(*plan));
  ASSERT_TRUE(recorded.ok());
  EXPECT_EQ(PlanOfRecord(*recorded, {})->text, "Hello");
}

INSTANTIATE_TEST_SUITE_P(
    All, EndpointDialect,
    ::testing::Values(
        Spoken{
            Dialect::kResponses, "POST /v1/responses HTTP", "Authorization: Bearer sk-very",
            R"({"output":[{"type":"message","content":[{"type":"output_text","text":"Hello"}]}]})"},
        Spoken{Dialect::kAnthropic, "POST /v1/messages HTTP",
               "anthropic-version: 2023-06-01\r\nx-api-key: sk-very-secret-1\r\n",
               R"({"content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn"})"},
        Spoken{Dialect::kGemini, "POST /v1/models/default-model:generateContent HTTP",
               "x-goog-api-key: sk-very-secret-1\r\n",
               R"({"candidates":[{"content":{"parts":[{"text":"Hello"}]}}]})"}));

TEST_F(EndpointTest, AsksNoMoreAtOnceThanItMay) {
  Serve({{.bytes = "", .hold = true}});
  ModelOptions options = Options(server_->url("/v1"));
  options.concurrent_max = 1;
  Start(options);
  auto first = Begin();
  const std::uint64_t first_handle = handle_;
  auto second = Begin();
  const std::uint64_t second_handle = handle_;
  auto third = Begin();
  while (server_->requests().empty()) std::this_thread::yield();
  planner_->Cancel(second_handle);  // waits for a place: ends at once
  EXPECT_EQ(second.get().status().code(), core::StatusCode::kCancelled);
  EXPECT_EQ(server_->requests().size(), 1u);
  planner_->Cancel(first_handle);
  EXPECT_EQ(first.get().status().code(), core::StatusCode::kCancelled);
  while (server_->requests().size() < 2) std::this_thread::yield();  // the third has its place
  planner_.reset();
  EXPECT_EQ(third.get().status().code(), core::StatusCode::kCancelled);
}

TEST_F(EndpointTest, ARateLimitThatLeavesNoRoomFailsAtOnce) {
  Serve({{.bytes = HttpReply(200, kHello)}});
  ModelOptions options = Options(server_->url("/v1"));
  options.requests_per_minute = 1;  // one more is due in fifty seconds
  Start(options);
  ASSERT_TRUE(Propose().ok());
  PlanRequest request;
  request.deadline_monotonic_us = clock_.MonotonicMicros() + 10'000'000;
  const Result plan = Propose(request);
  EXPECT_EQ(plan.status().code(), core::StatusCode::kUnavailable);
  EXPECT_EQ(ErrorOf(plan), "this planner's rate limit leaves no room before the deadline");
  EXPECT_EQ(server_->requests().size(), 1u);
}

TEST_F(EndpointTest, RestsAfterFailuresInARow) {
  Serve({{.bytes = HttpReply(500, "{}")}});
  ModelOptions options = Options(server_->url("/v1"));
  options.breaker_failures = 2;
  options.breaker_rest_ms = 3'600'000;
  Start(options);
  EXPECT_EQ(ErrorOf(Propose()), "model endpoint answered 500");
  EXPECT_EQ(server_->requests().size(), 2u);  // a third attempt was not made
  const Result plan = Propose();
  EXPECT_EQ(plan.status().code(), core::StatusCode::kUnavailable);
  EXPECT_EQ(ErrorOf(plan), "this planner's endpoint rests after 2 failures in a row");
  EXPECT_EQ(server_->requests().size(), 2u);
}

TEST_F(EndpointTest, AnswersAnEqualRequestFromItsCache) {
  Serve({{.bytes = HttpReply(200, kHello)}});
  ModelOptions options = Options(server_->url("/v1"));
  options.cache_entries_max = 10;
  options.prices.currency = "EUR";
  options.prices.models.push_back({.model = "*", .input = 1'000'000, .output = 1'000'000});
  Start(options);
  PlanRequest request;
  request.tenant = "a";
  const Result first = Propose(request);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_FALSE(first->from_cache);
  const Result second = Propose(request);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_TRUE(second->from_cache);
  EXPECT_EQ(second->saved_micros, first->cost_micros);
  EXPECT_EQ(second->raw, first->raw);
  EXPECT_EQ(RequestSha256(*second), RequestSha256(*first));
  EXPECT_EQ(server_->requests().size(), 1u);
  request.tenant = "b";  // another tenant, another cache
  EXPECT_FALSE(Propose(request)->from_cache);
  request.messages = {{.role = Role::kUser, .text = "Hi", .calls = {}, .call_id = {}}};
  EXPECT_FALSE(Propose(request)->from_cache);
  planner_->ForgetReplies();
  EXPECT_FALSE(Propose(request)->from_cache);
  EXPECT_EQ(server_->requests().size(), 4u);
}

TEST_F(EndpointTest, AReplyOnItsWayWhenAllIsForgottenIsNotKept) {
  server_ = std::make_unique<LoopbackServer>([this](int number, const std::string&) {
    if (number == 0) planner_->ForgetReplies();
    return Scripted{.bytes = HttpReply(200, kHello)};
  });
  ModelOptions options = Options(server_->url("/v1"));
  options.cache_entries_max = 10;
  Start(options);
  ASSERT_TRUE(Propose().ok());
  EXPECT_FALSE(Propose()->from_cache);
  EXPECT_TRUE(Propose()->from_cache) << "the twin: asked after it, kept";
}

TEST_F(EndpointTest, TheKeyMayStandInAFile) {
  Serve({{.bytes = HttpReply(200, kHello)}});
  const std::string path = ::testing::TempDir() + "/openai_key_" + std::to_string(getpid());
  std::ofstream(path) << "  file-key\n";
  ModelOptions options = Options(server_->url("/v1"));
  options.api_key_file = path;
  Start(options);
  EXPECT_TRUE(Propose().ok());
  EXPECT_THAT(server_->requests()[0], HasSubstr("Authorization: Bearer file-key\r\n"));
  std::remove(path.c_str());
  EXPECT_EQ(MakeModelPlanner(options).status().code(), core::StatusCode::kNotFound);
}

TEST_F(EndpointTest, RefusesAConfigurationThatWouldLeakOrFailLater) {
  EXPECT_EQ(MakeModelPlanner(Options("http://models.example/v1")).status().code(),
            core::StatusCode::kInvalidArgument);
  EXPECT_EQ(MakeModelPlanner(Options("http://127.0.0.1.evil.example/v1")).status().code(),
            core::StatusCode::kInvalidArgument);
  EXPECT_EQ(MakeModelPlanner(Options("ftp://models.example/v1")).status().code(),
            core::StatusCode::kInvalidArgument);
  EXPECT_EQ(MakeModelPlanner(Options("http://localhost:x@evil.example/v1")).status().code(),
            core::StatusCode::kInvalidArgument);
  EXPECT_TRUE(MakeModelPlanner(Options("https://models.example/v1")).ok());
  EXPECT_TRUE(MakeModelPlanner(Options("http://[::1]:8080/v1")).ok());
  ModelOptions without_key = Options("http://models.example/v1");
  without_key.api_key_env = "";
  EXPECT_TRUE(MakeModelPlanner(without_key).ok());
  ModelOptions warm = Options("https://models.example/v1");
  warm.temperature = "hot";
  EXPECT_EQ(MakeModelPlanner(warm).status().code(), core::StatusCode::kInvalidArgument);
  setenv("INTERLOCK_TEST_KEY", "a\nb", 1);
  EXPECT_EQ(MakeModelPlanner(Options("https://models.example/v1")).status().code(),
            core::StatusCode::kInvalidArgument);
  unsetenv("INTERLOCK_TEST_KEY");
  const auto missing = MakeModelPlanner(Options("https://models.example/v1"));
  EXPECT_EQ(missing.status().code(), core::StatusCode::kNotFound);
}

TEST_F(EndpointTest, RefusesAUrlOrAModelThatCannotBeAsked) {
  for (const char* url :
       {"https://localhost:pw@models.example/v1", "https://localhost@models.example/v1", "https://",
        "https://localhost x/v1", "https://models.example:99999/v1", "https://models.example:x",
        "https://models.example/v1?key=k", "https://models.example/v1#x", "models.example/v1"}) {
    const auto made = MakeModelPlanner(Options(url));
    EXPECT_EQ(made.status().code(), core::StatusCode::kInvalidArgument) << url;
    EXPECT_THAT(std::string(core::Message(made.status())), StartsWith("`base_url` must be"));
  }
  ModelOptions gemini = Options("https://models.example/v1beta");
  gemini.dialect = Dialect::kGemini;
  gemini.model = "g 1";
  EXPECT_EQ(core::Message(MakeModelPlanner(gemini).status()),
            "the model's name does not fit into a url; correct `model`");
  for (const char* model : {"g-1.5", "tunedModels/g-1", ""}) {  // "": agents name it
    gemini.model = model;
    EXPECT_TRUE(MakeModelPlanner(gemini).ok()) << model;
  }
}

TEST_F(EndpointTest, AKeyInPlaceOfItsNameIsNotShown) {
  ModelOptions options = Options("https://models.example/v1");
  options.api_key_env = "INLINESECRET99";
  const auto variable = MakeModelPlanner(options);
  EXPECT_EQ(core::Message(variable.status()),
            "the environment variable that `api_key_env` names should hold the api key and is "
            "empty");
  const std::string folder = ::testing::TempDir();
  options.api_key_file = (std::filesystem::path(folder) / "sk-INLINESECRET99").string();
  const std::string said(core::Message(MakeModelPlanner(options).status()));
  EXPECT_THAT(said, HasSubstr("`api_key_file` names no file in `"));
  EXPECT_THAT(said, Not(HasSubstr("INLINESECRET99")));
  options.api_key_file = "/sk-INLINE/SECRET99";
  EXPECT_EQ(core::Message(MakeModelPlanner(options).status()),
            "`api_key_file` names no file; make it or correct the path");
}

}  // namespace
}  // namespace interlock::runtime::test
