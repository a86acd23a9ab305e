// Gemini's generateContent, by shapes recorded from its reference.
#include <gmock/gmock.h>

#include "answer_form.h"
#include "codec_fixture.h"
#include "wire_json.h"

namespace interlock::runtime {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kReply[] = R"({
  "candidates":[{"content":{"role":"model","parts":[
      {"text":"hm","thought":true},
      {"text":"Let me "},{"text":"look"},
      {"functionCall":{"name":"orders-get","args":{"id":1}},"thoughtSignature":"c2ln"},
      {"functionCall":{"name":"think"}}]},
    "finishReason":"STOP","index":0}],
  "usageMetadata":{"promptTokenCount":20,"cachedContentTokenCount":8,"candidatesTokenCount":6,
                   "thoughtsTokenCount":4,"totalTokenCount":30},
  "modelVersion":"m"})";

TEST(GeminiRequest, SaysTheConversationAndTheTools) {
  PlanRequest request = Request();
  request.messages[2].calls[0].echo = "c2ln";
  request.messages[2].author = "gemini/gemini-x";
  const auto wire = GeminiCodec().Write(request, {.model = "gemini-x"});
  ASSERT_TRUE(wire.ok());
  EXPECT_EQ(wire->path, "/models/gemini-x:generateContent");
  EXPECT_EQ(Parsed(wire->body), Parsed(R"({
    "systemInstruction":{"parts":[{"text":"Be kind."}]},
    "contents":[
      {"role":"user","parts":[{"text":"Hello\n\"you\""}]},
      {"role":"model","parts":[
        {"functionCall":{"name":"orders-get","args":{"id":1}},"thoughtSignature":"c2ln"}]},
      {"role":"user","parts":[
        {"functionResponse":{"name":"orders-get","response":{"output":"{\"ok\":true}"}}}]}],
    "tools":[{"functionDeclarations":[
      {"name":"orders-get","description":"Reads \"it\".",
       "parametersJsonSchema":{"type":"object","required":["id"]}},
      {"name":"think","description":"Reads \"it\".",
       "parametersJsonSchema":{"type":"object","required":["id"]}}]}]})"));
}

TEST(GeminiRequest, AModelsNameCannotChangeTheUrl) {
  for (const char* model : {"", "a b", "a?x", "../files", "a#b", "m:delete"}) {
    EXPECT_EQ(GeminiCodec().Write(Request(), {.model = model}).status().code(),
              core::StatusCode::kInvalidArgument)
        << model;
  }
  const auto wire = GeminiCodec().Write(Request(), {.model = "tunedModels/mine", .stream = true});
  ASSERT_TRUE(wire.ok());
  EXPECT_EQ(wire->path, "/tunedModels/mine:streamGenerateContent?alt=sse");
}

TEST(GeminiRequest, AsksForAShapeBySchemaOrByFunction) {
  PlanRequest request;
  request.answer_schema = AnswerSchema();
  const auto alone =
      BodyOf(GeminiCodec(), request, {.model = "m", .temperature = "0.2", .output_tokens_max = 9});
  EXPECT_EQ(alone["generationConfig"]["responseJsonSchema"], AnswerSchema());
  EXPECT_EQ(alone["generationConfig"]["responseMimeType"], "application/json");
  EXPECT_EQ(alone["generationConfig"]["maxOutputTokens"], 9);
  EXPECT_EQ(alone["generationConfig"]["temperature"], 0.2);
  request.tools = Request().tools;
  const auto beside = BodyOf(GeminiCodec(), request, {.model = "m"});
  EXPECT_FALSE(beside.contains("generationConfig"));
  EXPECT_EQ(beside["tools"][0]["functionDeclarations"][2]["name"], kAnswerTool);
}

// The signatures of the calls of two steps, each of two calls, as they go to that model.
std::vector<std::string> SignaturesFor(const char* model, const PlanRequest& request) {
  std::vector<std::string> signatures;
  const auto body = BodyOf(GeminiCodec(), request, {.model = model});
  for (const auto& turn : body["contents"]) {
    for (const auto& part : turn["parts"]) {
      if (part.contains("functionCall")) signatures.push_back(part.value("thoughtSignature", "-"));
    }
  }
  return signatures;
}

PlanRequest TwoSteps() {
  PlanRequest request;
  for (const char* author : {"openai/gpt", "gemini/gemini-3-pro"}) {
    request.messages.push_back(
        {.role = Role::kAssistant,
         .text = "I look",
         .calls = {{.id = "a", .tool = "think", .args_text = "{}", .echo = author},
                   {.id = "b", .tool = "think", .args_text = "{}"}},
         .call_id = {},
         .author = author});
    for (const char* id : {"a", "b"}) {
      request.messages.push_back({.role = Role::kTool, .text = "x", .calls = {}, .call_id = id});
    }
  }
  return request;
}

TEST(GeminiRequest, CallsOfOthersHaveThePlaceholderWhereItIsWanted) {
  constexpr char kNone[] = "skip_thought_signature_validator";
  EXPECT_THAT(SignaturesFor("gemini-3-pro", TwoSteps()),
              ElementsAre(kNone, "-", "gemini/gemini-3-pro", "-"));
  EXPECT_THAT(SignaturesFor("publishers/google/models/gemini-3.1-flash", TwoSteps()),
              ElementsAre(kNone, "-", kNone, "-"));
  EXPECT_THAT(SignaturesFor("gemini-flash-latest", TwoSteps()),
              ElementsAre(kNone, "-", kNone, "-"));
  for (const char* before : {"gemini-2.5-pro", "models/gemini-1.5-flash", "gemma-3"}) {
    EXPECT_THAT(SignaturesFor(before, TwoSteps()), ElementsAre("-", "-", "-", "-")) << before;
  }
}

