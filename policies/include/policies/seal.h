// The seal of a bundle: a signed note (c2sp.org/signed-note, Ed25519) over its files and revision,
// as `bundle.note` beside them.
//
//   interlock-bundle/v1
//   <origin>
//   <revision>
//   sha256:<of the files>
//
//   — <key name> <base64 of key id and signature>
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "policies/bundle.h"

namespace interlock::policies {

inline constexpr std::size_t kSealBytesMax = 16 * 1024;
inline constexpr char kSealFile[] = "bundle.note";

// Who may sign bundles: verifier keys as `interlock audit signer` prints them,
// "name+<8 hex>+base64(0x01 || public key)". Any one of them is enough; empty: seals are not asked
// for. `origin` is what the bundle must say it is, so that one tenant's seal does not fit another.
struct TrustRoot {
  std::vector<std::string> keys{};
  std::string origin{};
};

// Whether it is a verifier key. Errors: kInvalidArgument, one line.
core::Status CheckTrustedKey(const std::string& text);

struct Seal {
  std::string origin{};
  std::int64_t revision = 0;
  std::string signed_by{};  // the name of the key
};

// SHA-256 over the sorted paths and digests of all files, as "sha256:<hex>".
std::string FilesDigest(const std::vector<BundleFile>& files);

// The text to sign, ending in a line feed. Precondition: revision >= 1, `origin` one line.
std::string SealText(const std::string& origin, std::int64_t revision,
                     const std::vector<BundleFile>& files);

// A key to sign with, as texts: the secret in the form of Go's note package
// ("PRIVATE+KEY+name+<8 hex>+base64(0x01 || seed)"), and its verifier key. Preconditions: `name` is
// printable ASCII without space and plus; `seed` has 32 bytes.
struct SealKey {
  std::string secret{};
  std::string verifier{};
};
SealKey MakeSealKey(const std::string& name, const std::string& seed);

// The note that seals the files. Errors: kInvalidArgument for what is no secret key, no one-line
// origin or a revision below 1; the message never holds the key.
core::StatusOr<std::string> SignBundle(const std::string& secret_key, const std::string& origin,
                                       std::int64_t revision, const std::vector<BundleFile>& files);

// Whether `note` seals exactly these files for this root. Errors, one line each:
// kPermissionDenied for a seal that is missing, of no trusted key or not the key's; kDataLoss where
// the files are not those that were signed; kInvalidArgument for what is no seal or no key.
core::StatusOr<Seal> CheckSeal(const std::string& note, const std::vector<BundleFile>& files,
                               const TrustRoot& root);

}  // namespace interlock::policies
