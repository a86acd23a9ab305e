// How providers are asked for the final answer, and what they make of it.
#include "answer_form.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codec_fixture.h"
#include "runtime/planners.h"

namespace interlock::runtime {
namespace {

using ::testing::HasSubstr;

constexpr Dialect kDialects[] = {Dialect::kChat, Dialect::kResponses, Dialect::kAnthropic,
                                 Dialect::kGemini};

// A reply of that dialect that calls `final--answer`.
std::string AnswerCall(Dialect dialect, const std::string& args) {
  const std::string text = core::Json(args).dump();
  switch (dialect) {
    case Dialect::kChat:
      return R"({"choices":[{"message":{"tool_calls":[{"id":"c","function":{"name":"final--answer",)"
             R"("arguments":)" +
             text + "}}]}}]}";
    case Dialect::kResponses:
      return R"({"output":[{"type":"function_call","call_id":"c","name":"final--answer",)"
             R"("arguments":)" +
             text + "}]}";
    case Dialect::kAnthropic:
      return R"({"content":[{"type":"tool_use","id":"c","name":"final--answer","input":)" + args +
             "}]}";
    case Dialect::kGemini:
      return R"({"candidates":[{"content":{"parts":[{"functionCall":{"name":"final--answer",)"
             R"("args":)" +
             args + "}}]}}]}";
  }
  return "";
}

PlanRequest Talk(core::Json schema = nullptr) {
  PlanRequest request = Request();
  request.ends_by_tool = true;
  request.answer_schema = std::move(schema);
  return request;
}

int CountOf(const std::string& text, std::string_view word) {
  int count = 0;
  for (std::size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) ++count;
  return count;
}

TEST(AnswerForm, WhereTextGoesToTheUserAToolGivesTheAnswerInEveryDialect) {
  for (const Dialect dialect : kDialects) {
    const Codec& codec = CodecOf(dialect);
    for (PlanRequest request : {Talk(), Talk(AnswerSchema())}) {
      for (const bool tools : {true, false}) {
        if (!tools) request.tools.clear();
        const auto wire = codec.Write(request, {.model = "m"});
        ASSERT_TRUE(wire.ok()) << wire.status();
        Parsed(wire->body);
        EXPECT_EQ(CountOf(wire->body, "\"final--answer\""), 1) << wire->body;
        EXPECT_THAT(wire->body, HasSubstr("Plain text goes to the user"));
        // A text of that shape could be no question.
        EXPECT_EQ(CountOf(wire->body, "json_schema"), 0) << wire->body;
        EXPECT_EQ(CountOf(wire->body, "responseJsonSchema"), 0) << wire->body;
      }
    }
    const auto wire = codec.Write(Request(), {.model = "m"});
    ASSERT_TRUE(wire.ok()) << wire.status();
    EXPECT_EQ(CountOf(wire->body, "final--answer"), 0);
  }
}

TEST(AnswerForm, TheToolsTextIsTheAnswerAndPlainTextIsNot) {
  for (const Dialect dialect : kDialects) {
    const auto plan = CodecOf(dialect).Read(AnswerCall(dialect, R"({"answer":"Bye!"})"), Talk());
    ASSERT_TRUE(plan.ok()) << plan.status();
    EXPECT_EQ(plan->finish, Finish::kAnswer);
    EXPECT_TRUE(plan->final_answer);
    EXPECT_EQ(plan->text, "Bye!");
    const auto shaped =
        CodecOf(dialect).Read(AnswerCall(dialect, R"({"n":3})"), Talk(AnswerSchema()));
    ASSERT_TRUE(shaped.ok()) << shaped.status();
    EXPECT_TRUE(shaped->final_answer);
    EXPECT_EQ(shaped->text, R"({"n":3})");
  }
  const auto said = ChatCodec().Read(R"({"choices":[{"message":{"content":"Bye?"}}]})", Talk());
  ASSERT_TRUE(said.ok()) << said.status();
  EXPECT_FALSE(said->final_answer);
}

TEST(AnswerForm, AnAnswerWithoutItsTextIsTheModelsFault) {
  for (const char* args :
       {"{}", R"({"answer":1})", R"({"answer":""})", R"({"answer":"a","b":1})"}) {
    for (const Dialect dialect : kDialects) {
      const auto plan = CodecOf(dialect).Read(AnswerCall(dialect, args), Talk());
      EXPECT_EQ(plan.status().code(), core::StatusCode::kOutOfRange) << args;
      EXPECT_THAT(std::string(core::Message(plan.status())),
                  HasSubstr("`final--answer` needs `answer`, a text"));
    }
  }
}

TEST(AnswerForm, ASchemaThatIsNoObjectStandsInOne) {
  PlanRequest request = Request();
  request.answer_schema = core::Json::parse(
      R"({"type":"array","items":{"$ref":"#/$defs/n"},"$defs":{"n":{"type":"integer"}}})");
  EXPECT_EQ(AnswerSchemaOf(request), core::Json::parse(R"({"type":"object",
    "additionalProperties":false,"required":["answer"],"$defs":{"n":{"type":"integer"}},
    "properties":{"answer":{"type":"array","items":{"$ref":"#/$defs/n"}}}})"));
  PlanRequest nested = Request();  // what it names of itself is where it stands now
  nested.answer_schema = core::Json::parse(
      R"({"type":"array","items":{"anyOf":[{"const":{"$ref":"#"}},{"$ref":"#"},{"$ref":"#/items"}]}})");
  EXPECT_EQ(AnswerSchemaOf(nested)["properties"]["answer"]["items"]["anyOf"],
            core::Json::parse(R"([{"const":{"$ref":"#"}},{"$ref":"#/properties/answer"},
                                  {"$ref":"#/properties/answer/items"}])"));
  for (const Dialect dialect : {Dialect::kAnthropic, Dialect::kGemini}) {
    const auto plan = CodecOf(dialect).Read(AnswerCall(dialect, R"({"answer":[1,2]})"), request);
    ASSERT_TRUE(plan.ok()) << plan.status();
    EXPECT_EQ(plan->text, "[1,2]");
  }
  const auto plan =
      ChatCodec().Read(R"({"choices":[{"message":{"content":"{\"answer\":[1,2]}"}}]})", request);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->text, "[1,2]");
  // An object stays as it is, whatever its members are called.
  request.answer_schema = AnswerSchema();
  EXPECT_EQ(AnswerSchemaOf(request), AnswerSchema());
  EXPECT_EQ(AnswerOfText(R"({"answer":1})", request), R"({"answer":1})");
}

TEST(AnswerForm, StrictIsWhatStrictModeKnows) {
  EXPECT_TRUE(IsStrictSchema(AnswerSchema()));
  for (const char* more : {"oneOf", "not", "if", "patternProperties", "minLength", "uniqueItems"}) {
    core::Json schema = AnswerSchema();
    schema["properties"]["n"][more] = core::Json::array();
    EXPECT_FALSE(IsStrictSchema(schema)) << more;
  }
  core::Json open = AnswerSchema();
  open["properties"]["n"] = {{"type", "object"}};
  EXPECT_FALSE(IsStrictSchema(open));
  core::Json any = AnswerSchema();
  any["properties"]["n"] = {{"anyOf", core::Json::array({{{"type", "null"}}, AnswerSchema()})}};
  EXPECT_TRUE(IsStrictSchema(any));
}

// ---------------------------------------------------------------- what was recorded

Plan Recorded() {
  const auto plan = GeminiCodec().Read(
      R"({"candidates":[{"content":{"parts":[{"functionCall":{"id":"g1","name":"orders-get",
          "args":{"id":1}},"thoughtSignature":"s"},{"functionCall":{"name":"think"}}]}}]})",
      Request());
  EXPECT_TRUE(plan.ok()) << plan.status();
  Plan recorded = *plan;
  recorded.dialect = "gemini";
  return recorded;
}

