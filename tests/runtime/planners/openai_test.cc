// The planner against a server on loopback that answers well, badly, late or not at all.
#include <gmock/gmock.h>
#include <stdlib.h>

#include <cstdio>
#include <fstream>
#include <future>

#include "loopback_server.h"
#include "runtime/planners.h"

namespace interlock::runtime {
namespace {

using interlock::testing::HttpReply;
using interlock::testing::LoopbackServer;
using interlock::testing::Scripted;
using ::testing::HasSubstr;
using ::testing::Not;
using Result = core::StatusOr<Plan>;

constexpr char kKey[] = "sk-very-secret-1";
constexpr char kHello[] = R"({"choices":[{"message":{"content":"Hello"}}]})";

class OpenAiTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto fetcher = tools::MakeFetcher(
        {.addresses = {.allow_loopback = true, .allow_private = false, .ports = {}},
         .transfers_max = 100,
         .ca_file = ""});
    ASSERT_TRUE(fetcher.ok()) << fetcher.status();
    fetcher_ = *std::move(fetcher);
    setenv("INTERLOCK_TEST_KEY", kKey, 1);
  }
  void TearDown() override { unsetenv("INTERLOCK_TEST_KEY"); }

  OpenAiOptions Options(const std::string& base_url) {
    OpenAiOptions options;
    options.base_url = base_url;
    options.model = "default-model";
    options.api_key_env = "INTERLOCK_TEST_KEY";
    options.timeout_ms = 20'000;
    options.retries_max = 3;
    options.backoff_ms = 1;
    options.backoff_max_ms = 2;
    options.fetcher = fetcher_.get();
    options.clock = &clock_;
    options.random = &random_;
    return options;
  }
  void Start(OpenAiOptions options) {
    auto planner = MakeOpenAiPlanner(std::move(options));
    ASSERT_TRUE(planner.ok()) << planner.status();
    planner_ = *std::move(planner);
  }
  // A server with one script of replies; the last one repeats.
  void Serve(std::vector<Scripted> replies) {
    server_ = std::make_unique<LoopbackServer>(
        [replies = std::move(replies)](int number, const std::string&) {
          return replies[std::min<std::size_t>(number, replies.size() - 1)];
        });
    Start(Options(server_->url("/v1/")));
  }
  std::future<Result> Begin(PlanRequest request = {}) {
    auto promise = std::make_shared<std::promise<Result>>();
    handle_ = planner_->Propose(std::move(request),
                                [promise](Result plan) { promise->set_value(std::move(plan)); });
    return promise->get_future();
  }
  Result Propose(PlanRequest request = {}) { return Begin(std::move(request)).get(); }

  // The message of a failed step, which never holds the key.
  std::string ErrorOf(const Result& plan) {
    const std::string message(core::Message(plan.status()));
    EXPECT_THAT(message, Not(HasSubstr("secret")));
    EXPECT_EQ(message.find('\n'), std::string::npos);
    return message;
  }

  core::SystemClock clock_;
  core::SystemRandom random_;
  std::unique_ptr<tools::Fetcher> fetcher_;
  std::unique_ptr<LoopbackServer> server_;
  std::unique_ptr<Planner> planner_;
  std::uint64_t handle_ = 0;
};

TEST_F(OpenAiTest, AsksTheEndpointAndUnderstandsIt) {
  Serve({{.bytes = HttpReply(200, kHello)}});
  PlanRequest request;
  request.messages = {{.role = Role::kUser, .text = "Hi", .calls = {}, .call_id = {}}};
  const Result plan = Propose(request);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->text, "Hello");
  EXPECT_EQ(plan->raw, kHello);
  ASSERT_EQ(server_->requests().size(), 1u);
  const std::string sent = server_->requests()[0];
  EXPECT_THAT(sent, HasSubstr("POST /v1/chat/completions HTTP/1.1\r\n"));
  EXPECT_THAT(sent, HasSubstr(std::string("Authorization: Bearer ") + kKey + "\r\n"));
  EXPECT_THAT(
      sent, HasSubstr(R"({"model":"default-model","messages":[{"role":"user","content":"Hi"}]})"));
}

