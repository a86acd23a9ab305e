// A number as people write it: groups of digits with single separators between them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "scan.h"

namespace interlock::policies::detect {

inline constexpr std::size_t kNumberDigitsMax = 24;
inline constexpr std::size_t kNumberGroupsMax = 8;

struct Number {
  std::array<char, kNumberDigitsMax> digits{};
  std::size_t digit_count = 0;
  std::array<std::uint8_t, kNumberGroupsMax> sizes{};  // digits of each group
  std::array<char, kNumberGroupsMax> separators{};     // [i] stands before group i; [0] is 0
  std::array<std::size_t, kNumberGroupsMax> ends{};    // offset after each group
  std::size_t groups = 0;
  std::size_t begin = 0;

  std::string_view text() const { return {digits.data(), digit_count}; }
  std::size_t end() const { return ends[groups - 1]; }
  bool plain() const { return groups == 1; }
  // Whether the number is written so: 9 is a digit, ~ a space or dash, else the separator itself.
  bool Written(std::string_view form) const;
  // The first `count` groups only.
  Number First(std::size_t count) const;
};

// The longest number from the digit at `begin` on, within the limits above; without groups when
// there are more digits in a row.
Number ReadNumber(std::string_view text, std::size_t begin);

// Whether nothing at either end says that this is a part of something longer (an identifier, a
// decimal, a date, an amount).
bool StandsAlone(const Scan& scan, std::size_t begin, std::size_t end);

}  // namespace interlock::policies::detect
