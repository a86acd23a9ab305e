// The signer as a process of its own, key rotation, and what the log does while the signer is away.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <future>
#include <iterator>
#include <thread>

#include "anchor.h"
#include "audit/merkle.h"
#include "audit/signer_service.h"
#include "audit/verify.h"
#include "fixture.h"
#include "memory_log.h"

namespace interlock::audit {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr const char* kOrigin = "interlock.example/main";

bool WaitFor(const std::function<bool()>& condition) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition() && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return condition();
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Without the one that every signer of these tests gets: it runs under our own uid.
std::vector<std::string> Warnings(const Log& log) {
  std::vector<std::string> all = log.warnings();
  EXPECT_TRUE(!all.empty() && all[0].find("signer: not independent") == 0);
  if (!all.empty()) all.erase(all.begin());
  return all;
}

class SignerTest : public LogFixture {
 protected:
  SignerServiceOptions Service() {
    return {folder_.path() + "/keys", folder_.path() + "/signer.sock", {kOrigin}, std::nullopt};
  }
  std::unique_ptr<SignerService> MustStart() {
    auto service = SignerService::Start(Service());
    EXPECT_TRUE(service.ok()) << service.status();
    return service.ok() ? *std::move(service) : nullptr;
  }
  std::unique_ptr<Signer> MustConnect() {
    auto signer = ConnectSigner(Service().socket, kOrigin);
    EXPECT_TRUE(signer.ok()) << signer.status();
    return signer.ok() ? *std::move(signer) : nullptr;
  }
  // Sends bytes as they are and returns what comes back until the signer closes.
  std::string Raw(const std::string& bytes) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, Service().socket.c_str(), sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
    ::shutdown(fd, SHUT_WR);
    std::string reply;
    char buffer[4096];
    for (ssize_t n = 0; (n = ::recv(fd, buffer, sizeof buffer, 0)) > 0;) {
      reply.append(buffer, static_cast<std::size_t>(n));
    }
    ::close(fd);
    return reply;
  }
  // Connects, says nothing, and returns what comes back.
  std::string Silent() {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, Service().socket.c_str(), sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    std::string reply;
    char buffer[4096];
    for (ssize_t n = 0; (n = ::recv(fd, buffer, sizeof buffer, 0)) > 0;) {
      reply.append(buffer, static_cast<std::size_t>(n));
    }
    ::close(fd);
    return reply;
  }
  static std::string Frame(const std::string& text) {
    std::string frame(4, '\0');
    frame[2] = static_cast<char>(text.size() >> 8);
    frame[3] = static_cast<char>(text.size() & 0xFF);
    return frame + text;
  }
};

TEST_F(SignerTest, SignsAndRemembersApartFromTheLog) {
  MemoryLog log(kOrigin, 300);
  MemoryLog rewritten(kOrigin, 400, "x");
  std::string key;
  {
    const auto service = MustStart();
    const auto signer = MustConnect();
    key = signer->verifier_key();
    const auto checkpoint = signer->Sign(log.Request(200));
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    EXPECT_TRUE(OpenCheckpoint(checkpoint->note, key).ok());
    ASSERT_TRUE(signer->Sign(log.Request(300)).ok());
  }
  const auto service = MustStart();
  const auto signer = MustConnect();
  EXPECT_EQ(signer->verifier_key(), key);
  for (const std::uint64_t size : {299u, 300u, 301u, 400u}) {
    EXPECT_EQ(signer->Sign(rewritten.Request(size)).status().code(),
              core::StatusCode::kFailedPrecondition)
        << size;
  }
  log.Add("more");
  EXPECT_TRUE(signer->Sign(log.Request(301)).ok());
}

TEST_F(SignerTest, SignsForTheOriginOfTheKeysNameOnly) {
  const auto service = MustStart();
  const auto signer = MustConnect();
  MemoryLog other("interlock.example/other", 3);
  EXPECT_EQ(signer->Sign(other.Request(3)).status().code(), core::StatusCode::kPermissionDenied);
}

