// Batches that are inserted while they are still applied: as whole, and as ordered, as any other.
#include <gmock/gmock.h>

#include <future>
#include <latch>
#include <thread>

#include "audit/verify.h"
#include "fault_vfs.h"
#include "fixture.h"
#include "row_inserter.h"
#include "schema.h"
#include "tamper.h"

namespace interlock::audit {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kCommands = 250;  // of at most 256 a batch

class SegmentsTest : public LogFixture {
 protected:
  SegmentsTest() : faults_(InstallFaultVfs()) {}
  ~SegmentsTest() override { InstallFaultVfs(); }

  struct One {
    std::function<core::Status(Transaction&)> apply;
    Urgency urgency = Urgency::kNormal;
  };
  // Submits all while the writer is held up in a command of its own: they make one batch.
  static std::vector<core::Status> InOneBatch(Log& log, std::vector<One> commands) {
    std::latch held(1);
    std::latch queued(1);
    std::latch done(static_cast<std::ptrdiff_t>(commands.size()) + 1);
    std::vector<core::Status> results(commands.size());
    const auto hold_up = [&](Transaction&) {
      held.count_down();
      queued.wait();
      return core::OkStatus();
    };
    log.Submit(
        std::make_unique<TestCommand>(hold_up, [&](const core::Status&) { done.count_down(); }),
        Urgency::kNormal);
    held.wait();  // it is a batch of its own
    for (std::size_t i = 0; i < commands.size(); ++i) {
      log.Submit(std::make_unique<TestCommand>(commands[i].apply,
                                               [&, i](const core::Status& status) {
                                                 results[i] = status;
                                                 done.count_down();
                                               }),
                 commands[i].urgency);
    }
    queued.count_down();
    done.wait();
    return results;
  }
  static One Appending(const char* kind, const std::string& run,
                       Urgency urgency = Urgency::kNormal) {
    return {[kind, run](Transaction& transaction) {
              return transaction.Append(EntryOf(kind, run)).status();
            },
            urgency};
  }
  // Nothing is left that a quiet moment would write.
  static void FlushAll(Log& log) {
    ASSERT_TRUE(log.Query([](sqlite3*) { return core::OkStatus(); }).ok());
  }
  Verdict VerdictOfFile() {
    VerifyOptions options;
    options.database = Database();
    const VerifyReport report = Verify(options);
    EXPECT_EQ(report.reason, "");
    return report.verdict;
  }

