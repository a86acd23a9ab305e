#include <gmock/gmock.h>

#include "codec_fixture.h"

namespace interlock::runtime {
namespace {

using ::testing::HasSubstr;

// A reply whose message is this JSON.
std::string Reply(const std::string& message, const std::string& more = "") {
  return R"({"choices":[{"message":)" + message + more +
         R"(}],"usage":{"prompt_tokens":7,"completion_tokens":2}})";
}

TEST(ChatRequest, SaysTheConversationAndTheTools) {
  const auto body = BodyOf(ChatCodec(), Request(), {.model = "m-1"});
  const auto expected = core::ParseJson(R"({
    "model": "m-1",
    "messages": [
      {"role": "system", "content": "Be kind."},
      {"role": "user", "content": "Hello\n\"you\""},
      {"role": "assistant", "content": null, "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "orders-get", "arguments": "{\"id\":1}"}}]},
      {"role": "tool", "content": "{\"ok\":true}", "tool_call_id": "c1"}],
    "tools": [
      {"type": "function", "function": {"name": "orders-get", "description": "Reads \"it\".",
        "parameters": {"type": "object", "required": ["id"]}}},
      {"type": "function", "function": {"name": "think", "description": "Reads \"it\".",
        "parameters": {"type": "object", "required": ["id"]}}}]})",
                                        core::kPayloadLimits);
  ASSERT_TRUE(expected.ok()) << expected.status();
  EXPECT_EQ(body, *expected);
}

TEST(ChatRequest, LeavesOutWhatIsNotThere) {
  EXPECT_EQ(BodyOf(ChatCodec(), {}, {.model = "m", .temperature = "0.5"}),
            core::Json({{"model", "m"}, {"temperature", 0.5}, {"messages", core::Json::array()}}));
}

TEST(ChatRequest, AsksForAStreamAShapeAndALimit) {
  PlanRequest request;
  request.answer_schema = AnswerSchema();
  const auto body =
      BodyOf(ChatCodec(), request, {.model = "m", .output_tokens_max = 50, .stream = true});
  EXPECT_EQ(body["stream"], true);
  EXPECT_EQ(body["stream_options"]["include_usage"], true);
  EXPECT_EQ(body["max_completion_tokens"], 50);
  EXPECT_EQ(body["response_format"]["json_schema"]["schema"], AnswerSchema());
  EXPECT_EQ(body["response_format"]["json_schema"]["strict"], true);
  request.answer_schema = {{"type", "object"}};
  EXPECT_EQ(
      BodyOf(ChatCodec(), request, {.model = "m"})["response_format"]["json_schema"]["strict"],
      false);
}

TEST(ChatRequest, IdsAreUniqueInTheWholeConversation) {
  PlanRequest request;
  for (int i = 0; i < 2; ++i) {
    request.messages.push_back({.role = Role::kAssistant,
                                .text = "",
                                .calls = {{.id = "call_0", .tool = "think", .args_text = "{}"},
                                          {.id = "a/b c", .tool = "think", .args_text = "{}"}},
                                .call_id = {}});
    request.messages.push_back(
        {.role = Role::kTool, .text = "x", .calls = {}, .call_id = "call_0"});
    request.messages.push_back({.role = Role::kTool, .text = "y", .calls = {}, .call_id = "a/b c"});
  }
  const auto messages = BodyOf(ChatCodec(), request, {.model = "m"})["messages"];
  ASSERT_EQ(messages.size(), 6u);
  std::set<std::string> ids;
  for (const int turn : {0, 3}) {
    const auto& calls = messages[turn]["tool_calls"];
    for (const int i : {0, 1}) {
      const auto id = calls[i]["id"].get<std::string>();
      EXPECT_TRUE(ids.insert(id).second) << id;
      EXPECT_EQ(messages[turn + 1 + i]["tool_call_id"], id);
      EXPECT_EQ(id.find_first_of("/ "), std::string::npos);
    }
  }
  EXPECT_EQ(messages[0]["tool_calls"][0]["id"], "call_0");
}

