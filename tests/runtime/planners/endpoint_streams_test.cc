// The planner against a server on loopback that streams: well, in pieces, too much, without an end.
#include <gmock/gmock.h>

#include "endpoint_fixture.h"

namespace interlock::runtime::test {
namespace {

using interlock::testing::HttpReply;
using ::testing::HasSubstr;

constexpr char kEvents[] =
    "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}]}\n\n"
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":100}}\n\n"
    "data: [DONE]\n\n";

std::string Events(const std::string& bytes) {
  return HttpReply(200, bytes, "Content-Type: text/event-stream; charset=utf-8\r\n");
}

// What was forwarded, with `|` where it began anew.
struct Listener {
  std::string text;
  std::function<void(const TextDelta&)> Hear() {
    return [this](const TextDelta& delta) {
      if (delta.restarted) text += '|';
      text += delta.text;
    };
  }
};

TEST_F(EndpointTest, ForwardsAStreamAndRecordsItsBytes) {
  Serve({{.bytes = Events(kEvents)}});
  ModelOptions options = StreamOptions();
  options.prices.currency = "USD";
  options.prices.models.push_back(
      {.model = "default-model", .input = 3'000'000, .output = 15'000'000});
  Start(options);
  Listener listener;
  PlanRequest request;
  request.on_text = listener.Hear();
  const Result plan = Propose(request);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(listener.text, "Hello");
  EXPECT_EQ(plan->text, "Hello");
  EXPECT_EQ(plan->raw, kEvents);
  EXPECT_TRUE(plan->streamed);
  EXPECT_FALSE(plan->tokens_estimated);
  EXPECT_EQ(plan->cost_micros, 4500);
  EXPECT_EQ(plan->currency, "USD");
  EXPECT_THAT(server_->requests()[0], HasSubstr(plan->raw_request));
  EXPECT_THAT(plan->raw_request, HasSubstr(R"("stream":true)"));

  // The record reads again without a network, and a changed byte is found.
  auto recorded = PlanFromJson(PlanToJson(*plan));
  ASSERT_TRUE(recorded.ok());
  const Result again = PlanOfRecord(*recorded, {});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(PlanToJson(*again), PlanToJson(*plan));
  recorded->raw.replace(recorded->raw.find("lo\""), 2, "la");
  EXPECT_EQ(PlanOfRecord(*recorded, {})->text, "Hella");
  recorded->raw.resize(recorded->raw.size() / 2);
  EXPECT_FALSE(PlanOfRecord(*recorded, {}).ok());
}

TEST_F(EndpointTest, KnowsAStreamHoweverItsTypeIsSpelt) {
  Serve({{.bytes = HttpReply(200, kEvents, "Content-Type: Text/Event-Stream ;charset=utf-8\r\n")}});
  Start(StreamOptions());
  const Result plan = Propose();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->text, "Hello");
  EXPECT_TRUE(plan->streamed);
}

TEST_F(EndpointTest, AStreamThatBreaksOffIsAskedForAnew) {
  const std::string half = std::string(kEvents).substr(0, 70);
  Serve({{.bytes = Events(half)}, {.bytes = Events(kEvents)}});
  Start(StreamOptions());
  Listener listener;
  PlanRequest request;
  request.on_text = listener.Hear();
  const Result plan = Propose(request);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(listener.text, "Hel|Hello");
  EXPECT_EQ(server_->requests().size(), 2u);
}

TEST_F(EndpointTest, AnEndpointThatDoesNotStreamIsUnderstoodToo) {
  Serve({{.bytes = HttpReply(200, kHello)}});
  Start(StreamOptions());
  const Result plan = Propose();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->text, "Hello");
  EXPECT_FALSE(plan->streamed);
}

TEST_F(EndpointTest, GarbageInAStreamEndsTheTransferAtOnce) {
  Serve({{.bytes = "HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\n"
                   "Content-Length: 1000\r\n\r\ndata: sk-very-secret-1\n\n",
          .hold = true}});
  ModelOptions options = StreamOptions();
  options.retries_max = 0;
  Start(options);
  const Result plan = Propose();
  EXPECT_EQ(plan.status().code(), core::StatusCode::kDataLoss);
  EXPECT_THAT(ErrorOf(plan), HasSubstr("makes no sense: not JSON"));
}

