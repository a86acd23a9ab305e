// DESIGN's rules 27 to 29 on the log alone: clocks, disks, a second daemon, an old file.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>

#include "audit/verify.h"
#include "fixture.h"
#include "harness/read_only_mount.h"
#include "schema_v1.h"
#include "tamper.h"

namespace interlock::audit {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RulesTest : public LogFixture {};

TEST_F(RulesTest, Rule27_StepsOfTheWallClockAreToldWithTheirSize) {
  std::vector<std::int64_t> steps;
  LogOptions options = Options();
  options.clock_stepped = [&](std::int64_t by_us) { steps.push_back(by_us); };
  const auto log = MustOpen(options);
  const auto append = [&] {
    return log->Read(log->Append(EntryOf("call.decided", kRunA))->index)->time_us;
  };
  const std::int64_t first = append();
  clock_.Advance(50'000'000);  // time that passes is no step
  append();
  clock_.wall_us += 1'900'000;  // below the limit
  append();
  clock_.wall_us += 7'200'000'000;
  const std::int64_t forward = append();
  clock_.wall_us -= 10'000'000'000;
  const std::int64_t back = append();
  EXPECT_THAT(steps, ElementsAre(7'201'900'000, -10'000'000'000));
  EXPECT_GT(forward, first);
  EXPECT_EQ(back, forward);  // stands still until the wall has caught up
}

// By a mount: root may write whatever the permissions say, and another user could not even get
// there.
TEST_F(RulesTest, Rule28_AReadOnlyDiskIsRefusedAtOpen) {
  if (const std::string why = interlock::test::ReadOnlyMount::Prepare(); !why.empty()) {
    GTEST_SKIP() << why;
  }
  ASSERT_TRUE(MustOpen()->Append(EntryOf("run.started", kRunA)).ok());
  interlock::test::ReadOnlyMount mount(Options().folder);
  ASSERT_TRUE(mount.ok());
  const auto log = Log::Open(Options());
  EXPECT_EQ(log.status().code(), core::StatusCode::kPermissionDenied) << log.status();
  EXPECT_THAT(std::string(core::Message(log.status())), HasSubstr("ead-only"));
  mount.Undo();
  EXPECT_EQ(MustOpen()->size(), 1u);  // the twin
}

TEST_F(RulesTest, Rule29_AWriteAheadLogThatAReaderHoldsOpenIsAWarning) {
  LogOptions options = Options();
  options.wal_warn_bytes = 1 << 20;
  const auto log = MustOpen(options);
  ASSERT_TRUE(log->Append(EntryOf("run.started", kRunA)).ok());
  const auto warned = [&] {
    const std::vector<std::string> warnings = log->warnings();
    return std::any_of(warnings.begin(), warnings.end(), [](const std::string& warning) {
      return warning.find("a reader keeps it from being copied") != std::string::npos;
    });
  };
  EXPECT_FALSE(warned());
  const std::string body = R"({"text":")" + std::string(40'000, 'x') + "\"}";
  {
    RawDb reader(Database());  // an auditor's program in the middle of a long query
    reader.Do("BEGIN");
    reader.Do("SELECT count(*) FROM entry");
    for (int i = 0; i < 60; ++i)
      ASSERT_TRUE(log->Append(EntryOf("call.decided", kRunA, body)).ok());
    EXPECT_TRUE(warned());
    EXPECT_EQ(log->health(), Health::kOk);
  }
}

TEST_F(RulesTest, Rule29_AWriteAheadLogIsShortAgainOnceItsReaderHasGone) {
  const std::string wal = Database() + "-wal";
  const std::string body = R"({"text":")" + std::string(64'000, 'x') + "\"}";
  constexpr std::uint64_t kKept = 64 << 20;
  auto log = MustOpen();
  const auto append = [&] { ASSERT_TRUE(log->Append(EntryOf("call.decided", kRunA, body)).ok()); };
  {
    RawDb reader(Database());
    reader.Do("BEGIN; SELECT count(*) FROM entry");
    while (std::filesystem::file_size(wal) <= kKept + (4 << 20)) append();
  }
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (std::filesystem::file_size(wal) > kKept && std::chrono::steady_clock::now() < until) {
    append();
  }
  EXPECT_LE(std::filesystem::file_size(wal), kKept);
  const std::uint64_t size = log->size();
  log.reset();
  EXPECT_FALSE(std::filesystem::exists(wal));
  EXPECT_EQ(MustOpen()->size(), size);
}

