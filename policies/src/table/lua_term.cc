#include "table/lua_term.h"

#include <algorithm>
#include <cmath>
#include <new>

#include "core/money.h"
#include "env.h"
#include "freeze.h"
#include "lua_json.h"
#include "lua_money.h"
#include "lua_wanted.h"
#include "placeholder.h"
#include "program.h"

namespace interlock::policies {
namespace {

using Op = Predicate::Op;

constexpr char kMetatable = 0;

struct Term {
  enum class Kind { kPredicate, kField, kChange };
  Kind kind = Kind::kPredicate;
  Predicate predicate{};
  int path = -1;
  Change change{};
};

struct TermHandle {
  UserdataHead head;
  Term* term;
};

int Collect(lua_State* lua) {
  auto* handle = static_cast<TermHandle*>(lua_touserdata(lua, 1));
  delete handle->term;
  handle->term = nullptr;
  return 0;
}

int RefuseUse(lua_State* lua) {
  Raise(lua, "this is a word of table rules; it has no fields and stands in `where` only");
}

int PushTerm(lua_State* lua, Term term) {
  auto* handle = static_cast<TermHandle*>(lua_newuserdatauv(lua, sizeof(TermHandle), 0));
  *handle = {.head = {Kind::kTerm}, .term = nullptr};
  if (lua_rawgetp(lua, LUA_REGISTRYINDEX, &kMetatable) != LUA_TTABLE) {
    lua_pop(lua, 1);
    lua_createtable(lua, 0, 4);
    constexpr luaL_Reg kMethods[] = {
        {"__index", RefuseUse}, {"__newindex", RefuseUse}, {"__gc", Collect}, {nullptr, nullptr}};
    luaL_setfuncs(lua, kMethods, 0);
    lua_pushboolean(lua, 0);
    lua_setfield(lua, -2, "__metatable");
    lua_pushvalue(lua, -1);
    lua_rawsetp(lua, LUA_REGISTRYINDEX, &kMetatable);
  }
  lua_setmetatable(lua, -2);
  handle->term = new Term(std::move(term));
  return 1;
}

int PushPredicate(lua_State* lua, Predicate predicate) {
  return PushTerm(lua, {.predicate = std::move(predicate)});
}

const Term* TermAt(lua_State* lua, int index) {
  const auto* handle = UserdataOf<TermHandle>(lua, index, Kind::kTerm);
  return handle == nullptr ? nullptr : handle->term;
}

int Depth(const Predicate& predicate) {
  int deepest = 0;
  for (const Predicate& part : predicate.parts) deepest = std::max(deepest, Depth(part));
  return deepest + 1;
}

Predicate Checked(lua_State* lua, Predicate predicate) {
  if (Depth(predicate) > kPredicateDepthMax) Raise(lua, "a condition is nested more than 8 deep");
  if (predicate.parts.size() > kPredicatePartsMax) Raise(lua, "more than 256 parts in a condition");
  return predicate;
}

Constant ConstantAt(lua_State* lua, int index) {
  Constant out;
  if (const Term* term = TermAt(lua, index); term != nullptr) {
    if (term->kind != Term::Kind::kField) {
      Raise(lua, "a value is wanted here, such as 5, \"text\", usd(5) or field(\"args.x\")");
    }
    out.kind = Constant::Kind::kPath;
    out.path = term->path;
    return out;
  }
  if (const LuaMoney* money = MoneyAt(lua, index); money != nullptr) {
    out.kind = Constant::Kind::kMoney;
    out.integer = money->minor;
    out.text = money->currency;
    const auto digits = core::MinorDigits(out.text);
    if (!digits.ok()) Raise(lua, std::string(core::Message(digits.status())));
    out.money_digits = *digits;
    return out;
  }
  switch (lua_type(lua, index)) {
    case LUA_TSTRING:
      out.text = std::string(CheckText(lua, index, "a value"));
      if (out.text.size() > kTextBytesMax) Raise(lua, "a text of more than 64 KiB");
      return out;
    case LUA_TBOOLEAN:
      out.kind = Constant::Kind::kBoolean;
      out.boolean = lua_toboolean(lua, index) != 0;
      return out;
    case LUA_TNUMBER:
      out.kind =
          lua_isinteger(lua, index) != 0 ? Constant::Kind::kInteger : Constant::Kind::kNumber;
      out.integer = lua_tointeger(lua, index);
      out.number = lua_tonumber(lua, index);
      if (!std::isfinite(out.number)) Raise(lua, "a number that is not finite");
      return out;
    default:
      Raise(lua, std::string("a text, number, boolean, money or field(…) is wanted, not ") +
                     luaL_typename(lua, index));
  }
}

// Upvalue 1 is the operation: le(5), ne("x"), like("a*") …
int Compare(lua_State* lua) {
  CheckLoading(lua, "this word of table rules");
  const Op op = static_cast<Op>(lua_tointeger(lua, lua_upvalueindex(1)));
  if (lua_gettop(lua) != 1) Raise(lua, "one value is wanted, as in le(usd(50))");
  Predicate predicate{.op = op, .constant = ConstantAt(lua, 1)};
  const Constant::Kind kind = predicate.constant.kind;
  const bool text_only = op == Op::kPrefix || op == Op::kSuffix || op == Op::kLike;
  if (text_only && kind != Constant::Kind::kText)
    Raise(lua, "a text is wanted, as in prefix(\"a\")");
  const bool ordered =
      op == Op::kLess || op == Op::kAtMost || op == Op::kMore || op == Op::kAtLeast;
  if (ordered && kind == Constant::Kind::kBoolean) Raise(lua, "true and false have no order");
  return PushPredicate(lua, std::move(predicate));
}

int Between(lua_State* lua) {
  CheckLoading(lua, "between(…)");
  if (lua_gettop(lua) != 2) Raise(lua, "write between(least, most); both are included");
  Predicate all{.op = Op::kAll};
  all.parts.push_back({.op = Op::kAtLeast, .constant = ConstantAt(lua, 1)});
  all.parts.push_back({.op = Op::kAtMost, .constant = ConstantAt(lua, 2)});
  return PushPredicate(lua, std::move(all));
}

// Upvalue 1 is the operation. Takes values, or one list of them.
int Set(lua_State* lua) {
  CheckLoading(lua, "one_of and none_of");
  Predicate set{.op = static_cast<Op>(lua_tointeger(lua, lua_upvalueindex(1)))};
  const bool is_list = lua_gettop(lua) == 1 &&
                       (lua_type(lua, 1) == LUA_TTABLE || UserdataHasKind(lua, 1, Kind::kFrozen));
  const std::int64_t count = is_list ? ListLength(lua, 1) : lua_gettop(lua);
  for (std::int64_t at = 1; at <= count; ++at) {
    if (is_list) {
      PushElement(lua, 1, at);
      set.constants.push_back(ConstantAt(lua, lua_gettop(lua)));
      lua_pop(lua, 1);
    } else {
      set.constants.push_back(ConstantAt(lua, static_cast<int>(at)));
    }
  }
  if (set.constants.empty()) Raise(lua, "one_of and none_of want at least one value");
  const Constant::Kind kind = set.constants[0].kind;
  for (const Constant& one : set.constants) {
    if (one.kind != kind) Raise(lua, "the values of one_of and none_of are of one kind");
  }
  std::sort(set.constants.begin(), set.constants.end(), [](const Constant& a, const Constant& b) {
    return std::tie(a.text, a.integer, a.number, a.path) <
           std::tie(b.text, b.integer, b.number, b.path);
  });
  return PushPredicate(lua, std::move(set));
}

int Matches(lua_State* lua) {
  CheckLoading(lua, "matches(…)");
  Predicate predicate{.op = Op::kMatches, .patterns = PatternsAt(lua, 1)};
  if (predicate.patterns == nullptr) Raise(lua, "write matches(P), where P = patterns { … }");
  return PushPredicate(lua, std::move(predicate));
}

std::shared_ptr<const DetectWanted> WantedAt(lua_State* lua) {
  return std::make_shared<const DetectWanted>(CheckWanted(lua, 1));
}

int Detects(lua_State* lua) {
  CheckLoading(lua, "detects(…)");
  return PushPredicate(lua, {.op = Op::kDetects, .wanted = WantedAt(lua)});
}

int Absent(lua_State* lua) {
  CheckLoading(lua, "absent()");
  return PushPredicate(lua, {.op = Op::kAbsent});
}

// Upvalue 1 is the operation; the arguments are conditions.
int Combine(lua_State* lua) {
  CheckLoading(lua, "this word of table rules");
  Predicate out{.op = static_cast<Op>(lua_tointeger(lua, lua_upvalueindex(1)))};
  const bool many = out.op == Op::kAny || out.op == Op::kAll;
  const int count = lua_gettop(lua);
  if (count == 0 || (!many && count != 1)) Raise(lua, "a condition is wanted, such as le(5)");
  for (int at = 1; at <= count; ++at) out.parts.push_back(PredicateAt(lua, at));
  return PushPredicate(lua, Checked(lua, std::move(out)));
}

int Field(lua_State* lua) {
  CheckLoading(lua, "field(…)");
  Term term{.kind = Term::Kind::kField};
  term.path = PathAt(lua, CheckText(lua, 1, "a path"));
  return PushTerm(lua, std::move(term));
}

int MaskedWord(lua_State* lua) {
  CheckLoading(lua, "masked(…)");
  Term term{.kind = Term::Kind::kChange};
  term.change = {.kind = Change::Kind::kMasked, .wanted = WantedAt(lua)};
  return PushTerm(lua, std::move(term));
}

// Upvalue 1 is the kind of change.
int Bounded(lua_State* lua) {
  CheckLoading(lua, "at_most and at_least");
  Term term{.kind = Term::Kind::kChange};
  term.change.kind = static_cast<Change::Kind>(lua_tointeger(lua, lua_upvalueindex(1)));
  term.change.constant = JsonFrom(lua, 1);
  if (!term.change.constant.is_number()) Raise(lua, "a number is wanted, as in at_most(50)");
  term.change.bound = term.change.constant.get<double>();
  return PushTerm(lua, std::move(term));
}

Predicate FieldsPredicate(lua_State* lua, int table) {
  Predicate out{.op = Op::kFields};
  std::vector<std::pair<std::string, Predicate>> members;
  for (lua_pushnil(lua); lua_next(lua, table) != 0; lua_pop(lua, 1)) {
    members.emplace_back(CheckText(lua, -2, "the name of a field"),
                         PredicateAt(lua, lua_gettop(lua)));
  }
  std::sort(members.begin(), members.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& [name, predicate] : members) {
    out.names.push_back(std::move(name));
    out.parts.push_back(std::move(predicate));
  }
  return out;
}

Predicate ListPredicate(lua_State* lua, int table, std::int64_t size) {
  Predicate out{.op = Op::kAll};
  for (std::int64_t at = 1; at <= size; ++at) {
    lua_rawgeti(lua, table, at);
    const Term* term = TermAt(lua, lua_gettop(lua));
    if (term == nullptr || term->kind != Term::Kind::kPredicate) {
      Raise(lua, "a list of conditions means that all hold; for values write one_of(…)");
    }
    out.parts.push_back(term->predicate);
    lua_pop(lua, 1);
  }
  return out;
}

void AddWords(lua_State* lua, lua_CFunction function,
              std::initializer_list<std::pair<const char*, int>> words) {
  for (const auto& [name, value] : words) {
    lua_pushinteger(lua, value);
    lua_pushcclosure(lua, function, 1);
    lua_setfield(lua, -2, name);
  }
}

int Number(Op op) { return static_cast<int>(op); }

}  // namespace

Predicate PredicateAt(lua_State* lua, int index) {
  luaL_checkstack(lua, 16, "a condition is nested too deep");
  if (const Term* term = TermAt(lua, index);
      term != nullptr && term->kind == Term::Kind::kPredicate) {
    return term->predicate;
  }
  if (lua_type(lua, index) != LUA_TTABLE && !UserdataHasKind(lua, index, Kind::kFrozen)) {
    return {.op = Op::kEqual, .constant = ConstantAt(lua, index)};
  }
  PushTableOf(lua, index, "a condition");
  const int table = lua_gettop(lua);
  const auto size = static_cast<std::int64_t>(lua_rawlen(lua, table));
  Predicate out = size > 0 ? ListPredicate(lua, table, size) : FieldsPredicate(lua, table);
  lua_pop(lua, 1);
  if (out.parts.empty()) Raise(lua, "an empty table is no condition");
  return Checked(lua, std::move(out));
}

Change ChangeAt(lua_State* lua, int index) {
  const Term* term = TermAt(lua, index);
  if (term == nullptr) return {.constant = JsonFrom(lua, index)};
  if (term->kind == Term::Kind::kPredicate) {
    Raise(lua, "a value is wanted here, such as 5, field(\"args.x\"), masked(…) or at_most(5)");
  }
  if (term->kind == Term::Kind::kChange) return term->change;
  return {.kind = Change::Kind::kPath, .path = term->path};
}

int PathAt(lua_State* lua, std::string_view text) {
  const core::StatusOr<int> path = ProgramOf(lua).paths().Intern(text);
  if (!path.ok()) Raise(lua, std::string(core::Message(path.status())));
  return *path;
}

TextTemplate TemplateOf(lua_State* lua, const std::string& text) {
  const auto parts = ParseTemplate(text);
  if (!parts.ok()) Raise(lua, std::string(core::Message(parts.status())));
  TextTemplate out;
  for (const TemplatePart& part : *parts) {
    out.parts.push_back(part.is_path ? TextTemplate::Part{.path = PathAt(lua, part.text)}
                                     : TextTemplate::Part{.text = part.text});
  }
  return out;
}

bool IsWordOfLabels(lua_State* lua) { return Vm::Of(lua).phase() == Phase::kLoading; }

int LabelWord(lua_State* lua, int op) {
  Predicate predicate{.op = static_cast<Op>(op)};
  if (predicate.op == Op::kReadableBy) {
    predicate.constant = ConstantAt(lua, 1);
    const bool fits = predicate.constant.kind == Constant::Kind::kText ||
                      predicate.constant.kind == Constant::Kind::kPath;
    if (!fits) Raise(lua, "write readable_by(\"user:maria\") or readable_by(field(\"args.to\"))");
    return PushPredicate(lua, std::move(predicate));
  }
  for (int at = 1; at <= lua_gettop(lua); ++at) {
    predicate.names.emplace_back(CheckText(lua, at, "a source or tag"));
  }
  std::sort(predicate.names.begin(), predicate.names.end());
  if (predicate.op != Op::kTrusted && predicate.names.empty()) {
    Raise(lua, "name at least one, as in from(\"user\") or tagged(\"pii\")");
  }
  return PushPredicate(lua, std::move(predicate));
}

int PresentWord(lua_State* lua) {
  if (lua_gettop(lua) > 0) return Context::Present(lua);
  CheckLoading(lua, "present()");
  return PushPredicate(lua, {.op = Op::kPresent});
}

void AddTermFunctions(lua_State* lua) {
  AddWords(lua, &Compare,
           {{"eq", Number(Op::kEqual)},
            {"ne", Number(Op::kNotEqual)},
            {"lt", Number(Op::kLess)},
            {"le", Number(Op::kAtMost)},
            {"gt", Number(Op::kMore)},
            {"ge", Number(Op::kAtLeast)},
            {"prefix", Number(Op::kPrefix)},
            {"suffix", Number(Op::kSuffix)},
            {"like", Number(Op::kLike)},
            {"has", Number(Op::kHas)}});
  AddWords(lua, &Set, {{"one_of", Number(Op::kOneOf)}, {"none_of", Number(Op::kNoneOf)}});
  AddWords(lua, &Combine,
           {{"optional", Number(Op::kOptional)},
            {"is_not", Number(Op::kNot)},
            {"any_of", Number(Op::kAny)},
            {"all_of", Number(Op::kAll)},
            {"each", Number(Op::kEach)},
            {"some", Number(Op::kSome)},
            {"length", Number(Op::kLength)},
            {"days_away", Number(Op::kDaysAway)}});
  AddWords(lua, &Bounded,
           {{"at_most", static_cast<int>(Change::Kind::kAtMost)},
            {"at_least", static_cast<int>(Change::Kind::kAtLeast)}});
  constexpr luaL_Reg kFunctions[] = {
      {"between", Between}, {"matches", Matches},   {"detects", Detects}, {"absent", Absent},
      {"field", Field},     {"masked", MaskedWord}, {nullptr, nullptr}};
  luaL_setfuncs(lua, kFunctions, 0);
}

}  // namespace interlock::policies
