#include "literals.h"

#include <algorithm>

#include "core/check.h"
#include "scan.h"

namespace interlock::policies::detect {

void Literals::Add(std::string_view literal, LetterCase letter_case, int id) {
  INTERLOCK_CHECK(literal.size() >= 3);
  Literal added{.text = std::string(literal),
                .letter_case = letter_case,
                .id = id,
                .hash = Hash(Key(literal, 0)),
                .head = 0,
                .mask = literal.size() > 3 ? 0xFFFFFFFFU : 0xFFFFFFU};
  std::memcpy(&added.head, literal.data(), literal.size() > 3 ? 4 : 3);
  added.head = (added.head | kCaseBits) & added.mask;
  literals_.push_back(std::move(added));
}

void Literals::Build() {
  std::stable_sort(literals_.begin(), literals_.end(),
                   [](const Literal& a, const Literal& b) { return a.hash < b.hash; });
  first_.assign(kHashes + 1, 0);
  for (const Literal& literal : literals_) ++first_[literal.hash + 1];
  for (std::size_t i = 1; i < first_.size(); ++i) first_[i] += first_[i - 1];
}

bool Literals::Stands(const Literal& literal, std::string_view text, std::size_t at) {
  const std::string& wanted = literal.text;
  if (at + wanted.size() > text.size()) return false;
  if (literal.letter_case == LetterCase::kExact) return text.substr(at, wanted.size()) == wanted;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (Lower(text[at + i]) != Lower(wanted[i])) return false;
  }
  return true;
}

}  // namespace interlock::policies::detect
