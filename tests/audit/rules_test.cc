// DESIGN's rules 27 to 29 on the log alone: clocks, disks, a second daemon, an old file.
#include <gmock/gmock.h>

#include <algorithm>
#include <future>

#include "audit/verify.h"
#include "fixture.h"
#include "harness/read_only_mount.h"
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

TEST_F(RulesTest, AnOldSchemaIsMigratedByAppending) {
  {
    const auto log = MustOpen();
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(log->Append(EntryOf("call.decided", kRunA)).ok());
  }
  RawDb(Database()).Do("DROP TABLE cosignature; PRAGMA user_version = 1");  // as version 1 wrote it
  VerifyOptions verify;
  verify.database = Database();
  EXPECT_EQ(Verify(verify).verdict, Verdict::kIntact) << Verify(verify).reason;
  const std::vector<std::string> before = RawDb(Database()).Column("SELECT bytes FROM entry");
  {
    const auto log = MustOpen();
    ASSERT_EQ(log->size(), 6u);
    EXPECT_EQ(log->Read(5)->kind, "log.migrated");
    EXPECT_THAT(log->Read(5)->bytes, HasSubstr(R"("body":{"from":1,"to":2})"));
  }
  std::vector<std::string> after = RawDb(Database()).Column("SELECT bytes FROM entry");
  ASSERT_EQ(after.size(), 6u);
  after.pop_back();
  EXPECT_EQ(after, before);
  EXPECT_THAT(RawDb(Database()).Column("PRAGMA user_version"), ElementsAre("2"));
  EXPECT_EQ(Verify(verify).verdict, Verdict::kIntact) << Verify(verify).reason;
  EXPECT_EQ(MustOpen()->size(), 6u);  // once
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