TEST(ChatReply, TextIsAnAnswer) {
  const auto plan = ChatCodec().Read(Reply(R"({"content":"Hi there"})"), Request());
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->finish, Finish::kAnswer);
  EXPECT_EQ(plan->text, "Hi there");
  EXPECT_EQ(plan->prompt_tokens, 7);
  EXPECT_EQ(plan->completion_tokens, 2);
  EXPECT_EQ(plan->raw, Reply(R"({"content":"Hi there"})"));
}

TEST(ChatReply, CallsComeBackUnderTheToolsOwnNames) {
  const auto plan = ChatCodec().Read(Reply(R"({"content":"Looking","tool_calls":[
        {"id":"a","type":"function","function":{"name":"orders-get","arguments":"{\"id\": 1}"}},
        {"id":"b","type":"function","function":{"name":"orders.get","arguments":"no json"}},
        {"id":"c","type":"function","function":{"name":"rm-rf","arguments":""}},
        {"type":"function","function":{"name":"think","arguments":{"id":1.0}}}]})"),
                                     Request());
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->finish, Finish::kCalls);
  EXPECT_EQ(plan->text, "Looking");
  ASSERT_EQ(plan->calls.size(), 4u);
  EXPECT_EQ(plan->calls[0].tool, "orders.get");
  EXPECT_EQ(plan->calls[0].args_text, "{\"id\": 1}");
  EXPECT_EQ(plan->calls[1].tool, "orders.get");
  EXPECT_EQ(plan->calls[1].args_text, "no json");  // the gate refuses it and says so to the model
  EXPECT_EQ(plan->calls[2].tool, "rm-rf");         // unknown: as the model wrote it
  EXPECT_EQ(plan->calls[3].id, "call_3");
  EXPECT_EQ(plan->calls[3].args_text, R"({"id":1})");
}

// Google's OpenAI-compatible endpoint refuses a conversation without it, and others one with it.
TEST(ChatReply, WhatStandsBesideACallGoesBackToItsAuthorAlone) {
  const std::string call = R"({"id":"a","function":{"name":"think","arguments":"{}"},
      "extra_content":{"google":{"thought_signature":"c2ln"}}})";
  const auto plan = ChatCodec().Read(Reply(R"({"tool_calls":[)" + call + "]}"), Request());
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->calls[0].echo, R"({"google":{"thought_signature":"c2ln"}})");
  const auto streamed = Stream(ChatCodec(),
                               "data: {\"choices\":[{\"delta\":{\"tool_calls\":[" +
                                   core::CanonicalJson(Parsed(call)) +
                                   "]},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n",
                               9);
  ASSERT_TRUE(streamed.plan.ok()) << streamed.plan.status();
  EXPECT_EQ(streamed.plan->calls[0].echo, plan->calls[0].echo);

  PlanRequest request = Request();
  ProposedCall& written = request.messages[2].calls[0];
  written.echo = plan->calls[0].echo;
  const auto sent = [&request](const std::string& author) {
    request.messages[2].author = author;
    return BodyOf(ChatCodec(), request, {.model = "m"})["messages"][2]["tool_calls"][0];
  };
  EXPECT_EQ(sent("openai/m")["extra_content"]["google"]["thought_signature"], "c2ln");
  for (const char* other : {"openai/n", "gemini/m", ""}) {
    EXPECT_FALSE(sent(other).contains("extra_content")) << other;
  }
  written.echo = "no object";
  EXPECT_FALSE(sent("openai/m").contains("extra_content"));
  EXPECT_TRUE(ChatCodec()
                  .Read(Reply(R"({"tool_calls":[{"function":{"name":"think"},
                               "extra_content":"odd"}]})"),
                        Request())
                  .ok());
}

TEST(ChatReply, ARefusalIsNoAnswer) {
  EXPECT_THAT(RefusalOf(ChatCodec(), Reply(R"({"content":null,"refusal":"I will not."})")),
              HasSubstr("the model refused to answer"));
  for (const char* none : {R"("")", "null", "false"}) {
    const auto plan = ChatCodec().Read(
        Reply(R"({"content":"Hi","refusal":)" + std::string(none) + "}"), Request());
    EXPECT_TRUE(plan.ok()) << plan.status() << none;
  }
  const auto streamed = Stream(ChatCodec(),
                               "data: {\"choices\":[{\"delta\":{\"refusal\":\"I will\"}}]}\n\n"
                               "data: {\"choices\":[{\"delta\":{\"refusal\":\" not.\"},"
                               "\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
                               9);
  EXPECT_EQ(streamed.plan.status().code(), core::StatusCode::kPermissionDenied);
  EXPECT_EQ(streamed.text, "");
}

