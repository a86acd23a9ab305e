// A keyed hash of bytes that only whoever has the key can make.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace interlock::audit {

// BLAKE2b of 16 bytes as two numbers, the low one first. The key has 16 to 64 bytes. About 0.3 us
// for 200 bytes; thread-safe.
std::array<std::uint64_t, 2> KeyedHash(std::string_view key, std::string_view bytes);

}  // namespace interlock::audit
