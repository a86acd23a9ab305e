// RFC 8785 text: numbers as ECMAScript prints them, keys by UTF-16 units, minimal escapes; and the
// writer that makes the same text without a tree.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/json.h"

namespace interlock::core {
namespace {

constexpr JsonLimits kLimits{.bytes_max = 65536, .depth_max = 32};

std::string Canonical(std::string_view text) {
  const StatusOr<Json> value = ParseJson(text, kLimits);
  return value.ok() ? CanonicalJson(*value) : "refused: " + std::string(Message(value.status()));
}

struct Vector {
  std::string in;
  std::string out;
};

void PrintTo(const Vector& v, std::ostream* out) { *out << v.in; }

class CanonicalText : public testing::TestWithParam<Vector> {};

TEST_P(CanonicalText, IsTheOneFormAndAFixedPoint) {
  EXPECT_EQ(Canonical(GetParam().in), GetParam().out);
  EXPECT_EQ(Canonical(GetParam().out), GetParam().out);
}

// Expected texts follow ECMA-262 Number::toString, the rule of RFC 8785 §3.2.2.3.
INSTANTIATE_TEST_SUITE_P(
    Numbers, CanonicalText,
    testing::Values(Vector{"0", "0"}, Vector{"-0", "0"}, Vector{"-0.0", "0"}, Vector{"1.0", "1"},
                    Vector{"1E2", "100"}, Vector{"4.50", "4.5"}, Vector{"2e-3", "0.002"},
                    Vector{"0.000001", "0.000001"}, Vector{"0.0000001", "1e-7"},
                    Vector{"123456e-10", "0.0000123456"}, Vector{"1.25e-9", "1.25e-9"},
                    Vector{"333333333.33333329", "333333333.3333333"}, Vector{"1e21", "1e+21"},
                    Vector{"1E30", "1e+30"}, Vector{"1.5e300", "1.5e+300"},
                    Vector{"5e-324", "5e-324"},
                    Vector{"1.7976931348623157e308", "1.7976931348623157e+308"},
                    Vector{"0.1", "0.1"}, Vector{"-12.75", "-12.75"},
                    Vector{"9007199254740991", "9007199254740991"},
                    Vector{"4503599627370495.5", "4503599627370495.5"}));

INSTANTIATE_TEST_SUITE_P(
    Text, CanonicalText,
    testing::Values(Vector{R"("\u0041\u20ac\/")", "\"A\u20ac/\""},
                    Vector{R"("\u0000\u0008\u0009\u000a\u000b\u000c\u000d\u001f\u007f")",
                           "\"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001f\x7f\""},
                    Vector{R"("\"\\")", R"("\"\\")"},
                    Vector{R"("\ud83d\ude00")", "\"\xf0\x9f\x98\x80\""},
                    Vector{"\"\u2028\"", "\"\u2028\""}));

INSTANTIATE_TEST_SUITE_P(Structure, CanonicalText,
                         testing::Values(Vector{" { } ", "{}"}, Vector{" [ ] ", "[]"},
                                         Vector{R"({"b":[true,null,false],"a":{"y":1,"x":-1}})",
                                                R"({"a":{"x":-1,"y":1},"b":[true,null,false]})"},
                                         Vector{R"({"aa":1,"a":2,"":3,"A":4,"1":5})",
                                                R"({"":3,"1":5,"A":4,"a":2,"aa":1})"}));

// U+1F600 is D83D DE00 in UTF-16 and so sorts before U+E000 and U+FB33, although its bytes sort
// after.
TEST(CanonicalJson, SortsKeysByUtf16Units) {
  EXPECT_EQ(
      Canonical(
          "{\"\ufb33\":1,\"\xf0\x9f\x98\x80\":2,\"\ue000\":3,\"\u20ac\":4,\"\ud7ff\":5,\"\r\":6}"),
      "refused: not JSON at byte 44")
      << "a raw control byte must be escaped";
  EXPECT_EQ(
      Canonical(
          "{\"\ufb33\":1,\"\xf0\x9f\x98\x80\":2,\"\ue000\":3,\"\u20ac\":4,\"\ud7ff\":5,\"\\r\":6}"),
      "{\"\\r\":6,\"\u20ac\":4,\"\ud7ff\":5,\"\xf0\x9f\x98\x80\":2,\"\ue000\":3,\"\ufb33\":1}");
}

TEST(AppendJsonString, ReplacesBytesThatAreNotUtf8) {
  std::string out;
  AppendJsonString("a\xff\xc3(\xe2\x82", out);
  EXPECT_EQ(out, "\"a\ufffd\ufffd(\ufffd\ufffd\"");
}

TEST(JsonObjectWriter, WritesWhatTheTreeWouldPrint) {
  std::string out;
  JsonObjectWriter writer(out);
  writer.Bool("a", true);
  writer.Int("b", -9007199254740991);
  writer.Raw("c", R"({"x":[1]})");
  writer.String("d", "line\n\"quoted\"");
  writer.Close();
  EXPECT_EQ(out, Canonical(out));
  EXPECT_EQ(out, R"({"a":true,"b":-9007199254740991,"c":{"x":[1]},"d":"line\n\"quoted\""})");
}

TEST(JsonObjectWriter, WritesAnEmptyObject) {
  std::string out;
  JsonObjectWriter(out).Close();
  EXPECT_EQ(out, "{}");
}

TEST(JsonObjectWriterDeathTest, StopsOnKeysOutOfOrder) {
  std::string out;
  JsonObjectWriter writer(out);
  writer.Int("b", 1);
  EXPECT_DEATH(writer.Int("a", 1), "broken invariant");
}

TEST(JsonObjectWriterDeathTest, ComparesKeysThatNeedEscapesAsTheyAre) {
  std::string out = "before";  // keys are compared where they stand, behind what was there
  JsonObjectWriter writer(out);
  writer.Int("a\"", 1);
  writer.Int("a#", 2);  // greater than the quote, smaller than the backslash that escapes it
  writer.Int("b", 3);
  EXPECT_DEATH(writer.Int("a\"", 4), "broken invariant");
  writer.Close();
  EXPECT_EQ(out, R"(before{"a\"":1,"a#":2,"b":3})");
}

TEST(JsonObjectWriterDeathTest, StopsOnADuplicateKey) {
  std::string out;
  JsonObjectWriter writer(out);
  writer.Int("b", 1);
  EXPECT_DEATH(writer.Bool("b", false), "broken invariant");
}

TEST(JsonObjectWriterDeathTest, StopsOnIntegersThatReadersWouldRound) {
  std::string out;
  JsonObjectWriter writer(out);
  EXPECT_DEATH(writer.Int("a", std::int64_t{1} << 53), "broken invariant");
}

}  // namespace
}  // namespace interlock::core
