// Anthropic's messages, by shapes recorded from its reference.
#include <gmock/gmock.h>

#include "answer_form.h"
#include "codec_fixture.h"
#include "wire_json.h"

namespace interlock::runtime {
namespace {

using ::testing::HasSubstr;

constexpr char kReply[] = R"({
  "id":"msg_1","type":"message","role":"assistant","model":"m",
  "content":[
    {"type":"thinking","thinking":"hm","signature":"s"},
    {"type":"text","text":"Let me look"},
    {"type":"tool_use","id":"toolu_1","name":"orders-get","input":{"id":1}},
    {"type":"tool_use","id":"toolu_2","name":"think","input":{}}],
  "stop_reason":"tool_use","stop_sequence":null,
  "usage":{"input_tokens":10,"cache_creation_input_tokens":3,"cache_read_input_tokens":7,
           "output_tokens":5}})";

TEST(AnthropicRequest, SaysTheConversationAndTheTools) {
  const auto wire = AnthropicCodec().Write(Request(), {.model = "m-1"});
  ASSERT_TRUE(wire.ok());
  EXPECT_EQ(wire->path, "/messages");
  EXPECT_EQ(Parsed(wire->body), Parsed(R"({
    "model":"m-1","max_tokens":8192,
    "system":[{"type":"text","text":"Be kind."}],
    "messages":[
      {"role":"user","content":[{"type":"text","text":"Hello\n\"you\""}]},
      {"role":"assistant","content":[
        {"type":"tool_use","id":"c1","name":"orders-get","input":{"id":1}}]},
      {"role":"user","content":[
        {"type":"tool_result","tool_use_id":"c1","content":"{\"ok\":true}"}]}],
    "tools":[
      {"name":"orders-get","description":"Reads \"it\".",
       "input_schema":{"type":"object","required":["id"]}},
      {"name":"think","description":"Reads \"it\".",
       "input_schema":{"type":"object","required":["id"]}}]})"));
}

TEST(AnthropicRequest, OneSideSpeaksAtATime) {
  PlanRequest request = Request();
  request.messages[2].calls.push_back({.id = "c2", .tool = "think", .args_text = "no json"});
  request.messages.push_back({.role = Role::kTool, .text = "", .calls = {}, .call_id = "c2"});
  request.messages.push_back({.role = Role::kUser, .text = "And?", .calls = {}, .call_id = {}});
  const auto messages = BodyOf(AnthropicCodec(), request, {.model = "m"})["messages"];
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(messages[1]["content"][1]["input"], Parsed(R"({"malformed":"no json"})"));
  const auto& last = messages[2]["content"];
  ASSERT_EQ(last.size(), 3u);  // results first, then what the user said
  EXPECT_EQ(last[0]["tool_use_id"], "c1");
  EXPECT_EQ(last[1]["tool_use_id"], "c2");
  EXPECT_EQ(last[1]["content"], "(empty)");
  EXPECT_EQ(last[2]["text"], "And?");
}

TEST(AnthropicRequest, TheUserBeginsAndNothingIsEmpty) {
  PlanRequest request;
  request.messages = {{.role = Role::kAssistant, .text = " \n", .calls = {}, .call_id = {}}};
  const auto messages = BodyOf(AnthropicCodec(), request, {.model = "m"})["messages"];
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0]["role"], "user");
  EXPECT_EQ(messages[1]["content"][0]["text"], "(empty)");
}

TEST(AnthropicRequest, MarksWhatMayBeCached) {
  const auto body =
      BodyOf(AnthropicCodec(), Request(), {.model = "m", .stream = true, .prompt_cache = true});
  EXPECT_EQ(body["system"][0]["cache_control"]["type"], "ephemeral");
  EXPECT_EQ(body["messages"][2]["content"][0]["cache_control"]["type"], "ephemeral");
  EXPECT_FALSE(body["messages"][0]["content"][0].contains("cache_control"));
  EXPECT_EQ(body["stream"], true);
}

TEST(AnthropicReply, IsTextCallsAndUsage) {
  const auto plan = AnthropicCodec().Read(kReply, Request());
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->finish, Finish::kCalls);
  EXPECT_EQ(plan->text, "Let me look");
  ASSERT_EQ(plan->calls.size(), 2u);
  EXPECT_EQ(plan->calls[0].id, "toolu_1");
  EXPECT_EQ(plan->calls[0].tool, "orders.get");
  EXPECT_EQ(plan->calls[0].args_text, R"({"id":1})");
  EXPECT_EQ(plan->prompt_tokens, 20);  // cached ones are not in `input_tokens`
  EXPECT_EQ(plan->cached_tokens, 7);
  EXPECT_EQ(plan->cache_write_tokens, 3);
  EXPECT_EQ(plan->completion_tokens, 5);
}

