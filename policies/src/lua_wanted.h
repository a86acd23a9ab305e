// Kinds and confidence of detectors as Lua arguments.
#pragma once

#include "detect_wanted.h"
#include "vm.h"

namespace interlock::policies {

// Arguments `index` (a kind, a group or a list of them) and `index` + 1 (the least confidence,
// medium when left out). Raises.
DetectWanted CheckWanted(lua_State* lua, int index);

}  // namespace interlock::policies
