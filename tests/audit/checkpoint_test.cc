// Signed notes, verifier keys, and a signer that never signs two histories.
#include "audit/checkpoint.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>

#include "audit/merkle.h"
#include "fixture.h"
#include "memory_log.h"

namespace interlock::audit {
namespace {

constexpr const char* kOrigin = "interlock.example/main";

class CheckpointTest : public ::testing::Test {
 protected:
  std::unique_ptr<Signer> MustOpenSigner(const std::string& name = kOrigin) {
    auto signer = OpenFileSigner(folder_.path() + "/signer", name);
    EXPECT_TRUE(signer.ok()) << signer.status();
    return signer.ok() ? *std::move(signer) : nullptr;
  }
  TempFolder folder_;
};

TEST_F(CheckpointTest, ReadsANoteMadeByAnotherImplementation) {
  // The example key and note of the Go module checksum database's note package documentation.
  const std::string key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
  const std::string text =
      "If you think cryptography is the answer to your problem,\n"
      "then you don't know what your problem is.\n";
  const std::string note =
      text +
      "\n\xE2\x80\x94 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2p"
      "ZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
  // Its text is no checkpoint, so it fails after the key was accepted: as malformed, not as an
  // unknown key.
  EXPECT_EQ(OpenCheckpoint(note, key).status().code(), core::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(core::Message(OpenCheckpoint(note, key).status())).find("verifier key"),
            std::string::npos);
}

TEST_F(CheckpointTest, TextIsThreeLines) {
  EXPECT_EQ(CheckpointText("o", 7, EmptyRoot()),
            "o\n7\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n");
}

TEST_F(CheckpointTest, SignsAndOpens) {
  const auto signer = MustOpenSigner();
  const auto checkpoint = signer->Sign({kOrigin, 3, LeafHash("x"), {}});
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto opened = OpenCheckpoint(checkpoint->note, signer->verifier_key());
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(opened->origin, kOrigin);
  EXPECT_EQ(opened->size, 3u);
  EXPECT_EQ(opened->root, LeafHash("x"));
  EXPECT_FALSE(signer->independent());
  // The key stays the same over a restart.
  EXPECT_EQ(MustOpenSigner()->verifier_key(), signer->verifier_key());
}

TEST_F(CheckpointTest, AnyChangedByteIsNoticed) {
  const auto signer = MustOpenSigner();
  const std::string note = signer->Sign({kOrigin, 3, LeafHash("x"), {}})->note;
  const std::string key = signer->verifier_key();
  for (std::size_t i = 0; i < note.size(); ++i) {
    std::string changed = note;
    changed[i] = static_cast<char>(changed[i] ^ 0x01);
    EXPECT_FALSE(OpenCheckpoint(changed, key).ok()) << "byte " << i;
    EXPECT_FALSE(OpenCheckpoint(note.substr(0, i), key).ok()) << "cut at " << i;
  }
  EXPECT_TRUE(OpenCheckpoint(note, key).ok());
}

TEST_F(CheckpointTest, AnotherKeyOfTheSameNameIsNotAccepted) {
  const auto signer = MustOpenSigner();
  const std::string note = signer->Sign({kOrigin, 3, LeafHash("x"), {}})->note;
  TempFolder elsewhere;
  const auto other = OpenFileSigner(elsewhere.path(), kOrigin);
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(OpenCheckpoint(note, (*other)->verifier_key()).status().code(),
            core::StatusCode::kPermissionDenied);
}

TEST_F(CheckpointTest, RefusesBadVerifierKeys) {
  const auto signer = MustOpenSigner();
  const std::string note = signer->Sign({kOrigin, 3, LeafHash("x"), {}})->note;
  const std::string key = signer->verifier_key();
  std::string wrong_id = key;
  const std::size_t plus = key.find('+');
  wrong_id[plus + 1] = key[plus + 1] == '0' ? '1' : '0';
  for (const std::string& bad :
       {std::string(), std::string("a+b"), wrong_id, key + "A", key.substr(0, key.size() - 4)}) {
    EXPECT_EQ(OpenCheckpoint(note, bad).status().code(), core::StatusCode::kInvalidArgument) << bad;
  }
}

TEST_F(CheckpointTest, SignerRefusesASmallerOrAnotherTree) {
  MemoryLog log(kOrigin, 20);
  MemoryLog other("interlock.example/other", 2);
  MemoryLog rewritten(kOrigin, 20, "x");
  {
    const auto signer = MustOpenSigner();
    ASSERT_TRUE(signer->Sign(log.Request(10)).ok());
    ASSERT_TRUE(signer->Sign(log.Request(10)).ok());
    ASSERT_TRUE(signer->Sign(other.Request(2)).ok());
  }
  const auto signer = MustOpenSigner();  // it remembers over a restart
  const auto refuses = [&](const SignRequest& request, const char* why) {
    const core::Status status = signer->Sign(request).status();
    EXPECT_EQ(status.code(), core::StatusCode::kFailedPrecondition) << why;
    EXPECT_THAT(std::string(core::Message(status)), ::testing::HasSubstr(why));
  };
  refuses(log.Request(9), "lost entries");
  refuses(rewritten.Request(10), "another root for size 10");
  refuses(rewritten.Request(15), "does not continue");  // its proof is of its own tree
  SignRequest bare = log.Request(15);
  bare.prove = {};
  EXPECT_FALSE(signer->Sign(bare).ok());
  EXPECT_TRUE(signer->Sign(log.Request(15)).ok());
}

TEST_F(CheckpointTest, SurvivesATornHeadRecord) {
  MemoryLog log(kOrigin, 5);
  const auto signer = MustOpenSigner();
  for (std::uint64_t size = 1; size <= 5; ++size) {
    ASSERT_TRUE(signer->Sign(log.Request(size)).ok());
  }
  std::string head;
  for (const auto& file : std::filesystem::directory_iterator(folder_.path() + "/signer")) {
    if (file.path().filename().string().rfind("head-", 0) == 0) head = file.path();
  }
  ASSERT_FALSE(head.empty());
  {  // turn 5 stands in the odd slot; half of it is lost
    std::fstream file(head, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096 + 40);
    file.write(std::string(48, '\xAA').data(), 48);
  }
  const auto again = MustOpenSigner();
  EXPECT_FALSE(again->Sign(log.Request(3)).ok());
  EXPECT_TRUE(again->Sign(log.Request(5)).ok());
}

TEST_F(CheckpointTest, RefusesAKeyFileThatOthersMayRead) {
  MustOpenSigner();
  const std::string path = folder_.path() + "/signer/signer.key";
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  EXPECT_EQ(OpenFileSigner(folder_.path() + "/signer", kOrigin).status().code(),
            core::StatusCode::kPermissionDenied);
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  EXPECT_TRUE(OpenFileSigner(folder_.path() + "/signer", kOrigin).ok());
  EXPECT_FALSE(OpenFileSigner(folder_.path() + "/signer", "another.name").ok());
  EXPECT_FALSE(OpenFileSigner(folder_.path() + "/signer", "a b").ok());
}

}  // namespace
}  // namespace interlock::audit
