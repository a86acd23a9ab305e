// Makes small random evidence bundles, damages most of them at random, in front of the signature
// and behind it, and prints for each what to verify and what our verifier says of it: one JSON
// object a line. tests/audit/agree.py asks the second verifier the same. Usage:
// audit_random_bundles FOLDER COUNT SEED
#include <algorithm>
#include <array>
#include <fstream>
#include <functional>
#include <map>
#include <random>

#include "audit/bundle.h"
#include "audit/commitment.h"
#include "audit/cosignature.h"
#include "audit/keys.h"
#include "commitments.h"
#include "entry_text.h"
#include "make_logs.h"
#include "note_text.h"
#include "signed_bundle.h"

namespace interlock::audit {
namespace {

using Texts = std::vector<std::string>;

constexpr std::string_view kOrigin = "log.example/main";
constexpr std::string_view kWitness = "witness.example/w1";
constexpr std::array<const char*, 2> kRuns = {"0190c2a4-7d2e-7c3a-8b1f-0123456789ab",
                                              "0190c2a4-7d2e-7c3a-8b1f-0123456789ac"};

std::string Number(std::uint64_t value) { return std::to_string(value); }

// The Ed25519 cosignature/v1 line of a witness for a note.
std::string CosignatureLine(const SigningKey& witness, std::string_view note, std::uint64_t time) {
  const std::string_view text = note.substr(0, note.find("\n\n") + 1);
  std::string blob = witness.key().id;
  for (int shift = 56; shift >= 0; shift -= 8) blob += static_cast<char>(time >> shift);
  return SignatureLine(kWitness,
                       blob + witness.Sign(CosignedMessage(text, static_cast<std::int64_t>(time))));
}

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}
  std::uint64_t Pick(std::uint64_t below) { return random_() % below; }
  bool OneIn(std::uint64_t many) { return Pick(many) == 0; }
  template <typename T>
  const T& Of(const std::vector<T>& all) {
    return all[Pick(all.size())];
  }

 private:
  std::mt19937_64 random_;
};

// A log, and what its entries commit to and cite.
class RandomLog {
 public:
  struct Content {
    std::string plain;
    std::string salt;
    std::vector<PayloadField> fields;  // views into `plain`; none: committed to as a whole only
  };

  explicit RandomLog(Dice& dice) : dice_(dice), key_(KeyOfLetter(kOrigin, 'k')) {
    for (std::uint64_t i = 0, n = dice_.Pick(3); i < n; ++i) AddBlob();
    const std::uint64_t size = 2 + dice_.Pick(dice_.OneIn(20) ? 300 : 14);
    while (leaves.size() < size) AddEntry();
  }

  Texts leaves;
  Texts blobs;
  std::map<std::pair<std::uint64_t, int>, Content> contents;  // by entry and slot
  const SigningKey& key() const { return key_; }              // that signs now

 private:
  struct Run {
    const char* id = "";
    std::int64_t next = 0;
    std::string prev;
    bool over = false;
  };

