// `compensate` in manifests: what is refused when tools are loaded.
#include <gmock/gmock.h>

#include "tools/tool.h"

namespace interlock::tools {
namespace {

using ::testing::HasSubstr;

Manifest ToolOf(const std::string& name, core::Json input) {
  Manifest manifest;
  manifest.name = name;
  manifest.description = "a tool of the tests";
  manifest.effect = Effect::kWrite;
  manifest.input_schema = std::move(input);
  manifest.builtin = "test";
  return manifest;
}

core::Json InputOf(const std::string& name, const std::string& type) {
  return {{"type", "object"},
          {"additionalProperties", false},
          {"required", {name}},
          {"properties", {{name, {{"type", type}}}, {"note", {{"type", "string"}}}}}};
}

Manifest Book(core::Json args, const std::string& tool = "cancel") {
  Manifest manifest = ToolOf("book", InputOf("seat", "integer"));
  manifest.result_schema = {{"type", "object"},
                            {"required", {"booking"}},
                            {"properties", {{"booking", {{"type", "string"}}}}}};
  manifest.compensate = Compensate{.tool = tool, .args = std::move(args)};
  return manifest;
}

core::Status Load(const Manifest& book, Effect effect = Effect::kWrite) {
  Manifest cancel = ToolOf("cancel", InputOf("booking", "string"));
  cancel.effect = effect;
  std::vector<std::shared_ptr<const Tool>> tools;
  for (const Manifest& manifest : {book, cancel}) {
    auto tool = Tool::FromManifest(manifest);
    if (!tool.ok()) return tool.status();
    tools.push_back(*std::move(tool));
  }
  return Registry::Of(std::move(tools)).status();
}

TEST(Compensate, TakesItsArgumentsFromCallAndResult) {
  const core::Status status =
      Load(Book({{"booking", "{result.booking}"}, {"note", "seat {args.seat} of {call.id}"}}));
  EXPECT_TRUE(status.ok()) << status;
}

TEST(Compensate, IsPartOfTheDigestOnlyWhereItIsThere) {
  Manifest plain = Book({});
  plain.compensate.reset();
  const auto without = Tool::FromManifest(plain);
  const auto with = Tool::FromManifest(Book({{"booking", "{result.booking}"}}));
  ASSERT_TRUE(without.ok() && with.ok());
  EXPECT_THAT((*without)->canonical_manifest(), ::testing::Not(HasSubstr("compensate")));
  EXPECT_THAT((*with)->canonical_manifest(), HasSubstr("compensate"));
  EXPECT_NE((*without)->digest(), (*with)->digest());
}

struct Bad {
  core::Json args;
  const char* error;
  std::string tool = "cancel";
  Effect effect = Effect::kWrite;
};
class CompensateRefuses : public ::testing::TestWithParam<Bad> {};

TEST_P(CompensateRefuses, SayingWhy) {
  const Bad& bad = GetParam();
  EXPECT_THAT(std::string(core::Message(Load(Book(bad.args, bad.tool), bad.effect))),
              HasSubstr(bad.error));
}

INSTANTIATE_TEST_SUITE_P(
    All, CompensateRefuses,
    ::testing::Values(
        Bad{{{"booking", "{result.booking}"}}, "names an unknown tool `undo`", "undo"},
        Bad{{{"booking", "{result.booking}"}}, "names the tool itself", "book"},
        Bad{{{"booking", "{result.booking}"}}, "is of effect read", "cancel", Effect::kRead},
        Bad{core::Json::object(), "lacks `booking`, which `cancel` requires"},
        Bad{{{"booking", "{result.booking}"}, {"seat", 1}}, "`seat`, which `cancel` does not take"},
        Bad{{{"booking", "{result.id}"}}, "`result.id`, which `result` does not require"},
        Bad{{{"booking", "{args.note}"}}, "`args.note`, which `input` does not require"},
        Bad{{{"booking", "{args.seat}"}}, "is of type integer, and `cancel` takes string"},
        Bad{{{"booking", 7}}, "is of type integer, and `cancel` takes string"},
        Bad{{{"booking", "{facts.x}"}}, "`compensate.args`: template"},
        Bad{core::Json::array(), "`compensate.args` must be a map"}));

TEST(Compensate, AReadHasNothingToTakeBack) {
  Manifest look = Book({{"booking", "{result.booking}"}});
  look.effect = Effect::kRead;
  EXPECT_THAT(std::string(core::Message(Load(look))), HasSubstr("no meaning for effect read"));
}

}  // namespace
}  // namespace interlock::tools
