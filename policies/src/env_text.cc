// Texts: bytes, compared and changed by byte value, every result capped.
#include <cstring>
#include <string>

#include "core/glob.h"
#include "env.h"

namespace interlock::policies {
namespace {

void Charge(lua_State* lua, std::size_t bytes) {
  Vm::Of(lua).Charge(static_cast<std::int64_t>(bytes / 16));
}

int GiveText(lua_State* lua, std::string_view text) {
  Charge(lua, text.size());
  lua_pushlstring(lua, text.data(), text.size());
  return 1;
}

// Lua's positions: from 1, negative ones from the end.
std::size_t PositionOf(lua_Integer position, std::size_t size) {
  if (position > 0) return static_cast<std::size_t>(position);
  if (position == 0 || position < -static_cast<lua_Integer>(size)) return position == 0 ? 0 : 1;
  return size + static_cast<std::size_t>(position + 1);
}

int Byte(lua_State* lua) {
  const std::string_view text = CheckText(lua, 1, "a text");
  const std::size_t at = PositionOf(luaL_optinteger(lua, 2, 1), text.size());
  if (at < 1 || at > text.size()) return lua_pushnil(lua), 1;
  lua_pushinteger(lua, static_cast<unsigned char>(text[at - 1]));
  return 1;
}

int Sub(lua_State* lua) {
  const std::string_view text = CheckText(lua, 1, "a text");
  const lua_Integer last = luaL_optinteger(lua, 3, -1);
  const lua_Integer size = static_cast<lua_Integer>(text.size());
  std::size_t from = PositionOf(luaL_checkinteger(lua, 2), text.size());
  if (from == 0) from = 1;
  const lua_Integer to = last < 0 ? size + last + 1 : std::min(last, size);
  if (to < static_cast<lua_Integer>(from)) return GiveText(lua, "");
  return GiveText(lua, text.substr(from - 1, static_cast<std::size_t>(to) - from + 1));
}

int MapBytes(lua_State* lua, char (*map)(char)) {
  std::string text(CheckText(lua, 1, "a text"));
  for (char& c : text) c = map(c);
  return GiveText(lua, text);
}

int Lower(lua_State* lua) {
  return MapBytes(lua, [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
}

int Upper(lua_State* lua) {
  return MapBytes(lua, [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
}

int Length(lua_State* lua) {
  lua_pushinteger(lua, static_cast<lua_Integer>(CheckText(lua, 1, "a text").size()));
  return 1;
}

int Repeat(lua_State* lua) {
  const std::string_view text = CheckText(lua, 1, "a text");
  const lua_Integer count = std::max<lua_Integer>(0, luaL_checkinteger(lua, 2));
  if (text.empty() || count == 0) return GiveText(lua, "");
  if (static_cast<std::size_t>(count) > kTextBytesMax / text.size()) {
    Raise(lua, "string.rep would be longer than 64 KiB");
  }
  std::string out;
  out.reserve(text.size() * static_cast<std::size_t>(count));
  for (lua_Integer i = 0; i < count; ++i) out += text;
  return GiveText(lua, out);
}

// One argument of format as text.
std::string Formatted(lua_State* lua, char kind, int index) {
  if (kind == 'd') {
    if (lua_isinteger(lua, index) == 0) Raise(lua, "%d wants an integer");
    return std::to_string(lua_tointeger(lua, index));
  }
  if (kind != 's' && kind != 'q') Raise(lua, "format knows %d, %s, %q and %%");
  if (index > lua_gettop(lua)) Raise(lua, "format has too few arguments");
  lua_pushcfunction(lua, &ToText);
  lua_pushvalue(lua, index);
  lua_call(lua, 1, 1);
  const std::string plain(CheckText(lua, -1, "an argument of format"));
  lua_pop(lua, 1);
  if (kind == 's') return plain;
  std::string quoted = "\"";
  for (const char c : plain) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c == '\n' ? ' ' : c;
  }
  return quoted + "\"";
}

int Format(lua_State* lua) {
  const std::string pattern(CheckText(lua, 1, "a format"));
  std::string out;
  int argument = 1;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%') {
      out += pattern[i];
    } else if (++i == pattern.size()) {
      Raise(lua, "format ends in %");
    } else {
      out += pattern[i] == '%' ? "%" : Formatted(lua, pattern[i], ++argument);
    }
    if (out.size() > kTextBytesMax) Raise(lua, "string.format would be longer than 64 KiB");
  }
  return GiveText(lua, out);
}

int StartsWith(lua_State* lua) {
  const std::string_view text = CheckText(lua, 1, "a text");
  lua_pushboolean(lua, text.starts_with(CheckText(lua, 2, "a text")));
  return 1;
}

int EndsWith(lua_State* lua) {
  const std::string_view text = CheckText(lua, 1, "a text");
  lua_pushboolean(lua, text.ends_with(CheckText(lua, 2, "a text")));
  return 1;
}

int Trim(lua_State* lua) {
  std::string_view text = CheckText(lua, 1, "a text");
  constexpr std::string_view kBlank = " \t\r\n\v\f";
  const std::size_t from = text.find_first_not_of(kBlank);
  if (from == std::string_view::npos) return GiveText(lua, "");
  return GiveText(lua, text.substr(from, text.find_last_not_of(kBlank) - from + 1));
}

int Split(lua_State* lua) {
  const std::string_view text = CheckText(lua, 1, "a text");
  const std::string_view separator = CheckText(lua, 2, "a separator");
  if (separator.empty()) Raise(lua, "a separator must not be empty");
  Charge(lua, text.size());
  lua_newtable(lua);
  lua_Integer count = 0;
  for (std::size_t from = 0; from <= text.size();) {
    const std::size_t to = std::min(FindText(text, separator, from), text.size());
    if (count >= kListItemsMax) Raise(lua, "split gives too many parts");
    GiveText(lua, text.substr(from, to - from));
    lua_rawseti(lua, -2, ++count);
    from = to + separator.size();
  }
  return 1;
}

int Glob(lua_State* lua) {
  const std::string_view glob = CheckText(lua, 1, "a glob");
  const std::string_view text = CheckText(lua, 2, "a text");
  if (glob.size() > 256) Raise(lua, "a glob of more than 256 bytes");
  Vm::Of(lua).Charge(static_cast<std::int64_t>(text.size() * glob.size() / 16));
  lua_pushboolean(lua, core::GlobMatches(glob, text));
  return 1;
}

}  // namespace

std::size_t FindText(std::string_view text, std::string_view part, std::size_t from) {
  if (from > text.size()) return std::string_view::npos;
  const void* at = memmem(text.data() + from, text.size() - from, part.data(), part.size());
  if (at == nullptr) return std::string_view::npos;
  return static_cast<std::size_t>(static_cast<const char*>(at) - text.data());
}

void AddTextFunctions(lua_State* lua) {
  constexpr luaL_Reg kText[] = {{"byte", Byte},          {"sub", Sub},
                                {"lower", Lower},        {"upper", Upper},
                                {"len", Length},         {"rep", Repeat},
                                {"format", Format},      {"trim", Trim},
                                {"split", Split},        {"starts_with", StartsWith},
                                {"ends_with", EndsWith}, {nullptr, nullptr}};
  lua_newtable(lua);
  luaL_setfuncs(lua, kText, 0);
  lua_setfield(lua, -2, "string");
  constexpr luaL_Reg kGlobal[] = {{"starts_with", StartsWith},
                                  {"ends_with", EndsWith},
                                  {"trim", Trim},
                                  {"split", Split},
                                  {"glob", Glob},
                                  {"lower", Lower},
                                  {"upper", Upper},
                                  {nullptr, nullptr}};
  luaL_setfuncs(lua, kGlobal, 0);
}

}  // namespace interlock::policies
