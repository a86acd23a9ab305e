// What writer and verifier of bundles share: names of files, kinds of entries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace interlock::audit {

inline constexpr std::string_view kBundleFormat = "interlock-evidence@v1";
inline constexpr std::string_view kManifestName = "manifest.json";
inline constexpr std::string_view kCheckpointName = "checkpoint.note";
inline constexpr std::string_view kKeysName = "keys.txt";
inline constexpr std::string_view kReadmeName = "VERIFY.md";
inline constexpr std::string_view kErasedKind = "payload.erased";
inline constexpr std::size_t kClaimBytesMax = 4096;  // of `query` and of `made_by`

// What a bundle says that it proves: one of these, nothing else.
inline constexpr std::string_view kQueryScope =
    "Each entry is proven to stand in the log. That the query left none out is not proven by this "
    "bundle.";
inline constexpr std::string_view kWholeRunScope =
    "All entries of the run, from its first to the one that ends it.";
inline constexpr std::string_view kOpenRunScope =
    "All entries of the run so far; the run was not over.";
inline std::string_view ScopeStatement(bool is_run, bool complete) {
  if (!is_run) return kQueryScope;
  return complete ? kWholeRunScope : kOpenRunScope;
}

// Twelve digits, so that names sort as numbers.
inline std::string PaddedIndex(std::uint64_t index) {
  const std::string digits = std::to_string(index);
  return std::string(digits.size() < 12 ? 12 - digits.size() : 0, '0') + digits;
}
inline std::string EntryFile(std::uint64_t index) {
  return "entries/" + PaddedIndex(index) + ".json";
}
inline std::string ProofFile(std::uint64_t index) {
  return "proofs/" + PaddedIndex(index) + ".tlog-proof";
}
inline std::string PayloadFile(std::uint64_t index, int slot) {
  return "payloads/" + PaddedIndex(index) + "-" + std::to_string(slot);
}

// VERIFY.md, the same bytes in every bundle.
std::string_view BundleReadme();
// keys.txt, and the keys in one; nullopt when it is not such a text.
std::string KeysText(std::vector<std::string> keys);
std::optional<std::vector<std::string>> KeysIn(std::string_view text);
// The entry that a file `entries/N.json` or `proofs/N.tlog-proof` is about.
std::optional<std::uint64_t> IndexInName(std::string_view name);
// Payloads and blobs by their folder alone: each must be one that the entries lead to.
bool HasPlaceInBundle(std::string_view name);

// Entries that may stand in a run's bundle though they are of no run or of another one.
inline bool IsSupportKind(std::string_view kind) {
  return kind == kErasedKind || kind == "signer.rotated";
}
inline bool EndsRun(std::string_view kind) {
  return kind == "run.completed" || kind == "run.failed" || kind == "run.cancelled" ||
         kind == "run.escalated";
}

}  // namespace interlock::audit
