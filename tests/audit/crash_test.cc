// A process is killed at random moments while it appends; no entry that it acknowledged is lost.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <map>
#include <random>
#include <thread>

#include "audit/verify.h"
#include "fixture.h"

namespace interlock::audit {
namespace {

constexpr int kRounds = 12;
constexpr int kThreads = 32;  // so many that rows go in while the next ones are hashed

struct Acknowledged {
  std::uint64_t index;
  core::Digest leaf_hash;
};

class CrashTest : public LogFixture {
 protected:
  // In the child: appends from many threads for ever, and writes down what was acknowledged.
  [[noreturn]] void AppendForEver(int out) {
    auto signer = OpenFileSigner(folder_.path() + "/signer", "interlock.example/main");
    if (!signer.ok()) ::_exit(3);
    LogOptions options = Options();
    options.signer = signer->get();
    auto log = Log::Open(options);
    if (!log.ok()) ::_exit(4);
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        while (true) {
          const auto ref = (*log)->Append(EntryOf("call.proposed", t % 2 == 0 ? kRunA : kRunB));
          if (!ref.ok()) ::_exit(5);
          const Acknowledged ack{ref->index, ref->leaf_hash};
          if (::write(out, &ack, sizeof ack) != sizeof ack) ::_exit(6);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    ::_exit(7);
  }
};

TEST_F(CrashTest, NoAcknowledgedEntryIsLost) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::map<std::uint64_t, core::Digest> acknowledged;
  for (int round = 0; round < kRounds; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(::pipe(pipe_ends), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(pipe_ends[0]);
      AppendForEver(pipe_ends[1]);
    }
    ::close(pipe_ends[1]);
    // Killed after a random number of acknowledgements, the first ones included.
    const std::size_t enough = random() % 400;
    std::size_t seen = 0;
    Acknowledged ack{};
    bool killed = false;
    while (::read(pipe_ends[0], &ack, sizeof ack) == sizeof ack) {
      acknowledged[ack.index] = ack.leaf_hash;
      if (++seen > enough && !killed) {
        ASSERT_EQ(::kill(child, SIGKILL), 0);
        killed = true;
      }
    }
    ::close(pipe_ends[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);
    // Before anyone opened it for writing again, the file verifies.
    VerifyOptions options;
    options.database = Database();
    const VerifyReport report = Verify(options);
    ASSERT_TRUE(report.verdict == Verdict::kIntact || report.verdict == Verdict::kIncomplete)
        << report.reason;
    ASSERT_GE(report.entries, acknowledged.rbegin()->first + 1);
  }
  auto signer = OpenFileSigner(folder_.path() + "/signer", "interlock.example/main");
  ASSERT_TRUE(signer.ok());
  LogOptions options = Options();
  options.signer = signer->get();
  auto log = MustOpen(options);
  for (const auto& [index, hash] : acknowledged) {
    const auto entry = log->Read(index);
    ASSERT_TRUE(entry.ok()) << index;
    ASSERT_EQ(entry->leaf_hash, hash) << index;
  }
  EXPECT_GT(acknowledged.size(), 100u);
}

}  // namespace
}  // namespace interlock::audit