TEST_F(OpenAiTest, TheAgentsModelComesFirst) {
  Serve({{.bytes = HttpReply(200, kHello)}});
  PlanRequest request;
  request.model = "agent-model";
  ASSERT_TRUE(Propose(request).ok());
  EXPECT_THAT(server_->requests()[0], HasSubstr(R"("model":"agent-model")"));
}

TEST_F(OpenAiTest, TriesAgainAfterErrorsThatPass) {
  Serve({{.bytes = HttpReply(429, "{}", "Retry-After: 0\r\n")},
         {.bytes = HttpReply(503, "busy")},
         {.bytes = ""},  // connection closed without a word
         {.bytes = HttpReply(200, kHello)}});
  const Result plan = Propose();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(server_->requests().size(), 4u);
}

TEST_F(OpenAiTest, GivesUpAfterItsRetries) {
  Serve({{.bytes = HttpReply(
              429, R"({"error":{"code":"rate_limit_exceeded","message":"sk-very-secret-1"}})")}});
  const Result plan = Propose();
  EXPECT_EQ(plan.status().code(), core::StatusCode::kUnavailable);
  EXPECT_EQ(ErrorOf(plan), "model endpoint answered 429 (rate_limit_exceeded)");
  EXPECT_EQ(server_->requests().size(), 4u);
}

TEST_F(OpenAiTest, DoesNotWaitLongerThanAllowed) {
  Serve({{.bytes = HttpReply(429, "{}", "Retry-After: 3600\r\n")}});
  EXPECT_EQ(Propose().status().code(), core::StatusCode::kUnavailable);
  EXPECT_EQ(server_->requests().size(), 1u);
}

