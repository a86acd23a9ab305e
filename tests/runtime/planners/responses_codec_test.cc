// OpenAI's responses, by shapes recorded from its reference.
#include <gmock/gmock.h>

#include "codec_fixture.h"

namespace interlock::runtime {
namespace {

using ::testing::HasSubstr;

constexpr char kReply[] = R"({
  "id":"resp_1","object":"response","status":"completed","error":null,"incomplete_details":null,
  "output":[
    {"type":"reasoning","id":"rs_1","summary":[]},
    {"type":"message","id":"msg_1","role":"assistant","status":"completed",
     "content":[{"type":"output_text","text":"Let me look","annotations":[]}]},
    {"type":"function_call","id":"fc_1","call_id":"call_a","name":"orders-get",
     "arguments":"{\"id\": 1}","status":"completed"},
    {"type":"function_call","id":"fc_2","call_id":"call_b","name":"think","arguments":"{}"}],
  "usage":{"input_tokens":20,"input_tokens_details":{"cached_tokens":8},"output_tokens":12,
           "output_tokens_details":{"reasoning_tokens":5},"total_tokens":32}})";

TEST(ResponsesRequest, SaysTheConversationAndTheTools) {
  const auto wire = ResponsesCodec().Write(Request(), {.model = "m-1"});
  ASSERT_TRUE(wire.ok());
  EXPECT_EQ(wire->path, "/responses");
  EXPECT_EQ(Parsed(wire->body), Parsed(R"({
    "model":"m-1","store":false,
    "input":[
      {"role":"system","content":"Be kind."},
      {"role":"user","content":"Hello\n\"you\""},
      {"type":"function_call","call_id":"c1","name":"orders-get","arguments":"{\"id\":1}"},
      {"type":"function_call_output","call_id":"c1","output":"{\"ok\":true}"}],
    "tools":[
      {"type":"function","name":"orders-get","description":"Reads \"it\".","strict":false,
       "parameters":{"type":"object","required":["id"]}},
      {"type":"function","name":"think","description":"Reads \"it\".","strict":false,
       "parameters":{"type":"object","required":["id"]}}]})"));
}

TEST(ResponsesRequest, SaysWhatTheAssistantSaidBesideItsCalls) {
  PlanRequest request = Request();
  request.messages[2].text = "Looking";
  const auto input = BodyOf(ResponsesCodec(), request, {.model = "m"})["input"];
  ASSERT_EQ(input.size(), 5u);
  EXPECT_EQ(input[2], Parsed(R"({"role":"assistant","content":"Looking"})"));
  EXPECT_EQ(input[3]["call_id"], "c1");
}

TEST(ResponsesRequest, AsksForAShapeAndAStream) {
  PlanRequest request;
  request.answer_schema = AnswerSchema();
  const auto body =
      BodyOf(ResponsesCodec(), request,
             {.model = "m", .temperature = "0.2", .output_tokens_max = 9, .stream = true});
  EXPECT_EQ(body["text"]["format"]["type"], "json_schema");
  EXPECT_EQ(body["text"]["format"]["schema"], AnswerSchema());
  EXPECT_EQ(body["text"]["format"]["strict"], true);
  EXPECT_EQ(body["max_output_tokens"], 9);
  EXPECT_EQ(body["stream"], true);
  EXPECT_EQ(body["temperature"], 0.2);
}

TEST(ResponsesReply, IsTextCallsAndUsage) {
  const auto plan = ResponsesCodec().Read(kReply, Request());
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->finish, Finish::kCalls);
  EXPECT_EQ(plan->text, "Let me look");
  ASSERT_EQ(plan->calls.size(), 2u);
  EXPECT_EQ(plan->calls[0].id, "call_a");
  EXPECT_EQ(plan->calls[0].tool, "orders.get");
  EXPECT_EQ(plan->calls[0].args_text, "{\"id\": 1}");
  EXPECT_EQ(plan->prompt_tokens, 20);
  EXPECT_EQ(plan->cached_tokens, 8);
  EXPECT_EQ(plan->completion_tokens, 12);
  EXPECT_EQ(plan->reasoning_tokens, 5);
}

