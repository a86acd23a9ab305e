// The hostile corpus: each payload with the exact refusal, at each level and as each user that this
// machine can give; and a control that shows that the payload would have worked, or that its
// harmless twin does.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "boxes.h"
#include "corpus.h"

namespace interlock::sandbox::test {
namespace {

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
  ::setenv("SECRET_OF_THE_DAEMON", "x", 1);  // before the launcher starts: it must not inherit it
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
    if (word == "{source}") word = INTERLOCK_SOURCE_DIR "/CMakeLists.txt";
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
  const std::size_t path =
      std::min({payload.find(" /dev/"), payload.find(" /proc/"), payload.find(" /sys/")});
  return path != std::string::npos && ::access(payload.c_str() + path + 1, F_OK) != 0;
}

std::string TwinSays(const std::string& twin, bool bare, const Ground& ground) {
  for (const HinderedTwin& hindered : kHinderedTwins) {
    if (!bare || twin != hindered.twin) continue;
    if (ground.old_landlock || !hindered.old_landlock_only) return hindered.says;
  }
  return "ok";
}

// Whether root may make a machine to throw away: not in most containers.
bool HasScratch(const Folder& folder) {
  static const bool has =
      RunOutside({INTERLOCK_SCRATCH, folder.path(), folder.hostile(), "fork"}) == "ok";
  return has;
}

void CheckOutside(const Row& row, const Folder& folder) {
  std::vector<std::string> argv = Words(row.payload, folder);
  argv.insert(argv.begin(), folder.hostile());
  std::string expected = row.outside;
  constexpr std::string_view kScratch = "scratch ";
  if (expected.starts_with(kScratch)) {
    if (!HasScratch(folder)) return;
    expected = expected.substr(kScratch.size());
    argv.insert(argv.begin(), {INTERLOCK_SCRATCH, folder.path()});
  }
  if (expected != "other") {
    EXPECT_EQ(RunOutside(argv), expected) << "outside any box";
    return;
  }
  ::setenv("HOSTILE_EACH", "1", 1);
  const std::string says = RunOutside(argv);
  ::unsetenv("HOSTILE_EACH");
  const std::string refusal = row.in_full;
  EXPECT_FALSE(says.empty());
  EXPECT_NE(says, refusal) << "outside any box";
  EXPECT_EQ(says.find("=" + refusal + ";"), std::string::npos) << "outside any box: " << says;
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
    EXPECT_EQ(twin.stdout_bytes, TwinSays(row.twin, bare, ground))
        << "harmless twin `" << row.twin << "`: " << Describe(twin);
  }
  if (row.outside != nullptr && ::geteuid() == 0 && !MissingOutside(row.payload)) {
    CheckOutside(row, boxes.folder());
  }
}

INSTANTIATE_TEST_SUITE_P(
    Corpus, Payloads, ::testing::Combine(::testing::ValuesIn(kRows), ::testing::ValuesIn(kGrounds)),
    [](const auto& item) {
      return std::string(std::get<0>(item.param).name) + "_" + std::get<1>(item.param).name;
    });

INSTANTIATE_TEST_SUITE_P(OldLandlock, Payloads,
                         ::testing::Combine(::testing::ValuesIn(kRows),
                                            ::testing::Values(kOldLandlock)),
                         [](const auto& item) {
                           return std::string(std::get<0>(item.param).name);
                         });

TEST(Corpus, RowsWithoutAControlSayWhy) {
  for (const Row& row : kRows) {
    const bool excused =
        std::any_of(std::begin(kNoControl), std::end(kNoControl),
                    [&](const NoControl& item) { return item.name == std::string(row.name); });
    EXPECT_EQ(row.outside == nullptr, excused) << row.name;
  }
}

TEST(Corpus, RowsDifferWithoutNamespacesOnlyAsAllowed) {
  for (const Row& row : kRows) {
    if (row.without_namespaces == nullptr || row.without_namespaces == std::string(row.in_full))
      continue;
    const bool allowed =
        std::any_of(std::begin(kAllowedDifferences), std::end(kAllowedDifferences),
                    [&](const AllowedDifference& item) {
                      return item.in_full == std::string(row.in_full) &&
                             item.without_namespaces == std::string(row.without_namespaces);
                    });
    EXPECT_TRUE(allowed) << row.name << ": " << row.in_full << " becomes "
                         << row.without_namespaces;
  }
}

