// What the tests of bundles share: a log of two runs, one with payloads and over, and bundles of
// it.
#pragma once

#include <gmock/gmock.h>

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "audit/bundle.h"
#include "audit/tar.h"
#include "core/json.h"
#include "fixture.h"

namespace interlock::audit {

class BundleTest : public LogFixture {
 protected:
  BundleTest() {
    auto keys = KeyStore::Open(folder_.path() + "/keys", &random_);
    EXPECT_TRUE(keys.ok());
    keys_ = *std::move(keys);
    const auto key = *keys_->KeyFor("alice");
    log_ = MustOpen();
    const std::vector<std::string> cites = {core::DigestName(core::Sha256(policy_))};
    Put([&](Transaction& transaction) {
      transaction.PutBlob(policy_);
      NewEntry started = EntryOf("run.started", kRunA);
      started.cites = cites;
      return transaction.Append(started).status();
    });
    Add(EntryOf("call.decided", kRunB));
    for (int i = 0; i < 5; ++i) {
      SealedPayload payload = keys_->Seal(*key, "text/plain", "hello " + std::to_string(i));
      const std::string body = R"({"text":)" + CommitmentText(payload, 0) + "}";
      EXPECT_TRUE(log_->Append(EntryOf("message.received", kRunA, body), {payload}).ok());
    }
    Add(EntryOf("call.decided", kRunB));
    Add(EntryOf("run.completed", kRunA));
    Add(EntryOf("call.decided", kRunB));
  }

  void Add(const NewEntry& entry) { EXPECT_TRUE(log_->Append(entry).ok()); }
  void Put(const std::function<core::Status(Transaction&)>& apply) {
    std::promise<core::Status> done;
    log_->Submit(std::make_unique<TestCommand>(
                     apply, [&](const core::Status& status) { done.set_value(status); }),
                 Urgency::kNormal);
    EXPECT_TRUE(done.get_future().get().ok());
  }

  // One entry under the newest head, without payloads.
  BundleContents OfOneEntry(std::uint64_t index) {
    const Checkpoint head = *log_->CheckpointNow();
    BundleContents contents;
    contents.tenant = "main";
    contents.query = "one entry";
    contents.checkpoint_note = head.note;
    contents.keys = {signer_->verifier_key()};
    contents.entries = {{index, log_->Read(index)->bytes, *log_->InclusionProof(index, head.size)}};
    return contents;
  }

  BundleContents Collect(const std::string& run) {
    const Checkpoint head = *log_->CheckpointNow();
    BundleContents contents;
    contents.tenant = "main";
    contents.run = run;
    contents.made_by = "a test";
    contents.checkpoint_note = head.note;
    contents.keys = {signer_->verifier_key()};
    contents.blobs = {policy_};
    const EntryPage page = *log_->ReadRun(run, 0, 100);
    for (const Entry& entry : page.entries) {
      contents.entries.push_back(
          {entry.index, entry.bytes, *log_->InclusionProof(entry.index, head.size)});
      if (entry.kind != "message.received") continue;
      const OpenedPayload opened = *keys_->Open(log_->ReadPayload(entry.index, 0)->payload);
      contents.payloads.push_back(Disclosed(entry.index, opened));
    }
    return contents;
  }
  static BundlePayload Disclosed(std::uint64_t index, const OpenedPayload& opened) {
    BundlePayload payload;
    payload.entry_index = index;
    payload.state = BundlePayload::State::kDisclosed;
    payload.media = opened.media;
    payload.content = opened.plaintext;
    payload.salt = opened.salt;
    return payload;
  }
  std::string Good() { return *MakeBundle(Collect(kRunA)); }

  VerifyReport Check(const std::string& bundle) {
    BundleVerifyOptions options;
    options.verifier_key = signer_->verifier_key();
    return VerifyBundle(bundle, options);
  }
  // Changes files and makes the manifest's hashes fit, as a forger would.
  static std::string Forged(const std::string& bundle,
                            const std::function<void(std::map<std::string, std::string>&)>& edit) {
    std::map<std::string, std::string> files;
    const auto read = *ReadTar(bundle);
    for (const TarFile& file : read) files[file.name] = file.bytes;
    edit(files);
    core::Json manifest = core::Json::parse(files["manifest.json"]);
    files.erase("manifest.json");
    manifest["files"] = core::Json::object();
    for (const auto& [name, bytes] : files) {
      manifest["files"][name] = core::Hex(core::Sha256(bytes));
    }
    files["manifest.json"] = core::CanonicalJson(manifest);
    std::vector<TarFile> list;
    list.reserve(files.size());
    for (const auto& [name, bytes] : files) list.push_back({name, bytes});
    return *WriteTar(list);
  }
  static std::string FileOf(const std::string& bundle, const std::string& name) {
    const auto files = *ReadTar(bundle);
    for (const TarFile& file : files) {
      if (file.name == name) return std::string(file.bytes);
    }
    return {};
  }
  static void EditManifest(std::map<std::string, std::string>& files,
                           const std::function<void(core::Json&)>& edit) {
    core::Json manifest = core::Json::parse(files["manifest.json"]);
    edit(manifest);
    files["manifest.json"] = core::CanonicalJson(manifest);
  }
  void ExpectBad(const VerifyReport& report, std::optional<std::uint64_t> index,
                 const std::string& why) {
    EXPECT_EQ(report.verdict, Verdict::kTampered) << report.reason;
    EXPECT_EQ(report.first_bad, index) << report.reason;
    EXPECT_THAT(report.reason, ::testing::HasSubstr(why));
  }

  const std::string policy_ = "deny everything";
  std::unique_ptr<KeyStore> keys_;
  std::unique_ptr<Log> log_;
};

}  // namespace interlock::audit
