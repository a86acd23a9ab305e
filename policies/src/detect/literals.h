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

  // The key of the three bytes at `at`, which must be there; one load where four are.
  static std::uint32_t Key(std::string_view text, std::size_t at) {
    std::uint32_t key = 0;
    if (at + 4 <= text.size()) {
      std::memcpy(&key, text.data() + at, 4);
      return key & 0xFFFFFFU;
    }
    std::memcpy(&key, text.data() + at, 3);
    return key;
  }
  static constexpr std::uint32_t kHashes = 1U << 14U;
  static std::uint32_t Hash(std::uint32_t key) { return (key | 0x202020U) * 0x9E3779B1U >> 18U; }
  bool MayBegin(std::uint32_t hash) const { return first_[hash] != first_[hash + 1]; }

  // Calls found(id, size) for every literal that stands at `at`, where the three bytes have `hash`.
  template <typename Found>
  void At(std::string_view text, std::size_t at, std::uint32_t hash, const Found& found) const {
    std::uint32_t head = 0;
    std::memcpy(&head, text.data() + at, at + 4 <= text.size() ? 4 : 3);
    head |= kCaseBits;
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
