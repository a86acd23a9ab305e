// Sealed content that was destroyed: seen by who has the keys, and by nobody else.
#include "audit/content.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <functional>

#include "audit/verify.h"
#include "fixture.h"
#include "tamper.h"

namespace interlock::audit {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ContentTest : public LogFixture {
 protected:
  ContentTest() : keys_(MustOpenKeys()) {
    const auto log = MustOpen();
    for (const char* subject : {"ann", "bob"}) {
      Seal(*log, subject, R"({"amount":"12.00","order":"o-1"})");
    }
  }
  std::unique_ptr<KeyStore> MustOpenKeys() {
    auto keys = KeyStore::Open(Folder(), &random_);
    EXPECT_TRUE(keys.ok()) << keys.status();
    if (!keys.ok()) std::abort();
    return *std::move(keys);
  }
  std::string Folder() { return Options().folder; }

  // `committed` is what the entry says of the fields, when that is not true.
  void Seal(Log& log, const std::string& subject, const std::string& content,
            const std::string& committed = "") {
    const auto key = keys_->KeyFor(subject);
    ASSERT_TRUE(key.ok()) << key.status();
    const std::vector<PayloadField> fields = {{"amount", R"("12.00")"}, {"order", R"("o-1")"}};
    std::vector<core::Digest> digests;
    SealedPayload payload = keys_->SealFields(**key, "application/json", content, fields, digests);
    std::string text = "{";
    for (std::size_t i = 0; i < fields.size(); ++i) {
      text += (i == 0 ? "\"" : ",\"") + std::string(fields[i].name) + "\":\"" +
              (committed.empty() ? core::Hex(digests[i]) : committed) + "\"";
    }
    const std::string body = R"({"args":)" + CommitmentText(payload, 0, text + "}") + "}";
    const auto ref = log.Append(EntryOf("call.proposed", "", body), {payload});
    ASSERT_TRUE(ref.ok()) << ref.status();
    last_ = ref->index;
  }
  VerifyReport Check(KeyStore* keys) {
    VerifyOptions options;
    options.database = Database();
    options.keys = keys;
    return Verify(options);
  }
  void Damage(const std::string& sql) { RawDb(Database()).DoWithoutTriggers({sql}); }

  std::unique_ptr<KeyStore> keys_;
  std::uint64_t last_ = 0;
};

TEST_F(ContentTest, ThatOpensIsCounted) {
  const VerifyReport report = Check(keys_.get());
  EXPECT_EQ(report.verdict, Verdict::kIntact) << report.reason;
  EXPECT_EQ(report.opened, 2u);
  EXPECT_EQ(Check(nullptr).opened, 0u);
}

TEST_F(ContentTest, OfOtherBytesIsFoundWithTheKeysOnly) {
  Damage("UPDATE payload SET sealed = randomblob(length(sealed)) WHERE id >> 8 = " +
         std::to_string(last_));
  EXPECT_EQ(Check(nullptr).verdict, Verdict::kIntact);
  const VerifyReport report = Check(keys_.get());
  EXPECT_EQ(report.verdict, Verdict::kTampered);
  EXPECT_EQ(report.first_bad, last_);
  EXPECT_THAT(report.reason, HasSubstr("does not open"));
  const auto log = MustOpen();
  const auto look = LookAtContent(*log, *keys_, 0, 100);
  ASSERT_TRUE(look.ok()) << look.status();
  EXPECT_THAT(look->damaged, ElementsAre(static_cast<std::int64_t>(last_ << 8)));
  EXPECT_EQ(look->opened, 1u);
  EXPECT_EQ(look->next_index, log->size());
}

TEST_F(ContentTest, WhoseRowIsGoneOrMisshapenHoldsNoLookUp) {
  RawDb(Database())
      .DoWithoutTriggers({"PRAGMA ignore_check_constraints = ON",
                          "UPDATE payload SET commitment = x'00' WHERE id = 0",
                          "DELETE FROM payload WHERE id > 0"});
  const auto log = MustOpen();
  const auto look = LookAtContent(*log, *keys_, 0, 100);
  ASSERT_TRUE(look.ok()) << look.status();
  EXPECT_THAT(look->damaged, ElementsAre(0, static_cast<std::int64_t>(last_ << 8)));
  EXPECT_EQ(look->next_index, log->size());
}

TEST_F(ContentTest, OfAnotherMediaTypeIsFound) {
  Damage("UPDATE payload SET media = 'text/html'");
  EXPECT_EQ(Check(keys_.get()).verdict, Verdict::kTampered);
}

TEST_F(ContentTest, WithOtherFieldsThanTheEntryCommitsToIsFound) {
  {
    const auto log = MustOpen();
    Seal(*log, "ann", R"({"amount":"12.00","order":"o-1"})", std::string(64, '0'));
  }
  EXPECT_EQ(Check(nullptr).verdict, Verdict::kIntact);
  const VerifyReport report = Check(keys_.get());
  EXPECT_EQ(report.first_bad, last_);
  EXPECT_THAT(report.reason, HasSubstr("other fields"));
}

TEST_F(ContentTest, WhoseKeyIsGoneNeedsAnEntryThatSaysSo) {
  const auto id = keys_->KeyIdOf("ann");
  ASSERT_TRUE(id.ok()) << id.status();
  ASSERT_TRUE(keys_->DestroyKey(*id).ok());
  const VerifyReport lost = Check(keys_.get());
  EXPECT_EQ(lost.verdict, Verdict::kIncomplete);
  EXPECT_THAT(lost.reason, HasSubstr("1 payloads"));
  {
    const auto log = MustOpen();
    const auto look = LookAtContent(*log, *keys_, 0, 100);
    ASSERT_TRUE(look.ok());
    ASSERT_EQ(look->keyless.size(), 1u);
    EXPECT_EQ(look->keyless[0].second, *id);
    EXPECT_THAT(look->damaged, IsEmpty());
    const std::string body = R"({"key":")" + *id + R"("})";
    ASSERT_TRUE(log->Append(EntryOf("payload.erased", "", body)).ok());
  }
  EXPECT_EQ(Check(keys_.get()).verdict, Verdict::kIntact);
}

// Does something when the first entry has been looked at.
class Meanwhile final : public Projector {
 public:
  explicit Meanwhile(std::function<void()> act) : act_(std::move(act)) {}
  std::string_view name() const override { return "meanwhile"; }
  std::vector<std::string> Schema() const override { return {}; }
  core::Status Attach(sqlite3*) override { return core::OkStatus(); }
  core::Status Apply(const EntryView& entry) override {
    if (entry.index == 0) act_();
    return core::OkStatus();
  }
  core::Status Flush() override { return core::OkStatus(); }
  void Reset() override {}

