#include "case_space.h"

#include <algorithm>

#include "core/money.h"
#include "stated_case.h"

namespace interlock::policies {
namespace {

constexpr std::size_t kValuesMax = 12;  // tried of one path
constexpr std::size_t kPathsTriedMax = 24;
constexpr std::size_t kSeedsMax = 16;  // of one tool

void AddValue(std::vector<core::Json>& values, core::Json value) {
  const bool there = std::find(values.begin(), values.end(), value) != values.end();
  if (!there && values.size() < kValuesMax) values.push_back(std::move(value));
}

// The constant, what is just below and above it, and something else of its kind.
void AddAround(const Constant& constant, std::vector<core::Json>& values) {
  switch (constant.kind) {
    case Constant::Kind::kText:
      AddValue(values, constant.text);
      AddValue(values, constant.text + "x");
      return;
    case Constant::Kind::kInteger:
      for (const std::int64_t by : {0, -1, 1}) AddValue(values, constant.integer + by);
      return;
    case Constant::Kind::kNumber:
      for (const double by : {0.0, -0.5, 0.5}) AddValue(values, constant.number + by);
      return;
    case Constant::Kind::kBoolean:
      AddValue(values, constant.boolean);
      AddValue(values, !constant.boolean);
      return;
    case Constant::Kind::kMoney:
      // A decimal text is an amount as good as a number, and exact.
      for (const std::int64_t by : {0, -1, 1}) {
        const std::string text =
            core::FormatMoney({.minor = constant.integer + by, .currency = constant.text});
        AddValue(values, text.substr(0, text.find(' ')));
      }
      return;
    case Constant::Kind::kPath:
      return;
  }
}

void AddOf(const Predicate& predicate, std::vector<core::Json>& values) {
  if (predicate.op == Predicate::Op::kPrefix || predicate.op == Predicate::Op::kSuffix) {
    AddValue(values, predicate.constant.text);
    AddValue(values, "other");
    return;
  }
  if (predicate.op == Predicate::Op::kLike) {
    std::string text = predicate.constant.text;
    text.erase(std::remove(text.begin(), text.end(), '*'), text.end());
    AddValue(values, text);
    AddValue(values, "other");
    return;
  }
  const bool whole = predicate.op <= Predicate::Op::kNoneOf;
  if (whole && predicate.constants.empty()) AddAround(predicate.constant, values);
  for (const Constant& one : predicate.constants) AddAround(one, values);
  if (predicate.op == Predicate::Op::kPresent || predicate.op == Predicate::Op::kAbsent ||
      predicate.op == Predicate::Op::kOptional) {
    AddValue(values, nullptr);
  }
  const bool same_value =
      predicate.op == Predicate::Op::kAny || predicate.op == Predicate::Op::kAll ||
      predicate.op == Predicate::Op::kNot || predicate.op == Predicate::Op::kOptional;
  for (const Predicate& part : predicate.parts) {
    if (same_value) AddOf(part, values);
  }
}

void AddSeed(const std::string& tool, core::Json seed, std::vector<core::Json>& seeds) {
  const bool other = seed.contains("message") || seed.contains("result") ||
                     seed.contains("answer") || (seed.contains("tool") && seed["tool"] != tool);
  if (other || seeds.size() >= kSeedsMax) return;
  for (const char* name : {"expect", "code", "rule", "args_after", "content_after"}) {
    seed.erase(name);
  }
  seed["tool"] = tool;
  seeds.push_back(std::move(seed));
}

}  // namespace

void AddRules(const Program& program, const std::string& tool, const std::string& effect,
              CaseSpace& space) {
  for (const Rule& rule : program.rules()) {
    const bool about =
        rule.selector.phase == RulePhase::kCall && program.Applies(rule, tool, effect);
    if (!about) continue;
    if (rule.examples.is_array()) {
      for (const core::Json& example : rule.examples) AddSeed(tool, example, space.seeds);
    }
    if (rule.table == nullptr) continue;
    for (const Condition& condition : rule.table->where) {
      const std::string& path = program.paths().at(condition.path).text;
      if (space.values.size() < kPathsTriedMax || space.values.contains(path)) {
        AddOf(condition.predicate, space.values[path]);
      }
    }
  }
}

void AddInvariants(const Program& program, const std::string& tool, const std::string& effect,
                   CaseSpace& space) {
  for (const Invariant& invariant : program.invariants()) {
    const Rule& rule = invariant.rule;
    if (rule.table == nullptr || !program.Applies(rule, tool, effect)) continue;
    for (const Condition& condition : rule.table->where) {
      AddOf(condition.predicate, space.values[program.paths().at(condition.path).text]);
    }
  }
}

void AddTests(const Program& tests, const std::string& tool, CaseSpace& space) {
  for (const TestCase& test : tests.tests()) {
    if (TextMemberOf(test.input, "tool", "") == tool) AddSeed(tool, test.input, space.seeds);
  }
}

void AddPlainSeed(const std::string& tool, CaseSpace& space) {
  core::Json plain = {{"tool", tool}, {"args", core::Json::object()}};
  for (const auto& [path, tried] : space.values) {
    if (!tried.empty()) SetStated(plain, path, tried.front());
  }
  space.seeds.insert(space.seeds.begin(), std::move(plain));
}

void AddToolNames(const std::vector<KnownTool>& known, const Program& program,
                  std::set<std::string>& tools) {
  for (const KnownTool& tool : known) tools.insert(tool.name);
  for (const Rule& rule : program.rules()) {
    if (rule.selector.phase != RulePhase::kCall) continue;
    for (const std::string& tool : rule.selector.tools) {
      if (!Selector::IsGlob(tool)) tools.insert(tool);
    }
  }
}

namespace {

// Where a case states a path of the context; empty where it cannot.
std::string StatedName(const std::string& path) {
  if (path == "flow.untrusted") return "untrusted";
  if (path == "call.effect") return "effect";
  if (path == "call.agent") return "agent";
  if (path == "call.compensates") return "compensates";
  if (path == "call.caller") return "caller";
  if (path == "call.depth") return "depth";
  if (path == "principal.id") return "principal";
  if (path == "principal.roles") return "roles";
  if (path == "user") return path;
  const std::string root = path.substr(0, path.find('.'));
  const bool deep =
      path.size() > root.size() + 1 && (root == "args" || root == "facts" || root == "session");
  return deep ? path : "";
}

}  // namespace

bool SetStated(core::Json& stated, const std::string& path, const core::Json& value) {
  std::string rest = StatedName(path);
  if (rest.empty()) return false;
  core::Json* at = &stated;
  for (std::size_t dot = rest.find('.'); dot != std::string::npos; dot = rest.find('.')) {
    core::Json& inner = (*at)[rest.substr(0, dot)];
    if (!inner.is_object()) inner = core::Json::object();
    at = &inner;
    rest = rest.substr(dot + 1);
  }
  if (value.is_null()) {
    at->erase(rest);
  } else {
    (*at)[rest] = value;
  }
  return true;
}

const core::Json* StatedAt(const core::Json& stated, const std::string& path) {
  std::string rest = StatedName(path);
  const core::Json* at = rest.empty() ? nullptr : &stated;
  while (at != nullptr && !rest.empty()) {
    const std::size_t dot = rest.find('.');
    const std::string name = rest.substr(0, dot);
    rest = dot == std::string::npos ? "" : rest.substr(dot + 1);
    at = at->is_object() && at->contains(name) ? &(*at)[name] : nullptr;
  }
  return at;
}

}  // namespace interlock::policies
