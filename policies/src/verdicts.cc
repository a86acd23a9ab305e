// What a rule may answer. A verdict is a light token; the answer itself stays in C++.
#include <algorithm>

#include "ask_form.h"
#include "env.h"
#include "fields.h"
#include "lua_budget.h"
#include "lua_json.h"
#include "lua_money.h"
#include "program.h"
#include "scope.h"
#include "velocity.h"

namespace interlock::policies {
namespace {

RuleVerdict& Build(lua_State* lua, VerdictKind kind, const char* what) {
  CheckDeciding(lua, what);
  Program& program = ProgramOf(lua);
  if (program.built) {
    Raise(lua, "a rule gives one verdict; another was built in line " +
                   std::to_string(program.built->line));
  }
  const RulePhase phase = program.context().input().phase;
  if (!VerdictFits(kind, phase)) {
    Raise(lua, std::string(what) + " has no place in a rule about " +
                   std::string(RulePhaseName(phase)) + "s");
  }
  program.built.emplace();
  program.built->kind = kind;
  program.built->line = CurrentLine(lua);
  return *program.built;
}

int PushToken(lua_State* lua) {
  lua_pushlightuserdata(lua, &ProgramOf(lua).built);
  return 1;
}

// A table of dotted paths under `args` to values, as an object.
core::Json Changes(lua_State* lua, int index, const char* what, std::string_view root) {
  core::Json changes = JsonFrom(lua, index);
  if (!changes.is_object() || changes.empty()) {
    Raise(lua, std::string(what) + " wants [\"args.field\"] = value");
  }
  for (const auto& item : changes.items()) {
    if (!IsUnder(item.key(), root) || item.key() == "args") {
      Raise(lua, std::string(what) + " changes " + std::string(root) + " only, not `" + item.key() +
                     "`");
    }
  }
  return changes;
}

int Allow(lua_State* lua) {
  if (lua_gettop(lua) != 0) Raise(lua, "allow() takes nothing");
  Build(lua, VerdictKind::kAllow, "allow()");
  return PushToken(lua);
}

int Deny(lua_State* lua) {
  const Fields fields(lua, 1, "deny", {"code", "say", "because", "fix"});
  RuleVerdict verdict;
  verdict.code = fields.Text("code");
  if (!IsCode(verdict.code)) Raise(lua, "a code is UPPER_SNAKE, at most 63 characters");
  verdict.say = CutToSay(fields.TextOr("say", ""));
  if (fields.Has("because")) {
    const core::Json because = JsonFrom(lua, fields.Push("because"));
    verdict.because =
        CutToSay(because.is_string() ? because.get<std::string>() : core::CanonicalJson(because));
  }
  if (fields.Has("fix")) verdict.changes = Changes(lua, fields.Push("fix"), "deny.fix", "args");
  RuleVerdict& built = Build(lua, VerdictKind::kDeny, "deny { … }");
  verdict.kind = built.kind;
  verdict.line = built.line;
  built = std::move(verdict);
  return PushToken(lua);
}

void CheckApprover(lua_State* lua, const std::string& approver) {
  if (!IsApprover(approver)) {
    Raise(lua, "`" + approver + "` is no approver; write \"role:…\", \"user:…\" or \"run-user\"");
  }
}

// {"args.amount": value, …} of the paths that the author wants the approver to see and be bound to.
core::Json Shown(lua_State* lua, const Fields& fields) {
  Context& context = ProgramOf(lua).context();
  core::Json show = core::Json::object();
  if (!fields.Has("show")) {
    show["args"] = *context.input().args;
    return show;
  }
  for (const std::string& path : fields.Texts("show")) {
    const core::Json* value = context.AtPath(path);
    if (value == nullptr) Raise(lua, "nothing to show at `" + path + "`");
    show[path] = *value;
  }
  return show;
}

std::vector<std::string> Approvers(lua_State* lua, const Fields& fields, const char* name) {
  std::vector<std::string> approvers = fields.Texts(name);
  if (approvers.size() > kApproversMax) Raise(lua, "more than 16 approvers");
  for (const std::string& approver : approvers) CheckApprover(lua, approver);
  std::sort(approvers.begin(), approvers.end());
  approvers.erase(std::unique(approvers.begin(), approvers.end()), approvers.end());
  return approvers;
}

// { { approvers = …, quorum = … }, … }
std::vector<ApprovalStage> Stages(lua_State* lua, const Fields& fields) {
  std::vector<ApprovalStage> stages;
  const StageList list(lua, fields);
  for (std::int64_t at = 1; at <= list.size(); ++at) {
    const Fields one = list.At(at);
    stages.push_back({.approvers = Approvers(lua, one, "approvers"), .quorum = QuorumOf(lua, one)});
    list.Drop();
  }
  return stages;
}

int RequireApproval(lua_State* lua) {
  const Fields fields(lua, 1, "require_approval", AskFields());
  RuleVerdict& built = Build(lua, VerdictKind::kAsk, "require_approval { … }");
  ApprovalDemand& demand = built.demand;
  if (TakesStages(lua, fields)) {
    demand.later = Stages(lua, fields);
    demand.approvers = std::move(demand.later.front().approvers);
    demand.quorum = demand.later.front().quorum;
    demand.later.erase(demand.later.begin());
  } else {
    demand.approvers = Approvers(lua, fields, "approvers");
    demand.quorum = QuorumOf(lua, fields);
  }
  TakeAskTimes(lua, fields, demand);
  if (demand.escalate_after_ms > 0) {
    const Fields escalate = EscalateOf(lua, fields);
    demand.escalate_to = Approvers(lua, escalate, "to");
    lua_pop(lua, 2);
  }
  demand.show = Shown(lua, fields);
  demand.say = CutToSay(fields.TextOr("say", ""));
  return PushToken(lua);
}

int Modify(lua_State* lua) {
  CheckDeciding(lua, "modify { … }");
  const std::string_view root = ContentRoot(ProgramOf(lua).context().input().phase);
  core::Json changes = Changes(lua, 1, "modify", root);
  Build(lua, VerdictKind::kModify, "modify { … }").changes = std::move(changes);
  return PushToken(lua);
}

}  // namespace

std::string KeyText(lua_State* lua, int index) {
  if (lua_type(lua, index) != LUA_TSTRING && lua_isinteger(lua, index) == 0 &&
      lua_type(lua, index) != LUA_TBOOLEAN) {
    Raise(lua,
          std::string("a key is a text, integer or boolean, not ") + luaL_typename(lua, index));
  }
  lua_pushcfunction(lua, &ToText);
  lua_pushvalue(lua, index);
  lua_call(lua, 1, 1);
  const std::string_view text = CheckText(lua, -1, "a key");
  if (text.empty() || text.size() > kKeyBytesMax) Raise(lua, "a key has 1 to 256 bytes");
  return std::string(text);
}

namespace {

int Limit(lua_State* lua) {
  const Fields fields(lua, 1, "limit", {"key", "max", "per"});
  RuleVerdict& built = Build(lua, VerdictKind::kLimit, "limit { … }");
  built.limit.key = ProgramOf(lua).current_rule->id + "/" + KeyText(lua, fields.Push("key"));
  built.limit.max = fields.IntegerOr("max", -1);
  if (built.limit.max < 0) Raise(lua, "limit needs max, an integer from 0");
  built.limit.per_ms = fields.SpanMs("per");
  return PushToken(lua);
}

// For the levels of a budget that are per key; empty for others, which take none.
std::string BudgetKey(lua_State* lua, const BudgetDecl& budget, bool takes, int index) {
  const bool given = !lua_isnoneornil(lua, index);
  if (given && !takes) {
    Raise(lua, "budget `" + budget.name + "` is per " + budget.per + ", so it takes no key");
  }
  if (takes && !given) {
    Raise(lua, "budget `" + WholeName(budget) + "` is per key; name the key, as in c.args.card");
  }
  return given ? KeyText(lua, index) : std::string();
}

int Reserve(lua_State* lua) {
  const BudgetHandle* handle = UserdataOf<BudgetHandle>(lua, 1, Kind::kBudget);
  if (handle == nullptr)
    Raise(lua, "write reserve(BUDGET, amount), where BUDGET = budget \"…\" {…}");
  const BudgetDecl& budget = ReservedFrom(lua, *handle);
  RuleVerdict& built = Build(lua, VerdictKind::kReserve, "reserve(…)");
  built.budget = handle->index;
  built.levels = handle->levels;
  if (const LuaMoney* money = MoneyAt(lua, 2); money != nullptr) {
    if (budget.unit != money->currency) {
      Raise(lua, "budget `" + budget.name + "` counts " + budget.unit + ", not " + money->currency);
    }
    built.amount = money->minor;
  } else if (lua_isinteger(lua, 2) != 0 && !handle->is_money) {
    built.amount = lua_tointeger(lua, 2);
  } else {
    Raise(lua, "budget `" + budget.name + "` counts " + budget.unit + ", not a " +
                   luaL_typename(lua, 2));
  }
  if (built.amount < 0) Raise(lua, "a negative amount cannot be reserved");
  // A verdict has a limit or a reservation.
  built.limit.key = BudgetKey(lua, budget, TakesKey(ProgramOf(lua), *handle), 3);
  return PushToken(lua);
}

int AddLabels(lua_State* lua) {
  CheckDeciding(lua, "label { … }");
  std::vector<LabelChange> labels = CheckLabels(lua, 1, ProgramOf(lua).context().input().phase);
  Build(lua, VerdictKind::kLabel, "label { … }").labels = std::move(labels);
  return PushToken(lua);
}

int Note(lua_State* lua) {
  std::string text = CutToSay(std::string(CheckText(lua, 1, "a note")));
  Build(lua, VerdictKind::kNote, "note(…)").because = std::move(text);
  return PushToken(lua);
}

// How many allowed calls took a slot of a rule's limit under this key.
int Count(lua_State* lua) {
  if (AsksVelocity(lua, 1)) return CountOfVelocity(lua);
  CheckDeciding(lua, "count { … }");
  const Fields fields(lua, 1, "count", {"rule", "key", "within"});
  Program& program = ProgramOf(lua);
  std::string rule = fields.TextOr("rule", program.current_rule->id);
  if (rule.find('/') == std::string::npos) {
    rule = program.policies()[program.current_rule->policy].name + "/" + rule;
  }
  const std::string key = rule + "/" + KeyText(lua, fields.Push("key"));
  const DecisionInput& input = program.context().input();
  if (input.state == nullptr) Raise(lua, "no counters are at hand");
  VersionedRead read = ReadCount(input, key, fields.SpanMs("within"));
  lua_pushinteger(lua, read.value);
  program.reads.push_back(std::move(read));
  return 1;
}

// What is spent and held of a budget in its window, this call's own share or that of a key.
int Spent(lua_State* lua) {
  CheckDeciding(lua, "spent { … }");
  const Fields fields(lua, 1, "spent", {"budget", "key", "level"});
  Program& program = ProgramOf(lua);
  const auto* handle = UserdataOf<BudgetHandle>(lua, fields.Push("budget"), Kind::kBudget);
  if (handle == nullptr) Raise(lua, "spent.budget is what budget \"…\" { … } gave");
  const BudgetDecl& budget = LevelOf(lua, *handle, fields.TextOr("level", ""));
  const int key = fields.Has("key") ? fields.Push("key") : lua_gettop(lua) + 1;
  const DecisionInput& input = program.context().input();
  const std::string scope =
      BudgetScope(input, budget.per, BudgetKey(lua, budget, budget.per == kPerKey, key));
  if (scope.empty())
    Raise(lua, "budget `" + budget.name + "` is per " + budget.per + ", and there is none");
  if (input.state == nullptr) Raise(lua, "no balances are at hand");
  VersionedRead read = ReadBudget(input, budget, scope);
  if (handle->is_money) {
    PushMoney(lua, read.value, budget.unit);
  } else {
    lua_pushinteger(lua, read.value);
  }
  program.reads.push_back(std::move(read));
  return 1;
}

}  // namespace

// ["result.body"] = { "pii", "untrusted" }: tags, and the word untrusted.
std::vector<LabelChange> CheckLabels(lua_State* lua, int index, RulePhase phase) {
  const core::Json table = JsonFrom(lua, index);
  if (!table.is_object() || table.empty()) {
    Raise(lua, "label wants [\"result.field\"] = { \"tag\", … }");
  }
  std::vector<LabelChange> labels;
  for (const auto& item : table.items()) {
    LabelChange label{.path = item.key()};
    if (!IsUnder(label.path, ContentRoot(phase)) && !IsUnder(label.path, "args")) {
      Raise(lua, "label is about " + std::string(ContentRoot(phase)) + " or args, not `" +
                     label.path + "`");
    }
    const core::Json tags = item.value().is_string() ? core::Json{item.value()} : item.value();
    if (!tags.is_array() || tags.empty()) Raise(lua, "label wants a list of tags");
    for (const core::Json& tag : tags) {
      const std::string text = tag.is_string() ? tag.get<std::string>() : "";
      if (text.empty() || text.size() > 64) Raise(lua, "a tag is a text of 1 to 64 bytes");
      if (text == "untrusted") {
        label.untrusted = true;
      } else {
        label.tags.push_back(text);
      }
    }
    std::sort(label.tags.begin(), label.tags.end());
    label.tags.erase(std::unique(label.tags.begin(), label.tags.end()), label.tags.end());
    labels.push_back(std::move(label));
  }
  return labels;
}

void AddVerdictFunctions(lua_State* lua) {
  constexpr luaL_Reg kFunctions[] = {
      {"allow", Allow},     {"deny", Deny},       {"modify", Modify},
      {"limit", Limit},     {"reserve", Reserve}, {"note", Note},
      {"label", AddLabels}, {"count", Count},     {"require_approval", RequireApproval},
      {"spent", Spent},     {nullptr, nullptr}};
  luaL_setfuncs(lua, kFunctions, 0);
}

}  // namespace interlock::policies
