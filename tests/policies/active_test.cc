// Seals of bundles, and a store that changes them as a whole.
#include "policies/active.h"

#include <openssl/evp.h>

#include <atomic>
#include <thread>

#include "policy_fixture.h"

namespace interlock::policies {
namespace {

// A signer of notes, as the one that keeps the log's key.
class Signer {
 public:
  Signer(std::string name, char seed_byte) : name_(std::move(name)) {
    const std::string seed(32, seed_byte);
    key_ = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr,
                                        reinterpret_cast<const unsigned char*>(seed.data()), 32);
    std::size_t size = 32;
    std::string raw(32, '\0');
    EVP_PKEY_get_raw_public_key(key_, reinterpret_cast<unsigned char*>(raw.data()), &size);
    public_key_ = "\x01" + raw;
    id_ = std::string(core::AsBytes(core::Sha256({name_, "\n", public_key_})).substr(0, 4));
  }
  ~Signer() { EVP_PKEY_free(key_); }
  Signer(const Signer&) = delete;
  Signer& operator=(const Signer&) = delete;

  std::string verifier_key() const {
    return name_ + "+" + core::Hex(id_) + "+" + core::Base64(public_key_);
  }
  std::string Note(const std::string& text) const {
    std::string signature(64, '\0');
    std::size_t size = 64;
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    EVP_DigestSignInit(context, nullptr, nullptr, nullptr, key_);
    EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size,
                   reinterpret_cast<const unsigned char*>(text.data()), text.size());
    EVP_MD_CTX_free(context);
    return text + "\n\xE2\x80\x94 " + name_ + " " + core::Base64(id_ + signature) + "\n";
  }

 private:
  std::string name_, public_key_, id_;
  EVP_PKEY* key_ = nullptr;
};

std::vector<BundleFile> Files(const std::string& rules) {
  return {{.path = "p.lua", .text = PolicyText(rules)}};
}

BundleSource Sealed(const Signer& signer, std::int64_t revision, const std::string& rules) {
  BundleSource source{.files = Files(rules)};
  source.seal = signer.Note(SealText("shop", revision, source.files));
  return source;
}

const char kDenyAll[] = "rule \"no\" { on = \"*\", deny = { code = \"NO\" } }\n";

TEST(Seal, HoldsForExactlyItsFilesKeyOriginAndText) {
  const Signer signer("ci", 'a');
  const Signer other("ci", 'b');
  const TrustRoot root{.keys = {signer.verifier_key()}, .origin = "shop"};
  const std::vector<BundleFile> files = Files(kAllowAll);
  const std::string note = signer.Note(SealText("shop", 7, files));
  const auto seal = CheckSeal(note, files, root);
  ASSERT_TRUE(seal.ok()) << core::Message(seal.status());
  EXPECT_EQ(seal->revision, 7);
  EXPECT_EQ(seal->signed_by, "ci");
  const auto refusal = [&](const std::string& text, const std::vector<BundleFile>& which,
                           const TrustRoot& by) {
    const auto checked = CheckSeal(text, which, by);
    return checked.ok() ? std::string("holds") : std::string(core::Message(checked.status()));
  };
  EXPECT_EQ(refusal("", files, root), "the bundle has no seal; sign it: interlock policy sign");
  EXPECT_EQ(refusal(other.Note(SealText("shop", 7, files)), files, root),
            "no trusted key signed the bundle; trusted are 1 keys of the configuration")
      << "another key under the same name";
  EXPECT_EQ(refusal(signer.Note(SealText("else", 7, files)), files, root),
            "the bundle was signed for `else`, not for `shop`");
  std::string raised = note;
  raised.replace(raised.find("\n7\n"), 3, "\n8\n");
  EXPECT_EQ(refusal(raised, files, root),
            "no trusted key signed the bundle; trusted are 1 keys of the configuration");
  const std::string changed =
      "the files are not those that were signed; restore them or sign again";
  std::vector<BundleFile> more = files;
  more.push_back({.path = "q.lua", .text = "policy \"q\" { owner = \"x\", tools = { \"*\" } }\n"});
  EXPECT_EQ(refusal(note, more, root), changed);
  EXPECT_EQ(refusal(note, Files(kDenyAll), root), changed);
  EXPECT_EQ(refusal(note, {}, root), changed);
  for (std::size_t i = 0; i < note.size(); ++i) {
    std::string broken = note;
    broken[i] = static_cast<char>(broken[i] ^ 1);
    EXPECT_NE(refusal(broken, files, root), "holds") << i;
  }
  EXPECT_EQ(refusal(note, files, {.keys = {"ci+00000000+AAAA"}, .origin = "shop"}),
            "a trusted key is name+<8 hex>+<base64>, as the signer prints it");
}

