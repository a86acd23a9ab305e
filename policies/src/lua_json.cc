#include "lua_json.h"

#include <cmath>

#include "context.h"
#include "env.h"
#include "freeze.h"
#include "lua_money.h"

namespace interlock::policies {
namespace {

constexpr int kJsonDepthMax = 32;
constexpr std::int64_t kIntegerMax = (std::int64_t{1} << 53) - 1;

// What one conversion carries along.
struct Walk {
  std::int64_t values = 0;
  MoneyAs money = MoneyAs::kRefused;
};

core::Json Convert(lua_State* lua, int index, int depth, Walk& walk);

core::Json ConvertNumber(lua_State* lua, int index) {
  if (lua_isinteger(lua, index) != 0) {
    const std::int64_t value = lua_tointeger(lua, index);
    if (value > kIntegerMax || value < -kIntegerMax) Raise(lua, "an integer beyond 2^53");
    return value;
  }
  const double value = lua_tonumber(lua, index);
  if (!std::isfinite(value)) Raise(lua, "a number that is not finite");
  return value;
}

core::Json ConvertText(lua_State* lua, int index) {
  std::string text(CheckText(lua, index, "a text"));
  std::string quoted;
  core::AppendJsonString(text, quoted);
  // Bytes that are no UTF-8 become U+FFFD, as in every entry.
  const core::StatusOr<core::Json> clean = core::ParseJson(quoted, core::kPayloadLimits);
  return clean.ok() ? *clean : core::Json("");
}

core::Json ConvertTable(lua_State* lua, int table, int depth, Walk& walk) {
  const auto size = static_cast<std::int64_t>(lua_rawlen(lua, table));
  core::Json list = core::Json::array();
  core::Json object = core::Json::object();
  std::int64_t members = 0;
  for (lua_pushnil(lua); lua_next(lua, table) != 0; lua_pop(lua, 1)) {
    ++members;
    if (size > 0) continue;
    object[std::string(CheckText(lua, -2, "the name of a field"))] =
        Convert(lua, lua_gettop(lua), depth + 1, walk);
  }
  if (size == 0) return members == 0 ? list : object;
  if (members != size) Raise(lua, "a table that is half a list and half an object");
  for (std::int64_t at = 1; at <= size; ++at) {
    lua_rawgeti(lua, table, at);
    list.push_back(Convert(lua, lua_gettop(lua), depth + 1, walk));
    lua_pop(lua, 1);
  }
  return list;
}

core::Json Convert(lua_State* lua, int index, int depth, Walk& walk) {
  if (depth > kJsonDepthMax || ++walk.values > kListItemsMax)
    Raise(lua, "a value too deep or too large");
  Vm::Of(lua).Charge(1);
  luaL_checkstack(lua, 8, "a value too deep");
  if (const core::Json* node = Context::JsonAt(lua, index); node != nullptr) return *node;
  if (const LuaMoney* money = MoneyAt(lua, index);
      money != nullptr && walk.money != MoneyAs::kRefused) {
    if (walk.money == MoneyAs::kTold) return {{kToldMinor, money->minor}};
    return money->minor;
  }
  switch (lua_type(lua, index)) {
    case LUA_TBOOLEAN:
      return lua_toboolean(lua, index) != 0;
    case LUA_TNUMBER:
      return ConvertNumber(lua, index);
    case LUA_TSTRING:
      return ConvertText(lua, index);
    default:
      break;
  }
  PushTableOf(lua, index, "a value (money: write m.minor or m.amount)");
  core::Json out = ConvertTable(lua, lua_gettop(lua), depth, walk);
  lua_pop(lua, 1);
  return out;
}

}  // namespace

core::Json JsonFrom(lua_State* lua, int index, MoneyAs money) {
  Walk walk{.values = 0, .money = money};
  return Convert(lua, lua_absindex(lua, index), 0, walk);
}

}  // namespace interlock::policies
