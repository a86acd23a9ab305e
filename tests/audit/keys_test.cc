// Sealing, commitments, HMACs, file modes, erasure of a key.
#include "audit/keys.h"

#include <gmock/gmock.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <set>
#include <thread>

#include "fixture.h"

namespace interlock::audit {
namespace {

class KeysTest : public ::testing::Test {
 protected:
  std::unique_ptr<KeyStore> MustOpen() {
    auto keys = KeyStore::Open(folder_.path() + "/keys", &random_);
    EXPECT_TRUE(keys.ok()) << keys.status();
    if (!keys.ok()) std::abort();
    return *std::move(keys);
  }
  std::string File(const std::string& name) { return folder_.path() + "/keys/" + name; }
  static std::string BytesOf(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  TempFolder folder_;
  core::SystemRandom random_;
};

TEST_F(KeysTest, SealsAndOpensAfterARestart) {
  SealedPayload payload;
  {
    const auto keys = MustOpen();
    payload = keys->Seal(**keys->KeyFor("alice"), "application/json", R"({"order":12})");
  }
  EXPECT_EQ(payload.sealed.find("order"), std::string::npos);
  const auto keys = MustOpen();
  const auto opened = keys->Open(payload);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(opened->plaintext, R"({"order":12})");
  EXPECT_EQ(opened->media, "application/json");
  EXPECT_EQ(Commitment(opened->salt, opened->media, opened->plaintext), payload.commitment);
}

TEST_F(KeysTest, CommitmentIsTheDocumentedHash) {
  const std::string salt(32, 's');
  EXPECT_EQ(Commitment(salt, "text/plain", "hi"),
            core::Sha256(std::string("\x02") + salt + "text/plain" + std::string(1, '\0') + "hi"));
}

TEST_F(KeysTest, EqualTextsGetUnequalSealsAndCommitments) {
  const auto keys = MustOpen();
  const auto key = *keys->KeyFor("alice");
  std::set<std::string> seen;
  for (int i = 0; i < 50; ++i) {
    const SealedPayload payload = keys->Seal(*key, "text/plain", "same");
    seen.insert(payload.sealed);
    seen.insert(core::Hex(payload.commitment));
  }
  EXPECT_EQ(seen.size(), 100u);
}

TEST_F(KeysTest, AnyChangedByteIsNoticed) {
  const auto keys = MustOpen();
  const SealedPayload good = keys->Seal(**keys->KeyFor("alice"), "text/plain", "hello");
  ASSERT_TRUE(keys->Open(good).ok());
  for (std::size_t i = 0; i < good.sealed.size(); ++i) {
    SealedPayload bad = good;
    bad.sealed[i] = static_cast<char>(bad.sealed[i] ^ 1);
    EXPECT_EQ(keys->Open(bad).status().code(), core::StatusCode::kDataLoss) << i;
  }
  SealedPayload bad = good;
  bad.media = "text/html";
  EXPECT_EQ(keys->Open(bad).status().code(), core::StatusCode::kDataLoss);
  bad = good;
  bad.commitment[0] ^= 1;
  EXPECT_EQ(keys->Open(bad).status().code(), core::StatusCode::kDataLoss);
  bad = good;
  bad.sealed.resize(10);
  EXPECT_EQ(keys->Open(bad).status().code(), core::StatusCode::kDataLoss);
  bad = good;
  bad.key_id = "nobody";
  EXPECT_EQ(keys->Open(bad).status().code(), core::StatusCode::kNotFound);
}

TEST_F(KeysTest, SubjectsHaveKeysOfTheirOwnAndNoNamesInTheFile) {
  const auto keys = MustOpen();
  const auto alice = *keys->KeyFor("alice@example.com");
  EXPECT_EQ((*keys->KeyFor("alice@example.com"))->key_id(), alice->key_id());
  EXPECT_NE((*keys->KeyFor("bob@example.com"))->key_id(), alice->key_id());
  EXPECT_EQ(BytesOf(File("keys.db")).find("example.com"), std::string::npos);
}

TEST_F(KeysTest, DestroyedKeyIsGoneForGood) {
  SealedPayload alices;
  SealedPayload bobs;
  {
    const auto keys = MustOpen();
    alices = keys->Seal(**keys->KeyFor("alice"), "text/plain", "hers");
    bobs = keys->Seal(**keys->KeyFor("bob"), "text/plain", "his");
    const std::string key = *keys->KeyIdOf("alice");
    ASSERT_TRUE(keys->DestroyKey(key).ok());
    ASSERT_TRUE(keys->DestroyKey(key).ok());  // idempotent
    EXPECT_EQ(keys->Open(alices).status().code(), core::StatusCode::kNotFound);
    EXPECT_EQ(keys->KeyFor("alice").status().code(), core::StatusCode::kFailedPrecondition);
    EXPECT_EQ(keys->Open(bobs)->plaintext, "his");
  }
  const auto keys = MustOpen();
  EXPECT_EQ(keys->Open(alices).status().code(), core::StatusCode::kNotFound);
  EXPECT_EQ(keys->KeyFor("alice").status().code(), core::StatusCode::kFailedPrecondition);
  EXPECT_EQ(keys->Open(bobs)->plaintext, "his");
}

TEST_F(KeysTest, AfterAFinishedErasureTheSubjectGetsANewKey) {
  SealedPayload first;
  SealedPayload second;
  std::set<std::string> ids;
  {
    const auto keys = MustOpen();
    keys->Refuse("alice");
    EXPECT_FALSE(keys->KeyFor("alice").ok());
    keys->Allow("alice");
    first = keys->Seal(**keys->KeyFor("alice"), "text/plain", "before");
    ids.insert(first.key_id);
    keys->Refuse("alice");
    ASSERT_TRUE(keys->DestroyKey(first.key_id).ok());
    EXPECT_FALSE(keys->KeyFor("alice").ok());
    ASSERT_TRUE(keys->FinishErasure(first.key_id).ok());
    second = keys->Seal(**keys->KeyFor("alice"), "text/plain", "after");
    ids.insert(second.key_id);
  }
  {
    const auto keys = MustOpen();
    ASSERT_TRUE(keys->DestroyKey(first.key_id).ok());  // as every start does
    EXPECT_THAT(*keys->UnfinishedErasures(), ::testing::IsEmpty());
    EXPECT_EQ(*keys->KeyIdOf("alice"), second.key_id);
    EXPECT_EQ(keys->Open(first).status().code(), core::StatusCode::kNotFound);
    EXPECT_EQ(keys->Open(second)->plaintext, "after");
    ASSERT_TRUE(keys->DestroyKey(second.key_id).ok());
  }
  const auto keys = MustOpen();  // a crash in the middle of the second erasure
  EXPECT_EQ(keys->KeyFor("alice").status().code(), core::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(keys->FinishErasure(second.key_id).ok());
  ids.insert((*keys->KeyFor("alice"))->key_id());
  EXPECT_EQ(ids.size(), 3u);
  EXPECT_EQ(keys->Open(first).status().code(), core::StatusCode::kNotFound);
  EXPECT_EQ(keys->Open(second).status().code(), core::StatusCode::kNotFound);
}

TEST_F(KeysTest, WrappedKeyOfADestroyedSubjectIsInNoFile) {
  std::string wrapped;
  {
    const auto keys = MustOpen();
    ASSERT_TRUE(keys->KeyFor("alice").ok());
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(File("keys.db").c_str(), &db), SQLITE_OK);
    sqlite3_stmt* select = nullptr;
    ASSERT_EQ(sqlite3_prepare_v2(db, "SELECT wrapped FROM data_key", -1, &select, nullptr),
              SQLITE_OK);
    ASSERT_EQ(sqlite3_step(select), SQLITE_ROW);
    wrapped.assign(static_cast<const char*>(sqlite3_column_blob(select, 0)),
                   static_cast<std::size_t>(sqlite3_column_bytes(select, 0)));
    sqlite3_finalize(select);
    sqlite3_close(db);
    ASSERT_NE(BytesOf(File("keys.db")).find(wrapped), std::string::npos);
    ASSERT_TRUE(keys->DestroyKey(*keys->KeyIdOf("alice")).ok());
  }
  for (const auto& file : std::filesystem::recursive_directory_iterator(folder_.path())) {
    if (file.is_regular_file()) {
      EXPECT_EQ(BytesOf(file.path()).find(wrapped), std::string::npos) << file.path();
    }
  }
}

TEST_F(KeysTest, HmacsAreStableAndSeparatedByPurpose) {
  const std::string lock = MustOpen()->Hmac("lock", "order:12");
  const auto keys = MustOpen();
  EXPECT_EQ(keys->Hmac("lock", "order:12"), lock);
  EXPECT_EQ(lock.size(), 64u);
  EXPECT_NE(keys->Hmac("effect", "order:12"), lock);
  EXPECT_NE(keys->Hmac("loc", "korder:12"), lock);
  TempFolder other;
  EXPECT_NE((*KeyStore::Open(other.path(), &random_))->Hmac("lock", "order:12"), lock);
}

TEST_F(KeysTest, RefusesFilesThatOthersMayRead) {
  ASSERT_TRUE(MustOpen()->KeyFor("alice").ok());
  for (const char* name : {"master.key", "keys.db"}) {
    ASSERT_EQ(::chmod(File(name).c_str(), 0604), 0);
    EXPECT_EQ(KeyStore::Open(folder_.path() + "/keys", &random_).status().code(),
              core::StatusCode::kPermissionDenied)
        << name;
    ASSERT_EQ(::chmod(File(name).c_str(), 0600), 0);
  }
  MustOpen();
}

TEST_F(KeysTest, RefusesAnotherOrAMissingMasterKey) {
  ASSERT_TRUE(MustOpen()->KeyFor("alice").ok());
  const std::string saved = BytesOf(File("master.key"));
  ASSERT_EQ(::unlink(File("master.key").c_str()), 0);
  EXPECT_EQ(KeyStore::Open(folder_.path() + "/keys", &random_).status().code(),
            core::StatusCode::kFailedPrecondition);
  std::ofstream(File("master.key")) << std::string(64, 'a') << "\n";
  ASSERT_EQ(::chmod(File("master.key").c_str(), 0600), 0);
  EXPECT_EQ(KeyStore::Open(folder_.path() + "/keys", &random_).status().code(),
            core::StatusCode::kDataLoss);
  std::ofstream(File("master.key"), std::ios::trunc) << saved;
  MustOpen();
}

TEST_F(KeysTest, ThreadsAskingForOneSubjectGetOneKey) {
  const auto keys = MustOpen();
  std::vector<std::thread> threads;
  std::vector<std::string> ids(8);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < 50; ++n) ids[i] = (*keys->KeyFor("alice"))->key_id();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(ids, ::testing::Each(ids[0]));
}

}  // namespace
}  // namespace interlock::audit
