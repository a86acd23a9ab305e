// Launcher and boxes live and die with the daemon, and leave nothing behind.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <random>
#include <thread>

#include "boxes.h"
#include "harness/no_more_files.h"
#include "registry.h"

extern char** environ;

namespace interlock::sandbox::test {
namespace {
namespace fs = std::filesystem;
using std::chrono::milliseconds;

// Children of this process: the launchers of its Boxes.
std::vector<int> Children() {
  std::vector<int> pids;
  for (const auto& task : fs::directory_iterator("/proc/self/task")) {
    std::ifstream file(task.path() / "children");
    for (int pid; file >> pid;) pids.push_back(pid);
  }
  return pids;
}

std::vector<int> ChildrenOf(int pid) {
  std::vector<int> pids;
  const std::string number = std::to_string(pid);
  std::ifstream file("/proc/" + number + "/task/" + number + "/children");
  for (int child; file >> child;) pids.push_back(child);
  return pids;
}

std::size_t MountCount() {
  std::ifstream file("/proc/self/mountinfo");
  std::string line;
  std::size_t count = 0;
  while (std::getline(file, line)) ++count;
  return count;
}

std::size_t DescriptorCount() {
  const fs::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(fs::begin(all), fs::end(all)));
}

// Control groups named after `pid`, wherever they are.
// As the launcher names its groups: a number alone may be that of another one, long gone.
std::string GroupNameEnd(int pid) {
  return "-" + std::to_string(pid) + "-" + std::to_string(ProcessStartTicks(pid));
}

bool HasGroups(const std::string& name_end) {
  std::error_code ignored;
  for (fs::recursive_directory_iterator at("/sys/fs/cgroup", ignored), end; at != end;
       at.increment(ignored)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with("interlock-") && name.ends_with(name_end)) return true;
  }
  return false;
}

bool HasNoCapability(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("CapPrm:")) return line.find_first_of("123456789abcdef", 7) == line.npos;
  }
  return false;
}

// What stands behind `key:` in the status of a process; empty when it is gone.
std::string StatusOf(int pid, const std::string& key) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key + ":")) return line.substr(key.size() + 2);
  }
  return "";
}

bool HasTmpOf(int pid, std::int64_t mebibytes) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/mountinfo");
  const std::string size = ",size=" + std::to_string(mebibytes << 10) + "k,";
  for (std::string line; std::getline(file, line);) {
    if (line.find(" /tmp ") != line.npos && line.find(size) != line.npos) return true;
  }
  return false;
}

BoxSpec WithoutMounts(std::vector<std::string> argv) {
  BoxSpec spec;
  spec.level_min = Level::kLandlockOnly;
  spec.argv = std::move(argv);
  return spec;
}

class Lifetime : public ::testing::TestWithParam<Ground> {
 protected:
  // False: skipped.
  bool Start(int pool) {
    boxes_ = std::make_unique<Boxes>(GetParam(), pool);
    if (boxes_->why_not().empty()) {
      launcher_pid_ = Children().at(0);
      group_name_end_ = GroupNameEnd(launcher_pid_);
      return true;
    }
    why_not_ = boxes_->why_not();
    return false;
  }
  std::unique_ptr<Boxes> boxes_;
  std::string why_not_;
  int launcher_pid_ = 0;
  std::string group_name_end_;
};

