// Each attack on the file is found and named; the untouched log is not.
#include "audit/verify.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <random>

#include "fixture.h"
#include "tamper.h"

namespace interlock::audit {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kEntries = 600;  // two full tiles, a third that is open

// As a daemon at work holds it.
class HeldLock {
 public:
  explicit HeldLock(const std::string& folder)
      : fd_(::open((folder + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    EXPECT_EQ(::flock(fd_, LOCK_EX | LOCK_NB), 0);
  }
  ~HeldLock() { ::close(fd_); }
  HeldLock(const HeldLock&) = delete;
  HeldLock& operator=(const HeldLock&) = delete;

 private:
  const int fd_;
};

class VerifyTest : public LogFixture {
 protected:
  VerifyTest() {
    auto keys = KeyStore::Open(folder_.path() + "/keys", &random_);
    EXPECT_TRUE(keys.ok());
    const auto key = *(*keys)->KeyFor("alice");
    auto log = MustOpen();
    for (std::uint64_t i = 0; i < kEntries; ++i) {
      clock_.Advance(1000);
      const std::string& run = i % 2 == 0 ? kRunA : kRunB;
      if (i % 50 == 7) {
        const SealedPayload payload = (*keys)->Seal(*key, "text/plain", "hello");
        const std::string body = R"({"text":)" + CommitmentText(payload, 0) + "}";
        EXPECT_TRUE(log->Append(EntryOf("message.received", run, body), {payload}).ok());
      } else {
        EXPECT_TRUE(log->Append(EntryOf("call.decided", run, R"({"verdict":"deny"})")).ok());
      }
      if (i == 345) {  // a head within a full tile
        EXPECT_TRUE(log->CheckpointNow().ok());
      }
      if (i == 549) early_note_ = log->CheckpointNow()->note;
    }
    late_note_ = log->CheckpointNow()->note;
  }

  VerifyReport Run(std::vector<std::string> outside = {}, std::string key = "") {
    VerifyOptions options;
    options.database = Database();
    options.outside_checkpoints = std::move(outside);
    options.verifier_key = std::move(key);
    return Verify(options);
  }
  void ExpectBad(std::uint64_t index, const VerifyReport& report) {
    EXPECT_EQ(report.verdict, Verdict::kTampered) << report.reason;
    ASSERT_TRUE(report.first_bad.has_value()) << report.reason;
    EXPECT_EQ(*report.first_bad, index) << report.reason;
  }
  std::string FileBytes() {
    std::ifstream in(Database(), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void WriteFile(const std::string& bytes) {
    std::ofstream(Database(), std::ios::binary | std::ios::trunc) << bytes;
  }

  std::string early_note_;
  std::string late_note_;
};

TEST_F(VerifyTest, UntouchedLogIsIntact) {
  const VerifyReport report = Run({early_note_, late_note_}, signer_->verifier_key());
  EXPECT_EQ(report.verdict, Verdict::kIntact) << report.reason;
  EXPECT_EQ(report.reason, "");
  EXPECT_EQ(report.entries, kEntries);
  EXPECT_EQ(report.signed_entries, kEntries);
  EXPECT_GE(report.checkpoints, 4u);
  EXPECT_TRUE(report.key_pinned);
  EXPECT_FALSE(report.first_bad.has_value());
  // It wrote nothing.
  EXPECT_FALSE(std::filesystem::exists(Database() + "-wal"));
  EXPECT_FALSE(std::filesystem::exists(Database() + "-shm"));
}

TEST_F(VerifyTest, OpenLogCanBeVerifiedBesideItsDaemon) {
  auto log = MustOpen();
  ASSERT_TRUE(log->Append(EntryOf("call.decided", kRunA)).ok());
  const VerifyReport report = Run();
  EXPECT_EQ(report.verdict, Verdict::kIntact) << report.reason;
  EXPECT_EQ(report.entries, kEntries + 1);
  EXPECT_EQ(report.signed_entries, kEntries);
}

// `flock` takes no right but to open the file: what looks like a daemon at work may be a forger.
TEST_F(VerifyTest, WhoHoldsTheLockMakesNoTailWhole) {
  RawDb(Database()).DoWithoutTriggers({"DELETE FROM checkpoint WHERE size > 550"});
  EXPECT_EQ(Run().verdict, Verdict::kIncomplete);
  {
    const HeldLock lock(Options().folder);
    const VerifyReport beside = Run();
    EXPECT_EQ(beside.verdict, Verdict::kIntact) << beside.reason;
    EXPECT_EQ(beside.signed_entries, 550u);
    EXPECT_THAT(beside.reason, HasSubstr("but for the last 50 entries"));
    RawDb(Database()).Do("UPDATE p_watermark SET next_idx = 0");
    RawDb(Database()).Do("DELETE FROM p_entry_run");
    EXPECT_THAT(Run().not_checked, HasSubstr("projections of the last 600 entries"));
    RawDb(Database()).Do("UPDATE p_watermark SET next_idx = 600");
  }
  EXPECT_EQ(Run().verdict, Verdict::kTampered);
}

TEST_F(VerifyTest, NoDaemonLeavesEntriesWithoutAHeadForMinutes) {
  {
    const auto log = MustOpen();
    ASSERT_TRUE(log->Append(EntryOf("call.decided", kRunA)).ok());
    clock_.Advance(121'000'000);
    ASSERT_TRUE(log->Append(EntryOf("call.decided", kRunA)).ok());
  }
  EXPECT_EQ(Run().verdict, Verdict::kIntact) << Run().reason;
  RawDb(Database()).DoWithoutTriggers({"DELETE FROM checkpoint WHERE size > 600"});
  const HeldLock lock(Options().folder);
  EXPECT_EQ(Run().verdict, Verdict::kIncomplete);
  EXPECT_THAT(Run().reason, HasSubstr("nothing vouches for the last"));
}

TEST_F(VerifyTest, ByteFlipInAnyEntryNamesIt) {
  const std::string good = FileBytes();
  std::mt19937_64 random(7);
  std::vector<std::string> entries;
  {
    RawDb db(Database());
    entries = db.Column("SELECT bytes FROM entry ORDER BY idx");
  }
  for (int round = 0; round < 40; ++round) {
    const std::uint64_t index = random() % kEntries;
    const std::size_t at = good.find(entries[index]);
    ASSERT_NE(at, std::string::npos);
    std::string bad = good;
    const std::size_t byte = at + random() % entries[index].size();
    bad[byte] = static_cast<char>(bad[byte] ^ (1 << random() % 8));
    WriteFile(bad);
    ExpectBad(index, Run());
  }
  WriteFile(good);
  EXPECT_EQ(Run().verdict, Verdict::kIntact);
}

TEST_F(VerifyTest, NoFlippedByteAnywhereIsACrash) {
  const std::string good = FileBytes();
  std::mt19937_64 random(11);
  for (int round = 0; round < 60; ++round) {
    std::string bad = good;
    for (int i = 0; i < 3; ++i) bad[random() % bad.size()] ^= static_cast<char>(random());
    if (round % 10 == 0) bad.resize(random() % bad.size());
    WriteFile(bad);
    const VerifyReport report = Run({late_note_});
    EXPECT_EQ(report.reason.empty(), report.verdict == Verdict::kIntact);
  }
}

TEST_F(VerifyTest, EditNamesTheEntry) {
  RawDb(Database())
      .DoWithoutTriggers(
          {"UPDATE entry SET bytes = CAST(replace(CAST(bytes AS TEXT), 'deny', 'okay') AS BLOB) "
           "WHERE idx = 300"});
  ExpectBad(300, Run());
}

TEST_F(VerifyTest, EditWithARecomputedHashNamesTheEntry) {
  {
    RawDb db(Database());
    db.DoWithoutTriggers({RawDb::Rewrite(300, Replaced(db.EntryBytes(300), "deny", "okay"))});
  }
  ExpectBad(300, Run());
}

TEST_F(VerifyTest, EditOutsideAnyTileIsNamedByTheEntryThatFollows) {
  {
    RawDb db(Database());
    db.DoWithoutTriggers({RawDb::Rewrite(580, Replaced(db.EntryBytes(580), "deny", "okay"))});
  }
  ExpectBad(580, Run());
}

TEST_F(VerifyTest, EditOfTheVeryLastEntryContradictsTheCheckpoint) {
  {
    RawDb db(Database());
    db.DoWithoutTriggers({RawDb::Rewrite(599, Replaced(db.EntryBytes(599), "deny", "okay"))});
  }
  const VerifyReport report = Run();
  EXPECT_EQ(report.verdict, Verdict::kTampered);
  ASSERT_TRUE(report.first_bad.has_value());
  EXPECT_GE(*report.first_bad, 550u);  // the last root that holds
  EXPECT_LE(*report.first_bad, 599u);
}

TEST_F(VerifyTest, RewriteFromAnEntryOnWithoutTheKeyContradictsTheCheckpoint) {
  {
    RawDb db(Database());
    std::string bytes = Replaced(db.EntryBytes(598), "deny", "okay");
    db.DoWithoutTriggers(
        {RawDb::Rewrite(598, bytes), "DELETE FROM p_entry_run", "DELETE FROM p_watermark"});
  }
  EXPECT_EQ(Run().verdict, Verdict::kTampered);
}

TEST_F(VerifyTest, MissingEntryIsNamed) {
  RawDb(Database()).DoWithoutTriggers({"DELETE FROM entry WHERE idx = 123"});
  ExpectBad(123, Run());
}

TEST_F(VerifyTest, SwappedEntriesAreNamed) {
  RawDb(Database())
      .DoWithoutTriggers({"UPDATE entry SET idx = -5 WHERE 0",
                          "CREATE TEMP TABLE t AS SELECT * FROM entry WHERE idx IN (40, 42)",
                          "UPDATE entry SET bytes = (SELECT bytes FROM t WHERE idx = 42), "
                          "hash = (SELECT hash FROM t WHERE idx = 42) WHERE idx = 40",
                          "UPDATE entry SET bytes = (SELECT bytes FROM t WHERE idx = 40), "
                          "hash = (SELECT hash FROM t WHERE idx = 40) WHERE idx = 42"});
  ExpectBad(40, Run());
}

// All traces of the tail removed: only a head kept elsewhere can know.
TEST_F(VerifyTest, TruncatedTailIsCaughtByAnOutsideCheckpoint) {
  RawDb(Database())
      .DoWithoutTriggers(
          {"DELETE FROM entry WHERE idx >= 550", "DELETE FROM payload WHERE id >> 8 >= 550",
           "DELETE FROM checkpoint WHERE size > 550", "DELETE FROM p_entry_run WHERE idx >= 550",
           "UPDATE p_watermark SET next_idx = 550"});
  EXPECT_EQ(Run().verdict, Verdict::kIntact);
  EXPECT_EQ(Run({early_note_}).verdict, Verdict::kIntact);
  ExpectBad(550, Run({late_note_}));
}

TEST_F(VerifyTest, TruncatedTailContradictsTheCheckpointsInside) {
  RawDb(Database()).DoWithoutTriggers({"DELETE FROM entry WHERE idx >= 590"});
  ExpectBad(590, Run());
}

TEST_F(VerifyTest, OpeningATruncatedLogIsRefusedByTheSigner) {
  RawDb(Database())
      .DoWithoutTriggers(
          {"DELETE FROM entry WHERE idx >= 550", "DELETE FROM payload WHERE id >> 8 >= 550",
           "DELETE FROM checkpoint WHERE size > 550", "DELETE FROM p_entry_run WHERE idx >= 550",
           "UPDATE p_watermark SET next_idx = 550"});
  const auto log = Log::Open(Options());
  EXPECT_EQ(log.status().code(), core::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(core::Message(log.status())), HasSubstr("lost entries"));
}

TEST_F(VerifyTest, OpenReadsTheEntriesSinceTheLastCheckpoint) {
  RawDb(Database())
      .DoWithoutTriggers(
          {"DELETE FROM checkpoint WHERE size > 550",
           "UPDATE entry SET bytes = CAST(replace(CAST(bytes AS TEXT), 'deny', 'okay') AS BLOB) "
           "WHERE idx = 570"});
  const auto log = Log::Open(Options());
  EXPECT_EQ(log.status().code(), core::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(core::Message(log.status())), HasSubstr("entry 570"));
}

TEST_F(VerifyTest, BackgroundScanStopsAppendsOnOldDamage) {
  RawDb(Database())
      .DoWithoutTriggers(
          {"UPDATE entry SET bytes = CAST(replace(CAST(bytes AS TEXT), 'deny', 'okay') AS BLOB) "
           "WHERE idx = 10"});
  auto log = MustOpen();
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (log->health() == Health::kOk && std::chrono::steady_clock::now() < until) {
    std::this_thread::yield();
  }
  EXPECT_EQ(log->health(), Health::kStopped);
  EXPECT_THAT(log->health_reason(), HasSubstr("entry 10 "));
  EXPECT_EQ(log->Append(EntryOf("call.decided", kRunA)).status().code(),
            core::StatusCode::kDataLoss);
}

// The row is named by its key, and an honest one beside it is not.
TEST_F(VerifyTest, ARowOfAProjectionThatLiesIsNamed) {
  const std::string good = FileBytes();
  const std::string run_a = "0190c2a47d2e7c3a8b1f0123456789ab";
  const struct {
    std::string sql;
    std::string says;
  } cases[] = {
      {"UPDATE p_entry_run SET idx = 5 WHERE run_seq = 3 AND run = x'" + run_a + "'",
       "the row `" + run_a + ", 3` is not what the entries say, in `idx`"},
      {"DELETE FROM p_entry_run WHERE run_seq = 0 AND run = x'" + run_a + "'",
       "the row `" + run_a + ", 0` is missing"},
      {"DELETE FROM p_entry_run WHERE run_seq = 299 AND run = x'" + run_a + "'",
       "the row `" + run_a + ", 299` is missing"},
      {"DELETE FROM p_entry_run", "the row `" + run_a + ", 0` is missing"},
      {"INSERT INTO p_entry_run(run, run_seq, idx) VALUES(x'" + run_a + "', 300, 7)",
       "the row `" + run_a + ", 300` does not belong there"},
      {"INSERT INTO p_entry_run(run, run_seq, idx) VALUES(x'00', 0, 7)",
       "the row `00, 0` does not belong there"},
      {"INSERT INTO p_entry_run(run, run_seq, idx) VALUES(x'ff', 0, 7)",
       "the row `ff, 0` does not belong there"},
  };
  for (const auto& one : cases) {
    RawDb(Database()).Do(one.sql);
    const VerifyReport report = Run();
    EXPECT_EQ(report.verdict, Verdict::kTampered) << one.sql;
    EXPECT_THAT(report.reason, HasSubstr("projection `p_entry_run` lies: " + one.says)) << one.sql;
    WriteFile(good);
  }
  EXPECT_EQ(Run().verdict, Verdict::kIntact);
}

TEST_F(VerifyTest, MissingPayloadIsFoundAndAnErasedOneIsNot) {
  RawDb(Database()).Do("UPDATE payload SET sealed = NULL WHERE id >> 8 = 107");
  ExpectBad(107, Run());  // nobody said so
  {
    auto log = MustOpen();
    ASSERT_TRUE(log->Append(EntryOf("payload.erased", "", R"({"payloads":[27392]})")).ok());
    const auto row = log->ReadPayload(107, 0);
    ASSERT_TRUE(row.ok());
    EXPECT_TRUE(row->erased);
    EXPECT_EQ(row->payload.sealed, "");
  }
  EXPECT_EQ(Run().verdict, Verdict::kIntact) << Run().reason;
  RawDb(Database()).DoWithoutTriggers({"DELETE FROM payload WHERE id >> 8 = 157"});
  ExpectBad(157, Run());
}

TEST_F(VerifyTest, HashesAloneFindAnEditButNotALyingProjection) {
  const auto hashes = [&] {
    VerifyOptions options;
    options.database = Database();
    options.depth = VerifyDepth::kHashes;
    return Verify(options);
  };
  EXPECT_EQ(hashes().verdict, Verdict::kIntact);
  RawDb(Database()).Do("UPDATE p_entry_run SET idx = 5 WHERE run_seq = 3");
  EXPECT_EQ(hashes().verdict, Verdict::kIntact);
  {
    RawDb db(Database());
    db.DoWithoutTriggers({RawDb::Rewrite(300, Replaced(db.EntryBytes(300), "deny", "okay"))});
  }
  ExpectBad(300, hashes());
}

TEST_F(VerifyTest, ChangedFileThatEntriesCiteIsFound) {
  RawDb(Database())
      .DoWithoutTriggers({"INSERT INTO blob VALUES(zeroblob(32), CAST('policy' AS BLOB))"});
  EXPECT_THAT(Run().reason, HasSubstr("was changed"));
}

TEST_F(VerifyTest, ChangedTreeIsFound) {
  RawDb(Database())
      .DoWithoutTriggers({"UPDATE tile SET hashes = CAST(substr(hashes, 1, 320) || x'00' || "
                          "substr(hashes, 322) AS BLOB) "
                          "WHERE id = 1"});
  ExpectBad(256 + 10, Run());
}

TEST_F(VerifyTest, ChangedCheckpointIsFound) {
  RawDb(Database())
      .DoWithoutTriggers(
          {"UPDATE checkpoint SET note = replace(note, 'interlock.example', 'interlock.exemple')"});
  EXPECT_EQ(Run().verdict, Verdict::kTampered);
  EXPECT_THAT(Run().reason, HasSubstr("checkpoint"));
}

TEST_F(VerifyTest, DroppedTriggerIsFound) {
  RawDb(Database()).Do("DROP TRIGGER entry_next");
  EXPECT_EQ(Run().verdict, Verdict::kTampered);
  EXPECT_THAT(Run().reason, HasSubstr("entry_next"));
}

TEST_F(VerifyTest, LogReSignedWithAnotherKeyFailsUnderThePinnedOne) {
  TempFolder elsewhere;
  const auto thief = *OpenFileSigner(elsewhere.path(), "interlock.example/main");
  {
    RawDb db(Database());
    const auto roots = db.Column("SELECT root FROM checkpoint ORDER BY size DESC LIMIT 1");
    core::Digest root{};
    std::copy(roots.at(0).begin(), roots.at(0).end(), root.begin());
    const Checkpoint forged = *thief->Sign({"interlock.example/main", kEntries, root, {}});
    db.DoWithoutTriggers(
        {"DELETE FROM checkpoint", "UPDATE log SET verifier_key = '" + thief->verifier_key() + "'",
         "INSERT INTO checkpoint VALUES(600, x'" + core::Hex(root) + "', '" + forged.note + "')"});
  }
  EXPECT_EQ(Run().verdict, Verdict::kIntact);  // nothing inside can tell
  EXPECT_EQ(Run({}, signer_->verifier_key()).verdict, Verdict::kTampered);
  EXPECT_EQ(Run({late_note_}).verdict, Verdict::kTampered);
}

TEST_F(VerifyTest, WithoutAnyCheckpointItIsIncomplete) {
  RawDb(Database()).DoWithoutTriggers({"DELETE FROM checkpoint"});
  EXPECT_EQ(Run().verdict, Verdict::kIncomplete);
  EXPECT_EQ(Run({late_note_}).verdict, Verdict::kIntact);
}

TEST_F(VerifyTest, WhatCannotBeReadIsNotCalledTampered) {
  VerifyOptions options;
  options.database = folder_.path() + "/none.db";
  EXPECT_EQ(Verify(options).verdict, Verdict::kCouldNotCheck);
  EXPECT_FALSE(std::filesystem::exists(options.database));
  options.database = folder_.path() + "/text.db";
  std::ofstream(options.database) << std::string(9000, 'x');
  EXPECT_EQ(Verify(options).verdict, Verdict::kCouldNotCheck);
  EXPECT_EQ(Run({"no checkpoint at all"}).verdict, Verdict::kCouldNotCheck);
}

TEST_F(VerifyTest, TriggersStopEveryStatementThatChangesEntries) {
  RawDb db(Database());
  for (const char* sql : {
           "UPDATE entry SET bytes = x'7b7d' WHERE idx = 2",
           "DELETE FROM entry WHERE idx = 2",
           "DELETE FROM entry",
           "INSERT OR REPLACE INTO entry VALUES(2, zeroblob(32), x'7b7d')",
           "REPLACE INTO entry VALUES(2, zeroblob(32), x'7b7d')",
           "INSERT INTO entry VALUES(2, zeroblob(32), x'7b7d') ON CONFLICT(idx) DO UPDATE SET "
           "bytes = x'7b7d'",
           "INSERT INTO entry VALUES(700, zeroblob(32), x'7b7d')",
           "INSERT INTO entry VALUES(-1, zeroblob(32), x'7b7d')",
           "UPDATE tile SET root = zeroblob(32)",
           "DELETE FROM tile",
           "INSERT OR REPLACE INTO tile VALUES(0, zeroblob(32), zeroblob(8192))",
           "UPDATE checkpoint SET note = ''",
           "DELETE FROM checkpoint",
           "INSERT OR REPLACE INTO checkpoint VALUES(600, zeroblob(32), '')",
           "DELETE FROM payload",
           "UPDATE payload SET sealed = x'00'",
           "UPDATE payload SET commitment = zeroblob(32), sealed = NULL",
           "INSERT OR REPLACE INTO payload SELECT id, key_id, commitment, media, 1, NULL FROM "
           "payload LIMIT 1",
           "UPDATE log SET tenant = 'x'",
           "DELETE FROM log",
           "INSERT OR REPLACE INTO log VALUES(1, 'x', 'x', 'x', 1)",
       }) {
    EXPECT_NE(db.Try(sql), "") << sql;
  }
  EXPECT_EQ(Run().verdict, Verdict::kIntact) << Run().reason;
  // The harmless twin: the next entry is accepted (and is then found to be no entry at all).
  EXPECT_EQ(db.Try("INSERT INTO entry VALUES(600, zeroblob(32), x'7b7d')"), "");
  ExpectBad(600, Run());
}

// Entries are read and hashed by blocks of 4,096, the next one while the last one is hashed.
class LongLogTest : public LogFixture {
 protected:
  static constexpr std::uint64_t kLongEntries = 9000;
  static constexpr std::uint64_t kACommand = 500;

  LongLogTest() {
    auto log = MustOpen();
    for (std::uint64_t first = 0; first < kLongEntries; first += kACommand) {
      log->Submit(
          std::make_unique<TestCommand>(
              [first](Transaction& transaction) -> core::Status {
                for (std::uint64_t i = first; i < first + kACommand; ++i) {
                  INTERLOCK_RETURN_IF_ERROR(
                      transaction.Append(EntryOf("call.decided", kRunA, BodyOf(i))).status());
                }
                return core::OkStatus();
              },
              [](const core::Status& status) { EXPECT_TRUE(status.ok()) << status; }),
          Urgency::kNormal);
    }
    EXPECT_TRUE(log->CheckpointNow().ok());
  }

  static std::string BodyOf(std::uint64_t number) {
    return R"({"number":)" + std::to_string(number) + "}";
  }
  VerifyReport Run() {
    VerifyOptions options;
    options.database = Database();
    return Verify(options);
  }
};

TEST_F(LongLogTest, IsReadToItsEnd) {
  const VerifyReport report = Run();
  EXPECT_EQ(report.verdict, Verdict::kIntact) << report.reason;
  EXPECT_GE(report.entries, kLongEntries);
}

TEST_F(LongLogTest, EntriesOfLaterBlocksAreNamed) {
  for (const std::uint64_t index : {8500u, 4096u}) {  // the earlier one comes last
    RawDb db(Database());
    const std::string bytes = Replaced(db.EntryBytes(index), "call.decided", "call.proposed");
    db.DoWithoutTriggers({db.Rewrite(index, bytes)});
    const VerifyReport report = Run();
    EXPECT_EQ(report.verdict, Verdict::kTampered);
    EXPECT_EQ(report.first_bad, index) << report.reason;
  }
}

TEST_F(LongLogTest, AMissingEntryOfALaterBlockIsNamed) {
  RawDb(Database()).DoWithoutTriggers({"DELETE FROM entry WHERE idx = 5000"});
  const VerifyReport report = Run();
  EXPECT_EQ(report.verdict, Verdict::kTampered);
  EXPECT_EQ(report.first_bad, 5000u) << report.reason;
}

TEST_F(LongLogTest, APageThatCannotBeReadIsNoEndOfTheLog) {
  std::fstream file(Database(), std::ios::binary | std::ios::in | std::ios::out);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const std::size_t at = bytes.find(BodyOf(8600));
  ASSERT_NE(at, std::string::npos);
  constexpr std::size_t kPageBytes = 8192;
  file.seekp(static_cast<std::streamoff>(at / kPageBytes * kPageBytes));
  file << std::string(kPageBytes, '\xff');
  file.close();
  const VerifyReport report = Run();
  EXPECT_EQ(report.verdict, Verdict::kCouldNotCheck) << report.reason;
  EXPECT_THAT(report.reason, HasSubstr("malformed"));
}

}  // namespace
}  // namespace interlock::audit
