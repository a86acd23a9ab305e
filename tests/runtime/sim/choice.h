// Choices of a seed. What is chosen depends on the seed and on what it is about, never on which
// thread comes first, so that a seed makes the same proposals, faults and answers each time.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/digest.h"

namespace interlock::runtime::sim {

class Choice {
 public:
  explicit Choice(std::uint64_t seed) : seed_(seed) {}
  std::uint64_t seed() const { return seed_; }

  // In [0, ways).
  std::uint64_t Of(std::string_view about, std::uint64_t ways) const {
    const core::Digest digest = core::Sha256(std::to_string(seed_) + "/" + std::string(about));
    std::uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value = value << 8 | digest[static_cast<std::size_t>(i)];
    return value % ways;
  }
  bool OneIn(std::uint64_t ways, std::string_view about) const { return Of(about, ways) == 0; }

 private:
  const std::uint64_t seed_;
};

}  // namespace interlock::runtime::sim
