// The parts that need no box: the wire, the filter, the control group finder, the registry.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <thread>
#include <utility>

#include "box.h"
#include "bpf.h"
#include "cgroup.h"
#include "harness/no_more_files.h"
#include "message.h"
#include "process.h"
#include "quota.h"
#include "registry.h"
#include "sandbox/input_pipe.h"
#include "seccomp_filter.h"

namespace interlock::sandbox {
namespace {
using test::Verdict;

TEST(Counting, GetsATwentiethOfTheTimeAfterABurst) {
  CountBudget budget;
  std::int64_t now = 1'000'000'000;
  std::int64_t counted = 0;
  for (const std::int64_t end = now + 60'000'000; now < end;) {
    if (budget.Allows(now)) {
      now += 30'000;
      counted += 30'000;
      budget.Spend(now, 30'000);
    } else {
      EXPECT_GT(budget.free_at_us(), now);
      now = budget.free_at_us();
    }
  }
  EXPECT_NEAR(static_cast<double>(counted), 60e6 / 20 + 100'000, 35'000);
  EXPECT_TRUE(budget.Allows(now + 2'000'000)) << "a rest earns it again";
}

// Else a program that fills its first folder with names could fill the second one without end.
TEST(Counting, TakesAllFoldersOfABoxOrNone) {
  const std::filesystem::path root =
      std::filesystem::temp_directory_path() / ("interlock-count-" + std::to_string(::getpid()));
  std::vector<WritableFolder> folders;
  for (const char* name : {"within", "beyond"}) {
    const std::filesystem::path folder = root / name;
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "file") << std::string(8192, 'x');
    folders.push_back({Fd(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)),
                       name,
                       {},
                       {.bytes = name[0] == 'w' ? 1 << 20 : 1, .files = 16}});
  }
  CountBudget counting;
  counting.Spend(MonotonicMicros(), 100'000);  // the burst: nothing is left after the first folder
  const std::int64_t free_at = counting.free_at_us();
  EXPECT_EQ(OverQuotas(folders, counting), "`beyond` holds more than its quota of 1 bytes");
  EXPECT_GT(counting.free_at_us(), free_at) << "what it took was spent";
  counting.Spend(MonotonicMicros(), 60'000'000);
  EXPECT_EQ(OverQuotas(folders, counting), "") << "not now";
  std::filesystem::remove_all(root);
}

TEST(Inputs, NeverBlockAndSayWhenNobodyReads) {
  auto made = InputPipe::Make();
  ASSERT_TRUE(made.ok()) << made.status();
  InputPipe& input = **made;
  const std::string part(kInputWaitingBytesMax, 'x');
  ASSERT_TRUE(input.Write(part).ok());
  EXPECT_FALSE(input.Flush()) << "a pipe holds less";
  EXPECT_EQ(input.Write(part).code(), core::StatusCode::kResourceExhausted);
  std::string read(64 << 10, '\0');
  std::size_t got = 0;
  for (ssize_t size = 1; got < part.size() && size > 0; got += static_cast<std::size_t>(size)) {
    size = ::read(input.read_end(), read.data(), read.size());
    (void)input.Flush();
  }
  EXPECT_EQ(got, part.size());
  EXPECT_TRUE(input.Flush());
  input.Close();
  EXPECT_EQ(input.Write("x").code(), core::StatusCode::kFailedPrecondition);
  EXPECT_EQ(::read(input.read_end(), read.data(), read.size()), 0) << "the end of its input";
}

TEST(SeccompFilter, UnknownNumbersAreRefusedInEveryProfile) {
  for (int p = 0; p < kProfiles; ++p) {
    std::string problem;
    const auto filter = BuildFilter(static_cast<Profile>(p), FilterVariant::kNormal, problem);
    ASSERT_TRUE(filter) << problem;
    constexpr std::uint32_t kErrnoEperm = 0x00050001;
    for (std::uint32_t number = 454; number < 1000; ++number) {
      EXPECT_EQ(Verdict(filter->notify, number, AUDIT_ARCH_X86_64, {}), kErrnoEperm) << number;
    }
  }
}

TEST(SeccompFilter, OtherEntriesGoToTheListenerOrKill) {
  std::string problem;
  const auto filter = BuildFilter(Profile::kStatic, FilterVariant::kNormal, problem);
  ASSERT_TRUE(filter) << problem;
  constexpr std::uint32_t kNotify = 0x7fc00000;
  constexpr std::uint32_t kKill = 0x80000000;
  for (std::uint32_t number = 0; number < 500; ++number) {
    EXPECT_EQ(Verdict(filter->notify, number, AUDIT_ARCH_I386, {}), kNotify) << number;
    EXPECT_EQ(Verdict(filter->kill, number, AUDIT_ARCH_I386, {}), kKill) << number;
    EXPECT_EQ(Verdict(filter->notify, 0x40000000 | number, AUDIT_ARCH_X86_64, {}), kNotify)
        << number;
  }
}

TEST(SeccompFilter, NoSignalsVariantClosesSignalsAndTruncation) {
  std::string problem;
  const auto normal = BuildFilter(Profile::kStatic, FilterVariant::kNormal, problem);
  const auto closed = BuildFilter(Profile::kStatic, FilterVariant::kHostTreeNoSignals, problem);
  ASSERT_TRUE(normal && closed) << problem;
  constexpr std::uint32_t kAllow = 0x7fff0000;
  constexpr std::uint32_t kErrnoEperm = 0x00050001;
  constexpr std::uint32_t kKillCall = 62;
  constexpr std::uint32_t kOpenat = 257;
  EXPECT_EQ(Verdict(normal->kill, kKillCall, AUDIT_ARCH_X86_64, {1, 9}), kAllow);
  EXPECT_EQ(Verdict(closed->kill, kKillCall, AUDIT_ARCH_X86_64, {1, 9}), kErrnoEperm);
  EXPECT_EQ(Verdict(normal->kill, kOpenat, AUDIT_ARCH_X86_64, {0, 0, O_RDONLY | O_TRUNC, 0}),
            kAllow);
  EXPECT_EQ(Verdict(closed->kill, kOpenat, AUDIT_ARCH_X86_64, {0, 0, O_RDONLY | O_TRUNC, 0}),
            kErrnoEperm);
  EXPECT_EQ(
      Verdict(closed->kill, kOpenat, AUDIT_ARCH_X86_64, {0, 0, O_WRONLY | O_CREAT | O_TRUNC, 0644}),
      kAllow);
}

TEST(SeccompFilter, NamesCallsOfAllEntries) {
  EXPECT_EQ(SyscallName(101, AUDIT_ARCH_X86_64), "ptrace");
  EXPECT_EQ(SyscallName(20, AUDIT_ARCH_I386), "32-bit entry: getpid");
  EXPECT_EQ(SyscallName(0x40000000 | 39, AUDIT_ARCH_X86_64), "x32 entry: getpid");
  EXPECT_EQ(SyscallName(9999, AUDIT_ARCH_X86_64), "system call 9999");
}

constexpr std::string_view kHybrid =
    "30 25 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "31 30 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
    "32 30 0:28 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct\n"
    "33 30 0:29 / /sys/fs/cgroup/memory rw shared:7 - cgroup cgroup rw,memory\n"
    "34 30 0:30 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
    "35 30 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

TEST(CgroupPlace, HybridHostIsVersion1WithUnifiedForKilling) {
  const CgroupPlace place = FindCgroupPlace(
      kHybrid, "5:pids:/\n4:memory:/job/7\n2:cpuacct:/\n1:cpu:/\n0::/\n", "hugetlb");
  EXPECT_EQ(place.version, 1);
  EXPECT_EQ(place.memory, "/sys/fs/cgroup/memory/job/7");
  EXPECT_EQ(place.pids, "/sys/fs/cgroup/pids");
  EXPECT_EQ(place.cpuacct, "/sys/fs/cgroup/cpuacct");
  EXPECT_EQ(place.kill, "/sys/fs/cgroup/unified");
}

TEST(CgroupPlace, UnifiedHostIsVersion2) {
  const CgroupPlace place =
      FindCgroupPlace("40 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
                      "0::/system.slice/interlock.service\n", "cpuset cpu io memory pids\n");
  EXPECT_EQ(place.version, 2);
  EXPECT_EQ(place.memory, "/sys/fs/cgroup/system.slice/interlock.service");
  EXPECT_EQ(place.kill, place.memory);
}

TEST(CgroupPlace, NoControllersIsVersion0) {
  EXPECT_EQ(FindCgroupPlace("", "", "").version, 0);
  EXPECT_EQ(
      FindCgroupPlace("40 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/\n", "hugetlb")
          .version,
      0);
}

// What the kernel puts into a folder of the unified hierarchy (cgroup-v2.rst), as far as it is
// used.
int MakeUnifiedFolder(const char* path, mode_t mode) {
  if (::mkdir(path, mode) != 0) return -1;
  constexpr std::pair<const char*, const char*> kFiles[] = {
      {"cgroup.procs", ""},
      {"cgroup.kill", ""},
      {"cgroup.subtree_control", ""},
      {"memory.max", ""},
      {"memory.swap.max", ""},
      {"memory.oom.group", ""},
      {"memory.peak", "4194304\n"},
      {"memory.events", "low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 1\n"},
      {"pids.max", ""},
      {"pids.events", "max 5\n"},
      {"cpu.max", ""},
      {"cpu.stat", "usage_usec 1234\nuser_usec 1000\nsystem_usec 234\n"}};
  for (const auto& [name, text] : kFiles) std::ofstream(std::string(path) + "/" + name) << text;
  return 0;
}

std::string TextOf(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class Unified : public ::testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/interlock-unified-XXXXXX";
    ASSERT_NE(::mkdtemp(path), nullptr);
    top_ = std::string(path) + "/slice";
    ASSERT_EQ(MakeUnifiedFolder(top_.c_str(), 0755), 0);
  }
  void TearDown() override {
    std::filesystem::remove_all(std::filesystem::path(top_).parent_path());
  }
  CgroupPlace PlaceAt(const std::string& folder) const {
    CgroupPlace place;
    place.version = 2;
    place.make_folder = &MakeUnifiedFolder;
    place.memory = place.pids = place.cpu = place.cpuacct = place.kill = folder;
    return place;
  }
  std::string top_;
};

TEST_F(Unified, ABoxIsLimitedAndCountedInOneFolder) {
  BoxGroup group;
  std::string problem;
  ASSERT_TRUE(group.Create(PlaceAt(top_), "b1", problem)) << problem;
  ASSERT_TRUE(group.Limit({32 << 20, 9}, problem)) << problem;
  const std::string box = top_ + "/b1/";
  EXPECT_EQ(TextOf(box + "memory.max"), "33554432");
  EXPECT_EQ(TextOf(box + "memory.swap.max"), "0");
  EXPECT_EQ(TextOf(box + "memory.oom.group"), "1");
  EXPECT_EQ(TextOf(box + "pids.max"), "9");
  EXPECT_EQ(TextOf(box + "cpu.max"), "100000 100000");
  ASSERT_EQ(group.entrances().size(), 1u);
  EXPECT_EQ(::write(group.entrances()[0], "0", 1), 1);
  EXPECT_EQ(TextOf(box + "cgroup.procs"), "0");
  const CgroupUsage usage = group.Usage();
  EXPECT_EQ(usage.cpu_us, 1234);
  EXPECT_EQ(usage.memory_peak_bytes, 4194304);
  EXPECT_EQ(usage.oom_kills, 2);
  EXPECT_EQ(usage.forks_refused, 5);
  EXPECT_EQ(TextOf(box + "cgroup.kill"), "");
  group.KillAll();
  EXPECT_EQ(TextOf(box + "cgroup.kill"), "1");
}

TEST_F(Unified, LimitsThatCannotBeSetAreAProblem) {
  BoxGroup group;
  std::string problem;
  ASSERT_TRUE(group.Create(PlaceAt(top_), "b1", problem)) << problem;
  std::filesystem::remove(top_ + "/b1/memory.max");
  EXPECT_FALSE(group.Limit({32 << 20, 9}, problem));
  EXPECT_EQ(problem, "cgroup limits: No such file or directory");
}

TEST_F(Unified, TheLaunchersFolderHandsControllersOn) {
  CgroupRoot root;
  std::string problem;
  ASSERT_TRUE(root.Create(PlaceAt(top_), problem)) << problem;
  EXPECT_EQ(TextOf(top_ + "/cgroup.subtree_control"), "+memory +pids +cpu");
  ASSERT_EQ(root.folders().size(), 1u);
  EXPECT_EQ(TextOf(root.folders()[0] + "/cgroup.subtree_control"), "+memory +pids +cpu");
  EXPECT_EQ(root.place().memory, root.folders()[0]);
}

// systemd's DelegateSubgroup: processes of its own keep the daemon's group from having children.
TEST_F(Unified, AGroupWithProcessesLeavesItToItsParent) {
  const std::string own = top_ + "/daemon";
  ASSERT_EQ(MakeUnifiedFolder(own.c_str(), 0755), 0);
  std::filesystem::remove(own + "/cgroup.subtree_control");
  CgroupRoot root;
  std::string problem;
  ASSERT_TRUE(root.Create(PlaceAt(own), problem)) << problem;
  ASSERT_EQ(root.folders().size(), 1u);
  EXPECT_EQ(std::filesystem::path(root.folders()[0]).parent_path(), top_);

  std::filesystem::remove(top_ + "/cgroup.subtree_control");
  CgroupRoot none;
  EXPECT_FALSE(none.Create(PlaceAt(own), problem));
  EXPECT_EQ(problem, "cannot enable controllers in " + own + " or above it");
}

// A box whose init ends without a word, after its group's limit has killed a process, or none.
struct Silence {
  bool start_seen;
  bool oom;
};

BoxResult EndOfSilent(const Silence& silence, const CgroupPlace& place, const std::string& name) {
  Box box(0, BoxPlan{}, Level::kFull);
  Fd init_end;
  Fd program_end;
  std::string problem;
  box.group = std::make_unique<BoxGroup>();
  EXPECT_TRUE(MessagePair(box.control, init_end) && MessagePair(box.program, program_end));
  EXPECT_TRUE(box.group->Create(place, name, problem)) << problem;
  if (!silence.oom) std::ofstream(place.memory + "/" + name + "/memory.events") << "oom_kill 0\n";
  box.called = true;
  box.limits.memory_bytes = 32 << 20;
  EXPECT_TRUE(box.TakeReports());
  EXPECT_FALSE(box.program_left);
  program_end.reset();
  if (silence.start_seen) {
    EXPECT_TRUE(box.TakeReports());
    EXPECT_TRUE(box.program_left);
  }
  init_end.reset();
  box.reaped = true;
  EXPECT_FALSE(box.TakeReports());
  CountBudget counting;
  box.WorkOut(counting);
  return box.Result();
}

// What init says of its box's end before it dies itself.
TEST(SandboxBox, IsSettledOnceInitSaysThatNothingIsLeft) {
  for (const std::int64_t alone : {0, 1}) {
    Box box(0, BoxPlan{}, Level::kFull);
    Fd init_end;
    ASSERT_TRUE(MessagePair(box.control, init_end));
    Report end;
    end.kind = ReportKind::kEnded;
    end.wait_status = 7 << 8;
    end.alone = alone;
    SendReport(init_end.get(), end);
    EXPECT_FALSE(box.ended());
    EXPECT_TRUE(box.TakeReports());
    EXPECT_TRUE(box.ended());
    EXPECT_EQ(box.settled(), alone == 1);
    CountBudget counting;
    box.out.kept = "written";
    EXPECT_FALSE(box.worked_out());
    box.WorkOut(counting);
    EXPECT_TRUE(box.worked_out());
    const BoxResult result = box.Result();
    EXPECT_EQ(result.kind, EndKind::kExit);
    EXPECT_EQ(result.value, 7);
    EXPECT_EQ(result.stdout_bytes, "written");
  }
}

TEST_F(Unified, AKillForWantOfMemoryEndsACallOnlyBeforeItsStartWasSeen) {
  const CgroupPlace place = PlaceAt(top_);
  const BoxResult before = EndOfSilent({false, true}, place, "b1");
  EXPECT_EQ(before.kind, EndKind::kMemory);
  EXPECT_EQ(before.detail, "memory limit of 33554432 bytes");
  const BoxResult after = EndOfSilent({true, true}, place, "b2");
  EXPECT_EQ(after.kind, EndKind::kLost) << "it may have run";
  EXPECT_EQ(after.detail, "memory limit of 33554432 bytes");
  for (const bool seen : {false, true}) {
    const BoxResult twin = EndOfSilent({seen, false}, place, seen ? "b3" : "b4");
    EXPECT_EQ(twin.kind, EndKind::kLost);
    EXPECT_EQ(twin.detail, "the box's init ended early (wait status 0)");
  }
}

pid_t SleepingChild() {
  const pid_t child = ::fork();
  if (child != 0) return child;
  for (;;) ::pause();
}

TEST(Registry, EndsWhatIsListedAndLeavesReusedNumbers) {
  const Fd file(::memfd_create("registry", MFD_CLOEXEC));
  const Registry registry(file.get());
  const pid_t listed = SleepingChild();
  const pid_t reused = SleepingChild();
  ASSERT_TRUE(registry.Set(3, listed));
  // The same number with another start time: somebody else's process now.
  const std::int64_t record[2] = {reused, 1};
  ASSERT_EQ(::pwrite(file.get(), record, sizeof record, 0), static_cast<ssize_t>(sizeof record));
  EXPECT_TRUE(registry.EndAll(std::chrono::milliseconds(1000)));
  int status = 0;
  EXPECT_EQ(::waitpid(listed, &status, WNOHANG), listed);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(::waitpid(reused, &status, WNOHANG), 0);
  ::kill(reused, SIGKILL);
  ::waitpid(reused, &status, 0);
}

// "It is dead" must be known: no descriptor to look with is no proof.
TEST(Registry, WhatCannotBeLookedAtIsNotDead) {
  const Fd file(::memfd_create("registry", MFD_CLOEXEC));
  const Registry registry(file.get());
  const pid_t listed = SleepingChild();
  ASSERT_TRUE(registry.Set(0, listed));
  {
    const interlock::test::NoMoreFiles full;
    EXPECT_FALSE(registry.EndAll(std::chrono::milliseconds(2)));
  }
  EXPECT_EQ(::waitpid(listed, nullptr, WNOHANG), 0) << "nobody knew whose number it is";
  EXPECT_TRUE(registry.EndAll(std::chrono::milliseconds(1000)));
  EXPECT_EQ(::waitpid(listed, nullptr, WNOHANG), listed);
}

TEST(Registry, AFullDiskIsAnError) {
  const Fd full(::open("/dev/full", O_RDWR | O_CLOEXEC));
  EXPECT_FALSE(Registry(full.get()).Set(0, ::getpid()));
  EXPECT_EQ(errno, ENOSPC);
  EXPECT_FALSE(Registry(full.get()).Reserve(4));
  const Fd file(::memfd_create("registry", MFD_CLOEXEC));
  EXPECT_TRUE(Registry(file.get()).Reserve(4));
  EXPECT_FALSE(Registry(file.get()).Set(0, 0)) << "no such process";
  EXPECT_TRUE(Registry(file.get()).Set(0, ::getpid()));
}

// Another container may share the cgroup mount; its process numbers say nothing here.
TEST(CgroupRoot, SweepsTheDeadOfItsOwnPidNamespace) {
  char path[] = "/tmp/interlock-groups-XXXXXX";
  ASSERT_NE(::mkdtemp(path), nullptr);
  const std::string top = path;
  CgroupPlace place;
  place.version = 1;
  place.memory = place.pids = top;
  std::string problem;
  CgroupRoot root;
  ASSERT_TRUE(root.Create(place, problem)) << problem;
  ASSERT_EQ(root.folders().size(), 1u);
  const std::string name = std::filesystem::path(root.folders()[0]).filename();
  const std::string self = std::to_string(::getpid());
  const std::size_t after_namespace = name.find("-" + self + "-");
  ASSERT_NE(after_namespace, std::string::npos) << name;
  const std::string own = top + "/" + name.substr(0, after_namespace);
  const std::string dead = own + "-" + self + "-1";
  const std::string parent = own + "-" + std::to_string(::getppid()) + "-" +
                             std::to_string(ProcessStartTicks(::getppid()));
  const std::string elsewhere = top + "/interlock-1-" + self + "-1";
  for (const std::string& folder : {dead, parent, elsewhere}) {
    ASSERT_EQ(::mkdir(folder.c_str(), 0700), 0) << folder;
  }
  root.Remove();
  ASSERT_TRUE(root.Create(place, problem)) << problem;
  EXPECT_NE(::access(dead.c_str(), F_OK), 0);
  EXPECT_EQ(::access(parent.c_str(), F_OK), 0);
  EXPECT_EQ(::access(elsewhere.c_str(), F_OK), 0);
  root.Remove();
  std::filesystem::remove_all(top);
}

// A box whose program could not be run, and both that tell of it.
struct Unrun {
  Unrun() : box(0, BoxPlan{}, Level::kFull) {
    box.called = true;
    made = MessagePair(box.control, init) && MessagePair(box.program, program);
  }
  void Tell() {
    Report failed;
    failed.kind = ReportKind::kFailed;
    SendReport(program.get(), failed);
    program.reset();
    Report ended;
    ended.kind = ReportKind::kEnded;
    ended.alone = 1;
    SendReport(init.get(), ended);
  }

