#include "env.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>
#include <vector>

#include "context.h"
#include "freeze.h"
#include "lua_money.h"
#include "selector.h"

namespace interlock::policies {
namespace {

int Type(lua_State* lua) {
  luaL_checkany(lua, 1);
  lua_pushstring(lua, MoneyAt(lua, 1) != nullptr ? "money" : luaL_typename(lua, 1));
  return 1;
}

int Assert(lua_State* lua) {
  luaL_checkany(lua, 1);
  if (lua_toboolean(lua, 1) != 0) {
    lua_settop(lua, 1);
    return 1;
  }
  const bool has_text = lua_type(lua, 2) == LUA_TSTRING;
  Raise(lua, has_text ? lua_tostring(lua, 2) : "assertion failed");
}

int Error(lua_State* lua) { Raise(lua, std::string(CheckText(lua, 1, "an error"))); }

// Decimal integers and decimal fractions only: no hex, exponent, spaces or "nan".
int ToNumber(lua_State* lua) {
  if (lua_type(lua, 1) == LUA_TNUMBER) {
    lua_settop(lua, 1);
    return 1;
  }
  if (lua_type(lua, 1) != LUA_TSTRING) {
    lua_pushnil(lua);
    return 1;
  }
  const std::string_view text = CheckText(lua, 1, "a number");
  std::int64_t integer = 0;
  const char* const end = text.data() + text.size();
  const auto whole = std::from_chars(text.data(), end, integer);
  double number = 0;
  const auto part = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  const bool digits = text.find_first_not_of("-0123456789.") == std::string_view::npos;
  if (!text.empty() && whole.ec == std::errc() && whole.ptr == end) {
    lua_pushinteger(lua, integer);
  } else if (digits && part.ec == std::errc() && part.ptr == end) {
    lua_pushnumber(lua, number);
  } else {
    lua_pushnil(lua);
  }
  return 1;
}

int Select(lua_State* lua) {
  const int count = lua_gettop(lua);
  if (lua_type(lua, 1) == LUA_TSTRING && CheckText(lua, 1, "select") == "#") {
    lua_pushinteger(lua, count - 1);
    return 1;
  }
  const lua_Integer from = luaL_checkinteger(lua, 1);
  if (from < 1) Raise(lua, "select counts from 1");
  return from >= count ? 0 : count - static_cast<int>(from);
}

// Keys in one order on every machine: numbers by value, then texts by bytes, then false and true.
struct SortKey {
  int rank = 0;
  double number = 0;
  std::int64_t integer = 0;
  std::string text;

