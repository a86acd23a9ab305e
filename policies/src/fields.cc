#include "fields.h"

#include <algorithm>

#include "env.h"
#include "freeze.h"
#include "lua_time.h"
#include "selector.h"

namespace interlock::policies {
namespace {

// Upvalues: the name and what takes it.
int Take(lua_State* lua) {
  const lua_CFunction take = lua_tocfunction(lua, lua_upvalueindex(2));
  lua_settop(lua, 1);
  lua_pushvalue(lua, lua_upvalueindex(1));
  lua_insert(lua, 1);
  return take(lua);
}

}  // namespace

Fields::Fields(lua_State* lua, int index, std::string what, const std::vector<std::string>& known)
    : lua_(lua), what_(std::move(what)) {
  luaL_checkstack(lua, 24, "too deep");
  PushTableOf(lua, index, what_.c_str());
  table_ = lua_gettop(lua);
  std::vector<std::string> unknown;
  for (lua_pushnil(lua); lua_next(lua, table_) != 0; lua_pop(lua, 1)) {
    const bool is_text = lua_type(lua, -2) == LUA_TSTRING;
    std::string name = is_text ? lua_tostring(lua, -2) : "a field without a name";
    if (!is_text || std::find(known.begin(), known.end(), name) == known.end()) {
      unknown.push_back(std::move(name));
    }
  }
  if (unknown.empty()) return;
  std::sort(unknown.begin(), unknown.end());
  Raise(lua, what_ + " has no field `" + unknown[0] + "`" + DidYouMean(unknown[0], known));
}

int Fields::Push(const char* name) const {
  lua_pushstring(lua_, name);
  lua_rawget(lua_, table_);
  return lua_gettop(lua_);
}

bool Fields::Has(const char* name) const {
  const bool has = lua_type(lua_, Push(name)) != LUA_TNIL;
  lua_pop(lua_, 1);
  return has;
}

void Fields::Missing(const char* name) const {
  Raise(lua_, what_ + " needs the field `" + name + "`");
}

std::string Fields::Text(const char* name) const {
  if (!Has(name)) Missing(name);
  std::string text = TextOr(name, "");
  if (text.empty()) Missing(name);
  return text;
}

std::string Fields::TextOr(const char* name, std::string_view otherwise) const {
  if (!Has(name)) return std::string(otherwise);
  std::string text(CheckText(lua_, Push(name), (what_ + "." + name).c_str()));
  lua_pop(lua_, 1);
  return text;
}

std::vector<std::string> Fields::Texts(const char* name) const {
  if (!Has(name)) Missing(name);
  const int list = Push(name);
  std::vector<std::string> texts;
  const std::int64_t size = ListLength(lua_, list);
  for (std::int64_t at = 1; at <= size; ++at) {
    PushElement(lua_, list, at);
    texts.emplace_back(CheckText(lua_, -1, (what_ + "." + name).c_str()));
    lua_pop(lua_, 1);
  }
  lua_pop(lua_, 1);
  if (texts.empty()) Missing(name);
  return texts;
}

std::int64_t Fields::SpanMs(const char* name) const {
  const std::string text = Text(name);
  const std::optional<std::int64_t> span = ParseSpanMs(text);
  if (!span) {
    Raise(lua_,
          what_ + "." + name + " is no span; write 30s, 15m, 4h, 1d or 2w, not `" + text + "`");
  }
  return *span;
}

std::int64_t Fields::IntegerOr(const char* name, std::int64_t otherwise) const {
  if (!Has(name)) return otherwise;
  const int at = Push(name);
  if (lua_isinteger(lua_, at) == 0) Raise(lua_, what_ + "." + name + " must be an integer");
  const std::int64_t value = lua_tointeger(lua_, at);
  lua_pop(lua_, 1);
  return value;
}

int PushTaker(lua_State* lua, lua_CFunction take) {
  lua_settop(lua, 1);
  lua_pushcfunction(lua, take);
  lua_pushcclosure(lua, &Take, 2);
  return 1;
}

bool IsName(std::string_view text) {
  return !text.empty() && text.size() <= 128 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

}  // namespace interlock::policies