TEST_P(Lifetime, KilledLauncherMeansLostAndDeadBoxes) {
  if (!Start(1)) GTEST_SKIP() << GetParam().name << ": " << why_not_;
  const std::string token = Token();
  std::vector<std::promise<BoxResult>> promises(3);
  for (auto& promise : promises) {
    boxes_->launcher().Run(boxes_->Hostile({"sleep-tree", token}),
                           [&](BoxResult result) { promise.set_value(std::move(result)); });
  }
  ASSERT_TRUE(Within(milliseconds(10'000), [&] { return ProcessesWith(token).size() >= 12; }));
  EXPECT_EQ(HasGroups(group_name_end_), boxes_->cgroups());
  ::kill(launcher_pid_, SIGKILL);
  for (auto& promise : promises) {
    const BoxResult result = promise.get_future().get();
    EXPECT_EQ(result.kind, EndKind::kLost) << Describe(result);
    EXPECT_EQ(result.detail, "the launcher died");
  }
  EXPECT_TRUE(Within(milliseconds(2000), [&] { return ProcessesWith(token).empty(); }));
  const BoxResult after = boxes_->Run(boxes_->Hostile({"exit-with", "0"}));
  EXPECT_EQ(after.kind, EndKind::kNotRun);
  EXPECT_EQ(after.detail, "the sandbox launcher is gone; restart the daemon");
  EXPECT_FALSE(HasGroups(group_name_end_));
}

// It cannot take the descriptor that long output comes by; the launcher serves on.
TEST_P(Lifetime, ADaemonAtItsLimitOfOpenFilesHearsOfTheEnd) {
  if (!Start(1)) GTEST_SKIP() << GetParam().name << ": " << why_not_;
  const BoxSpec spec = WithoutMounts({"/usr/bin/head", "-c", "200000", "/dev/zero"});
  EXPECT_EQ(boxes_->Run(spec).stdout_bytes.size(), 200'000u);
  {
    const interlock::test::NoMoreFiles full;
    const BoxResult result = boxes_->Run(spec);
    EXPECT_EQ(result.kind, EndKind::kExit) << Describe(result);
    EXPECT_EQ(result.stdout_dropped, 200'000) << Describe(result);
  }
  EXPECT_EQ(boxes_->Run(spec).stdout_bytes.size(), 200'000u);
}

// A box for calls without mounts is sealed, and its init powerless, before its call is known.
TEST_P(Lifetime, KeepsBoxesReadyForCallsWithMountsAndWithout) {
  if (!Start(2)) GTEST_SKIP() << GetParam().name << ": " << why_not_;
  EXPECT_EQ(boxes_->Run(boxes_->Hostile({"exit-with", "0"})).kind, EndKind::kExit);
  EXPECT_EQ(boxes_->Run(WithoutMounts({"/bin/true"})).kind, EndKind::kExit);
  const std::size_t kinds = boxes_->namespaces() ? 2 : 1;
  ASSERT_TRUE(
      Within(milliseconds(10'000), [&] { return ChildrenOf(launcher_pid_).size() == 2 * kinds; }));
  if (!boxes_->namespaces()) return;
  ASSERT_TRUE(Within(milliseconds(10'000), [&] {
    const std::vector<int> inits = ChildrenOf(launcher_pid_);
    return std::count_if(inits.begin(), inits.end(), HasNoCapability) == 2;
  }));
  for (int i = 0; i < 6; ++i) {
    const BoxSpec spec =
        i % 2 == 0 ? boxes_->Hostile({"exit-with", "0"}) : WithoutMounts({"/bin/true"});
    const BoxResult result = boxes_->Run(spec);
    EXPECT_EQ(result.kind, EndKind::kExit) << Describe(result);
  }
}

TEST_P(Lifetime, ReadyBoxesHaveTheSizeOfTmpThatTheCallAsksFor) {
  if (!Start(2)) GTEST_SKIP() << GetParam().name << ": " << why_not_;
  if (!boxes_->namespaces()) GTEST_SKIP() << "without namespaces /tmp is the host's";
  for (const std::int64_t mebibytes : {64, 8, 8, 64, 16, 64}) {
    BoxSpec spec = WithoutMounts({"/usr/bin/stat", "-f", "-c", "%b %S", "/tmp"});
    spec.limits.tmp_bytes = mebibytes << 20;
    if (mebibytes == 16) spec.mounts = boxes_->Hostile({}).mounts;
    const BoxResult result = boxes_->Run(std::move(spec));
    EXPECT_EQ(result.stdout_bytes, std::to_string((mebibytes << 20) / 4096) + " 4096\n")
        << Describe(result);
  }
}

TEST_P(Lifetime, BoxesForAnOldSizeOfTmpGo) {
  if (!Start(2)) GTEST_SKIP() << GetParam().name << ": " << why_not_;
  if (!boxes_->namespaces()) GTEST_SKIP() << "without namespaces /tmp is the host's";
  for (const std::int64_t mebibytes : {64, 8, 16, 24, 8, 64}) {
    BoxSpec spec = WithoutMounts({"/bin/true"});
    spec.limits.tmp_bytes = mebibytes << 20;
    const BoxResult result = boxes_->Run(std::move(spec));
    EXPECT_EQ(result.kind, EndKind::kExit) << Describe(result);
    ASSERT_TRUE(Within(milliseconds(10'000),
                       [&] {
                         const std::vector<int> inits = ChildrenOf(launcher_pid_);
                         const auto fits = [&](int pid) { return HasTmpOf(pid, mebibytes); };
                         return inits.size() == 2 && std::all_of(inits.begin(), inits.end(), fits);
                       }))
        << mebibytes << " MiB: " << ChildrenOf(launcher_pid_).size() << " boxes";
  }
}

// Whether its init waits for mounts, and notices nothing, or serves already.
TEST_P(Lifetime, AReadyBoxWhoseProcessDiedGetsNoCall) {
  if (!Start(1)) GTEST_SKIP() << GetParam().name << ": " << why_not_;
  if (!boxes_->namespaces()) GTEST_SKIP() << "its process is made with the call";
  for (const bool mounts : {true, false}) {
    boxes_.reset();
    ASSERT_TRUE(Start(1)) << why_not_;
    const BoxSpec spec =
        mounts ? boxes_->Hostile({"exit-with", "0"}) : WithoutMounts({"/bin/true"});
    EXPECT_EQ(boxes_->Run(spec).kind, EndKind::kExit);
    int worker = 0;
    ASSERT_TRUE(Within(milliseconds(10'000), [&] {
      const std::vector<int> inits = ChildrenOf(launcher_pid_);
      const std::vector<int> workers = inits.empty() ? inits : ChildrenOf(inits[0]);
      worker = workers.empty() ? 0 : workers[0];
      return worker != 0 && StatusOf(worker, "Seccomp") == "2";
    }));
    ASSERT_EQ(::kill(worker, SIGKILL), 0);
    ASSERT_TRUE(Within(milliseconds(10'000), [&] {
      const std::string state = StatusOf(worker, "State");
      return state.empty() || state[0] == 'Z';
    }));
    const BoxResult result = boxes_->Run(spec);
    EXPECT_EQ(result.kind, EndKind::kExit) << Describe(result);
    EXPECT_EQ(result.value, 0);
  }
}

TEST_P(Lifetime, DestructionEndsRunningBoxes) {
  if (!Start(1)) GTEST_SKIP() << GetParam().name << ": " << why_not_;
  const std::string token = Token();
  std::promise<BoxResult> promise;
  boxes_->launcher().Run(boxes_->Hostile({"sleep-tree", token}),
                         [&](BoxResult result) { promise.set_value(std::move(result)); });
  ASSERT_TRUE(Within(milliseconds(10'000), [&] { return ProcessesWith(token).size() >= 4; }));
  boxes_.reset();
  EXPECT_EQ(promise.get_future().get().kind, EndKind::kCancelled);
  EXPECT_TRUE(ProcessesWith(token).empty());
  EXPECT_NE(::kill(launcher_pid_, 0), 0);
  EXPECT_FALSE(HasGroups(group_name_end_));
}

TEST_P(Lifetime, KilledDaemonLeavesNothing) {
  if (GetParam().as_nobody && ::geteuid() == 0)
    GTEST_SKIP() << "the daemon of this test runs as this user";
  const Folder folder(false);
  const std::string token = Token();
  const std::string level = std::to_string(static_cast<int>(GetParam().level_cap));
  const std::string state = folder.Path("boxes.state");
  std::vector<std::string> words = {INTERLOCK_DAEMON, level,        state,
                                    folder.hostile(), "sleep-tree", token};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t daemon = 0;
  ASSERT_EQ(::posix_spawn(&daemon, argv[0], nullptr, nullptr, argv.data(), environ), 0);
  // The daemon itself has the token too, so 12 and one.
  const bool up = Within(milliseconds(15'000), [&] { return ProcessesWith(token).size() >= 13; });
  ::kill(daemon, SIGKILL);
  ::waitpid(daemon, nullptr, 0);
  EXPECT_TRUE(up);
  EXPECT_TRUE(Within(milliseconds(5000), [&] { return ProcessesWith(token).empty(); }));
  // The next daemon is told so, or waits: its start proves it.
  LauncherOptions options;
  options.program = INTERLOCK_BIN_DIR "/interlock-launcher";
  options.state_file = state;
  auto next = StartLauncher(options);
  ASSERT_TRUE(next.ok()) << next.status();
}

TEST_P(Lifetime, ManyCallsWithCancelsLeaveNothing) {
  if (!Start(2)) GTEST_SKIP() << GetParam().name << ": " << why_not_;
  const std::size_t mounts = MountCount();
  const std::string token = Token();
  constexpr int kCalls = 120;
  std::atomic<int> ended{0};
  std::atomic<int> wrong{0};
  std::mt19937 random(7);  // fixed seed: the same calls each time
  const std::size_t descriptors = DescriptorCount();
  for (int i = 0; i < kCalls; ++i) {
    const int kind = i % 4;
    BoxSpec spec = kind == 0   ? boxes_->Hostile({"sleep-tree", token})
                   : kind == 1 ? boxes_->Hostile({"stubborn", token})
                               : boxes_->Hostile({"exit-with", "5", token});
    // Some wait for a box first, and none that long.
    spec.limits.wall_ms = kind == 1 ? 1000 : 20'000;
    const std::uint64_t handle = boxes_->launcher().Run(spec, [&, kind](BoxResult result) {
      const EndKind expected = kind == 0   ? EndKind::kCancelled
                               : kind == 1 ? EndKind::kTimeout
                                           : EndKind::kExit;
      if (result.kind != expected) ++wrong;
      ++ended;
    });
    if (random() % 8 == 0) ::usleep(3000);
    if (kind == 0) boxes_->launcher().Cancel(handle);
  }
  EXPECT_TRUE(Within(milliseconds(60'000), [&] { return ended == kCalls; })) << ended;
  EXPECT_EQ(wrong, 0);
  EXPECT_TRUE(ProcessesWith(token).empty());
  EXPECT_EQ(DescriptorCount(), descriptors);
  EXPECT_EQ(MountCount(), mounts);
  boxes_.reset();
  EXPECT_FALSE(HasGroups(group_name_end_));
}

TEST_P(Lifetime, WhatWaitsForABoxPastItsTimeIsNotRun) {
  const bool drops = GetParam().as_nobody && ::geteuid() == 0;
  const Folder folder(GetParam().as_nobody);
  LauncherOptions options;
  options.program = drops ? INTERLOCK_AS_NOBODY : INTERLOCK_BIN_DIR "/interlock-launcher";
  options.level_cap = GetParam().level_cap;
  options.boxes_max = 1;
  options.pool_per_profile = 0;
  auto launcher = StartLauncher(options);
  if (!launcher.ok()) GTEST_SKIP() << launcher.status();
  BoxSpec spec;
  spec.level_min = Level::kLandlockOnly;
  spec.argv = {folder.hostile(), "sleep"};
  spec.mounts = {{folder.hostile(), folder.hostile(), Access::kReadOnly}};
  spec.limits.wall_ms = 60'000;
  std::promise<BoxResult> holds;
  std::promise<BoxResult> waits;
  const std::uint64_t first =
      (*launcher)->Run(spec, [&](BoxResult result) { holds.set_value(std::move(result)); });
  spec.limits.wall_ms = 50;
  (*launcher)->Run(spec, [&](BoxResult result) { waits.set_value(std::move(result)); });
  const BoxResult refused = waits.get_future().get();
  EXPECT_EQ(refused.kind, EndKind::kNotRun) << Describe(refused);
  EXPECT_EQ(refused.detail,
            "all 1 boxes were busy for its whole wall limit of 50 ms; raise sandbox.boxes_max");
  (*launcher)->Cancel(first);
  EXPECT_EQ(holds.get_future().get().kind, EndKind::kCancelled);
}

TEST_P(Lifetime, QueueHoldsWhatIsAboveTheMaximum) {
  if (GetParam().as_nobody && ::geteuid() == 0) GTEST_SKIP() << "started as this user";
  const Folder folder(false);
  LauncherOptions options;
  options.program = INTERLOCK_BIN_DIR "/interlock-launcher";
  options.level_cap = GetParam().level_cap;
  options.boxes_max = 2;
  options.pool_per_profile = 0;
  auto launcher = StartLauncher(options);
  if (!launcher.ok()) GTEST_SKIP() << launcher.status();
  if ((*launcher)->capabilities().level < Level::kLandlockOnly)
    GTEST_SKIP() << "no sandbox level here";
  BoxSpec spec;
  spec.level_min = Level::kLandlockOnly;
  spec.argv = {folder.hostile(), "exit-with", "0"};
  spec.mounts = {{folder.hostile(), folder.hostile(), Access::kReadOnly}};
  std::atomic<int> ended{0};
  for (int i = 0; i < 12; ++i) {
    (*launcher)->Run(spec, [&](BoxResult result) { ended += result.kind == EndKind::kExit; });
  }
  EXPECT_TRUE(Within(milliseconds(30'000), [&] { return ended == 12; })) << ended;
}

INSTANTIATE_TEST_SUITE_P(Grounds, Lifetime, ::testing::ValuesIn(kGrounds),
                         [](const auto& item) { return std::string(item.param.name); });

TEST(StartLauncher, RefusesWhatCannotBe) {
  LauncherOptions options;
  options.program = "/no/such/launcher";
  EXPECT_EQ(StartLauncher(options).status().code(), core::StatusCode::kUnavailable);
  options.boxes_max = 0;
  EXPECT_EQ(StartLauncher(options).status().code(), core::StatusCode::kInvalidArgument);
  options.boxes_max = 1;
  options.pool_per_profile = 0;
  options.program = "/bin/true";
  EXPECT_EQ(StartLauncher(options).status().code(), core::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace interlock::sandbox::test
