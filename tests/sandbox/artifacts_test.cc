// The collector against what a program may leave for it (rows 56, 58 and 59), beside files that it
// must take.
#include "sandbox/artifacts.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

namespace interlock::sandbox {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ArtifactsTest : public ::testing::Test {
 protected:
  ArtifactsTest() {
    char path[] = "/tmp/interlock-artifacts-XXXXXX";
    folder_ = ::mkdtemp(path);
    Write("report.txt", "good");
  }
  ~ArtifactsTest() override { fs::remove_all(folder_); }
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  void Write(const std::string& name, const std::string& bytes) const {
    std::ofstream(Path(name)) << bytes;
  }
  // Why it was skipped, or "taken".
  std::string Fate(const std::string& name, const ArtifactLimits& limits = {}) const {
    const auto found = CollectArtifacts(folder_, {"report.txt", name}, limits);
    EXPECT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->taken.at(0).bytes, "good");  // the twin, in the same breath
    return found->skipped.empty() ? "taken" : found->skipped[0].why;
  }
  std::string folder_;
};

TEST_F(ArtifactsTest, TakesPlainFilesWithTheirDigest) {
  fs::create_directory(Path("out"));
  Write("out/b", "2");
  Write("out/a", "1");
  const auto found = CollectArtifacts(folder_, {"report.txt", "out/"}, {});
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->taken.size(), 3u);
  EXPECT_EQ(found->taken[1].path, "out/a");
  EXPECT_EQ(found->taken[2].bytes, "2");
  EXPECT_EQ(found->taken[0].digest, core::Sha256("good"));
  EXPECT_TRUE(found->skipped.empty());
}

TEST_F(ArtifactsTest, R56_TrapsAreNotTaken) {
  ASSERT_EQ(::symlink("/etc/passwd", Path("link").c_str()), 0);
  ASSERT_EQ(::symlink("report.txt", Path("near").c_str()), 0);
  ASSERT_EQ(::symlink("/etc", Path("folder").c_str()), 0);
  ASSERT_EQ(::mkfifo(Path("pipe").c_str(), 0600), 0);
  ASSERT_EQ(::link(Path("pipe").c_str(), Path("pipe2").c_str()), 0);
  Write("original", "x");
  ASSERT_EQ(::link(Path("original").c_str(), Path("hard").c_str()), 0);
  Write("sparse", "");
  ASSERT_EQ(::truncate(Path("sparse").c_str(), 60 << 20), 0);
  fs::create_directory(Path("deep"));
  EXPECT_THAT(Fate("link"), HasSubstr("symbolic links"));
  EXPECT_THAT(Fate("near"), HasSubstr("symbolic links"));
  EXPECT_THAT(Fate("folder/passwd"), HasSubstr("symbolic links"));
  EXPECT_EQ(Fate("folder/"), "Not a directory");
  EXPECT_EQ(Fate("pipe"), "not a regular file");
  EXPECT_EQ(Fate("deep"), "not a regular file");
  EXPECT_EQ(Fate("hard"), "it has another name");
  EXPECT_EQ(Fate("sparse"), "larger than 4194304 bytes");
  EXPECT_EQ(Fate("absent"), "No such file or directory");
}

TEST_F(ArtifactsTest, CapsHoldForEachAndForAll) {
  Write("five", "12345");
  EXPECT_EQ(Fate("five", {.file_bytes_max = 4}), "larger than 4 bytes");
  EXPECT_EQ(Fate("five", {.file_bytes_max = 5}), "taken");
  EXPECT_EQ(Fate("five", {.bytes_max = 8}), "larger than 4 bytes");
  EXPECT_EQ(Fate("five", {.files_max = 1}), "too many files");
  fs::create_directory(Path("many"));
  for (int i = 0; i < 200; ++i) Write("many/" + std::to_string(i), "");
  const auto found = CollectArtifacts(folder_, {"many/"}, {});
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->taken.size(), 64u);
  EXPECT_EQ(found->skipped.size(), 1u);
}

TEST_F(ArtifactsTest, NamesThatClimbAreErrors) {
  for (const char* name : {"../x", "/etc/passwd", "a/../b", "./a", "", "/", "a//b", ".."}) {
    EXPECT_EQ(CollectArtifacts(folder_, {name}, {}).status().code(),
              core::StatusCode::kInvalidArgument)
        << name;
  }
  ASSERT_EQ(::symlink(folder_.c_str(), (folder_ + "-link").c_str()), 0);
  EXPECT_EQ(CollectArtifacts(folder_ + "-link", {"report.txt"}, {}).status().code(),
            core::StatusCode::kUnavailable);
  fs::remove(folder_ + "-link");
}

// Somebody swaps a file for a link, and a folder for a link, as fast as they can.
TEST_F(ArtifactsTest, R58_R59_SwapsWhileItLooksGiveNothingAway) {
  const std::string outside = folder_ + "-outside";
  fs::create_directory(outside);
  std::ofstream(outside + "/file") << "secret";
  fs::create_directory(Path("dir"));
  Write("dir/file", "mine");
  ASSERT_EQ(::symlink(outside.c_str(), Path("trap").c_str()), 0);
  std::atomic<bool> stop{false};
  std::thread swapper([&] {
    while (!stop) {
      ::rename(Path("dir").c_str(), Path("aside").c_str());
      ::rename(Path("trap").c_str(), Path("dir").c_str());
      ::rename(Path("dir").c_str(), Path("trap").c_str());
      ::rename(Path("aside").c_str(), Path("dir").c_str());
    }
  });
  int mine = 0;
  int refused = 0;
  for (int i = 0; i < 200'000 && (i < 3000 || mine == 0 || refused == 0); ++i) {
    const auto found = CollectArtifacts(folder_, {"dir/file"}, {});
    if (!found.ok()) continue;
    refused += static_cast<int>(found->skipped.size());
    for (const Artifact& artifact : found->taken) {
      ASSERT_EQ(artifact.bytes, "mine");
      ++mine;
    }
  }
  stop = true;
  swapper.join();
  fs::remove_all(outside);
  EXPECT_GT(mine, 0);
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace interlock::sandbox
