// One log follows another: what is carried, what is refused, and a process killed at each step.
#include "audit/rotate.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "audit/merkle.h"
#include "audit/proof.h"
#include "audit/search.h"
#include "audit/signer_service.h"
#include "audit/witness.h"
#include "rotate_fixture.h"
#include "tamper.h"

namespace interlock::audit {
namespace {

namespace fs = std::filesystem;

class RotateTest : public RotateFixture {
 protected:
  static std::string Bytes(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static std::string Message(const core::Status& status) {
    return std::string(core::Message(status));
  }
};

TEST_F(RotateTest, TheNextLogCitesTheOldOneAndGoesOnWithItsState) {
  Fill(40, "old");
  const auto report = RotateNow();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->archive, "audit-0001.db");
  EXPECT_EQ(report->old_size, 41u);
  EXPECT_EQ(report->new_origin, "interlock.example/main/2");
  EXPECT_EQ(report->carried_entries, 7u);
  {
    const auto log = MustOpen();
    EXPECT_EQ(log->size(), 8u);
    EXPECT_EQ(Marks(*log).at("k4"), "old39");
    EXPECT_EQ(log->newest_checkpoint()->origin, "interlock.example/main/2");
    Set(*log, "k4", "new");
    Set(*log, "k9", "new");
  }
  const FolderReport first = Check(signer_->verifier_key());
  EXPECT_EQ(first.report.verdict, Verdict::kIntact) << first.log << ": " << first.report.reason;
  ASSERT_EQ(first.logs.size(), 2u);
  EXPECT_TRUE(first.logs[0].second.closed_with.has_value());