TEST_F(EndpointTest, AHugeStreamEndsTheStepToo) {
  const std::string event =
      "data: {\"choices\":[{\"delta\":{\"content\":\"" + std::string(1 << 20, 'x') + "\"}}]}\n\n";
  std::string events;
  for (std::size_t i = 0; i <= kPlanBytesMax >> 20; ++i) events += event;
  Serve({{.bytes = HttpReply(200, events, "Content-Type: text/event-stream\r\n")}});
  Start(StreamOptions());
  const Result plan = Propose();
  EXPECT_EQ(plan.status().code(), core::StatusCode::kResourceExhausted);
  EXPECT_THAT(ErrorOf(plan), HasSubstr("reply of the model is longer than 4194304 bytes"));
  EXPECT_EQ(server_->requests().size(), 1u);
}

// Some three hundred bytes on the wire for four of text.
TEST_F(EndpointTest, ALongStreamIsJudgedByItsText) {
  std::string events;
  const std::string filler(300, ' ');
  for (int i = 0; i < 20'000; ++i) {
    events += "data: {\"choices\":[{\"delta\":{\"content\":\"word\"}}]" + filler + "}\n\n";
  }
  events += "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
  ASSERT_GT(events.size(), kPlanBytesMax);
  Serve({{.bytes = HttpReply(200, events, "Content-Type: text/event-stream\r\n")}});
  Start(StreamOptions());
  const Result plan = Propose();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->text.size(), 80'000u);
  EXPECT_LT(plan->raw.size(), 100'000u);
  EXPECT_TRUE(CheckRecord(*plan, {}).ok()) << CheckRecord(*plan, {});
}

TEST_F(EndpointTest, AModelsFaultInAStreamDoesNotTripTheBreaker) {
  std::string calls;
  for (int i = 0; i < 33; ++i) {
    calls += (i == 0 ? "" : ",") + std::string(R"({"index":)") + std::to_string(i) + "}";
  }
  Serve({{.bytes = HttpReply(
              200, "data: {\"choices\":[{\"delta\":{\"tool_calls\":[" + calls + "]}}]}\n\n",
              "Content-Type: text/event-stream\r\n")}});
  ModelOptions options = StreamOptions();
  options.breaker_failures = 2;
  Start(options);
  for (int i = 0; i < 3; ++i) {
    const Result plan = Propose();
    EXPECT_EQ(plan.status().code(), core::StatusCode::kOutOfRange) << plan.status();
  }
  EXPECT_EQ(server_->requests().size(), 3u) << "each was asked for, and once";
}

// It is paid for: a connection that ends badly behind it, or nonsense there, does not ask again.
TEST_F(EndpointTest, AStreamIsWholeWithItsEndMark) {
  for (const char* behind :
       {"", "data: {nonsense\n\n", "data: {\"error\":{\"code\":\"late\"}}\n\n"}) {
    Serve({{.bytes = std::string("HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\n"
                                 "Content-Length: 100000\r\n\r\n") +
                     kEvents + behind}});
    Start(StreamOptions());
    const Result plan = Propose();
    ASSERT_TRUE(plan.ok()) << plan.status();
    EXPECT_EQ(plan->text, "Hello");
    EXPECT_TRUE(CheckRecord(*plan, {}).ok()) << CheckRecord(*plan, {});
    EXPECT_EQ(server_->requests().size(), 1u) << "it is not asked again";
  }
}

// What one that keeps its connection open behind the end of a stream sends.
struct Open {
  Dialect dialect;
  const char* events;
};
class EndpointOpenStream : public EndpointTest, public ::testing::WithParamInterface<Open> {};

TEST_P(EndpointOpenStream, EndsWithItsEndMark) {
  Serve({{.bytes = std::string("HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\n"
                               "Content-Length: 100000\r\n\r\n") +
                   GetParam().events,
          .hold = true}});
  ModelOptions options = StreamOptions();
  options.dialect = GetParam().dialect;
  Start(options);
  const Result plan = Propose();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->text, "Hello");
  EXPECT_EQ(plan->raw, GetParam().events) << "as it is recorded";
  EXPECT_EQ(server_->requests().size(), 1u) << "it is not asked again";
}

INSTANTIATE_TEST_SUITE_P(
    All, EndpointOpenStream,
    ::testing::Values(
        Open{Dialect::kChat, kEvents},
        Open{Dialect::kResponses,
             "data: {\"type\":\"response.completed\",\"response\":{\"output\":[{\"type\":"
             "\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"Hello\"}]}]}}\n\n"},
        Open{Dialect::kAnthropic,
             "data: {\"type\":\"content_block_start\",\"index\":0,"
             "\"content_block\":{\"type\":\"text\",\"text\":\"Hello\"}}\n\n"
             "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n"
             "data: {\"type\":\"message_stop\"}\n\n"},
        Open{Dialect::kGemini,
             "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hello\"}]},"
             "\"finishReason\":\"STOP\"}]}\n\n"}));

}  // namespace
}  // namespace interlock::runtime::test