struct Nonsense {
  std::string body;
  const char* error;
  core::StatusCode code = core::StatusCode::kDataLoss;
};
constexpr core::StatusCode kFault = core::StatusCode::kOutOfRange;
constexpr core::StatusCode kRefused = core::StatusCode::kPermissionDenied;
class ChatReplyRefuses : public ::testing::TestWithParam<Nonsense> {};

TEST_P(ChatReplyRefuses, InOneLine) {
  const auto plan = ChatCodec().Read(GetParam().body, Request());
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.status().code(), GetParam().code);
  const std::string message(core::Message(plan.status()));
  EXPECT_THAT(message, HasSubstr("reply of the model makes no sense: "));
  EXPECT_THAT(message, HasSubstr(GetParam().error));
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

std::string ManyCalls(int count) {
  std::string calls;
  for (int i = 0; i < count; ++i) {
    calls += (i > 0 ? "," : "") + std::string(R"({"id":")") + std::to_string(i) +
             R"(","function":{"name":"think","arguments":"{}"}})";
  }
  return Reply(R"({"tool_calls":[)" + calls + "]}");
}

INSTANTIATE_TEST_SUITE_P(
    All, ChatReplyRefuses,
    ::testing::Values(
        Nonsense{"", "not JSON"}, Nonsense{"<html>502</html>", "not JSON"},
        Nonsense{R"({"choices":[{"message":{"content":"cut)", "not JSON"},
        Nonsense{std::string(1000, '['), "deep"}, Nonsense{"{}", "no `choices`"},
        Nonsense{R"({"choices":[]})", "no `choices`"},
        Nonsense{R"({"choices":[null]})", "no `message`"},
        Nonsense{R"({"choices":[{"message":7}]})", "no `message`"},
        Nonsense{Reply(R"({"content":null})"), "neither text nor tool calls", kFault},
        Nonsense{Reply(R"({"content":["a"]})"), "`content` is not text"},
        Nonsense{Reply(R"({"content":"a"})", R"(,"finish_reason":"length")"), "length limit",
                 kFault},
        Nonsense{Reply(R"({"content":"a"})", R"(,"finish_reason":"content_filter")"),
                 "content filter", kRefused},
        Nonsense{Reply(R"({"tool_calls":{}})"), "`tool_calls` is not a list"},
        Nonsense{Reply(R"({"tool_calls":[{"id":"a"}]})"), "without `function`"},
        Nonsense{Reply(R"({"tool_calls":[{"id":"a","function":{"arguments":"{}"}}]})"),
                 "without a name", kFault},
        Nonsense{Reply(R"({"tool_calls":[{"id":"a","function":{"name":"t","arguments":[1]}}]})"),
                 "`arguments` is not text"},
        Nonsense{
            Reply(
                R"({"tool_calls":[{"id":"a","function":{"name":"t"}},{"id":"a","function":{"name":"t"}}]})"),
            "two tool calls of one id", kFault},
        Nonsense{Reply(R"({"tool_calls":[{"id":")" + std::string(300, 'i') +
                       R"(","function":{"name":"t"}}]})"),
                 "`id` is too long"},
        Nonsense{ManyCalls(33), "more than 32 tool calls", kFault}));

TEST(ChatReply, WhatNobodyReadsMayBeAnything) {
  const auto plan = ChatCodec().Read(
      R"({"id":"x","created":1764000000000000000,"choices":[{"seed":18446744073709551615,
          "message":{"content":[{"type":"text","text":"He"},{"type":"text","text":"llo"}]}}]})",
      Request());
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->text, "Hello");
  // Arguments stay as the model wrote them, for the gate to refuse.
  const auto call = ChatCodec().Read(
      R"({"created":1764000000000000000,"choices":[{"message":{"tool_calls":[{"id":"c",
          "function":{"name":"think","arguments":"{\"id\":1764000000000000000}"}}]}}]})",
      Request());
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->calls[0].args_text, R"({"id":1764000000000000000})");
  EXPECT_THAT(FaultOf(ChatCodec(),
                      R"({"choices":[{"message":{"tool_calls":[{"id":"c",
          "function":{"name":"think","arguments":{"id":1764000000000000000}}}]}}]})"),
              HasSubstr("the arguments of a tool call hold an integer beyond 2^53-1"));
  EXPECT_THAT(NonsenseOf(ChatCodec(), R"({"created":1764000000000000000,"choices":[)"),
              HasSubstr("not JSON"));
  EXPECT_THAT(
      NonsenseOf(ChatCodec(), R"({"choices":[{"message":{"content":[{"type":"image"}]}}]})"),
      HasSubstr("`content` is not text"));
}