TEST(ResponsesReply, ARefusalIsNoAnswer) {
  EXPECT_THAT(RefusalOf(ResponsesCodec(), R"({"status":"completed","output":[{"type":"message",
                  "content":[{"type":"refusal","refusal":"I will not."}]}]})"),
              HasSubstr("the model refused to answer"));
}

TEST(ResponsesReply, NonsenseIsOneLine) {
  const Codec& codec = ResponsesCodec();
  EXPECT_THAT(NonsenseOf(codec, "<html>"), HasSubstr("not JSON"));
  EXPECT_THAT(NonsenseOf(codec, "{}"), HasSubstr("no `output`"));
  EXPECT_THAT(FaultOf(codec, R"({"output":[]})"), HasSubstr("neither text nor tool calls"));
  EXPECT_THAT(NonsenseOf(codec, R"({"output":[{"type":"message"}]})"), HasSubstr("`content`"));
  EXPECT_THAT(NonsenseOf(codec, R"({"output":[{"type":"function_call","name":7}]})"),
              HasSubstr("`name` is not text"));
  EXPECT_THAT(NonsenseOf(codec, R"({"status":"in_progress","output":[]})"),
              HasSubstr("not complete"));
  EXPECT_THAT(
      FaultOf(codec,
              R"({"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}})"),
      HasSubstr("length limit"));
  EXPECT_THAT(
      RefusalOf(codec,
                R"({"status":"incomplete","incomplete_details":{"reason":"content_filter"}})"),
      HasSubstr("content filter"));
  EXPECT_THAT(WrongWith(codec, R"({"status":"failed","error":{"code":"invalid_prompt"}})",
                        core::StatusCode::kInvalidArgument),
              HasSubstr("(invalid_prompt)"));
}

TEST(ResponsesReply, AFailureThatMayPassIsTriedAgain) {
  const auto plan = ResponsesCodec().Read(
      R"({"status":"failed","error":{"code":"server_error","message":"sk-secret"}})", {});
  EXPECT_EQ(plan.status().code(), core::StatusCode::kUnavailable);
}

std::string Stream() {
  const std::string whole = core::CanonicalJson(Parsed(kReply));
  return "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{}}\n\n"
         "event: response.output_text.delta\n"
         "data: {\"type\":\"response.output_text.delta\",\"delta\":\"Let me \"}\n\n"
         "event: response.output_text.delta\n"
         "data: {\"type\":\"response.output_text.delta\",\"delta\":\"look\"}\n\n"
         "event: response.completed\n"
         "data: {\"type\":\"response.completed\",\"response\":" +
         whole + "}\n\n";
}

TEST(ResponsesStream, IsTheSamePlanHoweverItIsCut) {
  for (const std::size_t piece : {1u, 7u, 100'000u}) {
    const Streamed streamed = runtime::Stream(ResponsesCodec(), Stream(), piece);
    ASSERT_TRUE(streamed.plan.ok()) << streamed.plan.status();
    EXPECT_EQ(streamed.text, "Let me look");
    EXPECT_EQ(streamed.plan->calls.size(), 2u);
    EXPECT_EQ(streamed.plan->prompt_tokens, 20);
  }
}

TEST(ResponsesStream, HalfOfItIsNoReplyAndAnErrorEndsIt) {
  const std::string whole = Stream();
  EXPECT_EQ(
      runtime::Stream(ResponsesCodec(), whole.substr(0, whole.size() - 9), 50).plan.status().code(),
      core::StatusCode::kUnavailable);
  EXPECT_EQ(runtime::Stream(ResponsesCodec(),
                            "data: {\"type\":\"error\",\"code\":\"server_error\"}\n\n", 9)
                .plan.status()
                .code(),
            core::StatusCode::kUnavailable);
  EXPECT_EQ(runtime::Stream(ResponsesCodec(),
                            "data: {\"type\":\"error\",\"code\":\"invalid_prompt\"}\n\n", 9)
                .plan.status()
                .code(),
            core::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace interlock::runtime
