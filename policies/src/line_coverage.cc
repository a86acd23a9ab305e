#include "line_coverage.h"

#include "bytecode.h"

namespace interlock::policies {
namespace {

struct Scan {
  const BundleFile* file = nullptr;
  std::set<int> lines{};
};

// In a protected call; the argument is a Scan.
int ScanFile(lua_State* lua) {
  auto* scan = static_cast<Scan*>(lua_touserdata(lua, 1));
  const std::string name = "@" + scan->file->path;
  const std::string& text = scan->file->text;
  if (luaL_loadbufferx(lua, text.data(), text.size(), name.c_str(), "t") != LUA_OK) {
    return lua_error(lua);
  }
  scan->lines = ScanFunction(lua).inner_lines;
  return 0;
}

// The first and last line of a function.
std::pair<int, int> SpanOf(Program& program, int function) {
  lua_State* lua = program.vm().lua();
  lua_Debug where;
  lua_rawgeti(lua, LUA_REGISTRYINDEX, function);
  lua_getinfo(lua, ">S", &where);
  return {where.linedefined, where.lastlinedefined};
}

}  // namespace

std::vector<FileCoverage> CoverageOf(Program& program, const std::vector<BundleFile>& files,
                                     const std::set<std::pair<std::string, int>>& ran) {
  std::vector<FileCoverage> coverage;
  for (const BundleFile& file : files) {
    Scan scan{.file = &file};
    lua_State* lua = program.vm().lua();
    lua_pushcfunction(lua, &ScanFile);
    lua_pushlightuserdata(lua, &scan);
    program.vm().Call(1, kLoadFuel);
    lua_settop(lua, 0);
    for (const Invariant& invariant : program.invariants()) {
      if (invariant.rule.table != nullptr || invariant.rule.place.file != file.path) continue;
      const auto [first, last] = SpanOf(program, invariant.rule.function);
      scan.lines.erase(scan.lines.lower_bound(first), scan.lines.upper_bound(last));
    }
    for (const Rule& rule : program.rules()) {
      if (rule.table != nullptr && rule.place.file == file.path) scan.lines.insert(rule.place.line);
    }
    FileCoverage one{.file = file.path, .lines = scan.lines.size()};
    for (const int line : scan.lines) {
      if (!ran.contains({file.path, line})) one.missed.push_back(line);
    }
    coverage.push_back(std::move(one));
  }
  return coverage;
}

}  // namespace interlock::policies
