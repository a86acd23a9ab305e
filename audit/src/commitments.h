// Commitment objects of an entry (audit/commitment.h), read back from its text.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace interlock::audit {

struct NamedCommitment {
  std::string_view hex;
  std::string_view key;     // id of the key that the payload is sealed under
  std::uint32_t bytes = 0;  // of the plaintext
  int slot = 0;
  std::vector<std::pair<std::string_view, std::string_view>> fields;  // name, commitment in hex
};

// All of them in slot order. Works on the text, as an unescaped quote cannot stand inside a JSON
// string: `{"bytes":<1 to 9 digits>,"commit":"<64 hex>"`, an optional `,"fields":{` of
// `"name":"<64 hex>"` joined by commas `}`, `,"key":"<no quote>","slot":<1 to 3 digits>}`. What is
// not exactly so is no commitment.
std::vector<NamedCommitment> CommitmentsIn(std::string_view bytes);

}  // namespace interlock::audit
