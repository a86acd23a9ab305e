#include "schema.h"

#include <gmock/gmock.h>

#include <chrono>

namespace interlock::tools {
namespace {

using ::testing::HasSubstr;

core::Json Parse(std::string_view text) {
  auto json = core::ParseJson(text, core::kPayloadLimits);
  EXPECT_TRUE(json.ok()) << text;
  return json.ok() ? *json : core::Json();
}

// "ok", the error of the check, or the error of the schema.
std::string Check(std::string_view schema, std::string_view value) {
  const auto compiled = Schema::Compile(Parse(schema));
  if (!compiled.ok()) return std::string(core::Message(compiled.status()));
  const core::Status status = (*compiled)->Check(Parse(value));
  return status.ok() ? "ok" : std::string(core::Message(status));
}

struct Case {
  const char* schema;
  const char* good;
  const char* bad;
  const char* error;  // for the bad one
};
class SchemaKeyword : public ::testing::TestWithParam<Case> {};

TEST_P(SchemaKeyword, TakesTheGoodAndNamesTheBad) {
  EXPECT_EQ(Check(GetParam().schema, GetParam().good), "ok");
  EXPECT_EQ(Check(GetParam().schema, GetParam().bad), GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(
    Draft7, SchemaKeyword,
    ::testing::Values(
        Case{R"({"type":"string"})", R"("a")", "1", "`/` must be a string, not an integer"},
        Case{R"({"type":["string","null"]})", "null", "true",
             "`/` must be null or a string, not a boolean"},
        Case{R"({"type":"integer"})", "1.0", "1.5", "`/` must be an integer, not a number"},
        Case{R"({"type":"number"})", "1", R"("1")", "`/` must be a number, not a string"},
        Case{R"({"const":{"a":1}})", R"({"a":1})", R"({"a":2})", "`/` must be {\"a\":1}"},
        Case{R"({"enum":[1,"a"]})", R"("a")", R"("b")",
             "`/` must be one of the 2 values of its enum"},
        Case{R"({"minimum":1})", "1", "0", "`/` is below the minimum"},
        Case{R"({"maximum":1})", "1", "2", "`/` is above the maximum"},
        Case{R"({"exclusiveMinimum":1})", "1.5", "1", "`/` is not above exclusiveMinimum"},
        Case{R"({"exclusiveMaximum":1})", "0.5", "1", "`/` is not below exclusiveMaximum"},
        Case{R"({"multipleOf":0.01})", "19.99", "19.995", "`/` is not a multiple of multipleOf"},
        Case{R"({"minLength":2})", R"("äö")", R"("ä")", "`/` is shorter than 2"},
        Case{R"({"maxLength":2})", R"("äö")", R"("äöü")", "`/` is longer than 2"},
        Case{R"({"pattern":"^o-[0-9]+$"})", R"("o-1")", R"("o-1\n")",
             "`/` does not match its pattern"},
        Case{R"({"format":"date"})", R"("2024-02-29")", R"("2023-02-29")",
             "`/` does not have its format"},
        Case{R"({"format":"date-time"})", R"("2024-02-29T23:59:60.5+01:00")",
             R"("2024-02-29 23:59:59Z")", "`/` does not have its format"},
        Case{R"({"format":"email"})", R"("a@b.example")", R"("a@b@c.example")",
             "`/` does not have its format"},
        Case{R"({"items":{"type":"string"}})", R"(["a"])", R"(["a",1])",
             "`/1` must be a string, not an integer"},
        Case{R"({"items":[{"type":"string"}],"additionalItems":false})", R"(["a"])", R"(["a",1])",
             "`/1` is not allowed"},
        Case{R"({"minItems":1})", "[1]", "[]", "`/` has fewer than 1 items"},
        Case{R"({"maxItems":1})", "[1]", "[1,2]", "`/` has more than 1 items"},
        Case{R"({"uniqueItems":true})", R"([1,"1",{"a":1}])", R"([{"a":1,"b":2},{"b":2,"a":1}])",
             "`/` has the same item twice"},
        Case{R"({"contains":{"const":3}})", "[1,3]", "[1]", "`/` has no item that fits `contains`"},
        Case{R"({"required":["a"]})", R"({"a":1})", R"({"b":1})", "`/` lacks `a`"},
        Case{R"({"properties":{"a":{"type":"object","properties":{"b~/":{"maximum":1}}}}})",
             R"({"a":{"b~/":1}})", R"({"a":{"b~/":2}})", "`/a/b~0~1` is above the maximum"},
        Case{R"({"properties":{"a":{}},"additionalProperties":false})", R"({"a":1})",
             R"({"a":1,"z":2})", "`/z` is not a known property"},
        Case{R"({"patternProperties":{"^n":{"type":"number"}},"additionalProperties":false})",
             R"({"n1":1})", R"({"n1":"x"})", "`/n1` must be a number, not a string"},
        Case{R"({"propertyNames":{"maxLength":1}})", R"({"a":1})", R"({"ab":1})",
             "`/ab` is longer than 1"},
        Case{R"({"minProperties":1})", R"({"a":1})", "{}", "`/` has fewer than 1 properties"},
        Case{R"({"maxProperties":1})", R"({"a":1})", R"({"a":1,"b":2})",
             "`/` has more than 1 properties"},
        Case{R"({"dependencies":{"a":["b"]}})", R"({"a":1,"b":1})", R"({"a":1})",
             "`/` has `a` and lacks `b`"},
        Case{R"({"dependencies":{"a":{"required":["c"]}}})", R"({"a":1,"c":1})", R"({"a":1})",
             "`/` lacks `c`"},
        Case{R"({"allOf":[{"minimum":1},{"maximum":2}]})", "2", "3", "`/` is above the maximum"},
        Case{R"({"anyOf":[{"type":"string"},{"minimum":5}]})", "5", "4",
             "`/` fits none of its anyOf"},
        Case{R"({"oneOf":[{"minimum":1},{"minimum":5}]})", "3", "6",
             "`/` fits 2 of its oneOf, not one"},
        Case{R"({"not":{"type":"string"}})", "1", R"("a")", "`/` fits what it must not"},
        Case{R"({"if":{"required":["a"]},"then":{"required":["b"]},"else":{"required":["c"]}})",
             R"({"c":1})", R"({"a":1})", "`/` lacks `b`"},
        Case{R"({"definitions":{"n":{"minimum":1}},"properties":{"x":{"$ref":"#/definitions/n"}}})",
             R"({"x":1})", R"({"x":0})", "`/x` is below the minimum"},
        Case{R"({"properties":{"next":{"$ref":"#"}},"additionalProperties":false})",
             R"({"next":{"next":{}}})", R"({"next":{"nxt":{}}})",
             "`/next/nxt` is not a known property"}));

struct BadSchema {
  const char* schema;
  const char* error;
};
class SchemaRefuses : public ::testing::TestWithParam<BadSchema> {};

TEST_P(SchemaRefuses, AtItsPlace) {
  const auto compiled = Schema::Compile(Parse(GetParam().schema));
  ASSERT_FALSE(compiled.ok());
  EXPECT_THAT(std::string(core::Message(compiled.status())), HasSubstr(GetParam().error));
}

INSTANTIATE_TEST_SUITE_P(
    All, SchemaRefuses,
    ::testing::Values(
        BadSchema{R"({"requird":["a"]})", "schema at `/requird`: unknown keyword"},
        BadSchema{R"({"properties":{"a":{"typ":"x"}}})", "`/properties/a/typ`: unknown keyword"},
        BadSchema{R"({"type":"strin"})", "`/type`: must be one of"},
        BadSchema{R"({"pattern":"(a"})", "not a pattern"},
        BadSchema{R"({"pattern":"(?=a)b"})", "no look-around"},
        BadSchema{R"({"$ref":"http://x.example/s"})", "must point into this document"},
        BadSchema{R"({"$ref":"#/definitions/none"})", "points to nothing"},
        BadSchema{R"({"$ref":"#/%~2"})", "points to nothing"},
        BadSchema{R"({"$ref":"#"})", "without going into the value"},
        BadSchema{R"({"allOf":[{"anyOf":[{"$ref":"#"}]}]})", "without going into the value"},
        BadSchema{R"({"$ref":"#/definitions/a","minimum":1,"definitions":{"a":{}}})",
                  "has no effect in draft 7"},
        BadSchema{R"({"format":"hostname"})", "else use pattern"},
        BadSchema{R"({"minLength":-1})", "an integer of at least 0"},
        BadSchema{R"({"multipleOf":0})", "must be above 0"},
        BadSchema{R"({"enum":[]})", "at least one value"},
        BadSchema{R"({"items":3})", "must be an object, true or false"}));

TEST(Schema, BooleanSchemasSayAllOrNothing) {
  EXPECT_EQ(Check("true", "1"), "ok");
  EXPECT_EQ(Check("false", "1"), "`/` is not allowed");
}

// An attack on a backtracking matcher, and its harmless twin.
TEST(Schema, PatternsTakeLinearTime) {
  const std::string schema = R"({"pattern":"^(a+)+$"})";
  const std::string many(200'000, 'a');
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(Check(schema, "\"" + many + "\""), "ok");
  EXPECT_EQ(Check(schema, "\"" + many + "!\""), "`/` does not match its pattern");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

// Each level doubles the work: 2^40 checks without a limit.
TEST(Schema, StopsWhenTheWorkIsTooMuch) {
  const auto compiled = Schema::Compile(
      Parse(R"({"definitions":{"n":{"anyOf":[{"items":{"$ref":"#/definitions/n"},"type":"array"},)"
            R"({"items":{"$ref":"#/definitions/n"},"type":"array"},{"type":"integer"}]}},)"
            R"("allOf":[{"$ref":"#/definitions/n"}]})"));
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  const auto deep = [](int depth) {
    return Parse(std::string(depth, '[') + R"("x")" + std::string(depth, ']'));
  };
  EXPECT_EQ((*compiled)->Check(deep(40)).code(), core::StatusCode::kResourceExhausted);
  EXPECT_EQ((*compiled)->Check(deep(5)).code(), core::StatusCode::kInvalidArgument);
}

// Work that runs out inside a `not` must not turn into a yes.
TEST(Schema, TooMuchWorkInsideANotIsStillARefusal) {
  const auto compiled = Schema::Compile(
      Parse(R"({"definitions":{"n":{"anyOf":[{"items":{"$ref":"#/definitions/n"},"type":"array"},)"
            R"({"items":{"$ref":"#/definitions/n"},"type":"array"},{"type":"integer"}]}},)"
            R"("not":{"$ref":"#/definitions/n"}})"));
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  const std::string deep = std::string(40, '[') + R"("x")" + std::string(40, ']');
  EXPECT_EQ((*compiled)->Check(Parse(deep)).code(), core::StatusCode::kResourceExhausted);
  EXPECT_TRUE((*compiled)->Check(Parse(R"(["x"])")).ok());
}

TEST(Schema, UniqueItemsOfALongListIsQuick) {
  std::string list = "[0";
  for (int i = 1; i < 60'000; ++i) list += "," + std::to_string(i);
  EXPECT_EQ(Check(R"({"uniqueItems":true})", list + "]"), "ok");
  EXPECT_EQ(Check(R"({"uniqueItems":true})", list + ",7]"), "`/` has the same item twice");
}

TEST(Schema, MessagesAreOneBoundedLine) {
  const std::string key = std::string(5000, 'k') + "\\n";
  const std::string error = Check(R"({"additionalProperties":false})", "{\"" + key + "\":1}");
  EXPECT_LT(error.size(), 300u);
  EXPECT_EQ(error.find('\n'), std::string::npos);
  EXPECT_THAT(error, HasSubstr("is not a known property"));
}

}  // namespace
}  // namespace interlock::tools
