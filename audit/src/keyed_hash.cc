#include "audit/keyed_hash.h"

#include <sodium.h>

#include <cstring>

#include "core/check.h"

namespace interlock::audit {

std::array<std::uint64_t, 2> KeyedHash(std::string_view key, std::string_view bytes) {
  std::array<std::uint64_t, 2> numbers{};
  std::array<unsigned char, sizeof numbers> hash{};
  const int bad = crypto_generichash(
      hash.data(), hash.size(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
      reinterpret_cast<const unsigned char*>(key.data()), key.size());
  INTERLOCK_CHECK(bad == 0);  // the key's length
  std::memcpy(numbers.data(), hash.data(), hash.size());
  return numbers;
}

}  // namespace interlock::audit