TEST_F(SignerTest, SurvivesGarbage) {
  const auto service = MustStart();
  const std::string huge("\xFF\xFF\xFF\xFF garbage", 12);
  for (const std::string& bytes :
       {std::string(), std::string("x"), huge, std::string(4, '\0'), Frame("no newline"),
        Frame("\n\n\n"), Frame("sign\n"), Frame("sign\n../../etc\n\n\n\n"),
        Frame("sign\ninterlock.example/main\ninterlock.example/main\n-1\nAAAA\n"),
        Frame("keys\na+b\n"), Frame("finish_rotation\ninterlock.example/main\nx\n")}) {
    const std::string reply = Raw(bytes);
    EXPECT_TRUE(reply.empty() || reply.find("error\n") == 4) << reply;
  }
  MemoryLog log(kOrigin, 3);
  EXPECT_TRUE(MustConnect()->Sign(log.Request(3)).ok());
}

TEST_F(SignerTest, ASecondSignerOfTheFolderIsRefused) {
  const auto service = MustStart();
  SignerServiceOptions second = Service();
  second.socket += "2";
  const core::Status status = SignerService::Start(second).status();
  EXPECT_EQ(status.code(), core::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(core::Message(status)), HasSubstr(std::to_string(::getpid())));
}

// The second one took the first one's socket, and left nobody there when it ended.
TEST_F(SignerTest, ASecondSignerOfTheSocketIsRefused) {
  const auto service = MustStart();
  SignerServiceOptions second = Service();
  second.folder += "2";
  const core::Status status = SignerService::Start(second).status();
  EXPECT_EQ(status.code(), core::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(core::Message(status)), HasSubstr("--socket"));
  MemoryLog log(kOrigin, 3);
  EXPECT_TRUE(MustConnect()->Sign(log.Request(3)).ok());
}

TEST_F(SignerTest, ASignerLeavesTheSocketOfAnotherAlone) {
  auto service = MustStart();
  std::filesystem::remove(Service().socket);
  std::ofstream(Service().socket) << "of another";
  service.reset();
  EXPECT_EQ(ReadFile(Service().socket), "of another");
  const auto next = MustStart();  // what a killed signer left is no hindrance
  EXPECT_TRUE(MustConnect() != nullptr);
}

TEST_F(SignerTest, SilentPeersDoNotKeepOthersOut) {
  SignerServiceOptions options = Service();
  options.peer_uid = ::geteuid() + 1;
  const auto service = SignerService::Start(options);
  ASSERT_TRUE(service.ok()) << service.status();
  // Refused at once, without a word from it: nobody has to wait for what it might say.
  EXPECT_THAT(Silent(), HasSubstr("--user"));
}

TEST_F(SignerTest, RefusesAFolderThatOthersMayEnter) {
  { const auto service = MustStart(); }
  std::filesystem::permissions(Service().folder, std::filesystem::perms(0750));
  EXPECT_EQ(SignerService::Start(Service()).status().code(), core::StatusCode::kPermissionDenied);
}

TEST_F(SignerTest, IsIndependentOnlyUnderAnotherUid) {
  {
    const auto service = MustStart();
    EXPECT_FALSE(MustConnect()->independent());
  }
  if (::geteuid() != 0) GTEST_SKIP() << "another uid takes root";
  constexpr uid_t kOther = 65534;
  std::filesystem::permissions(folder_.path(), std::filesystem::perms(0777));
  std::filesystem::remove_all(Service().folder);
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ready[0]);
    if (::setuid(kOther) != 0) ::_exit(2);
    auto service = SignerService::Start(Service());
    static_cast<void>(!::write(ready[1], service.ok() ? "y" : "n", 1));
    ::pause();
  }
  ::close(ready[1]);
  char answer = 0;
  ASSERT_EQ(::read(ready[0], &answer, 1), 1);
  ::close(ready[0]);
  EXPECT_EQ(answer, 'y');
  const auto signer = ConnectSigner(Service().socket, kOrigin);
  EXPECT_TRUE(signer.ok() && (*signer)->independent());
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

