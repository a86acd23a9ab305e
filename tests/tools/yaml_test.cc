#include "tools/yaml.h"

#include <gmock/gmock.h>

namespace interlock::tools {
namespace {

using ::testing::HasSubstr;

std::string ErrorOf(std::string_view text, const YamlLimits& limits = {}) {
  const auto parsed = ParseYaml(text, "f.yaml", limits);
  return parsed.ok() ? "ok" : std::string(core::Message(parsed.status()));
}

std::string JsonOf(std::string_view text) {
  const auto parsed = ParseYaml(text, "f.yaml");
  if (!parsed.ok()) return std::string(core::Message(parsed.status()));
  const auto json = YamlToJson(parsed->at(0), "f.yaml");
  return json.ok() ? core::CanonicalJson(*json) : std::string(core::Message(json.status()));
}

TEST(Yaml, ReadsScalarsAsJsonWould) {
  EXPECT_EQ(
      JsonOf(
          "[1, -2, 1.5, true, false, null, ~, yes, no, 0123, 1_000, 0x1F, .5, abc, \"1\", 'true']"),
      R"([1,-2,1.5,true,false,null,null,"yes","no","0123","1_000","0x1F",".5","abc","1","true"])");
}

TEST(Yaml, KeepsMapsListsAndLines) {
  const auto parsed = ParseYaml("a: 1\nb:\n  - x\n  - {c: d}\n", "f.yaml");
  ASSERT_TRUE(parsed.ok());
  const YamlNode& root = parsed->at(0);
  EXPECT_EQ(root.Find("b")->items.at(1).line, 4);
  EXPECT_EQ(root.Find("b")->items.at(1).Find("c")->text, "d");
  EXPECT_EQ(root.Find("zzz"), nullptr);
}

TEST(Yaml, ReadsSeveralDocuments) {
  const auto parsed = ParseYaml("a: 1\n---\nb: 2\n", "f.yaml");
  ASSERT_TRUE(parsed.ok());
  ASSERT_EQ(parsed->size(), 2u);
  EXPECT_NE(parsed->at(1).Find("b"), nullptr);
}

TEST(Yaml, RefusesWhatHidesMeaning) {
  EXPECT_EQ(ErrorOf("a: 1\na: 2\n"), "f.yaml:2: duplicate key `a`");
  EXPECT_EQ(ErrorOf("a: &x 1\n"), "f.yaml:1: anchors are not supported; write the value again");
  EXPECT_THAT(ErrorOf("a: *x\n"), HasSubstr("f.yaml:1"));
  EXPECT_EQ(ErrorOf("a: !!str 1\n"), "f.yaml:1: tags are not supported");
  EXPECT_EQ(ErrorOf("? [a]\n: 1\n"), "f.yaml:1: a key must be plain text");
  EXPECT_THAT(ErrorOf("a: [1\n"), HasSubstr("f.yaml:"));
}

TEST(Yaml, ADuplicateKeyMayStandInTwoMaps) { EXPECT_EQ(ErrorOf("a: {x: 1}\nb: {x: 2}\n"), "ok"); }

TEST(Yaml, HasLimits) {
  EXPECT_EQ(ErrorOf("[[[[1]]]]", {.bytes_max = 100, .depth_max = 3, .nodes_max = 100}),
            "f.yaml:1: nested too deep");
  EXPECT_EQ(ErrorOf("[[[1]]]", {.bytes_max = 100, .depth_max = 3, .nodes_max = 100}), "ok");
  EXPECT_EQ(ErrorOf("[1, 2, 3]", {.bytes_max = 100, .depth_max = 3, .nodes_max = 3}),
            "f.yaml:1: too many values in one file");
  EXPECT_EQ(ErrorOf("[1, 2]", {.bytes_max = 5, .depth_max = 3, .nodes_max = 3}),
            "f.yaml: larger than 5 bytes");
  EXPECT_THAT(ErrorOf(std::string(100'000, '[')), HasSubstr("nested too deep"));
}

TEST(Yaml, RefusesNumbersThatJsonCannotCarry) {
  EXPECT_EQ(JsonOf("9007199254740991"), "9007199254740991");
  EXPECT_THAT(JsonOf("9007199254740992"), HasSubstr("integer beyond"));
  EXPECT_THAT(JsonOf("99999999999999999999"), HasSubstr("integer beyond"));
  EXPECT_THAT(JsonOf("1e999"), HasSubstr("out of range"));
}

TEST(YamlFields, NameTheKeyThatNobodyKnows) {
  const auto parsed = ParseYaml("known: 1\ntypo: 2\n", "f.yaml");
  ASSERT_TRUE(parsed.ok());
  YamlFields fields(parsed->at(0), "f.yaml", "the thing");
  EXPECT_EQ(fields.IntOr("known", 0, 0, 9), 1);
  EXPECT_EQ(core::Message(fields.Finish()), "f.yaml:2: unknown key `typo` in the thing");
}

TEST(YamlFields, ReadShapes) {
  const auto parsed = ParseYaml(
      "text: t\nflag: true\nsize: 64KiB\nlist: [a, b]\nmap: {A: b}\nkind: red\n", "f.yaml");
  ASSERT_TRUE(parsed.ok());
  YamlFields fields(parsed->at(0), "f.yaml", "the thing");
  EXPECT_EQ(fields.Text("text"), "t");
  EXPECT_TRUE(fields.BoolOr("flag", false));
  EXPECT_EQ(fields.BytesOr("size", 0, 1 << 20), 65536);
  EXPECT_EQ(fields.TextsOr("list"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(fields.PairsOr("map").at(0).second, "b");
  EXPECT_EQ(fields.OneOf("kind", {"red", "blue"}, "blue"), "red");
  EXPECT_EQ(fields.IntOr("absent", 7, 0, 9), 7);
  EXPECT_TRUE(fields.Finish().ok());
}

struct BadField {
  const char* yaml;
  const char* error;
};
class YamlFieldsRefuse : public ::testing::TestWithParam<BadField> {};

TEST_P(YamlFieldsRefuse, WithFileAndLine) {
  const auto parsed = ParseYaml(GetParam().yaml, "f.yaml");
  ASSERT_TRUE(parsed.ok());
  YamlFields fields(parsed->at(0), "f.yaml", "the thing");
  fields.TextOr("text", "");
  fields.IntOr("int", 1, 1, 10);
  fields.BytesOr("bytes", 1, 1 << 20);
  fields.BoolOr("bool", false);
  fields.TextsOr("list");
  fields.OneOf("kind", {"red", "blue"}, "red");
  EXPECT_THAT(std::string(core::Message(fields.Finish())), HasSubstr(GetParam().error));
}

INSTANTIATE_TEST_SUITE_P(
    All, YamlFieldsRefuse,
    ::testing::Values(BadField{"\ntext: [a]", "f.yaml:2: `text` must be text"},
                      BadField{"int: 11", "f.yaml:1: `int` must be an integer from 1 to 10"},
                      BadField{"int: 1.0", "`int` must be an integer"},
                      BadField{"int: x", "`int` must be an integer"},
                      BadField{"bytes: 2MiB", "`bytes` must be a number of bytes"},
                      BadField{"bytes: 64kb", "`bytes` must be a number of bytes"},
                      BadField{"bytes: 99999999999GiB", "`bytes` must be a number of bytes"},
                      BadField{"bool: yes", "`bool` must be true or false"},
                      BadField{"bool: \"true\"", "`bool` must be true or false"},
                      BadField{"list: a", "`list` must be a list"},
                      BadField{"list: [[a]]", "`list` must be a list of text"},
                      BadField{"kind: green", "`kind` must be one of red, blue"},
                      BadField{"[a]", "the thing must be a map"}));

}  // namespace
}  // namespace interlock::tools
