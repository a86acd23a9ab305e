// Read-only proxies: what a rule can still reach after load, it can only read.
#pragma once

#include "vm.h"

namespace interlock::policies {

// Replaces the table on top of the stack by a read-only proxy, with all tables and functions that
// it reaches.
void FreezeTable(lua_State* lua);

// Freezes everything that the function on top of the stack reaches through its upvalues and those
// of the functions it reaches. The environment upvalue must already be frozen. Leaves the function
// there.
void FreezeFunction(lua_State* lua);

// If the value at `index` is a frozen proxy, pushes its table and says true.
bool PushFrozenTable(lua_State* lua, int index);

// Pushes the plain table behind a table or proxy; raises for anything else.
void PushTableOf(lua_State* lua, int index, const char* what);

}  // namespace interlock::policies
