// NamedCommitment objects of an entry, {"bytes":n,"commit":"<hex>","slot":k}, and with the fields
// of content that was committed field by field: {"bytes":n,"commit":"<hex>","fields":{…},"slot":k}.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

namespace interlock::audit {

struct NamedCommitment {
  std::string_view hex;
  int slot = 0;
  std::vector<std::pair<std::string_view, std::string_view>> fields;  // name, commitment in hex
};

// All of them in slot order. Works on the text, as an unescaped quote cannot stand inside a JSON
// string: `"commit":"<64 hex>"`, an optional `,"fields":{` of `"name":"<64 hex>"` joined by commas
// `}`, then `,"slot":<1 to 3 digits>`. What is not exactly so is no commitment.
std::vector<NamedCommitment> CommitmentsIn(std::string_view bytes);

}  // namespace interlock::audit