TEST(ChatReply, ThirtyTwoCallsAreTheMost) {
  const auto plan = ChatCodec().Read(ManyCalls(32), Request());
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->calls.size(), 32u);
}

TEST(ChatReply, CountsCachedAndReasoningTokens) {
  const auto plan = ChatCodec().Read(
      R"({"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":9,"completion_tokens":5,
          "prompt_tokens_details":{"cached_tokens":4},
          "completion_tokens_details":{"reasoning_tokens":3}}})",
      {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->cached_tokens, 4);
  EXPECT_EQ(plan->reasoning_tokens, 3);
  EXPECT_EQ(plan->completion_tokens, 5);
}

// Of a provider that counts what was thought beside what was written.
TEST(ChatReply, WhatTheTotalHoldsIsPaidFor) {
  const auto plan = ChatCodec().Read(
      R"({"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":9,"completion_tokens":5,
          "total_tokens":17,"completion_tokens_details":{"reasoning_tokens":3}}})",
      {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->completion_tokens, 8);
}

TEST(ChatReply, OneThatItsProviderBrokeOffIsTriedAgain) {
  for (const char* reason : {"insufficient_system_resource", "error", "abort", "aborted"}) {
    const std::string reply = R"({"choices":[{"message":{"content":"half a"},"finish_reason":")" +
                              std::string(reason) + R"("}]})";
    EXPECT_EQ(ChatCodec().Read(reply, {}).status().code(), core::StatusCode::kUnavailable);
  }
}

constexpr char kStream[] =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Let me "
    "\"}}]}\n\n"
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"look\"}}]}\n\n"
    "data: "
    "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"type\":\"function\","
    "\"function\":{\"name\":\"orders-get\",\"arguments\":\"\"}}]}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"b\","
    "\"function\":{\"name\":\"think\",\"arguments\":\"{}\"}}]}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,"
    "\"function\":{\"arguments\":\"{\\\"id\\\":1}\"}}]}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n"
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}\n\n"
    "data: [DONE]\n\n";

TEST(ChatStream, IsTheSamePlanHoweverItIsCut) {
  for (const std::size_t piece : {1u, 3u, 64u, 100'000u}) {
    const Streamed streamed = Stream(ChatCodec(), kStream, piece);
    ASSERT_TRUE(streamed.plan.ok()) << streamed.plan.status();
    EXPECT_EQ(streamed.text, "Let me look");
    EXPECT_EQ(streamed.plan->text, "Let me look");
    ASSERT_EQ(streamed.plan->calls.size(), 2u);
    EXPECT_EQ(streamed.plan->calls[0].tool, "orders.get");
    EXPECT_EQ(streamed.plan->calls[0].args_text, R"({"id":1})");
    EXPECT_EQ(streamed.plan->calls[1].id, "b");
    EXPECT_EQ(streamed.plan->prompt_tokens, 7);
  }
}

// Servers are known that give every call the index 0, and ones that give each part of a call an id
// of its own.
TEST(ChatStream, CallsAreToldApartWhereTheirIndexDoesNotTell) {
  const auto part = [](const std::string& id, const std::string& function) {
    return R"(data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":")" + id +
           R"(","function":)" + function + "}]}}]}\n\n";
  };
  const std::string end =
      "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"\"}]}\n\n"
      "data: {\"choices\":[{\"finish_reason\":\"tool_calls\"}]}\n\n";
  const auto two = Stream(ChatCodec(),
                          part("a", R"({"name":"orders-get","arguments":""})") +
                              part("b", R"({"name":"think","arguments":"{\"id\":5}"})") + end,
                          9);
  ASSERT_TRUE(two.plan.ok()) << two.plan.status();
  ASSERT_EQ(two.plan->calls.size(), 2u);
  EXPECT_EQ(two.plan->calls[0].tool, "orders.get");
  EXPECT_EQ(two.plan->calls[0].args_text, "");
  EXPECT_EQ(two.plan->calls[1].tool, "think");
  EXPECT_EQ(two.plan->calls[1].args_text, R"({"id":5})");
  const auto one = Stream(ChatCodec(),
                          part("a", R"({"name":"think","arguments":"{\"id\""})") +
                              part("b", R"({"arguments":":5}"})") + end,
                          9);
  ASSERT_TRUE(one.plan.ok()) << one.plan.status();
  ASSERT_EQ(one.plan->calls.size(), 1u);
  EXPECT_EQ(one.plan->calls[0].args_text, R"({"id":5})");
}

