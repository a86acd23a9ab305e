// Makes what tests/audit/tamper.py attacks: a log of 600 entries with heads that were kept, an
// older copy of it, a copy of it at work, a fork by the same key, and evidence bundles, honest and
// not. Usage: audit_base_log FOLDER
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <future>

#include "audit/bundle.h"
#include "fixture.h"

namespace interlock::audit {
namespace {

namespace fs = std::filesystem;

constexpr int kEntries = 600;
const std::string kPolicy = "deny everything";

class Base {
 public:
  explicit Base(std::string folder) : folder_(std::move(folder)) {
    signer_ = *OpenFileSigner(folder_ + "/signer", "interlock.example/main");
    Write("key.txt", signer_->verifier_key());
  }

  void Make() {
    auto log = Open("log", signer_.get());
    for (int i = 0; i < kEntries; ++i) {
      Add(*log, i, "deny");
      if (i == 299) {
        Write("early.note", log->CheckpointNow()->note);
        log.reset();
        fs::create_directory(folder_ + "/older");
        fs::copy_file(folder_ + "/log/audit.db", folder_ + "/older/audit.db");
        log = Open("log", signer_.get());
      }
      if (i == 559) {  // as it lies there while the daemon works
        Write("middle.note", log->CheckpointNow()->note);
        fs::create_directory(folder_ + "/at_work");
        for (const char* file : {"audit.db", "audit.db-wal"}) {
          fs::copy_file(folder_ + "/log/" + file, folder_ + "/at_work/" + file);
        }
      }
    }
    Write("late.note", log->CheckpointNow()->note);
    const BundleContents honest = Contents(*log);
    Write("bundle.tar", *MakeBundle(honest));
    Write("resigned.tar", *MakeBundle(Resigned(honest)));
    log.reset();
    Write("foreign.tar", *MakeBundle(WithAForeignEntry(honest)));
    Fork();
  }

 private:
  std::unique_ptr<Log> Open(const std::string& name, Signer* signer) {
    LogOptions options;
    options.folder = folder_ + "/" + name;
    options.tenant = "main";
    options.origin = "interlock.example/main";
    options.clock = &clock_;
    options.signer = signer;
    options.ballast_bytes = 0;
    auto log = Log::Open(options);
    if (!log.ok()) std::abort();
    return *std::move(log);
  }

  void Add(Log& log, int i, const std::string& verdict) {
    clock_.Advance(1000);
    if (i == 0) return Start(log);
    const std::string body = R"({"verdict":")" + verdict + R"("})";
    if (i % 50 == 7) {
      SealedPayload payload;
      payload.key_id = "key";
      payload.commitment = Commitment(std::string(32, 's'), "text/plain", "hello");
      payload.sealed = std::string(5 + kSealBytes, 's');
      payload.media = "text/plain";
      payload.plain_bytes = 5;
      const std::string text = R"({"text":)" + CommitmentText(payload, 0) + "}";
      if (!log.Append(EntryOf("note.sealed", kRunB, text), {payload}).ok()) std::abort();
      return;
    }
    const bool mine = i < 20;
    const char* kind = i == 19 ? "run.completed" : "note.kept";
    if (!log.Append(EntryOf(kind, mine ? kRunA : kRunB, body)).ok()) std::abort();
  }

  // The first entry cites a file that the log keeps.
  void Start(Log& log) {
    const std::vector<std::string> cites = {core::DigestName(core::Sha256(kPolicy))};
    std::promise<void> done;
    log.Submit(std::make_unique<TestCommand>(
                   [&](Transaction& transaction) {
                     transaction.PutBlob(kPolicy);
                     NewEntry entry = EntryOf("note.begun", kRunA);
                     entry.cites = cites;
                     return transaction.Append(entry).status();
                   },
                   [&](const core::Status&) { done.set_value(); }),
               Urgency::kNormal);
    done.get_future().wait();
  }

  BundleContents Contents(Log& log) {
    BundleContents contents;
    contents.tenant = "main";
    contents.run = kRunA;
    contents.made_by = "a test";
    const Checkpoint head = *log.newest_checkpoint();
    contents.checkpoint_note = head.note;
    contents.keys = {signer_->verifier_key()};
    contents.blobs = {kPolicy};
    const EntryPage page = *log.ReadRun(kRunA, 0, 100);
    for (const Entry& entry : page.entries) {
      contents.entries.push_back(
          {entry.index, entry.bytes, *log.InclusionProof(entry.index, head.size)});
    }
    return contents;
  }

  std::unique_ptr<Signer> OtherSigner(const std::string& name) {
    fs::create_directory(folder_ + "/" + name);
    fs::permissions(folder_ + "/" + name, fs::perms::owner_all);
    return *OpenFileSigner(folder_ + "/" + name, "interlock.example/main");
  }

  // By somebody else's key, and whole under it.
  BundleContents Resigned(BundleContents contents) {
    const auto other = OtherSigner("other_signer");
    Write("other_key.txt", other->verifier_key());
    const Checkpoint head = *OpenCheckpoint(contents.checkpoint_note, signer_->verifier_key());
    contents.checkpoint_note = other->Sign({head.origin, head.size, head.root, {}})->note;
    contents.keys = {other->verifier_key()};
    return contents;
  }

  // Entry 5 is one of another log, with its proof in that one.
  BundleContents WithAForeignEntry(BundleContents contents) {
    const auto signer = OtherSigner("foreign_signer");  // the other one remembers a head of ours
    const auto log = Open("other", signer.get());
    for (int i = 0; i < kEntries; ++i) Add(*log, i, "okay");
    contents.entries[5] = {5, log->Read(5)->bytes, *log->InclusionProof(5, kEntries)};
    return contents;
  }

  // The signer's key without its memory: what a thief of the key can do.
  void Fork() {
    fs::create_directory(folder_ + "/thief");
    fs::permissions(folder_ + "/thief", fs::perms::owner_all);
    fs::copy_file(folder_ + "/signer/signer.key", folder_ + "/thief/signer.key");
    const auto thief = *OpenFileSigner(folder_ + "/thief", "interlock.example/main");
    const auto log = Open("fork", thief.get());
    for (int i = 0; i < kEntries; ++i) Add(*log, i, i < 450 ? "deny" : "okay");
    static_cast<void>(log->CheckpointNow());
  }

  void Write(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ + "/" + name, std::ios::binary) << bytes;
  }

  const std::string folder_;
  ManualClock clock_;
  std::unique_ptr<Signer> signer_;
};

}  // namespace
}  // namespace interlock::audit

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  interlock::audit::Base(argv[1]).Make();
  return 0;
}
