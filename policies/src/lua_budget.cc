#include "lua_budget.h"

#include <algorithm>
#include <array>

#include "core/money.h"
#include "env.h"
#include "fields.h"
#include "freeze.h"
#include "lua_money.h"
#include "lua_time.h"
#include "policies/model_budget.h"
#include "scope.h"

namespace interlock::policies {
namespace {

constexpr std::size_t kUnitBytesMax = 32;

std::string CheckPer(lua_State* lua, const Fields& fields) {
  static constexpr std::array<std::string_view, 6> kScopes = {"tenant", "agent", "principal",
                                                              "user",   "run",   kPerKey};
  std::string per = fields.Text("per");
  if (std::find(kScopes.begin(), kScopes.end(), per) == kScopes.end()) {
    Raise(lua, "budget.per is tenant, agent, principal, user, run or key, not `" + per + "`");
  }
  return per;
}

std::int64_t CheckLimit(lua_State* lua, int index, const std::string& unit, bool is_money) {
  const LuaMoney* money = MoneyAt(lua, index);
  if (is_money && (money == nullptr || unit != money->currency)) {
    Raise(lua, "the limit of a budget in " + unit + " is money such as usd(5000)");
  }
  if (!is_money && lua_isinteger(lua, index) == 0) {
    Raise(lua, "the limit of a budget in " + unit + " is an integer");
  }
  const std::int64_t limit = is_money ? money->minor : lua_tointeger(lua, index);
  if (limit < 0) Raise(lua, "the limit of a budget is not negative");
  return limit;
}

// The limit, share and window of a budget or of one of its levels.
void ReadShare(lua_State* lua, const Fields& fields, bool is_money, BudgetDecl& budget) {
  budget.per = CheckPer(lua, fields);
  budget.limit = CheckLimit(lua, fields.Push("limit"), budget.unit, is_money);
  if (fields.Has("window")) budget.window_ms = fields.SpanMs("window");
}

bool CheckOptional(lua_State* lua, const Fields& fields) {
  if (!fields.Has("optional")) return false;
  const int at = fields.Push("optional");
  if (lua_type(lua, at) != LUA_TBOOLEAN) Raise(lua, "level.optional is true or false");
  return lua_toboolean(lua, at) != 0;
}

BudgetDecl ReadLevel(lua_State* lua, int index, const BudgetDecl& whole, bool is_money) {
  const Fields fields(lua, index, "level", {"per", "limit", "window", "optional"});
  BudgetDecl level = whole;
  ReadShare(lua, fields, is_money, level);
  level.optional = CheckOptional(lua, fields);
  level.level = level.per;
  if (fields.Has("window")) level.level += "." + fields.Text("window");
  level.name = whole.name + "." + level.level;
  return level;
}

std::vector<BudgetDecl> ReadLevels(lua_State* lua, const Fields& fields, const BudgetDecl& whole,
                                   bool is_money) {
  for (const char* one : {"limit", "per", "window"}) {
    if (fields.Has(one)) {
      Raise(lua, std::string("budget.") + one + " has no place beside levels; each has its own");
    }
  }
  const int list = fields.Push("levels");
  const std::int64_t size = ListLength(lua, list);
  if (size < 1 || size > kBudgetLevelsMax) {
    Raise(lua, "a budget has 1 to " + std::to_string(kBudgetLevelsMax) + " levels");
  }
  std::vector<BudgetDecl> levels;
  for (std::int64_t at = 1; at <= size; ++at) {
    const int top = lua_gettop(lua);
    PushElement(lua, list, at);
    levels.push_back(ReadLevel(lua, top + 1, whole, is_money));
    lua_settop(lua, top);
    for (std::size_t i = 0; i + 1 < levels.size(); ++i) {
      if (levels[i].per == levels.back().per && levels[i].window_ms == levels.back().window_ms) {
        Raise(lua, "budget `" + whole.name + "` has level `" + levels.back().level + "` twice");
      }
    }
  }
  const bool all_optional =
      std::all_of(levels.begin(), levels.end(), [](const BudgetDecl& one) { return one.optional; });
  if (all_optional) {
    Raise(lua, "budget `" + whole.name + "` has optional levels only: nothing would be held");
  }
  return levels;
}

// Shares of the cost of models are kept in millionths: single requests cost less than a cent.
void KeepInMicros(lua_State* lua, BudgetDecl& budget) {
  const int digits = *core::MinorDigits(budget.unit);
  for (int i = digits; i < 6; ++i) {
    if (__builtin_mul_overflow(budget.limit, std::int64_t{10}, &budget.limit)) {
      Raise(lua, "the limit of budget `" + budget.name + "` is too large");
    }
  }
  budget.unit = std::string(kMicroUnit) + budget.unit;
}

void CheckCharges(lua_State* lua, bool is_money, std::vector<BudgetDecl>& all) {
  static constexpr std::array<std::string_view, 3> kUnits = {"tokens", "requests", "ms"};
  for (BudgetDecl& one : all) {
    const bool fits = is_money || std::find(kUnits.begin(), kUnits.end(), one.unit) != kUnits.end();
    if (one.charges != kChargesModel || !fits) {
      Raise(lua, "budget.charges is \"model\", in a currency, tokens, requests or ms");
    }
    if (one.per == kPerKey) Raise(lua, "a request to a model has no key; take another `per`");
    if (is_money) KeepInMicros(lua, one);
  }
}

// A level has the name of a budget, "refund.user": both are names of shares in the ledger.
void CheckFresh(lua_State* lua, const std::string& name) {
  for (const BudgetDecl& other : ProgramOf(lua).budgets()) {
    if (other.name == name || WholeName(other) == name) {
      Raise(lua, "budget `" + name + "` is declared twice");
    }
  }
}

int TakeBudget(lua_State* lua) {
  CheckPolicyFile(lua, "budget");
  Program& program = ProgramOf(lua);
  CurrentPolicy(lua);
  const Fields fields(lua, 2, "budget",
                      {"unit", "limit", "per", "window", "levels", "charges", "doc"});
  BudgetDecl whole{.name = CheckName(lua, 1, "the name of a budget"), .unit = fields.Text("unit")};
  const bool is_money = core::MinorDigits(whole.unit).ok();
  if (!is_money && (!IsName(whole.unit) || whole.unit.size() > kUnitBytesMax)) {
    Raise(lua, "budget.unit is a currency or a word such as \"calls\"");
  }
  CheckFresh(lua, whole.name);
  std::vector<BudgetDecl> all;
  if (fields.Has("levels")) {
    all = ReadLevels(lua, fields, whole, is_money);
  } else {
    ReadShare(lua, fields, is_money, whole);
    all.push_back(std::move(whole));
  }
  const bool charged = fields.Has("charges");
  if (charged) {
    for (BudgetDecl& one : all) one.charges = fields.Text("charges");
    CheckCharges(lua, is_money, all);
  }
  const std::size_t first = program.budgets().size();
  const std::size_t count = all.size();
  for (BudgetDecl& one : all) {
    CheckFresh(lua, one.name);
    program.AddBudget(std::move(one), PlaceOf(lua));
  }
  auto* handle = static_cast<BudgetHandle*>(lua_newuserdatauv(lua, sizeof(BudgetHandle), 0));
  *handle = {
      .head = {Kind::kBudget}, .is_money = is_money && !charged, .index = first, .levels = count};
  return 1;
}

}  // namespace

int BudgetStart(lua_State* lua) {
  CheckName(lua, 1, "the name of a budget");
  return PushTaker(lua, &TakeBudget);
}

const BudgetDecl& ReservedFrom(lua_State* lua, const BudgetHandle& handle) {
  const BudgetDecl& budget = ProgramOf(lua).budgets()[handle.index];
  if (!budget.charges.empty()) {
    Raise(lua, "budget `" + WholeName(budget) +
                   "` is charged by what models use; rules read it by " + "spent { budget = … }");
  }
  return budget;
}

bool TakesKey(const Program& program, const BudgetHandle& handle) {
  const auto first = program.budgets().begin() + static_cast<std::ptrdiff_t>(handle.index);
  return std::any_of(first, first + static_cast<std::ptrdiff_t>(handle.levels),
                     [](const BudgetDecl& one) { return one.per == kPerKey; });
}

std::string WholeName(const BudgetDecl& budget) {
  if (budget.level.empty()) return budget.name;
  return budget.name.substr(0, budget.name.size() - budget.level.size() - 1);
}

const BudgetDecl& LevelOf(lua_State* lua, const BudgetHandle& handle, const std::string& level) {
  const std::vector<BudgetDecl>& all = ProgramOf(lua).budgets();
  std::string names;
  for (std::size_t at = handle.index; at < handle.index + handle.levels; ++at) {
    if (all[at].level == level) return all[at];
    names += (names.empty() ? "" : ", ") + all[at].level;
  }
  const std::string whole = WholeName(all[handle.index]);
  if (names.empty()) Raise(lua, "budget `" + whole + "` has no levels");
  Raise(lua, "name a level of budget `" + whole + "`: " + names);
}

}  // namespace interlock::policies
