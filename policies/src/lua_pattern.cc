#include <algorithm>
#include <new>

#include "env.h"
#include "freeze.h"
#include "patterns.h"

namespace interlock::policies {
namespace {

constexpr std::size_t kPatternsMax = 64;  // in one set
constexpr std::size_t kPatternBytesMax = 1024;
constexpr std::int64_t kPatternMemoryMax = 256 * 1024;  // bytes of program and DFA each
constexpr char kMetatable = 0;

struct PatternSet {
  UserdataHead head;
  std::shared_ptr<const PatternList>* patterns;
};

PatternSet& CheckPatterns(lua_State* lua) {
  auto* set = UserdataOf<PatternSet>(lua, 1, Kind::kPatterns);
  if (set == nullptr) Raise(lua, "write P:find(text), where P is made by patterns { … }");
  return *set;
}

const Pattern* MatchOfArguments(lua_State* lua) {
  const PatternList& patterns = **CheckPatterns(lua).patterns;
  const std::string_view text = CheckText(lua, 2, "what patterns look at");
  Vm::Of(lua).Charge(MatchWork(patterns, text));
  return FirstMatch(patterns, text);
}

int Find(lua_State* lua) {
  const Pattern* match = MatchOfArguments(lua);
  if (match == nullptr) return lua_pushnil(lua), 1;
  lua_pushlstring(lua, match->name.data(), match->name.size());
  return 1;
}

int Matches(lua_State* lua) { return lua_pushboolean(lua, MatchOfArguments(lua) != nullptr), 1; }

int Collect(lua_State* lua) {
  auto* set = static_cast<PatternSet*>(lua_touserdata(lua, 1));
  delete set->patterns;
  set->patterns = nullptr;
  return 0;
}

int Index(lua_State* lua) {
  const std::string_view key = CheckText(lua, 2, "a method of patterns");
  if (key == "find") return lua_pushcfunction(lua, &Find), 1;
  if (key == "matches") return lua_pushcfunction(lua, &Matches), 1;
  Raise(lua, "patterns have find and matches, not `" + std::string(key) + "`");
}

int RefuseWrite(lua_State* lua) { Raise(lua, "patterns are read-only"); }

void SetMetatable(lua_State* lua) {
  if (lua_rawgetp(lua, LUA_REGISTRYINDEX, &kMetatable) != LUA_TTABLE) {
    lua_pop(lua, 1);
    lua_createtable(lua, 0, 4);
    constexpr luaL_Reg kMethods[] = {
        {"__index", Index}, {"__newindex", RefuseWrite}, {"__gc", Collect}, {nullptr, nullptr}};
    luaL_setfuncs(lua, kMethods, 0);
    lua_pushboolean(lua, 0);
    lua_setfield(lua, -2, "__metatable");
    lua_pushvalue(lua, -1);
    lua_rawsetp(lua, LUA_REGISTRYINDEX, &kMetatable);
  }
  lua_setmetatable(lua, -2);
}

Pattern Compile(lua_State* lua, std::string_view name, std::string_view text) {
  if (text.size() > kPatternBytesMax) Raise(lua, "a pattern of more than 1 KiB");
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kPatternMemoryMax);
  auto expression = std::make_unique<re2::RE2>(re2::StringPiece(text.data(), text.size()), options);
  if (!expression->ok()) {
    Raise(lua, "pattern `" + std::string(name) + "`: " + expression->error());
  }
  return {.name = std::string(name), .expression = std::move(expression)};
}

int MakePatterns(lua_State* lua) {
  CheckLoading(lua, "patterns { … }");
  PushTableOf(lua, 1, "patterns");
  const int table = lua_gettop(lua);
  auto patterns = std::make_unique<PatternList>();
  lua_pushnil(lua);
  while (lua_next(lua, table) != 0) {
    const std::string_view name = CheckText(lua, -2, "the name of a pattern");
    patterns->push_back(Compile(lua, name, CheckText(lua, -1, "a pattern")));
    if (patterns->size() > kPatternsMax) Raise(lua, "more than 64 patterns in one set");
    lua_pop(lua, 1);
  }
  std::sort(patterns->begin(), patterns->end(),
            [](const Pattern& a, const Pattern& b) { return a.name < b.name; });
  auto* set = static_cast<PatternSet*>(lua_newuserdatauv(lua, sizeof(PatternSet), 0));
  *set = {.head = {Kind::kPatterns}, .patterns = nullptr};
  SetMetatable(lua);
  set->patterns = new std::shared_ptr<const PatternList>(std::move(patterns));
  return 1;
}

}  // namespace

const Pattern* FirstMatch(const PatternList& patterns, std::string_view text) {
  const re2::StringPiece piece(text.data(), text.size());
  for (const Pattern& pattern : patterns) {
    if (re2::RE2::PartialMatch(piece, *pattern.expression)) return &pattern;
  }
  return nullptr;
}

std::int64_t MatchWork(const PatternList& patterns, std::string_view text) {
  return static_cast<std::int64_t>(patterns.size() * (text.size() / 32 + 1));
}

std::shared_ptr<const PatternList> PatternsAt(lua_State* lua, int index) {
  const auto* set = UserdataOf<PatternSet>(lua, index, Kind::kPatterns);
  return set == nullptr ? nullptr : *set->patterns;
}

void AddPatternFunctions(lua_State* lua) {
  lua_pushcfunction(lua, &MakePatterns);
  lua_setfield(lua, -2, "patterns");
}

}  // namespace interlock::policies