TEST_F(SignerTest, WhileItIsAwayAppendsGoOnAndCheckpointsWait) {
  auto service = MustStart();
  const auto signer = MustConnect();
  LogOptions options = Options();
  options.signer = signer.get();
  options.checkpoint_entries = 2;
  const auto log = MustOpen(options);
  ASSERT_TRUE(log->Append(EntryOf("run.started", kRunA)).ok());
  ASSERT_TRUE(log->CheckpointNow().ok());
  EXPECT_THAT(Warnings(*log), IsEmpty());
  service.reset();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(log->Append(EntryOf("call.decided", kRunA)).ok());
  EXPECT_EQ(log->CheckpointNow().status().code(), core::StatusCode::kUnavailable);
  EXPECT_EQ(log->health(), Health::kOk);
  ASSERT_THAT(Warnings(*log), SizeIs(1));
  EXPECT_THAT(Warnings(*log)[0], HasSubstr("no signer answers"));
  service = MustStart();
  // Without being asked: the head is signed once the signer is back.
  EXPECT_TRUE(WaitFor([&] { return log->newest_checkpoint()->size == 11; }));
  EXPECT_THAT(Warnings(*log), IsEmpty());
}

TEST_F(SignerTest, ALogIsNotOpenedWithoutIt) {
  EXPECT_EQ(ConnectSigner(Service().socket, kOrigin).status().code(),
            core::StatusCode::kUnavailable);
}

TEST_F(SignerTest, RotationIsAnEntryThatBothKeysSigned) {
  const auto service = MustStart();
  const auto signer = MustConnect();
  const std::string first = signer->verifier_key();
  LogOptions options = Options();
  options.signer = signer.get();
  std::uint64_t rotated = 0;
  {
    const auto log = MustOpen(options);
    ASSERT_TRUE(log->Append(EntryOf("run.started", kRunA)).ok());
    const auto entry = log->RotateSignerKey("principal:operator");
    ASSERT_TRUE(entry.ok()) << entry.status();
    rotated = entry->index;
    EXPECT_EQ(rotated, 1u);
    const std::string second = signer->verifier_key();
    EXPECT_NE(second, first);
    EXPECT_EQ(signer->verifier_keys(), (std::vector<std::string>{first, second}));
    EXPECT_TRUE(OpenCheckpoint(log->newest_checkpoint()->note, second).ok());
    EXPECT_EQ(log->newest_checkpoint()->size, 2u);

    const auto body = core::ParseJson(log->Read(rotated)->bytes, core::kArgsLimits)->at("body");
    KeyRotation rotation{body["old_key"], body["new_key"],
                         *core::BytesFromBase64(std::string(body["old_signature"])),
                         *core::BytesFromBase64(std::string(body["new_signature"]))};
    EXPECT_EQ(rotation.old_key, first);
    EXPECT_EQ(rotation.new_key, second);
    EXPECT_TRUE(CheckRotation(rotation).ok());
    std::swap(rotation.old_signature, rotation.new_signature);
    EXPECT_EQ(CheckRotation(rotation).code(), core::StatusCode::kPermissionDenied);
  }
  // Whoever pinned the first key follows the entry to the second.
  VerifyOptions verify;
  verify.database = Database();
  verify.verifier_key = first;
  EXPECT_EQ(Verify(verify).verdict, Verdict::kIntact) << Verify(verify).reason;
  // The log goes on under the new key, and a signer that starts again knows both.
  const auto log = MustOpen(options);
  EXPECT_EQ(log->size(), 2u);
  EXPECT_EQ(MustConnect()->verifier_keys().size(), 2u);
}

