// Rule 28: no space is a state that passes and keeps room for outcomes; a failed write or sync is
// final.
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <thread>

#include "audit/read_error.h"
#include "audit/verify.h"
#include "fault_vfs.h"
#include "fixture.h"
#include "tamper.h"

namespace interlock::audit {
namespace {

using ::testing::HasSubstr;

const std::string kMegabyte(1 << 20, 'x');

// Remembers the entries that it was told of, as the engine's own state does.
class Recorder final : public Projector {
 public:
  std::string_view name() const override { return "recorder"; }
  std::vector<std::string> Schema() const override { return {}; }
  core::Status Attach(sqlite3*) override { return core::OkStatus(); }
  core::Status Apply(const EntryView& entry) override {
    kinds[entry.index] = std::string(entry.kind);
    return core::OkStatus();
  }
  core::Status Flush() override { return core::OkStatus(); }
  void Reset() override {
    kinds.clear();
    ++resets;
  }
  std::map<std::uint64_t, std::string> kinds;
  int resets = 0;
};

class FaultTest : public LogFixture {
 protected:
  FaultTest() : faults_(InstallFaultVfs()) { projectors_ = {&recorder_}; }
  ~FaultTest() override { InstallFaultVfs(); }

  core::Status Submit(Log& log, const char* kind, Urgency urgency) {
    std::promise<core::Status> done;
    log.Submit(std::make_unique<TestCommand>(
                   [kind](Transaction& transaction) {
                     return transaction.Append(EntryOf(kind, kRunA)).status();
                   },
                   [&](const core::Status& status) { done.set_value(status); }),
               urgency);
    return done.get_future().get();
  }
  static bool WaitFor(const std::function<bool()>& condition) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    return condition();
  }
  VerifyReport ReportOfFile() {
    VerifyOptions options;
    options.database = Database();
    Recorder fresh;
    options.projectors = {&fresh};
    return Verify(options);
  }
  Verdict VerdictOfFile() {
    const VerifyReport report = ReportOfFile();
    EXPECT_EQ(report.reason, "");
    return report.verdict;
  }

