// The text as a reader sees it: full width and other digits as ASCII, one kind of space and dash,
// nothing invisible, lookalike letters inside Latin words as the letters they look like.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace interlock::policies::detect {

// Immutable once made. Borrows the input when nothing had to change.
class Folded {
 public:
  explicit Folded(std::string_view input);
  Folded(const Folded&) = delete;
  Folded& operator=(const Folded&) = delete;

  std::string_view text() const { return text_; }
  std::string_view input() const { return input_; }
  bool is_ascii() const { return is_ascii_; }

  // Where the byte at `at` of text() came from, and where the code point of the byte before `at`
  // ended; both are offsets into the input.
  std::size_t Begin(std::size_t at) const;
  std::size_t End(std::size_t at) const;

 private:
  // From `at` of text_ on: bytes as they stand in the input from `origin` on, or one byte that
  // stands for a code point of `size` bytes there.
  struct Piece {
    std::uint32_t at;
    std::uint32_t origin;
    std::uint32_t size;  // 0: as they stand
  };
  void Fold(std::size_t from);
  void AppendAsIs(std::size_t begin, std::size_t end);
  const Piece& PieceAt(std::size_t at) const;

  std::string_view input_;
  std::string_view text_;
  bool is_ascii_ = false;
  std::string buffer_;
  std::vector<Piece> pieces_;  // empty: text_ is input_
};

// The first byte from `from` on that is not ASCII, or the size of the text.
std::size_t NextNonAscii(std::string_view text, std::size_t from);

// Invisible code points that stand between visible ones without changing what is read.
bool IsInvisible(char32_t c);
// The ASCII letter that a Cyrillic or Greek letter looks like, or 0.
char Lookalike(char32_t c);

}  // namespace interlock::policies::detect
