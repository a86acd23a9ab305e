// Whether a decision keeps the invariants of its bundle.
#include "rule_engine.h"

namespace interlock::policies {
namespace {

void SetText(lua_State* lua, const char* name, std::string_view text) {
  lua_pushlstring(lua, text.data(), text.size());
  lua_setfield(lua, -2, name);
}

// never(c, { verdict, code }), in a protected call. Arguments: the function, c, the decision.
int CallNever(lua_State* lua) {
  const Decision* decision = *static_cast<const Decision**>(lua_touserdata(lua, 3));
  lua_settop(lua, 2);
  lua_createtable(lua, 0, 2);
  SetText(lua, "verdict", VerdictName(decision->verdict));
  SetText(lua, "code", decision->code);
  lua_call(lua, 2, 1);
  return 1;
}

}  // namespace

std::optional<std::string> RuleEngine::BreachOfFunction(const Invariant& invariant,
                                                        const Decision& decision) {
  Vm& vm = program_->vm();
  lua_State* lua = vm.lua();
  program_->current_rule = &invariant.rule;
  lua_pushcfunction(lua, &CallNever);
  lua_rawgeti(lua, LUA_REGISTRYINDEX, invariant.rule.function);
  program_->context().PushRoot(lua);
  const Decision* argument = &decision;
  lua_pushlightuserdata(lua, &argument);
  const CallEnd end = vm.Call(3, kRuleFuel);
  const bool is_truth = end == CallEnd::kOk && (lua_isboolean(lua, -1) || lua_isnil(lua, -1));
  const bool broken = is_truth && lua_toboolean(lua, -1) != 0;
  lua_settop(lua, 0);
  program_->built.reset();
  if (is_truth) return broken ? std::optional<std::string>("it says so") : std::nullopt;
  // What was denied is safe, whatever the invariant could not read.
  if (decision.verdict == Verdict::kDeny) return std::nullopt;
  return end == CallEnd::kOk ? "never = function(c, d) answers true or false"
                             : "it cannot tell: " + SplitLocation(vm.error()).message;
}

std::optional<std::string> RuleEngine::BreachOfTable(const Invariant& invariant,
                                                     const Decision& decision) {
  if (VerdictName(decision.verdict) != invariant.never) return std::nullopt;
  Evaluation evaluation{.values = &values_, .explain = true};
  const Truth truth = Holds(invariant.rule.table->where, evaluation);
  if (truth == Truth::kTrue) return "the verdict is " + invariant.never;
  if (truth == Truth::kFalse || decision.verdict == Verdict::kDeny) return std::nullopt;
  return "it cannot tell: " + evaluation.error;
}

std::vector<Breach> RuleEngine::Breaches(const DecisionInput& input, const Decision& decision) {
  const CLocale plain;
  std::vector<Breach> breaches;
  if (input.args == nullptr || input.phase != RulePhase::kCall) return breaches;
  values_.Begin(input);
  program_->context().Begin(input, index_.For(input.phase, input.call).args_schema);
  program_->vm().set_phase(Phase::kDeciding);
  for (const Invariant& invariant : program_->invariants()) {
    if (!program_->Applies(invariant.rule, input.call.tool, input.call.effect)) continue;
    std::optional<std::string> why = invariant.rule.table != nullptr
                                         ? BreachOfTable(invariant, decision)
                                         : BreachOfFunction(invariant, decision);
    if (why) breaches.push_back({.invariant = &invariant, .why = std::move(*why)});
  }
  program_->vm().set_phase(Phase::kIdle);
  program_->reads.clear();
  program_->context().End();
  return breaches;
}

}  // namespace interlock::policies
