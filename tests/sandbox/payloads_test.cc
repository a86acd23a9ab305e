// The hostile corpus: each payload with the exact refusal, at each level and as each user that this
// machine can give; and a control that shows that the payload would have worked, or that its
// harmless twin does.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <string>
#include <vector>

#include "boxes.h"

namespace interlock::sandbox::test {
namespace {

struct Row {
  const char* name;
  const char* payload;  // words; {work}, {secret}, {pid} are replaced
  const char* in_full;
  const char* without_namespaces;  // nullptr: as in_full
  const char* twin;                // run in the same box, must say "ok"; nullptr: none
  const char* outside;  // what the payload says outside as root; nullptr: not safe, or no control
};
std::ostream& operator<<(std::ostream& out, const Row& row) { return out << row.name; }

const Row kRows[] = {
    {"R01_ReadsShadow", "read /etc/shadow", "ENOENT", "EACCES", "read /usr/bin/env", "ok"},
    {"R01_ReadsHostSecret", "read {secret}", "ENOENT", "EACCES", "read {hostile}", "ok"},
    {"R02_ClimbsOut", "read /usr/../../../../etc/shadow", "ENOENT", "EACCES",
     "read /usr/../usr/bin/env", "ok"},
    {"R02_ClimbsThroughProcRoot", "read /proc/self/root/etc/shadow", "ENOENT", "EACCES", nullptr,
     "ok"},
    {"R02_ClimbsThroughProcCwd", "read /proc/self/cwd/../../../../../../../../etc/shadow", "ENOENT",
     "EACCES", nullptr, "ok"},
    {"R03_WritesUsr", "write /usr/interlock-test", "EROFS", "EACCES", "write-temporary", nullptr},
    {"R03_WritesRoot", "write /interlock-test", "EROFS", "EACCES", nullptr, nullptr},
    {"R03_WritesEtc", "write /etc/interlock-test", "EROFS", "EACCES", nullptr, nullptr},
    {"R03_RemovesProgram", "unlink /usr/bin/env", "EROFS", "EACCES", nullptr, nullptr},
    {"R04_LinksToShadow", "read-through-link /etc/shadow", "ENOENT", "EACCES",
     "read-through-link /usr/bin/env", "ok"},
    {"R04_LinksToInitRoot", "read-through-link /proc/1/root/etc/shadow", "ENOENT", "EACCES",
     nullptr, nullptr},
    {"R05_ReadsInitEnvironment", "read /proc/1/environ", "ENOENT", "EACCES", nullptr, nullptr},
    {"R05_ReadsInitMemory", "read /proc/1/mem", "ENOENT", "EACCES", nullptr, nullptr},
    {"R06_OverwritesAProgram", "open-for-writing /usr/bin/env", "EACCES", "EACCES", nullptr,
     nullptr},
    {"R06_OverwritesInit", "open-for-writing /proc/1/exe", "ENOENT", "EACCES", nullptr, nullptr},
    {"R06_ListsInitDescriptors", "list /proc/1/fd", "ENOENT", "EACCES", "list /usr", "ok"},
    {"R07_CorePattern", "open-for-writing /proc/sys/kernel/core_pattern", "ENOENT", "EACCES",
     nullptr, "ok"},
    {"R07_Uevent", "open-for-writing /proc/sys/kernel/modprobe", "ENOENT", "EACCES", nullptr, "ok"},
    {"R07_Kallsyms", "read /proc/kallsyms", "ENOENT", "EACCES", nullptr, "ok"},
    {"R07_NetTcp", "read /proc/net/tcp", "ENOENT", "EACCES", nullptr, "ok"},
    {"R08_ReleaseAgent", "list /sys/fs/cgroup", "ENOENT", "EACCES", nullptr, "ok"},
    {"R09_MakesDevices", "make-device", "EPERM", nullptr, "write-temporary", nullptr},
    {"R10_SetsSetId", "set-id {work}", "EPERM", nullptr, "plain-mode {work}", "ok"},
    {"R10_BecomesRoot", "become-root", "EPERM", nullptr, nullptr, nullptr},
    {"R13_HugeFiles", "huge {work}", "EFBIG", nullptr, "small-size {work}", nullptr},
    {"R14_OpensByHandle", "call 304", "EPERM", nullptr, nullptr, nullptr},
    {"R15_ChangesRoot", "call 161", "EPERM", nullptr, nullptr, nullptr},
    {"R16_MountFamily", "mount-family", "EPERM", nullptr, "list /usr", nullptr},
    {"R17_InheritedDescriptors", "descriptors", "0", nullptr, nullptr, nullptr},
    {"R18_KernelMessages", "read /dev/kmsg", "ENOENT", "EACCES", "read /dev/zero", nullptr},
    {"R18_Disk", "read /dev/vda", "ENOENT", "EACCES", nullptr, nullptr},
    {"R19_TerminalTricks", "terminal-tricks", "EPERM", nullptr, "ask-readable", nullptr},
    {"R21_LooksIntoOthers", "look-into-others", "EPERM", nullptr, nullptr, nullptr},
    {"R22_SignalsParent", "signal-parent", "EPERM", nullptr, "signal-own-child", nullptr},
    {"R22_SignalsHostProcess", "signal {pid}", "ESRCH", "EPERM", nullptr, nullptr},
    {"R33_Namespaces", "namespaces", "EPERM", nullptr, "fork", nullptr},
    {"R34_Clone3", "clone3", "ENOSYS", nullptr, nullptr, nullptr},
    {"R35_Personality", "personality", "EPERM", nullptr, "ask-personality", "ok"},
    {"R36_MoreFilter", "more-filter", "EPERM", nullptr, nullptr, nullptr},
    {"R37_AnonymousProgram", "anonymous-program", "EPERM", nullptr, nullptr, nullptr},
    {"R40_KernelDoors", "kernel-doors", "EPERM", nullptr, nullptr, nullptr},
    {"R41_BpfPerfAndFaults", "call 321", "EPERM", nullptr, nullptr, nullptr},
    {"R42_Keys", "call 250", "EPERM", nullptr, nullptr, nullptr},
    {"R43_MachineDoors", "machine-doors", "EPERM", nullptr, nullptr, nullptr},
    {"R44_Sockets", "sockets", "EPERM", nullptr, "socket-pair", nullptr},
    {"R47_DockerSocket", "ask-outside /run/docker.sock", "EPERM", nullptr, "socket-pair", nullptr},
    {"R50_Scheduling", "scheduling", "EPERM", nullptr, nullptr, nullptr},
    {"R52_RaisesLimits", "raise-limits", "EPERM", nullptr, nullptr, nullptr},
    {"R52_OpensMany", "open-many", "EMFILE after 255", nullptr, nullptr, nullptr},
    // Without namespaces both lie on one file system: Landlock says EXDEV to the file's owner, the
    // kernel's protected_hardlinks says EPERM to others first.
    {"R57_Unleashes", "unleash", "ok", nullptr, nullptr, nullptr},
    {"R66_DescriptorFromOutside", "ask-outside {work}/giver", "EPERM", nullptr, "pass-descriptor",
     nullptr},
    {"R69_NamesThatAreNot", "stat-many 20000", "ok", nullptr, nullptr, nullptr},
    {"R70_FloodsTheLauncher", "flood-sockets", "0 sockets", nullptr, nullptr, nullptr},
    {"R55_HardLink", "hard-link", "EXDEV", "EXDEV|EPERM", nullptr, nullptr},
};

// One launcher a ground for the whole program.
std::map<std::string, std::unique_ptr<Boxes>>& All() {
  static std::map<std::string, std::unique_ptr<Boxes>> all;
  return all;
}
class Closing : public ::testing::Environment {
 public:
  void TearDown() override { All().clear(); }
};
[[maybe_unused]] const auto* const kClosing = ::testing::AddGlobalTestEnvironment(new Closing);

Boxes& On(const Ground& ground) {
  std::unique_ptr<Boxes>& boxes = All()[ground.name];
  if (boxes == nullptr) boxes = std::make_unique<Boxes>(ground, 2);
  return *boxes;
}

std::vector<std::string> Words(const char* text, const Folder& folder) {
  std::vector<std::string> words;
  std::string word;
  for (const char* at = text;; ++at) {
    if (*at != ' ' && *at != '\0') {
      word += *at;
      continue;
    }
    if (word == "{work}") word = folder.work();
    if (word == "{secret}") word = folder.Path("secret");
    if (word == "{hostile}") word = folder.hostile();
    if (word == "{pid}") word = std::to_string(::getpid());
    words.push_back(std::exchange(word, ""));
    if (*at == '\0') return words;
  }
}

bool IsOneOf(const std::string& value, const std::string& alternatives) {
  return ("|" + alternatives + "|").find("|" + value + "|") != std::string::npos;
}

bool MissingOutside(const std::string& payload) {
  if (payload.find(" /proc/1/") != std::string::npos) return false;
  const std::size_t path = std::min(payload.find(" /dev/"), payload.find(" /proc/"));
  return path != std::string::npos && ::access(payload.c_str() + path + 1, F_OK) != 0;
}

class Payloads : public ::testing::TestWithParam<std::tuple<Row, Ground>> {};

TEST_P(Payloads, IsRefusedExactly) {
  const auto& [row, ground] = GetParam();
  Boxes& boxes = On(ground);
  if (!boxes.why_not().empty()) GTEST_SKIP() << ground.name << ": " << boxes.why_not();
  const bool bare = !boxes.namespaces();
  const BoxResult result = boxes.Run(boxes.HostileWithWork(Words(row.payload, boxes.folder())));
  ASSERT_EQ(result.kind, EndKind::kExit) << Describe(result);
  std::string expected =
      bare && row.without_namespaces != nullptr ? row.without_namespaces : row.in_full;
  // Devices and kernel files that this machine does not have cannot be refused.
  if (bare && MissingOutside(row.payload)) expected = "ENOENT";
  EXPECT_PRED2(IsOneOf, result.stdout_bytes, expected) << Describe(result);
  if (row.twin != nullptr) {
    const BoxResult twin = boxes.Run(boxes.HostileWithWork(Words(row.twin, boxes.folder())));
    EXPECT_EQ(twin.stdout_bytes, "ok") << "harmless twin `" << row.twin << "`: " << Describe(twin);
  }
  if (row.outside != nullptr && ::geteuid() == 0 && !MissingOutside(row.payload)) {
    std::vector<std::string> argv = Words(row.payload, boxes.folder());
    argv.insert(argv.begin(), boxes.folder().hostile());
    EXPECT_EQ(RunOutside(argv), row.outside) << "outside any box";
  }
}

INSTANTIATE_TEST_SUITE_P(
    Corpus, Payloads, ::testing::Combine(::testing::ValuesIn(kRows), ::testing::ValuesIn(kGrounds)),
    [](const auto& item) {
      return std::string(std::get<0>(item.param).name) + "_" + std::get<1>(item.param).name;
    });

class Box : public ::testing::TestWithParam<Ground> {
 protected:
  void SetUp() override {
    boxes_ = &On(GetParam());
    if (!boxes_->why_not().empty()) GTEST_SKIP() << GetParam().name << ": " << boxes_->why_not();
  }
  std::string Says(std::vector<std::string> args) {
    return boxes_->Run(boxes_->HostileWithWork(std::move(args))).stdout_bytes;
  }
  Boxes* boxes_ = nullptr;
};

TEST_P(Box, R11_TmpEndsAtItsSize) {
  if (!boxes_->namespaces())
    GTEST_SKIP() << "without namespaces /tmp is the host's; file_bytes limits each file";
  BoxSpec spec = boxes_->Hostile({"fill-tmp"});
  spec.limits.tmp_bytes = 8 << 20;
  EXPECT_EQ(boxes_->Run(spec).stdout_bytes, "ENOSPC after " + std::to_string(8 << 20));
}

TEST_P(Box, R12_TmpEndsAtItsInodes) {
  if (!boxes_->namespaces()) GTEST_SKIP() << "without namespaces /tmp is the host's";
  BoxSpec spec = boxes_->Hostile({"fill-inodes"});
  spec.limits.tmp_inodes = 100;
  // The folder itself and the kernel's own take a few of the hundred.
  const std::string said = boxes_->Run(spec).stdout_bytes;
  ASSERT_TRUE(said.starts_with("ENOSPC after ")) << said;
  EXPECT_GE(std::atoi(said.c_str() + 13), 90);
  EXPECT_LT(std::atoi(said.c_str() + 13), 100);
}

TEST_P(Box, R20_PtraceEndsTheBoxByName) {
  for (const char* payload : {"ptrace", "trace-me"}) {
    const BoxResult result = boxes_->Run(boxes_->Hostile({payload}));
    EXPECT_EQ(result.kind, EndKind::kViolation) << Describe(result);
    EXPECT_EQ(result.detail, "ptrace");
    // The kernel answers ENOSYS to a call whose listener goes; the program may say so before it
    // dies.
    EXPECT_TRUE(result.stdout_bytes.empty() || result.stdout_bytes == "ENOSYS") << Describe(result);
  }
}

TEST_P(Box, R38_ThirtyTwoBitEntryEndsTheBox) {
  const BoxResult result = boxes_->Run(boxes_->Hostile({"old-entry"}));
  EXPECT_EQ(result.kind, EndKind::kViolation) << Describe(result);
  EXPECT_EQ(result.detail, "32-bit entry: getpid");
}

TEST_P(Box, R39_X32EntryEndsTheBox) {
  const BoxResult result = boxes_->Run(boxes_->Hostile({"x32-entry"}));
  EXPECT_EQ(result.kind, EndKind::kViolation) << Describe(result);
  EXPECT_EQ(result.detail, "x32 entry: getpid");
}

TEST_P(Box, R48_EnvironmentIsWhatWasGiven) {
  ::setenv("SECRET_OF_THE_DAEMON", "x", 1);
  const std::string own = boxes_->namespaces() ? "" : "TMPDIR ";
  EXPECT_EQ(Says({"environment"}), own + "PATH ");
  BoxSpec spec = boxes_->Hostile({"environment"});
  spec.env = {{"PATH", "/bin"}, {"CALL", "7"}};
  EXPECT_EQ(boxes_->Run(spec).stdout_bytes, "PATH CALL " + own);
}

TEST_P(Box, R49_SeesNoOtherProcess) {
  // hidepid hides init; without namespaces /proc cannot even be listed.
  EXPECT_EQ(Says({"pids"}), boxes_->namespaces() ? "1" : "EACCES");
}

TEST_P(Box, R51_LeavesNothingForTheNextCall) {
  const BoxResult first = boxes_->Run(boxes_->Hostile({"leave-state"}));
  if (!boxes_->namespaces()) {
    EXPECT_TRUE(first.stdout_bytes.starts_with("EACCES")) << Describe(first);
    return;
  }
  EXPECT_EQ(first.stdout_bytes, "ok ok") << Describe(first);
  EXPECT_EQ(Says({"find-state"}), "ENOENT ENOENT");
}

TEST_P(Box, R53_OutputIsBytes) {
  EXPECT_EQ(Says({"raw-bytes"}), std::string("\x1b[2J\xff\xfe\0end", 10));
}

TEST_P(Box, R54_HasNoCapability) {
  const bool may_drop_bounding = boxes_->namespaces() || !GetParam().as_nobody;
  EXPECT_EQ(Says({"capabilities"}),
            std::string("eff 0 bnd ") + (may_drop_bounding ? "0" : "some") + " nnp 1 seccomp 2");
}

TEST_P(Box, WritesBelongToTheFoldersOwner) {
  struct stat info {};
  EXPECT_EQ(Says({"write", boxes_->folder().work() + "/made"}), "ok");
  ASSERT_EQ(::stat((boxes_->folder().work() + "/made").c_str(), &info), 0);
  struct stat folder {};
  ASSERT_EQ(::stat(boxes_->folder().work().c_str(), &folder), 0);
  EXPECT_EQ(info.st_uid, folder.st_uid);
  EXPECT_EQ(info.st_gid, folder.st_gid);
}

TEST_P(Box, ReadOnlyMountCannotBeWritten) {
  BoxSpec spec = boxes_->Hostile({"write", boxes_->folder().work() + "/not"});
  spec.mounts.push_back({boxes_->folder().work(), boxes_->folder().work(), Access::kReadOnly});
  EXPECT_EQ(boxes_->Run(spec).stdout_bytes, boxes_->namespaces() ? "EROFS" : "EACCES");
}

INSTANTIATE_TEST_SUITE_P(Grounds, Box, ::testing::ValuesIn(kGrounds),
                         [](const auto& item) { return std::string(item.param.name); });

}  // namespace
}  // namespace interlock::sandbox::test