  void AddBlob() {
    std::string bytes = "policy " + Number(dice_.Pick(1000));
    if (!blobs.empty() && dice_.OneIn(2)) {
      const std::string part = core::DigestName(core::Sha256(blobs[0]));
      bytes = dice_.OneIn(2) ? "[" + part + "]" : R"({"file":"a","sha256":")" + part + "\"}";
    }
    blobs.push_back(bytes);
  }

  Texts Cites() {
    Texts cites;
    for (const std::string& blob : blobs) {
      if (dice_.OneIn(2)) cites.push_back(core::DigestName(core::Sha256(blob)));
    }
    if (dice_.OneIn(30)) cites.push_back(core::DigestName(core::Sha256("nobody kept this")));
    std::sort(cites.begin(), cites.end());
    cites.erase(std::unique(cites.begin(), cites.end()), cites.end());
    return cites;
  }

  void AddEntry() {
    Run& run = runs_[dice_.Pick(4) / 3];
    if (run.over || dice_.OneIn(4)) return AddOfNoRun();
    if (run.next > 1 && dice_.OneIn(4)) {
      run.over = true;
      return Append(dice_.Of(Texts{"run.completed", "run.failed", "run.escalated"}), "{}", &run);
    }
    if (dice_.OneIn(2)) return Append("call.decided", R"({"n":1})", &run);
    Append("message.received", BodyWithContents(), &run);
  }

  void AddOfNoRun() {
    const std::uint64_t kind = dice_.Pick(8);
    if (kind < 2) return Append("payload.erased", ErasedBody(), nullptr);
    if (kind == 2) return Append("signer.rotated", RotatedBody(), nullptr);
    Append("call.decided", BodyWithContents(), nullptr);
  }

  void Append(const std::string& kind, const std::string& body, Run* run) {
    static const Run kNone{.id = "", .next = -1, .prev = ""};
    const Run& of = run == nullptr ? kNone : *run;
    time_us_ += static_cast<std::int64_t>(dice_.Pick(1000));
    const Texts cites = Cites();
    std::string bytes;
    AppendEntry({.kind = kind, .run = of.id, .actor = "engine", .body = body, .cites = cites},
                {leaves.size(), time_us_, of.next, "main", of.prev}, bytes);
    if (run != nullptr) {
      ++run->next;
      run->prev = core::Hex(LeafHash(bytes));
    }
    leaves.push_back(bytes);
  }

  std::string BodyWithContents() {
    std::string body = R"({"args":)" + NewCommitment(0);
    if (dice_.OneIn(3)) body += R"(,"text":)" + NewCommitment(1);
    return body + "}";
  }

  std::string NewCommitment(int slot) {
    Content& content = contents[{leaves.size(), slot}];
    content.salt = std::string(32, static_cast<char>('a' + dice_.Pick(20)));
    const bool object = dice_.OneIn(2);
    content.plain = object ? R"({"amount":"12","order":"o-)" + Number(dice_.Pick(100)) + "\"}"
                           : "hello " + Number(dice_.Pick(100));
    SealedPayload payload;
    payload.key_id = "key" + Number(dice_.Pick(2));
    payload.commitment = Commitment(content.salt, "text/plain", content.plain);
    payload.plain_bytes = content.plain.size();
    if (!object || dice_.OneIn(3)) return CommitmentText(payload, slot);
    const std::size_t amount = content.plain.find(R"("12")");
    const std::size_t order = content.plain.find(R"("o-)");
    const std::string_view plain = content.plain;
    content.fields = {{"amount", plain.substr(amount, 4)},
                      {"order", plain.substr(order, plain.size() - 1 - order)}};
    std::string fields = "{";
    for (const PayloadField& field : content.fields) {
      const core::Digest salt = FieldSalt(content.salt, field.name);
      fields += (fields.size() > 1 ? ",\"" : "\"") + std::string(field.name) + "\":\"" +
                core::Hex(FieldCommitment(core::AsBytes(salt), field)) + "\"";
    }
    return CommitmentText(payload, slot, fields + "}");
  }

  std::string ErasedBody() {
    if (dice_.OneIn(2)) return R"({"key":"key)" + Number(dice_.Pick(2)) + "\"}";
    std::string ids;
    for (const auto& [at, content] : contents) {
      if (dice_.OneIn(2)) ids += (ids.empty() ? "" : ",") + Number(at.first * 256 + at.second);
    }
    const std::string log = dice_.OneIn(4) ? R"("log":"log.example/older",)" : "";
    return "{" + log + R"("payloads":[)" + ids + "]}";
  }

  std::string RotatedBody() {
    SigningKey next = KeyOfLetter(kOrigin, static_cast<char>('l' + dice_.Pick(9)));
    const std::string text = RotationText(key_.verifier_key(), next.verifier_key());
    std::string body;
    core::JsonObjectWriter writer(body);
    writer.String("new_key", next.verifier_key());
    writer.String("new_signature", core::Base64(next.Sign(text)));
    writer.String("old_key", key_.verifier_key());
    writer.String("old_signature", core::Base64(key_.Sign(dice_.OneIn(8) ? "no" : text)));
    writer.Close();
    if (!dice_.OneIn(8)) key_ = std::move(next);
    return body;
  }

  Dice& dice_;
  SigningKey key_;
  std::array<Run, 2> runs_{Run{.id = kRuns[0], .prev = ""}, Run{.id = kRuns[1], .prev = ""}};
  std::int64_t time_us_ = 1'700'000'000'000'000;
};

class Maker {
 public:
  Maker(std::string folder, std::uint64_t seed) : folder_(std::move(folder)), dice_(seed) {}

  core::Json Make(std::uint64_t number) {
    RandomLog log(dice_);
    files_.clear();
    damage_ = "none";
    if (dice_.OneIn(4)) Damage("leaf", log.leaves[dice_.Pick(log.leaves.size())]);
    SignedLog tree(std::string(kOrigin), log.leaves);
    core::Json manifest = Bundle(log, tree);
    if (dice_.OneIn(3)) DamageFiles();
    if (dice_.OneIn(3)) DamageJson(manifest);
    auto tar = TarWithManifest(files_, manifest);
    if (!tar) tar = "no tar";
    if (dice_.OneIn(15)) Damage("tar", *tar);
    const std::string path = folder_ + "/" + Number(number) + ".tar";
    std::ofstream(path, std::ios::binary) << *tar;
    return Asked(path, *tar, tree, log);
  }

