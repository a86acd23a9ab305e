#include "bundle_form.h"

#include <algorithm>

#include "note_key.h"
#include "note_text.h"

namespace interlock::audit {
namespace {

constexpr std::string_view kReadme = R"(# How to check this bundle

It needs no trust in who made it, only the log's verifier key. Get that key from somewhere else
than from here (`keys.txt` is a hint, not an authority) and run one of:

    interlock audit verify BUNDLE.tar --key KEY
    python3 interlock_verify.py BUNDLE.tar --key KEY

Exit codes: 0 intact, 1 tampered, 2 could not be checked, 3 incomplete.

What is in here, and how to check it by hand:

- `manifest.json`: what the bundle is of, the SHA-256 of every other file, and of each payload
  whether it is disclosed, shown by fields, erased or withheld.
- `checkpoint.note`: a head of the log (c2sp.org/tlog-checkpoint) that the log's key signed, with
  the cosignatures of witnesses, if any.
- `entries/N.json`: entry N, verbatim: a leaf of the tree. In a run's bundle `run_seq` counts from
  0 without a gap and `prev` is the leaf hash of the run's entry before, up to the entry that ends
  the run: so nothing in between was left out.
- `proofs/N.tlog-proof` (c2sp.org/tlog-proof): that entry N stands in the tree of that head.
- `payloads/N-K`: disclosed content of slot K of entry N; with its salt in the manifest it hashes
  to the commitment in the entry. Of content with `fields`, what is not shown is listed as withheld.
- `blobs/HASH`: a file that entries cite (policy text, tool manifests), named by its SHA-256.
- `consistency/N.txt`: that one head goes on from another. Give the other one, which you kept, with
  `--checkpoint`; without it the hashes cannot be checked, and the verifiers say so.
- `keys.txt`: keys to compare with those that you got elsewhere.
- `VERIFY.md`: this text, the same in every bundle.

All details: docs/audit_format.md.
)";

constexpr std::string_view kKeysHead =
    "# Compare out of band: a key that came with the bundle proves nothing.\n";

bool IsKey(std::string_view text) {
  return ParseVerifierKey(text, SignatureType::kNote).ok() ||
         ParseVerifierKey(text, SignatureType::kCosignature).ok();
}

// The part of a name between a prefix and an end.
std::optional<std::string_view> Middle(std::string_view name, std::string_view prefix,
                                       std::string_view end) {
  if (name.size() <= prefix.size() + end.size() || !name.starts_with(prefix) ||
      !name.ends_with(end)) {
    return std::nullopt;
  }
  name.remove_prefix(prefix.size());
  name.remove_suffix(end.size());
  return name;
}

}  // namespace

std::string_view BundleReadme() { return kReadme; }

std::string KeysText(std::vector<std::string> keys) {
  std::sort(keys.begin(), keys.end());
  std::string text(kKeysHead);
  for (const std::string& key : keys) text += key + "\n";
  return text;
}

std::optional<std::vector<std::string>> KeysIn(std::string_view text) {
  if (!text.starts_with(kKeysHead)) return std::nullopt;
  text.remove_prefix(kKeysHead.size());
  std::vector<std::string> keys;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos || !IsKey(text.substr(0, end))) return std::nullopt;
    keys.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  return keys;
}

std::optional<std::uint64_t> IndexInName(std::string_view name) {
  auto digits = Middle(name, "entries/", ".json");
  if (!digits) digits = Middle(name, "proofs/", ".tlog-proof");
  if (!digits || digits->size() < 12) return std::nullopt;
  while (digits->size() > 1 && digits->front() == '0') digits->remove_prefix(1);
  const auto index = ParseDecimal(*digits);
  if (!index || (name != EntryFile(*index) && name != ProofFile(*index))) return std::nullopt;
  return index;
}

bool HasPlaceInBundle(std::string_view name) {
  if (const auto number = Middle(name, "consistency/", ".txt")) {
    return number->size() <= 4 && ParseDecimal(*number).has_value();
  }
  return name == kManifestName || name == kCheckpointName || name == kKeysName ||
         name == kReadmeName || IndexInName(name) || name.starts_with("payloads/") ||
         name.starts_with("blobs/");
}

}  // namespace interlock::audit
