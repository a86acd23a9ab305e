#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "cli/eval/cases.h"

namespace interlock::runtime::cli {
namespace {

using core::Json;
using ::testing::HasSubstr;

Case Parse(const char* text) {
  auto parsed = ParseCase(Json::parse(text), 7);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() ? *parsed : Case();
}

TEST(ParseCase, ReadsRecordedStepsAndLeavesOutThoseWithoutExpectation) {
  const Case c =
      Parse(R"({"id":"shop/1","session":{"user_id":"u1","confirmed":true,"reason":"ill"},"steps":[
      {"name":"find","arguments":{"zip":"1"},"kind":"read","expected":"ALLOW","tool_ok":false},
      {"name":"skip","arguments":{},"expected":null},
      {"name":"cancel","arguments":{"id":1},"expected":"ALLOW","tool_ok":true,"state_after":{"orders":{"1":{}}}}]})");
  EXPECT_EQ(c.name, "c0007");
  EXPECT_EQ(c.user, "u1");
  EXPECT_EQ(c.session, Json::parse(R"({"reason":"ill"})"))
      << "the confirmation is an approval, not a session value";
  ASSERT_EQ(c.steps.size(), 2u);
  EXPECT_EQ(c.numbers, (std::vector<int>{0, 2}));
  EXPECT_EQ(c.steps[0].tool_ok, false);
  EXPECT_TRUE(c.steps[0].state_after.is_null());
  EXPECT_TRUE(c.steps[1].confirmed);
  EXPECT_EQ(c.steps[1].args, R"({"id":1})");
  EXPECT_EQ(c.steps[1].state_after, Json::parse(R"({"orders":{"1":{}}})"));
}

TEST(ParseCase, ReadsDecidedCallsAfterTheirPrefix) {
  const Case c =
      Parse(R"({"id":"shop/neg/1","expected":"DENY","rule":"R07","all_rules":["R07","R19"],
      "session":{"user_id":null,"confirmed":false},
      "prefix":[{"name":"find","arguments":{}}],"call":{"name":"cancel","arguments":{}}})");
  EXPECT_EQ(c.user, "");
  ASSERT_EQ(c.steps.size(), 2u);
  EXPECT_TRUE(c.steps[0].prefix);
  EXPECT_TRUE(c.steps[0].confirmed) << "prefix steps count as confirmed whatever the session says";
  EXPECT_EQ(c.steps[0].expected, Expected::kAllow);
  EXPECT_FALSE(c.steps[1].confirmed);
  EXPECT_EQ(c.steps[1].expected, Expected::kDeny);
  EXPECT_EQ(c.steps[1].rules, (std::vector<std::string>{"R07", "R19"}));
}

TEST(ParseCase, ReadsStepsThatArePlayedBackAndTheAttackersAmongThem) {
  const Case c = Parse(R"({"id":"x","message":"Pay it.","session":{"user_id":"u"},"steps":[
      {"name":"read","arguments":{"n":1},"expected":"ALLOW","confirmed":true,"result":"bill","tool_ok":true},
      {"name":"read","arguments":{},"expected":"ALLOW","confirmed":true,"result":"no such","tool_ok":false},
      {"name":"look","arguments":{},"expected":"ANY","attack":true},
      {"name":"send","arguments":{},"expected":"DENY","attack":true,"all_rules":["attack"]}]})");
  EXPECT_EQ(c.message, "Pay it.");
  ASSERT_EQ(c.steps.size(), 4u);
  EXPECT_TRUE(c.steps[0].confirmed);
  EXPECT_FALSE(c.steps[0].attack);
  EXPECT_EQ(c.steps[2].expected, Expected::kAny);
  EXPECT_FALSE(c.steps[3].confirmed) << "the user says yes to his own task only";
  EXPECT_TRUE(c.steps[3].attack);
  EXPECT_EQ(c.steps[3].rules, std::vector<std::string>{"attack"});
  EXPECT_EQ(Json::parse(RecordedOf(c)),
            Json::parse(R"([{"tool":"read","args":{"n":1},"result":"bill"},
      {"tool":"read","args":{},"error":"no such"}])"));
  const Json script = Json::parse(ScriptOf(c));
  EXPECT_EQ(script["steps"].size(), 5u) << "four calls and an answer: the user is asked nothing";
}

TEST(ParseCase, SaysWhatIsMissing) {
  const std::pair<const char*, const char*> bad[] = {
      {"[]", "`id`"},
      {R"({"id":"x"})", "`steps`, or `call`"},
      {R"({"id":"x","steps":[{"name":"a","expected":"ALLOW"}]})", "`arguments`"},
      {R"({"id":"x","steps":[{"name":"a","arguments":[],"expected":"ALLOW"}]})", "`arguments`"},
      {R"({"id":"x","steps":[{"name":"a","arguments":{}}]})", "`expected`"},
      {R"({"id":"x","steps":[{"name":"a","arguments":{},"expected":"PERHAPS"}]})", "PERHAPS"},
      {R"({"id":"x","session":3,"steps":[]})", "`session`"},
  };
  for (const auto& [text, said] : bad) {
    const auto parsed = ParseCase(Json::parse(text), 0);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_THAT(std::string(core::Message(parsed.status())), HasSubstr(said));
  }
}

TEST(ReadCases, NamesTheBadLine) {
  std::istringstream good("\n{\"id\":\"a\",\"steps\":[]}\n\n{\"id\":\"b\",\"steps\":[]}\n");
  const auto cases = ReadCases(good);
  ASSERT_TRUE(cases.ok());
  ASSERT_EQ(cases->size(), 2u);
  EXPECT_EQ((*cases)[1].name, "c0001");
  std::istringstream bad("{\"id\":\"a\",\"steps\":[]}\nnot json\n");
  EXPECT_THAT(std::string(core::Message(ReadCases(bad).status())), HasSubstr("line 2: not JSON"));
}

TEST(ScriptOf, ProposesOneCallAStepAndAsksAfterEach) {
  const Case c =
      Parse(R"({"id":"x","steps":[{"name":"a","arguments":{"n":1.50},"expected":"ALLOW"}]})");
  const Json script = Json::parse(ScriptOf(c));
  ASSERT_EQ(script["steps"].size(), 3u);
  EXPECT_EQ(script["steps"][0]["calls"][0]["tool"], "a");
  EXPECT_EQ(script["steps"][0]["calls"][0]["args_text"], R"({"n":1.5})")
      << "as text, so that nothing is retyped";
  EXPECT_TRUE(script["steps"][1].contains("ask"));
  EXPECT_TRUE(script["steps"][2].contains("answer"));
}

}  // namespace
}  // namespace interlock::runtime::cli