  Box box;
  Fd init;
  Fd program;
  bool made = false;
};

// Whoever is silent when the launcher looks may have said its last word, and left, when it looks at
// the other one, or in the middle of the look.
TEST(Box, AnEndIsNeverSeenWithoutWhatKeptTheProgramFromRunning) {
  constexpr int kRounds = 100;  // of which several meet such a moment
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    std::array<Unrun, 50> boxes;
    for (const Unrun& unrun : boxes) ASSERT_TRUE(unrun.made);
    std::thread teller([&boxes] {
      for (Unrun& unrun : boxes) unrun.Tell();
    });
    for (Unrun& unrun : boxes) {
      while (!unrun.box.settled()) unrun.box.TakeReports();
      EXPECT_TRUE(unrun.box.failed());
      EXPECT_EQ(unrun.box.start_us, 0);
    }
    teller.join();
  }
}

TEST(Names, ParseWhatTheyPrint) {
  for (const Level level :
       {Level::kNone, Level::kLandlockOnly, Level::kFullNoCgroup, Level::kFull}) {
    EXPECT_EQ(*ParseLevel(LevelName(level)), level);
  }
  for (const Profile profile :
       {Profile::kStatic, Profile::kShell, Profile::kPython, Profile::kNode}) {
    EXPECT_EQ(*ParseProfile(ProfileName(profile)), profile);
  }
  EXPECT_FALSE(ParseLevel("Full").ok());
  EXPECT_EQ(EndKindName(EndKind::kLost), "lost");
}

}  // namespace
}  // namespace interlock::sandbox
