// What is no count in the usage of a reply, in every dialect.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "codec.h"

namespace interlock::runtime {
namespace {

// A dialect, a whole reply of it, and the members of its usage; `N` is the count that is tried.
struct Dialect {
  const Codec& codec;
  std::string reply;  // `U` stands for the usage
  std::vector<std::string> usages;
};

std::vector<Dialect> Dialects() {
  return {
      {ChatCodec(),
       R"({"choices":[{"message":{"content":"Hi"}}],"usage":U})",
       {R"({"prompt_tokens":N,"completion_tokens":2})",
        R"({"prompt_tokens":9,"completion_tokens":N})",
        R"({"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":N}})",
        R"({"prompt_tokens":9,"completion_tokens":2,
            "completion_tokens_details":{"reasoning_tokens":N}})"}},
      {ResponsesCodec(),
       R"({"status":"completed","output":[{"type":"message","content":[
           {"type":"output_text","text":"Hi"}]}],"usage":U})",
       {R"({"input_tokens":N,"output_tokens":2})", R"({"input_tokens":9,"output_tokens":N})",
        R"({"input_tokens":9,"output_tokens":2,"input_tokens_details":{"cached_tokens":N}})",
        R"({"input_tokens":9,"output_tokens":2,"output_tokens_details":{"reasoning_tokens":N}})"}},
      {AnthropicCodec(),
       R"({"content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":U})",
       {R"({"input_tokens":N,"output_tokens":2})", R"({"input_tokens":9,"output_tokens":N})",
        R"({"input_tokens":9,"output_tokens":2,"cache_read_input_tokens":N})",
        R"({"input_tokens":9,"output_tokens":2,"cache_creation_input_tokens":N})",
        R"({"input_tokens":9,"output_tokens":2,"output_tokens_details":{"thinking_tokens":N}})"}},
      {GeminiCodec(),
       R"({"candidates":[{"content":{"parts":[{"text":"Hi"}]},"finishReason":"STOP"}],
           "usageMetadata":U})",
       {R"({"promptTokenCount":N,"candidatesTokenCount":2})",
        R"({"promptTokenCount":9,"toolUsePromptTokenCount":N,"candidatesTokenCount":2})",
        R"({"promptTokenCount":9,"candidatesTokenCount":N})",
        R"({"promptTokenCount":9,"candidatesTokenCount":2,"cachedContentTokenCount":N})",
        R"({"promptTokenCount":9,"candidatesTokenCount":2,"thoughtsTokenCount":N})"}}};
}

Plan Read(const Dialect& dialect, std::string usage, std::string_view count) {
  usage.replace(usage.find('N'), 1, count);
  std::string reply = dialect.reply;
  reply.replace(reply.find('U'), 1, usage);
  const auto plan = dialect.codec.Read(reply, {});
  EXPECT_TRUE(plan.ok()) << plan.status() << reply;
  return plan.ok() ? *plan : Plan();
}

std::vector<std::int64_t> CountsOf(const Plan& plan) {
  return {plan.prompt_tokens, plan.cached_tokens, plan.cache_write_tokens, plan.completion_tokens,
          plan.reasoning_tokens};
}

TEST(Usage, OneCountThatIsNoneTakesTheWordOfAll) {
  for (const Dialect& dialect : Dialects()) {
    for (const std::string& usage : dialect.usages) {
      for (const char* count :
           {"99999999999999999999999999", "1000000001", "9007199254740991", "1e30", "-1",
            "-99999999999999999999999999", "1.5", "\"7\"", "true", "[]", "{}"}) {
        EXPECT_EQ(CountsOf(Read(dialect, usage, count)), std::vector<std::int64_t>(5, 0))
            << usage << count;
      }
    }
  }
}

// Cut at a limit, refused, or written badly: it is billed all the same.
TEST(Usage, IsToldOfRepliesThatGiveNoPlanToo) {
  constexpr char kUsage[] =
      R"("usage":{"prompt_tokens":9,"completion_tokens":2,"input_tokens":9,"output_tokens":2},
         "usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":2})";
  const std::vector<std::pair<const Codec*, std::vector<std::string>>> replies = {
      {&ChatCodec(),
       {R"("choices":[{"message":{"content":"half"},"finish_reason":"length"}])",
        R"("choices":[{"message":{"content":"no"},"finish_reason":"content_filter"}])",
        R"("choices":[{"message":{"refusal":"I will not."}}])", R"("choices":[{"message":{}}])",
        R"("choices":[{"message":{"tool_calls":[{"function":{}}]}}])",
        R"("choices":[{"message":{"tool_calls":[{"function":{"name":"t","arguments":
            {"id":1764000000000000000}}}]}}])"}},
      {&ResponsesCodec(),
       {R"("status":"incomplete","incomplete_details":{"reason":"max_output_tokens"})",
        R"("output":[{"type":"message","content":[{"type":"refusal","refusal":"No."}]}])",
        R"("output":[])", R"("status":"failed","error":{"code":"server_error"})"}},
      {&AnthropicCodec(),
       {R"("content":[],"stop_reason":"max_tokens")", R"("content":[],"stop_reason":"refusal")",
        R"("content":[],"stop_reason":"end_turn")"}},
      {&GeminiCodec(),
       {R"("candidates":[{"finishReason":"MAX_TOKENS"}])",
        R"("candidates":[{"finishReason":"SAFETY"}])",
        R"("candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL"}])",
        R"("promptFeedback":{"blockReason":"SAFETY"})"}}};
  for (const auto& [codec, bodies] : replies) {
    for (const std::string& body : bodies) {
      ReplyNotes notes;
      EXPECT_FALSE(codec->Read("{" + body + "," + kUsage + "}", {}, notes).ok()) << body;
      EXPECT_EQ(notes.used.prompt_tokens, 9) << body;
      EXPECT_EQ(notes.used.completion_tokens, 2) << body;
    }
  }
}

TEST(Usage, WhatIsACountIsBelieved) {
  for (const Dialect& dialect : Dialects()) {
    for (const std::string& usage : dialect.usages) {
      for (const char* count : {"null", "0", "7", "1000000000"}) {
        const Plan plan = Read(dialect, usage, count);
        EXPECT_GT(plan.prompt_tokens + plan.completion_tokens, 0) << usage << count;
      }
    }
    const Plan plan = Read(dialect, dialect.usages[0], "1000000000");
    EXPECT_EQ(plan.prompt_tokens, 1'000'000'000);
    EXPECT_EQ(plan.completion_tokens, 2);
  }
}

}  // namespace
}  // namespace interlock::runtime