// A signer whose FinishRotation fails, as if the process died between entry and change of key.
class DiesBetween final : public Signer {
 public:
  explicit DiesBetween(Signer& real) : real_(real) {}
  core::StatusOr<Checkpoint> Sign(const SignRequest& request) override {
    return real_.Sign(request);
  }
  core::StatusOr<std::optional<Checkpoint>> LastHead(std::string_view origin) override {
    return real_.LastHead(origin);
  }
  std::string verifier_key() const override { return real_.verifier_key(); }
  std::vector<std::string> verifier_keys() const override { return real_.verifier_keys(); }
  bool independent() const override { return false; }
  core::StatusOr<KeyRotation> BeginRotation() override { return real_.BeginRotation(); }
  core::StatusOr<Checkpoint> FinishRotation(const RotationProof&) override {
    return core::Unavailable("it died");
  }

 private:
  Signer& real_;
};

TEST_F(SignerTest, ARotationCutShortIsFinishedBeforeAnythingIsSigned) {
  const std::string first = signer_->verifier_key();
  {
    DiesBetween dying(*signer_);
    LogOptions options = Options();
    options.signer = &dying;
    const auto log = MustOpen(options);
    EXPECT_EQ(log->RotateSignerKey("principal:operator").status().code(),
              core::StatusCode::kUnavailable);
    EXPECT_EQ(log->size(), 1u);
    EXPECT_FALSE(log->CheckpointNow().ok());  // the old key must not sign past the entry
    EXPECT_EQ(signer_->verifier_key(), first);
  }
  const auto log = MustOpen();
  EXPECT_NE(signer_->verifier_key(), first);
  EXPECT_EQ(log->newest_checkpoint()->size, 1u);
  EXPECT_TRUE(OpenCheckpoint(log->newest_checkpoint()->note, signer_->verifier_key()).ok());
}

// Two frames on the socket once changed the key of a log without a word in it: every later head was
// one that no verifier takes.
TEST_F(SignerTest, TakesItsNextKeyOnlyByAnEntryThatItIsShown) {
  const auto service = MustStart();
  const auto signer = MustConnect();
  const std::string first = signer->verifier_key();
  LogOptions options = Options();
  options.signer = signer.get();
  const auto log = MustOpen(options);
  ASSERT_TRUE(log->Append(EntryOf("run.started", kRunA)).ok());
  ASSERT_TRUE(log->CheckpointNow().ok());
  // The attacker has the socket, and so the rotation that both keys signed.
  const KeyRotation rotation = *signer->BeginRotation();
  EXPECT_THAT(
      Raw(Frame(std::string("finish_rotation\n") + kOrigin + "\n" + rotation.new_key + "\n")),
      HasSubstr("error\n"));
  const std::string entry =
      R"({"actor":"x","body":{"new_key":")" + rotation.new_key + R"(","new_signature":")" +
      core::Base64(rotation.new_signature) + R"(","old_key":")" + rotation.old_key +
      R"(","old_signature":")" + core::Base64(rotation.old_signature) +
      R"("},"cites":[],"index":0,"kind":"signer.rotated","prev":"","run":"","run_seq":-1,)"
      R"("tenant":"main","time_us":1,"v":1})";
  const auto try_at = [&](std::string_view origin) {
    return signer->FinishRotation({entry, 0, {}, {origin, 1, LeafHash(entry), {}}}).status().code();
  };
  EXPECT_EQ(try_at(kOrigin), core::StatusCode::kFailedPrecondition);  // not this log's tree
  EXPECT_EQ(try_at("interlock.example/main/2"), core::StatusCode::kPermissionDenied);  // none yet
  EXPECT_EQ(
      signer->FinishRotation({entry, 0, {}, {kOrigin, 1, core::Digest{}, {}}}).status().code(),
      core::StatusCode::kPermissionDenied);  // not in the tree
  EXPECT_EQ(MustConnect()->verifier_key(), first);
  // The harmless twin: by an entry of the log.
  ASSERT_TRUE(log->Append(EntryOf("call.decided", kRunA)).ok());
  ASSERT_TRUE(log->CheckpointNow().ok());
  ASSERT_TRUE(log->RotateSignerKey("principal:operator").ok());
  EXPECT_EQ(MustConnect()->verifier_key(), rotation.new_key);
}

