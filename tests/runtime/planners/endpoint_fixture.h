// A model planner on a server on loopback.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "alarm.h"
#include "loopback_server.h"
#include "runtime/planners.h"

namespace interlock::runtime::test {

using interlock::testing::LoopbackServer;
using interlock::testing::Scripted;
using Result = core::StatusOr<Plan>;

inline constexpr char kKey[] = "sk-very-secret-1";
inline constexpr char kCounted[] =
    R"({"choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":5,"completion_tokens":1}})";
inline constexpr char kHello[] = R"({"choices":[{"message":{"content":"Hello"}}]})";

class EndpointTest : public ::testing::Test {
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

  ModelOptions Options(const std::string& base_url) {
    ModelOptions options;
    options.name = "gpt";
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
    options.later = [this](std::int64_t ms, std::function<void()> ring) {
      alarm_.After(ms, std::move(ring));
    };
    return options;
  }
  // The same of the server that serves, which is asked for streams.
  ModelOptions StreamOptions() {
    ModelOptions options = Options(server_->url("/v1"));
    options.stream = true;
    return options;
  }
  void Start(ModelOptions options) {
    auto planner = MakeModelPlanner(std::move(options));
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
    EXPECT_THAT(message, ::testing::Not(::testing::HasSubstr("secret")));
    EXPECT_EQ(message.find('\n'), std::string::npos);
    return message;
  }

  core::SystemClock clock_;
  core::SystemRandom random_;
  std::unique_ptr<tools::Fetcher> fetcher_;
  std::unique_ptr<LoopbackServer> server_;
  std::unique_ptr<Planner> planner_;
  std::uint64_t handle_ = 0;
  Alarm alarm_;
};

}  // namespace interlock::runtime::test
