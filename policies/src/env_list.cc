// Lists: tables 1..n, frozen tables and lists of the context alike. Each walk is charged and
// capped.
#include <numeric>
#include <string>
#include <vector>

#include "context.h"
#include "env.h"
#include "freeze.h"
#include "lua_money.h"
#include "velocity.h"

namespace interlock::policies {
namespace {

// Calls the function at `function` with the element at `at` of the list at 1; leaves element and
// result.
void CallWithElement(lua_State* lua, int function, std::int64_t at) {
  PushElement(lua, 1, at);
  lua_pushvalue(lua, function);
  lua_pushvalue(lua, -2);
  lua_call(lua, 1, 1);
}

std::int64_t CheckWalk(lua_State* lua) {
  if (lua_type(lua, 2) != LUA_TFUNCTION) Raise(lua, "a function is wanted as second argument");
  return ListLength(lua, 1);
}

// Pushes the first element for which the function's truth is `wanted`; says whether there was one.
bool PushFirst(lua_State* lua, bool wanted) {
  const std::int64_t size = CheckWalk(lua);
  for (std::int64_t at = 1; at <= size; ++at) {
    CallWithElement(lua, 2, at);
    const bool truth = lua_toboolean(lua, -1) != 0;
    lua_pop(lua, 1);
    if (truth == wanted) return true;
    lua_pop(lua, 1);
  }
  return false;
}

int Any(lua_State* lua) { return lua_pushboolean(lua, PushFirst(lua, true)), 1; }
int All(lua_State* lua) { return lua_pushboolean(lua, !PushFirst(lua, false)), 1; }

int Find(lua_State* lua) {
  if (!PushFirst(lua, true)) lua_pushnil(lua);
  return 1;
}

int Filter(lua_State* lua) {
  const std::int64_t size = CheckWalk(lua);
  lua_newtable(lua);
  lua_Integer kept = 0;
  for (std::int64_t at = 1; at <= size; ++at) {
    CallWithElement(lua, 2, at);
    const bool keep = lua_toboolean(lua, -1) != 0;
    lua_pop(lua, 1);
    if (keep) {
      lua_rawseti(lua, -2, ++kept);
    } else {
      lua_pop(lua, 1);
    }
  }
  return 1;
}

int Map(lua_State* lua) {
  const std::int64_t size = CheckWalk(lua);
  lua_newtable(lua);
  for (std::int64_t at = 1; at <= size; ++at) {
    CallWithElement(lua, 2, at);
    if (lua_isnil(lua, -1)) Raise(lua, "the function of map must return something");
    lua_rawseti(lua, -3, at);
    lua_pop(lua, 1);
  }
  return 1;
}

// Adds numbers or money; the sum of nothing is 0.
int Sum(lua_State* lua) {
  if (AsksVelocity(lua, 1)) return SumOfVelocity(lua);
  const bool mapped = lua_type(lua, 2) == LUA_TFUNCTION;
  const std::int64_t size = ListLength(lua, 1);
  lua_settop(lua, 2);
  lua_pushinteger(lua, 0);
  for (std::int64_t at = 1; at <= size; ++at) {
    if (mapped) {
      CallWithElement(lua, 2, at);
      lua_remove(lua, -2);
    } else {
      PushElement(lua, 1, at);
    }
    if (MoneyAt(lua, -1) == nullptr && lua_type(lua, -1) != LUA_TNUMBER) {
      Raise(lua, std::string("sum adds numbers or money, not ") + luaL_typename(lua, -1));
    }
    if (at > 1) {
      lua_arith(lua, LUA_OPADD);
    } else {
      lua_remove(lua, -2);
    }
  }
  return 1;
}

std::int64_t CountEqual(lua_State* lua, bool stop_at_first) {
  if (lua_gettop(lua) != 2) Raise(lua, "a list and a value are wanted");
  const std::int64_t size = ListLength(lua, 1);
  std::int64_t count = 0;
  for (std::int64_t at = 1; at <= size && !(stop_at_first && count > 0); ++at) {
    PushElement(lua, 1, at);
    count += lua_compare(lua, -1, 2, LUA_OPEQ);
    lua_pop(lua, 1);
  }
  return count;
}

int Contains(lua_State* lua) {
  if (lua_type(lua, 1) != LUA_TSTRING) {
    lua_pushboolean(lua, CountEqual(lua, true) > 0);
    return 1;
  }
  const std::string_view text = CheckText(lua, 1, "a text");
  const std::string_view part = CheckText(lua, 2, "what contains looks for");
  Vm::Of(lua).Charge(static_cast<std::int64_t>((text.size() + part.size()) / 16));
  lua_pushboolean(lua, FindText(text, part, 0) != std::string_view::npos);
  return 1;
}

int CountOf(lua_State* lua) { return lua_pushinteger(lua, CountEqual(lua, false)), 1; }

// The keys of an object or table in the order of pairs.
int Keys(lua_State* lua) {
  if (Context::IsNode(lua, 1)) {
    Context::PushKeys(lua, 1);
    return 1;
  }
  lua_getfield(lua, lua_upvalueindex(1), "pairs");
  lua_pushvalue(lua, 1);
  lua_call(lua, 1, 1);
  lua_newtable(lua);
  for (lua_Integer at = 1;; ++at) {
    lua_pushvalue(lua, -2);
    lua_call(lua, 0, 1);
    if (lua_isnil(lua, -1)) break;
    lua_rawseti(lua, -2, at);
  }
  lua_pop(lua, 1);
  return 1;
}

// A table with `true` for each element, to look things up in.
int Set(lua_State* lua) {
  const std::int64_t size = ListLength(lua, 1);
  lua_createtable(lua, 0, static_cast<int>(size));
  for (std::int64_t at = 1; at <= size; ++at) {
    PushElement(lua, 1, at);
    lua_pushboolean(lua, 1);
    lua_rawset(lua, -3);
  }
  return 1;
}

int Concat(lua_State* lua) {
  const std::int64_t size = ListLength(lua, 1);
  const std::string separator(lua_isnoneornil(lua, 2) ? "" : CheckText(lua, 2, "a separator"));
  std::string out;
  for (std::int64_t at = 1; at <= size; ++at) {
    lua_pushcfunction(lua, &ToText);
    PushElement(lua, 1, at);
    lua_call(lua, 1, 1);
    if (at > 1) out += separator;
    out += CheckText(lua, -1, "an element");
    lua_pop(lua, 1);
    if (out.size() > kTextBytesMax) Raise(lua, "table.concat would be longer than 64 KiB");
  }
  Vm::Of(lua).Charge(static_cast<std::int64_t>(out.size() / 16));
  lua_pushlstring(lua, out.data(), out.size());
  return 1;
}

void CheckOwnTable(lua_State* lua) {
  if (lua_type(lua, 1) != LUA_TTABLE) Raise(lua, "only a table made in the rule can be changed");
}

int Insert(lua_State* lua) {
  CheckOwnTable(lua);
  const std::int64_t size = ListLength(lua, 1);
  if (size >= kListItemsMax) Raise(lua, "a list of more than 10000 elements");
  if (lua_gettop(lua) == 2) return lua_rawseti(lua, 1, size + 1), 0;
  const lua_Integer at = luaL_checkinteger(lua, 2);
  if (lua_gettop(lua) != 3 || at < 1 || at > size + 1) Raise(lua, "no such position to insert at");
  for (lua_Integer i = size; i >= at; --i) {
    lua_rawgeti(lua, 1, i);
    lua_rawseti(lua, 1, i + 1);
  }
  lua_rawseti(lua, 1, at);
  return 0;
}

int Remove(lua_State* lua) {
  CheckOwnTable(lua);
  const std::int64_t size = ListLength(lua, 1);
  const lua_Integer at = luaL_optinteger(lua, 2, size);
  if (size == 0) return lua_pushnil(lua), 1;
  if (at < 1 || at > size) Raise(lua, "no such position to remove");
  lua_rawgeti(lua, 1, at);
  for (lua_Integer i = at; i <= size; ++i) {
    lua_rawgeti(lua, 1, i + 1);
    lua_rawseti(lua, 1, i);
  }
  return 1;
}

// Whether element a of the copy at `copy` comes before b.
bool Before(lua_State* lua, int copy, int a, int b) {
  const bool own = lua_type(lua, 2) == LUA_TFUNCTION;
  if (own) lua_pushvalue(lua, 2);
  lua_rawgeti(lua, copy, a);
  lua_rawgeti(lua, copy, b);
  bool before = false;
  if (own) {
    lua_call(lua, 2, 1);
    before = lua_toboolean(lua, -1) != 0;
    lua_pop(lua, 1);
  } else {
    before = lua_compare(lua, -2, -1, LUA_OPLT) != 0;
    lua_pop(lua, 2);
  }
  return before;
}

// A merge sort stays in bounds whatever the comparison answers.
void MergeSort(lua_State* lua, int copy, std::vector<int>& order) {
  std::vector<int> merged(order.size());
  for (std::size_t width = 1; width < order.size(); width *= 2) {
    for (std::size_t from = 0; from < order.size(); from += 2 * width) {
      const std::size_t middle = std::min(from + width, order.size());
      const std::size_t end = std::min(from + 2 * width, order.size());
      std::size_t left = from;
      std::size_t right = middle;
      for (std::size_t out = from; out < end; ++out) {
        const bool take_right =
            left == middle || (right < end && Before(lua, copy, order[right], order[left]));
        merged[out] = take_right ? order[right++] : order[left++];
      }
    }
    order.swap(merged);
  }
}

int Sort(lua_State* lua) {
  CheckOwnTable(lua);
  lua_settop(lua, 2);
  const std::int64_t size = ListLength(lua, 1);
  Vm::Of(lua).Charge(size * 8);
  lua_createtable(lua, static_cast<int>(size), 0);
  for (std::int64_t at = 1; at <= size; ++at) {
    lua_rawgeti(lua, 1, at);
    lua_rawseti(lua, 3, at);
  }
  std::vector<int> order(static_cast<std::size_t>(size));
  std::iota(order.begin(), order.end(), 1);
  MergeSort(lua, 3, order);
  for (std::size_t i = 0; i < order.size(); ++i) {
    lua_rawgeti(lua, 3, order[i]);
    lua_rawseti(lua, 1, static_cast<lua_Integer>(i) + 1);
  }
  return 0;
}

int Unpack(lua_State* lua) {
  const std::int64_t size = ListLength(lua, 1);
  if (size > 200) Raise(lua, "table.unpack gives at most 200 values");
  luaL_checkstack(lua, static_cast<int>(size), "too many values");
  for (std::int64_t at = 1; at <= size; ++at) PushElement(lua, 1, at);
  return static_cast<int>(size);
}

}  // namespace

std::int64_t ListLength(lua_State* lua, int index) {
  std::int64_t size = 0;
  if (const core::Json* list = Context::JsonAt(lua, index); list != nullptr) {
    if (!list->is_array()) Raise(lua, "a list is wanted, not an object");
    size = static_cast<std::int64_t>(list->size());
  } else {
    PushTableOf(lua, index, "a list");
    size = static_cast<std::int64_t>(lua_rawlen(lua, -1));
    lua_pop(lua, 1);
  }
  if (size > kListItemsMax) Raise(lua, "a list of more than 10000 elements");
  Vm::Of(lua).Charge(size / 4);
  return size;
}

void PushElement(lua_State* lua, int index, std::int64_t at) {
  if (Context::IsNode(lua, index)) {
    lua_pushinteger(lua, at);
    Context::PushMember(lua, index, lua_gettop(lua));
  } else {
    PushTableOf(lua, index, "a list");
    lua_rawgeti(lua, -1, at);
  }
  lua_remove(lua, -2);
}

void AddListFunctions(lua_State* lua) {
  constexpr luaL_Reg kTable[] = {{"concat", Concat}, {"insert", Insert}, {"remove", Remove},
                                 {"sort", Sort},     {"unpack", Unpack}, {nullptr, nullptr}};
  lua_newtable(lua);
  luaL_setfuncs(lua, kTable, 0);
  lua_setfield(lua, -2, "table");
  constexpr luaL_Reg kGlobal[] = {{"any", Any},           {"all", All},          {"find", Find},
                                  {"filter", Filter},     {"map", Map},          {"sum", Sum},
                                  {"contains", Contains}, {"count_of", CountOf}, {"set", Set},
                                  {nullptr, nullptr}};
  luaL_setfuncs(lua, kGlobal, 0);
  lua_pushvalue(lua, -1);
  lua_pushcclosure(lua, &Keys, 1);
  lua_setfield(lua, -2, "keys");
}

}  // namespace interlock::policies
