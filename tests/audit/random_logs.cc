// Makes small random logs, damages most of them at random, and prints for each what to verify and
// what our verifier says of it: one JSON object a line. tests/audit/agree.py asks the second
// verifier the same. Usage: audit_random_logs FOLDER COUNT SEED
#include <fstream>
#include <future>
#include <iterator>
#include <random>

#include "audit/proof.h"
#include "audit/verify.h"
#include "audit/witness.h"
#include "core/json.h"
#include "fixture.h"
#include "make_logs.h"
#include "tamper.h"

namespace interlock::audit {
namespace {

std::string Number(std::uint64_t value) { return std::to_string(value); }

class Maker {
 public:
  Maker(std::string folder, std::uint64_t seed) : folder_(std::move(folder)), random_(seed) {}

  // One log, damaged or not, and the verdict on it.
  core::Json Make(std::uint64_t number) {
    path_ = folder_ + "/" + Number(number);
    notes_.clear();
    witness_key_.clear();
    origin_ = "interlock.example/" + Number(number);
    auto signer = OpenFileSigner(folder_ + "/signer" + Number(number), origin_);
    if (!signer.ok()) std::abort();
    signer_ = *std::move(signer);
    Fill();
    const std::string damage = Pick(5) == 0 ? "none" : Damage();
    core::Json job = {{"path", path_ + "/audit.db"}, {"damage", damage}, {"key", ""}};
    VerifyOptions options;
    options.database = path_ + "/audit.db";
    const std::uint64_t key = Pick(4);
    if (key == 0) options.verifier_key = signer_->verifier_key();
    if (key == 1 && Pick(4) == 0) {
      options.verifier_key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    }
    if (Pick(2) == 0 && !notes_.empty())
      options.outside_checkpoints = {notes_[Pick(notes_.size())]};
    if (!witness_key_.empty() && Pick(2) == 0) options.witness_keys = {witness_key_};
    job["key"] = options.verifier_key;
    job["witnesses"] = options.witness_keys;
    job["checkpoints"] = options.outside_checkpoints;
    const VerifyReport report = Verify(options);
    job["verdict"] = static_cast<int>(report.verdict);
    job["first_bad"] = report.first_bad ? core::Json(*report.first_bad) : core::Json();
    job["reason"] = report.reason;
    return job;
  }

 private:
  std::uint64_t Pick(std::uint64_t below) { return random_() % below; }

  void Fill() {
    LogOptions options;
    options.folder = path_;
    options.tenant = "main";
    options.origin = origin_;
    options.clock = &clock_;
    options.signer = signer_.get();
    options.ballast_bytes = 0;
    options.checkpoint_entries = 1 << 20;
    auto log = Log::Open(options);
    if (!log.ok()) std::abort();
    size_ = Pick(12) == 0 ? 250 + Pick(300) : 1 + Pick(30);
    const std::uint64_t head = Pick(size_);
    for (std::uint64_t i = 0; i < size_; ++i) {
      clock_.Advance(static_cast<std::int64_t>(Pick(1000)));
      AddEntry(**log);
      if (i == head) notes_.push_back((*log)->CheckpointNow()->note);
    }
    if (Pick(3) == 0) notes_.push_back((*log)->CheckpointNow()->note);
    if (Pick(2) == 0) Cosign(**log);
  }

  // As the daemon does it: a witness's line for the newest head, in the log.
  void Cosign(Log& log) {
    const auto head = log.CheckpointNow();
    auto witness = Witness::Open({.folder = path_ + "/witness",
                                  .name = "witness.example",
                                  .log_keys = {signer_->verifier_key()},
                                  .clock = &clock_});
    if (!head.ok() || !witness.ok()) std::abort();
    witness_key_ = (*witness)->verifier_key();
    const WitnessReply reply = (*witness)->AddCheckpoint(ConsistencyBody({0, {}, head->note}));
    std::promise<core::Status> done;
    log.Submit(std::make_unique<TestCommand>(
                   [&](Transaction& transaction) {
                     transaction.PutCosignature(head->size, "witness.example", reply.body);
                     return core::OkStatus();
                   },
                   [&](const core::Status& status) { done.set_value(status); }),
               Urgency::kNormal);
    if (reply.status != 200 || !done.get_future().get().ok()) std::abort();
  }

