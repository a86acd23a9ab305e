// Each write and each sync of a small history fails, is torn as the power goes, or is the one at
// which the process is killed, in turn. After a restart: no entry that was acknowledged is lost,
// none is half there, the tree is consistent.
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <future>
#include <map>
#include <utility>
#include <vector>

#include "audit/verify.h"
#include "fault_vfs.h"
#include "fixture.h"

namespace interlock::audit {
namespace {

constexpr int kCommands = 6;  // one after the other
constexpr int kBurst = 24;  // then at once: rows of the first ones go in beside the others' hashing
constexpr std::size_t kEntries = 2 * (kCommands + kBurst);
constexpr const char* kOrigin = "interlock.example/main";

using Acknowledged = std::map<std::uint64_t, core::Digest>;

class PowerCutTest : public ::testing::Test {
 protected:
  PowerCutTest() : faults_(InstallFaultVfs()) {
    // What is durable is what the layer was told to sync: no real disk is needed, and one is slow.
    if (std::filesystem::exists("/dev/shm")) ::setenv("TMPDIR", "/dev/shm", 1);
  }
  ~PowerCutTest() override { InstallFaultVfs(); }

  struct Place {
    TempFolder folder;
    ManualClock clock;
    std::unique_ptr<Signer> signer = *OpenFileSigner(folder.path() + "/signer", kOrigin);
    LogOptions Options() {
      LogOptions options;
      options.folder = folder.path() + "/log";
      options.tenant = "main";
      options.origin = kOrigin;
      options.clock = &clock;
      options.signer = signer.get();
      options.ballast_bytes = 0;
      options.checkpoint_entries = 4;
      return options;
    }
    std::string Database() { return Options().folder + "/audit.db"; }
  };

  // One command of two entries, the second one with a blob.
  struct Pair {
    EntryRef first;
    EntryRef second;
    std::promise<core::Status> done;
    std::future<core::Status> result = done.get_future();

    void Submit(Log& log, int number) {
      const auto apply = [this, number](Transaction& transaction) -> core::Status {
        INTERLOCK_ASSIGN_OR_RETURN(first, transaction.Append(EntryOf("call.decided", kRunA)));
        transaction.PutBlob("blob " + std::to_string(number));
        INTERLOCK_ASSIGN_OR_RETURN(second, transaction.Append(EntryOf("call.intended", kRunA)));
        return core::OkStatus();
      };
      log.Submit(std::make_unique<TestCommand>(
                     apply, [this](const core::Status& status) { done.set_value(status); }),
                 Urgency::kNormal);
    }
  };

  // Keeps the writer in a command of its own while a burst is queued.
  class HeldWriter {
   public:
    explicit HeldWriter(Log& log) {
      const auto hold = [this](Transaction&) {
        Reached();
        released_.get_future().wait();
        return core::OkStatus();
      };
      log.Submit(std::make_unique<TestCommand>(hold, [this](const core::Status&) { Reached(); }),
                 Urgency::kNormal);
      reached_.get_future().wait();
    }
    void Release() { released_.set_value(); }

   private:
    // In the command, or where it was refused.
    void Reached() {
      if (!std::exchange(has_reached_, true)) reached_.set_value();
    }
    bool has_reached_ = false;
    std::promise<void> reached_;
    std::promise<void> released_;
  };

  // Opens the log and appends until a command is refused. Returns what was acknowledged, and tells
  // it at once; the log is closed.
  static Acknowledged Work(
      Place& place, const std::function<void(const EntryRef&)>& tell = [](const auto&) {}) {
    Acknowledged acknowledged;
    auto log = Log::Open(place.Options());
    if (!log.ok()) return acknowledged;
    const auto acknowledges = [&](Pair& pair) {
      if (!pair.result.get().ok()) return false;
      for (const EntryRef& ref : {pair.first, pair.second}) {
        acknowledged[ref.index] = ref.leaf_hash;
        tell(ref);
      }
      return true;
    };
    for (int i = 0; i < kCommands; ++i) {
      Pair pair;
      pair.Submit(**log, i);
      if (!acknowledges(pair)) return acknowledged;
    }
    std::vector<Pair> burst(kBurst);
    HeldWriter held(**log);
    for (int i = 0; i < kBurst; ++i) {
      burst[static_cast<std::size_t>(i)].Submit(**log, kCommands + i);
    }
    held.Release();
    for (Pair& pair : burst) acknowledges(pair);
    log->reset();  // no command lives longer than what it points to
    return acknowledged;
  }

