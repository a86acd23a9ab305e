#include "openai_wire.h"

#include <gmock/gmock.h>

#include "tool_names.h"

namespace interlock::runtime {
namespace {

using ::testing::HasSubstr;

std::shared_ptr<const tools::Tool> ToolNamed(std::string name) {
  tools::Manifest manifest;
  manifest.name = std::move(name);
  manifest.description = "Reads \"it\".";
  manifest.input_schema = {{"type", "object"}, {"required", {"id"}}};
  manifest.effect = tools::Effect::kRead;
  manifest.builtin = "b";
  auto tool = tools::Tool::FromManifest(std::move(manifest));
  EXPECT_TRUE(tool.ok()) << tool.status();
  return *tool;
}

PlanRequest Request() {
  PlanRequest request;
  request.tools = {ToolNamed("orders.get"), ToolNamed("think")};
  request.messages = {
      {.role = Role::kSystem, .text = "Be kind.", .calls = {}, .call_id = {}},
      {.role = Role::kUser, .text = "Hello\n\"you\"", .calls = {}, .call_id = {}},
      {.role = Role::kAssistant,
       .text = "",
       .calls = {{.id = "c1", .tool = "orders.get", .args_text = R"({"id":1})"}},
       .call_id = {}},
      {.role = Role::kTool, .text = R"({"ok":true})", .calls = {}, .call_id = "c1"}};
  return request;
}

// A reply whose message is this JSON.
std::string Reply(const std::string& message, const std::string& more = "") {
  return R"({"choices":[{"message":)" + message + more +
         R"(}],"usage":{"prompt_tokens":7,"completion_tokens":2}})";
}

TEST(ChatRequest, SaysTheConversationAndTheTools) {
  const auto body =
      core::ParseJson(ChatRequestBody(Request(), {.model = "m-1"}), core::kPayloadLimits);
  ASSERT_TRUE(body.ok()) << body.status();
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
  EXPECT_EQ(*body, *expected);
}

TEST(ChatRequest, LeavesOutWhatIsNotThere) {
  const auto body = core::ParseJson(
      ChatRequestBody({}, {.model = "m", .temperature = 0.5, .send_temperature = true}),
      core::kPayloadLimits);
  ASSERT_TRUE(body.ok());
  EXPECT_EQ(*body,
            core::Json({{"model", "m"}, {"temperature", 0.5}, {"messages", core::Json::array()}}));
}

TEST(ChatReply, TextIsAnAnswer) {
  const auto plan = PlanOfChatReply(Reply(R"({"content":"Hi there"})"), Request());
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->finish, Finish::kAnswer);
  EXPECT_EQ(plan->text, "Hi there");
  EXPECT_EQ(plan->prompt_tokens, 7);
  EXPECT_EQ(plan->completion_tokens, 2);
  EXPECT_EQ(plan->raw, Reply(R"({"content":"Hi there"})"));
}

TEST(ChatReply, CallsComeBackUnderTheToolsOwnNames) {
  const auto plan = PlanOfChatReply(Reply(R"({"content":"Looking","tool_calls":[
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

TEST(ChatReply, ARefusalIsWhatTheModelSays) {
  const auto plan =
      PlanOfChatReply(Reply(R"({"content":null,"refusal":"I will not."})"), Request());
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->text, "I will not.");
}

struct BadReply {
  std::string body;
  const char* error;
};
class ChatReplyRefuses : public ::testing::TestWithParam<BadReply> {};

TEST_P(ChatReplyRefuses, InOneLine) {
  const auto plan = PlanOfChatReply(GetParam().body, Request());
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.status().code(), core::StatusCode::kInvalidArgument);
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
        BadReply{"", "not JSON"}, BadReply{"<html>502</html>", "not JSON"},
        BadReply{R"({"choices":[{"message":{"content":"cut)", "not JSON"},
        BadReply{std::string(1000, '['), "deep"}, BadReply{"{}", "no `choices`"},
        BadReply{R"({"choices":[]})", "no `choices`"},
        BadReply{R"({"choices":[null]})", "no `message`"},
        BadReply{R"({"choices":[{"message":7}]})", "no `message`"},
        BadReply{Reply(R"({"content":null})"), "neither text nor tool calls"},
        BadReply{Reply(R"({"content":["a"]})"), "`content` is not text"},
        BadReply{Reply(R"({"content":"a"})", R"(,"finish_reason":"length")"), "length limit"},
        BadReply{Reply(R"({"content":"a"})", R"(,"finish_reason":"content_filter")"),
                 "content filter"},
        BadReply{Reply(R"({"tool_calls":{}})"), "`tool_calls` is not a list"},
        BadReply{Reply(R"({"tool_calls":[{"id":"a"}]})"), "without `function`"},
        BadReply{Reply(R"({"tool_calls":[{"id":"a","function":{"arguments":"{}"}}]})"),
                 "without a name"},
        BadReply{Reply(R"({"tool_calls":[{"id":"a","function":{"name":"t","arguments":[1]}}]})"),
                 "`arguments` is not text"},
        BadReply{
            Reply(
                R"({"tool_calls":[{"id":"a","function":{"name":"t"}},{"id":"a","function":{"name":"t"}}]})"),
            "two tool calls of one id"},
        BadReply{Reply(R"({"tool_calls":[{"id":")" + std::string(300, 'i') +
                       R"(","function":{"name":"t"}}]})"),
                 "`id` is too long"},
        BadReply{ManyCalls(33), "more than 32 tool calls"}));

TEST(ChatReply, ThirtyTwoCallsAreTheMost) {
  const auto plan = PlanOfChatReply(ManyCalls(32), Request());
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->calls.size(), 32u);
}

TEST(ErrorWord, ShowsTheCodeAndNeverTheProse) {
  EXPECT_EQ(ErrorWord(R"({"error":{"code":"rate_limit_exceeded","message":"sk-secret"}})"),
            "rate_limit_exceeded");
  EXPECT_EQ(ErrorWord(R"({"error":{"code":null,"type":"server_error"}})"), "server_error");
  EXPECT_EQ(ErrorWord(R"({"error":{"code":"sk-secret","type":"Bad Type"}})"), "");
  EXPECT_EQ(ErrorWord("no json"), "");
  EXPECT_EQ(ErrorWord(R"({"error":"text"})"), "");
}

}  // namespace
}  // namespace interlock::runtime
