// Ed25519 signatures (RFC 8032).
#pragma once

#include <string>
#include <string_view>

namespace interlock::core {

inline constexpr std::size_t kEd25519PublicKeyBytes = 32;
inline constexpr std::size_t kEd25519SignatureBytes = 64;
inline constexpr std::size_t kEd25519SeedBytes = 32;

// Precondition: `seed` has kEd25519SeedBytes; it is the secret. Both are thread-safe.
std::string Ed25519PublicKey(std::string_view seed);
std::string Ed25519Sign(std::string_view seed, std::string_view message);

// Whether `signature` is that of `message` under `public_key`; false for keys and signatures of
// another length. Thread-safe.
bool Ed25519Verifies(std::string_view public_key, std::string_view message,
                     std::string_view signature);

}  // namespace interlock::core