  friend bool operator<(const SortKey& a, const SortKey& b) {
    if (a.rank != b.rank) return a.rank < b.rank;
    if (a.number != b.number) return a.number < b.number;
    if (a.integer != b.integer) return a.integer < b.integer;
    return a.text < b.text;
  }
};

SortKey SortKeyOf(lua_State* lua, int index) {
  SortKey key;
  if (lua_isinteger(lua, index) != 0) {
    key.integer = lua_tointeger(lua, index);
    key.number = static_cast<double>(key.integer);
  } else if (lua_type(lua, index) == LUA_TNUMBER) {
    key.number = lua_tonumber(lua, index);
  } else if (lua_type(lua, index) == LUA_TSTRING) {
    key.rank = 1;
    key.text = CheckText(lua, index, "a key");
  } else if (lua_type(lua, index) == LUA_TBOOLEAN) {
    key.rank = 2;
    key.integer = lua_toboolean(lua, index);
  } else {
    Raise(lua, std::string("a ") + luaL_typename(lua, index) + " as a key has no order");
  }
  return key;
}

void PushSortKey(lua_State* lua, const SortKey& key) {
  if (key.rank == 1) {
    lua_pushlstring(lua, key.text.data(), key.text.size());
  } else if (key.rank == 2) {
    lua_pushboolean(lua, static_cast<int>(key.integer));
  } else if (static_cast<double>(key.integer) == key.number) {
    lua_pushinteger(lua, key.integer);
  } else {
    lua_pushnumber(lua, key.number);
  }
}

// Pushes a list of the sorted keys of the plain table at `table`.
void PushSortedKeys(lua_State* lua, int table) {
  std::vector<SortKey> keys;
  lua_pushnil(lua);
  while (lua_next(lua, table) != 0) {
    lua_pop(lua, 1);
    keys.push_back(SortKeyOf(lua, -1));
    if (static_cast<std::int64_t>(keys.size()) > kListItemsMax)
      Raise(lua, "a table too large to walk");
  }
  Vm::Of(lua).Charge(static_cast<std::int64_t>(keys.size()) * 4);
  std::sort(keys.begin(), keys.end());
  lua_createtable(lua, static_cast<int>(keys.size()), 0);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    PushSortKey(lua, keys[i]);
    lua_rawseti(lua, -2, static_cast<lua_Integer>(i) + 1);
  }
}

// Upvalues: what is walked (a plain table or a node), its sorted keys, the last position.
int NextSorted(lua_State* lua) {
  const lua_Integer at = lua_tointeger(lua, lua_upvalueindex(3)) + 1;
  lua_pushinteger(lua, at);
  lua_replace(lua, lua_upvalueindex(3));
  if (lua_rawgeti(lua, lua_upvalueindex(2), at) == LUA_TNIL) return 1;
  if (Context::IsNode(lua, lua_upvalueindex(1))) {
    lua_pushvalue(lua, lua_upvalueindex(1));
    Context::PushMember(lua, lua_gettop(lua), lua_gettop(lua) - 1);
    lua_remove(lua, -2);
  } else {
    lua_pushvalue(lua, -1);
    lua_rawget(lua, lua_upvalueindex(1));
  }
  return 2;
}

int Pairs(lua_State* lua) {
  if (Context::IsNode(lua, 1)) {
    lua_pushvalue(lua, 1);
    Context::PushKeys(lua, 1);
  } else {
    PushTableOf(lua, 1, "what pairs walks");
    PushSortedKeys(lua, lua_gettop(lua));
  }
  lua_pushinteger(lua, 0);
  lua_pushcclosure(lua, &NextSorted, 3);
  return 1;
}

int NextElement(lua_State* lua) {
  const lua_Integer at = luaL_checkinteger(lua, 2) + 1;
  if (Context::IsNode(lua, 1)) {
    const core::Json* list = Context::JsonAt(lua, 1);
    if (at > static_cast<lua_Integer>(list->size())) return lua_pushnil(lua), 1;
    lua_pushinteger(lua, at);
    Context::PushMember(lua, 1, lua_gettop(lua));
    return 2;
  }
  lua_pushinteger(lua, at);
  return lua_rawgeti(lua, 1, at) == LUA_TNIL ? 1 : 2;
}

int Ipairs(lua_State* lua) {
  lua_pushcfunction(lua, &NextElement);
  if (const core::Json* list = Context::JsonAt(lua, 1); list != nullptr) {
    if (!list->is_array()) Raise(lua, "ipairs walks lists; use pairs for an object");
    lua_pushvalue(lua, 1);
  } else {
    PushTableOf(lua, 1, "what ipairs walks");
  }
  lua_pushinteger(lua, 0);
  return 3;
}

int Round(lua_State* lua, double (*round)(double)) {
  if (lua_isinteger(lua, 1) != 0) return lua_settop(lua, 1), 1;
  const double rounded = round(luaL_checknumber(lua, 1));
  lua_Integer integer = 0;
  if (lua_numbertointeger(rounded, &integer)) {
    lua_pushinteger(lua, integer);
  } else {
    lua_pushnumber(lua, rounded);
  }
  return 1;
}

int Floor(lua_State* lua) { return Round(lua, &std::floor); }
int Ceil(lua_State* lua) { return Round(lua, &std::ceil); }

int Abs(lua_State* lua) {
  if (lua_isinteger(lua, 1) != 0) {
    const lua_Integer value = lua_tointeger(lua, 1);
    lua_pushinteger(lua, value < 0 && value != LUA_MININTEGER ? -value : value);
  } else {
    lua_pushnumber(lua, std::fabs(luaL_checknumber(lua, 1)));
  }
  return 1;
}

// The least (or greatest) of numbers or of money.
int Extreme(lua_State* lua, bool least) {
  const int count = lua_gettop(lua);
  luaL_checkany(lua, 1);
  int best = 1;
  for (int i = 1; i <= count; ++i) {
    if (MoneyAt(lua, i) == nullptr && lua_type(lua, i) != LUA_TNUMBER) {
      Raise(lua, "math.min and math.max take numbers or money");
    }
    if (lua_compare(lua, least ? i : best, least ? best : i, LUA_OPLT) != 0) best = i;
  }
  lua_pushvalue(lua, best);
  return 1;
}

int Min(lua_State* lua) { return Extreme(lua, true); }
int Max(lua_State* lua) { return Extreme(lua, false); }

int ToInteger(lua_State* lua) {
  int exact = 0;
  const lua_Integer value = lua_type(lua, 1) == LUA_TNUMBER ? lua_tointegerx(lua, 1, &exact) : 0;
  if (exact != 0) {
    lua_pushinteger(lua, value);
  } else {
    lua_pushnil(lua);
  }
  return 1;
}

int MathType(lua_State* lua) {
  if (lua_type(lua, 1) != LUA_TNUMBER) return lua_pushnil(lua), 1;
  lua_pushstring(lua, lua_isinteger(lua, 1) != 0 ? "integer" : "float");
  return 1;
}

// Code points, or nil for what is not UTF-8.
int Utf8Length(lua_State* lua) {
  const std::string_view text = CheckText(lua, 1, "the argument of utf8.len");
  Vm::Of(lua).Charge(static_cast<std::int64_t>(text.size() / 16));
  lua_Integer count = 0;
  for (std::size_t i = 0; i < text.size(); ++count) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t size = lead < 0x80                   ? 1
                             : lead >= 0xF0 && lead < 0xF5 ? 4
                             : lead >= 0xE0                ? 3
                                                           : 2;
    if ((lead >= 0x80 && lead < 0xC2) || lead >= 0xF5 || i + size > text.size()) {
      return lua_pushnil(lua), 1;
    }
    for (std::size_t k = 1; k < size; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0) != 0x80) return lua_pushnil(lua), 1;
    }
    i += size;
  }
  lua_pushinteger(lua, count);
  return 1;
}