TEST(Seal, OurOwnSignatureIsThatOfAnyOtherSigner) {
  const Signer signer("ci", 'a');
  const SealKey key = MakeSealKey("ci", std::string(32, 'a'));
  EXPECT_EQ(key.verifier, signer.verifier_key());
  const std::vector<BundleFile> files = Files(kAllowAll);
  const auto note = SignBundle(key.secret + "\n", "shop", 7, files);
  ASSERT_TRUE(note.ok()) << core::Message(note.status());
  EXPECT_EQ(*note, signer.Note(SealText("shop", 7, files)));
  EXPECT_FALSE(SignBundle(key.verifier, "shop", 7, files).ok());
  EXPECT_FALSE(SignBundle(key.secret, "two\nlines", 7, files).ok());
  EXPECT_FALSE(SignBundle(key.secret, "shop", 0, files).ok());
}

std::string Activate(BundleStore& store, BundleSource source) {
  const core::Status status = store.Activate(std::move(source), nullptr);
  return status.ok() ? "" : std::string(core::Message(status));
}

std::string CodeOf(const BundleStore& store) {
  StoreEngine engine(store);
  const TestCall call;
  DecisionInput input;
  input.call = {.id = "c", .run = "r", .tool = "t", .effect = "write", .agent = "a", .step = 1};
  input.args = &call.args;
  return engine.Decide(input, nullptr, nullptr).code;
}

TEST(BundleStore, NoBundleDeniesAll) { EXPECT_EQ(CodeOf(BundleStore({})), "NO_BUNDLE"); }

TEST(BundleStore, WhatIsWrongKeepsTheOldOne) {
  BundleStore store({});
  EXPECT_EQ(Activate(store, {.files = Files(kAllowAll)}), "");
  EXPECT_EQ(CodeOf(store), "OK");
  EXPECT_EQ(
      Activate(store,
               {.files = Files(
                    "rule \"r\" { on = \"*\", where = { [\"agrs.x\"] = 1 }, allow = true }\n")}),
      "p.lua:2: `agrs.x` does not start with args, facts, session, call, principal, flow, user, "
      "tenant, now, message, result or answer; did you mean `args`?");
  EXPECT_EQ(Activate(store,
                     {.files = Files("rule \"r\" { on = \"t\", allow = true, examples = { { expect "
                                     "= \"deny\" } } }\n")}),
            "p.lua:2: example 1 of rule `p/r`: expected deny, got allow");
  EXPECT_EQ(CodeOf(store), "OK");
  EXPECT_EQ(store.active()->generation, 1u);
  EXPECT_EQ(Activate(store, {.files = Files(kDenyAll)}), "");
  EXPECT_EQ(CodeOf(store), "NO");
}

