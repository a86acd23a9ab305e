#include "freeze.h"

#include <string>

namespace interlock::policies {
namespace {

constexpr char kMemo = 0;  // registry key: table or function -> its proxy or true
constexpr int kFreezeDepthMax = 64;

struct Frozen {
  UserdataHead head;
};

int RefuseWrite(lua_State* lua) {
  Raise(lua, "this table is read-only; rules keep nothing between decisions");
}

int Length(lua_State* lua) {
  lua_pushinteger(lua, luaL_len(lua, lua_upvalueindex(1)));
  return 1;
}

void PushMemo(lua_State* lua) {
  if (lua_rawgetp(lua, LUA_REGISTRYINDEX, &kMemo) == LUA_TTABLE) return;
  lua_pop(lua, 1);
  lua_newtable(lua);
  lua_pushvalue(lua, -1);
  lua_rawsetp(lua, LUA_REGISTRYINDEX, &kMemo);
}

// Table on top -> proxy on top; the table's content is not yet frozen.
void PushProxyOf(lua_State* lua, int table) {
  auto* frozen = static_cast<Frozen*>(lua_newuserdatauv(lua, sizeof(Frozen), 0));
  frozen->head.kind = Kind::kFrozen;
  lua_createtable(lua, 0, 4);
  lua_pushvalue(lua, table);
  lua_setfield(lua, -2, "__index");
  lua_pushcfunction(lua, &RefuseWrite);
  lua_setfield(lua, -2, "__newindex");
  lua_pushvalue(lua, table);
  lua_pushcclosure(lua, &Length, 1);
  lua_setfield(lua, -2, "__len");
  lua_pushboolean(lua, 0);
  lua_setfield(lua, -2, "__metatable");
  lua_setmetatable(lua, -2);
}

void FreezeValue(lua_State* lua, int depth);

// The table at `table`: every member is replaced by its frozen form. Keys stay as they are.
void FreezeMembers(lua_State* lua, int table, int depth) {
  lua_pushnil(lua);
  while (lua_next(lua, table) != 0) {
    const int type = lua_type(lua, -1);
    if (type == LUA_TTABLE || type == LUA_TFUNCTION) {
      FreezeValue(lua, depth + 1);
      lua_pushvalue(lua, -2);
      lua_insert(lua, -2);
      lua_rawset(lua, table);  // an assignment to a present key is allowed while walking
    } else {
      lua_pop(lua, 1);
    }
  }
}

void FreezeUpvalues(lua_State* lua, int function, int depth) {
  for (int i = 1; lua_getupvalue(lua, function, i) != nullptr; ++i) {
    FreezeValue(lua, depth + 1);
    if (lua_setupvalue(lua, function, i) == nullptr) lua_pop(lua, 1);
  }
}

// Replaces the value on top by its frozen form.
void FreezeValue(lua_State* lua, int depth) {
  const int type = lua_type(lua, -1);
  if (type != LUA_TTABLE && type != LUA_TFUNCTION) return;
  if (type == LUA_TFUNCTION && lua_iscfunction(lua, -1) != 0) return;
  if (depth > kFreezeDepthMax) Raise(lua, "tables are nested too deep to be frozen");
  luaL_checkstack(lua, 12, "tables are nested too deep");
  const int value = lua_gettop(lua);
  PushMemo(lua);
  lua_pushvalue(lua, value);
  if (lua_rawget(lua, -2) != LUA_TNIL) {
    lua_replace(lua, value);
    lua_settop(lua, value);
    return;
  }
  lua_pop(lua, 1);
  if (type == LUA_TTABLE) {
    PushProxyOf(lua, value);
  } else {
    lua_pushvalue(lua, value);
  }
  lua_pushvalue(lua, value);
  lua_pushvalue(lua, -2);
  lua_rawset(lua, value + 1);  // before the walk, so that cycles end
  if (type == LUA_TTABLE) {
    FreezeMembers(lua, value, depth);
  } else {
    FreezeUpvalues(lua, value, depth);
  }
  lua_replace(lua, value);
  lua_settop(lua, value);
}

}  // namespace

void FreezeTable(lua_State* lua) { FreezeValue(lua, 0); }
void FreezeFunction(lua_State* lua) { FreezeValue(lua, 0); }

bool PushFrozenTable(lua_State* lua, int index) {
  if (UserdataOf<Frozen>(lua, index, Kind::kFrozen) == nullptr) return false;
  lua_getmetatable(lua, index);
  lua_pushliteral(lua, "__index");
  lua_rawget(lua, -2);
  lua_remove(lua, -2);
  return true;
}

void PushTableOf(lua_State* lua, int index, const char* what) {
  if (PushFrozenTable(lua, index)) return;
  if (lua_type(lua, index) != LUA_TTABLE) {
    Raise(lua, std::string(what) + " must be a table, not " + luaL_typename(lua, index));
  }
  lua_pushvalue(lua, index);
}

}  // namespace interlock::policies
