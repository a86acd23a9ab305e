#include "signing_key.h"

#include <sodium.h>

#include <array>

#include "core/digest.h"
#include "private_file.h"

namespace interlock::audit {
namespace {

constexpr std::string_view kKeyPrefix = "PRIVATE+KEY+";

std::string SigningKeyText(std::string_view name, std::string_view seed, const NoteKey& key) {
  return std::string(kKeyPrefix) + std::string(name) + "+" + core::Hex(key.id) + "+" +
         core::Base64(std::string("\x01") + std::string(seed)) + "\n";
}

struct KeyPair {
  std::string public_key;
  std::string secret_key;
};

KeyPair FromSeed(std::string_view seed) {
  KeyPair pair{std::string(crypto_sign_PUBLICKEYBYTES, '\0'),
               std::string(crypto_sign_SECRETKEYBYTES, '\0')};
  crypto_sign_seed_keypair(reinterpret_cast<unsigned char*>(pair.public_key.data()),
                           reinterpret_cast<unsigned char*>(pair.secret_key.data()),
                           reinterpret_cast<const unsigned char*>(seed.data()));
  return pair;
}

// The seed of "PRIVATE+KEY+name+id+base64(0x01 || seed)\n", as Go's note package writes it.
core::StatusOr<std::string> ParseSigningKey(std::string_view text, std::string_view name,
                                            const std::string& path) {
  const core::Status bad =
      core::InvalidArgument("`" + path + "` is not a signing key of `" + std::string(name) + "`");
  const std::string prefix = std::string(kKeyPrefix) + std::string(name) + "+";
  if (text.empty() || text.back() != '\n' || text.substr(0, prefix.size()) != prefix) return bad;
  text = text.substr(prefix.size(), text.size() - prefix.size() - 1);
  if (text.size() < 9 || text[8] != '+') return bad;
  const auto bytes = core::BytesFromBase64(text.substr(9));
  if (!bytes.ok() || bytes->size() != 1 + crypto_sign_SEEDBYTES || (*bytes)[0] != 0x01) return bad;
  return bytes->substr(1);
}

core::Status MakeSigningKey(const std::string& path, std::string_view name) {
  std::string seed(crypto_sign_SEEDBYTES, '\0');
  randombytes_buf(seed.data(), seed.size());
  const NoteKey key = MakeNoteKey(name, FromSeed(seed).public_key);
  std::string text = SigningKeyText(name, seed, key);
  const core::Status status = CreatePrivateFile(path, text);
  sodium_memzero(seed.data(), seed.size());
  sodium_memzero(text.data(), text.size());
  return status;
}

}  // namespace

SigningKey& SigningKey::operator=(SigningKey&& other) noexcept {
  std::swap(key_, other.key_);
  std::swap(secret_key_, other.secret_key_);
  return *this;
}

SigningKey::~SigningKey() { sodium_memzero(secret_key_.data(), secret_key_.size()); }

std::string SigningKey::Sign(std::string_view text) const {
  std::string signature(crypto_sign_BYTES, '\0');
  crypto_sign_detached(reinterpret_cast<unsigned char*>(signature.data()), nullptr,
                       reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                       reinterpret_cast<const unsigned char*>(secret_key_.data()));
  return signature;
}

core::StatusOr<SigningKey> SigningKey::Read(const std::string& path, std::string_view name) {
  INTERLOCK_ASSIGN_OR_RETURN(std::string text, ReadPrivateFile(path));
  auto seed = ParseSigningKey(text, name, path);
  sodium_memzero(text.data(), text.size());
  if (!seed.ok()) return seed.status();
  KeyPair pair = FromSeed(*seed);
  sodium_memzero(seed->data(), seed->size());
  return SigningKey(MakeNoteKey(name, pair.public_key), std::move(pair.secret_key));
}

core::StatusOr<SigningKey> SigningKey::ReadOrMake(const std::string& path, std::string_view name) {
  auto key = Read(path, name);
  if (key.status().code() != core::StatusCode::kNotFound) return key;
  INTERLOCK_RETURN_IF_ERROR(MakeSigningKey(path, name));
  return Read(path, name);
}

}  // namespace interlock::audit