// Every row of the corpus is the name of a payload or of a test.
TEST(Corpus, EveryRowIsHeldSomewhere) {
  std::string sources;
  for (const auto& entry :
       std::filesystem::directory_iterator(INTERLOCK_SOURCE_DIR "/tests/sandbox")) {
    const std::string name = entry.path().filename();
    if (!name.ends_with("_test.cc") && name != "corpus.h") continue;
    std::ostringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    sources += text.str();
  }
  constexpr int kCorpusRows = 70;
  for (int row = 1; row <= kCorpusRows; ++row) {
    char name[8];
    std::snprintf(name, sizeof name, "R%02d_", row);
    EXPECT_NE(sources.find(name), std::string::npos) << name;
  }
}

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
  BoxSpec spec = boxes_->Hostile({"fill-tmp"});
  spec.limits.tmp_bytes = 8 << 20;
  spec.limits.file_bytes = 1 << 30;
  const BoxResult result = boxes_->Run(spec);
  if (boxes_->namespaces()) {
    EXPECT_EQ(result.stdout_bytes, "ENOSPC after " + std::to_string(8 << 20));
    return;
  }
  EXPECT_EQ(result.kind, EndKind::kDisk) << Describe(result);
  EXPECT_EQ(result.detail, "`TMPDIR` holds more than its quota of 8388608 bytes");
}

TEST_P(Box, R12_TmpEndsAtItsInodes) {
  BoxSpec spec = boxes_->Hostile({"fill-inodes"});
  spec.limits.tmp_inodes = 100;
  const BoxResult result = boxes_->Run(spec);
  if (!boxes_->namespaces()) {
    EXPECT_EQ(result.kind, EndKind::kDisk) << Describe(result);
    EXPECT_EQ(result.detail, "`TMPDIR` holds more than its quota of 100 files");
    return;
  }
  // The folder itself and the kernel's own take a few of the hundred.
  const std::string said = result.stdout_bytes;
  ASSERT_TRUE(said.starts_with("ENOSPC after ")) << said;
  EXPECT_GE(std::atoi(said.c_str() + 13), 90);
  EXPECT_LT(std::atoi(said.c_str() + 13), 100);
}

// A process outside that would hand its secret to whoever connects.
class Giver {
 public:
  Giver(const std::string& path, const std::string& secret)
      : listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)),
        secret_(::open(secret.c_str(), O_RDONLY | O_CLOEXEC)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const auto* bound = reinterpret_cast<const sockaddr*>(&address);
    EXPECT_EQ(::bind(listener_, bound, sizeof address), 0) << path;
    EXPECT_EQ(::chmod(path.c_str(), 0777), 0);  // nothing but the walls of a box says no
    EXPECT_EQ(::listen(listener_, 4), 0);
    giving_ = std::thread([this] { Give(); });
  }
  ~Giver() {
    ::shutdown(listener_, SHUT_RDWR);  // ends accept
    giving_.join();
    ::close(listener_);
    ::close(secret_);
  }

 private:
  void Give() const {
    for (int taker; (taker = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
      char byte = 'x';
      iovec part{&byte, 1};
      alignas(cmsghdr) char space[CMSG_SPACE(sizeof secret_)] = {};
      msghdr header{};
      header.msg_iov = &part;
      header.msg_iovlen = 1;
      header.msg_control = space;
      header.msg_controllen = sizeof space;
      cmsghdr* c = CMSG_FIRSTHDR(&header);
      c->cmsg_level = SOL_SOCKET;
      c->cmsg_type = SCM_RIGHTS;
      c->cmsg_len = CMSG_LEN(sizeof secret_);
      std::memcpy(CMSG_DATA(c), &secret_, sizeof secret_);
      ::sendmsg(taker, &header, MSG_NOSIGNAL);
      ::close(taker);
    }
  }

  const int listener_;
  const int secret_;
  std::thread giving_;
};