TEST(BundleStore, ASealIsMandatoryAndRevisionsOnlyRise) {
  const Signer signer("ci", 'a');
  BundleStore store({.keys = {signer.verifier_key()}, .origin = "shop"});
  EXPECT_EQ(Activate(store, {.files = Files(kAllowAll)}),
            "the bundle has no seal; sign it: interlock policy sign");
  EXPECT_EQ(CodeOf(store), "NO_BUNDLE");
  EXPECT_EQ(Activate(store, Sealed(signer, 3, kAllowAll)), "");
  EXPECT_EQ(Activate(store, Sealed(signer, 3, kAllowAll)), "") << "the same once more";
  const std::string back =
      "revision 2 is not above the active one, 3; to go back, sign the old "
      "files as revision 4";
  EXPECT_EQ(Activate(store, Sealed(signer, 2, kDenyAll)), back);
  EXPECT_NE(Activate(store, Sealed(signer, 3, kDenyAll)), "") << "one revision, other files";
  EXPECT_EQ(CodeOf(store), "OK");
  EXPECT_EQ(Activate(store, Sealed(signer, 4, kDenyAll)), "");
  EXPECT_EQ(CodeOf(store), "NO");
  EXPECT_EQ(store.active()->seal.signed_by, "ci");
}

TEST(BundleStore, ACandidateIsWatchedAndDecidesNothing) {
  BundleStore store({});
  EXPECT_FALSE(store.Watch({.files = Files(kDenyAll)}, nullptr).ok()) << "beside what?";
  EXPECT_EQ(Activate(store, {.files = Files(kAllowAll)}), "");
  ASSERT_TRUE(
      store
          .Watch({.files = Files("rule \"big\" { on = \"*\", where = { [\"args.amount\"] = gt(5) "
                                 "}, deny = { code = \"BIG\" } }\n" +
                                 std::string(kAllowAll))},
                 nullptr)
          .ok());
  StoreEngine engine(store);
  Divergence divergence;
  for (const int amount : {1, 5, 6, 7}) {
    TestCall call;
    call.args["amount"] = amount;
    DecisionInput input;
    input.call = {.id = "c", .run = "r", .tool = "t", .effect = "write", .agent = "a", .step = 1};
    input.args = &call.args;
    EXPECT_EQ(engine.Decide(input, &divergence, nullptr).code, "OK");
  }
  const Divergence::Count count = divergence.Get();
  EXPECT_EQ(count.decisions, 4u);
  EXPECT_EQ(count.parted, 2u);
  EXPECT_EQ(count.by_change.at("allow -> deny"), 2u);
  EXPECT_EQ(count.by_rule.at("p/big"), 2u);
  store.StopWatching();
  TestCall call;
  DecisionInput input;
  input.args = &call.args;
  engine.Decide(input, &divergence, nullptr);
  EXPECT_EQ(divergence.Get().decisions, 4u);
}

TEST(BundleStore, NoDecisionIsDroppedOrMixedUnderReload) {
  // Two rules that agree within each bundle: a decision that saw one of each bundle would show two
  // different notes.
  const auto rules = [](const std::string& mark) {
    return std::string(kAllowAll) + "rule \"a\" { on = \"*\", note = \"" + mark +
           "\" }\non(\"*\", \"b\", function(c) return note(\"" + mark + "\") end)\n";
  };
  BundleStore store({});
  ASSERT_EQ(Activate(store, {.files = Files(rules("one"))}), "");
  std::atomic<bool> done = false;
  std::atomic<int> decided = 0;
  std::atomic<int> mixed = 0;
  std::thread worker([&] {
    StoreEngine engine(store);
    const TestCall call;
    DecisionInput input;
    input.call = {.id = "c", .run = "r", .tool = "t", .effect = "write", .agent = "a", .step = 1};
    input.args = &call.args;
    while (!done) {
      const Decision decision = engine.Decide(input, nullptr, nullptr);
      const bool whole = decision.code == "OK" && decision.rules.size() == 3 &&
                         decision.rules[0].because == decision.rules[1].because;
      mixed += whole ? 0 : 1;
      ++decided;
    }
  });
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(Activate(store, {.files = Files(rules(i % 2 == 0 ? "two" : "one"))}), "");
    EXPECT_NE(Activate(store, {.files = Files("rule \"broken\" { }\n")}), "");
  }
  while (decided < 100) std::this_thread::yield();
  done = true;
  worker.join();
  EXPECT_EQ(mixed, 0);
  EXPECT_EQ(store.active()->generation, 21u);
}

}  // namespace
}  // namespace interlock::policies