// Upvalue 1 is the table of globals.
int UnknownGlobal(lua_State* lua) {
  const std::string name = lua_type(lua, 2) == LUA_TSTRING ? lua_tostring(lua, 2) : "?";
  std::vector<std::string> names;
  lua_pushnil(lua);
  while (lua_next(lua, lua_upvalueindex(1)) != 0) {
    lua_pop(lua, 1);
    names.emplace_back(lua_tostring(lua, -1));
  }
  std::sort(names.begin(), names.end());
  Raise(lua, "`" + name + "` is not in the environment of rules" + DidYouMean(name, names));
}

int RefuseGlobal(lua_State* lua) {
  const std::string name = lua_type(lua, 2) == LUA_TSTRING ? lua_tostring(lua, 2) : "?";
  Raise(lua, "global `" + name + "` cannot be assigned; write local " + name);
}

// Upvalue 1 is the library's name: a function that is not there must not read as nil.
int UnknownMember(lua_State* lua) {
  const std::string name = lua_type(lua, 2) == LUA_TSTRING ? lua_tostring(lua, 2) : "?";
  Raise(lua, "`" + std::string(lua_tostring(lua, lua_upvalueindex(1))) + "` has no `" + name + "`");
}

// The library table on top becomes a read-only proxy in the globals below it.
void AddLibrary(lua_State* lua, const char* name) {
  lua_createtable(lua, 0, 1);
  lua_pushstring(lua, name);
  lua_pushcclosure(lua, &UnknownMember, 1);
  lua_setfield(lua, -2, "__index");
  lua_setmetatable(lua, -2);
  FreezeTable(lua);
  lua_setfield(lua, -2, name);
}

}  // namespace

