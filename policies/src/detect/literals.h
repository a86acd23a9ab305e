// Finds where any of a fixed set of literals begins, by the three bytes that each begins with.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace interlock::policies::detect {

enum class LetterCase { kExact, kAny };

// Immutable once Build was called; thread-safe then.
class Literals {
 public:
  // `literal` has at least three bytes; `id` is what At gives back for it.
  void Add(std::string_view literal, LetterCase letter_case, int id);
  void Build();

  // The four bytes at `at`, of which three must be there; a fourth that is not is 0. The sizes are
  // constants on purpose: one load, where a size that varies is a call.
  static std::uint32_t Head(std::string_view text, std::size_t at) {
    std::uint32_t head = 0;
    if (at + 4 <= text.size()) {
      std::memcpy(&head, text.data() + at, 4);
      return head;
    }
    std::memcpy(&head, text.data() + at, 3);
    return head;
  }
  // The first three of them, by which literals are found.
  static std::uint32_t Key(std::string_view text, std::size_t at) {
    return Head(text, at) & 0xFFFFFFU;
  }
  static constexpr std::uint32_t kHashes = 1U << 14U;
  static std::uint32_t Hash(std::uint32_t key) { return (key | 0x202020U) * 0x9E3779B1U >> 18U; }
  // The same of four bytes, whatever their case.
  static std::uint32_t Hash4(std::uint32_t bytes) {
    return (bytes | 0x20202020U) * 0x85EBCA6BU >> 18U;
  }
  // Calls visit(text) for every literal.
  template <typename Visit>
  void Each(const Visit& visit) const {
    for (const Literal& literal : literals_) visit(std::string_view(literal.text));
  }

  // Calls found(id, size) for every literal that stands at `at`, where the three bytes have `hash`.
  template <typename Found>
  void At(std::string_view text, std::size_t at, std::uint32_t hash, const Found& found) const {
    const std::uint32_t head = Head(text, at) | kCaseBits;
    for (std::uint32_t i = first_[hash]; i < first_[hash + 1]; ++i) {
      if ((head & literals_[i].mask) != literals_[i].head) continue;
      if (Stands(literals_[i], text, at)) found(literals_[i].id, literals_[i].text.size());
    }
  }

 private:
  struct Literal {
    std::string text;
    LetterCase letter_case;
    int id;
    std::uint32_t hash;
    std::uint32_t head;  // its first four bytes (three), whatever their case
    std::uint32_t mask;
  };
  static constexpr std::uint32_t kCaseBits = 0x20202020U;
  static bool Stands(const Literal& literal, std::string_view text, std::size_t at);

  std::vector<std::uint32_t> first_;  // by hash: where its literals begin in literals_
  std::vector<Literal> literals_;     // sorted by hash
};

}  // namespace interlock::policies::detect