 private:
  const std::function<void()> act_;
};

TEST_F(ContentTest, WhoseKeyGoesWhileItIsReadIsNotCalledLost) {
  Meanwhile nothing([] {});
  projectors_ = {&nothing};
  const auto log = MustOpen();
  const auto look = [&](std::function<void()> act) {
    // Only what is folded is shown to the projector.
    EXPECT_TRUE(log->Query([](sqlite3*) { return core::OkStatus(); }).ok());
    Meanwhile meanwhile(std::move(act));
    VerifyOptions options;
    options.database = Database();
    options.keys = keys_.get();
    options.projectors = {&meanwhile};
    return Verify(options);
  };
  const std::string bob = *keys_->KeyIdOf("bob");
  const VerifyReport erased = look([&] {
    ASSERT_TRUE(log->Append(EntryOf("payload.erased", "", R"({"key":")" + bob + R"("})")).ok());
    ASSERT_TRUE(keys_->DestroyKey(bob).ok());
  });
  EXPECT_EQ(erased.verdict, Verdict::kIntact) << erased.reason;
  EXPECT_EQ(erased.opened, 1u);
  EXPECT_THAT(erased.not_checked, HasSubstr("1 payloads that were erased meanwhile"));
  EXPECT_EQ(look([] {}).not_checked, "") << "now it stands in what is read";
  // Its twin: nobody says that the other one was.
  const VerifyReport lost =
      look([&] { ASSERT_TRUE(keys_->DestroyKey(*keys_->KeyIdOf("ann")).ok()); });
  EXPECT_EQ(lost.verdict, Verdict::kIntact) << "it was opened before";
  EXPECT_EQ(look([] {}).verdict, Verdict::kIncomplete);
}

TEST_F(ContentTest, IsReadWithoutWritingToTheKeys) {
  keys_.reset();
  EXPECT_EQ(KeyStore::OpenForReading(folder_.path(), &random_).status().code(),
            core::StatusCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/keys.db"));
  const auto reader = KeyStore::OpenForReading(Folder(), &random_);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(Check(reader->get()).verdict, Verdict::kIntact);
  EXPECT_EQ(Check(reader->get()).opened, 2u);
  EXPECT_FALSE((*reader)->KeyFor("nobody").ok());
}

}  // namespace
}  // namespace interlock::audit
