// SHA-256 (OpenSSL), HMAC-SHA-256 and text forms of digests.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "core/status.h"

namespace interlock::core {

using Digest = std::array<std::uint8_t, 32>;

// One pass over the concatenation of `parts`; 0.7 us for 1 KiB with SHA instructions, three times
// that without. Thread-safe.
Digest Sha256(std::initializer_list<std::string_view> parts);
inline Digest Sha256(std::string_view bytes) { return Sha256({bytes}); }

// RFC 2104. Used for every key that may name a person or an object (rule 20).
Digest HmacSha256(std::string_view key, std::string_view bytes);

// The same for many texts under one key: the key's two blocks are hashed once. Immutable;
// thread-safe; wiped on destruction.
class HmacKey {
 public:
  explicit HmacKey(std::string_view key);
  ~HmacKey();
  HmacKey(const HmacKey&) = default;
  HmacKey& operator=(const HmacKey&) = default;
  // Over the concatenation of `parts`.
  Digest Of(std::initializer_list<std::string_view> parts) const;

 private:
  using State = std::array<std::uint32_t, 8>;
  static State After(std::string_view key, unsigned char pad);

  State inner_;
  State outer_;
};

std::string_view AsBytes(const Digest& digest);
std::string Hex(std::string_view bytes);
inline std::string Hex(const Digest& digest) { return Hex(AsBytes(digest)); }
// Errors: kInvalidArgument unless exactly 64 lower-case hex characters.
StatusOr<Digest> DigestFromHex(std::string_view hex);
// Lower-case hex of any even length; kInvalidArgument otherwise.
StatusOr<std::string> BytesFromHex(std::string_view hex);
std::string Base64(std::string_view bytes);                    // RFC 4648 §4, padded
StatusOr<std::string> BytesFromBase64(std::string_view text);  // strict: padding and no white space
// "sha256:<hex>", the form used in entries and configuration.
std::string DigestName(const Digest& digest);
// Same length compare without early exit.
bool ConstantTimeEqual(std::string_view a, std::string_view b);

}  // namespace interlock::core