  Faults& faults_;
};

TEST_F(SegmentsTest, EveryThirdCommandFailsAndLeavesNothing) {
  auto log = MustOpen();
  std::vector<One> commands;
  for (int i = 0; i < kCommands; ++i) {
    const std::string& run = i % 2 == 0 ? kRunA : kRunB;
    commands.push_back({[i, &run](Transaction& transaction) -> core::Status {
      const std::string body = R"({"n":)" + std::to_string(i) + "}";
      INTERLOCK_RETURN_IF_ERROR(transaction.Append(EntryOf("call.proposed", run, body)).status());
      INTERLOCK_RETURN_IF_ERROR(transaction.Append(EntryOf("call.decided", run, body)).status());
      if (i % 3 == 0) return core::FailedPrecondition("no");
      transaction.PutBlob("blob " + std::to_string(i));
      return core::OkStatus();
    }});
  }
  const auto results = InOneBatch(*log, std::move(commands));
  std::uint64_t index = 0;
  for (int i = 0; i < kCommands; ++i) {
    EXPECT_EQ(results[static_cast<std::size_t>(i)].ok(), i % 3 != 0) << i;
    const auto blob = log->ReadBlob(core::Sha256("blob " + std::to_string(i)));
    EXPECT_EQ(blob.ok(), i % 3 != 0) << i;
    if (i % 3 == 0) continue;
    for (const char* kind : {"call.proposed", "call.decided"}) {
      const auto entry = log->Read(index++);
      ASSERT_TRUE(entry.ok()) << entry.status();
      EXPECT_EQ(entry->kind, kind);
      EXPECT_THAT(entry->bytes, HasSubstr(R"("body":{"n":)" + std::to_string(i) + "},"));
    }
  }
  EXPECT_EQ(log->size(), index);
  const auto next = log->Append(EntryOf("call.proposed", kRunA));
  ASSERT_TRUE(next.ok()) << next.status();
  log.reset();
  EXPECT_EQ(VerdictOfFile(), Verdict::kIntact);
  log = MustOpen();
  EXPECT_EQ(log->size(), index + 1);
}

// The first try wrote segments that went back with it; the second one writes all of them.
TEST_F(SegmentsTest, ABatchWithAnOutcomeTakesTheBallastAsAWhole) {
  auto log = MustOpen();
  ASSERT_TRUE(log->Append(EntryOf("run.started", kRunA)).ok());
  std::vector<One> commands;
  for (int i = 0; i < kCommands; ++i) {
    commands.push_back(i == kCommands - 1 ? Appending("call.outcome", kRunA, Urgency::kOutcome)
                                          : Appending("call.proposed", i % 2 == 0 ? kRunA : kRunB));
  }
  FlushAll(*log);
  // Full from the batch on: the command before it is empty and writes nothing.
  faults_.SetFullWhileExists(Options().folder + "/ballast");
  const auto results = InOneBatch(*log, std::move(commands));
  for (const core::Status& status : results) EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(log->health(), Health::kNoSpace);
  EXPECT_EQ(log->size(), 1u + kCommands);
  EXPECT_EQ(log->Read(kCommands)->kind, "call.outcome");
  faults_.SetFullWhileExists("");
  log.reset();
  EXPECT_EQ(VerdictOfFile(), Verdict::kIntact);
}

TEST_F(SegmentsTest, ABatchWithoutRoomLeavesNothing) {
  auto log = MustOpen();
  ASSERT_TRUE(log->Append(EntryOf("run.started", kRunA)).ok());
  faults_.write_is_full = true;
  const auto results =
      InOneBatch(*log, std::vector<One>(kCommands, Appending("call.proposed", kRunA)));
  for (const core::Status& status : results) {
    EXPECT_EQ(status.code(), core::StatusCode::kResourceExhausted);
  }
  EXPECT_EQ(log->size(), 1u);
  faults_.write_is_full = false;
  log.reset();
  log = MustOpen();
  ASSERT_TRUE(log->Append(EntryOf("call.proposed", kRunA)).ok());
  EXPECT_EQ(log->Read(1)->run_seq, 1);
  log.reset();
  EXPECT_EQ(VerdictOfFile(), Verdict::kIntact);
}

// What a failed read leaves open is no transaction any more: nothing of the batch may be written.
TEST_F(SegmentsTest, AReadThatFailsInTheMiddleLeavesNothing) {
  std::vector<std::string> runs;
  {
    auto log = MustOpen();
    std::vector<One> commands;
    for (int i = 0; i < 8 * kCommands; ++i) {
      runs.push_back(core::NewUuidV7(clock_, random_));
      clock_.Advance(1000);
      commands.push_back(Appending("run.started", runs.back()));
    }
    for (const core::Status& status : InOneBatch(*log, std::move(commands))) {
      ASSERT_TRUE(status.ok()) << status;
    }
  }
  auto log = MustOpen();  // nothing of the run index is in memory but what opening it reads
  const std::uint64_t size = log->size();
  std::vector<One> commands(kCommands, Appending("call.proposed", kRunA));
  commands[100] = {[&](Transaction& transaction) {
    faults_.read_fails = true;
    const core::Status status =
        transaction.Append(EntryOf("call.proposed", runs[kCommands])).status();
    faults_.read_fails = false;
    EXPECT_FALSE(status.ok());
    return status;
  }};
  for (const core::Status& status : InOneBatch(*log, std::move(commands))) {
    EXPECT_FALSE(status.ok());
  }
  EXPECT_EQ(log->health(), Health::kStopped);
  log.reset();
  log = MustOpen();
  EXPECT_EQ(log->size(), size);
  ASSERT_TRUE(log->Append(EntryOf("call.proposed", runs[kCommands])).ok());
  log.reset();
  EXPECT_EQ(VerdictOfFile(), Verdict::kIntact);
}

// A row that is there already: only the inserter can meet it.
TEST_F(SegmentsTest, AnInsertThatFailsLeavesNothing) {
  auto keys = KeyStore::Open(folder_.path() + "/keys", &random_);
  ASSERT_TRUE(keys.ok());
  const auto key = *(*keys)->KeyFor("alice");
  MustOpen().reset();
  constexpr std::uint64_t kTaken = 100;
  const std::string taken = std::to_string(PayloadKey(kTaken, 0));
  RawDb(Database())
      .DoWithoutTriggers(
          {"INSERT INTO payload VALUES(" + taken + ", 'k', zeroblob(32), 'text/plain', 1, x'00')"});
  auto log = MustOpen();
  std::vector<One> commands(
      kCommands, {[&](Transaction& transaction) {
        SealedPayload payload = (*keys)->Seal(*key, "text/plain", "hello");
        const std::string body = R"({"text":)" + CommitmentText(payload, 0) + "}";
        return transaction.Append(EntryOf("message.received", kRunA, body), {&payload, 1}).status();
      }});
  for (const core::Status& status : InOneBatch(*log, std::move(commands))) {
    EXPECT_FALSE(status.ok());
  }
  EXPECT_EQ(log->health(), Health::kStopped);
  log.reset();
  RawDb(Database()).DoWithoutTriggers({"DELETE FROM payload WHERE id = " + taken});
  log = MustOpen();
  EXPECT_EQ(log->size(), 0u);
  ASSERT_TRUE(log->Append(EntryOf("run.started", kRunA)).ok());
  log.reset();
  EXPECT_EQ(VerdictOfFile(), Verdict::kIntact);
}

class FlushInBatch : public SegmentsTest {
 protected:
  // Every command begins a run of its own.
  std::vector<One> NewRuns(int count) {
    std::vector<One> commands;
    for (int i = 0; i < count; ++i) {
      runs_.push_back(core::NewUuidV7(clock_, random_));
      clock_.Advance(1000);
      commands.push_back(Appending("run.started", runs_.back()));
    }
    return commands;
  }
  void ExpectEveryRunOnce(const Log& log) {
    for (const std::string& run : runs_) {
      const auto page = log.ReadRun(run, 0, 10);
      ASSERT_TRUE(page.ok()) << page.status();
      ASSERT_EQ(page->entries.size(), 1u) << run;
    }
  }
  std::vector<std::string> runs_;
};

TEST_F(FlushInBatch, BeginsBesideTheHashing) {
  auto log = MustOpen();
  for (int batch = 0; batch < 6; ++batch) {  // a flush is due after 1,024 commands
    for (const core::Status& status : InOneBatch(*log, NewRuns(kCommands))) {
      ASSERT_TRUE(status.ok()) << status;
    }
  }
  ExpectEveryRunOnce(*log);
  ASSERT_TRUE(log->Append(EntryOf("call.proposed", runs_[3])).ok());
  const auto page = log->ReadRun(runs_[3], 0, 10);
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->entries.size(), 2u);
  log.reset();
  EXPECT_EQ(VerdictOfFile(), Verdict::kIntact);
}

