// What commands write is there whole or not at all, and nothing of somebody else's is lost.
#include "cli/output_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "console.h"
#include "harness/temp_folder.h"

namespace interlock::runtime::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kPolicy[] =
    "policy \"p\" { owner = \"t\", tools = { \"a.*\" } }\n"
    "on(\"a.b\", \"ok\", function(c) return allow() end)\n";

class OutputFiles : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return (folder_ / name).string(); }
  void Put(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
  }
  std::string Get(const std::string& name) const {
    std::ifstream in(folder_ / name);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }
  std::size_t Files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  const test::TempFolder temp_;
  const fs::path folder_ = temp_.path();
};

TEST_F(OutputFiles, AreNotThereUntilTheyAreKept) {
  {
    auto file = OutputFile::Make(Path("a"), ReadableBy::kOwner, IfThere::kRefuse);
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_TRUE(file->Append("one\n").ok());
    EXPECT_FALSE(fs::exists(Path("a")));
  }
  EXPECT_EQ(Files(), 0u) << "what was not kept is taken away";
  auto file = OutputFile::Make(Path("a"), ReadableBy::kOwner, IfThere::kRefuse);
  ASSERT_TRUE(file.ok() && file->Append("one\n").ok());
  ASSERT_TRUE(file->Keep().ok());
  EXPECT_EQ(Get("a"), "one\n");
  struct stat is {};
  ASSERT_EQ(::stat(Path("a").c_str(), &is), 0);
  EXPECT_EQ(is.st_mode & 0777U, 0600U);
  EXPECT_EQ(Files(), 1u);
}

TEST_F(OutputFiles, RefuseWhatIsThereEvenWhenItCameLater) {
  Put("a", "before");
  EXPECT_EQ(OutputFile::Make(Path("a"), ReadableBy::kUmask, IfThere::kRefuse).status().code(),
            core::StatusCode::kFailedPrecondition);
  fs::create_symlink(Path("nowhere"), Path("link"));
  EXPECT_FALSE(OutputFile::Make(Path("link"), ReadableBy::kUmask, IfThere::kRefuse).ok());
  auto late = OutputFile::Make(Path("b"), ReadableBy::kUmask, IfThere::kRefuse);
  ASSERT_TRUE(late.ok());
  Put("b", "another's");
  EXPECT_EQ(late->Keep().code(), core::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Get("a"), "before");
  EXPECT_EQ(Get("b"), "another's");
  EXPECT_FALSE(fs::exists(Path("nowhere")));
}

TEST_F(OutputFiles, ReplaceAFileAndALinkButNotWhatALinkNames) {
  Put("a", "before");
  fs::create_symlink(Path("a"), Path("link"));
  ASSERT_TRUE(WriteWhole(Path("link"), "new").ok());
  EXPECT_EQ(Get("link"), "new");
  EXPECT_EQ(Get("a"), "before");
  ASSERT_TRUE(WriteWhole(Path("a"), "after").ok());
  EXPECT_EQ(Get("a"), "after");
  EXPECT_TRUE(WriteWhole("/dev/null", "x").ok());
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST_F(OutputFiles, AFailedRecordLeavesNoFileAndNothingInTheWay) {
  for (int turn = 0; turn < 2; ++turn) {
    const Ran ran = RunLine({"policy", "record", "--out", Path("record"), "--token-file",
                             Path("no-token"), "--reason", "r"});
    EXPECT_EQ(ran.code, kCouldNotTell);
    EXPECT_THAT(ran.err, HasSubstr("no-token"));
    EXPECT_EQ(Files(), 0u);
  }
}

TEST_F(OutputFiles, ReportsAreNeverWrittenOverPolicies) {
  Put("p.lua", kPolicy);
  const std::vector<std::vector<std::string>> lines = {
      {"policy", "meta", Path(""), "--out", Path("p.lua")},
      {"policy", "check", Path(""), "--sarif", Path("p.lua")},
      {"policy", "test", Path(""), "--junit", Path("p.lua")}};
  for (const auto& words : lines) {
    const Ran ran = RunLine(words);
    EXPECT_EQ(ran.code, kCouldNotTell) << words[1];
    EXPECT_THAT(ran.err, HasSubstr("name another")) << words[1];
    EXPECT_EQ(Get("p.lua"), kPolicy) << words[1];
  }
  fs::create_directory(Path("editor"));
  for (int turn = 0; turn < 2; ++turn) {  // its own it writes anew
    const Ran meta = RunLine({"policy", "meta", Path(""), "--out", Path("editor/meta.lua")});
    EXPECT_EQ(meta.code, kYes) << meta.err;
    EXPECT_THAT(Get("editor/meta.lua"), StartsWith("---@meta\n"));
  }
}

}  // namespace
}  // namespace interlock::runtime::cli