  MustRotate();
  const auto log = MustOpen();
  EXPECT_EQ(Marks(*log).at("k4"), "new");
  EXPECT_EQ(Marks(*log).at("k5"), "old33");
  EXPECT_EQ(ArchivesIn(Options().folder),
            (std::vector<std::string>{"audit-0001.db", "audit-0002.db"}));
  const FolderReport second = Check(signer_->verifier_key());
  EXPECT_EQ(second.report.verdict, Verdict::kIntact) << second.log << ": " << second.report.reason;
  EXPECT_EQ(second.logs.size(), 3u);
}

TEST_F(RotateTest, AClosedLogIsReadAndNeverWritten) {
  Fill(5, "v");
  MustRotate();
  struct stat info {};
  ASSERT_EQ(::stat(At("audit-0001.db").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0400u);
  const std::string before = Bytes(At("audit-0001.db"));
  MustOpen();
  const auto old = OpenArchive(At("audit-0001.db"));
  ASSERT_TRUE(old.ok()) << old.status();
  EXPECT_EQ((*old)->size(), 6u);
  EXPECT_EQ((*old)->Read(5)->kind, "log.closed");
  EXPECT_EQ(Marks(**old).size(), 5u);
  EXPECT_EQ((*old)->newest_checkpoint()->size, 6u);
  EXPECT_EQ((*old)->Append(EntryOf("mark.set", "")).status().code(),
            core::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Bytes(At("audit-0001.db")), before);
  // Put back in place of its successor it is not gone on with: the signer knows that one.
  fs::remove(At("audit.db"));
  fs::copy_file(At("audit-0001.db"), At("audit.db"));
  fs::permissions(At("audit.db"), fs::perms::owner_read | fs::perms::owner_write);
  const auto again = Log::Open(Options());
  EXPECT_EQ(again.status().code(), core::StatusCode::kFailedPrecondition);
  EXPECT_NE(Message(again.status()).find("was opened before"), std::string::npos);
  fs::remove(At("audit.db"));
  EXPECT_NE(Message(Log::Open(Options()).status()).find("is missing beside"), std::string::npos);
}

TEST_F(RotateTest, IsRefusedWhileSomethingIsOpenOrADaemonRuns) {
  {
    const auto log = MustOpen();
    Set(*log, "open", "yes");
    const auto busy = RotateNow();
    EXPECT_EQ(busy.status().code(), core::StatusCode::kFailedPrecondition);
    EXPECT_NE(Message(busy.status()).find("process " + std::to_string(::getpid())),
              std::string::npos);
  }
  const auto refused = RotateNow();
  EXPECT_EQ(refused.status().code(), core::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Message(refused.status()), "1 mark is open: unset it");
  EXPECT_EQ(MustOpen()->size(), 1u);
  RotateOptions unsaid = Rotation();
  unsaid.reason.clear();
  EXPECT_EQ(Rotate(unsaid).status().code(), core::StatusCode::kInvalidArgument);
  EXPECT_TRUE(ArchivesIn(Options().folder).empty());
}

TEST_F(RotateTest, AReaderInTheMiddleChangesNothing) {
  Fill(5, "v");
  MustOpen();
  sqlite3* reader = nullptr;
  ASSERT_EQ(sqlite3_open(At("audit.db").c_str(), &reader), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(reader, "BEGIN; SELECT * FROM entry", nullptr, nullptr, nullptr),
            SQLITE_OK);
  const auto refused = RotateNow();
  EXPECT_EQ(refused.status().code(), core::StatusCode::kUnavailable) << refused.status();
  sqlite3_close(reader);
  EXPECT_EQ(MustOpen()->size(), 5u);
  MustRotate();
}

TEST_F(RotateTest, AFullDiskChangesNothing) {
  Fill(5, "v");
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{1 << 20, before.rlim_max};
  ::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto refused = RotateNow();
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(refused.status().code(), core::StatusCode::kResourceExhausted) << refused.status();
  EXPECT_FALSE(fs::exists(At("next")));
  EXPECT_FALSE(fs::exists(At("next.reserve")));
  EXPECT_EQ(MustOpen()->size(), 5u);
  EXPECT_EQ(Check().report.verdict, Verdict::kIntact);
  MustRotate();
}

// Killed before each step in turn. Whatever is found, the next start goes on with one log, which
// has the state; once the old one is closed it takes nothing more.
class RotateCrash : public RotateTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(RotateCrash, TheNextStartFinishesOrUndoes) {
  Fill(300, "v");
  const SearchStamp stamp{Options().origin, 0};
  ASSERT_TRUE((*SearchIndex::Open(At("audit.db"), stamp))->Add({{}, {}, 300}).ok());
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    RotateOptions options = Rotation();
    options.at_step = [](std::string_view step) {
      if (step == GetParam()) ::kill(::getpid(), SIGKILL);
    };
    static_cast<void>(Rotate(options));
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << "step `" << GetParam() << "` never came";

  // What a verifier says in between is not that somebody tampered.
  EXPECT_NE(Check().report.verdict, Verdict::kTampered) << Check().report.reason;
  auto signer = OpenFileSigner(folder_.path() + "/signer", "interlock.example/main");
  ASSERT_TRUE(signer.ok());
  signer_ = *std::move(signer);  // what the child signed is read anew
  clock_.Advance(5'000'000);
  {
    const auto log = MustOpen();
    EXPECT_EQ(Marks(*log).at("k5"), "v299");
    const bool undone = ArchivesIn(Options().folder).empty();
    EXPECT_EQ(log->size(), undone ? 300u : 8u);
    EXPECT_EQ(undone, GetParam() == std::string("check") || GetParam() == std::string("reserve") ||
                          GetParam() == std::string("close"));
    EXPECT_FALSE(fs::exists(At("next")));
    EXPECT_FALSE(fs::exists(At("next.reserve")));
    // Full text is where its log is, as it was.
    EXPECT_EQ(fs::exists(At("search.db")), undone);
    const auto texts = SearchIndex::Open(At(undone ? "audit.db" : "audit-0001.db"), stamp);
    ASSERT_TRUE(texts.ok()) << texts.status();
    EXPECT_EQ(*(*texts)->next_index(), 300u);
    Set(*log, "k5", "after");
  }
  MustRotate();
  EXPECT_EQ(Marks(*MustOpen()).at("k5"), "after");
  const FolderReport report = Check(signer_->verifier_key());
  EXPECT_EQ(report.report.verdict, Verdict::kIntact) << report.log << ": " << report.report.reason;
}

INSTANTIATE_TEST_SUITE_P(Steps, RotateCrash,
                         ::testing::Values("check", "reserve", "close", "sign", "settle", "build",
                                           "archive", "texts", "swap", "protect"));

TEST_F(RotateTest, ASecondRotateFinishesTheFirst) {
  Fill(5, "v");
  const pid_t child = ::fork();
  if (child == 0) {
    RotateOptions options = Rotation();
    options.at_step = [](std::string_view step) {
      if (step == "sign") ::kill(::getpid(), SIGKILL);
    };
    static_cast<void>(Rotate(options));
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  const auto report = RotateNow();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->old_size, 6u);
  MustOpen();
  EXPECT_EQ(Check().report.verdict, Verdict::kIntact) << Check().report.reason;
}

TEST_F(RotateTest, ARestoredCopyIsCitedWithWhatIsLost) {
  Fill(20, "v");
  fs::copy_file(At("audit.db"), At("backup"));
  Fill(10, "w");
  const std::string note = MustOpen()->CheckpointNow()->note;
  RotateOptions restored = Rotation();
  restored.cause = RotationCause::kRestored;
  // Nothing is lost yet: the reason does not hold.
  EXPECT_EQ(Rotate(restored).status().code(), core::StatusCode::kFailedPrecondition);

  fs::rename(At("backup"), At("audit.db"));
  fs::remove(At("audit.db-wal"));
  EXPECT_EQ(Log::Open(Options()).status().code(), core::StatusCode::kDataLoss);
  const auto planned = RotateNow();
  EXPECT_EQ(planned.status().code(), core::StatusCode::kFailedPrecondition);
  EXPECT_NE(Message(planned.status()).find("--restored"), std::string::npos);

  // It has more than the copy that is closed.
  ASSERT_TRUE((*SearchIndex::Open(At("audit.db"), {Options().origin, 0}))->Add({{}, {}, 30}).ok());
  const auto report = Rotate(restored);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_FALSE(fs::exists(At("search.db")));
  EXPECT_FALSE(fs::exists(At("search-0001.db")));
  EXPECT_EQ(report->lost, "entries 20 to 29 of log `interlock.example/main`");
  {
    const auto log = MustOpen();
    EXPECT_EQ(Marks(*log).at("k5"), "v19");
    Set(*log, "k5", "x");
  }
  const FolderReport checked = Check(signer_->verifier_key());
  EXPECT_EQ(checked.report.verdict, Verdict::kIncomplete);
  EXPECT_NE(checked.report.reason.find("entries 20 to 29"), std::string::npos);
  // A head that was kept elsewhere still says what the copy does not have.
  EXPECT_EQ(Check("", {note}).report.first_bad, 20u);
  MustRotate();
  EXPECT_EQ(Check().report.verdict, Verdict::kIncomplete);
}

TEST_F(RotateTest, AnIndependentSignerSignsForTheLogsThatFollow) {
  const std::string socket = folder_.path() + "/signer.sock";
  const auto service = SignerService::Start(
      {folder_.path() + "/apart", socket, {"interlock.example/main"}, std::nullopt});
  ASSERT_TRUE(service.ok()) << service.status();
  auto remote = ConnectSigner(socket, "interlock.example/main");
  ASSERT_TRUE(remote.ok()) << remote.status();
  signer_ = *std::move(remote);
  EXPECT_FALSE(signer_->LastHead("interlock.example/main")->has_value());
  Fill(9, "v");
  EXPECT_EQ((*signer_->LastHead("interlock.example/main"))->size, 9u);
  MustRotate();
  MustOpen();
  EXPECT_EQ((*signer_->LastHead("interlock.example/main/2"))->size, 8u);
  EXPECT_EQ(Check(signer_->verifier_key()).report.verdict, Verdict::kIntact);
  EXPECT_EQ(signer_->LastHead("interlock.example/other").status().code(),
            core::StatusCode::kPermissionDenied);
}

TEST_F(RotateTest, OpensNothingThatOthersMayWrite) {
  Fill(3, "v");
  for (const std::string& path : {Options().folder, At("audit.db")}) {
    const fs::perms before = fs::status(path).permissions();
    for (const fs::perms wide : {fs::perms::group_write, fs::perms::others_write}) {
      fs::permissions(path, before | wide);
      const core::Status refused = Log::Open(Options()).status();
      EXPECT_EQ(refused.code(), core::StatusCode::kPermissionDenied) << path;
      EXPECT_NE(Message(refused).find(path), std::string::npos) << refused;
    }
    fs::permissions(path, before | fs::perms::group_read);
    MustOpen();
    fs::permissions(path, before);
  }
}

// Whoever reaches the socket once got a history of his own signed as the log after the next.
TEST_F(RotateTest, TheSignerBeginsNoLogBeforeItsTurn) {
  SignerServiceOptions service_options{folder_.path() + "/apart",
                                       folder_.path() + "/signer.sock",
                                       {"interlock.example/main"},
                                       std::nullopt};
  auto service = SignerService::Start(service_options);
  ASSERT_TRUE(service.ok()) << service.status();
  signer_ = *ConnectSigner(service_options.socket, "interlock.example/main");
  Fill(9, "v");
  fs::copy_file(At("audit.db"), At("backup"));
  const std::string second = "interlock.example/main/2";
  const auto forge = [&](std::string_view origin) {
    return signer_->Sign({origin, 5, core::Sha256("forged"), {}}).status().code();
  };
  EXPECT_EQ(forge(second), core::StatusCode::kPermissionDenied);
  EXPECT_EQ(forge("interlock.example/main/9999"), core::StatusCode::kPermissionDenied);
  const SignRequest forged{second, 1, core::Sha256("forged"), {}};
  const std::string entry =
      R"({"actor":"x","body":{"next":"interlock.example/main/2"},"cites":[],"index":0,)"
      R"("kind":"log.closed","prev":"","run":"","run_seq":-1,"tenant":"main","time_us":1,"v":1})";
  const SignRequest alone{"interlock.example/main", 1, LeafHash(entry), {}};
  EXPECT_EQ(signer_->FinishRotation({entry, 0, {}, alone}).status().code(),
            core::StatusCode::kFailedPrecondition);  // not the tree that it signed
  EXPECT_EQ(signer_->FinishRotation({entry, 0, {}, forged}).status().code(),
            core::StatusCode::kPermissionDenied);
  MustRotate();  // the harmless twin
  EXPECT_EQ(forge("interlock.example/main/3"), core::StatusCode::kPermissionDenied);
  Fill(9, "w");
  EXPECT_EQ(forge(second), core::StatusCode::kFailedPrecondition);
  EXPECT_EQ((*signer_->LastHead(second))->size, 17u);
  // What follows a restored copy was closed by nobody: the signer's owner says so.
  fs::rename(At("audit.db"), At("lost"));
  fs::rename(At("backup"), At("audit.db"));
  fs::remove(At("audit-0001.db"));
  RotateOptions restored = Rotation();
  restored.cause = RotationCause::kRestored;
  const auto report = Rotate(restored);
  ASSERT_TRUE(report.ok()) << report.status();
  const core::Status refused = Log::Open(Options()).status();
  EXPECT_NE(Message(refused).find("--allow-restored"), std::string::npos) << refused;
  service->reset();
  service_options.allow_restored = true;
  service = SignerService::Start(service_options);
  ASSERT_TRUE(service.ok()) << service.status();
  EXPECT_EQ(forge("interlock.example/main/4"), core::StatusCode::kPermissionDenied);
  MustOpen();
  EXPECT_EQ((*signer_->LastHead("interlock.example/main/3"))->size, 8u);
}

TEST_F(RotateTest, AWitnessFollows) {
  const auto witness = Witness::Open({.folder = folder_.path() + "/witness",
                                      .name = "witness.example/w1",
                                      .log_keys = {signer_->verifier_key()},
                                      .clock = &clock_});
  ASSERT_TRUE(witness.ok()) << witness.status();
  const auto ask = [&](const Checkpoint& head) {
    return (*witness)->AddCheckpoint(ConsistencyBody({0, {}, head.note})).status;
  };
  Fill(3, "v");
  EXPECT_EQ(ask(*MustOpen()->CheckpointNow()), 200);
  MustRotate();
  EXPECT_EQ(ask(*MustOpen()->CheckpointNow()), 200);
  auto other = OpenFileSigner(folder_.path() + "/other", "interlock.example/main/no");
  LogOptions options = Options();
  options.folder = folder_.path() + "/other_log";
  options.origin = "interlock.example/main/no";
  options.signer = other->get();
  EXPECT_EQ(ask(*MustOpen(options)->CheckpointNow()), 404);
}

TEST_F(RotateTest, AKeyThatWasHandedOverGoesOnInTheNextLog) {
  const std::string first = signer_->verifier_key();
  Fill(3, "v");
  ASSERT_TRUE(MustOpen()->RotateSignerKey("principal:operator").ok());
  MustRotate();
  MustOpen();
  EXPECT_EQ(Check(first).report.verdict, Verdict::kIntact) << Check(first).report.reason;
  EXPECT_EQ(Check(signer_->verifier_key()).report.verdict, Verdict::kIntact);
  const FolderReport other =
      Check("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
  EXPECT_EQ(other.report.verdict, Verdict::kTampered);
}

TEST_F(RotateTest, WithoutTheOldLogTheCitationCannotBeChecked) {
  Fill(3, "v");
  MustRotate();
  MustOpen();
  fs::rename(At("audit-0001.db"), folder_.path() + "/elsewhere.db");
  const FolderReport report = Check();
  EXPECT_EQ(report.report.verdict, Verdict::kIncomplete);
  EXPECT_NE(report.report.reason.find("is not here"), std::string::npos);
  fs::copy_file(At("audit.db"), At("audit-0001.db"));  // another log in its place
  EXPECT_EQ(Check().report.verdict, Verdict::kTampered);
}

// A history that was made up as a later log, under the true key, has no log before it to show.
TEST_F(RotateTest, ALogThatGoesOnFromAnotherIsNotIntactByItself) {
  Fill(5, "v");
  MustRotate();
  MustOpen();
  VerifyOptions alone;
  alone.verifier_key = signer_->verifier_key();
  for (const VerifyDepth depth : {VerifyDepth::kFull, VerifyDepth::kHashes}) {
    alone.depth = depth;
    alone.database = At("audit.db");
    const VerifyReport second = Verify(alone);
    EXPECT_EQ(second.verdict, Verdict::kIncomplete);
    EXPECT_EQ(second.reason,
              "it goes on from `interlock.example/main`, which was not checked: verify the folder");
    alone.database = At("audit-0001.db");
    EXPECT_EQ(Verify(alone).verdict, Verdict::kIntact);
  }
  EXPECT_EQ(Check(signer_->verifier_key()).report.verdict, Verdict::kIntact);
}

// Whoever has the key and the files can write a next log that says what he likes; the old one
// tells on him.
class ForgedSuccessor : public RotateTest {
 protected:
  // A signed log with the origin of the second one, made by hand.
  void Forge(const std::string& opened, const std::vector<std::string>& carried) {
    fs::create_directory(folder_.path() + "/thief");
    fs::copy_file(folder_.path() + "/signer/signer.key", folder_.path() + "/thief/signer.key");
    auto thief = OpenFileSigner(folder_.path() + "/thief", "interlock.example/main");
    ASSERT_TRUE(thief.ok()) << thief.status();
    LogOptions options = Options();
    options.folder = folder_.path() + "/forged";
    options.origin = "interlock.example/main/2";
    options.signer = thief->get();
    MarkProjector marks;
    options.projectors = {&marks};
    {
      const auto log = MustOpen(options);
      ASSERT_TRUE(log->Append(EntryOf("log.opened", "", opened)).ok());
      for (const std::string& body : carried) {
        ASSERT_TRUE(log->Append(EntryOf("state.carried", "", body)).ok());
      }
      ASSERT_TRUE(log->CheckpointNow().ok());
    }
    fs::rename(options.folder + "/audit.db", At("audit.db"));
  }
  std::string OpenedBody() {
    const auto log = OpenArchive(At("audit.db"));
    const auto entry = (*log)->Read(0);
    EXPECT_TRUE(entry.ok()) << entry.status();
    const auto view = core::JsonObjectView::Of(entry->bytes);
    EXPECT_TRUE(view.ok());
    return std::string(view->Raw("body").value_or(""));
  }
  static std::string DigestOf(const std::vector<std::string>& bodies) {
    std::string hashes;
    for (const std::string& body : bodies) hashes += core::AsBytes(core::Sha256(body));
    return core::DigestName(core::Sha256(hashes));
  }
};

TEST_F(ForgedSuccessor, IsFoundByItsStateItsCitationAndItsOrder) {
  Fill(3, "v");
  MustRotate();
  MustOpen();
  const std::string honest = OpenedBody();
  const std::vector<std::string> state = {MarkProjector::Body("k0", "v0"),
                                          MarkProjector::Body("k1", "v1"),
                                          MarkProjector::Body("k2", "v2")};
  const auto forge = [&](const std::string& opened, const std::vector<std::string>& carried) {
    fs::remove_all(folder_.path() + "/forged");
    fs::remove_all(folder_.path() + "/thief");
    Forge(opened, carried);
    return Check(signer_->verifier_key());
  };
  const auto replaced = [](std::string text, const std::string& from, const std::string& to) {
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  };
  // The harmless twin.
  const FolderReport twin = forge(honest, state);
  EXPECT_EQ(twin.report.verdict, Verdict::kIntact) << twin.report.reason;

  // Other state than entry 0 names; other state than the old log closed with; none.
  std::vector<std::string> lies = state;
  lies[1] = MarkProjector::Body("k1", "free");
  EXPECT_EQ(forge(honest, lies).report.first_bad, 1u);
  const FolderReport lied = forge(replaced(honest, DigestOf(state), DigestOf(lies)), lies);
  EXPECT_EQ(lied.report.verdict, Verdict::kTampered);
  EXPECT_EQ(lied.report.first_bad, 0u);
  EXPECT_EQ(lied.log, "audit.db");
  EXPECT_EQ(forge(honest, {state[0], state[1]}).report.first_bad, 3u);

  // Another size, root, origin, checkpoint.
  EXPECT_EQ(forge(replaced(honest, R"(,"size":4})", R"(,"size":3})"), state).report.first_bad, 0u);
  const FolderReport root =
      forge(replaced(honest, R"("root":")", R"("root":"00)").substr(0, std::string::npos), state);
  EXPECT_EQ(root.report.first_bad, 0u);  // not even a root
  EXPECT_EQ(forge(replaced(honest, R"("origin":"interlock.example/main")",
                           R"("origin":"interlock.example/else")"),
                  state)
                .report.first_bad,
            0u);
  EXPECT_EQ(forge(replaced(honest, R"(\n4\n)", R"(\n3\n)"), state).report.first_bad, 0u);
}

TEST_F(RotateTest, DamageIsNamedByLogAndEntry) {
  Fill(30, "v");
  MustRotate();
  Fill(30, "w");
  MustRotate();
  Fill(3, "x");
  const struct {
    const char* file;
    std::uint64_t entry;
  } cases[] = {{"audit-0001.db", 12}, {"audit-0002.db", 0}, {"audit-0002.db", 3},
               {"audit-0002.db", 20}, {"audit.db", 0},      {"audit.db", 5}};
  for (const auto& damage : cases) {
    const std::string copy = folder_.path() + "/copy";
    fs::remove_all(copy);
    fs::copy(Options().folder, copy, fs::copy_options::recursive);
    EXPECT_EQ(CheckIn(copy).report.verdict, Verdict::kIntact);
    const std::string path = copy + "/" + damage.file;
    fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
    {
      RawDb db(path);
      const std::string bytes = db.EntryBytes(damage.entry);
      db.DoWithoutTriggers({RawDb::Rewrite(damage.entry, Replaced(bytes, "\"v\":1", "\"v\":2"))});
    }
    const FolderReport report = CheckIn(copy);
    EXPECT_EQ(report.report.verdict, Verdict::kTampered);
    EXPECT_EQ(report.log, damage.file) << report.report.reason;
    EXPECT_EQ(report.report.first_bad, damage.entry) << report.report.reason;
  }
}

}  // namespace
}  // namespace interlock::audit