TEST_F(FlushInBatch, GoesBackWithATransactionThatFoundNoRoom) {
  auto log = MustOpen();
  for (int batch = 0; batch < 4; ++batch) {  // 1,004 commands with those that hold up
    for (const core::Status& status : InOneBatch(*log, NewRuns(kCommands))) {
      ASSERT_TRUE(status.ok()) << status;
    }
  }
  std::vector<One> commands = NewRuns(kCommands);
  commands.back().urgency = Urgency::kOutcome;
  faults_.SetFullWhileExists(Options().folder + "/ballast");
  const auto results = InOneBatch(*log, std::move(commands));
  faults_.SetFullWhileExists("");
  // A quiet moment before may have met the full disk: then nothing but the outcome was taken.
  const bool whole = results.front().ok();
  if (!whole) runs_.erase(runs_.end() - kCommands, runs_.end() - 1);
  EXPECT_TRUE(results.back().ok()) << results.back();
  ExpectEveryRunOnce(*log);
  log.reset();
  log = MustOpen();
  ExpectEveryRunOnce(*log);
  log.reset();
  EXPECT_EQ(VerdictOfFile(), Verdict::kIntact);
}

TEST(RowInserter, LeavesOutWhatComesAfterAFailure) {
  std::vector<const Segment*> seen;
  const Segment one;
  const Segment bad;
  const Segment after;
  RowInserter inserter([&](const Segment& segment) {
    seen.push_back(&segment);
    return &segment == &bad ? core::DataLoss("no") : core::OkStatus();
  });
  inserter.Start();
  inserter.Give(one);
  inserter.Give(bad);
  inserter.Give(after);
  EXPECT_THAT(std::string(core::Message(inserter.Drain())), HasSubstr("no"));
  EXPECT_THAT(seen, ElementsAre(&one, &bad));
  inserter.Give(after);
  EXPECT_TRUE(inserter.Drain().ok());
  EXPECT_THAT(seen, ElementsAre(&one, &bad, &after));
  EXPECT_TRUE(inserter.Drain().ok());
}

}  // namespace
}  // namespace interlock::audit
