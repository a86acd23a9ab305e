// Content in a bundle: shown whole or by field, withheld, or erased, and only as the entries commit
// to it.
#include "audit/fields.h"
#include "bundle_fixture.h"

namespace interlock::audit {
namespace {

using ::testing::HasSubstr;

class BundlePayloadsTest : public BundleTest {
 protected:
  // Appends a call whose arguments are this payload, committed to field by field. Its index.
  std::uint64_t Propose(const SealedPayload& payload, const std::string& fields) {
    const std::string body = R"({"args":)" + CommitmentText(payload, 0, "{" + fields + "}") + "}";
    const auto ref = log_->Append(EntryOf("call.proposed", "", body), {payload});
    EXPECT_TRUE(ref.ok()) << ref.status();
    return ref.ok() ? ref->index : 0;
  }
  static void AddField(std::string& fields, std::string_view name, const core::Digest& commitment) {
    fields += fields.empty() ? "" : ",";
    fields += "\"" + std::string(name) + "\":\"" + core::Hex(commitment) + "\"";
  }
  static BundlePayload Erased(std::uint64_t index, std::uint64_t by) {
    BundlePayload payload;
    payload.entry_index = index;
    payload.state = BundlePayload::State::kErased;
    payload.erased_by = by;
    return payload;
  }
  // Takes in a new entry `payload.erased`, all of it under the newest head then. Its index.
  std::uint64_t AddErasure(BundleContents& contents, const std::string& body) {
    const auto erased = log_->Append(EntryOf("payload.erased", "", body));
    EXPECT_TRUE(erased.ok()) << erased.status();
    const std::uint64_t index = erased.ok() ? erased->index : 0;
    const Checkpoint head = *log_->CheckpointNow();
    contents.checkpoint_note = head.note;
    contents.entries.push_back({index, log_->Read(index)->bytes, {}});
    for (BundleEntry& entry : contents.entries) {
      entry.hashes = *log_->InclusionProof(entry.index, head.size);
    }
    return index;
  }
};

TEST_F(BundlePayloadsTest, PayloadsAreWhatTheEntriesCommitTo) {
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

TEST_F(BundlePayloadsTest, ContentShownWholeFallsIntoTheFieldsThatWereCommittedTo) {
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
      AddField(fields, field.name, FieldCommitment(core::AsBytes(salt), field));
    }
    const std::uint64_t index = Propose(payload, fields);
    BundleContents contents = OfOneEntry(index);
    contents.payloads = {Disclosed(index, opened)};
    const VerifyReport report = Check(*MakeBundle(contents));
    if (test.holds) {
      EXPECT_EQ(report.verdict, Verdict::kIntact) << report.reason;
    } else {
      ExpectBad(report, index, "committed to other fields");
    }
  }
}

TEST_F(BundlePayloadsTest, WhatIsWithheldIsListedByName) {
  const auto key = *keys_->KeyFor("c-1");
  const std::string content = R"({"amount":7,"note":"n","to":"x"})";
  std::vector<core::Digest> commitments;
  const std::vector<PayloadField> fields = PlainFields(content);
  const SealedPayload payload =
      keys_->SealFields(*key, "application/json", content, fields, commitments);
  const OpenedPayload opened = *keys_->Open(payload);
  std::string named;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    AddField(named, fields[i].name, commitments[i]);
  }
  const std::uint64_t index = Propose(payload, named);
  BundleContents contents = OfOneEntry(index);
  BundlePayload shown;
  shown.entry_index = index;
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
              index, "has other fields than are listed");
  }
}

TEST_F(BundlePayloadsTest, ErasedPayloadNeedsTheEntryThatErasedIt) {
  BundleContents contents = Collect(kRunA);
  contents.payloads[0] = Erased(2, 8);
  ExpectBad(Check(*MakeBundle(contents)), 2, "no later entry names");

  const std::uint64_t by = AddErasure(contents, R"({"payloads":[512]})");
  contents.payloads[0] = Erased(2, by);
  const VerifyReport report = Check(*MakeBundle(contents));
  EXPECT_EQ(report.verdict, Verdict::kIntact) << report.reason;
  contents.payloads[1] = Erased(3, by);
  ExpectBad(Check(*MakeBundle(contents)), 3, "no later entry names");
}

// Rows of a log that was closed have the same numbers as rows of this one.
TEST_F(BundlePayloadsTest, WhatALaterLogSaysOfAClosedOneErasesNothingHere) {
  for (const auto& [log, verdict] : {std::pair("interlock.example/main", Verdict::kIntact),
                                     std::pair("interlock.example/main/7", Verdict::kTampered)}) {
    BundleContents contents = Collect(kRunA);
    const std::string body = R"({"log":")" + std::string(log) + R"(","payloads":[512]})";
    contents.payloads[0] = Erased(2, AddErasure(contents, body));
    const VerifyReport report = Check(*MakeBundle(contents));
    EXPECT_EQ(report.verdict, verdict) << log << ": " << report.reason;
  }
}

// After a log was closed only a later one can say what was erased of it: no proof of this bundle
// covers that, and it says so.
TEST_F(BundlePayloadsTest, WhatALaterLogErasedIsSaidAndNotProven) {
  BundleContents contents = Collect(kRunA);
  contents.payloads[0] = Erased(2, 17);
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

}  // namespace
}  // namespace interlock::audit