TEST(AnthropicReply, AnAnswerOfAShapeIsACallThatIsNone) {
  PlanRequest request = Request();
  request.answer_schema = AnswerSchema();
  const auto tools = BodyOf(AnthropicCodec(), request, {.model = "m"})["tools"];
  ASSERT_EQ(tools.size(), 3u);
  EXPECT_EQ(tools[2]["name"], kAnswerTool);
  EXPECT_EQ(tools[2]["input_schema"], AnswerSchema());
  const std::string answer =
      R"({"content":[{"type":"tool_use","id":"t","name":"final--answer","input":{"n":1}}]})";
  const auto plan = AnthropicCodec().Read(answer, request);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->finish, Finish::kAnswer);
  EXPECT_EQ(plan->text, R"({"n":1})");
  // Nobody asked for it: then it is a call like any other, for the gate to refuse.
  const auto unasked = AnthropicCodec().Read(answer, Request());
  ASSERT_TRUE(unasked.ok()) << unasked.status();
  EXPECT_EQ(unasked->finish, Finish::kCalls);
}

TEST(AnthropicReply, CallsComeBeforeAnAnswerThatDidNotWaitForThem) {
  PlanRequest request = Request();
  request.answer_schema = AnswerSchema();
  const auto plan = AnthropicCodec().Read(
      R"({"content":[{"type":"tool_use","id":"t","name":"final--answer","input":{"n":1}},
          {"type":"tool_use","id":"u","name":"think","input":{}}]})",
      request);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->finish, Finish::kCalls);
  ASSERT_EQ(plan->calls.size(), 1u);
  EXPECT_EQ(plan->calls[0].tool, "think");
}

TEST(AnthropicReply, NonsenseIsOneLine) {
  const Codec& codec = AnthropicCodec();
  EXPECT_THAT(NonsenseOf(codec, "<html>"), HasSubstr("not JSON"));
  EXPECT_THAT(NonsenseOf(codec, "{}"), HasSubstr("no `content`"));
  EXPECT_THAT(FaultOf(codec, R"({"content":[]})"), HasSubstr("neither text nor tool calls"));
  EXPECT_THAT(NonsenseOf(codec, R"({"content":[{"type":"text","text":1}]})"),
              HasSubstr("`text` is not text"));
  EXPECT_THAT(FaultOf(codec, R"({"content":[{"type":"tool_use","input":{}}]})"),
              HasSubstr("without a name"));
  EXPECT_THAT(NonsenseOf(codec, R"({"content":[{"type":"tool_use","name":"a","input":[]}]})"),
              HasSubstr("`arguments` is not text"));
  EXPECT_THAT(FaultOf(codec, R"({"content":[],"stop_reason":"max_tokens"})"),
              HasSubstr("length limit"));
  // Half a sentence, and a call that must not run.
  EXPECT_THAT(RefusalOf(codec, R"({"content":[{"type":"text","text":"I will n"},
      {"type":"tool_use","id":"t","name":"think","input":{}}],"stop_reason":"refusal"})"),
              HasSubstr("the model refused to answer"));
}

constexpr char kStream[] =
    R"(event: message_start
data: {"type":"message_start","message":{"usage":{"input_tokens":10,"cache_read_input_tokens":7,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: ping
data: {"type":"ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Let me "}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"look"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_1","name":"orders-get","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"id\":"}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":" 1}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":15}}

event: message_stop
data: {"type":"message_stop"}

)";

TEST(AnthropicStream, IsTheSamePlanHoweverItIsCut) {
  for (const std::size_t piece : {1u, 5u, 100'000u}) {
    const Streamed streamed = Stream(AnthropicCodec(), kStream, piece);
    ASSERT_TRUE(streamed.plan.ok()) << streamed.plan.status();
    EXPECT_EQ(streamed.text, "Let me look");
    EXPECT_EQ(streamed.plan->text, "Let me look");
    ASSERT_EQ(streamed.plan->calls.size(), 1u);
    EXPECT_EQ(streamed.plan->calls[0].args_text, R"({"id":1})");
    EXPECT_EQ(streamed.plan->prompt_tokens, 17);
    EXPECT_EQ(streamed.plan->completion_tokens, 15);
  }
}

TEST(AnthropicStream, ArgumentsThatAreNoJsonGoToTheGateAsTheyAre) {
  std::string bytes = kStream;
  bytes.replace(bytes.find(" 1}\""), 4, " 1\"");
  const auto plan = Stream(AnthropicCodec(), bytes, 50).plan;
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->calls[0].args_text, R"({"id": 1)");
}

TEST(AnthropicStream, HalfOfItIsNoReplyAndAnErrorEndsIt) {
  const std::string_view whole = kStream;
  EXPECT_EQ(Stream(AnthropicCodec(), whole.substr(0, whole.size() / 2), 9).plan.status().code(),
            core::StatusCode::kUnavailable);
  EXPECT_EQ(Stream(AnthropicCodec(),
                   "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":"
                   "\"overloaded_error\",\"message\":\"sk-secret\"}}\n\n",
                   9)
                .plan.status()
                .code(),
            core::StatusCode::kUnavailable);
  EXPECT_EQ(Stream(AnthropicCodec(),
                   "data: {\"type\":\"content_block_delta\",\"index\":3,\"delta\":{}}\n\n", 9)
                .plan.status()
                .code(),
            core::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace interlock::runtime