  void AddEntry(Log& log) {
    const std::string run = Pick(4) == 0 ? "" : Pick(2) == 0 ? kRunA : kRunB;
    std::vector<SealedPayload> payloads;
    std::string body = R"({"n":)" + Number(Pick(1000)) + "}";
    std::string kind = "call.decided";
    if (Pick(4) == 0) {
      SealedPayload payload;
      payload.key_id = "key" + Number(Pick(2));
      payload.commitment = core::Sha256(Number(random_()));
      payload.plain_bytes = Pick(200);
      payload.sealed = std::string(payload.plain_bytes + kSealBytes, 'x');
      payload.media = "text/plain";
      body = R"({"text":)" + CommitmentText(payload, 0) + "}";
      payloads.push_back(payload);
    } else if (Pick(20) == 0) {
      kind = "payload.erased";
      body = Pick(2) == 0 ? R"({"key":"key0"})" : R"({"payloads":[0,256,512,768,1024]})";
    }
    if (!log.Append(EntryOf(kind, run, body), payloads).ok()) std::abort();
  }

  std::string Damage() {
    const std::uint64_t kind = Pick(4);
    if (kind == 0) return FlipBytes();
    RawDb db(path_ + "/audit.db");
    const std::string some = Number(Pick(size_));
    const std::string other = Number(Pick(size_));
    const std::vector<std::vector<std::string>> edits = {
        {"UPDATE entry SET bytes = CAST(replace(CAST(bytes AS TEXT), '\"n\":', '\"m\":') AS BLOB) "
         "WHERE idx = " +
         some},
        {"UPDATE entry SET bytes = CAST(substr(bytes, 1, 40) || x'20' || substr(bytes, 41) AS "
         "BLOB) WHERE idx "
         "= " +
         some},
        {"DELETE FROM entry WHERE idx = " + some},
        {"DELETE FROM entry WHERE idx >= " + some},
        {"DELETE FROM entry WHERE idx >= " + some, "DELETE FROM checkpoint WHERE size > " + some,
         "DELETE FROM payload WHERE id >> 8 >= " + some,
         "DELETE FROM p_entry_run WHERE idx >= " + some,
         "UPDATE p_watermark SET next_idx = min(next_idx, " + some + ")"},
        {"CREATE TEMP TABLE t AS SELECT * FROM entry WHERE idx = " + some,
         "UPDATE entry SET bytes = (SELECT bytes FROM entry WHERE idx = " + other +
             "), hash = (SELECT hash FROM entry WHERE idx = " + other + ") WHERE idx = " + some,
         "UPDATE entry SET bytes = (SELECT bytes FROM t), hash = (SELECT hash FROM t) WHERE idx "
         "= " +
             other},
        {"UPDATE entry SET hash = zeroblob(32) WHERE idx = " + some},
        {"UPDATE checkpoint SET root = zeroblob(32)"},
        {"UPDATE checkpoint SET note = replace(note, 'A', 'B')"},
        {"DELETE FROM checkpoint WHERE size > " + some},
        {"DELETE FROM checkpoint"},
        {"UPDATE tile SET hashes = zeroblob(8192)"},
        {"UPDATE tile SET root = zeroblob(32)"},
        {"DELETE FROM tile"},
        {"INSERT INTO tile VALUES(77, zeroblob(32), zeroblob(8192))"},
        {"DELETE FROM payload WHERE id >> 8 >= " + some},
        {"UPDATE payload SET commitment = zeroblob(32) WHERE id >> 8 >= " + some},
        {"UPDATE payload SET sealed = NULL WHERE id >> 8 >= " + some},
        {"INSERT INTO payload VALUES(" + Number(Pick(size_ + 3) * 256 + 7) +
         ", 'key1', zeroblob(32), 'text/plain', 1, NULL)"},
        {"UPDATE p_entry_run SET idx = idx + 1 WHERE run_seq = " + Number(Pick(10))},
        {"DELETE FROM p_entry_run"},
        {"DROP TABLE p_entry_run"},
        {"UPDATE p_watermark SET next_idx = next_idx + 1"},
        {"DELETE FROM p_watermark"},
        {"INSERT INTO blob VALUES(zeroblob(32), x'00')"},
        {"INSERT INTO entry SELECT idx + 1, hash, bytes FROM entry ORDER BY idx DESC LIMIT 1"},
        {"INSERT INTO entry VALUES(" + Number(size_ + 2) + ", zeroblob(32), x'7b7d')"},
        {"UPDATE log SET tenant = 'else'"},
        {"UPDATE log SET origin = 'else'"},
        {"UPDATE log SET verifier_key = 'a+b+c'"},
        {"PRAGMA user_version = 77"},
        {"DROP TABLE cosignature", "PRAGMA user_version = 1"},  // an old file, nothing wrong
        {"PRAGMA application_id = 77"},
        {"CREATE TABLE more(x)"},
        {"DELETE FROM cosignature"},
        {"UPDATE cosignature SET name = 'witness.else'"},
        {"UPDATE cosignature SET line = replace(line, 'A', 'B')"},
        {"UPDATE cosignature SET size = size + 1"},
        {"UPDATE checkpoint SET note = note || '\xE2\x80\x94 court.example AAAAAAAA' || char(10)"},
        {"PRAGMA writable_schema = ON",
         "INSERT INTO sqlite_schema VALUES('trigger', 'sqlite_more', 'entry', 0, 'CREATE TRIGGER "
         "sqlite_more AFTER INSERT ON entry BEGIN SELECT 1; END')"},
        {"CREATE INDEX p_more ON p_entry_run(idx)"},
        {"CREATE TRIGGER t AFTER INSERT ON p_entry_run BEGIN SELECT 1; END"},
        {"CREATE VIEW v_more AS SELECT 1"},
        {"INSERT INTO cosignature VALUES(" + some +
         ", 'witness.more', '\xE2\x80\x94 witness.more AAAAAAAA' || char(10))"},
    };
    const std::uint64_t which = Pick(edits.size() + 2);
    if (which < edits.size()) {
      db.DoWithoutTriggers(edits[which]);
      return edits[which][0];
    }
    if (which == edits.size()) {
      db.Do("DROP TRIGGER entry_no_update");
      return "trigger";
    }
    db.DoWithoutTriggers(
        {RawDb::Rewrite(Pick(size_), Replaced(db.EntryBytes(Pick(size_)), "engine", "engime"))});
    return "rewrite";
  }

  std::string FlipBytes() {
    std::ifstream in(path_ + "/audit.db", std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(in), {}};
    if (Pick(8) == 0) bytes.resize(Pick(bytes.size()));
    for (std::uint64_t i = 0, n = 1 + Pick(4); i < n && !bytes.empty(); ++i) {
      bytes[Pick(bytes.size())] ^= static_cast<char>(1 << Pick(8));
    }
    std::ofstream(path_ + "/audit.db", std::ios::binary | std::ios::trunc) << bytes;
    return "bytes";
  }

  const std::string folder_;
  std::mt19937_64 random_;
  ManualClock clock_;
  std::unique_ptr<Signer> signer_;
  std::string path_;
  std::string origin_;
  std::uint64_t size_ = 0;
  std::vector<std::string> notes_;
  std::string witness_key_;  // of the one that cosigned; empty: none did
};

}  // namespace
}  // namespace interlock::audit

int main(int argc, char** argv) {
  return interlock::audit::MakeLogs<interlock::audit::Maker>(argc, argv);
}