TEST_F(SignerTest, ALogIsNotOpenedUnderAKeyThatItsEntriesDoNotLeadTo) {
  {
    const auto log = MustOpen();
    ASSERT_TRUE(log->Append(EntryOf("run.started", kRunA)).ok());
  }
  // The signer's files from elsewhere: a later key, and the record of the one before.
  const std::string keys = folder_.path() + "/signer";
  const std::string first = signer_->verifier_key();
  ASSERT_TRUE(signer_->BeginRotation().ok());
  signer_.reset();
  std::filesystem::rename(keys + "/signer.key.next", keys + "/signer.key");
  std::ofstream(keys + "/signer.retired-0") << first << "\n";
  std::filesystem::permissions(keys + "/signer.retired-0", std::filesystem::perms(0600));
  signer_ = *OpenFileSigner(keys, kOrigin);
  ASSERT_EQ(signer_->verifier_keys().size(), 2u);
  const core::Status status = Log::Open(Options()).status();
  EXPECT_EQ(status.code(), core::StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(std::string(core::Message(status)), HasSubstr("the log's entries lead to"));
}

TEST_F(SignerTest, ServesNamedLogsAndOneUserOnly) {
  SignerServiceOptions options = Service();
  options.origins.clear();
  EXPECT_EQ(SignerService::Start(options).status().code(), core::StatusCode::kInvalidArgument);
  {
    const auto service = MustStart();
    const auto other = ConnectSigner(Service().socket, "interlock.example/other");
    EXPECT_EQ(other.status().code(), core::StatusCode::kPermissionDenied);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(Service().folder), {}), 1);
  }
  options = Service();
  options.peer_uid = ::geteuid();
  {
    const auto service = SignerService::Start(options);
    EXPECT_TRUE(ConnectSigner(Service().socket, kOrigin).ok());
  }
  options.peer_uid = ::geteuid() + 1;
  const auto service = SignerService::Start(options);
  EXPECT_EQ(ConnectSigner(Service().socket, kOrigin).status().code(),
            core::StatusCode::kPermissionDenied);
}

TEST_F(SignerTest, TheTreeOfNoEntriesHasOneRoot) {
  const auto service = MustStart();
  const auto signer = MustConnect();
  EXPECT_EQ(signer->Sign({kOrigin, 0, core::Sha256("x"), {}}).status().code(),
            core::StatusCode::kInvalidArgument);
  EXPECT_TRUE(signer->Sign({kOrigin, 0, EmptyRoot(), {}}).ok());
}

TEST_F(SignerTest, EveryNoteGoesToTheAnchor) {
  LogOptions options = Options();
  options.anchor_file = folder_.path() + "/anchor.txt";
  std::string notes;
  {
    const auto log = MustOpen(options);
    ASSERT_TRUE(log->Append(EntryOf("run.started", kRunA)).ok());
    notes += log->CheckpointNow()->note + "\n";
    ASSERT_TRUE(log->Append(EntryOf("run.completed", kRunA)).ok());
    notes += log->CheckpointNow()->note + "\n";
  }
  EXPECT_EQ(ReadFile(options.anchor_file), notes);
  // A torn last note does not spoil the next one.
  std::filesystem::resize_file(options.anchor_file, notes.size() - 20);
  std::string next;
  {
    const auto log = MustOpen(options);
    ASSERT_TRUE(log->Append(EntryOf("run.started", kRunB)).ok());
    next = log->CheckpointNow()->note;
  }
  EXPECT_THAT(ReadFile(options.anchor_file), HasSubstr("\n\n" + next + "\n"));
}

TEST_F(SignerTest, AnAnchorThatCannotBeWrittenIsAWarning) {
  LogOptions options = Options();
  options.anchor_file = folder_.path() + "/nowhere/anchor.txt";
  const auto log = MustOpen(options);
  ASSERT_TRUE(log->Append(EntryOf("run.started", kRunA)).ok());
  EXPECT_TRUE(log->CheckpointNow().ok());
  ASSERT_TRUE(WaitFor([&] { return !Warnings(*log).empty(); }));
  ASSERT_THAT(Warnings(*log), SizeIs(1));
  EXPECT_THAT(Warnings(*log)[0], HasSubstr("heads are not anchored"));
}

