#include "policies/seal.h"

#include <algorithm>
#include <charconv>

#include "core/ed25519.h"

namespace interlock::policies {
namespace {

constexpr std::string_view kHead = "interlock-bundle/v1";
constexpr std::string_view kSignature = "\xE2\x80\x94 ";  // an em dash and a space
constexpr std::size_t kKeyIdBytes = 4;
constexpr char kEd25519Note = 0x01;

struct VerifierKey {
  std::string name;
  std::string id;
  std::string public_key;
};

constexpr std::string_view kSecretHead = "PRIVATE+KEY+";

std::string KeyId(std::string_view name, std::string_view typed_public_key) {
  const core::Digest digest = core::Sha256({name, "\n", typed_public_key});
  return std::string(core::AsBytes(digest).substr(0, kKeyIdBytes));
}

core::StatusOr<VerifierKey> ParseKey(const std::string& text) {
  const auto bad = [] {
    return core::InvalidArgument("a trusted key is name+<8 hex>+<base64>, as the signer prints it");
  };
  const std::size_t first = text.find('+');
  const std::size_t second = first == std::string::npos ? first : text.find('+', first + 1);
  if (second == std::string::npos || first == 0) return bad();
  const auto id = core::BytesFromHex(text.substr(first + 1, second - first - 1));
  const auto key = core::BytesFromBase64(text.substr(second + 1));
  if (!id.ok() || !key.ok() || key->size() != 1 + core::kEd25519PublicKeyBytes) return bad();
  if ((*key)[0] != kEd25519Note) return bad();
  VerifierKey out{.name = text.substr(0, first), .id = *id, .public_key = key->substr(1)};
  if (KeyId(out.name, *key) != out.id) {
    return core::InvalidArgument("the id of key `" + out.name + "` is not that of its bytes");
  }
  return out;
}

std::vector<std::string_view> Lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

core::StatusOr<Seal> ParseText(std::string_view text, std::string& digest) {
  const std::vector<std::string_view> lines = Lines(text);
  Seal seal;
  const bool shape = lines.size() == 4 && lines[0] == kHead && !lines[1].empty();
  if (!shape) return core::InvalidArgument("the seal is no `interlock-bundle/v1` of four lines");
  const char* end = lines[2].data() + lines[2].size();
  const auto number = std::from_chars(lines[2].data(), end, seal.revision);
  const bool plain = number.ec == std::errc() && number.ptr == end && seal.revision >= 1 &&
                     std::to_string(seal.revision) == lines[2];
  if (!plain) return core::InvalidArgument("the seal's revision is no number from 1");
  seal.origin = lines[1];
  digest = lines[3];
  return seal;
}

// The name of the first trusted key that signed `text`, or "".
std::string SignedBy(std::string_view text, const std::vector<std::string_view>& signatures,
                     const std::vector<VerifierKey>& keys) {
  for (const std::string_view line : signatures) {
    const std::string_view rest = line.substr(kSignature.size());
    const std::size_t space = rest.find(' ');
    if (space == std::string_view::npos) continue;
    const auto bytes = core::BytesFromBase64(rest.substr(space + 1));
    if (!bytes.ok() || bytes->size() != kKeyIdBytes + core::kEd25519SignatureBytes) continue;
    for (const VerifierKey& key : keys) {
      const bool named =
          key.name == rest.substr(0, space) && bytes->substr(0, kKeyIdBytes) == key.id;
      if (named && core::Ed25519Verifies(key.public_key, text, bytes->substr(kKeyIdBytes))) {
        return key.name;
      }
    }
  }
  return "";
}

}  // namespace

std::string FilesDigest(const std::vector<BundleFile>& files) {
  std::vector<const BundleFile*> sorted;
  for (const BundleFile& file : files) sorted.push_back(&file);
  std::sort(sorted.begin(), sorted.end(),
            [](const BundleFile* a, const BundleFile* b) { return a->path < b->path; });
  core::Json list = core::Json::array();
  for (const BundleFile* file : sorted) {
    list.push_back({{"path", file->path}, {"sha256", core::DigestName(core::Sha256(file->text))}});
  }
  return core::DigestName(core::Sha256(core::CanonicalJson(list)));
}

core::Status CheckTrustedKey(const std::string& text) { return ParseKey(text).status(); }

std::string SealText(const std::string& origin, std::int64_t revision,
                     const std::vector<BundleFile>& files) {
  return std::string(kHead) + "\n" + origin + "\n" + std::to_string(revision) + "\n" +
         FilesDigest(files) + "\n";
}

SealKey MakeSealKey(const std::string& name, const std::string& seed) {
  const std::string typed = std::string(1, kEd25519Note);
  const std::string public_key = typed + core::Ed25519PublicKey(seed);
  const std::string head = name + "+" + core::Hex(KeyId(name, public_key)) + "+";
  return {.secret = std::string(kSecretHead) + head + core::Base64(typed + seed),
          .verifier = head + core::Base64(public_key)};
}

core::StatusOr<std::string> SignBundle(const std::string& secret_key, const std::string& origin,
                                       std::int64_t revision,
                                       const std::vector<BundleFile>& files) {
  if (origin.empty() || origin.find('\n') != std::string::npos || revision < 1) {
    return core::InvalidArgument("an origin is one line, and revisions begin at 1");
  }
  std::string_view text = secret_key;
  while (text.ends_with('\n')) text.remove_suffix(1);
  const bool is_secret = text.starts_with(kSecretHead);
  if (is_secret) text.remove_prefix(kSecretHead.size());
  const std::size_t first = text.find('+');
  const std::size_t second = first == std::string_view::npos ? first : text.find('+', first + 1);
  const auto seed = second == std::string_view::npos
                        ? core::StatusOr<std::string>(core::InvalidArgument("short"))
                        : core::BytesFromBase64(text.substr(second + 1));
  if (!is_secret || !seed.ok() || seed->size() != 1 + core::kEd25519SeedBytes ||
      (*seed)[0] != kEd25519Note) {
    return core::InvalidArgument(
        "this is no secret key of a bundle; make one: interlock policy key");
  }
  const std::string name(text.substr(0, first));
  const std::string plain = seed->substr(1);
  const std::string id = KeyId(name, std::string(1, kEd25519Note) + core::Ed25519PublicKey(plain));
  const std::string sealed = SealText(origin, revision, files);
  return sealed + "\n" + std::string(kSignature) + name + " " +
         core::Base64(id + core::Ed25519Sign(plain, sealed)) + "\n";
}

core::StatusOr<Seal> CheckSeal(const std::string& note, const std::vector<BundleFile>& files,
                               const TrustRoot& root) {
  std::vector<VerifierKey> keys;
  for (const std::string& text : root.keys) {
    INTERLOCK_ASSIGN_OR_RETURN(VerifierKey key, ParseKey(text));
    keys.push_back(std::move(key));
  }
  if (note.empty()) {
    return core::PermissionDenied("the bundle has no seal; sign it: interlock policy sign");
  }
  if (note.size() > kSealBytesMax) return core::InvalidArgument("the seal is larger than 16 KiB");
  const std::size_t blank = note.find("\n\n");
  if (blank == std::string::npos) return core::InvalidArgument("the seal is no signed note");
  const std::string_view text = std::string_view(note).substr(0, blank + 1);
  std::vector<std::string_view> signatures;
  for (const std::string_view line : Lines(std::string_view(note).substr(blank + 2))) {
    if (!line.starts_with(kSignature)) return core::InvalidArgument("the seal is no signed note");
    signatures.push_back(line);
  }
  std::string digest;
  INTERLOCK_ASSIGN_OR_RETURN(Seal seal, ParseText(text, digest));
  seal.signed_by = SignedBy(text, signatures, keys);
  if (seal.signed_by.empty()) {
    return core::PermissionDenied("no trusted key signed the bundle; trusted are " +
                                  std::to_string(keys.size()) + " keys of the configuration");
  }
  if (seal.origin != root.origin) {
    return core::PermissionDenied("the bundle was signed for `" + seal.origin + "`, not for `" +
                                  root.origin + "`");
  }
  if (digest != FilesDigest(files)) {
    return core::DataLoss("the files are not those that were signed; restore them or sign again");
  }
  return seal;
}

}  // namespace interlock::policies
