#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "cli/eval/process.h"
#include "cli/eval/suite.h"
#include "harness/temp_folder.h"

namespace interlock::runtime::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class SuiteTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_ / "data/inner"); }

  std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
    return (folder_ / name).string();
  }

  const test::TempFolder temp_;
  const fs::path folder_ = temp_.path();
  const std::string good_ =
      "suite: s\nagent: a\npolicies: p\ntools: ../t\nagents: g\nvars: {x: y}\n"
      "data: {marker: m.gz, folders: [., inner]}\n"
      "database: {file: d.db, import: [\"${bin}/i\", \"${database}\"], export: [e]}\n"
      "confirm: [cancel]\nask_is_denial: [R03]\n";
};

TEST_F(SuiteTest, ReadsPathsRelativeToItself) {
  const auto suite = LoadSuite(Write("s.yaml", good_));
  ASSERT_TRUE(suite.ok()) << suite.status();
  EXPECT_EQ(suite->policies, std::vector<std::string>{(folder_ / "p").string()});
  EXPECT_EQ(suite->tools, (folder_.parent_path() / "t").string());
  EXPECT_EQ(suite->import_command, (std::vector<std::string>{"${bin}/i", "${database}"}));
  EXPECT_EQ(suite->asking.confirm, std::vector<std::string>{"cancel"});
  EXPECT_EQ(suite->asking.ask_is_denial, std::vector<std::string>{"R03"});
  EXPECT_EQ(suite->vars, (Vars{{"x", "y"}}));
}

TEST_F(SuiteTest, RefusesUnknownAndMissingKeysWithTheirPlace) {
  const auto unknown = LoadSuite(Write("s.yaml", good_ + "colour: red\n"));
  EXPECT_THAT(std::string(core::Message(unknown.status())), HasSubstr("s.yaml:11"));
  EXPECT_THAT(std::string(core::Message(unknown.status())), HasSubstr("colour"));
  const auto missing = LoadSuite(Write("s.yaml", "suite: s\n"));
  EXPECT_THAT(std::string(core::Message(missing.status())), HasSubstr("agent"));
  EXPECT_EQ(LoadSuite("/nonexistent.yaml").status().code(), core::StatusCode::kNotFound);
}

TEST_F(SuiteTest, ReadsSuitesWhoseToolsArePlayedBack) {
  const std::string recorded =
      "suite: s\nagent: a\npolicies: [p, ../q]\nagents: g\ndata: {marker: m, folders: [.]}\n"
      "prepare: [\"${bin}/p\", \"${made}\"]\n";
  const auto suite = LoadSuite(Write("s.yaml", recorded));
  ASSERT_TRUE(suite.ok()) << suite.status();
  EXPECT_EQ(suite->policies, (std::vector<std::string>{(folder_ / "p").string(),
                                                       (folder_.parent_path() / "q").string()}));
  EXPECT_EQ(suite->prepare_command, (std::vector<std::string>{"${bin}/p", "${made}"}));
  EXPECT_TRUE(suite->tools.empty());
  EXPECT_TRUE(suite->database_file.empty());
  const auto both = LoadSuite(Write("s.yaml", recorded + "tools: t\n"));
  EXPECT_THAT(std::string(core::Message(both.status())), HasSubstr("tools"));
  const auto none = LoadSuite(Write("s.yaml",
                                    "suite: s\nagent: a\npolicies: []\nagents: g\nprepare: [x]\n"
                                    "data: {marker: m, folders: [.]}\n"));
  EXPECT_THAT(std::string(core::Message(none.status())), HasSubstr("`policies` is empty"));
}

TEST_F(SuiteTest, FindsTheDataFolderByItsMarker) {
  const auto suite = LoadSuite(Write("s.yaml", good_));
  ASSERT_TRUE(suite.ok());
  const std::string data = (folder_ / "data").string();
  EXPECT_THAT(std::string(core::Message(FindData(*suite, data).status())), HasSubstr("--data"));
  Write("data/inner/m.gz", "");
  EXPECT_EQ(*FindData(*suite, data), data + "/inner");
  EXPECT_EQ(*FindData(*suite, data + "/inner/"), data + "/inner");
}

TEST(ExpandVars, ReplacesKnownNamesOnly) {
  const Vars vars{{"bin", "/b"}, {"x", "${bin}"}};
  EXPECT_EQ(*ExpandVars("${bin}/t ${x} $bin", vars), "/b/t ${bin} $bin")
      << "values are not expanded again";
  EXPECT_THAT(std::string(core::Message(ExpandVars("${nope}", vars).status())),
              HasSubstr("${nope}"));
  EXPECT_FALSE(ExpandVars("${bin", vars).ok());
}

TEST(RunProgram, GivesOutputOrSaysHowItEnded) {
  const test::TempFolder folder;
  const std::string log = folder.File("log");
  const auto said = RunProgram({"/bin/echo", "a b", "$HOME"}, log, std::chrono::seconds(10));
  ASSERT_TRUE(said.ok()) << said.status();
  EXPECT_EQ(*said, "a b $HOME\n") << "there is no shell in between";
  const auto failed = RunProgram({"/bin/ls", "/nonexistent-folder"}, log, std::chrono::seconds(10));
  EXPECT_THAT(std::string(core::Message(failed.status())), HasSubstr("exit 2"));
  EXPECT_THAT(std::string(core::Message(failed.status())), HasSubstr("nonexistent-folder"));
  EXPECT_FALSE(RunProgram({"/nonexistent-program"}, log, std::chrono::seconds(10)).ok());
  const auto slow = RunProgram({"/bin/sleep", "60"}, log, std::chrono::milliseconds(50));
  EXPECT_EQ(slow.status().code(), core::StatusCode::kDeadlineExceeded);
}

TEST(Child, EndsWithItsOwner) {
  const test::TempFolder folder;
  const std::string log = folder.File("log");
  auto child = Child::Start({"/bin/sleep", "60"}, log);
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_TRUE((*child)->Running());
  const pid_t pid = (*child)->pid();
  child->reset();
  EXPECT_NE(kill(pid, 0), 0) << "it should be gone";
}

}  // namespace
}  // namespace interlock::runtime::cli
