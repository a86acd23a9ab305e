#include "runtime/tokens.h"

#include <cstddef>

namespace interlock::runtime {
namespace {

enum class Class { kLetter, kDigit, kSpace, kSign, kOther };

Class ClassOf(char c) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return Class::kLetter;
  if (c >= '0' && c <= '9') return Class::kDigit;
  if (c == ' ' || c == '\t' || c == '\r' || c == '\n') return Class::kSpace;
  return static_cast<unsigned char>(c) < 0x80 ? Class::kSign : Class::kOther;
}

// In halves of a token.
std::int64_t HalvesOfOther(unsigned char byte) {
  if (byte >= 0xF0) return 4;
  if (byte >= 0xE0) return 2;
  return byte >= 0xC0 ? 1 : 0;
}

std::int64_t Shares(std::size_t size, std::size_t each) {
  return static_cast<std::int64_t>((size + each - 1) / each);
}

}  // namespace

std::int64_t EstimateTokens(std::string_view text) {
  std::int64_t tokens = 0;
  std::int64_t halves = 0;
  for (std::size_t start = 0; start < text.size();) {
    const Class kind = ClassOf(text[start]);
    std::size_t end = start;
    while (end < text.size() && ClassOf(text[end]) == kind) {
      if (kind == Class::kOther) halves += HalvesOfOther(static_cast<unsigned char>(text[end]));
      ++end;
    }
    const std::size_t size = end - start;
    if (kind == Class::kLetter) tokens += Shares(size, 6);
    if (kind == Class::kDigit) tokens += Shares(size, 3);
    if (kind == Class::kSign) tokens += Shares(size, 2);
    if (kind == Class::kSpace && (size > 1 || text[start] != ' ')) ++tokens;
    start = end;
  }
  return tokens + (halves + 1) / 2;
}

}  // namespace interlock::runtime
