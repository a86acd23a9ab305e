// Reading fields of our own entries without a tree.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "core/json.h"

namespace interlock::core {
namespace {

using ::testing::ElementsAre;
using ::testing::Eq;
using ::testing::Optional;

constexpr std::string_view kEntry =
    R"({"actor":"engine","body":{"code":"OK","kind":"inner","n":-7},"cites":["sha256:aa","sha256:bb"],)"
    R"("escaped":"a\"b\u20ac","flag":true,"index":12,"kind":"call.decided","none":null,"price":1.5,"tricky":"},{\"kind\":\"no\""})";

JsonObjectView View(std::string_view text) {
  StatusOr<JsonObjectView> view = JsonObjectView::Of(text);
  EXPECT_TRUE(view.ok()) << text;
  return view.value();
}

TEST(JsonObjectView, ReadsEachTypeOfField) {
  const JsonObjectView entry = View(kEntry);
  EXPECT_THAT(entry.Token("kind"), Optional(Eq("call.decided")));
  EXPECT_THAT(entry.Int("index"), Optional(12));
  EXPECT_THAT(entry.Bool("flag"), Optional(true));
  EXPECT_THAT(entry.String("escaped"), Optional(Eq("a\"b\u20ac")));
  EXPECT_THAT(entry.Raw("cites"), Optional(Eq(R"(["sha256:aa","sha256:bb"])")));
  ASSERT_TRUE(entry.Object("body"));
  EXPECT_THAT(entry.Object("body")->Int("n"), Optional(-7));
}

TEST(JsonObjectView, SeesTopLevelFieldsOnly) {
  const JsonObjectView entry = View(kEntry);
  EXPECT_FALSE(entry.Raw("code"));
  EXPECT_THAT(entry.Object("body")->Token("kind"), Optional(Eq("inner")));
  EXPECT_THAT(entry.Token("kind"), Optional(Eq("call.decided")));
}

TEST(JsonObjectView, AnswersNothingForAnotherType) {
  const JsonObjectView entry = View(kEntry);
  EXPECT_FALSE(entry.Int("kind"));
  EXPECT_FALSE(entry.Int("price"));
  EXPECT_FALSE(entry.Bool("index"));
  EXPECT_FALSE(entry.String("index"));
  EXPECT_FALSE(entry.Token("escaped"));
  EXPECT_FALSE(entry.Object("cites"));
  EXPECT_FALSE(entry.String("none"));
  EXPECT_FALSE(entry.Raw("absent"));
}

TEST(JsonObjectView, FindsEveryMemberOfAWideObject) {
  std::string text = "{";
  for (int i = 0; i < 40; ++i) {
    text += (i == 0 ? "\"k" : ",\"k") + std::to_string(i) + "\":" + std::to_string(i * 7);
  }
  text += "}";
  const JsonObjectView view = View(text);
  for (int i = 0; i < 40; ++i) EXPECT_THAT(view.Int("k" + std::to_string(i)), Optional(i * 7));
  EXPECT_FALSE(view.Raw("k40"));
  EXPECT_FALSE(view.Raw("k"));
}

TEST(PlainJsonPrefix, StopsAtTheFirstByteThatIsNotPlain) {
  for (std::size_t length = 0; length < 40; ++length) {
    for (std::size_t at = 0; at <= length; ++at) {
      for (int c = 0; c < 256; ++c) {
        std::string text(length, '~');
        if (at < length) text[at] = static_cast<char>(c);
        // What follows must not matter, a borrow from below included.
        if (at + 1 < length) text[at + 1] = '!';
        const bool plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
        EXPECT_EQ(PlainJsonPrefix(text), plain ? length : at) << length << " " << at << " " << c;
      }
    }
  }
}

TEST(JsonObjectView, TakesWhiteSpaceBetweenTokens) {
  const JsonObjectView view = View(" { \"a\" : [ 1 , 2 ] ,\n\"b\" : \"x\" } ");
  EXPECT_THAT(view.Raw("a"), Optional(Eq("[ 1 , 2 ]")));
  EXPECT_THAT(view.Token("b"), Optional(Eq("x")));
  EXPECT_EQ(view.text().front(), '{');
  EXPECT_EQ(view.text().back(), '}');
}

TEST(JsonObjectView, RefusesWhatIsNotOneObject) {
  for (const char* text : {"", "[]", "{", "{}{}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
                           "{\"a\":1 2}", "{\"a\":\"x}", "{\"a\":[1}", "1", "\"{}\""}) {
    EXPECT_EQ(JsonObjectView::Of(text).status().code(), StatusCode::kInvalidArgument) << text;
  }
  EXPECT_TRUE(JsonObjectView::Of("{\"a\":[1]}").ok());
}

TEST(JsonObjectView, RefusesEndlessNestingWithoutOverflowingTheStack) {
  std::string text = "{\"a\":" + std::string(1'000'000, '[');
  EXPECT_EQ(JsonObjectView::Of(text).status().code(), StatusCode::kInvalidArgument);
}

TEST(JsonArrayElements, SplitsWithoutDescending) {
  const StatusOr<std::vector<std::string_view>> elements =
      JsonArrayElements(R"([1, {"a":[2,3]}, "x,y", [] ])");
  ASSERT_TRUE(elements.ok());
  EXPECT_THAT(*elements, ElementsAre("1", R"({"a":[2,3]})", "\"x,y\"", "[]"));
  EXPECT_THAT(*JsonArrayElements("[]"), ElementsAre());
}

TEST(JsonArrayElements, RefusesWhatIsNotOneArray) {
  for (const char* text : {"", "{}", "[", "[1", "[1,]", "[,1]", "[1 2]", "[] []", "[1] x"}) {
    EXPECT_EQ(JsonArrayElements(text).status().code(), StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace interlock::core
