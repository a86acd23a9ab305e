// A witness cosigns what continues what it saw, remembers before it answers, and never contradicts
// itself, restarts included.
#include "audit/witness.h"

#include <gmock/gmock.h>

#include <future>

#include "audit/cosignature.h"
#include "audit/proof.h"
#include "audit/verify.h"
#include "fixture.h"
#include "tamper.h"

namespace interlock::audit {
namespace {

class WitnessTest : public LogFixture {
 protected:
  WitnessTest() : log_(MustOpen()) {
    for (int i = 0; i < 5; ++i) Grow();
    Restart();
  }
  void Grow() { EXPECT_TRUE(log_->Append(EntryOf("call.decided", kRunA)).ok()); }
  void Restart() {
    witness_.reset();
    auto witness = Witness::Open({.folder = folder_.path() + "/witness",
                                  .name = "witness.example/w1",
                                  .log_keys = {signer_->verifier_key()},
                                  .clock = &clock_});
    ASSERT_TRUE(witness.ok()) << witness.status();
    witness_ = *std::move(witness);
  }
  WitnessReply Ask(std::uint64_t old_size, const Checkpoint& head) {
    ConsistencyText text{old_size, {}, head.note};
    if (old_size > 0) text.hashes = *log_->ConsistencyProof(old_size, head.size);
    return witness_->AddCheckpoint(ConsistencyBody(text));
  }