  Faults& faults_;
  Recorder recorder_;
};

TEST_F(FaultTest, Rule28_FullDiskTakesOutcomesOnlyAndResumes) {
  auto log = MustOpen();
  ASSERT_TRUE(Submit(*log, "call.intended", Urgency::kNormal).ok());
  faults_.SetFullWhileExists(Options().folder + "/ballast");

  EXPECT_EQ(Submit(*log, "call.intended", Urgency::kNormal).code(),
            core::StatusCode::kResourceExhausted);
  EXPECT_EQ(log->health(), Health::kNoSpace);
  EXPECT_EQ(log->size(), 1u);
  EXPECT_EQ(Submit(*log, "call.intended", Urgency::kNormal).code(),
            core::StatusCode::kResourceExhausted);
  EXPECT_TRUE(Submit(*log, "call.outcome", Urgency::kOutcome).ok());
  EXPECT_EQ(log->size(), 2u);
  EXPECT_EQ(log->Read(1)->kind, "call.outcome");
  EXPECT_EQ(log->Read(1)->run_seq, 1);
  EXPECT_EQ(log->health(), Health::kNoSpace);

  faults_.SetFullWhileExists("");
  ASSERT_TRUE(WaitFor([&] { return log->health() == Health::kOk; }));
  EXPECT_EQ(log->health_reason(), "");
  EXPECT_EQ(::access((Options().folder + "/ballast").c_str(), F_OK), 0);
  ASSERT_TRUE(Submit(*log, "call.intended", Urgency::kNormal).ok());
  EXPECT_EQ(log->Read(2)->run_seq, 2);
  log.reset();
  EXPECT_EQ(VerdictOfFile(), Verdict::kIntact);
}

// Heads wait for room, but for one that a witness has cosigned: a cosignature of no head is damage.
TEST_F(FaultTest, Rule28_ACosignatureComesWithItsHeadOnAFullDiskToo) {
  auto log = MustOpen();
  ASSERT_TRUE(Submit(*log, "call.intended", Urgency::kNormal).ok());
  std::promise<void> entered;
  std::promise<Checkpoint> signed_head;
  std::promise<core::Status> done;
  log->Submit(std::make_unique<TestCommand>(
                  [&](Transaction& transaction) {
                    entered.set_value();
                    const Checkpoint head = signed_head.get_future().get();
                    transaction.PutCosignature(head.size, "witness.example",
                                               "\xE2\x80\x94 witness.example " +
                                                   core::Base64(std::string(76, 'x')) + "\n");
                    return transaction.Append(EntryOf("call.outcome", kRunA)).status();
                  },
                  [&](const core::Status& status) { done.set_value(status); }),
              Urgency::kOutcome);
  entered.get_future().wait();
  faults_.SetFullWhileExists(Options().folder + "/ballast");
  signed_head.set_value(*log->CheckpointNow());
  ASSERT_TRUE(done.get_future().get().ok());
  EXPECT_EQ(log->health(), Health::kNoSpace);
  const VerifyReport report = ReportOfFile();
  EXPECT_EQ(report.verdict, Verdict::kIntact) << report.reason;
  EXPECT_EQ(log->CosignedCheckpoint()->size, 1u);
}

TEST_F(FaultTest, FailedBatchIsForgottenByTheProjectors) {
  auto log = MustOpen();
  ASSERT_TRUE(Submit(*log, "run.started", Urgency::kNormal).ok());
  faults_.write_is_full = true;
  EXPECT_FALSE(Submit(*log, "call.intended", Urgency::kNormal).ok());
  faults_.write_is_full = false;
  ASSERT_TRUE(WaitFor([&] { return log->health() == Health::kOk; }));
  ASSERT_TRUE(Submit(*log, "run.completed", Urgency::kNormal).ok());
  log.reset();
  EXPECT_GE(recorder_.resets, 1);
  EXPECT_EQ(recorder_.kinds.count(0) + recorder_.kinds.count(1), recorder_.kinds.size());
  EXPECT_EQ(recorder_.kinds[1], "run.completed");
}

TEST_F(FaultTest, AStoppedLogLeavesNobodyWaitingForItsLastBatch) {
  auto log = MustOpen();
  ASSERT_TRUE(Submit(*log, "run.started", Urgency::kNormal).ok());
  faults_.sync_fails = true;
  EXPECT_EQ(Submit(*log, "call.intended", Urgency::kNormal).code(), core::StatusCode::kDataLoss);
  faults_.sync_fails = false;
  EXPECT_EQ(log->health(), Health::kStopped);
  EXPECT_GE(recorder_.resets, 1);
  EXPECT_TRUE(log->Read(0).ok());
}

// Who waits for the next entry would wait for ever.
TEST_F(FaultTest, TheListenerIsToldOnceThatTheLogHasStopped) {
  auto log = MustOpen();
  std::vector<std::pair<std::uint64_t, std::uint64_t>> told;  // writer thread, until it is gone
  std::atomic<bool> stopped = false;
  log->SetListener([&](std::uint64_t first, std::uint64_t end) {
    told.emplace_back(first, end);
    stopped = first == end;
  });
  ASSERT_TRUE(Submit(*log, "run.started", Urgency::kNormal).ok());
  faults_.sync_fails = true;
  EXPECT_FALSE(Submit(*log, "call.intended", Urgency::kNormal).ok());
  faults_.sync_fails = false;
  EXPECT_TRUE(WaitFor([&] { return stopped.load(); }));
  EXPECT_FALSE(Submit(*log, "call.intended", Urgency::kNormal).ok());
  log.reset();
  EXPECT_THAT(told, ::testing::ElementsAre(std::pair(0u, 1u), std::pair(1u, 1u)));
}

// A signer that has seen another tree: that is found beside the writer, which has nothing to do.
TEST_F(FaultTest, TheListenerIsToldOfAStopThatNoCommitMet) {
  auto log = MustOpen();
  std::atomic<bool> stopped = false;
  log->SetListener([&](std::uint64_t first, std::uint64_t end) { stopped = first == end; });
  ASSERT_TRUE(Submit(*log, "run.started", Urgency::kNormal).ok());
  ASSERT_TRUE(signer_
                  ->Sign({Options().origin, 1000, LeafHash("x"),
                          [](auto, auto) { return std::vector<core::Digest>(); }})
                  .ok());
  EXPECT_FALSE(log->CheckpointNow().ok());
  EXPECT_EQ(log->health(), Health::kStopped);
  EXPECT_TRUE(WaitFor([&] { return stopped.load(); }));
}

TEST_F(FaultTest, OutcomeWithoutBallastIsRefusedNotLost) {
  LogOptions options = Options();
  options.ballast_bytes = 0;
  auto log = MustOpen(options);
  faults_.write_is_full = true;
  EXPECT_EQ(Submit(*log, "call.outcome", Urgency::kOutcome).code(),
            core::StatusCode::kResourceExhausted);
  faults_.write_is_full = false;
  ASSERT_TRUE(WaitFor([&] { return log->health() == Health::kOk; }));
  EXPECT_TRUE(Submit(*log, "call.outcome", Urgency::kOutcome).ok());
}

// The index of the write-ahead log grows every 4,096 pages or so, and is mapped, not written.
TEST_F(FaultTest, Rule28_ADiskThatIsFullForTheSharedMemoryIsFullAndNotBroken) {
  auto log = MustOpen();
  const auto keys = *KeyStore::Open(folder_.path() + "/keys", &random_);
  const SealedPayload large = keys->Seal(**keys->KeyFor("ann"), "text/plain", kMegabyte);
  const std::string body = R"({"text":)" + CommitmentText(large, 0) + "}";
  RawDb reader(Database());  // in the middle of reading, so that the write-ahead log only grows
  reader.Do("BEGIN; SELECT count(*) FROM entry");
  faults_.shm_is_full = true;
  core::Status status;
  for (int i = 0; i < 80 && status.ok(); ++i) {
    status = log->Append(EntryOf("message.received", kRunA, body), {large}).status();
  }
  EXPECT_GT(faults_.shm_refused, 0);
  EXPECT_EQ(status.code(), core::StatusCode::kResourceExhausted) << status;
  EXPECT_EQ(log->health(), Health::kNoSpace);
  const std::uint64_t size = log->size();
  faults_.shm_is_full = false;
  reader.Do("COMMIT");
  ASSERT_TRUE(WaitFor([&] { return log->health() == Health::kOk; }));
  EXPECT_TRUE(Submit(*log, "call.intended", Urgency::kNormal).ok());
  EXPECT_EQ(log->size(), size + 1);
}

struct Final {
  const char* name;
  std::atomic<bool> Faults::*fault;
};

TEST_F(FaultTest, Rule28_FailedSyncOrWriteIsFinal) {
  for (const Final& fault :
       {Final{"sync", &Faults::sync_fails}, Final{"write", &Faults::write_fails}}) {
    TempFolder folder;
    LogOptions options = Options();
    options.folder = folder.path() + "/tenants/main";
    const auto signer = *OpenFileSigner(folder.path() + "/signer", "interlock.example/main");
    options.signer = signer.get();
    options.projectors.clear();
    auto log = MustOpen(options);
    ASSERT_TRUE(Submit(*log, "run.started", Urgency::kNormal).ok());
    faults_.*fault.fault = true;
    EXPECT_EQ(Submit(*log, "call.intended", Urgency::kNormal).code(), core::StatusCode::kDataLoss)
        << fault.name;
    faults_.*fault.fault = false;
    EXPECT_EQ(log->health(), Health::kStopped);
    EXPECT_THAT(log->health_reason(), HasSubstr("sqlite"));
    // It stays so, for outcomes too, although the disk is well again.
    EXPECT_EQ(Submit(*log, "call.outcome", Urgency::kOutcome).code(), core::StatusCode::kDataLoss);
    EXPECT_EQ(log->size(), 1u);
    EXPECT_TRUE(log->Read(0).ok());
    log.reset();
    // After a restart the acknowledged entry is there and the log goes on.
    log = MustOpen(options);
    EXPECT_GE(log->size(), 1u);
    EXPECT_EQ(log->Read(0)->kind, "run.started");
    EXPECT_TRUE(Submit(*log, "call.proposed", Urgency::kNormal).ok());
  }
}

TEST_F(FaultTest, QueryFailsRatherThanShowStaleRows) {
  auto log = MustOpen();
  ASSERT_TRUE(Submit(*log, "run.started", Urgency::kNormal).ok());
  faults_.sync_fails = true;
  EXPECT_FALSE(Submit(*log, "call.intended", Urgency::kNormal).ok());
  faults_.sync_fails = false;
  int calls = 0;
  // The projections know of an entry that never was, until they are folded anew: no query sees
  // them.
  const core::Status status = log->Query([&](sqlite3*) {
    ++calls;
    return core::OkStatus();
  });
  EXPECT_EQ(status.code(), core::StatusCode::kDataLoss) << status;
  EXPECT_EQ(calls, 0);
}

// ---------------------------------------------------------------- what an error means

TEST_F(FaultTest, AReadThatFailsNowIsNoDamage) {
  ASSERT_TRUE(Submit(*MustOpen(), "run.started", Urgency::kNormal).ok());
  const auto log = MustOpen();
  faults_.read_fails = true;
  const core::Status failed = log->Read(0).status();
  faults_.read_fails = false;
  EXPECT_EQ(failed.code(), core::StatusCode::kDataLoss) << failed;
  EXPECT_FALSE(IsDamage(failed)) << failed;
  EXPECT_TRUE(log->Read(0).ok());
}

TEST_F(FaultTest, WhatDoesNotVerifyIsDamage) {
  ASSERT_TRUE(Submit(*MustOpen(), "run.started", Urgency::kNormal).ok());
  ASSERT_TRUE(Submit(*MustOpen(), "run.completed", Urgency::kNormal).ok());
  const auto log = MustOpen();
  EXPECT_TRUE(log->Read(0).ok());
  RawDb(Database()).DoWithoutTriggers({"UPDATE entry SET bytes = x'7b7d' WHERE idx = 0"});
  const core::Status damaged = log->Read(0).status();
  EXPECT_EQ(damaged.code(), core::StatusCode::kDataLoss) << damaged;
  EXPECT_TRUE(IsDamage(damaged)) << damaged;
  EXPECT_FALSE(IsDamage(log->Read(7).status())) << "it is not there, which is another matter";
}

TEST_F(FaultTest, AFileThatIsNoDatabaseIsDamage) {
  MustOpen();
  for (const char* rest : {"", "-wal", "-shm"}) std::filesystem::remove(Database() + rest);
  std::ofstream(Database()) << std::string(8192, 'x');
  const core::Status none = Log::Open(Options()).status();
  EXPECT_TRUE(IsDamage(none)) << none;
}

}  // namespace
}  // namespace interlock::audit
