#include "fold.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "utf8.h"

namespace interlock::policies::detect {
namespace {

bool IsLetter(char32_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Where the decimal digits of scripts begin (Unicode 15, property Nd); ten follow each other.
constexpr std::array<char32_t, 14> kDigitZeros = {0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6,
                                                  0x0A66, 0x0AE6, 0x0BE6, 0x0C66, 0x0CE6,
                                                  0x0E50, 0x0ED0, 0x17E0, 0xFF10};

// Mathematical letters and digits (U+1D400 to U+1D7FF) repeat the alphabet in many styles.
char FoldMath(char32_t c) {
  if (c >= 0x1D7CE && c <= 0x1D7FF) return static_cast<char>('0' + (c - 0x1D7CE) % 10);
  if (c < 0x1D400 || c > 0x1D6A3) return 0;
  const char32_t letter = (c - 0x1D400) % 52;
  return static_cast<char>(letter < 26 ? 'A' + letter : 'a' + (letter - 26));
}

char FoldSpaceOrDash(char32_t c) {
  if (c == 0xA0 || c == 0x3000 || c == 0x202F || (c >= 0x2000 && c <= 0x200A)) return ' ';
  if ((c >= 0x2010 && c <= 0x2015) || c == 0x2212 || c == 0xFE58 || c == 0xFE63) return '-';
  if (c == 0x2018 || c == 0x2019) return '\'';
  if (c == 0x2024) return '.';
  return 0;
}

// The one ASCII character that a code point stands for wherever it is, or 0.
char FoldAnywhere(char32_t c) {
  if (c >= 0xFF01 && c <= 0xFF5E) return static_cast<char>(c - 0xFF01 + '!');
  for (const char32_t zero : kDigitZeros) {
    if (c >= zero && c < zero + 10) return static_cast<char>('0' + (c - zero));
  }
  const char other = FoldSpaceOrDash(c);
  return other != 0 ? other : FoldMath(c);
}

constexpr std::array<std::pair<char32_t, char>, 44> kLookalikes = {{
    {0x0391, 'A'}, {0x0392, 'B'}, {0x0395, 'E'}, {0x0396, 'Z'}, {0x0397, 'H'}, {0x0399, 'I'},
    {0x039A, 'K'}, {0x039C, 'M'}, {0x039D, 'N'}, {0x039F, 'O'}, {0x03A1, 'P'}, {0x03A4, 'T'},
    {0x03A5, 'Y'}, {0x03A7, 'X'}, {0x03B9, 'i'}, {0x03BD, 'v'}, {0x03BF, 'o'}, {0x03C1, 'p'},
    {0x0405, 'S'}, {0x0406, 'I'}, {0x0408, 'J'}, {0x0410, 'A'}, {0x0412, 'B'}, {0x0415, 'E'},
    {0x041A, 'K'}, {0x041C, 'M'}, {0x041D, 'H'}, {0x041E, 'O'}, {0x0420, 'P'}, {0x0421, 'C'},
    {0x0422, 'T'}, {0x0425, 'X'}, {0x0430, 'a'}, {0x0435, 'e'}, {0x043E, 'o'}, {0x0440, 'p'},
    {0x0441, 'c'}, {0x0443, 'y'}, {0x0445, 'x'}, {0x0455, 's'}, {0x0456, 'i'}, {0x0458, 'j'},
    {0x04BB, 'h'}, {0x0501, 'd'},
}};

}  // namespace

bool IsInvisible(char32_t c) {
  return c == 0xAD || c == 0x034F || c == 0x061C || c == 0x115F || c == 0x1160 || c == 0x17B4 ||
         c == 0x17B5 || c == 0x180E || (c >= 0x200B && c <= 0x200F) ||
         (c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0x3164 ||
         (c >= 0xFE00 && c <= 0xFE0F) || c == 0xFEFF || c == 0xFFA0 ||
         (c >= 0xE0000 && c <= 0xE01EF);
}

char Lookalike(char32_t c) {
  const auto* const found =
      std::lower_bound(kLookalikes.begin(), kLookalikes.end(), c,
                       [](const auto& pair, char32_t wanted) { return pair.first < wanted; });
  return found != kLookalikes.end() && found->first == c ? found->second : '\0';
}

std::size_t NextNonAscii(std::string_view text, std::size_t from) {
  for (; from + 8 <= text.size(); from += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + from, 8);
    if ((word & 0x8080808080808080U) != 0) break;
  }
  while (from < text.size() && static_cast<unsigned char>(text[from]) < 0x80) ++from;
  return from;
}

Folded::Folded(std::string_view input) : input_(input), text_(input) {
  const std::size_t from = NextNonAscii(input, 0);
  is_ascii_ = from == input.size();
  if (!is_ascii_) Fold(from);
}

void Folded::AppendAsIs(std::size_t begin, std::size_t end) {
  if (begin == end) return;
  pieces_.push_back({.at = static_cast<std::uint32_t>(buffer_.size()),
                     .origin = static_cast<std::uint32_t>(begin),
                     .size = 0});
  buffer_ += input_.substr(begin, end - begin);
}

// A lookalike counts as the Latin letter only beside a Latin letter: Russian and Greek words stay.
// `kept` is where the bytes begin that stand as they are and are not yet appended.
void Folded::Fold(std::size_t from) {
  std::size_t kept = 0;
  for (std::size_t at = from; at < input_.size(); at = NextNonAscii(input_, at)) {
    const CodePoint here = DecodeAt(input_, at);
    const std::size_t next = at + here.size;
    const bool valid = here.value != kNoCodePoint;
    const bool invisible = valid && IsInvisible(here.value);
    char plain = valid && !invisible ? FoldAnywhere(here.value) : '\0';
    if (valid && !invisible && plain == 0) {
      const char like = Lookalike(here.value);
      const char last = kept < at ? input_[at - 1] : buffer_.empty() ? '\0' : buffer_.back();
      const char following = next < input_.size() ? input_[next] : '\0';
      if (like != 0 && (IsLetter(static_cast<unsigned char>(last)) ||
                        IsLetter(static_cast<unsigned char>(following))))
        plain = like;
    }
    if (invisible || plain != 0) {
      AppendAsIs(kept, at);
      kept = next;
    }
    if (plain != 0) {
      pieces_.push_back({.at = static_cast<std::uint32_t>(buffer_.size()),
                         .origin = static_cast<std::uint32_t>(at),
                         .size = static_cast<std::uint32_t>(here.size)});
      buffer_ += plain;
    }
    at = next;
  }
  if (kept == 0) return;
  AppendAsIs(kept, input_.size());
  if (pieces_.empty()) pieces_.push_back({.at = 0, .origin = 0, .size = 0});
  text_ = buffer_;
}

const Folded::Piece& Folded::PieceAt(std::size_t at) const {
  const auto after =
      std::upper_bound(pieces_.begin(), pieces_.end(), at,
                       [](std::size_t wanted, const Piece& piece) { return wanted < piece.at; });
  return *(after - 1);
}

std::size_t Folded::Begin(std::size_t at) const {
  if (pieces_.empty()) return at;
  if (at >= text_.size()) return input_.size();
  const Piece& piece = PieceAt(at);
  return piece.origin + (at - piece.at);
}

std::size_t Folded::End(std::size_t at) const {
  if (pieces_.empty() || at == 0) return at;
  const Piece& piece = PieceAt(at - 1);
  return piece.size > 0 ? piece.origin + piece.size : piece.origin + (at - piece.at);
}

}  // namespace interlock::policies::detect
