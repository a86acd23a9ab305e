// Evidence bundles of anything at all, signed all the same: so that tests reach what stands behind
// the signature. The log is in memory, its key is made from a letter.
#pragma once

#include <sodium.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "audit/checkpoint.h"
#include "audit/merkle.h"
#include "audit/proof.h"
#include "audit/tar.h"
#include "bundle_form.h"
#include "core/check.h"
#include "core/json.h"
#include "memory_log.h"
#include "signing_key.h"

namespace interlock::audit {

inline SigningKey KeyOfLetter(std::string_view name, char letter,
                              SignatureType type = SignatureType::kNote) {
  const std::string seed(crypto_sign_SEEDBYTES, letter);
  std::string open(crypto_sign_PUBLICKEYBYTES, '\0');
  std::string secret(crypto_sign_SECRETKEYBYTES, '\0');
  crypto_sign_seed_keypair(reinterpret_cast<unsigned char*>(open.data()),
                           reinterpret_cast<unsigned char*>(secret.data()),
                           reinterpret_cast<const unsigned char*>(seed.data()));
  return {MakeNoteKey(name, open, type), secret};
}

using BundleFiles = std::map<std::string, std::string>;

// A log of these leaves, and what a bundle of it holds beside its manifest.
class SignedLog {
 public:
  SignedLog(std::string origin, const std::vector<std::string>& leaves)
      : origin_(std::move(origin)), tree_(origin_, 0) {
    for (const std::string& leaf : leaves) tree_.Add(leaf);
  }
  std::uint64_t size() const { return tree_.size(); }
  std::string Note(std::uint64_t size, const SigningKey& key) {
    return key.Note(CheckpointText(origin_, size, tree_.Root(size)));
  }
  std::string Proof(std::uint64_t index, std::uint64_t size, const std::string& note) {
    return ProofText({index, *InclusionPath(tree_, index, size), note});
  }
  std::string Consistency(std::uint64_t old_size, std::uint64_t size, const std::string& note) {
    return ConsistencyBody({old_size, *ConsistencyPath(tree_, old_size, size), note});
  }

 private:
  const std::string origin_;
  MemoryLog tree_;
};

// The files with a manifest that names them all; nullopt when a name has no place in a tar.
inline std::optional<std::string> TarWithManifest(const BundleFiles& files, core::Json manifest) {
  std::vector<TarFile> list;
  manifest["files"] = core::Json::object();
  for (const auto& [name, bytes] : files) {
    manifest["files"][name] = core::Hex(core::Sha256(bytes));
    list.push_back({name, bytes});
  }
  list.push_back({std::string(kManifestName), core::CanonicalJson(manifest)});
  auto tar = WriteTar(std::move(list));
  if (!tar.ok()) return std::nullopt;
  return *std::move(tar);
}

}  // namespace interlock::audit
