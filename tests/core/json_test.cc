// Strict parsing (rule 17): what is refused, why, and the harmless twin that must pass.
#include "core/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace interlock::core {
namespace {

using namespace std::string_literals;
using ::testing::HasSubstr;

constexpr JsonLimits kJsonLimits{.bytes_max = 4096, .depth_max = 4};

struct Case {
  std::string attack;
  std::string reason;  // part of the message
  std::string twin;    // differs in the one thing that makes it harmless
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.attack; }

class StrictParsing : public testing::TestWithParam<Case> {};

TEST_P(StrictParsing, RefusesTheAttackAndTakesItsTwin) {
  const StatusOr<Json> refused = ParseJson(GetParam().attack, kJsonLimits);
  ASSERT_FALSE(refused.ok()) << "accepted as " << CanonicalJson(*refused);
  EXPECT_EQ(refused.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(Message(refused.status())), HasSubstr(GetParam().reason));
  EXPECT_TRUE(ParseJson(GetParam().twin, kJsonLimits).ok()) << GetParam().twin;
}

INSTANTIATE_TEST_SUITE_P(
    Shape, StrictParsing,
    testing::Values(Case{"", "not JSON", "null"}, Case{"{} {}", "not JSON at byte", "{} "},
                    Case{"{\"a\":1,}", "not JSON at byte", "{\"a\":1}"},
                    Case{"{'a':1}", "not JSON at byte", "{\"a\":1}"},
                    Case{"{\"a\":1}\0{\"a\":2}"s, "not JSON at byte", "{\"a\":1}"},
                    Case{"[1]\0"s, "not JSON at byte", "[1]"},
                    Case{"[1,2", "not JSON at byte", "[1,2]"},
                    Case{"// note\n1", "not JSON at byte", "1"},
                    Case{"\xef\xbb\xbf{}", "byte order mark", "{}"}));

INSTANTIATE_TEST_SUITE_P(
    Keys, StrictParsing,
    testing::Values(Case{R"({"a":1,"a":1})", "duplicate key `a`", R"({"a":1,"b":1})"},
                    Case{R"({"a":1,"\u0061":2})", "duplicate key `a`", R"({"a":1,"\u0062":2})"},
                    Case{R"({"x":{"":0,"":1}})", "duplicate key ``", R"({"x":{"":0," ":1}})"},
                    Case{R"([{"k":1},{"k":1,"k":2}])", "duplicate key `k`",
                         R"([{"k":1},{"k":1}])"}));

INSTANTIATE_TEST_SUITE_P(
    Numbers, StrictParsing,
    testing::Values(Case{"9007199254740992", "2^53-1", "9007199254740991"},
                    Case{"-9007199254740992", "2^53-1", "-9007199254740991"},
                    Case{"9223372036854775808", "2^53-1", "0"},
                    Case{"18446744073709551616", "2^53-1", "0"},
                    Case{"-99999999999999999999999", "2^53-1", "-0"},
                    Case{"9007199254740992.0", "2^53-1", "9007199254740991.0"},
                    Case{"1e20", "2^53-1", "1e15"}, Case{"1e400", "not finite", "1e300"},
                    Case{"NaN", "not JSON at byte", "0"}, Case{"Infinity", "not JSON at byte", "0"},
                    Case{"+1", "not JSON at byte", "1"}, Case{"01", "not JSON at byte", "0.1"},
                    Case{"1.", "not JSON at byte", "1.0"}, Case{".5", "not JSON at byte", "0.5"},
                    Case{"0x10", "not JSON at byte", "16"}));

INSTANTIATE_TEST_SUITE_P(
    Text, StrictParsing,
    testing::Values(Case{"\"\xc0\xaf\"", "not JSON at byte", "\"/\""},                 // overlong
                    Case{"\"\xed\xa0\x80\"", "not JSON at byte", "\"\xed\x9f\xbf\""},  // surrogate
                    Case{"\"\xf4\x90\x80\x80\"", "not JSON at byte", "\"\xf4\x8f\xbf\xbf\""},
                    Case{"\"\xff\"", "not JSON at byte", "\"\xc3\xbf\""},
                    Case{R"("\ud83d")", "not JSON at byte", R"("\ud83d\ude00")"},
                    Case{R"("\ude00")", "not JSON at byte", R"("\u00e9")"},
                    Case{"\"a\nb\"", "not JSON at byte", R"("a\nb")"},
                    Case{R"("\x41")", "not JSON at byte", R"("\u0041")"}));

TEST(ParseJson, CountsDepthInContainers) {
  EXPECT_TRUE(ParseJson("[[[[1]]]]", kJsonLimits).ok());
  const StatusOr<Json> deep = ParseJson("[[[[[1]]]]]", kJsonLimits);
  ASSERT_FALSE(deep.ok());
  EXPECT_EQ(Message(deep.status()), "nested too deep");
}

TEST(ParseJson, SurvivesAMillionOpenBrackets) {
  const StatusOr<Json> deep =
      ParseJson(std::string(1'000'000, '['), JsonLimits{.bytes_max = 2'000'000, .depth_max = 32});
  ASSERT_FALSE(deep.ok());
  EXPECT_EQ(Message(deep.status()), "nested too deep");
}

TEST(ParseJson, RefusesTextAboveTheByteLimitBeforeReadingIt) {
  const std::string at_limit = "\"" + std::string(kJsonLimits.bytes_max - 2, 'a') + "\"";
  EXPECT_TRUE(ParseJson(at_limit, kJsonLimits).ok());
  const StatusOr<Json> above = ParseJson(at_limit + " ", kJsonLimits);
  ASSERT_FALSE(above.ok());
  EXPECT_EQ(above.status().code(), StatusCode::kResourceExhausted);
}

TEST(ParseJson, MakesIntegersOfFractionFreeNumbers) {
  for (const char* text : {"1.0", "1e0", "10e-1", "-0.0", "1e3", "-4.0"}) {
    const StatusOr<Json> value = ParseJson(text, kJsonLimits);
    ASSERT_TRUE(value.ok()) << text;
    EXPECT_TRUE(value->is_number_integer()) << text;
  }
  EXPECT_TRUE(ParseJson("1.5", kJsonLimits)->is_number_float());
}

TEST(ParseJson, NamesTheByteOfASyntaxError) {
  const StatusOr<Json> bad = ParseJson("{\"a\": nope}", kJsonLimits);
  ASSERT_FALSE(bad.ok());
  EXPECT_THAT(std::string(Message(bad.status())), HasSubstr("at byte 8"));
}

}  // namespace
}  // namespace interlock::core
