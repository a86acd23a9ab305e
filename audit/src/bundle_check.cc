// Checking a bundle: one question after another; the first that fails is the verdict. The order is
// part of the format (docs/audit_format.md), so that two programs name the same entry.
#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "audit/bundle.h"
#include "audit/checkpoint.h"
#include "audit/cosignature.h"
#include "audit/fields.h"
#include "audit/merkle.h"
#include "audit/payload_key.h"
#include "audit/tar.h"
#include "bundle_form.h"
#include "bundle_keys.h"
#include "canonical.h"
#include "commitments.h"
#include "content_check.h"
#include "core/json.h"
#include "entry_text.h"
#include "note_text.h"
#include "witness_check.h"

namespace interlock::audit {
namespace {

// How a check ended early.
struct Stop {
  Verdict verdict;
  std::string reason;
  std::optional<std::uint64_t> entry;
};
using Outcome = std::optional<Stop>;  // nullopt: go on

Stop Tampered(std::string reason) { return {Verdict::kTampered, std::move(reason), std::nullopt}; }
Stop BadEntry(std::uint64_t index, const std::string& what) {
  return {Verdict::kTampered, "entry " + std::to_string(index) + " " + what, index};
}
Stop NoBundle(std::string reason) {
  return {Verdict::kCouldNotCheck, std::move(reason), std::nullopt};
}

const std::string* TextOf(const core::Json& object, const char* key) {
  const auto at = object.find(key);
  return at == object.end() ? nullptr : at->get_ptr<const std::string*>();
}

std::optional<std::int64_t> NumberOf(const core::Json& object, const char* key) {
  const auto at = object.find(key);
  if (at == object.end() || !at->is_number_integer()) return std::nullopt;
  return at->get<std::int64_t>();
}

class BundleVerifier {
 public:
  explicit BundleVerifier(const BundleVerifyOptions& options) : options_(options) {}

  VerifyReport Run(std::string_view archive) {
    const Outcome stop = Check(archive);
    if (stop) {
      report_.verdict = stop->verdict;
      report_.reason = stop->reason;
      report_.first_bad = stop->entry;
    } else {
      report_.verdict = incomplete_.empty() ? Verdict::kIntact : Verdict::kIncomplete;
      report_.reason = incomplete_;
    }
    return std::move(report_);
  }

 private:
  struct Item {
    std::string_view bytes;
    ParsedEntry parsed;
    core::Digest hash{};
  };

  Outcome Check(std::string_view archive) {
    if (Outcome stop = Open(archive)) return stop;
    if (Outcome stop = CheckFiles()) return stop;
    if (Outcome stop = CheckCheckpoint()) return stop;
    if (Outcome stop = CheckEntries()) return stop;
    if (Outcome stop = CheckRun()) return stop;
    if (Outcome stop = CheckPayloads()) return stop;
    if (Outcome stop = CheckBlobs()) return stop;
    if (Outcome stop = CheckConsistency()) return stop;
    if (Outcome stop = CheckOutside()) return stop;
    return CheckWitnesses();
  }

  Outcome Open(std::string_view archive);
  Outcome ReadManifest();
  Outcome CheckFiles();
  Outcome CheckCheckpoint();
  Outcome CheckEntries();
  Outcome CheckEntry(std::uint64_t index, std::string_view bytes);
  Outcome CheckRun();
  Outcome CheckPayloads();
  Outcome CheckPayload(std::uint64_t index, const NamedCommitment& commitment,
                       const core::Json& record, std::set<std::string>& used);
  Outcome CheckErased(std::uint64_t index, const NamedCommitment& commitment,
                      const core::Json& record) const;
  Outcome CheckErasedLater(std::uint64_t index, const core::Json& record);
  Outcome CheckBlobs();
  Outcome CheckConsistency();
  Outcome CheckOutside();
  void SayUncheckedLinks();
  Outcome CheckWitnesses();

  void Incomplete(const std::string& why) {
    if (incomplete_.empty()) incomplete_ = why;
  }

