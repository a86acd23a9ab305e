#include "velocity.h"

#include <algorithm>

#include "core/money.h"
#include "env.h"
#include "fields.h"
#include "lua_money.h"
#include "lua_tokens.h"
#include "scope.h"
#include "table/lua_term.h"

namespace interlock::policies {
namespace {

constexpr std::string_view kCalls = "calls";  // unit of a velocity that sums nothing
constexpr std::size_t kUnitBytesMax = 32;
constexpr std::int64_t kLookWork = 100;  // of a counter: an HMAC, and its events from the newest on

// A path alone, "args.customer_id", is a text with one place.
TextTemplate KeyTemplate(lua_State* lua, const Fields& fields) {
  std::string text = fields.Text("key");
  if (text.find('{') == std::string::npos) text = "{" + text + "}";
  return TemplateOf(lua, text);
}

void TakeAmount(lua_State* lua, const Fields& fields, Velocity& velocity, TableRule& table) {
  if (fields.Has("of") != fields.Has("unit")) {
    Raise(lua,
          "velocity sums `of`, a path, in `unit`, such as of = \"args.amount\", unit = \"USD\"");
  }
  velocity.unit = fields.TextOr("unit", kCalls);
  if (!fields.Has("of")) return;
  velocity.sums = true;
  velocity.is_money = core::MinorDigits(velocity.unit).ok();
  if (!velocity.is_money && (!IsName(velocity.unit) || velocity.unit.size() > kUnitBytesMax)) {
    Raise(lua, "velocity.unit is a currency or a word such as \"seats\"");
  }
  table.amount.kind = Change::Kind::kPath;
  table.amount.path = PathAt(lua, fields.Text("of"));
}

bool TakeFlag(lua_State* lua, const Fields& fields, const char* name) {
  if (!fields.Has(name)) return false;
  const int at = fields.Push(name);
  if (lua_type(lua, at) != LUA_TBOOLEAN) {
    Raise(lua, std::string("velocity.") + name + " is true or false");
  }
  return lua_toboolean(lua, at) != 0;
}

int TakeVelocity(lua_State* lua) {
  CheckPolicyFile(lua, "velocity");
  Program& program = ProgramOf(lua);
  const Fields fields(lua, 2, "velocity",
                      {"tool", "key", "of", "unit", "within", "optional", "doc"});
  Velocity velocity{.rule = {.policy = CurrentPolicy(lua), .place = PlaceOf(lua)}};
  Rule& rule = velocity.rule;
  rule.id = program.policies()[rule.policy].name + "/" + CheckName(lua, 1, "a velocity's name");
  for (const Velocity& other : program.velocities()) {
    if (other.rule.id == rule.id) Raise(lua, "velocity `" + rule.id + "` is declared twice");
  }
  if (program.velocities().size() >= kVelocitiesMax) Raise(lua, "more than 256 velocities");
  if (!fields.Has("tool")) Raise(lua, "velocity needs the field `tool`: whose calls it counts");
  rule.selector = CheckSelector(lua, fields.Push("tool"));
  if (rule.selector.phase != RulePhase::kCall) Raise(lua, "a velocity counts calls of tools");
  auto table = std::make_shared<TableRule>();
  table->verdict = VerdictKind::kNote;  // it says nothing of the call
  table->key = KeyTemplate(lua, fields);
  TakeAmount(lua, fields, velocity, *table);
  rule.table = std::move(table);
  velocity.within_ms = fields.SpanMs("within");
  velocity.optional = TakeFlag(lua, fields, "optional");
  program.AddVelocity(std::move(velocity));
  return 0;
}

std::string NamesOf(const std::vector<const Velocity*>& velocities) {
  std::string names;
  for (const Velocity* one : velocities)
    names += (names.empty() ? "`" : ", `") + one->rule.id + "`";
  return names;
}

const Velocity& VelocityNamed(lua_State* lua, std::string name) {
  const Program& program = ProgramOf(lua);
  if (name.find('/') == std::string::npos) {
    name = program.policies()[program.current_rule->policy].name + "/" + name;
  }
  for (const Velocity& one : program.velocities()) {
    if (one.rule.id == name) return one;
  }
  Raise(lua, "there is no velocity `" + name + "`");
}

bool CountsOnly(const Velocity& velocity, const std::string& tool) {
  const Selector& on = velocity.rule.selector;
  return on.effects.empty() && on.tools.size() == 1 && on.tools[0] == tool;
}

// The one that the question means, by its name or by the tool that it counts.
const Velocity& AskedVelocity(lua_State* lua, const Fields& fields, const std::string& of) {
  if (fields.Has("velocity")) return VelocityNamed(lua, fields.Text("velocity"));
  const Program& program = ProgramOf(lua);
  const std::string tool = fields.Text("tool");
  std::vector<const Velocity*> found;
  for (const Velocity& one : program.velocities()) {
    const int path = one.rule.table->amount.path;
    const bool meant = of.empty() || (one.sums && program.paths().at(path).text == of);
    if (meant && CountsOnly(one, tool)) found.push_back(&one);
  }
  // Another team may count the same tool; each is asked for its own.
  const std::size_t own = program.current_rule->policy;
  const auto is_own = [own](const Velocity* one) { return one->rule.policy == own; };
  if (std::count_if(found.begin(), found.end(), is_own) == 1) {
    return **std::find_if(found.begin(), found.end(), is_own);
  }
  if (found.empty()) {
    Raise(lua, "no velocity " + (of.empty() ? "counts `" : "sums `" + of + "` of `") + tool +
                   "`; declare velocity \"name\" { tool = \"" + tool + "\", key = …, within = … }");
  }
  if (found.size() > 1) {
    Raise(lua, "several velocities count `" + tool + "`; say velocity = one of " + NamesOf(found));
  }
  return *found[0];
}

// The counter that is asked about and how far back.
struct Question {
  const Velocity& velocity;
  std::string counter;
  std::int64_t within_ms = 0;
};

Question QuestionOf(lua_State* lua, const Fields& fields, const std::string& of) {
  const Velocity& velocity = AskedVelocity(lua, fields, of);
  const std::int64_t within_ms = fields.SpanMs("within");
  if (within_ms > velocity.within_ms) {
    Raise(lua, "velocity `" + velocity.rule.id + "` looks back over " +
                   std::to_string(velocity.within_ms / 1000) +
                   " s; ask for no more, or raise its `within`");
  }
  Vm::Of(lua).Charge(kLookWork);
  if (ProgramOf(lua).context().input().state == nullptr) Raise(lua, "no counters are at hand");
  return {velocity, CounterOf(velocity, KeyText(lua, fields.Push("key"))), within_ms};
}

// Once for every decision: an error, and its line.
void Deny(const Velocity& velocity, std::string why, Decision& decision) {
  FiredRule fired{.id = velocity.rule.id,
                  .verdict = "error",
                  .code = "RULE_ERROR",
                  .because = std::move(why),
                  .line = velocity.rule.place.line};
  const auto at =
      std::upper_bound(decision.rules.begin(), decision.rules.end(), fired,
                       [](const FiredRule& a, const FiredRule& b) { return a.id < b.id; });
  decision.rules.insert(at, std::move(fired));
  decision.verdict = decision.shadow_verdict = Verdict::kDeny;
  decision.code = "RULE_ERROR";
  decision.say = "This call could not be counted, so it is denied.";
  decision.demands.clear();
  decision.reservations.clear();
  decision.limits.clear();
}

bool LacksKey(const TextTemplate& key, PathValues& values) {
  return std::any_of(key.parts.begin(), key.parts.end(), [&](const TextTemplate::Part& part) {
    return part.path >= 0 && values.Get(part.path).kind == Operand::Kind::kAbsent;
  });
}

// Empty: the call counts under `tally`, or, if its key is empty too, under nothing.
std::string CountFor(const Velocity& velocity, PathValues& values, Tally& tally) {
  const TableRule& table = *velocity.rule.table;
  std::string key;
  std::string error;
  if (velocity.optional && LacksKey(table.key, values)) return "";
  if (!FillTemplate(table.key, values, key, error)) return error;
  if (key.empty() || key.size() > kKeyBytesMax) return "a key has 1 to 256 bytes";
  if (velocity.sums) {
    const auto amount =
        AmountAt(table.amount.path, velocity.unit, velocity.is_money, values, error);
    if (!amount) return error;
    tally.amount = *amount;
  }
  tally.velocity = velocity.rule.id;
  tally.key = CounterOf(velocity, key);
  tally.summed = velocity.sums;
  tally.within_ms = velocity.within_ms;
  return "";
}

// `count { … }` and `sum { … }` as they stand in a file.
class AskedNames {
 public:
  AskedNames(const BundleFile& file, const Program& program, std::vector<Finding>& findings)
      : file_(file), program_(program), findings_(findings), tokens_(LuaTokens(file.text)) {}