  // The database must verify as it lies there, and again after it was opened and went on.
  static void ExpectWhole(Place& place, const Acknowledged& acknowledged) {
    auto log = Log::Open(place.Options());
    ASSERT_TRUE(log.ok()) << log.status();
    ASSERT_GE((*log)->size(), acknowledged.size());
    // A command is there as a whole or not at all.
    ASSERT_EQ((*log)->size() % 2, 0u);
    for (const auto& [index, hash] : acknowledged) {
      const auto entry = (*log)->Read(index);
      ASSERT_TRUE(entry.ok()) << entry.status();
      ASSERT_EQ(entry->leaf_hash, hash);
    }
    ASSERT_TRUE((*log)->Append(EntryOf("run.completed", kRunA)).ok());
    log->reset();
    VerifyOptions options;
    options.database = place.Database();
    options.verifier_key = place.signer->verifier_key();
    const VerifyReport report = Verify(options);
    ASSERT_EQ(report.verdict, Verdict::kIntact) << report.reason;
  }

  // Work() in a process of its own that is killed at the `number`-th operation.
  Acknowledged WorkOfAKilledProcess(Place& place, std::uint64_t number) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    place.signer.reset();
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(ends[0]);
      place.signer = *OpenFileSigner(place.folder.path() + "/signer", kOrigin);
      faults_.Arm(Faults::At::kKill, number);
      Work(place, [&](const EntryRef& ref) {
        if (::write(ends[1], &ref, sizeof ref) != sizeof ref) ::_exit(3);
      });
      ::_exit(4);  // nobody killed it
    }
    ::close(ends[1]);
    Acknowledged acknowledged;
    EntryRef ref;
    while (::read(ends[0], &ref, sizeof ref) == sizeof ref) acknowledged[ref.index] = ref.leaf_hash;
    ::close(ends[0]);
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status)) {
      // Threads meet in another order each time: near its end a history may be an operation
      // shorter.
      EXPECT_EQ(WEXITSTATUS(status), 4);
      EXPECT_EQ(acknowledged.size(), kEntries);
      ++outlived_;
    }
    place.signer = *OpenFileSigner(place.folder.path() + "/signer", kOrigin);
    return acknowledged;
  }

  // How many operations the undisturbed history takes.
  std::uint64_t CountOperations() {
    Place place;
    faults_.Arm(Faults::At::kNever, 0);
    EXPECT_EQ(Work(place).size(), kEntries);
    const std::uint64_t operations = faults_.operations();
    faults_.Disarm();
    return operations;
  }

  Faults& faults_;
  std::size_t outlived_ = 0;  // processes that were to be killed after their last operation
};

TEST_F(PowerCutTest, EachWriteAndSyncThatFailsLosesNothingAcknowledged) {
  const std::uint64_t operations = CountOperations();
  ASSERT_GT(operations, 30u);
  for (std::uint64_t number = 1; number <= operations; ++number) {
    SCOPED_TRACE("operation " + std::to_string(number));
    Place place;
    faults_.Arm(Faults::At::kFails, number);
    const Acknowledged acknowledged = Work(place);
    faults_.Disarm();
    ASSERT_NO_FATAL_FAILURE(ExpectWhole(place, acknowledged));
  }
}

TEST_F(PowerCutTest, AProcessKilledAtEachWriteAndSyncLosesNothingAcknowledged) {
  const std::uint64_t operations = CountOperations();
  std::size_t most = 0;
  for (std::uint64_t number = 1; number <= operations; ++number) {
    SCOPED_TRACE("operation " + std::to_string(number));
    Place place;
    const Acknowledged acknowledged = WorkOfAKilledProcess(place, number);
    most = std::max(most, acknowledged.size());
    ASSERT_NO_FATAL_FAILURE(ExpectWhole(place, acknowledged));
  }
  EXPECT_EQ(most, kEntries);  // some were killed as they closed the log
  EXPECT_LE(outlived_, 5u);
}

TEST_F(PowerCutTest, EachWriteAndSyncThatIsTheLastLosesNothingAcknowledged) {
  const std::uint64_t operations = CountOperations();
  for (std::uint64_t number = 1; number <= operations; ++number) {
    Place place;
    faults_.Arm(Faults::At::kPowerCut, number);
    const Acknowledged acknowledged = Work(place);
    std::map<Kept, std::map<std::string, std::string>> disks;
    for (const Kept kept : {Kept::kNothing, Kept::kEverything, Kept::kHalf, Kept::kReordered}) {
      disks[kept] = faults_.FilesAfterPowerCut(kept);
    }
    faults_.Disarm();
    for (const auto& [kept, files] : disks) {
      SCOPED_TRACE("operation " + std::to_string(number) + ", kept " +
                   std::to_string(static_cast<int>(kept)));
      // The signer's files are durable by its own fsync; they stay as they are for every case but
      // must not be ahead of the log, so each case starts from a copy.
      Place after;
      std::filesystem::remove_all(after.folder.path() + "/signer");
      std::filesystem::copy(place.folder.path() + "/signer", after.folder.path() + "/signer");
      after.signer = *OpenFileSigner(after.folder.path() + "/signer", kOrigin);
      std::filesystem::create_directory(after.Options().folder);
      WriteFiles(files, after.Options().folder);
      ASSERT_NO_FATAL_FAILURE(ExpectWhole(after, acknowledged));
    }
  }
}

}  // namespace
}  // namespace interlock::audit
