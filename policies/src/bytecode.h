// What compiled Lua says about itself: writes to outer state, and which fields of the context it
// reads.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "vm.h"

namespace interlock::policies {

// A read of a constant field on a path from the function's first argument: {"args", "amount"}.
struct FieldAccess {
  std::vector<std::string> path{};
  int line = 0;
};

struct OuterWrite {
  bool global = false;  // else an outer local
  std::string name{};
  int line = 0;
};

struct BytecodeReport {
  bool understood =
      false;  // false: not the byte code of Lua 5.4 as built here; nothing below is filled
  std::vector<OuterWrite> writes;
  std::vector<FieldAccess> fields;  // only reads that are certain; dynamic ones are not listed
  std::set<int> inner_lines;        // with code of the functions inside it, without their `end`s
};

// Looks at the Lua function on top of the stack and all functions inside it. May raise (memory).
BytecodeReport ScanFunction(lua_State* lua);

}  // namespace interlock::policies
