// invariant "name" { on, never, where, doc }: what no call may come to, for tests to look for.
#include <algorithm>

#include "env.h"
#include "fields.h"
#include "program.h"

namespace interlock::policies {
namespace {

int TakeInvariant(lua_State* lua) {
  CheckPolicyFile(lua, "invariant");
  Program& program = ProgramOf(lua);
  const Fields fields(lua, 2, "invariant", {"on", "never", "where", "doc"});
  Invariant invariant{.rule = {.policy = CurrentPolicy(lua), .place = PlaceOf(lua)}};
  Rule& rule = invariant.rule;
  const PolicyDecl& policy = program.policies()[rule.policy];
  rule.id = policy.name + "/" + CheckName(lua, 1, "the name of an invariant");
  rule.doc = fields.TextOr("doc", "");
  rule.selector = fields.Has("on") ? CheckSelector(lua, fields.Push("on")) : policy.tools;
  if (rule.selector.phase != RulePhase::kCall) Raise(lua, "an invariant is about calls");
  const int never = fields.Push("never");
  if (lua_type(lua, never) == LUA_TFUNCTION && lua_iscfunction(lua, never) == 0) {
    if (fields.Has("where")) Raise(lua, "an invariant has `where` or a function, not both");
    lua_pushvalue(lua, never);
    rule.function = luaL_ref(lua, LUA_REGISTRYINDEX);
  } else {
    const std::vector<std::string> words = {"allow", "ask", "modify", "deny"};
    invariant.never = fields.Text("never");
    if (std::find(words.begin(), words.end(), invariant.never) == words.end()) {
      Raise(lua, "never is allow, ask, modify, deny, or function(c, d) … end");
    }
    auto table = std::make_shared<TableRule>();
    table->verdict = VerdictKind::kNote;
    if (fields.Has("where")) table->where = CheckWhere(lua, fields.Push("where"));
    rule.table = std::move(table);
  }
  program.AddInvariant(std::move(invariant));
  return 0;
}

int InvariantStart(lua_State* lua) {
  CheckName(lua, 1, "the name of an invariant");
  return PushTaker(lua, &TakeInvariant);
}

}  // namespace

void AddInvariantForm(lua_State* lua) {
  lua_pushcfunction(lua, &InvariantStart);
  lua_setfield(lua, -2, "invariant");
}

}  // namespace interlock::policies