std::string OtherwiseOf(const Plan& recorded) {
  const core::Status status = CheckRecord(recorded, {});
  EXPECT_EQ(status.code(), core::StatusCode::kAborted);
  return std::string(core::Message(status));
}

TEST(PlanOfRecord, WhatWasRecordedOfACallIsWhatItsBytesSay) {
  ASSERT_EQ(Recorded().calls[0].tool, "orders.get");
  EXPECT_TRUE(CheckRecord(Recorded(), {}).ok()) << CheckRecord(Recorded(), {});
  EXPECT_TRUE(CheckRecord(Recorded(), Request()).ok());
  Plan plan = Recorded();
  plan.calls[0].args_text = R"({"id":2})";
  EXPECT_THAT(OtherwiseOf(plan), HasSubstr("call 1, its arguments"));
  plan = Recorded();
  plan.calls[1].id = "other";
  EXPECT_THAT(OtherwiseOf(plan), HasSubstr("call 2, its id"));
  plan = Recorded();
  plan.calls[1].tool = "orders.get";
  EXPECT_THAT(OtherwiseOf(plan), HasSubstr("call 2, its tool"));
  plan = Recorded();
  plan.calls[0].echo.clear();
  EXPECT_THAT(OtherwiseOf(plan), HasSubstr("call 1, its signature"));
  plan = Recorded();
  plan.calls.pop_back();
  EXPECT_THAT(OtherwiseOf(plan), HasSubstr("how many calls"));
  plan = Recorded();
  plan.text = "said";
  EXPECT_THAT(OtherwiseOf(plan), HasSubstr("its text"));
}