  std::unique_ptr<Log> log_;
  std::unique_ptr<Witness> witness_;
};

TEST_F(WitnessTest, CosignsWithATimeThatHolds) {
  const Checkpoint head = *log_->CheckpointNow();
  const WitnessReply reply = Ask(0, head);
  ASSERT_EQ(reply.status, 200) << reply.body;
  const std::string note = WithSignatureLines(head.note, reply.body);
  EXPECT_EQ(*CosignedAt(note, witness_->verifier_key()), clock_.WallMicros() / 1'000'000);
  EXPECT_TRUE(OpenCheckpoint(note, signer_->verifier_key()).ok());
  EXPECT_EQ(CosignedAt(head.note, witness_->verifier_key()).status().code(),
            core::StatusCode::kNotFound);
  std::string bad = note;
  bad[bad.size() - 8] = bad[bad.size() - 8] == 'A' ? 'B' : 'A';
  EXPECT_EQ(CosignedAt(bad, witness_->verifier_key()).status().code(),
            core::StatusCode::kPermissionDenied);
}

TEST_F(WitnessTest, GoesOnOnlyFromWhatItSawAlsoAfterARestart) {
  const Checkpoint first = *log_->CheckpointNow();
  ASSERT_EQ(Ask(0, first).status, 200);
  Grow();
  const Checkpoint second = *log_->CheckpointNow();
  Restart();
  const WitnessReply conflict = Ask(0, second);
  EXPECT_EQ(conflict.status, 409);
  EXPECT_EQ(conflict.content_type, "text/x.tlog.size");
  EXPECT_EQ(conflict.body, std::to_string(first.size) + "\n");
  EXPECT_EQ(Ask(first.size, second).status, 200);
  EXPECT_EQ(Ask(second.size, second).status, 200);  // the same again
  EXPECT_EQ(Ask(first.size, second).status, 409);   // never back
}

TEST_F(WitnessTest, NeverCosignsAFork) {
  const Checkpoint head = *log_->CheckpointNow();
  ASSERT_EQ(Ask(0, head).status, 200);
  // The log's key in a thief's hands, without the signer's memory.
  TempFolder elsewhere;
  std::filesystem::copy_file(folder_.path() + "/signer/signer.key",
                             elsewhere.path() + "/signer.key");
  std::filesystem::permissions(elsewhere.path(), std::filesystem::perms::owner_all);
  const auto thief = *OpenFileSigner(elsewhere.path(), "interlock.example/main");
  const auto fork_log = [&] {
    LogOptions options = Options();
    options.folder = folder_.path() + "/fork";
    options.signer = thief.get();
    return MustOpen(options);
  }();
  const auto grow_to = [&](std::uint64_t size) {
    while (fork_log->size() < size) {
      ASSERT_TRUE(fork_log->Append(EntryOf("call.decided", kRunB)).ok());
    }
  };
  // Another root of the very size that it knows: a conflict, and it says what it goes on from.
  grow_to(head.size);
  const Checkpoint same_size = *fork_log->CheckpointNow();
  ASSERT_EQ(same_size.size, head.size);
  ASSERT_NE(same_size.root, head.root);
  EXPECT_EQ(witness_->AddCheckpoint(ConsistencyBody({head.size, {}, same_size.note})).status, 409);
  grow_to(head.size + 9);
  const Checkpoint fork = *fork_log->CheckpointNow();
  const ConsistencyText text{head.size, *fork_log->ConsistencyProof(head.size, fork.size),
                             fork.note};
  EXPECT_EQ(witness_->AddCheckpoint(ConsistencyBody(text)).status, 422);
  EXPECT_EQ(Ask(head.size, head).status, 200);  // it still knows the true one
}

TEST_F(WitnessTest, RefusesWhatItCannotKnow) {
  const Checkpoint head = *log_->CheckpointNow();
  EXPECT_EQ(witness_->AddCheckpoint("").status, 400);
  EXPECT_EQ(witness_->AddCheckpoint("old 0\n\nno note").status, 400);
  EXPECT_EQ(witness_->AddCheckpoint(std::string(200'000, 'x')).status, 400);
  EXPECT_EQ(witness_->AddCheckpoint(ConsistencyBody({head.size + 1, {}, head.note})).status, 400);
  EXPECT_EQ(witness_->AddCheckpoint(ConsistencyBody({0, {core::Digest{}}, head.note})).status, 422);
  std::string other = head.note;
  other.replace(0, 9, "unheardof");
  EXPECT_EQ(witness_->AddCheckpoint(ConsistencyBody({0, {}, other})).status, 404);
  std::string forged = head.note;
  forged.replace(forged.find("\n") + 1, 1, "7");
  EXPECT_EQ(witness_->AddCheckpoint(ConsistencyBody({0, {}, forged})).status, 403);
}

// What the log's side makes of answers, true and made up.
TEST_F(WitnessTest, AnswersMeanWhatTheProtocolSays) {
  using Kind = WitnessAnswer::Kind;
  const Checkpoint head = *log_->CheckpointNow();
  const std::string line = Ask(0, head).body;
  const std::string key = witness_->verifier_key();
  Grow();
  const std::string other_line = Ask(head.size, *log_->CheckpointNow()).body;
  const std::string foreign = "\xE2\x80\x94 else AAAAAAAAAAAA\n";
  const std::string size_type = "text/x.tlog.size";
  struct Case {
    WitnessReply reply;
    Kind kind;
    std::string why;
  };
  const Case cases[] = {
      {{200, "text/plain", line}, Kind::kCosigned, ""},
      {{200, "text/plain", foreign + line}, Kind::kCosigned, ""},
      {{200, "text/plain", foreign}, Kind::kRefused, "other keys"},
      {{200, "text/plain", ""}, Kind::kRefused, "other keys"},
      {{200, "text/plain", other_line}, Kind::kRefused, "does not hold"},
      {{200, "text/html", "<html>\n"}, Kind::kRefused, "not of signature lines"},
      {{200, "text/plain", std::string(20'000, 'x')}, Kind::kRefused, "too long"},
      {{409, size_type, "4\n"}, Kind::kOtherSize, "goes on from 4"},
      {{409, size_type + "; charset=utf-8", "99\n"}, Kind::kOtherSize, "goes on from 99"},
      {{409, size_type, "2\n"}, Kind::kConflict, "another head of 2"},
      {{409, size_type, "4"}, Kind::kConflict, "`4`"},
      {{409, size_type, "-4\n"}, Kind::kConflict, "`-4`"},
      {{409, size_type, "99999999999999999999999\n"}, Kind::kConflict, "it says"},
      {{409, "text/plain", "the log was forked\n"}, Kind::kConflict, "`the log was forked`"},
      {{422, "text/plain", "no\x1b[31m `proof`\nmore"}, Kind::kConflict, "`no?[31m ?proof?`"},
      {{404, "text/plain", "unknown"}, Kind::kRefused, "404 `unknown`"},
      {{403, "text/plain", ""}, Kind::kRefused, "403"},
      {{302, "text/plain", ""}, Kind::kRefused, "302"},
      {{429, "text/plain", "slow down"}, Kind::kAway, "429"},
      {{503, "text/plain", "later"}, Kind::kAway, "503 `later`"},
  };
  for (const Case& test : cases) {
    const WitnessAnswer answer = ReadWitnessAnswer(test.reply, {head.note, head.size, 2, key});
    EXPECT_EQ(answer.kind, test.kind) << test.reply.status << " " << test.reply.body;
    EXPECT_THAT(answer.why, ::testing::HasSubstr(test.why));
    EXPECT_EQ(answer.line, test.kind == Kind::kCosigned ? line : "");
    EXPECT_EQ(answer.size, test.kind == Kind::kOtherSize ? std::stoull(test.reply.body) : 0u);
  }
  EXPECT_EQ(ReadWitnessAnswer({200, "", line}, {head.note, head.size, 0, "no key"}).kind,
            Kind::kRefused);
}

// Deleted, changed or foreign rows of cosignatures: found by those who demand a witness, and never
// taken for one.
TEST_F(WitnessTest, VerifiersDemandWitnesses) {
  const Checkpoint head = *log_->CheckpointNow();
  const std::string line = Ask(0, head).body;
  const auto keep = [&](std::uint64_t size, const std::string& name, const std::string& text) {
    std::promise<core::Status> done;
    log_->Submit(std::make_unique<TestCommand>(
                     [&](Transaction& transaction) {
                       transaction.PutCosignature(size, name, text);
                       return core::OkStatus();
                     },
                     [&](const core::Status& status) { done.set_value(status); }),
                 Urgency::kNormal);
    ASSERT_TRUE(done.get_future().get().ok());
  };
  EXPECT_EQ(log_->CosignedCheckpoint().status().code(), core::StatusCode::kNotFound);
  keep(head.size, "witness.example/w1", line);
  EXPECT_EQ(log_->CosignedCheckpoint()->note, WithSignatureLines(head.note, line));
  EXPECT_EQ(*log_->Cosignatures(head.size), line);
  EXPECT_EQ(*log_->Cosignatures(head.size + 1), "");
  log_.reset();

  VerifyOptions options;
  options.database = Database();
  options.verifier_key = signer_->verifier_key();
  options.witness_keys = {witness_->verifier_key()};
  EXPECT_EQ(Verify(options).verdict, Verdict::kIntact) << Verify(options).reason;
  // A second witness that never saw the log: one of two will do, both will not.
  const auto second = Witness::Open({.folder = folder_.path() + "/second",
                                     .name = "witness.example/w2",
                                     .log_keys = {},
                                     .clock = &clock_});
  options.witness_keys.push_back((*second)->verifier_key());
  EXPECT_EQ(Verify(options).verdict, Verdict::kIncomplete);
  EXPECT_THAT(Verify(options).reason, ::testing::StartsWith("unwitnessed: 0 of 5"));
  options.witnesses_needed = 1;
  EXPECT_EQ(Verify(options).verdict, Verdict::kIntact) << Verify(options).reason;
  options.witnesses_needed = 3;
  EXPECT_EQ(Verify(options).verdict, Verdict::kCouldNotCheck);
  options.verifier_key.clear();
  options.witness_keys = {witness_->verifier_key()};
  options.witnesses_needed = 0;

  const auto verdict_after = [&](const std::string& sql) {
    RawDb(Database()).DoWithoutTriggers({sql});
    return Verify(options);
  };
  EXPECT_EQ(verdict_after("UPDATE cosignature SET name = 'else'").verdict, Verdict::kTampered);
  EXPECT_EQ(verdict_after("UPDATE cosignature SET name = 'witness.example/w1', size = 4").verdict,
            Verdict::kTampered);
  EXPECT_EQ(verdict_after("UPDATE cosignature SET size = 5").verdict, Verdict::kIntact);
  EXPECT_EQ(verdict_after("UPDATE cosignature SET line = substr(line, 1, length(line) - 8) || "
                          "'AAAAAA=' || char(10)")
                .verdict,
            Verdict::kTampered);
  const VerifyReport gone = verdict_after("DELETE FROM cosignature");
  EXPECT_EQ(gone.verdict, Verdict::kIncomplete);
  EXPECT_THAT(gone.reason, ::testing::HasSubstr("unwitnessed: 0 of 5 signed entries"));
}

TEST_F(WitnessTest, OneProcessAFolder) {
  const auto second = Witness::Open({.folder = folder_.path() + "/witness",
                                     .name = "witness.example/w1",
                                     .log_keys = {},
                                     .clock = &clock_});
  EXPECT_EQ(second.status().code(), core::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace interlock::audit
