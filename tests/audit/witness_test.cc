// A witness cosigns what continues what it saw, remembers before it answers, and never contradicts
// itself, restarts included.
#include "audit/witness.h"

#include <gmock/gmock.h>

#include "audit/cosignature.h"
#include "audit/proof.h"
#include "fixture.h"

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
  for (int i = 0; i < 9; ++i) {
    ASSERT_TRUE(fork_log->Append(EntryOf("call.decided", kRunB)).ok());
  }
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

TEST_F(WitnessTest, OneProcessAFolder) {
  const auto second = Witness::Open({.folder = folder_.path() + "/witness",
                                     .name = "witness.example/w1",
                                     .log_keys = {},
                                     .clock = &clock_});
  EXPECT_EQ(second.status().code(), core::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace interlock::audit