TEST(ChatStream, AnEmptyReasonEndsNothing) {
  const auto half = Stream(
      ChatCodec(),
      "data: {\"choices\":[{\"delta\":{\"content\":\"Let me\"},\"finish_reason\":\"\"}]}\n\n", 9);
  EXPECT_EQ(half.plan.status().code(), core::StatusCode::kUnavailable);
}

TEST(ChatStream, HalfOfItIsNoReply) {
  const std::string_view whole = kStream;
  const auto half = Stream(ChatCodec(), whole.substr(0, whole.size() / 2), 10).plan;
  EXPECT_EQ(half.status().code(), core::StatusCode::kUnavailable);
}

TEST(ChatStream, AnErrorInsideEndsIt) {
  const auto busy =
      Stream(ChatCodec(), "data: {\"error\":{\"code\":\"server_error\"}}\n\n", 10).plan;
  EXPECT_EQ(busy.status().code(), core::StatusCode::kUnavailable);
  const auto bad =
      Stream(ChatCodec(), "data: {\"error\":{\"code\":\"invalid_prompt\"}}\n\n", 10).plan;
  EXPECT_EQ(bad.status().code(), core::StatusCode::kInvalidArgument);
  // As many servers write it; some in digits, some beside a word of their own.
  const auto numbered = [](const std::string& error) {
    return Stream(ChatCodec(), "data: {\"error\":" + error + "}\n\n", 10).plan.status();
  };
  for (const char* passes : {R"({"code":429})", R"({"code":503})", R"({"code":"502"})",
                             R"({"status":500})", R"({"code":429,"type":"odd_word"})"}) {
    EXPECT_EQ(numbered(passes).code(), core::StatusCode::kUnavailable) << passes;
  }
  for (const char* stays :
       {R"({"code":400})", R"({"code":7})", R"({"code":"4290"})", R"({"code":-429})", R"("429")"}) {
    EXPECT_EQ(numbered(stays).code(), core::StatusCode::kInvalidArgument) << stays;
  }
  EXPECT_THAT(std::string(core::Message(numbered(R"({"code":429})"))), HasSubstr("(429)"));
  EXPECT_EQ(Stream(ChatCodec(), "data: what\n\n", 10).plan.status().code(),
            core::StatusCode::kDataLoss);
}

TEST(ErrorWord, ShowsTheCodeAndNeverTheProse) {
  EXPECT_EQ(ErrorWord(R"({"error":{"code":"rate_limit_exceeded","message":"sk-secret"}})"),
            "rate_limit_exceeded");
  EXPECT_EQ(ErrorWord(R"({"error":{"code":null,"type":"server_error"}})"), "server_error");
  EXPECT_EQ(ErrorWord(R"({"error":{"code":"sk-secret","type":"Bad Type"}})"), "");
  EXPECT_EQ(ErrorWord(R"({"type":"error","error":{"type":"overloaded_error"}})"),
            "overloaded_error");
  EXPECT_EQ(ErrorWord(R"({"error":{"code":503,"status":"UNAVAILABLE"}})"), "unavailable");
  EXPECT_EQ(ErrorWord("no json"), "");
  EXPECT_EQ(ErrorWord(R"({"error":"text"})"), "");
}

}  // namespace
}  // namespace interlock::runtime
