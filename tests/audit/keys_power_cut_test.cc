// keys.db under the same faults as the log: each write, sync and deletion of a journal fails, or is
// the last one before the power goes. No key that was handed out is lost, no key that was destroyed
// comes back, in the file or beside it.
#include <gmock/gmock.h>
#include <sqlite3.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <vector>

#include "audit/keys.h"
#include "core/random.h"
#include "fault_vfs.h"
#include "fixture.h"

namespace interlock::audit {
namespace {

constexpr const char* kContent = R"({"name":"Xylophonist"})";
constexpr const char* kSubjects[] = {"ann", "bob", "cy"};

// What was answered with success before it ended.
struct Acknowledged {
  std::vector<SealedPayload> live;
  std::vector<SealedPayload> destroyed;
  std::vector<std::string> wrapped;  // keys that were destroyed, as they stood in the file
  bool whole = false;
};

class KeysPowerCutTest : public ::testing::Test {
 protected:
  KeysPowerCutTest() : faults_(InstallFaultVfs()) {
    if (std::filesystem::exists("/dev/shm")) ::setenv("TMPDIR", "/dev/shm", 1);
    faults_.watches_journals = true;
  }
  ~KeysPowerCutTest() override { InstallFaultVfs(); }

  // Read past the store, and without the faults being counted.
  static std::string WrappedKey(const std::string& folder, const std::string& key_id) {
    std::ifstream file(folder + "/keys.db", std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    const std::size_t at = bytes.find(key_id);
    // The row: key id, HMAC of the subject in hex, then the wrapped key.
    return at == std::string::npos ? "" : bytes.substr(at + key_id.size() + 64, 72);
  }

  Acknowledged Work(const std::string& folder) {
    Acknowledged done;
    auto store = KeyStore::Open(folder, &random_);
    if (!store.ok()) return done;
    for (const char* subject : kSubjects) {
      const auto key = (*store)->KeyFor(subject);
      if (!key.ok()) return done;
      done.live.push_back((*store)->Seal(**key, "m", kContent));
    }
    for (int i = 0; i < 2; ++i) {
      const SealedPayload content = done.live.front();
      const std::string wrapped = WrappedKey(folder, content.key_id);
      EXPECT_EQ(wrapped.size(), 72u);
      // Until it is answered the key may be there or not.
      done.live.erase(done.live.begin());
      if (!(*store)->DestroyKey(content.key_id).ok()) return done;
      done.destroyed.push_back(content);
      done.wrapped.push_back(wrapped);
      if (!(*store)->FinishErasure(content.key_id).ok()) return done;
    }
    const auto again = (*store)->KeyFor("ann");
    if (!again.ok()) return done;
    done.live.push_back((*store)->Seal(**again, "m", kContent));
    done.whole = true;
    return done;
  }

  void ExpectKept(const std::string& folder, const Acknowledged& done) {
    const auto store = KeyStore::Open(folder, &random_);
    ASSERT_TRUE(store.ok()) << store.status();
    for (const SealedPayload& content : done.live) {
      const auto opened = (*store)->Open(content);
      ASSERT_TRUE(opened.ok()) << opened.status();
      ASSERT_EQ(opened->plaintext, kContent);
    }
    for (const SealedPayload& content : done.destroyed) {
      ASSERT_EQ((*store)->Open(content).status().code(), core::StatusCode::kNotFound);
    }
    const auto halves = (*store)->UnfinishedErasures();
    ASSERT_TRUE(halves.ok()) << halves.status();
    for (const std::string& key : *halves) ASSERT_TRUE((*store)->FinishErasure(key).ok());
    for (const char* subject : kSubjects) ASSERT_TRUE((*store)->KeyFor(subject).ok());
  }

  std::uint64_t CountOperations() {
    const TempFolder place;
    faults_.Arm(Faults::At::kNever, 0);
    const Acknowledged done = Work(place.path());
    const std::uint64_t operations = faults_.operations();
    faults_.Disarm();
    EXPECT_TRUE(done.whole);
    EXPECT_EQ(done.destroyed.size(), 2u);
    return operations;
  }

  Faults& faults_;
  core::SystemRandom random_;
};

TEST_F(KeysPowerCutTest, EachOperationThatFailsLosesNoKeyAndBringsNoneBack) {
  const std::uint64_t operations = CountOperations();
  ASSERT_GT(operations, 40u);
  for (std::uint64_t number = 1; number <= operations; ++number) {
    SCOPED_TRACE("operation " + std::to_string(number));
    const TempFolder place;
    faults_.Arm(Faults::At::kFails, number);
    const Acknowledged done = Work(place.path());
    faults_.Disarm();
    ASSERT_NO_FATAL_FAILURE(ExpectKept(place.path(), done));
  }
}

TEST_F(KeysPowerCutTest, EachOperationThatIsTheLastLosesNoKeyAndBringsNoneBack) {
  const std::uint64_t operations = CountOperations();
  std::size_t destroyed = 0;
  for (std::uint64_t number = 1; number <= operations; ++number) {
    const TempFolder place;
    faults_.Arm(Faults::At::kPowerCut, number);
    const Acknowledged done = Work(place.path());
    std::map<Kept, std::map<std::string, std::string>> disks;
    for (const Kept kept : {Kept::kNothing, Kept::kEverything, Kept::kHalf, Kept::kReordered}) {
      disks[kept] = faults_.FilesAfterPowerCut(kept);
    }
    faults_.Disarm();
    destroyed += done.destroyed.size();
    for (const auto& [kept, files] : disks) {
      SCOPED_TRACE("operation " + std::to_string(number) + ", kept " +
                   std::to_string(static_cast<int>(kept)));
      const TempFolder after;
      std::filesystem::copy(place.path() + "/master.key", after.path() + "/master.key");
      for (const auto& [path, bytes] : files) {
        for (const std::string& wrapped : done.wrapped) {
          ASSERT_EQ(bytes.find(wrapped), std::string::npos) << path;
        }
      }
      WriteFiles(files, after.path());
      ASSERT_NO_FATAL_FAILURE(ExpectKept(after.path(), done));
    }
  }
  EXPECT_GT(destroyed, 5u);
}

}  // namespace
}  // namespace interlock::audit
