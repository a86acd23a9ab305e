// How a program can end, and that the result says so truthfully; limits; what is refused before
// anything runs.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>

#include "boxes.h"

namespace interlock::sandbox::test {
namespace {
using std::chrono::milliseconds;
using std::chrono::steady_clock;

class Ending : public ::testing::TestWithParam<Ground> {
 protected:
  void SetUp() override {
    boxes_ = std::make_unique<Boxes>(GetParam(), 0);  // cold: the pool has the payload tests
    if (!boxes_->why_not().empty()) GTEST_SKIP() << GetParam().name << ": " << boxes_->why_not();
  }
  BoxResult Run(std::vector<std::string> args) {
    return boxes_->Run(boxes_->HostileWithWork(std::move(args)));
  }
  std::unique_ptr<Boxes> boxes_;
};

TEST_P(Ending, R61_ExitStatusIsReportedAndNeverInterpreted) {
  for (const int status : {0, 1, 125, 126, 127, 129, 137, 159}) {
    const BoxResult result = Run({"exit-with", std::to_string(status)});
    EXPECT_EQ(result.kind, EndKind::kExit) << Describe(result);
    EXPECT_EQ(result.value, status);
  }
}

TEST_P(Ending, R61_OwnSignalIsASignal) {
  // SIGSYS included: only the filter makes a violation, and SIGKILL without an OOM is no memory
  // limit.
  for (const int number : {SIGTERM, SIGSEGV, SIGSYS, SIGKILL, SIGUSR1}) {
    const BoxResult result = Run({"raise", std::to_string(number)});
    EXPECT_EQ(result.kind, EndKind::kSignal) << Describe(result);
    EXPECT_EQ(result.value, number);
  }
}

TEST_P(Ending, R26_StubbornProgramEndsAtTheWallLimit) {
  BoxSpec spec = boxes_->Hostile({"stubborn"});
  spec.limits.wall_ms = 200;
  const BoxResult result = boxes_->Run(spec);
  EXPECT_EQ(result.kind, EndKind::kTimeout) << Describe(result);
  EXPECT_GE(result.wall_us, 200'000);
  EXPECT_LT(result.wall_us, 60'000'000) << "it waits for the program";
}

TEST_P(Ending, R27_SpinningEndsAtTheCpuLimit) {
  BoxSpec spec = boxes_->Hostile({"spin"});
  spec.limits.cpu_ms = boxes_->cgroups() ? 150 : 1000;  // rlimits count whole seconds
  const BoxResult result = boxes_->Run(spec);
  EXPECT_EQ(result.kind, EndKind::kCpu) << Describe(result);
  // Exact with control groups; RLIMIT_CPU counts ticks, which run ahead on a busy machine.
  const std::int64_t least = boxes_->cgroups() ? 900 : 500;
  EXPECT_GE(result.cpu_us, spec.limits.cpu_ms * least);
}

TEST_P(Ending, R28_MemoryHogIsStopped) {
  BoxSpec spec = boxes_->Hostile({"eat-memory"});
  spec.limits.memory_bytes = 48 << 20;
  const BoxResult result = boxes_->Run(spec);
  if (boxes_->cgroups()) {
    EXPECT_EQ(result.kind, EndKind::kMemory) << Describe(result);
    EXPECT_LE(result.memory_peak_bytes, 48 << 20);
    EXPECT_GE(result.memory_peak_bytes, 40 << 20);
  } else {
    EXPECT_EQ(result.kind, EndKind::kExit) << Describe(result);
    EXPECT_EQ(result.stdout_bytes, "ENOMEM");
  }
}

TEST_P(Ending, R13_FileSizeLimitIsDisk) {
  BoxSpec spec = boxes_->HostileWithWork({"write-beyond", boxes_->folder().work()});
  spec.limits.file_bytes = 1 << 20;
  const BoxResult result = boxes_->Run(spec);
  EXPECT_EQ(result.kind, EndKind::kDisk) << Describe(result);
  struct stat info {};
  ASSERT_EQ(::stat((boxes_->folder().work() + "/beyond").c_str(), &info), 0);
  EXPECT_EQ(info.st_size, 1 << 20);
}

TEST_P(Ending, R24_R25_ForkBombIsRefusedAndDies) {
  for (const char* payload : {"fork-bomb", "zombie-flood"}) {
    BoxSpec spec = boxes_->Hostile({payload});
    spec.limits.pids = 16;
    if (!GetParam().as_nobody && !boxes_->cgroups())
      GTEST_SKIP() << "no limit for root without a pids group";
    const BoxResult result = boxes_->Run(spec);
    EXPECT_EQ(result.kind, EndKind::kExit) << Describe(result);
    EXPECT_TRUE(result.stdout_bytes.starts_with("EAGAIN after ")) << Describe(result);
    const int made = std::atoi(result.stdout_bytes.c_str() + sizeof "EAGAIN after " - 1);
    EXPECT_LE(made, 17) << Describe(result);
    EXPECT_GE(made, 5) << Describe(result);
    if (boxes_->cgroups()) {
      EXPECT_NE(result.detail.find("16 pids"), std::string::npos) << Describe(result);
    }
  }
}

TEST_P(Ending, AProgramThatFailsAtALimitEndsByThatLimit) {
  BoxSpec pids = boxes_->Hostile({"fail-at-limit", "pids"});
  pids.limits.pids = 8;
  BoxSpec memory = boxes_->Hostile({"child-eats-memory"});
  memory.limits.memory_bytes = 48 << 20;
  if (boxes_->cgroups()) {
    const BoxResult refused = boxes_->Run(pids);
    EXPECT_EQ(refused.kind, EndKind::kPids) << Describe(refused);
    EXPECT_EQ(refused.value, 3);
    EXPECT_EQ(refused.detail, "the limit of 8 pids refused a process or thread");
    pids.argv.emplace_back("hang");
    pids.limits.wall_ms = 3000;
    const BoxResult hung = boxes_->Run(pids);
    EXPECT_EQ(hung.kind, EndKind::kTimeout) << Describe(hung);
    EXPECT_EQ(hung.detail,
              "wall limit of 3000 ms; the limit of 8 pids refused a process or thread");
    EXPECT_EQ(boxes_->Run(memory).kind, EndKind::kMemory) << Describe(boxes_->Run(memory));
  }
  BoxSpec disk = boxes_->Hostile({"fail-at-limit", "tmp"});
  disk.limits.tmp_bytes = 1 << 20;
  disk.limits.file_bytes = 8 << 20;
  if (boxes_->namespaces()) {
    const BoxResult full = boxes_->Run(disk);
    EXPECT_EQ(full.kind, EndKind::kDisk) << Describe(full);
    EXPECT_EQ(full.value, 3);
  }
  const BoxResult twin = boxes_->Run(boxes_->Hostile({"fail-at-limit", "nothing"}));
  EXPECT_EQ(twin.kind, EndKind::kExit) << Describe(twin);
}

TEST_P(Ending, R30_FloodIsCutAndEnds) {
  BoxSpec spec = boxes_->Hostile({"flood"});
  spec.limits.stdout_bytes = 64 << 10;
  const BoxResult result = boxes_->Run(spec);
  EXPECT_EQ(result.kind, EndKind::kOutput) << Describe(result).substr(0, 200);
  EXPECT_EQ(result.stdout_bytes.size(), 64u << 10);
  EXPECT_GT(result.stdout_dropped, 0);
}

// Whoever passes the cap and ends at once ends as whoever goes on does, whatever is seen first.
TEST_P(Ending, R30_PassingTheCapIsOneEndingHoweverFastItEnds) {
  for (int i = 0; i < 25; ++i) {
    BoxSpec spec = boxes_->Hostile({"arguments", "12345678"});
    spec.limits.stdout_bytes = 9;
    const BoxResult result = boxes_->Run(spec);
    EXPECT_EQ(result.kind, EndKind::kOutput) << Describe(result);
    EXPECT_EQ(result.detail, "stdout passed its limit of 9 bytes");
    EXPECT_EQ(result.stdout_bytes, "[12345678");
    EXPECT_EQ(result.stdout_dropped, 1);
    spec.limits.stdout_bytes = 10;
    EXPECT_EQ(boxes_->Run(spec).kind, EndKind::kExit) << "just as much as it may";
  }
}

TEST_P(Ending, LongOutputArrivesWhole) {
  BoxSpec spec = boxes_->Hostile({"flood"});
  spec.limits.stdout_bytes = 3 << 20;  // beyond what one message holds
  const BoxResult result = boxes_->Run(spec);
  EXPECT_EQ(result.stdout_bytes, std::string(3 << 20, 'f'));
}

TEST_P(Ending, R31_InputIsReadThenEnds) {
  EXPECT_EQ(Run({"read-input"}).stdout_bytes, "0");
  BoxSpec spec = boxes_->Hostile({"read-input"});
  spec.stdin_bytes = std::string(kStdinBytesMax, 'i');
  EXPECT_EQ(boxes_->Run(spec).stdout_bytes, std::to_string(kStdinBytesMax));
}

TEST_P(Ending, R23_R32_DaemonIsDeadWhenTheResultComes) {
  const std::string beat = boxes_->folder().work() + "/beat";
  const auto begin = steady_clock::now();
  BoxSpec spec = boxes_->HostileWithWork({"daemonize", boxes_->folder().work()});
  spec.limits.wall_ms = 30'000;
  const BoxResult result = boxes_->Run(spec);
  // It holds all pipes open, and the call returned all the same (row 32).
  EXPECT_LT(steady_clock::now() - begin, milliseconds(15'000));
  ASSERT_EQ(result.kind, EndKind::kExit) << Describe(result);
  struct stat before {};
  ASSERT_EQ(::stat(beat.c_str(), &before), 0);
  EXPECT_GE(before.st_size, 10);
  ::usleep(50'000);
  struct stat after {};
  ASSERT_EQ(::stat(beat.c_str(), &after), 0);
  EXPECT_EQ(before.st_size, after.st_size);
}

TEST_P(Ending, R63_ClosingTheOutputIsNotTheEnd) {
  BoxSpec spec = boxes_->Hostile({"close-and-stay"});
  spec.limits.wall_ms = 150;
  EXPECT_EQ(boxes_->Run(spec).kind, EndKind::kTimeout);
}

TEST_P(Ending, CancelKillsTheTree) {
  const std::string token = Token();
  std::promise<BoxResult> promise;
  BoxSpec spec = boxes_->Hostile({"sleep-tree", token});
  const std::uint64_t handle =
      boxes_->launcher().Run(spec, [&](BoxResult result) { promise.set_value(std::move(result)); });
  ASSERT_TRUE(Within(milliseconds(10'000), [&] { return ProcessesWith(token).size() >= 4; }));
  boxes_->launcher().Cancel(handle);
  const BoxResult result = promise.get_future().get();
  EXPECT_EQ(result.kind, EndKind::kCancelled) << Describe(result);
  EXPECT_TRUE(ProcessesWith(token).empty());
  boxes_->launcher().Cancel(handle);  // again: nothing
}

TEST_P(Ending, MissingProgramWasNotRun) {
  BoxSpec spec = boxes_->Hostile({});
  spec.argv = {"/usr/bin/no-such-program"};
  const BoxResult result = boxes_->Run(spec);
  EXPECT_EQ(result.kind, EndKind::kNotRun) << Describe(result);
  EXPECT_EQ(result.detail,
            "exec /usr/bin/no-such-program: No such file or directory; a box has /usr and its "
            "kin and what is mounted, and a script needs its interpreter");
}

TEST_P(Ending, SymbolicLinkInAMountIsRefused) {
  const std::string link = boxes_->folder().Path("link");
  ASSERT_EQ(::symlink("/etc", link.c_str()), 0);
  BoxSpec spec = boxes_->Hostile({"sleep"});
  spec.mounts.push_back({link, link, Access::kReadOnly});
  const BoxResult result = boxes_->Run(spec);
  EXPECT_EQ(result.kind, EndKind::kNotRun) << Describe(result);
  EXPECT_NE(result.detail.find("symbolic link"), std::string::npos) << result.detail;
}

TEST_P(Ending, R60_MalformedSpecsAreNotRun) {
  const auto refused = [&](auto change, const std::string& why) {
    BoxSpec spec = boxes_->Hostile({"exit-with", "0"});
    change(spec);
    const BoxResult result = boxes_->Run(spec);
    EXPECT_EQ(result.kind, EndKind::kNotRun) << Describe(result);
    EXPECT_NE(result.detail.find(why), std::string::npos) << result.detail;
  };
  refused([](BoxSpec& s) { s.argv.emplace_back(70'000, 'x'); }, "argv is above 64 KiB");
  refused([](BoxSpec& s) { s.argv.emplace_back("a\0b", 3); }, "NUL byte");
  refused([](BoxSpec& s) { s.argv[0] = "hostile"; }, "normal absolute path");
  refused([](BoxSpec& s) { s.argv.clear(); }, "normal absolute path");
  refused([](BoxSpec& s) { s.env = {{"A=B", "c"}}; }, "malformed");
  refused([](BoxSpec& s) { s.stdin_bytes.resize(kStdinBytesMax + 1); }, "1 MiB");
  refused([](BoxSpec& s) { s.mounts[0].box_path = "/proc/self"; }, "belongs to the box");
  refused([](BoxSpec& s) { s.mounts[0].host_path = "/tmp/../etc"; }, "normal absolute path");
  refused([](BoxSpec& s) { s.limits.wall_ms = 0; }, "wall_ms");
  refused([](BoxSpec& s) { s.work_dir = "relative"; }, "work_dir");
}

TEST_P(Ending, R60_ArgumentsArriveAsTheyAre) {
  BoxSpec spec = boxes_->Hostile({"arguments", "--", "-rf", "; id", "$(id)", "`id`", "a b", "", "*",
                                  "\n", "--help", std::string(1, '\x01')});
  EXPECT_EQ(boxes_->Run(spec).stdout_bytes,
            "[--][-rf][; id][$(id)][`id`][a b][][*][\n][--help][\x01]");
}

TEST_P(Ending, BelowTheDemandedLevelIsRefusedWithAFix) {
  if (boxes_->launcher().capabilities().level == Level::kFull)
    GTEST_SKIP() << "this machine gives everything";
  BoxSpec spec = boxes_->Hostile({"exit-with", "0"});
  spec.level_min = Level::kFull;
  const BoxResult result = boxes_->Run(spec);
  EXPECT_EQ(result.kind, EndKind::kNotRun);
  EXPECT_NE(result.detail.find("demands `full`"), std::string::npos) << result.detail;
  EXPECT_NE(result.detail.find(" missing ("), std::string::npos) << result.detail;
}

TEST_P(Ending, DigestNamesWhatWasInForce) {
  const BoxResult one = Run({"exit-with", "0"});
  const BoxResult same = Run({"exit-with", "1"});
  BoxSpec spec = boxes_->HostileWithWork({"exit-with", "0"});
  spec.limits.memory_bytes += 1;
  EXPECT_EQ(one.profile_digest, same.profile_digest);
  EXPECT_NE(one.profile_digest, boxes_->Run(spec).profile_digest);
  EXPECT_EQ(one.level, boxes_->launcher().capabilities().level);
  EXPECT_EQ(one.filter_digest, same.filter_digest);
  EXPECT_NE(one.filter_digest, core::Digest{});
  spec.profile = Profile::kNode;
  EXPECT_NE(one.filter_digest, boxes_->Run(spec).filter_digest);
}

std::string FileBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_P(Ending, DigestNamesTheProgramThatRan) {
  const auto ran = [this](const std::string& program) {
    BoxSpec spec;
    spec.argv = {program};
    spec.level_min = Level::kNone;
    return boxes_->Run(spec).program_digest;
  };
  EXPECT_EQ(ran("/bin/true"), core::Sha256(FileBytes("/bin/true")));
  EXPECT_EQ(ran("/usr/bin/false"), core::Sha256(FileBytes("/usr/bin/false")));
  EXPECT_EQ(ran("/usr/bin/no-such"), core::Digest{});
  EXPECT_EQ(ran("/etc/passwd"), core::Digest{}) << "the box has one of its own";
}

// The cache knows a file by its inode, size and times: a changed program has another digest.
TEST_P(Ending, DigestOfAProgramFollowsItsFile) {
  const std::string folder = boxes_->folder().work();
  const std::string program = folder + "/tool";
  std::filesystem::copy_file("/bin/true", program);
  BoxSpec spec;
  spec.level_min = Level::kNone;
  spec.argv = {program};
  spec.mounts = {{.host_path = folder, .box_path = folder}};
  const core::Digest first = boxes_->Run(spec).program_digest;
  EXPECT_EQ(first, core::Sha256(FileBytes("/bin/true")));
  std::ofstream(program, std::ios::app) << "more";
  EXPECT_EQ(boxes_->Run(spec).program_digest, core::Sha256(FileBytes(program)));
  spec.mounts[0].access = Access::kReadWrite;
  EXPECT_EQ(boxes_->Run(spec).program_digest, core::Digest{}) << "it may be another by now";
  spec.mounts[0].access = Access::kReadOnly;
  std::filesystem::rename(program, folder + "/other");
  std::filesystem::create_symlink("other", program);
  EXPECT_EQ(boxes_->Run(spec).program_digest, core::Digest{}) << "a link may lead elsewhere";
}

// A file so long that it is not read before its program could have changed it.
TEST_P(Ending, DigestIsOfTheProgramBeforeItCouldChangeItself) {
  const std::string work = boxes_->folder().work();
  const std::string folder = work + "/bin";
  const std::string program = folder + "/tool";
  std::filesystem::create_directory(folder);
  const std::string way = boxes_->namespaces() ? "/alias" : work;
  std::ofstream(program) << "#!/bin/sh\necho other >> " << way << "/bin/tool && exit 7\nexit 8\n"
                         << std::string(48 << 20, '\n');
  struct stat owner {};
  ASSERT_EQ(::stat(work.c_str(), &owner), 0);
  ASSERT_EQ(::chown(program.c_str(), owner.st_uid, owner.st_gid), 0);
  ASSERT_EQ(::chmod(program.c_str(), 0777), 0);
  const core::Digest before = core::Sha256(FileBytes(program));
  BoxSpec spec;
  spec.level_min = Level::kNone;
  spec.argv = {program};
  spec.mounts = {{.host_path = folder, .box_path = folder}};
  const BoxResult twin = boxes_->Run(spec);
  EXPECT_EQ(twin.value, 8) << "nothing to write to: " << Describe(twin);
  EXPECT_EQ(twin.program_digest, before);
  std::ofstream(program, std::ios::app) << "\n";  // not known by its digest yet
  const core::Digest longer = core::Sha256(FileBytes(program));
  spec.mounts.push_back({.host_path = work, .box_path = way, .access = Access::kReadWrite});
  const BoxResult result = boxes_->Run(spec);
  EXPECT_EQ(result.value, 7) << Describe(result);
  EXPECT_EQ(result.program_digest, longer);
  EXPECT_NE(core::Sha256(FileBytes(program)), longer) << "it did not change itself";
}

INSTANTIATE_TEST_SUITE_P(Grounds, Ending, ::testing::ValuesIn(kGrounds),
                         [](const auto& item) { return std::string(item.param.name); });

}  // namespace
}  // namespace interlock::sandbox::test