TEST_F(RulesTest, Rule29_ASecondDaemonIsRefusedWithTheFirstOnesPid) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto signer = OpenFileSigner(folder_.path() + "/signer", "interlock.example/main");
    LogOptions options = Options();
    options.signer = signer->get();
    const auto log = Log::Open(options);
    static_cast<void>(!::write(ready[1], log.ok() ? "y" : "n", 1));
    ::pause();
  }
  char answer = 0;
  ASSERT_EQ(::read(ready[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  const core::Status second = Log::Open(Options()).status();
  EXPECT_EQ(second.code(), core::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(core::Message(second)), HasSubstr("process " + std::to_string(child)));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  EXPECT_TRUE(Log::Open(Options()).ok());  // its lock went with it
}

class OldFile : public RulesTest {
 protected:
  // 300 entries, some with content, a file that is cited, two heads; of which a file is made as
  // version 1 had it, tables of the runtime of that time included.
  void Write() {
    const auto keys = *KeyStore::Open(folder_.path() + "/keys", &random_);
    const auto log = MustOpen();
    std::promise<void> stored;
    log->Submit(std::make_unique<TestCommand>(
                    [](Transaction& transaction) {
                      transaction.PutBlob("return 1");
                      return transaction.Append(EntryOf("bundle.activated", "")).status();
                    },
                    [&](const core::Status&) { stored.set_value(); }),
                Urgency::kNormal);
    stored.get_future().wait();
    const SealedPayload payload = keys->Seal(**keys->KeyFor("ann"), "text/plain", "hello");
    for (int i = 1; i < 300; ++i) {
      const bool content = i % 50 == 0;
      const std::string body =
          content ? R"({"text":)" + CommitmentText(payload, 0) + "}" : R"({"n":1})";
      const auto sealed = content ? std::vector{payload} : std::vector<SealedPayload>{};
      ASSERT_TRUE(log->Append(EntryOf("message.received", kRunA, body), sealed).ok());
    }
    kept_ = log->CheckpointNow()->note;
  }
  void MakeOld() {
    const std::string newer = folder_.path() + "/newer.db";
    std::filesystem::rename(Database(), newer);
    std::ofstream{Database()};
    ASSERT_EQ(::chmod(Database().c_str(), 0600), 0);
    RawDb old(Database());
    old.Do("PRAGMA page_size = 8192; PRAGMA journal_mode = WAL");
    old.Do(kSchemaV1);
    old.Do("PRAGMA application_id = 1229737799; PRAGMA user_version = 1");
    old.Do("ATTACH '" + newer + "' AS newer");
    for (const char* table : kKept) {
      old.Do("INSERT INTO main." + std::string(table) + " SELECT * FROM newer." + table +
             " ORDER BY 1");
    }
    old.Do(
        "CREATE TABLE p_entry_run(run BLOB NOT NULL, run_seq INTEGER NOT NULL, idx INTEGER NOT "
        "NULL, PRIMARY KEY(run, run_seq)) STRICT, WITHOUT ROWID");
    old.Do("INSERT INTO p_entry_run SELECT * FROM newer.p_entry_run");
    old.Do("INSERT INTO p_watermark VALUES(1, 300, 'of another time')");
  }
  // Each row of a table as text, its bytes in hex.
  std::vector<std::string> Rows(const std::string& table) {
    RawDb db(Database());
    std::string columns;
    for (const std::string& name :
         db.Column("SELECT name FROM pragma_table_info('" + table + "')")) {
      columns += (columns.empty() ? "" : " || ',' || ") + ("coalesce(hex(" + name) + "), '-')";
    }
    return db.Column("SELECT " + columns + " FROM " + table + " ORDER BY 1");
  }
  VerifyReport Report() {
    VerifyOptions verify;
    verify.database = Database();
    verify.verifier_key = signer_->verifier_key();
    verify.outside_checkpoints = {kept_};
    return Verify(verify);
  }
  static constexpr std::array<const char*, 6> kKept = {"log",        "entry",   "tile",
                                                       "checkpoint", "payload", "blob"};
  std::string kept_;  // a head from before
};

TEST_F(OldFile, IsMigratedByAppendingAndNoRowIsAnother) {
  Write();
  MakeOld();
  EXPECT_EQ(RawDb(Database()).Column("PRAGMA user_version"), std::vector<std::string>{"1"});
  std::map<std::string, std::vector<std::string>> before;
  for (const char* table : kKept) before[table] = Rows(table);
  ASSERT_EQ(before["entry"].size(), 300u);
  ASSERT_GE(before["tile"].size(), 1u);
  ASSERT_EQ(before["payload"].size(), 5u);
  ASSERT_EQ(before["blob"].size(), 1u);
  {
    const auto log = MustOpen();
    ASSERT_EQ(log->size(), 301u);
    EXPECT_EQ(log->Read(300)->kind, "log.migrated");
    EXPECT_THAT(log->Read(300)->bytes, HasSubstr(R"("body":{"from":1,"to":2})"));
    ASSERT_TRUE(log->Append(EntryOf("run.completed", kRunA)).ok());
    EXPECT_EQ(log->Read(301)->run_seq, 299);  // the run goes on
    const EntryPage page = *log->ReadRun(kRunA, 0, 1000);
    EXPECT_EQ(page.entries.size(), 300u);  // its index was made anew
  }
  for (const char* table : kKept) {
    std::vector<std::string> after = Rows(table);
    const bool grows =
        table == std::string_view("entry") || table == std::string_view("checkpoint");
    EXPECT_EQ(after.size() > before[table].size(), grows) << table;
    for (const std::string& row : before[table]) {
      EXPECT_TRUE(std::binary_search(after.begin(), after.end(), row)) << table << ": " << row;
    }
  }
  EXPECT_THAT(RawDb(Database()).Column("PRAGMA user_version"), ElementsAre("2"));
  EXPECT_EQ(Report().verdict, Verdict::kIntact) << Report().reason;
  EXPECT_EQ(MustOpen()->size(), 302u);  // once
}

TEST_F(OldFile, IsVerifiedAsItIs) {
  Write();
  MakeOld();
  EXPECT_EQ(Report().verdict, Verdict::kIntact) << Report().reason;
  EXPECT_EQ(Report().entries, 300u);
  RawDb(Database())
      .DoWithoutTriggers({"UPDATE entry SET bytes = CAST(replace(CAST(bytes AS TEXT), '\"n\":1', "
                          "'\"n\":2') AS BLOB) "
                          "WHERE idx = 77"});
  EXPECT_EQ(Report().verdict, Verdict::kTampered);
  EXPECT_EQ(Report().first_bad, 77u);
}

TEST_F(RulesTest, ANewerSchemaIsRefused) {
  { MustOpen(); }
  RawDb(Database()).Do("PRAGMA user_version = 99");
  const core::Status status = Log::Open(Options()).status();
  EXPECT_EQ(status.code(), core::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(core::Message(status)), HasSubstr("schema version 99"));
}

// Rule 23: who waits gets a head that covers his entry, long before the interval is over.
TEST_F(RulesTest, AHeadThatIsAwaitedIsSignedAtOnce) {
  using std::chrono::steady_clock;
  auto log = MustOpen();
  const auto await = [&](std::uint64_t index, std::chrono::milliseconds limit) {
    auto head = std::make_shared<std::promise<core::StatusOr<Checkpoint>>>();
    log->AwaitCheckpoint(index, steady_clock::now() + limit,
                         [head](core::StatusOr<Checkpoint> got) { head->set_value(got); });
    return head->get_future();
  };
  ASSERT_TRUE(log->Append(EntryOf("call.decided", "")).ok());
  const auto first = await(0, std::chrono::seconds(60)).get();
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->size, 1u);
  EXPECT_TRUE(OpenCheckpoint(first->note, signer_->verifier_key()).ok());
  EXPECT_TRUE(await(0, std::chrono::seconds(0)).get().ok());  // there already
  // An entry that is not there yet: nothing to sign before the deadline.
  EXPECT_EQ(await(7, std::chrono::milliseconds(50)).get().status().code(),
            core::StatusCode::kDeadlineExceeded);
  auto last = await(7, std::chrono::seconds(60));
  log.reset();
  EXPECT_EQ(last.get().status().code(), core::StatusCode::kUnavailable);
}

TEST_F(RulesTest, CosignaturesAreKeptOnce) {
  const auto log = MustOpen();
  for (int i = 0; i < 2; ++i) {
    std::promise<core::Status> done;
    log->Submit(std::make_unique<TestCommand>(
                    [](Transaction& transaction) {
                      transaction.PutCosignature(7, "witness.example", "\xE2\x80\x94 w AAAA\n");
                      return core::OkStatus();
                    },
                    [&](const core::Status& status) { done.set_value(status); }),
                Urgency::kNormal);
    ASSERT_TRUE(done.get_future().get().ok());
  }
  EXPECT_THAT(RawDb(Database()).Column("SELECT name FROM cosignature"),
              ElementsAre("witness.example"));
}

}  // namespace
}  // namespace interlock::audit
