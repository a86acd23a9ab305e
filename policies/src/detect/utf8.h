// UTF-8 as detectors read it: a byte that begins no code point stands for itself.
#pragma once

#include <cstdint>
#include <string_view>

namespace interlock::policies::detect {

inline constexpr char32_t kNoCodePoint = 0xFFFFFFFF;

struct CodePoint {
  char32_t value = kNoCodePoint;
  std::size_t size = 1;
};

// The code point at `at`, which is inside the text. Overlong forms, surrogates and values above
// U+10FFFF are no code points.
inline CodePoint DecodeAt(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {.value = lead, .size = 1};
  const std::size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || at + size > text.size()) return {};
  char32_t value = lead & (size == 2 ? 0x1FU : size == 3 ? 0x0FU : 0x07U);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0U) != 0x80) return {};
    value = (value << 6U) | (byte(i) & 0x3FU);
  }
  const bool overlong = (size == 3 && value < 0x800) || (size == 4 && value < 0x10000);
  if (overlong || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return {};
  return {.value = value, .size = size};
}

}  // namespace interlock::policies::detect
