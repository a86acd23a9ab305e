// Batches that are inserted while they are still applied: as whole, and as ordered, as any other.
#include <gmock/gmock.h>

#include <future>
#include <latch>
#include <thread>

#include "audit/verify.h"
#include "fault_vfs.h"
#include "fixture.h"
#include "row_inserter.h"

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
    std::latch queued(1);
    std::latch done(static_cast<std::ptrdiff_t>(commands.size()) + 1);
    std::vector<core::Status> results(commands.size());
    const auto hold_up = [&](Transaction&) {
      queued.wait();
      return core::OkStatus();
    };
    log.Submit(
        std::make_unique<TestCommand>(hold_up, [&](const core::Status&) { done.count_down(); }),
        Urgency::kNormal);
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

TEST(RowInserter, LeavesOutWhatComesAfterAFailure) {
  std::vector<const Segment*> seen;
  const Segment one;
  const Segment bad;
  const Segment after;
  RowInserter inserter([&](const Segment& segment) {
    seen.push_back(&segment);
    return &segment == &bad ? core::DataLoss("no") : core::OkStatus();
  });
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
