// Randomness and identifiers as an interface, so that replay and the simulator own them.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/clock.h"

namespace interlock::core {

// Thread-safe.
class Random {
 public:
  virtual ~Random() = default;
  virtual void Fill(std::span<std::uint8_t> out) = 0;
};

// getrandom(2), buffered per thread.
class SystemRandom final : public Random {
 public:
  void Fill(std::span<std::uint8_t> out) override;
};

// A UUIDv7 (RFC 9562 §5.7) as 36 lower-case characters: sorts by creation time.
std::string NewUuidV7(const Clock& clock, Random& random);

// Whether `text` is a UUID in the one byte form that digests accept (36 chars, lower case).
bool IsUuid(std::string_view text);

}  // namespace interlock::core