 private:
  // ---- what goes in

  core::Json Bundle(const RandomLog& log, SignedLog& tree) {
    const std::string run = dice_.OneIn(3) ? "" : kRuns[dice_.Pick(2)];
    size_ = log.leaves.size() - dice_.Pick(dice_.OneIn(4) ? log.leaves.size() : 1);
    note_ = tree.Note(size_, log.key());
    if (dice_.OneIn(2)) note_ += CosignatureLine(witness_, note_, 1'700'000'000);
    if (dice_.OneIn(8)) note_ += "\xE2\x80\x94 court.example AAAAAAAA\n";
    core::Json payloads = core::Json::array();
    std::set<std::string> not_kept;
    bool complete = false;
    for (std::uint64_t index = 0; index < size_; ++index) {
      const auto entry = ParseEntry(log.leaves[index]);
      if (!entry || !IsChosen(*entry, run)) continue;
      AddEntry(log, tree, index, payloads);
      if (entry->run == run) complete = EndsRun(entry->kind);
      for (const std::string& name : CitesOf(log.leaves[index])) not_kept.insert(name);
    }
    AddRest(log, tree, not_kept);
    const bool is_run = !run.empty();
    complete = complete && is_run;
    return {{"bundle", kBundleFormat},
            {"made_by", "a test"},
            {"not_kept", not_kept},
            {"payloads", payloads},
            {"scope",
             {{"complete", complete},
              {"query", is_run ? "" : "some"},
              {"run", run},
              {"statement", ScopeStatement(is_run, complete)}}},
            {"tenant", "main"}};
  }

  bool IsChosen(const ParsedEntry& entry, const std::string& run) {
    if (run.empty() && entry.kind != "signer.rotated") return !dice_.OneIn(4);
    if (IsSupportKind(entry.kind)) return !dice_.OneIn(30);
    return dice_.OneIn(100) != (entry.run == run);
  }

  void AddEntry(const RandomLog& log, SignedLog& tree, std::uint64_t index, core::Json& payloads) {
    files_[EntryFile(index)] = log.leaves[index];
    files_[ProofFile(index)] = tree.Proof(index, size_, note_);
    for (const NamedCommitment& named : CommitmentsIn(log.leaves[index])) {
      static const RandomLog::Content kNone;
      const auto content = log.contents.find({index, named.slot});
      const bool known = content != log.contents.end();
      payloads.push_back(Record(log, index, named.slot, known ? content->second : kNone));
    }
  }

  core::Json Record(const RandomLog& log, std::uint64_t index, int slot,
                    const RandomLog::Content& content) {
    core::Json record = {{"entry", index}, {"slot", slot}, {"state", "withheld"}};
    switch (dice_.Pick(6)) {
      case 0:
        EraseIn(log, index, record);
        break;
      case 1:
      case 2:
        record["state"] = "disclosed";
        record["media"] = "text/plain";
        record["salt"] = core::Hex(content.salt);
        files_[PayloadFile(index, slot)] = content.plain;
        break;
      case 3:
        if (!content.fields.empty()) ShowFields(content, record);
        break;
      default:
        break;
    }
    return record;
  }

  // Names the next erasure, whether or not it was of this payload.
  void EraseIn(const RandomLog& log, std::uint64_t index, core::Json& record) {
    for (std::uint64_t by = index + 1; by < size_; ++by) {
      const auto entry = ParseEntry(log.leaves[by]);
      if (!entry || entry->kind != kErasedKind || dice_.OneIn(3)) continue;
      record["state"] = "erased";
      record["by"] = by;
      if (dice_.OneIn(5)) {
        record["log"] =
            dice_.Of(std::vector<std::string>{"interlock.example/main", "interlock.example/2", ""});
      }
      return;
    }
  }

  void ShowFields(const RandomLog::Content& content, core::Json& record) {
    record["state"] = "fields";
    record["fields"] = core::Json::object();
    record["withheld"] = core::Json::array();
    for (const PayloadField& field : content.fields) {
      if (dice_.OneIn(2)) {
        record["withheld"].push_back(std::string(field.name));
        continue;
      }
      const core::Digest salt = FieldSalt(content.salt, field.name);
      record["fields"][std::string(field.name)] = {{"salt", core::Hex(salt)},
                                                   {"value", std::string(field.value)}};
    }
  }

  void AddRest(const RandomLog& log, SignedLog& tree, std::set<std::string>& not_kept) {
    for (const std::string& blob : log.blobs) {
      const core::Digest digest = core::Sha256(blob);
      if (not_kept.erase(core::DigestName(digest)) != 0 || dice_.OneIn(20)) {
        files_["blobs/" + core::Hex(digest)] = blob;
      }
    }
    files_[std::string(kCheckpointName)] = note_;
    files_[std::string(kKeysName)] = KeysText({log.key().verifier_key(), witness_key_});
    files_[std::string(kReadmeName)] = BundleReadme();
    for (std::uint64_t i = 0, n = dice_.Pick(3); i < n; ++i) AddLink(log, tree, i);
  }

  // From an older head to the bundle's, or from there to a newer one.
  void AddLink(const RandomLog& log, SignedLog& tree, std::uint64_t number) {
    const bool to_here = dice_.OneIn(2);
    const std::uint64_t later = to_here ? size_ : size_ + dice_.Pick(tree.size() - size_ + 1);
    const std::uint64_t older = to_here ? 1 + dice_.Pick(size_) : size_;
    const std::string note = to_here ? note_ : tree.Note(later, log.key());
    files_["consistency/" + Number(number) + ".txt"] = tree.Consistency(older, later, note);
  }

  // ---- damage

  void Damage(const std::string& what, std::string& bytes) {
    damage_ += ", bytes of " + what;
    if (bytes.empty()) return;
    const std::size_t at = dice_.Pick(bytes.size());
    switch (dice_.Pick(6)) {
      case 0:
        bytes.resize(at);
        break;
      case 1:
        bytes.insert(at, dice_.Of(Texts{" ", "0", "\n", "\"", "}", std::string(1, '\0'),
                                        "\xE2\x80\x94", "\xFF"}));
        break;
      case 2:
        bytes.erase(at, 1 + dice_.Pick(3));
        break;
      case 3:
        if (!ChangeNumber(bytes, at)) bytes[at] = '9';
        break;
      default:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << dice_.Pick(8)));
    }
  }

  // The number at or after `at` becomes another one.
  bool ChangeNumber(std::string& bytes, std::size_t at) {
    const std::size_t first = bytes.find_first_of("0123456789", at);
    if (first == std::string::npos) return false;
    const std::size_t end = bytes.find_first_not_of("0123456789", first);
    const std::size_t size = (end == std::string::npos ? bytes.size() : end) - first;
    bytes.replace(
        first, size,
        dice_.Of(Texts{"0", "1", "-1", "256", "007", "9007199254740991", "9007199254740992",
                       "18446744073709551615", "18446744073709551616", "1.0", "1e3"}));
    return true;
  }

  void DamageFiles() {
    Texts names;
    for (const auto& [name, bytes] : files_) {
      const bool is_alike = name == kReadmeName || name == kKeysName || name == kCheckpointName;
      if (!is_alike || dice_.OneIn(4)) names.push_back(name);
    }
    if (names.empty()) return;
    const std::string some = dice_.Of(names);
    const std::string other = dice_.Of(names);
    switch (dice_.Pick(5)) {
      case 0:
        files_.erase(some);
        damage_ += ", without " + some;
        break;
      case 1:
        std::swap(files_[some], files_[other]);
        damage_ += ", swapped " + some + " and " + other;
        break;
      case 2:
        AddFile(files_[some]);
        break;
      default:
        Damage(some, files_[some]);
    }
  }

  void AddFile(const std::string& bytes) {
    const std::string index = PaddedIndex(dice_.Pick(20));
    const std::string name =
        dice_.Of(Texts{"README", "a/b", "entries/" + index + ".json", "entries/1.json",
                       "proofs/" + index + ".tlog-proof", "payloads/" + index + "-0", "payloads/x",
                       "blobs/" + core::Hex(core::Sha256(bytes)), "blobs/x", "consistency/7.txt",
                       "consistency/07.txt", "consistency/12345.txt", "consistency/.txt",
                       "entries/18446744073709551616.json", "entries/9999999999999999999.json",
                       "entries/0000000000001.json", "manifest.json2", "KEYS.txt"});
    files_[name] = bytes;
    damage_ += ", with " + name;
  }

  // One value somewhere in the tree becomes another, goes, or gets a neighbour.
  void DamageJson(core::Json& root) {
    const std::string part =
        dice_.Of(Texts{"payloads", "payloads", "payloads", "scope", "not_kept", ""});
    core::Json* at = part.empty() ? &root : &root[part];
    std::string path = "/" + part;
    while (at->is_structured() && !at->empty() && !dice_.OneIn(6)) {
      auto child = at->begin();
      std::advance(child, static_cast<std::ptrdiff_t>(dice_.Pick(at->size())));
      path += "/" + (at->is_object() ? child.key() : std::string("#"));
      if (dice_.OneIn(8)) {
        damage_ += ", manifest without " + path;
        at->erase(child);
        return;
      }
      at = &*child;
    }
    damage_ += ", manifest changed at " + path;
    if (at->is_array() && dice_.OneIn(2)) return at->push_back(Value());
    if (at == &root || (at->is_object() && dice_.OneIn(2))) {
      (*at)[dice_.Of(Texts{"more", "by", "salt", "withheld", "amount", ""})] = Value();
    } else if (at->is_string() && dice_.OneIn(2)) {
      std::string text = at->get<std::string>();
      if (text.empty()) text = "x";
      text[dice_.Pick(text.size())] = static_cast<char>('a' + dice_.Pick(26));
      *at = text;
    } else {
      *at = Value();
    }
  }

  core::Json Value() {
    const std::vector<core::Json> values = {nullptr,
                                            true,
                                            false,
                                            0,
                                            1,
                                            -1,
                                            2,
                                            255,
                                            256,
                                            9'007'199'254'740'991,
                                            "",
                                            "withheld",
                                            "erased",
                                            "disclosed",
                                            "fields",
                                            "sha256:" + std::string(64, '0'),
                                            std::string(64, 'A'),
                                            std::string(5000, 'x'),
                                            "\xC3\xA4",
                                            "main",
                                            kRuns[0],
                                            core::Json::array(),
                                            core::Json::object(),
                                            core::Json::array({0, 1}),
                                            {{"salt", std::string(64, '0')}, {"value", "1"}}};
    return dice_.Of(values);
  }

  // ---- what is asked

  core::Json Asked(const std::string& path, const std::string& tar, SignedLog& tree,
                   const RandomLog& log) {
    BundleVerifyOptions options;
    const std::string first = first_key_.verifier_key();
    options.verifier_key = dice_.OneIn(20)   ? ""
                           : dice_.OneIn(12) ? log.key().verifier_key()
                                             : first;
    if (dice_.OneIn(60)) options.verifier_key += "x";
    if (dice_.OneIn(3)) {
      const std::uint64_t size = 1 + dice_.Pick(tree.size());
      std::string kept = tree.Note(size, dice_.OneIn(4) ? first_key_ : log.key());
      if (dice_.OneIn(5)) kept = Forked(size, log);
      if (dice_.OneIn(6)) Damage("the kept head", kept);
      options.outside_checkpoints.push_back(kept);
    }
    if (dice_.OneIn(3)) options.witness_keys.push_back(witness_key_);
    if (dice_.OneIn(9)) options.witness_keys.push_back(other_witness_key_);
    if (dice_.OneIn(8)) options.witnesses_needed = dice_.Pick(3);
    const VerifyReport report = VerifyBundle(tar, options);
    return {{"path", path},
            {"damage", damage_},
            {"key", options.verifier_key},
            {"checkpoints", options.outside_checkpoints},
            {"witnesses", options.witness_keys},
            {"threshold", options.witnesses_needed},
            {"verdict", static_cast<int>(report.verdict)},
            {"first_bad", report.first_bad ? core::Json(*report.first_bad) : core::Json()},
            {"not_checked", report.not_checked},
            {"reason", report.reason}};
  }

  // A head of another history, signed with the log's key.
  static std::string Forked(std::uint64_t size, const RandomLog& log) {
    SignedLog other(std::string(kOrigin), Texts(size, "another entry"));
    return other.Note(size, log.key());
  }

  const std::string folder_;
  Dice dice_;
  const SigningKey first_key_ = KeyOfLetter(kOrigin, 'k');
  const SigningKey witness_ = KeyOfLetter(kWitness, 'w', SignatureType::kCosignature);
  const std::string witness_key_ = VerifierKeyText(witness_.key(), SignatureType::kCosignature);
  const std::string other_witness_key_ =
      VerifierKeyText(KeyOfLetter("witness.example/w2", 'v', SignatureType::kCosignature).key(),
                      SignatureType::kCosignature);
  BundleFiles files_;
  std::string damage_;
  std::uint64_t size_ = 0;
  std::string note_;
};

}  // namespace
}  // namespace interlock::audit

int main(int argc, char** argv) {
  return interlock::audit::MakeLogs<interlock::audit::Maker>(argc, argv);
}