TEST_P(Box, R66_NobodyOutsideCanHandADescriptorIn) {
  const std::string path = boxes_->folder().work() + "/giver";
  const Giver giver(path, boxes_->folder().Path("secret"));
  EXPECT_EQ(RunOutside({boxes_->folder().hostile(), "ask-outside", path}), "ok")
      << "outside, the descriptor comes and can be read";
  EXPECT_EQ(Says({"ask-outside", path}), "EPERM");
  std::filesystem::remove(path);
}

TEST_P(Box, R22_ASignalToAllStaysInside) {
  EXPECT_EQ(Says({"signal-all"}), "ok");
  EXPECT_EQ(Says({"write-temporary"}), "ok") << "the launcher is gone";
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
  ASSERT_NE(::getenv("SECRET_OF_THE_DAEMON"), nullptr);
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
  if (!boxes_->namespaces()) {  // no path of the host's /tmp, and no System V object at all
    EXPECT_EQ(first.stdout_bytes, "EACCES EPERM") << Describe(first);
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

// Without namespaces a box takes on the owner of what only its owner can use, but never root.
TEST_P(Box, WhatIsRootsAloneTakesNamespaces) {
  if (::geteuid() != 0 || GetParam().as_nobody) GTEST_SKIP() << "only root can make it root's";
  const Folder folder(false);
  ASSERT_EQ(::chown(folder.work().c_str(), 0, 0), 0);
  BoxSpec spec = boxes_->Hostile({"write", folder.work() + "/made"});
  spec.mounts.push_back({folder.work(), folder.work(), Access::kReadWrite});
  const BoxResult result = boxes_->Run(spec);
  if (boxes_->namespaces()) {
    EXPECT_EQ(result.stdout_bytes, "ok") << Describe(result);
    return;
  }
  EXPECT_EQ(result.kind, EndKind::kNotRun) << Describe(result);
  EXPECT_EQ(result.detail, "mount `" + folder.work() +
                               "` is for root alone, and a box without namespaces is never root: "
                               "chown it to another user, or demand full-nocgroup");
}

TEST_P(Box, ReadOnlyMountCannotBeWritten) {
  BoxSpec spec = boxes_->Hostile({"write", boxes_->folder().work() + "/not"});
  spec.mounts.push_back({boxes_->folder().work(), boxes_->folder().work(), Access::kReadOnly});
  EXPECT_EQ(boxes_->Run(spec).stdout_bytes, boxes_->namespaces() ? "EROFS" : "EACCES");
}

// Without namespaces the box is chosen first, and goes with the call that is refused.
TEST_P(Box, ARefusedCallTakesNoBoxFromTheNext) {
  BoxSpec refused = boxes_->Hostile({"write-temporary"});
  refused.mounts.push_back({"/no/such/folder", "/no/such/folder", Access::kReadOnly});
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(boxes_->Run(refused).kind, EndKind::kNotRun);
    const BoxResult next = boxes_->Run(boxes_->Hostile({"write-temporary"}));
    EXPECT_EQ(next.stdout_bytes, "ok") << Describe(next);
  }
}

// Rows 64 and 65: what a shell, git or an agent outside would obey.
TEST_P(Box, R64_NamesThatSteerOthersAreSetAside) {
  for (const char* name : {".bashrc", ".mcp.json", ".ssh", ".git", ".zshenv"}) {
    const std::string path = boxes_->folder().work() + "/" + name;
    BoxSpec spec =
        boxes_->HostileWithWork({name[1] == 's' || name[1] == 'g' ? "make-folder" : "write", path});
    const BoxResult result = boxes_->Run(spec);
    EXPECT_EQ(result.stdout_bytes, "ok") << Describe(result);
    EXPECT_EQ(result.kind, EndKind::kDisk) << Describe(result);
    EXPECT_EQ(result.detail, "it left `" + path + "` (now set-aside" + name +
                                 ".1), which steers programs outside the box");
    EXPECT_NE(::access(path.c_str(), F_OK), 0) << path;
    EXPECT_EQ(::access((boxes_->folder().work() + "/set-aside" + name + ".1").c_str(), F_OK), 0);
  }
  const BoxResult link = boxes_->Run(
      boxes_->HostileWithWork({"make-link", "/etc/shadow", boxes_->folder().work() + "/.netrc"}));
  EXPECT_EQ(link.kind, EndKind::kDisk) << Describe(link);
  const BoxResult twin =
      boxes_->Run(boxes_->HostileWithWork({"write", boxes_->folder().work() + "/bashrc"}));
  EXPECT_EQ(twin.kind, EndKind::kExit) << Describe(twin);
}

// Nor what a process makes that its program left behind: it is dead before anybody looks.
TEST_P(Box, R64_NamesThatALeftProcessMakesAreSetAside) {
  const std::string path = boxes_->folder().work() + "/.envrc";
  for (int i = 0; i < 20; ++i) {
    for (const int signal : {SIGCHLD, 0}) {
      const BoxResult result =
          boxes_->Run(boxes_->HostileWithWork({"leave-writer", path, std::to_string(signal)}));
      ASSERT_EQ(result.kind, EndKind::kDisk) << Describe(result);
      ASSERT_NE(::access(path.c_str(), F_OK), 0) << "round " << i << ", signal " << signal;
    }
  }
}

TEST_P(Box, R65_NamesThatAreThereAreShownReadOnlyOrNothingRuns) {
  const Folder folder(GetParam().as_nobody);
  const std::string git = folder.work() + "/.git";
  ASSERT_EQ(::mkdir(git.c_str(), 0777), 0);
  struct stat owner {};
  ASSERT_EQ(::stat(folder.work().c_str(), &owner), 0);
  ASSERT_EQ(::chown(git.c_str(), owner.st_uid, owner.st_gid), 0);
  BoxSpec spec = boxes_->Hostile({"swap-for-link", git, "/tmp"});
  spec.mounts.push_back({folder.work(), folder.work(), Access::kReadWrite});
  const BoxResult refused = boxes_->Run(spec);
  EXPECT_EQ(refused.kind, EndKind::kNotRun) << Describe(refused);
  EXPECT_TRUE(
      refused.detail.starts_with("mount `" + folder.work() + "` is writable and holds `.git`"))
      << refused.detail;
  spec.mounts.push_back({git, git, Access::kReadOnly});
  const BoxResult swapped = boxes_->Run(spec);
  if (!boxes_->namespaces()) {  // Landlock only adds rights
    EXPECT_EQ(swapped.kind, EndKind::kNotRun) << Describe(swapped);
    return;
  }
  EXPECT_EQ(swapped.stdout_bytes, "EBUSY") << Describe(swapped);
  spec.argv = {spec.argv[0], "write", git + "/hooks"};
  EXPECT_EQ(boxes_->Run(spec).stdout_bytes, "EROFS");
  spec.argv = {spec.argv[0], "write", folder.work() + "/beside"};
  const BoxResult twin = boxes_->Run(spec);
  EXPECT_EQ(twin.stdout_bytes, "ok") << Describe(twin);
  EXPECT_EQ(twin.kind, EndKind::kExit) << Describe(twin);
}

// Row 67: no call is large, all together are.
class Quotas : public Box {
 protected:
  void SetUp() override {
    Box::SetUp();
    if (!IsSkipped()) folder_ = std::make_unique<Folder>(GetParam().as_nobody);
  }
  BoxResult Run(std::vector<std::string> args, Quota quota) {
    BoxSpec spec = boxes_->Hostile(std::move(args));
    spec.mounts.push_back({folder_->work(), folder_->work(), Access::kReadWrite, quota});
    return boxes_->Run(spec);
  }
  std::string In(const std::string& name) const { return folder_->work() + "/" + name; }
  std::unique_ptr<Folder> folder_;
};

TEST_P(Quotas, R67_ManyCallsTogetherEndAtIt) {
  const Quota quota{.bytes = 1 << 20, .files = 100};
  int ran = 0;
  BoxResult result;
  for (; ran < 10; ++ran) {
    result = Run({"write-much", In("part" + std::to_string(ran)), "400000"}, quota);
    if (result.kind == EndKind::kNotRun) break;
    // The one that passes it may be seen, or have ended before the next count.
    EXPECT_TRUE(result.kind == EndKind::kExit || ran == 2) << Describe(result);
  }
  EXPECT_EQ(ran, 3) << "two fit, the third passes it, the fourth must not run";
  EXPECT_EQ(result.kind, EndKind::kNotRun) << Describe(result);
  EXPECT_EQ(result.detail, "`" + folder_->work() +
                               "` holds more than its quota of 1048576 bytes; make room "
                               "there, or raise the mount's quota");
  std::filesystem::remove(In("part0"));
  const BoxResult again = Run({"write", In("again")}, quota);
  EXPECT_EQ(again.stdout_bytes, "ok") << Describe(again);
}

// Nothing is remembered from call to call: what lies there counts, whoever put it there.
TEST_P(Quotas, R67_TheNextDaemonCountsWhatTheLastOneLeft) {
  const Quota quota{.bytes = 1 << 20, .files = 100};
  for (const char* part : {"part0", "part1", "part2"}) {
    (void)Run({"write-much", In(part), "400000"}, quota);  // the last may be seen to pass it
  }
  Boxes next(GetParam(), 0);
  ASSERT_EQ(next.why_not(), "");
  BoxSpec spec = boxes_->Hostile({"write", In("more")});
  spec.mounts.push_back({folder_->work(), folder_->work(), Access::kReadWrite, quota});
  const BoxResult refused = next.Run(spec);
  EXPECT_EQ(refused.kind, EndKind::kNotRun) << Describe(refused);
  EXPECT_NE(refused.detail.find("its quota of 1048576 bytes"), std::string::npos) << refused.detail;
  std::filesystem::remove(In("part0"));
  const BoxResult twin = next.Run(spec);
  EXPECT_EQ(twin.stdout_bytes, "ok") << Describe(twin);
}

TEST_P(Quotas, R67_OneCallIsEndedWhenItPassesIt) {
  const BoxResult result =
      Run({"write-much", In("much"), "400000", "hold"}, {.bytes = 100'000, .files = 100});
  EXPECT_EQ(result.kind, EndKind::kDisk) << Describe(result);
  EXPECT_EQ(result.detail, "`" + folder_->work() + "` holds more than its quota of 100000 bytes");
}

TEST_P(Quotas, R67_FilesCountToo) {
  const Quota quota{.bytes = 64 << 20, .files = 50};
  EXPECT_EQ(Run({"make-many", folder_->work(), "50"}, quota).stdout_bytes, "ok");
  EXPECT_EQ(Run({"write", In("m0")}, quota).stdout_bytes, "ok") << "fifty are not too many";
  (void)Run({"write", In("one-more")}, quota);  // ends well, or is seen to pass it
  const BoxResult refused = Run({"write", In("m0")}, quota);
  EXPECT_EQ(refused.kind, EndKind::kNotRun) << Describe(refused);
  EXPECT_TRUE(refused.detail.find("its quota of 50 files") != std::string::npos) << refused.detail;
}

TEST_P(Quotas, R67_WhatCannotBeCountedIsTooMuch) {
  const Quota quota{.bytes = 64 << 20, .files = 1000};
  (void)Run({"make-many", folder_->work(), "70", "nested"}, quota);  // may be ended for it
  const BoxResult refused = Run({"write", In("more")}, quota);
  EXPECT_EQ(refused.kind, EndKind::kNotRun) << Describe(refused);
  EXPECT_TRUE(refused.detail.find("nested too deep") != std::string::npos) << refused.detail;
}

INSTANTIATE_TEST_SUITE_P(Grounds, Quotas, ::testing::ValuesIn(kGrounds),
                         [](const auto& item) { return std::string(item.param.name); });

INSTANTIATE_TEST_SUITE_P(Grounds, Box, ::testing::ValuesIn(kGrounds),
                         [](const auto& item) { return std::string(item.param.name); });

}  // namespace
}  // namespace interlock::sandbox::test