TEST_F(OpenAiTest, DoesNotRetryBeyondTheDeadline) {
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
class OpenAiFinal : public OpenAiTest, public ::testing::WithParamInterface<Final> {};

TEST_P(OpenAiFinal, IsNotTriedAgain) {
  Serve({{.bytes =
              HttpReply(GetParam().status, R"({"error":{"message":"key sk-very-secret-1 is bad"}})",
                        "Location: http://127.0.0.1:1/\r\n")}});
  const Result plan = Propose();
  EXPECT_EQ(plan.status().code(), GetParam().code);
  EXPECT_EQ(ErrorOf(plan), GetParam().message);
  EXPECT_EQ(server_->requests().size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(
    All, OpenAiFinal,
    ::testing::Values(
        Final{400, core::StatusCode::kInvalidArgument, "model endpoint answered 400"},
        Final{401, core::StatusCode::kFailedPrecondition,
              "model endpoint answered 401; check the planner's api key"},
        Final{404, core::StatusCode::kInvalidArgument, "model endpoint answered 404"},
        Final{302, core::StatusCode::kInvalidArgument,
              "model endpoint answered 302, a redirect; set `base_url` to where it leads"},
        Final{204, core::StatusCode::kInvalidArgument, "model endpoint answered 204"}));

TEST_F(OpenAiTest, GarbageFailsOneStepAndTheNextOneWorks) {
  Serve({{.bytes = HttpReply(200, "<html>sk-very-secret-1</html>")},
         {.bytes = HttpReply(200, kHello)}});
  const Result plan = Propose();
  EXPECT_EQ(plan.status().code(), core::StatusCode::kInvalidArgument);
  EXPECT_THAT(ErrorOf(plan), HasSubstr("reply of the model makes no sense: not JSON"));
  EXPECT_TRUE(Propose().ok());
}

TEST_F(OpenAiTest, BytesThatAreNotHttpFailTheStep) {
  Serve({{.bytes = "\x16\x03\x01 what?\r\n\r\n"}});
  EXPECT_EQ(Propose().status().code(), core::StatusCode::kInvalidArgument);
}

TEST_F(OpenAiTest, HalfAReplyIsTriedAgain) {
  const std::string whole = HttpReply(200, kHello);
  Serve({{.bytes = whole.substr(0, whole.size() - 5)}, {.bytes = whole}});
  EXPECT_TRUE(Propose().ok());
  EXPECT_EQ(server_->requests().size(), 2u);
}

TEST_F(OpenAiTest, AHugeReplyEndsTheStep) {
  const std::string body =
      R"({"choices":[{"message":{"content":")" + std::string(kPlanBytesMax, 'x') + "\"}}]}";
  Serve({{.bytes = HttpReply(200, body)}});
  const Result plan = Propose();
  EXPECT_EQ(plan.status().code(), core::StatusCode::kResourceExhausted);
  EXPECT_EQ(server_->requests().size(), 1u);
}

TEST_F(OpenAiTest, ASlowReplyIsADeadline) {
  Serve({{.bytes = "HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\n12", .hold = true}});
  PlanRequest request;
  request.deadline_monotonic_us = clock_.MonotonicMicros() + 100'000;
  const Result plan = Propose(request);
  EXPECT_EQ(plan.status().code(), core::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(ErrorOf(plan), "`127.0.0.1` did not answer in time");
}

TEST_F(OpenAiTest, CancelEndsARunningStepAndAWaitingRetry) {
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

TEST_F(OpenAiTest, ItsEndCancelsWhatIsOpen) {
  Serve({{.bytes = "", .hold = true}});
  auto running = Begin();
  planner_.reset();
  EXPECT_EQ(running.get().status().code(), core::StatusCode::kCancelled);
}

TEST_F(OpenAiTest, TheKeyMayStandInAFile) {
  Serve({{.bytes = HttpReply(200, kHello)}});
  const std::string path = ::testing::TempDir() + "/openai_key_" + std::to_string(getpid());
  std::ofstream(path) << "  file-key\n";
  OpenAiOptions options = Options(server_->url("/v1"));
  options.api_key_file = path;
  Start(options);
  EXPECT_TRUE(Propose().ok());
  EXPECT_THAT(server_->requests()[0], HasSubstr("Authorization: Bearer file-key\r\n"));
  std::remove(path.c_str());
  EXPECT_EQ(MakeOpenAiPlanner(options).status().code(), core::StatusCode::kNotFound);
}

TEST_F(OpenAiTest, RefusesAConfigurationThatWouldLeakOrFailLater) {
  EXPECT_EQ(MakeOpenAiPlanner(Options("http://models.example/v1")).status().code(),
            core::StatusCode::kInvalidArgument);
  EXPECT_EQ(MakeOpenAiPlanner(Options("http://127.0.0.1.evil.example/v1")).status().code(),
            core::StatusCode::kInvalidArgument);
  EXPECT_EQ(MakeOpenAiPlanner(Options("ftp://models.example/v1")).status().code(),
            core::StatusCode::kInvalidArgument);
  EXPECT_TRUE(MakeOpenAiPlanner(Options("https://models.example/v1")).ok());
  EXPECT_TRUE(MakeOpenAiPlanner(Options("http://[::1]:8080/v1")).ok());
  OpenAiOptions without_key = Options("http://models.example/v1");
  without_key.api_key_env = "";
  EXPECT_TRUE(MakeOpenAiPlanner(without_key).ok());
  setenv("INTERLOCK_TEST_KEY", "a\nb", 1);
  EXPECT_EQ(MakeOpenAiPlanner(Options("https://models.example/v1")).status().code(),
            core::StatusCode::kInvalidArgument);
  unsetenv("INTERLOCK_TEST_KEY");
  const auto missing = MakeOpenAiPlanner(Options("https://models.example/v1"));
  EXPECT_EQ(missing.status().code(), core::StatusCode::kNotFound);
}

}  // namespace
}  // namespace interlock::runtime
