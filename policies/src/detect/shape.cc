#include "shape.h"

#include <array>
#include <charconv>

#include "core/check.h"
#include "scan.h"

namespace interlock::policies::detect {
namespace {

constexpr std::string_view kSetLetters = "dxXulaAwtb";

bool IsInSet(char set, char c) {
  switch (set) {
    case 'd':
      return IsDigit(c);
    case 'x':
      return IsDigit(c) || (c >= 'a' && c <= 'f');
    case 'X':
      return IsHex(c);
    case 'u':
      return IsUpper(c) || IsDigit(c);
    case 'l':
      return IsLower(c) || IsDigit(c);
    case 'a':
      return IsAlnum(c);
    case 'A':
      return IsAlpha(c);
    case 'w':
      return IsAlnum(c) || c == '_' || c == '-';
    case 't':
      return IsAlnum(c) || c == '_' || c == '-' || c == '.';
    default:
      return IsAlnum(c) || c == '+' || c == '/' || c == '=';
  }
}

// By byte: the mask of the sets that it is in.
std::array<std::uint16_t, 256> MakeSets() {
  std::array<std::uint16_t, 256> sets{};
  for (std::size_t byte = 0; byte < sets.size(); ++byte) {
    for (std::size_t set = 0; set < kSetLetters.size(); ++set) {
      if (IsInSet(kSetLetters[set], static_cast<char>(byte)))
        sets[byte] = static_cast<std::uint16_t>(sets[byte] | (1U << set));
    }
  }
  return sets;
}

const std::array<std::uint16_t, 256>& Sets() {
  static const std::array<std::uint16_t, 256> sets = MakeSets();
  return sets;
}

std::size_t ReadNumber(std::string_view form, std::size_t& at) {
  std::size_t number = 0;
  const auto read = std::from_chars(form.data() + at, form.data() + form.size(), number);
  INTERLOCK_CHECK(read.ec == std::errc());
  at = static_cast<std::size_t>(read.ptr - form.data());
  return number;
}

}  // namespace

Shape::Piece Shape::ParseSet(std::string_view form, std::size_t& at) const {
  INTERLOCK_CHECK(at + 3 < form.size() && form[at + 2] == '{');
  const std::size_t set = kSetLetters.find(form[at + 1]);
  INTERLOCK_CHECK(set != std::string_view::npos);
  at += 3;
  Piece piece;
  piece.sets = static_cast<std::uint16_t>(1U << set);
  piece.least = piece.most = ReadNumber(form, at);
  if (form[at] == ',') piece.most = ReadNumber(form, ++at);
  INTERLOCK_CHECK(form[at] == '}' && piece.least <= piece.most);
  ++at;
  return piece;
}

Shape::Shape(std::string_view form) {
  for (std::size_t at = 0; at < form.size();) {
    if (form[at] == '%') {
      pieces_.push_back(ParseSet(form, at));
    } else {
      Piece piece;
      piece.character = form[at++];
      pieces_.push_back(piece);
    }
  }
  INTERLOCK_CHECK(!pieces_.empty());
}

std::size_t Shape::Match(std::string_view text, std::size_t begin, std::size_t& read) const {
  const std::array<std::uint16_t, 256>& sets = Sets();
  const auto in = [&](std::size_t at, std::uint16_t mask) {
    return at < text.size() && (sets[static_cast<unsigned char>(text[at])] & mask) != 0;
  };
  std::size_t at = begin;
  for (const Piece& piece : pieces_) {
    if (piece.sets == 0) {
      if (at >= text.size() || text[at] != piece.character) return 0;
      ++at;
      continue;
    }
    std::size_t taken = 0;
    while (taken < piece.most && in(at, piece.sets)) ++at, ++taken;
    read += taken;
    if (taken < piece.least) return 0;
  }
  if (at < text.size() && (IsAlnum(text[at]) || in(at, pieces_.back().sets))) return 0;
  return at - begin;
}

}  // namespace interlock::policies::detect
