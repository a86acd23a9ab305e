// The closed environment of rules: built from nothing, so what is not put in is not there.
#pragma once

#include "vm.h"

namespace interlock::policies {

inline constexpr std::size_t kTextBytesMax = 64 * 1024;  // what one text helper may return
inline constexpr std::int64_t kListItemsMax = 10'000;    // what one list helper may walk

// Each adds its functions to the table on top of the stack.
void AddBaseFunctions(lua_State* lua);     // env.cc: type, pairs, tonumber, math, utf8 …
void AddTextFunctions(lua_State* lua);     // env_text.cc: string, glob, split …
void AddListFunctions(lua_State* lua);     // env_list.cc: table, any, contains …
void AddPatternFunctions(lua_State* lua);  // lua_pattern.cc: patterns
void AddDetectFunctions(lua_State* lua);   // lua_detect.cc: pii, secrets, injection, redact …

// Makes the metatable that gives texts their methods (s:lower()). The `string` table is on top of
// the stack.
void SetTextMethods(lua_State* lua);

// Turns the table of globals on top of the stack into the environment: a read-only proxy that
// raises for a name that is not there.
void SealEnvironment(lua_State* lua);

// tostring, for what other helpers print.
int ToText(lua_State* lua);
// Where `part` begins in `text` from `from` on, or npos; linear (memmem).
std::size_t FindText(std::string_view text, std::string_view part, std::size_t from);

// Raises unless files are being loaded / a rule runs.
void CheckLoading(lua_State* lua, const char* what);
void CheckDeciding(lua_State* lua, const char* what);

// How many elements 1..n a table, proxy or list of the context has; raises for others and above
// kListItemsMax.
std::int64_t ListLength(lua_State* lua, int index);
// Pushes element `at` of it.
void PushElement(lua_State* lua, int index, std::int64_t at);

}  // namespace interlock::policies
