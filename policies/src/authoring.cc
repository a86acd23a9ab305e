// What policy and test files declare: policy, on, fact, budget, effect, test.
#include <algorithm>
#include <string>

#include "core/money.h"
#include "env.h"
#include "fields.h"
#include "freeze.h"
#include "lua_budget.h"
#include "lua_json.h"
#include "lua_money.h"
#include "lua_time.h"
#include "placeholder.h"
#include "program.h"
#include "velocity.h"

namespace interlock::policies {
namespace {

constexpr int kSelectorDepthMax = 4;

// What message(), result(…) and answer() give: a whole selector.
struct PhaseHandle {
  UserdataHead head;
  Selector* selector;
};

struct EffectHandle {
  UserdataHead head;
  char effect[8];
};

void CheckEffect(lua_State* lua, std::string_view effect) {
  if (effect != "read" && effect != "write" && effect != "money" && effect != "egress") {
    Raise(lua, "an effect is read, write, money or egress, not `" + std::string(effect) + "`");
  }
}

int Effect(lua_State* lua) {
  const std::string_view effect = CheckText(lua, 1, "an effect");
  CheckEffect(lua, effect);
  auto* handle = static_cast<EffectHandle*>(lua_newuserdatauv(lua, sizeof(EffectHandle), 0));
  handle->head.kind = Kind::kEffect;
  handle->effect[effect.copy(handle->effect, sizeof(handle->effect) - 1)] = '\0';
  return 1;
}

void AddToSelector(lua_State* lua, int index, Selector& selector) {
  if (const auto* effect = UserdataOf<EffectHandle>(lua, index, Kind::kEffect); effect != nullptr) {
    selector.effects.emplace_back(effect->effect);
    return;
  }
  if (UserdataHasKind(lua, index, Kind::kPhase)) {
    Raise(lua, "message(), result(…) and answer() stand alone; write two rules");
  }
  std::string tool(CheckText(lua, index, "a selector"));
  const bool fine = !tool.empty() && tool.size() <= 128;
  if (!fine) Raise(lua, "a selector names a tool, a glob or an effect");
  selector.tools.push_back(std::move(tool));
}

// A tool, a glob, effect "…", or a list of these, which may hold lists.
void CollectSelector(lua_State* lua, int index, int depth, Selector& selector) {
  const int type = lua_type(lua, index);
  const bool is_list = type == LUA_TTABLE || UserdataHasKind(lua, index, Kind::kFrozen);
  if (!is_list) return AddToSelector(lua, index, selector);
  if (depth == kSelectorDepthMax) Raise(lua, "a selector's lists are nested too deep");
  const std::int64_t size = ListLength(lua, index);
  for (std::int64_t at = 1; at <= size; ++at) {
    PushElement(lua, index, at);
    CollectSelector(lua, lua_gettop(lua), depth + 1, selector);
    lua_pop(lua, 1);
  }
}

}  // namespace

Place PlaceOf(lua_State* lua) { return {.file = ProgramOf(lua).file(), .line = CurrentLine(lua)}; }

std::string CheckName(lua_State* lua, int index, const char* what) {
  std::string name(CheckText(lua, index, what));
  if (!IsName(name)) {
    Raise(lua, std::string(what) + " has 1 to 128 letters, digits, `.`, `_` or `-`");
  }
  return name;
}

void CheckPolicyFile(lua_State* lua, const char* what) {
  CheckLoading(lua, what);
  if (ProgramOf(lua).what() != Program::What::kPolicies) {
    Raise(lua, std::string(what) + " has no place in a test file");
  }
}

std::size_t CurrentPolicy(lua_State* lua) {
  const std::optional<std::size_t> policy = ProgramOf(lua).policy();
  if (!policy) Raise(lua, "declare policy \"name\" { … } first");
  return *policy;
}

std::int64_t CheckDate(lua_State* lua, const Fields& fields, const char* what, const char* name) {
  const std::string text = fields.Text(name);
  const std::optional<std::int64_t> time = ParseTime(text);
  if (!time) {
    Raise(lua,
          std::string(what) + "." + name + " is a date such as 2026-10-01, not `" + text + "`");
  }
  return *time;
}

void CheckMode(const Fields& fields, lua_State* lua, Rule& rule) {
  const std::string mode = fields.TextOr("mode", "active");
  if (mode != "active" && mode != "shadow") {
    Raise(lua, "mode is \"shadow\" or \"active\", not `" + mode + "`");
  }
  rule.shadow = mode == "shadow";
  if (rule.shadow != fields.Has("ends")) {
    Raise(lua, rule.shadow ? "a rule in shadow needs `ends`, the date until it is watched"
                           : "only a rule in shadow has `ends`");
  }
  if (rule.shadow) rule.shadow_ends_us = CheckDate(lua, fields, "rule", "ends");
}

Selector CheckSelector(lua_State* lua, int index) {
  if (const auto* handle = UserdataOf<PhaseHandle>(lua, index, Kind::kPhase); handle != nullptr) {
    return *handle->selector;
  }
  Selector selector;
  CollectSelector(lua, index, 0, selector);
  if (selector.tools.empty() && selector.effects.empty()) {
    Raise(lua, "a selector must not be empty");
  }
  return selector;
}

namespace {

Layer CheckLayer(lua_State* lua, const std::string& name) {
  for (const Layer layer : {Layer::kOrg, Layer::kTeam, Layer::kAgent}) {
    if (LayerName(layer) == name) return layer;
  }
  Raise(lua, "policy.layer is org, team or agent, not `" + name + "`");
}

int TakePolicy(lua_State* lua) {
  CheckPolicyFile(lua, "policy");
  const Fields fields(lua, 2, "policy",
                      {"version", "owner", "tools", "default", "doc", "layer", "owns"});
  PolicyDecl policy{.name = CheckName(lua, 1, "the name of a policy"),
                    .version = fields.TextOr("version", "1"),
                    .owner = fields.Text("owner"),
                    .tools = CheckSelector(lua, fields.Push("tools")),
                    .layer = CheckLayer(lua, fields.TextOr("layer", "team")),
                    .place = PlaceOf(lua)};
  if (policy.tools.phase != RulePhase::kCall) Raise(lua, "policy.tools names tools or effects");
  if (fields.Has("owns")) {
    policy.owns = CheckSelector(lua, fields.Push("owns"));
    if (policy.owns.phase != RulePhase::kCall) Raise(lua, "policy.owns names tools or effects");
  }
  if (fields.TextOr("default", "deny") != "deny") {
    Raise(lua, "the default is \"deny\"; what is to be allowed says so in a rule");
  }
  ProgramOf(lua).AddPolicy(std::move(policy));
  return 0;
}

int Policy(lua_State* lua) {
  CheckPolicyFile(lua, "policy");
  CheckName(lua, 1, "the name of a policy");
  if (ProgramOf(lua).policy()) Raise(lua, "a file declares one policy");
  return PushTaker(lua, &TakePolicy);
}

void TakeOptions(lua_State* lua, int index, Rule& rule) {
  const Fields fields(lua, index, "the options of a rule", {"doc", "examples", "mode", "ends"});
  CheckMode(fields, lua, rule);
  rule.doc = fields.TextOr("doc", "");
  if (fields.Has("examples")) rule.examples = CheckExamples(lua, fields.Push("examples"));
}

// on(selector, name, [options], function)
int On(lua_State* lua) {
  CheckPolicyFile(lua, "on");
  Program& program = ProgramOf(lua);
  const std::size_t policy = CurrentPolicy(lua);
  const int function = lua_gettop(lua);
  if (function < 3 || function > 4 || lua_type(lua, function) != LUA_TFUNCTION ||
      lua_iscfunction(lua, function) != 0) {
    Raise(lua, "write on(selector, \"name\", function(c) … end)");
  }
  Rule rule{.selector = CheckSelector(lua, 1), .policy = policy, .place = PlaceOf(lua)};
  rule.id = program.policies()[policy].name + "/" + CheckName(lua, 2, "the name of a rule");
  if (function == 4) TakeOptions(lua, 3, rule);
  lua_pushvalue(lua, function);
  rule.function = luaL_ref(lua, LUA_REGISTRYINDEX);
  if (!program.AddRule(std::move(rule))) Raise(lua, "more than 20000 rules");
  return 0;
}

// The facts that the templates in `args` speak of; raises for a template that cannot be filled.
void CollectTemplates(lua_State* lua, const core::Json& args, std::vector<std::string>& after) {
  if (args.is_structured()) {
    for (const auto& item : args.items()) CollectTemplates(lua, item.value(), after);
    return;
  }
  if (!args.is_string()) return;
  const auto parts = ParseTemplate(args.get_ref<const std::string&>());
  if (!parts.ok()) Raise(lua, std::string(core::Message(parts.status())));
  for (const TemplatePart& part : *parts) {
    if (!part.is_path) continue;
    const std::size_t dot = part.text.find('.');
    const std::string root = part.text.substr(0, dot);
    const bool deep = dot != std::string::npos && dot + 1 < part.text.size();
    if (part.text != "user" &&
        !(deep && (root == "args" || root == "session" || root == "facts"))) {
      Raise(lua, "`{" + part.text + "}` starts with args., session., facts. or is user");
    }
    if (root != "facts") continue;
    const std::string rest = part.text.substr(dot + 1);
    after.push_back(rest.substr(0, rest.find('.')));
  }
}

int TakeFact(lua_State* lua) {
  CheckPolicyFile(lua, "fact");
  Program& program = ProgramOf(lua);
  const std::size_t policy = CurrentPolicy(lua);
  const Fields fields(lua, 2, "fact", {"tool", "args", "on", "doc"});
  FactRule fact{.policy = policy, .place = PlaceOf(lua)};
  fact.decl.name = CheckName(lua, 1, "the name of a fact");
  if (fact.decl.name.find('.') != std::string::npos) Raise(lua, "the name of a fact has no dot");
  fact.decl.tool = fields.Text("tool");
  fact.decl.args = core::Json::object();
  if (fields.Has("args")) fact.decl.args = JsonFrom(lua, fields.Push("args"));
  if (fact.decl.args.is_array() && fact.decl.args.empty()) fact.decl.args = core::Json::object();
  if (!fact.decl.args.is_object()) Raise(lua, "fact.args wants field = value");
  CollectTemplates(lua, fact.decl.args, fact.decl.after);
  std::sort(fact.decl.after.begin(), fact.decl.after.end());
  fact.decl.after.erase(std::unique(fact.decl.after.begin(), fact.decl.after.end()),
                        fact.decl.after.end());
  fact.on =
      fields.Has("on") ? CheckSelector(lua, fields.Push("on")) : program.policies()[policy].tools;
  program.AddFact(std::move(fact));
  return 0;
}

int FactStart(lua_State* lua) {
  CheckName(lua, 1, "the name of a fact");
  return PushTaker(lua, &TakeFact);
}

int TakeTest(lua_State* lua) {
  CheckLoading(lua, "test");
  if (ProgramOf(lua).what() != Program::What::kTests) {
    Raise(lua, "test cases stand in files named *_test.lua");
  }
  const Fields fields(
      lua, 2, "test",
      {"tool",       "effect",        "args",        "facts",     "session", "user",   "principal",
       "roles",      "agent",         "now",         "untrusted", "used",    "counts", "sums",
       "labels",     "message",       "result",      "answer",    "expect",  "code",   "rule",
       "args_after", "content_after", "compensates", "caller",    "depth"});
  if (!fields.Has("message") && !fields.Has("answer")) fields.Text("tool");
  fields.Text("expect");
  core::Json input = JsonFrom(lua, 2, MoneyAs::kMinorUnits);
  // A model's budget is kept in millionths: money is told apart from a number of them.
  if (fields.Has("used")) input["used"] = JsonFrom(lua, fields.Push("used"), MoneyAs::kTold);
  ProgramOf(lua).AddTest({.name = std::string(CheckText(lua, 1, "the name of a test")),
                          .place = PlaceOf(lua),
                          .input = std::move(input)});
  return 0;
}

int TestStart(lua_State* lua) {
  CheckText(lua, 1, "the name of a test");
  return PushTaker(lua, &TakeTest);
}

// exception "name" { rule = "policy/rule", owner, expires, ticket, on, where }
int TakeException(lua_State* lua) {
  CheckPolicyFile(lua, "exception");
  Program& program = ProgramOf(lua);
  const Fields fields(lua, 2, "exception",
                      {"rule", "owner", "expires", "ticket", "on", "where", "doc"});
  ExceptionDecl exception{.rule = fields.Text("rule"),
                          .owner = fields.Text("owner"),
                          .ticket = fields.TextOr("ticket", ""),
                          .policy = CurrentPolicy(lua),
                          .place = PlaceOf(lua)};
  const PolicyDecl& policy = program.policies()[exception.policy];
  exception.id = policy.name + "/" + CheckName(lua, 1, "the name of an exception");
  exception.expires_us = CheckDate(lua, fields, "exception", "expires");
  exception.on = fields.Has("on") ? CheckSelector(lua, fields.Push("on")) : policy.tools;
  if (fields.Has("where")) exception.where = CheckWhere(lua, fields.Push("where"));
  if (!fields.Has("on") && exception.where.empty()) {
    Raise(lua, "an exception says for which calls it is: `on`, `where` or both");
  }
  program.AddException(std::move(exception));
  return 0;
}

int ExceptionStart(lua_State* lua) {
  CheckName(lua, 1, "the name of an exception");
  return PushTaker(lua, &TakeException);
}

int CollectPhase(lua_State* lua) {
  auto* handle = static_cast<PhaseHandle*>(lua_touserdata(lua, 1));
  delete handle->selector;
  handle->selector = nullptr;
  return 0;
}

int PushPhase(lua_State* lua, Selector selector) {
  auto* handle = static_cast<PhaseHandle*>(lua_newuserdatauv(lua, sizeof(PhaseHandle), 0));
  *handle = {.head = {Kind::kPhase}, .selector = nullptr};
  lua_createtable(lua, 0, 2);
  lua_pushcfunction(lua, &CollectPhase);
  lua_setfield(lua, -2, "__gc");
  lua_pushboolean(lua, 0);
  lua_setfield(lua, -2, "__metatable");
  lua_setmetatable(lua, -2);
  handle->selector = new Selector(std::move(selector));
  return 1;
}

// result("mail.*"), result(effect "read"), result({ … }): what such calls gave.
int Result(lua_State* lua) {
  CheckLoading(lua, "result(…)");
  Selector selector = CheckSelector(lua, 1);
  if (selector.phase != RulePhase::kCall) Raise(lua, "result(…) names tools or effects");
  selector.phase = RulePhase::kResult;
  return PushPhase(lua, std::move(selector));
}

int Message(lua_State* lua) {
  CheckLoading(lua, "message()");
  if (lua_gettop(lua) != 0) Raise(lua, "message() takes nothing: it means every message");
  return PushPhase(lua, {.phase = RulePhase::kMessage});
}

int Answer(lua_State* lua) {
  CheckLoading(lua, "answer()");
  if (lua_gettop(lua) != 0) Raise(lua, "answer() takes nothing: it means every answer");
  return PushPhase(lua, {.phase = RulePhase::kAnswer});
}

// failed("NOT_FOUND") stands for a look-up that gave no value.
int Failed(lua_State* lua) {
  lua_createtable(lua, 0, 1);
  lua_pushvalue(lua, 1);
  CheckText(lua, -1, "a code");
  lua_setfield(lua, -2, "$failed");
  return 1;
}

}  // namespace

void AddAuthoringFunctions(lua_State* lua) {
  constexpr luaL_Reg kFunctions[] = {
      {"policy", Policy}, {"on", On},           {"fact", FactStart}, {"budget", BudgetStart},
      {"effect", Effect}, {"test", TestStart},  {"failed", Failed},  {"exception", ExceptionStart},
      {"result", Result}, {"message", Message}, {"answer", Answer},  {"velocity", VelocityStart},
      {nullptr, nullptr}};
  luaL_setfuncs(lua, kFunctions, 0);
}

}  // namespace interlock::policies
