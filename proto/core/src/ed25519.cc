#include "core/ed25519.h"

#include <openssl/evp.h>

#include <memory>

#include "core/check.h"

namespace interlock::core {
namespace {

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

Key PrivateKey(std::string_view seed) {
  INTERLOCK_CHECK(seed.size() == kEd25519SeedBytes);
  Key key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, Bytes(seed), seed.size()),
          &EVP_PKEY_free);
  INTERLOCK_CHECK(key != nullptr);
  return key;
}

unsigned char* Room(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

}  // namespace

std::string Ed25519PublicKey(std::string_view seed) {
  const Key key = PrivateKey(seed);
  std::string out(kEd25519PublicKeyBytes, '\0');
  std::size_t size = out.size();
  INTERLOCK_CHECK(EVP_PKEY_get_raw_public_key(key.get(), Room(out), &size) == 1);
  return out;
}

std::string Ed25519Sign(std::string_view seed, std::string_view message) {
  const Key key = PrivateKey(seed);
  const Context context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  std::string out(kEd25519SignatureBytes, '\0');
  std::size_t size = out.size();
  INTERLOCK_CHECK(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
                  EVP_DigestSign(context.get(), Room(out), &size, Bytes(message), message.size()) ==
                      1);
  return out;
}

bool Ed25519Verifies(std::string_view public_key, std::string_view message,
                     std::string_view signature) {
  if (public_key.size() != kEd25519PublicKeyBytes) return false;
  if (signature.size() != kEd25519SignatureBytes) return false;
  const Key key(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, Bytes(public_key), public_key.size()),
      &EVP_PKEY_free);
  const Context context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  if (key == nullptr || context == nullptr) return false;
  if (EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1) return false;
  return EVP_DigestVerify(context.get(), Bytes(signature), signature.size(), Bytes(message),
                          message.size()) == 1;
}

}  // namespace interlock::core
