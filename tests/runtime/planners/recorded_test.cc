// The shapes under recorded/: what we send and what comes back, in every dialect. peers/run.mjs
// shows the same files to the providers' own clients.
#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>
#include <future>
#include <iterator>

#include "codec_fixture.h"
#include "core/clock.h"
#include "core/random.h"
#include "runtime/planners.h"
#include "tools/fetcher.h"

namespace interlock::runtime {
namespace {

using ::testing::HasSubstr;

std::string Recorded(const std::string& name) {
  std::ifstream file(INTERLOCK_SOURCE_DIR "/tests/runtime/planners/recorded/" + name,
                     std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  EXPECT_FALSE(bytes.empty()) << name;
  return bytes;
}

PlanRequest Conversation() {
  PlanRequest request = Request();
  request.answer_schema = AnswerSchema();
  request.messages[1].text = "Where is it?";
  request.messages[2].text = "Let me look.";
  request.messages[2].calls.push_back({.id = "c2", .tool = "think", .args_text = "{}"});
  request.messages.push_back({.role = Role::kTool, .text = "done", .calls = {}, .call_id = "c2"});
  request.messages.push_back({.role = Role::kUser, .text = "And?", .calls = {}, .call_id = {}});
  return request;
}

struct Shape {
  Dialect dialect;
  const char* name;
  std::string_view temperature;  // Anthropic's client has none any more
  std::int64_t cache_write_tokens;
};
class RecordedShape : public ::testing::TestWithParam<Shape> {
 protected:
  const Codec& codec() const { return CodecOf(GetParam().dialect); }
  std::string File(const char* ending) const {
    return Recorded(GetParam().name + std::string(ending));
  }
  static void ExpectThePlan(const core::StatusOr<Plan>& plan) {
    ASSERT_TRUE(plan.ok()) << plan.status();
    EXPECT_EQ(plan->finish, Finish::kCalls);
    EXPECT_EQ(plan->text, "Let me look.");
    ASSERT_EQ(plan->calls.size(), 2u);
    EXPECT_EQ(plan->calls[0].id, "call_a");
    EXPECT_EQ(plan->calls[0].tool, "orders.get");
    EXPECT_EQ(plan->calls[0].args_text, R"({"id":1})");
    EXPECT_EQ(plan->calls[1].id, "call_b");
    EXPECT_EQ(plan->calls[1].tool, "think");
    EXPECT_EQ(plan->calls[1].args_text, "{}");
    EXPECT_EQ(plan->prompt_tokens, 20);
    EXPECT_EQ(plan->cached_tokens, 8);
    EXPECT_EQ(plan->cache_write_tokens, GetParam().cache_write_tokens);
    EXPECT_EQ(plan->completion_tokens, 12);
    EXPECT_EQ(plan->reasoning_tokens, 5);
  }
};

TEST_P(RecordedShape, IsWhatWeSend) {
  EXPECT_EQ(BodyOf(codec(), Conversation(),
                   {.model = "m-1",
                    .temperature = GetParam().temperature,
                    .output_tokens_max = 100,
                    .stream = true,
                    .prompt_cache = true}),
            Parsed(File(".request.json")));
}

TEST_P(RecordedShape, IsUnderstoodWhole) { ExpectThePlan(codec().Read(File(".json"), Request())); }

TEST_P(RecordedShape, IsUnderstoodAsAStream) {
  for (const std::size_t piece : {1u, 13u, 1u << 20}) {
    const Streamed streamed = Stream(codec(), File(".sse"), piece);
    EXPECT_EQ(streamed.text, "Let me look.");
    ExpectThePlan(streamed.plan);
  }
}

TEST_P(RecordedShape, CutAnywhereIsNeverAPlan) {
  const std::string whole = File(".sse");
  ASSERT_TRUE(Stream(codec(), whole, whole.size()).plan.ok());
  // The last events say nothing new where an earlier one ended the reply; cut before that.
  const std::size_t end = std::min({whole.find("\"finish_reason\":\"tool_calls\""),
                                    whole.find("\"response.completed\""),
                                    whole.find("\"message_stop\""), whole.find("\"STOP\"")});
  ASSERT_NE(end, std::string::npos);
  for (std::size_t size = 0; size < end; size += 7) {
    const auto plan = Stream(codec(), std::string_view(whole).substr(0, size), 64).plan;
    EXPECT_EQ(plan.status().code(), core::StatusCode::kUnavailable) << size;
  }
}

INSTANTIATE_TEST_SUITE_P(All, RecordedShape,
                         ::testing::Values(Shape{Dialect::kChat, "chat", "0.2", 0},
                                           Shape{Dialect::kResponses, "responses", "0.2", 0},
                                           Shape{Dialect::kAnthropic, "anthropic", "", 3},
                                           Shape{Dialect::kGemini, "gemini", "0.2", 0}),
                         [](const auto& param) { return std::string(param.param.name); });

// A model server that others wrote, started by peers/run.mjs.
class Peer : public ::testing::TestWithParam<bool> {};

TEST_P(Peer, AnswersOurClient) {
  const char* const url = std::getenv("INTERLOCK_MODEL_PEER");
  if (url == nullptr) GTEST_SKIP() << "no model server of others; `./dev peers` starts one";
  auto fetcher = tools::MakeFetcher(
      {.addresses = {.allow_loopback = true, .allow_private = false, .ports = {}},
       .transfers_max = 10,
       .ca_file = ""});
  ASSERT_TRUE(fetcher.ok()) << fetcher.status();
  const core::SystemClock clock;
  core::SystemRandom random;
  ModelOptions options;
  options.name = "peer";
  options.base_url = url;
  options.model = "m-1";
  options.stream = GetParam();
  options.retries_max = 0;
  options.fetcher = fetcher->get();
  options.clock = &clock;
  options.random = &random;
  auto planner = MakeModelPlanner(options);
  ASSERT_TRUE(planner.ok()) << planner.status();
  const auto ask = [&](std::string text, std::string& heard) {
    PlanRequest request;
    request.messages = {{.role = Role::kUser, .text = std::move(text), .calls = {}, .call_id = {}}};
    request.on_text = [&heard](const TextDelta& delta) { heard += delta.text; };
    std::promise<core::StatusOr<Plan>> promise;
    (*planner)->Propose(std::move(request),
                        [&](core::StatusOr<Plan> plan) { promise.set_value(std::move(plan)); });
    return promise.get_future().get();
  };
  std::string heard;
  const auto plan = ask("The same words, please: \xC3\xA4\xE4\xBD\xA0 one two three.", heard);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->text, "The same words, please: \xC3\xA4\xE4\xBD\xA0 one two three.");
  EXPECT_EQ(plan->streamed, GetParam());
  EXPECT_EQ(heard, GetParam() ? plan->text : "");
  const auto refused = ask("fail with 401", heard);
  ASSERT_FALSE(refused.ok());
  // This server streams its errors under status 200.
  if (!GetParam()) {
    EXPECT_THAT(std::string(core::Message(refused.status())), HasSubstr("answered 401"));
  }
}

INSTANTIATE_TEST_SUITE_P(All, Peer, ::testing::Bool(), [](const auto& param) {
  return std::string(param.param ? "Streamed" : "Whole");
});

}  // namespace
}  // namespace interlock::runtime