// What versions before recorded of chat completions has no `extra_content` in its calls.
TEST(PlanOfRecord, AChatReplyOfBeforeStillReadsAsRecorded) {
  const auto plan = ChatCodec().Read(R"({"choices":[{"message":{"tool_calls":[{"id":"a",
      "function":{"name":"think"},"extra_content":{"google":{"thought_signature":"s"}}}]}}]})",
                                     Request());
  ASSERT_TRUE(plan.ok()) << plan.status();
  Plan recorded = *plan;
  EXPECT_TRUE(CheckRecord(recorded, {}).ok()) << CheckRecord(recorded, {});
  recorded.calls[0].echo.clear();
  EXPECT_TRUE(CheckRecord(recorded, {}).ok()) << CheckRecord(recorded, {});
  recorded.calls[0].echo = "other";
  EXPECT_THAT(OtherwiseOf(recorded), HasSubstr("call 1, its signature"));
}

// Versions before took it for the answer.
TEST(PlanOfRecord, ARefusalOfBeforeStillReadsAsRecorded) {
  Plan recorded;
  recorded.text = "I will not.";
  recorded.raw = R"({"choices":[{"message":{"refusal":"I will not."}}]})";
  EXPECT_TRUE(CheckRecord(recorded, {}).ok()) << CheckRecord(recorded, {});
  recorded.text = "I will.";
  EXPECT_THAT(OtherwiseOf(recorded), HasSubstr("refused"));
}

TEST(PlanOfRecord, AnAnswerByToolIsOneForWhoAsksForIt) {
  const auto plan =
      AnthropicCodec().Read(AnswerCall(Dialect::kAnthropic, R"({"answer":"Bye!"})"), Talk());
  ASSERT_TRUE(plan.ok()) << plan.status();
  Plan recorded = *plan;
  recorded.dialect = "anthropic";
  const auto back = PlanFromJson(PlanToJson(recorded));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_TRUE(back->final_answer);
  EXPECT_TRUE(CheckRecord(*back, Talk()).ok()) << CheckRecord(*back, Talk());
  EXPECT_THAT(OtherwiseOf(*back), HasSubstr("how it ends"));
}

}  // namespace
}  // namespace interlock::runtime