// Addresses differ from run to run, so only plain values have a text.
int ToText(lua_State* lua) {
  luaL_checkany(lua, 1);
  if (const LuaMoney* money = MoneyAt(lua, 1); money != nullptr) {
    const std::string text = DecimalOf(*money) + " " + money->currency;
    lua_pushlstring(lua, text.data(), text.size());
    return 1;
  }
  switch (lua_type(lua, 1)) {
    case LUA_TNIL:
      lua_pushliteral(lua, "nil");
      return 1;
    case LUA_TBOOLEAN:
      lua_pushstring(lua, lua_toboolean(lua, 1) != 0 ? "true" : "false");
      return 1;
    case LUA_TSTRING:
      lua_settop(lua, 1);
      return 1;
    case LUA_TNUMBER:
      break;
    default:
      Raise(lua, std::string("a ") + luaL_typename(lua, 1) + " has no text");
  }
  if (lua_isinteger(lua, 1) != 0) {
    lua_settop(lua, 1);
    lua_tolstring(lua, 1, nullptr);
    return 1;
  }
  const double number = lua_tonumber(lua, 1);
  const std::string text = std::isnan(number)   ? "nan"
                           : std::isinf(number) ? (number < 0 ? "-inf" : "inf")
                                                : ShortestDecimal(number);
  lua_pushlstring(lua, text.data(), text.size());
  return 1;
}

void SetTextMethods(lua_State* lua) {
  lua_pushliteral(lua, "");
  lua_createtable(lua, 0, 2);
  lua_pushvalue(lua, -3);
  lua_setfield(lua, -2, "__index");
  lua_pushboolean(lua, 0);
  lua_setfield(lua, -2, "__metatable");
  lua_setmetatable(lua, -2);
  lua_pop(lua, 1);
}

void AddBaseFunctions(lua_State* lua) {
  constexpr luaL_Reg kBase[] = {{"type", Type},       {"assert", Assert},     {"error", Error},
                                {"tostring", ToText}, {"tonumber", ToNumber}, {"select", Select},
                                {"pairs", Pairs},     {"ipairs", Ipairs},     {nullptr, nullptr}};
  luaL_setfuncs(lua, kBase, 0);
  constexpr luaL_Reg kMath[] = {{"floor", Floor},   {"ceil", Ceil},    {"abs", Abs},
                                {"min", Min},       {"max", Max},      {"tointeger", ToInteger},
                                {"type", MathType}, {nullptr, nullptr}};
  lua_newtable(lua);
  luaL_setfuncs(lua, kMath, 0);
  AddLibrary(lua, "math");
  lua_newtable(lua);
  lua_pushcfunction(lua, &Utf8Length);
  lua_setfield(lua, -2, "len");
  AddLibrary(lua, "utf8");
}

void SealEnvironment(lua_State* lua) {
  for (const char* name : {"string", "table"}) {
    lua_getfield(lua, -1, name);
    if (std::string_view(name) == "string") SetTextMethods(lua);
    AddLibrary(lua, name);
  }
  lua_createtable(lua, 0, 1);
  lua_pushvalue(lua, -2);
  lua_pushcclosure(lua, &UnknownGlobal, 1);
  lua_setfield(lua, -2, "__index");
  lua_setmetatable(lua, -2);
  FreezeTable(lua);
  lua_getmetatable(lua, -1);
  lua_pushcfunction(lua, &RefuseGlobal);
  lua_setfield(lua, -2, "__newindex");
  lua_pop(lua, 1);
}

void CheckLoading(lua_State* lua, const char* what) {
  if (Vm::Of(lua).phase() != Phase::kLoading) {
    Raise(lua, std::string(what) + " belongs at file level, outside of rules");
  }
}

void CheckDeciding(lua_State* lua, const char* what) {
  if (Vm::Of(lua).phase() != Phase::kDeciding) {
    Raise(lua, std::string(what) + " belongs inside a rule");
  }
}

}  // namespace interlock::policies
