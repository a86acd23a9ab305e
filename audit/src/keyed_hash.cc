#include "audit/keyed_hash.h"

#include <sodium.h>

#include <cstring>

#include "core/check.h"

namespace interlock::audit {

static_assert(sizeof(std::array<std::uint64_t, 2>) == crypto_shorthash_siphashx24_BYTES);
static_assert(kHashKeyBytes == crypto_shorthash_siphashx24_KEYBYTES);

std::array<std::uint64_t, 2> KeyedHash(std::string_view key, std::string_view bytes) {
  std::array<std::uint64_t, 2> numbers{};
  std::array<unsigned char, sizeof numbers> hash{};
  INTERLOCK_CHECK(key.size() == kHashKeyBytes);
  crypto_shorthash_siphashx24(hash.data(), reinterpret_cast<const unsigned char*>(bytes.data()),
                              bytes.size(), reinterpret_cast<const unsigned char*>(key.data()));
  std::memcpy(numbers.data(), hash.data(), hash.size());
  return numbers;
}

}  // namespace interlock::audit
