// The words of a Lua text, for tools that change it: no comment, and no text literal's inside.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace interlock::policies {

struct LuaToken {
  enum class Kind { kName, kNumber, kText, kSign };
  Kind kind = Kind::kSign;
  std::size_t begin = 0;  // byte offset
  std::string_view text{};
  int line = 1;
};

// Borrows `source`. What is no Lua gives some tokens or other; the parser judges, not this.
std::vector<LuaToken> LuaTokens(std::string_view source);

}  // namespace interlock::policies