  const BundleVerifyOptions& options_;
  VerifyReport report_;
  std::string incomplete_;
  std::vector<TarFile> archive_;
  std::map<std::string_view, std::string_view> files_;
  core::Json manifest_;
  std::string run_;
  std::string tenant_;
  BundleKeys keys_;
  Checkpoint head_;
  std::map<std::uint64_t, Item> entries_;
  struct Link {
    std::string_view name;
    std::uint64_t old_size;
    std::vector<core::Digest> hashes;
    Checkpoint later;
    bool checked;  // its hashes, between two heads that are both known
  };
  std::vector<Link> links_;
};

Outcome BundleVerifier::Open(std::string_view archive) {
  if (options_.verifier_key.empty()) {
    return NoBundle("a bundle proves nothing without the log's key; give it with --key");
  }
  auto files = ReadTar(archive);
  if (!files.ok()) return NoBundle(std::string(core::Message(files.status())));
  archive_ = *std::move(files);
  for (const TarFile& file : archive_) files_[file.name] = file.bytes;
  report_.key_pinned = true;
  return ReadManifest();
}

Outcome BundleVerifier::ReadManifest() {
  const Stop bad = NoBundle("not an evidence bundle: `manifest.json` is missing or malformed");
  const auto text = files_.find(kManifestName);
  if (text == files_.end()) return bad;
  CanonicalScanner scanner(text->second);
  if (!scanner.Object() || !scanner.AtEnd()) return bad;
  auto manifest = core::ParseJson(text->second, {kTarBytesMax, CanonicalScanner::kDepthMax + 1});
  if (!manifest.ok()) return bad;
  manifest_ = *std::move(manifest);
  const std::string* format = TextOf(manifest_, "bundle");
  const std::string* tenant = TextOf(manifest_, "tenant");
  const auto scope = manifest_.find("scope");
  if (format == nullptr || *format != kBundleFormat || tenant == nullptr ||
      !IsTenantName(*tenant) || scope == manifest_.end() || !scope->is_object() ||
      !manifest_["files"].is_object() || !manifest_["payloads"].is_array() ||
      !manifest_["not_kept"].is_array()) {
    return bad;
  }
  // Nothing else stands in it: what nobody checks would pass for what was checked.
  const std::string* made_by = TextOf(manifest_, "made_by");
  if (made_by == nullptr || made_by->size() > kClaimBytesMax || manifest_.size() != 7 ||
      scope->size() != 4) {
    return bad;
  }
  const std::string* run = TextOf(*scope, "run");
  const std::string* query = TextOf(*scope, "query");
  const std::string* statement = TextOf(*scope, "statement");
  const auto complete = scope->find("complete");
  if (run == nullptr || query == nullptr || query->size() > kClaimBytesMax ||
      statement == nullptr || complete == scope->end() || !complete->is_boolean() ||
      !(run->empty() || query->empty()) ||
      *statement != ScopeStatement(!run->empty(), complete->get<bool>())) {
    return bad;
  }
  report_.claimed = (query->empty() ? "" : "query: " + *query + "; ") + "made by: " + *made_by;
  run_ = *run;
  tenant_ = *tenant;
  report_.scope = *statement;
  return std::nullopt;
}

// The manifest names every file but itself, with its SHA-256.
Outcome BundleVerifier::CheckFiles() {
  const core::Json& named = manifest_["files"];
  std::set<std::string> names;
  for (const auto& [name, digest] : named.items()) names.insert(name);
  for (const TarFile& file : archive_) names.insert(file.name);
  names.insert({std::string(kKeysName), std::string(kReadmeName)});
  names.erase(std::string(kManifestName));
  for (const std::string& name : names) {
    const auto file = files_.find(name);
    const std::string* digest = TextOf(named, name.c_str());
    std::string what;
    if (file == files_.end()) {
      what = "is missing";
    } else if (digest == nullptr) {
      what = "is not in the manifest";
    } else if (core::Hex(core::Sha256(file->second)) != *digest) {
      what = "is not what the manifest says";
    } else if (!HasPlaceInBundle(name)) {
      what = "has no place in a bundle";
    } else if (name == kReadmeName && file->second != BundleReadme()) {
      what = "is not the text that every bundle has";
    } else if (name == kKeysName && !KeysIn(file->second)) {
      what = "is not a list of verifier keys";
    } else {
      continue;
    }
    return Stop{Verdict::kTampered, "file `" + name + "` " + what, IndexInName(name)};
  }
  return std::nullopt;
}

Outcome BundleVerifier::CheckCheckpoint() {
  const auto note = files_.find(kCheckpointName);
  if (note == files_.end()) return Tampered("there is no `checkpoint.note`");
  keys_ = BundleKeys(options_.verifier_key, files_);
  auto head = keys_.Open(note->second);
  if (!head.ok()) {
    return Tampered("checkpoint.note is not the pinned key's: " +
                    std::string(core::Message(head.status())));
  }
  head_ = *std::move(head);
  const auto hints = *KeysIn(files_.at(kKeysName));
  const auto& keys = keys_.keys();
  if (std::find_first_of(hints.begin(), hints.end(), keys.begin(), keys.end()) == hints.end()) {
    return Tampered("`keys.txt` does not name the log's key");
  }
  report_.checkpoints = 1;
  report_.signed_entries = head_.size;
  report_.root_hex = core::Hex(head_.root);
  return std::nullopt;
}

Outcome BundleVerifier::CheckEntries() {
  for (const auto& [name, bytes] : files_) {
    if (name.substr(0, 8) != "entries/" && name.substr(0, 7) != "proofs/") continue;
    const auto index = IndexInName(name);  // CheckFiles let no other name through
    if (files_.count(EntryFile(*index)) == 0) {
      return BadEntry(*index, "is missing, its proof is there");
    }
    if (name[0] != 'e') continue;
    if (Outcome stop = CheckEntry(*index, bytes)) return stop;
  }
  report_.entries = entries_.size();
  if (entries_.empty()) return Tampered("the bundle holds no entry");
  return std::nullopt;
}

Outcome BundleVerifier::CheckEntry(std::uint64_t index, std::string_view bytes) {
  const auto parsed = ParseEntry(bytes);
  if (!parsed || bytes.size() > kEntryBytesMax) return BadEntry(index, "is not a canonical entry");
  if (parsed->envelope.index != index) return BadEntry(index, "says that it is another");
  if (parsed->envelope.tenant != tenant_) return BadEntry(index, "is of another tenant");
  if (!entries_.empty() &&
      entries_.rbegin()->second.parsed.envelope.time_us > parsed->envelope.time_us) {
    return BadEntry(index, "goes back in time");
  }
  const auto text = files_.find(ProofFile(index));
  if (text == files_.end()) return BadEntry(index, "has no proof");
  const auto proof = ParseProof(text->second);
  if (!proof.ok() || proof->index != index || proof->note != files_.at(kCheckpointName)) {
    return BadEntry(index, "has a proof of something else");
  }
  const core::Digest hash = LeafHash(bytes);
  if (!InclusionHolds({hash, index, head_.size, head_.root}, proof->hashes)) {
    return BadEntry(index, "is not in the tree that was signed");
  }
  entries_.emplace(index, Item{bytes, *parsed, hash});
  return std::nullopt;
}

// A run is proven whole from its first entry to the one that ends it.
Outcome BundleVerifier::CheckRun() {
  if (run_.empty()) return std::nullopt;
  std::int64_t next = 0;
  std::string prev;
  bool ended = false;
  for (const auto& [index, item] : entries_) {
    if (item.parsed.run != run_) {
      if (IsSupportKind(item.parsed.kind)) continue;
      return BadEntry(index, "is not of the run");
    }
    if (item.parsed.envelope.run_seq != next || item.parsed.envelope.prev != prev) {
      return BadEntry(index, "does not follow the run's entry before it: one is missing");
    }
    ++next;
    prev = core::Hex(item.hash);
    ended = EndsRun(item.parsed.kind);
  }
  const bool claimed = manifest_["scope"]["complete"].get<bool>();
  if (claimed && !ended) {
    return BadEntry(entries_.rbegin()->first, "is the last, and does not end the run");
  }
  if (!claimed) Incomplete("the run was not over when the bundle was made");
  return std::nullopt;
}

Outcome BundleVerifier::CheckPayloads() {
  const core::Json& records = manifest_["payloads"];
  std::set<std::string> used;
  std::size_t next = 0;
  for (const auto& [index, item] : entries_) {
    for (const NamedCommitment& commitment : CommitmentsIn(item.bytes)) {
      const auto entry =
          next < records.size() ? NumberOf(records[next], "entry") : std::optional<std::int64_t>();
      if (!entry || static_cast<std::uint64_t>(*entry) != index ||
          NumberOf(records[next], "slot") != commitment.slot) {
        return BadEntry(index, "commits to a payload of which the manifest says nothing");
      }
      if (Outcome stop = CheckPayload(index, commitment, records[next], used)) return stop;
      ++next;
    }
  }
  if (next != records.size()) return Tampered("the manifest lists payloads of no entry");
  for (const auto& [name, bytes] : files_) {
    if (name.substr(0, 9) == "payloads/" && used.count(std::string(name)) == 0) {
      return Tampered("file `" + std::string(name) + "` is no payload of these entries");
    }
  }
  return std::nullopt;
}

// The commitment of a field of that name; empty when it has none.
std::string_view CommitmentOf(const NamedCommitment& commitment, std::string_view name) {
  for (const auto& [field, hex] : commitment.fields) {
    if (field == name) return hex;
  }
  return {};
}

bool FieldHolds(const NamedCommitment& commitment, const std::string& name,
                const core::Json& field) {
  const std::string* salt_hex = TextOf(field, "salt");
  const std::string* value = TextOf(field, "value");
  if (salt_hex == nullptr || value == nullptr || field.size() != 2) return false;
  const auto salt = core::BytesFromHex(*salt_hex);
  if (!salt.ok() || salt->size() != 32) return false;
  const core::Digest digest =
      core::Sha256({std::string_view("\x03", 1), *salt, name, std::string_view("\0", 1), *value});
  return core::Hex(digest) == CommitmentOf(commitment, name);
}

// What stands in the manifest as withheld is exactly what was committed to and is not shown.
bool WithheldHolds(const NamedCommitment& commitment, const core::Json& record,
                   const core::Json& shown) {
  std::vector<std::string> expected;
  for (const auto& [name, hex] : commitment.fields) {
    if (!shown.contains(std::string(name))) expected.emplace_back(name);
  }
  const auto withheld = record.find("withheld");
  return withheld != record.end() && *withheld == core::Json(expected);
}

// What stands beside them nobody checks, and it would pass for what was checked.
bool HasOnly(const core::Json& object, std::initializer_list<std::string_view> members) {
  if (object.size() != members.size()) return false;
  return std::all_of(members.begin(), members.end(),
                     [&](std::string_view member) { return object.contains(std::string(member)); });
}

bool HasMembersOf(std::string_view state, const core::Json& record) {
  if (state == "withheld") return HasOnly(record, {"entry", "slot", "state"});
  if (state == "erased") {
    return HasOnly(record, {"entry", "slot", "state", "by"}) ||
           HasOnly(record, {"entry", "slot", "state", "by", "log"});
  }
  if (state == "fields") return HasOnly(record, {"entry", "slot", "state", "fields", "withheld"});
  if (state == "disclosed") return HasOnly(record, {"entry", "slot", "state", "media", "salt"});
  return true;  // no known state is another finding
}

Outcome BundleVerifier::CheckPayload(std::uint64_t index, const NamedCommitment& commitment,
                                     const core::Json& record, std::set<std::string>& used) {
  const std::string* state = TextOf(record, "state");
  const std::string what = "payload in slot " + std::to_string(commitment.slot);
  if (state != nullptr && !HasMembersOf(*state, record)) {
    return BadEntry(index, "has more said of the " + what + " than anybody checks");
  }
  if (state != nullptr && *state == "withheld") return std::nullopt;
  if (state != nullptr && *state == "erased") {
    return record.contains("log") ? CheckErasedLater(index, record)
                                  : CheckErased(index, commitment, record);
  }
  if (state != nullptr && *state == "fields") {
    const auto fields = record.find("fields");
    bool holds = fields != record.end() && fields->is_object() && !fields->empty();
    for (auto at = holds ? fields->begin() : core::Json::const_iterator();
         holds && at != fields->end(); ++at) {
      holds = FieldHolds(commitment, at.key(), at.value());
    }
    if (!holds) return BadEntry(index, "did not commit to the fields shown of the " + what);
    if (WithheldHolds(commitment, record, *fields)) return std::nullopt;
    return BadEntry(index, "has other fields than are listed of the " + what);
  }
  if (state == nullptr || *state != "disclosed") {
    return BadEntry(index, "has a " + what + " in no known state");
  }
  const std::string name = PayloadFile(index, commitment.slot);
  const auto content = files_.find(name);
  const std::string* media = TextOf(record, "media");
  const std::string* salt_hex = TextOf(record, "salt");
  const auto salt = core::BytesFromHex(salt_hex == nullptr ? "" : *salt_hex);
  used.insert(name);
  if (content == files_.end() || media == nullptr || !salt.ok() || salt->size() != 32 ||
      core::Hex(core::Sha256({std::string_view("\x02", 1), *salt, *media, std::string_view("\0", 1),
                              content->second})) != commitment.hex) {
    return BadEntry(index, "did not commit to the " + what + " that is shown");
  }
  if (SplitHolds(commitment, content->second, *salt)) return std::nullopt;
  return BadEntry(index, "committed to other fields than those of the " + what + " that is shown");
}

Outcome BundleVerifier::CheckErased(std::uint64_t index, const NamedCommitment& commitment,
                                    const core::Json& record) const {
  const Stop bad = BadEntry(index, "has an erased payload that no later entry names");
  const auto by = NumberOf(record, "by");
  const auto entry = by ? entries_.find(static_cast<std::uint64_t>(*by)) : entries_.end();
  if (entry == entries_.end() || entry->first <= index ||
      entry->second.parsed.kind != kErasedKind) {
    return bad;
  }
  const auto body = core::ParseJson(entry->second.parsed.body, core::kPayloadLimits);
  if (!body.ok() || !body->is_object()) return bad;
  if (const std::string* key = TextOf(*body, "key"); key != nullptr && *key == commitment.key) {
    return std::nullopt;
  }
  // Rows of a log that was closed have the same numbers as others of this one.
  const std::string* log = TextOf(*body, "log");
  if (log != nullptr && *log != head_.origin) return bad;
  const auto ids = body->find("payloads");
  if (ids == body->end() || !ids->is_array()) return bad;
  const core::Json id = PayloadKey(index, commitment.slot);
  if (std::find(ids->begin(), ids->end(), id) == ids->end()) return bad;
  return std::nullopt;
}

// After a log was closed a later one says what is erased of it, whose entries no head of this one
// covers.
Outcome BundleVerifier::CheckErasedLater(std::uint64_t index, const core::Json& record) {
  const auto by = NumberOf(record, "by");
  const std::string* log = TextOf(record, "log");
  if (!by || *by < 0 || log == nullptr || log->empty() || log->size() > kClaimBytesMax ||
      *log == head_.origin) {
    return BadEntry(index, "has an erased payload that no later entry names");
  }
  Incomplete("content of entry " + std::to_string(index) + " is said to be erased by entry " +
             std::to_string(*by) + " of the later log `" + *log +
             "`; a bundle of that entry proves it");
  return std::nullopt;
}

Outcome BundleVerifier::CheckBlobs() {
  const core::Json& not_kept = manifest_["not_kept"];
  std::set<std::string> lacking;
  std::vector<std::string> reach;
  for (const auto& [index, item] : entries_) {
    for (const std::string& name : DigestNamesIn(item.parsed.cites)) {
      if (files_.count("blobs/" + name.substr(7)) != 0) {
        reach.push_back(name);
      } else if (std::find(not_kept.begin(), not_kept.end(), core::Json(name)) == not_kept.end()) {
        return BadEntry(index, "cites `" + name + "`, which is missing");
      } else {
        lacking.insert(name);
        Incomplete("the log did not keep `" + name + "`, which is cited");
      }
    }
  }
  if (not_kept != core::Json(lacking)) {
    return Tampered("`not_kept` of the manifest is not what the entries cite and no file gives");
  }
  std::set<std::string> used;
  while (!reach.empty()) {
    const std::string file = "blobs/" + reach.back().substr(7);
    reach.pop_back();
    const auto found = files_.find(file);
    if (found == files_.end() || !used.insert(file).second) continue;
    for (const std::string& name : PartsNamedIn(found->second)) {
      if (files_.count("blobs/" + name.substr(7)) == 0) {
        return Tampered("file `" + name + "` is missing, of which `" + file + "` is made");
      }
    }
    for (std::string& name : DigestNamesIn(found->second)) reach.push_back(std::move(name));
  }
  for (const auto& [name, bytes] : files_) {
    if (name.substr(0, 6) != "blobs/") continue;
    if (core::Hex(core::Sha256(bytes)) != name.substr(6)) {
      return Tampered("file `" + std::string(name) + "` is not the one that was cited");
    }
    if (used.count(std::string(name)) == 0) {
      return Tampered("file `" + std::string(name) + "` is cited by nothing");
    }
  }
  return std::nullopt;
}

// Each links two heads, one of which is the bundle's own.
Outcome BundleVerifier::CheckConsistency() {
  for (const auto& [name, text] : files_) {
    if (name.substr(0, 12) != "consistency/") continue;
    const Stop bad = Tampered("file `" + std::string(name) + "` does not prove what it says");
    auto proof = ParseConsistency(text);
    if (!proof.ok()) return bad;
    auto later = keys_.Open(proof->note);
    if (!later.ok() || later->origin != head_.origin || proof->old_size == 0 ||
        proof->old_size > later->size) {
      return bad;
    }
    const bool from_here =
        proof->old_size == head_.size &&
        ConsistencyHolds({head_.size, head_.root, later->size, later->root}, proof->hashes);
    const bool to_here = later->size == head_.size && later->root == head_.root;
    if (!from_here && !to_here) return bad;
    links_.push_back(
        {name, proof->old_size, std::move(proof->hashes), *std::move(later), from_here});
  }
  return std::nullopt;
}

Outcome BundleVerifier::CheckOutside() {
  for (const std::string& note : options_.outside_checkpoints) {
    const auto kept = keys_.OpenOutside(note);
    if (kept.status().code() == core::StatusCode::kInvalidArgument) {
      return NoBundle(std::string(core::Message(kept.status())));
    }
    if (!kept.ok()) return Tampered("an outside checkpoint is not signed by the pinned key");
    if (kept->origin != head_.origin) return Tampered("an outside checkpoint is of another log");
    bool linked = kept->size == head_.size;
    bool holds = linked && kept->root == head_.root;
    for (Link& link : links_) {
      if (linked) break;
      if (link.later.size == kept->size && link.old_size == head_.size) {
        linked = true;
        holds = link.later.root == kept->root;
      } else if (link.old_size == kept->size && link.later.size == head_.size) {
        linked = true;
        link.checked = true;
        holds = ConsistencyHolds({kept->size, kept->root, head_.size, head_.root}, link.hashes);
      }
    }
    const std::string name = "outside checkpoint " + std::to_string(kept->size);
    if (linked && !holds) return Tampered(name + " contradicts the bundle's: the log was forked");
    if (!linked) Incomplete(name + " cannot be linked; the bundle has no consistency proof for it");
    if (linked) ++report_.checkpoints;
  }
  SayUncheckedLinks();
  return std::nullopt;
}

void BundleVerifier::SayUncheckedLinks() {
  std::string names;
  for (const Link& link : links_) {
    if (!link.checked) names += (names.empty() ? "`" : ", `") + std::string(link.name) + "`";
  }
  if (names.empty()) return;
  report_.not_checked = "the hashes of " + names + ", without the earlier checkpoint";
}

Outcome BundleVerifier::CheckWitnesses() {
  const auto needed = WitnessesNeeded(options_.witness_keys, options_.witnesses_needed);
  if (!needed.ok()) return NoBundle(std::string(core::Message(needed.status())));
  std::size_t cosigned = 0;
  for (const std::string& key : options_.witness_keys) {
    const auto time = CosignedAt(files_.at(kCheckpointName), key);
    if (time.status().code() == core::StatusCode::kPermissionDenied) {
      return Tampered(std::string(core::Message(time.status())));
    }
    if (time.ok()) ++cosigned;
  }
  report_.unchecked_signers =
      UncheckedSigners(files_.at(kCheckpointName), keys_.keys(), options_.witness_keys);
  if (cosigned < *needed) Incomplete(UnwitnessedReason(0, head_.size, *needed));
  return std::nullopt;
}

}  // namespace

VerifyReport VerifyBundle(std::string_view archive, const BundleVerifyOptions& options) {
  return BundleVerifier(options).Run(archive);
}

}  // namespace interlock::audit
