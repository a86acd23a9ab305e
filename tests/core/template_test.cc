// Key templates: what parses, what expands, and that values cannot imitate a key's shape.
#include "core/template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace interlock::core {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::vector<std::string> kRoots = {"args", "session"};

std::string Expanded(std::string_view text, const char* scope) {
  const StatusOr<Template> parsed = Template::Parse(text, kRoots);
  if (!parsed.ok()) return "refused: " + std::string(Message(parsed.status()));
  const StatusOr<std::string> key = parsed->Expand(Json::parse(scope));
  return key.ok() ? *key : "refused: " + std::string(Message(key.status()));
}

TEST(Template, PutsScalarsIntoTheirPlaces) {
  EXPECT_EQ(Expanded("refund:{args.order_id}:{args.n}:{session.live}",
                     R"({"args":{"order_id":"o-1","n":-3},"session":{"live":true}})"),
            "refund:o-1:-3:true");
  EXPECT_EQ(Expanded("{args.items.1.id}", R"({"args":{"items":[{"id":"a"},{"id":"b"}]}})"), "b");
  EXPECT_EQ(Expanded("{{{args.a}}}", R"({"args":{"a":1}})"), "{1}");
  EXPECT_EQ(Expanded("plain", "{}"), "plain");
}

TEST(Template, KeepsValuesFromImitatingAnotherKey) {
  const char* text = "refund:{args.a}:{args.b}";
  const std::string one = Expanded(text, R"({"args":{"a":"x:y","b":"z"}})");
  const std::string other = Expanded(text, R"({"args":{"a":"x","b":"y:z"}})");
  EXPECT_NE(one, other);
  EXPECT_EQ(one, "refund:x%3Ay:z");
  EXPECT_EQ(Expanded("{args.a}", R"({"args":{"a":"%3A/\n"}})"), "%253A%2F%0A");
}

TEST(Template, NamesWhatIsMissingOrOfTheWrongType) {
  EXPECT_THAT(Expanded("{args.a}", R"({"args":{}})"), HasSubstr("`args.a` is missing"));
  EXPECT_THAT(Expanded("{args.a.b}", R"({"args":{"a":"text"}})"), HasSubstr("missing"));
  EXPECT_THAT(Expanded("{args.a.7}", R"({"args":{"a":[1]}})"), HasSubstr("missing"));
  for (const char* scope : {R"({"args":{"a":1.5}})", R"({"args":{"a":null}})",
                            R"({"args":{"a":[]}})", R"({"args":{"a":{}}})"}) {
    EXPECT_THAT(Expanded("{args.a}", scope), HasSubstr("must be a string")) << scope;
  }
}

TEST(Template, RefusesMalformedTextNamingThePosition) {
  const std::pair<const char*, const char*> cases[] = {{"x{args.a", "never closed at position 1"},
                                                       {"x}", "without `{`"},
                                                       {"{}", "unknown name"},
                                                       {"{env.HOME}", "unknown name `env`"},
                                                       {"{args.}", "empty part"},
                                                       {"{args..a}", "empty part"},
                                                       {"{ args.a}", "unknown name"}};
  for (const auto& [text, reason] : cases) {
    const StatusOr<Template> parsed = Template::Parse(text, kRoots);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_THAT(std::string(Message(parsed.status())), HasSubstr(reason)) << text;
  }
}

TEST(Template, ListsItsPathsInOrder) {
  const StatusOr<Template> parsed = Template::Parse("{session.b}:{args.a}", kRoots);
  ASSERT_TRUE(parsed.ok());
  EXPECT_THAT(parsed->paths(), ElementsAre("session.b", "args.a"));
  EXPECT_EQ(parsed->text(), "{session.b}:{args.a}");
  EXPECT_FALSE(parsed->is_one_placeholder());
  EXPECT_TRUE(Template::Parse("{args.a}", kRoots)->is_one_placeholder());
}

TEST(ExpandJson, KeepsTheTypeOfAWholeValueAndMakesTextInside) {
  const Json declared =
      Json::parse(R"({"id":"{args.n}","note":"order {args.n}: {args.s}","fixed":[1,true]})");
  const StatusOr<Json> expanded =
      ExpandJson(declared, Json::parse(R"({"args":{"n":7,"s":"a:b","list":[1]}})"));
  ASSERT_TRUE(expanded.ok()) << Message(expanded.status());
  EXPECT_EQ(*expanded, Json::parse(R"({"id":7,"note":"order 7: a:b","fixed":[1,true]})"));
}

TEST(ExpandJson, NamesTheMissingPath) {
  const StatusOr<Json> expanded = ExpandJson(Json("{args.gone}"), Json::parse(R"({"args":{}})"));
  ASSERT_FALSE(expanded.ok());
  EXPECT_THAT(std::string(Message(expanded.status())), HasSubstr("args.gone"));
}

TEST(CheckTemplates, LooksIntoEveryString) {
  EXPECT_TRUE(CheckTemplates(Json::parse(R"({"a":["{args.x}"],"b":1})"), kRoots).ok());
  EXPECT_FALSE(CheckTemplates(Json::parse(R"({"a":[{"b":"{nope.x}"}]})"), kRoots).ok());
}

}  // namespace
}  // namespace interlock::core
