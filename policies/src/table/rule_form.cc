// rule "name" { on = …, where = { … }, allow = true | deny = { … } | …, examples = { … } }
#include <algorithm>
#include <array>

#include "ask_form.h"
#include "core/money.h"
#include "env.h"
#include "fields.h"
#include "freeze.h"
#include "lua_budget.h"
#include "lua_json.h"
#include "lua_money.h"
#include "program.h"
#include "table/lua_term.h"

namespace interlock::policies {
namespace {

constexpr std::size_t kConditionsMax = 64;
constexpr std::size_t kExamplesMax = 256;

struct VerdictWord {
  const char* name;
  VerdictKind kind;
};
constexpr std::array<VerdictWord, 8> kVerdicts = {{{"allow", VerdictKind::kAllow},
                                                   {"deny", VerdictKind::kDeny},
                                                   {"require_approval", VerdictKind::kAsk},
                                                   {"modify", VerdictKind::kModify},
                                                   {"limit", VerdictKind::kLimit},
                                                   {"reserve", VerdictKind::kReserve},
                                                   {"label", VerdictKind::kLabel},
                                                   {"note", VerdictKind::kNote}}};

TextTemplate TemplateField(lua_State* lua, const Fields& fields, const char* name) {
  return TemplateOf(lua, fields.TextOr(name, ""));
}

}  // namespace

std::vector<Condition> CheckWhere(lua_State* lua, int index) {
  std::vector<Condition> where;
  PushTableOf(lua, index, "where");
  const int table = lua_gettop(lua);
  for (lua_pushnil(lua); lua_next(lua, table) != 0; lua_pop(lua, 1)) {
    const std::string_view path = CheckText(lua, -2, "a path in `where`");
    where.push_back({.path = PathAt(lua, path), .predicate = PredicateAt(lua, lua_gettop(lua))});
  }
  lua_pop(lua, 1);
  if (where.size() > kConditionsMax) Raise(lua, "more than 64 conditions in a rule");
  const PathTable& paths = ProgramOf(lua).paths();
  std::sort(where.begin(), where.end(), [&](const Condition& a, const Condition& b) {
    return paths.at(a.path).text < paths.at(b.path).text;
  });
  return where;
}

namespace {

// ["args.x"] = value, for modify and deny.fix.
void TakeChanges(lua_State* lua, int index, const char* what, std::string_view root,
                 TableRule& rule) {
  PushTableOf(lua, index, what);
  const int table = lua_gettop(lua);
  for (lua_pushnil(lua); lua_next(lua, table) != 0; lua_pop(lua, 1)) {
    std::string path(CheckText(lua, -2, "a path"));
    if (!IsUnder(path, root) || path == "args") {
      Raise(lua, std::string(what) + " changes " + std::string(root) + " only, not `" + path + "`");
    }
    rule.changes.emplace_back(std::move(path), ChangeAt(lua, lua_gettop(lua)));
  }
  lua_pop(lua, 1);
  if (rule.changes.empty()) Raise(lua, std::string(what) + " wants [\"args.field\"] = value");
  std::sort(rule.changes.begin(), rule.changes.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [path, change] : rule.changes) rule.change_paths.push_back(PathAt(lua, path));
}

void TakeDeny(lua_State* lua, int index, TableRule& rule) {
  const Fields fields(lua, index, "deny", {"code", "say", "because", "fix"});
  rule.code = fields.Text("code");
  if (!IsCode(rule.code)) Raise(lua, "a code is UPPER_SNAKE, at most 63 characters");
  rule.say = TemplateField(lua, fields, "say");
  rule.because = TemplateField(lua, fields, "because");
  if (fields.Has("fix")) TakeChanges(lua, fields.Push("fix"), "deny.fix", "args", rule);
}

std::vector<TextTemplate> ApproversOf(lua_State* lua, const Fields& fields, const char* name) {
  std::vector<TextTemplate> approvers;
  for (const std::string& approver : fields.Texts(name)) {
    TextTemplate text = TemplateOf(lua, approver);
    const bool plain = text.parts.size() == 1 && text.parts[0].path < 0;
    if (plain && !IsApprover(approver)) {
      Raise(lua, "`" + approver + "` is no approver; write \"role:…\", \"user:…\" or \"run-user\"");
    }
    approvers.push_back(std::move(text));
  }
  if (approvers.size() > kApproversMax) Raise(lua, "more than 16 approvers");
  return approvers;
}

void TakeStages(lua_State* lua, const Fields& fields, TableRule& rule) {
  const StageList list(lua, fields);
  for (std::int64_t at = 1; at <= list.size(); ++at) {
    const Fields one = list.At(at);
    std::vector<TextTemplate> approvers = ApproversOf(lua, one, "approvers");
    const int quorum = QuorumOf(lua, one);
    list.Drop();
    if (at == 1) {
      rule.approvers = std::move(approvers);
      rule.demand.quorum = quorum;
      continue;
    }
    rule.later.push_back(std::move(approvers));
    rule.demand.later.push_back({.approvers = {}, .quorum = quorum});
  }
}

void TakeAsk(lua_State* lua, int index, TableRule& rule) {
  const Fields fields(lua, index, "require_approval", AskFields());
  if (TakesStages(lua, fields)) {
    TakeStages(lua, fields, rule);
  } else {
    rule.approvers = ApproversOf(lua, fields, "approvers");
    rule.demand.quorum = QuorumOf(lua, fields);
  }
  TakeAskTimes(lua, fields, rule.demand);
  if (rule.demand.escalate_after_ms > 0) {
    const Fields escalate = EscalateOf(lua, fields);
    rule.escalate_to = ApproversOf(lua, escalate, "to");
    lua_pop(lua, 2);
  }
  rule.say = TemplateField(lua, fields, "say");
  if (!fields.Has("show")) return;
  for (const std::string& path : fields.Texts("show")) rule.show.push_back(PathAt(lua, path));
}

void TakeLimit(lua_State* lua, int index, TableRule& rule) {
  const Fields fields(lua, index, "limit", {"key", "max", "per"});
  rule.key = TemplateOf(lua, fields.Text("key"));
  const bool fixed = std::none_of(rule.key.parts.begin(), rule.key.parts.end(),
                                  [](const TextTemplate::Part& part) { return part.path >= 0; });
  if (fixed && !IsName(fields.Text("key"))) {
    Raise(lua, "limit.key is a text with places such as \"{args.order_id}\", or one name for all");
  }
  rule.limit.max = fields.IntegerOr("max", -1);
  if (rule.limit.max < 0) Raise(lua, "limit needs max, an integer from 0");
  rule.limit.per_ms = fields.SpanMs("per");
}

// Upvalue-free twin of reserve(BUDGET, amount): { budget = BUDGET, amount = field("args.amount") }.
void TakeReserve(lua_State* lua, int index, TableRule& rule) {
  const Fields fields(lua, index, "reserve", {"budget", "amount", "key"});
  const auto* handle = UserdataOf<BudgetHandle>(lua, fields.Push("budget"), Kind::kBudget);
  if (handle == nullptr) Raise(lua, "reserve.budget is what budget \"…\" { … } gave");
  const BudgetDecl& budget = ReservedFrom(lua, *handle);
  rule.budget = handle->index;
  rule.levels = handle->levels;
  rule.keyed = TakesKey(ProgramOf(lua), *handle);
  rule.money = handle->is_money;
  const int at = fields.Push("amount");
  if (const LuaMoney* money = MoneyAt(lua, at); money != nullptr) {
    if (budget.unit != money->currency) {
      Raise(lua, "budget `" + budget.name + "` counts " + budget.unit + ", not " + money->currency);
    }
    rule.amount.constant = money->minor;
  } else if (lua_isinteger(lua, at) != 0 && !rule.money) {
    rule.amount.constant = lua_tointeger(lua, at);
  } else {
    rule.amount = ChangeAt(lua, at);
    if (rule.amount.kind != Change::Kind::kPath) {
      Raise(lua, "reserve.amount is field(\"args.…\") or a constant in " + budget.unit);
    }
  }
  const bool negative =
      rule.amount.kind == Change::Kind::kConstant && rule.amount.constant.get<std::int64_t>() < 0;
  if (negative) Raise(lua, "a negative amount cannot be reserved");
  if (fields.Has("key") != rule.keyed) {
    Raise(lua, "budget `" + WholeName(budget) + "` is per " + (rule.keyed ? "key" : budget.per) +
                   (fields.Has("key") ? ", so it takes no key"
                                      : "; name the key, as in key = \"{args.card}\""));
  }
  rule.key = TemplateField(lua, fields, "key");
}

void TakeVerdict(lua_State* lua, const Fields& fields, RulePhase phase, TableRule& rule) {
  const char* found = nullptr;
  for (const VerdictWord& word : kVerdicts) {
    if (!fields.Has(word.name)) continue;
    if (found != nullptr) {
      Raise(lua, std::string("a rule gives one verdict, not `") + found + "` and `" + word.name +
                     "`; write two rules");
    }
    found = word.name;
    rule.verdict = word.kind;
  }
  if (found == nullptr) {
    Raise(lua,
          "a rule needs one of allow, deny, require_approval, modify, limit, reserve, label, note");
  }
  if (!VerdictFits(rule.verdict, phase)) {
    Raise(lua, std::string(found) + " has no place in a rule about " +
                   std::string(RulePhaseName(phase)) + "s");
  }
  const int at = fields.Push(found);
  switch (rule.verdict) {
    case VerdictKind::kAllow:
      if (lua_type(lua, at) != LUA_TBOOLEAN || lua_toboolean(lua, at) == 0) {
        Raise(lua, "write allow = true, or deny = { code = \"…\" }");
      }
      break;
    case VerdictKind::kDeny:
      TakeDeny(lua, at, rule);
      break;
    case VerdictKind::kAsk:
      TakeAsk(lua, at, rule);
      break;
    case VerdictKind::kModify:
      TakeChanges(lua, at, "modify", ContentRoot(phase), rule);
      break;
    case VerdictKind::kLimit:
      TakeLimit(lua, at, rule);
      break;
    case VerdictKind::kReserve:
      TakeReserve(lua, at, rule);
      break;
    case VerdictKind::kLabel:
      rule.labels = CheckLabels(lua, at, phase);
      break;
    case VerdictKind::kNote:
      rule.because = TemplateOf(lua, std::string(CheckText(lua, at, "a note")));
      break;
  }
  lua_pop(lua, 1);
}

int TakeRule(lua_State* lua) {
  CheckPolicyFile(lua, "rule");
  Program& program = ProgramOf(lua);
  std::vector<std::string> known = {"on", "where", "doc", "examples", "mode", "ends"};
  for (const VerdictWord& word : kVerdicts) known.emplace_back(word.name);
  const Fields fields(lua, 2, "rule", known);
  Rule rule{.policy = CurrentPolicy(lua), .place = PlaceOf(lua)};
  rule.id = program.policies()[rule.policy].name + "/" + CheckName(lua, 1, "the name of a rule");
  rule.doc = fields.TextOr("doc", "");
  if (!fields.Has("on")) Raise(lua, "rule needs the field `on`: a tool, a glob or an effect");
  rule.selector = CheckSelector(lua, fields.Push("on"));
  auto table = std::make_shared<TableRule>();
  if (fields.Has("where")) table->where = CheckWhere(lua, fields.Push("where"));
  TakeVerdict(lua, fields, rule.selector.phase, *table);
  CheckMode(fields, lua, rule);
  rule.table = std::move(table);
  if (fields.Has("examples")) rule.examples = CheckExamples(lua, fields.Push("examples"));
  if (!program.AddRule(std::move(rule))) Raise(lua, "more than 20000 rules");
  return 0;
}

int RuleStart(lua_State* lua) {
  CheckName(lua, 1, "the name of a rule");
  return PushTaker(lua, &TakeRule);
}

}  // namespace

core::Json CheckExamples(lua_State* lua, int index) {
  core::Json examples = JsonFrom(lua, index);
  if (!examples.is_array() || examples.empty() || examples.size() > kExamplesMax) {
    Raise(lua, "examples wants a list of 1 to 256 calls, each { args = …, expect = \"…\" }");
  }
  for (const core::Json& example : examples) {
    if (!example.is_object() || !example.contains("expect")) {
      Raise(lua, "each example says what is expected: expect = \"allow\", \"silent\" …");
    }
  }
  return examples;
}

void AddRuleForm(lua_State* lua) {
  lua_pushcfunction(lua, &RuleStart);
  lua_setfield(lua, -2, "rule");
}

}  // namespace interlock::policies
