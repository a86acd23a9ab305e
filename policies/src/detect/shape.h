// Forms of tokens, matched from left to right without going back.
//
// Written as plain characters and sets: %d digit, %x lower-case hex, %X hex of either case, %u
// upper case letter or digit, %l lower case letter or digit, %a letter or digit, %A letter, %w
// letter, digit, `_` or `-`, %t as %w and `.`, %b base64 (letter, digit, `+`, `/`, `=`), each
// followed by {n} or {n,m}. A set takes as much as it may.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace interlock::policies::detect {

// Immutable.
class Shape {
 public:
  // Aborts on a form that is not well written: forms are constants of this program.
  explicit Shape(std::string_view form);

  // How many bytes of `text` from `at` on have the form, 0 if none. What follows them is in no set
  // that the form ends with, and is no letter or digit. Adds to `read` how many bytes were looked
  // at.
  std::size_t Match(std::string_view text, std::size_t at, std::size_t& read) const;

 private:
  struct Piece {
    std::uint16_t sets = 0;  // a mask; 0: the character itself
    char character = 0;
    std::size_t least = 1;
    std::size_t most = 1;
  };
  Piece ParseSet(std::string_view form, std::size_t& at) const;

  std::vector<Piece> pieces_;
};

}  // namespace interlock::policies::detect