TEST(GeminiReply, IsTextCallsAndUsage) {
  const auto plan = GeminiCodec().Read(kReply, Request());
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->finish, Finish::kCalls);
  EXPECT_EQ(plan->text, "Let me look");
  ASSERT_EQ(plan->calls.size(), 2u);
  EXPECT_EQ(plan->calls[0].id, "call_0");
  EXPECT_EQ(plan->calls[0].tool, "orders.get");
  EXPECT_EQ(plan->calls[0].args_text, R"({"id":1})");
  EXPECT_EQ(plan->calls[0].echo, "c2ln");
  EXPECT_EQ(plan->calls[1].args_text, "{}");
  EXPECT_EQ(plan->prompt_tokens, 20);
  EXPECT_EQ(plan->cached_tokens, 8);
  EXPECT_EQ(plan->completion_tokens, 10);
  EXPECT_EQ(plan->reasoning_tokens, 4);
}

TEST(GeminiReply, NonsenseIsOneLine) {
  const Codec& codec = GeminiCodec();
  EXPECT_THAT(NonsenseOf(codec, "<html>"), HasSubstr("not JSON"));
  EXPECT_THAT(NonsenseOf(codec, "{}"), HasSubstr("no `candidates`"));
  EXPECT_THAT(NonsenseOf(codec, R"({"candidates":[{}]})"), HasSubstr("no `parts`"));
  EXPECT_THAT(FaultOf(codec, R"({"candidates":[{"content":{"parts":[]}}]})"),
              HasSubstr("neither text nor tool calls"));
  EXPECT_THAT(FaultOf(codec, R"({"candidates":[{"content":{},"finishReason":"STOP"}]})"),
              HasSubstr("neither text nor tool calls"));
  EXPECT_THAT(FaultOf(codec, R"({"candidates":[{"content":{"parts":[{"functionCall":{
                  "name":"think","args":{"id":1764000000000000000}}}]}}]})"),
              HasSubstr("hold an integer beyond 2^53-1"));
  EXPECT_THAT(NonsenseOf(codec, R"({"candidates":[{"content":{"parts":[{"text":1}]}}]})"),
              HasSubstr("`text` is not text"));
  EXPECT_THAT(RefusalOf(codec, R"({"promptFeedback":{"blockReason":"SAFETY"}})"),
              HasSubstr("content filter"));
  EXPECT_THAT(FaultOf(codec, R"({"candidates":[{"finishReason":"MAX_TOKENS"}]})"),
              HasSubstr("length limit"));
  EXPECT_THAT(RefusalOf(codec, R"({"candidates":[{"finishReason":"SAFETY"}]})"),
              HasSubstr("content filter"));
  EXPECT_THAT(FaultOf(codec, R"({"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL"}]})"),
              HasSubstr("could not read"));
}

constexpr char kStream[] =
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Let me \"}]}}]}\r\n\r\n"
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"look\"}]}}]}\r\n\r\n"
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"think\","
    "\"args\":{\"id\":2}}}]},\"finishReason\":\"STOP\"}],"
    "\"usageMetadata\":{\"promptTokenCount\":3,\"candidatesTokenCount\":2}}\r\n\r\n";

TEST(GeminiStream, IsTheSamePlanHoweverItIsCut) {
  for (const std::size_t piece : {1u, 5u, 100'000u}) {
    const Streamed streamed = Stream(GeminiCodec(), kStream, piece);
    ASSERT_TRUE(streamed.plan.ok()) << streamed.plan.status();
    EXPECT_EQ(streamed.text, "Let me look");
    EXPECT_EQ(streamed.plan->text, "Let me look");
    ASSERT_EQ(streamed.plan->calls.size(), 1u);
    EXPECT_EQ(streamed.plan->calls[0].args_text, R"({"id":2})");
    EXPECT_EQ(streamed.plan->prompt_tokens, 3);
  }
}

TEST(GeminiStream, RatingsOfThePromptDoNotEndItAndABlockDoes) {
  const auto ends = [](const std::string& feedback) {
    StreamReader reader(
        GeminiCodec(), [](const TextDelta&) {}, false);
    EXPECT_TRUE(reader.Feed("data: {\"promptFeedback\":" + feedback + "}\r\n\r\n").ok());
    EXPECT_EQ(reader.ended(), reader.Whole().ok());
    return reader.ended();
  };
  EXPECT_FALSE(ends(R"({"safetyRatings":[{"category":"X","probability":"LOW"}]})"));
  EXPECT_TRUE(ends(R"({"blockReason":"SAFETY"})"));
}

TEST(GeminiStream, HalfOfItIsNoReplyAndAnErrorEndsIt) {
  const std::string_view whole = kStream;
  EXPECT_EQ(Stream(GeminiCodec(), whole.substr(0, whole.size() - 2), 9).plan.status().code(),
            core::StatusCode::kUnavailable);
  EXPECT_EQ(
      Stream(GeminiCodec(), "data: {\"error\":{\"code\":503,\"status\":\"UNAVAILABLE\"}}\n\n", 9)
          .plan.status()
          .code(),
      core::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace interlock::runtime