  void Check() {
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      const bool asks = Is(i, "count") || Is(i, "sum");
      const bool other = i > 0 && (Is(i - 1, ".") || Is(i - 1, ":") || Is(i - 1, "function"));
      const std::size_t open = Is(i + 1, "(") ? i + 2 : i + 1;
      if (asks && !other && Is(open, "{")) CheckTable(open);
    }
  }

 private:
  bool Is(std::size_t i, std::string_view text) const {
    return i < tokens_.size() && tokens_[i].kind != LuaToken::Kind::kText &&
           tokens_[i].text == text;
  }

  void CheckTable(std::size_t open) {
    int depth = 0;
    for (std::size_t i = open; i < tokens_.size(); ++i) {
      if (Is(i, "{")) ++depth;
      if (Is(i, "}") && --depth == 0) return;
      const bool text = i + 2 < tokens_.size() && tokens_[i + 2].kind == LuaToken::Kind::kText;
      const bool whole = Is(i + 3, ",") || Is(i + 3, ";") || Is(i + 3, "}");
      if (depth != 1 || !Is(i + 1, "=") || !text || !whole) continue;
      const std::string_view quoted = tokens_[i + 2].text;
      const std::string name(quoted.substr(1, quoted.size() - 2));
      if (Is(i, "velocity")) CheckVelocity(name, tokens_[i].line);
      if (Is(i, "tool")) CheckTool(name, tokens_[i].line);
    }
  }