// A mount that hangs: whoever writes to it waits, nobody else.
TEST(AnchorTest, OneThatHangsHoldsUpNobodyAndSaysSo) {
  ManualClock clock;
  std::promise<void> hung;
  std::promise<void> mended;
  std::vector<std::string> written;
  {
    bool first = true;
    Anchor anchor(
        [&](std::string_view note) {
          if (std::exchange(first, false)) {
            hung.set_value();
            mended.get_future().wait();
          }
          written.emplace_back(note);
          return core::OkStatus();
        },
        &clock);
    anchor.Add("0");
    hung.get_future().wait();
    EXPECT_EQ(anchor.warning(), "");
    for (std::size_t i = 1; i <= kAnchorNotesMax + 5; ++i) anchor.Add(std::to_string(i));
    clock.monotonic_us += 12'000'000;
    EXPECT_EQ(anchor.warning(),
              "heads are not anchored: the anchor file has taken none for 12 s; look at its mount");
    mended.set_value();
  }
  ASSERT_THAT(written, SizeIs(kAnchorNotesMax + 1));  // the oldest that waited were left out
  EXPECT_EQ(written[0], "0");
  EXPECT_EQ(written[1], "6");
  EXPECT_EQ(written.back(), std::to_string(kAnchorNotesMax + 5));
}

// The same of a whole log: a pipe that nobody reads takes no more than it holds.
TEST_F(SignerTest, AnAnchorThatHangsKeepsNobodyFromSigning) {
  LogOptions options = Options();
  options.anchor_file = folder_.path() + "/anchor.fifo";
  ASSERT_EQ(mkfifo(options.anchor_file.c_str(), 0600), 0);
  const int pipe = open(options.anchor_file.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(pipe, 0);
  const std::string block(4096, 'x');
  while (write(pipe, block.data(), block.size()) > 0) {
  }
  auto log = MustOpen(options);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(log->Append(EntryOf("run.started", kRunA)).ok());
    const auto head = log->CheckpointNow();
    ASSERT_TRUE(head.ok()) << head.status();
    EXPECT_EQ(head->size, log->size());
  }
  // Who reads the pipe mends it; until then the log would not be gone.
  std::thread reader([&] {
    std::string taken(1 << 20, '\0');
    while (taken.find(kOrigin) == std::string::npos) {
      if (read(pipe, taken.data(), taken.size()) <= 0) std::this_thread::yield();
    }
  });
  reader.join();
  log.reset();
  close(pipe);
}

TEST_F(SignerTest, QuietTimesAreAttested) {
  LogOptions options = Options();
  options.checkpoint_interval_us = 20'000;
  const auto log = MustOpen(options);
  EXPECT_TRUE(
      WaitFor([&] { return log->newest_checkpoint() && log->newest_checkpoint()->size >= 3; }));
  const auto entry = log->Read(1);
  ASSERT_TRUE(entry.ok());
  EXPECT_EQ(entry->kind, "checkpoint.heartbeat");
  EXPECT_THAT(entry->bytes, HasSubstr(R"("body":{"interval_us":20000})"));
}

TEST_F(SignerTest, TheEndOfARunIsSignedWithoutWaiting) {
  const auto log = MustOpen();  // 256 entries and 60 s are far away
  NewEntry end = EntryOf("run.completed", kRunA);
  ASSERT_TRUE(log->Append(EntryOf("run.started", kRunA)).ok());
  end.ends_run = true;
  ASSERT_TRUE(log->Append(end).ok());
  EXPECT_TRUE(
      WaitFor([&] { return log->newest_checkpoint() && log->newest_checkpoint()->size == 2; }));
}

}  // namespace
}  // namespace interlock::audit