  void CheckVelocity(const std::string& name, int line) {
    std::vector<std::string> names;
    for (const Velocity& one : program_.velocities()) {
      const PolicyDecl& policy = program_.policies()[one.rule.policy];
      names.push_back(one.rule.id);
      if (policy.place.file == file_.path) {
        names.push_back(one.rule.id.substr(policy.name.size() + 1));
      }
    }
    if (std::find(names.begin(), names.end(), name) != names.end()) return;
    Report(line, "there is no velocity `" + name + "`" + DidYouMean(name, names));
  }

  void CheckTool(const std::string& tool, int line) {
    std::vector<std::string> tools;
    for (const Velocity& one : program_.velocities()) {
      if (CountsOnly(one, tool)) return;
      const Selector& on = one.rule.selector;
      if (on.tools.size() == 1) tools.push_back(on.tools[0]);
    }
    Report(line, "no velocity counts `" + tool + "`" + DidYouMean(tool, tools));
  }

  void Report(int line, std::string message) {
    findings_.push_back({.file = file_.path,
                         .line = line,
                         .severity = "error",
                         .code = "UNKNOWN_VELOCITY",
                         .message = std::move(message)});
  }

  const BundleFile& file_;
  const Program& program_;
  std::vector<Finding>& findings_;
  const std::vector<LuaToken> tokens_;
};

}  // namespace

void CheckVelocityNames(const std::vector<BundleFile>& files, const Program& program,
                        std::vector<Finding>& findings) {
  for (const BundleFile& file : files) AskedNames(file, program, findings).Check();
}

int VelocityStart(lua_State* lua) {
  CheckName(lua, 1, "the name of a velocity");
  return PushTaker(lua, &TakeVelocity);
}

bool AsksVelocity(lua_State* lua, int index) {
  if (lua_type(lua, index) != LUA_TTABLE) return false;
  for (const char* name : {"tool", "velocity"}) {
    lua_pushstring(lua, name);
    const bool there = lua_rawget(lua, index) != LUA_TNIL;
    lua_pop(lua, 1);
    if (there) return true;
  }
  return false;
}

int CountOfVelocity(lua_State* lua) {
  CheckDeciding(lua, "count { … }");
  const Fields fields(lua, 1, "count", {"tool", "velocity", "key", "within"});
  const Question asked = QuestionOf(lua, fields, "");
  Program& program = ProgramOf(lua);
  VersionedRead read = ReadCount(program.context().input(), asked.counter, asked.within_ms);
  lua_pushinteger(lua, read.value);
  program.reads.push_back(std::move(read));
  return 1;
}

int SumOfVelocity(lua_State* lua) {
  CheckDeciding(lua, "sum { … }");
  const Fields fields(lua, 1, "sum", {"tool", "velocity", "key", "of", "within"});
  const Question asked = QuestionOf(lua, fields, fields.TextOr("of", ""));
  if (!asked.velocity.sums) {
    Raise(lua, "velocity `" + asked.velocity.rule.id + "` sums nothing; give it `of` and `unit`");
  }
  Program& program = ProgramOf(lua);
  VersionedRead read = ReadSum(program.context().input(), asked.counter, asked.within_ms);
  if (asked.velocity.is_money) {
    PushMoney(lua, read.value, asked.velocity.unit);
  } else {
    lua_pushinteger(lua, read.value);
  }
  program.reads.push_back(std::move(read));
  return 1;
}

std::string CounterOf(const Velocity& velocity, std::string_view key) {
  return velocity.rule.id + ":" + velocity.unit + "/" + std::string(key);
}

void CountCall(const Program& program, const std::vector<std::uint32_t>& velocities,
               PathValues& values, Decision& decision) {
  std::vector<Tally> tallies;
  for (const std::uint32_t at : velocities) {
    const Velocity& velocity = program.velocities()[at];
    Tally tally;
    std::string error = CountFor(velocity, values, tally);
    if (!error.empty()) Deny(velocity, std::move(error), decision);
    if (!tally.key.empty()) tallies.push_back(std::move(tally));
  }
  if (decision.verdict != Verdict::kDeny) decision.tallies = std::move(tallies);
}

}  // namespace interlock::policies
