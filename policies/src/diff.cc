#include "policies/diff.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "core/money.h"
#include "program.h"
#include "stated_case.h"

namespace interlock::policies {
namespace {

constexpr std::size_t kValuesMax = 12;  // tried of one path
constexpr std::size_t kPathsTriedMax = 24;
constexpr std::size_t kSeedsMax = 16;  // of one tool

using Values = std::map<std::string, std::vector<core::Json>>;  // by path

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
  using Op = Predicate::Op;
  if (predicate.op == Op::kPrefix || predicate.op == Op::kSuffix) {
    AddValue(values, predicate.constant.text);
    AddValue(values, "other");
    return;
  }
  if (predicate.op == Op::kLike) {
    std::string text = predicate.constant.text;
    text.erase(std::remove(text.begin(), text.end(), '*'), text.end());
    AddValue(values, text);
    AddValue(values, "other");
    return;
  }
  const bool whole = predicate.op <= Op::kNoneOf;
  if (whole && predicate.constants.empty()) AddAround(predicate.constant, values);
  for (const Constant& one : predicate.constants) AddAround(one, values);
  if (predicate.op == Op::kPresent || predicate.op == Op::kAbsent ||
      predicate.op == Op::kOptional) {
    AddValue(values, nullptr);
  }
  const bool same_value = predicate.op == Op::kAny || predicate.op == Op::kAll ||
                          predicate.op == Op::kNot || predicate.op == Op::kOptional;
  for (const Predicate& part : predicate.parts) {
    if (same_value) AddOf(part, values);
  }
}

// Sets what a path of the context names in a stated case; false where a case cannot state it.
bool SetStated(core::Json& stated, const std::string& path, const core::Json& value) {
  std::string rest = path;
  if (path == "user" || path == "now") rest = path;
  if (path == "flow.untrusted") rest = "untrusted";
  if (path == "call.effect") rest = "effect";
  if (path == "call.agent") rest = "agent";
  if (path == "principal.id") rest = "principal";
  if (path == "principal.roles") rest = "roles";
  const std::string root = rest.substr(0, rest.find('.'));
  const bool deep = root == "args" || root == "facts" || root == "session";
  if (!deep && rest.find('.') != std::string::npos) return false;
  if (root == "tenant" || root == "now" || root == "call") return false;
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

class Differ {
 public:
  Differ(std::shared_ptr<const Bundle> before, std::shared_ptr<const Bundle> after,
         const std::vector<BundleFile>& test_files)
      : before_(std::move(before)), after_(std::move(after)) {
    tests_.Load(test_files, Program::What::kTests, ignored_);
    old_.Load(before_->files(), Program::What::kPolicies, ignored_);
    new_.Load(after_->files(), Program::What::kPolicies, ignored_);
  }

  BundleDiff Run() {
    auto old_engine = Engine::Make(before_);
    auto new_engine = Engine::Make(after_);
    if (!old_engine.ok() || !new_engine.ok()) return std::move(diff_);
    old_engine_ = std::move(*old_engine);
    new_engine_ = std::move(*new_engine);
    for (const std::string& tool : Tools()) TryTool(tool);
    for (auto& [key, change] : changes_) diff_.changes.push_back(std::move(change));
    return std::move(diff_);
  }

 private:
  // Tools that are known, and those that rules name.
  std::set<std::string> Tools() const {
    std::set<std::string> tools;
    for (const auto& bundle : {before_, after_}) {
      for (const KnownTool& tool : bundle->tools()) tools.insert(tool.name);
    }
    for (const Program* program : {&old_, &new_}) {
      for (const Rule& rule : program->rules()) {
        for (const std::string& tool : rule.selector.tools) {
          if (rule.selector.phase == RulePhase::kCall && !Selector::IsGlob(tool)) {
            tools.insert(tool);
          }
        }
      }
    }
    return tools;
  }

  std::string EffectOf(const std::string& tool) const {
    for (const KnownTool& known : after_->tools()) {
      if (known.name == tool) return known.effect;
    }
    return "write";
  }

  void Collect(const std::string& tool, Values& values, std::vector<core::Json>& seeds) const {
    for (const Program* program : {&old_, &new_}) {
      for (const Rule& rule : program->rules()) {
        const bool about =
            rule.selector.phase == RulePhase::kCall && program->Applies(rule, tool, EffectOf(tool));
        if (!about) continue;
        if (rule.examples.is_array()) {
          for (const core::Json& example : rule.examples) AddSeed(tool, example, seeds);
        }
        if (rule.table == nullptr) continue;
        for (const Condition& condition : rule.table->where) {
          const std::string& path = program->paths().at(condition.path).text;
          if (values.size() < kPathsTriedMax || values.contains(path)) {
            AddOf(condition.predicate, values[path]);
          }
        }
      }
    }
    for (const TestCase& test : tests_.tests()) {
      if (TextMemberOf(test.input, "tool", "") == tool) AddSeed(tool, test.input, seeds);
    }
  }

  static void AddSeed(const std::string& tool, core::Json seed, std::vector<core::Json>& seeds) {
    const bool other = seed.contains("message") || seed.contains("result") ||
                       seed.contains("answer") || (seed.contains("tool") && seed["tool"] != tool);
    if (other || seeds.size() >= kSeedsMax) return;
    for (const char* name : {"expect", "code", "rule", "args_after", "content_after"}) {
      seed.erase(name);
    }
    seed["tool"] = tool;
    seeds.push_back(std::move(seed));
  }

  void TryTool(const std::string& tool) {
    Values values;
    std::vector<core::Json> seeds;
    Collect(tool, values, seeds);
    core::Json plain = {{"tool", tool}, {"args", core::Json::object()}};
    for (const auto& [path, tried] : values) {
      if (!tried.empty()) SetStated(plain, path, tried.front());
    }
    seeds.insert(seeds.begin(), std::move(plain));
    for (const core::Json& seed : seeds) TryAround(tool, seed, values);
  }

  // The seed, every value of every path in it, and every two of them.
  void TryAround(const std::string& tool, const core::Json& seed, const Values& values) {
    Try(tool, seed);
    for (auto one = values.begin(); one != values.end(); ++one) {
      for (const core::Json& value : one->second) {
        core::Json single = seed;
        if (!SetStated(single, one->first, value) || !Try(tool, single)) continue;
        for (auto two = std::next(one); two != values.end(); ++two) {
          for (const core::Json& other : two->second) {
            core::Json both = single;
            if (SetStated(both, two->first, other)) Try(tool, both);
          }
        }
      }
    }
  }

  bool Try(const std::string& tool, const core::Json& stated) {
    diff_.cut = diff_.cut || diff_.calls >= kDiffCallsMax;
    if (diff_.cut) return false;
    const StatedCase old_case(*before_, stated, tool);
    const StatedCase new_case(*after_, stated, tool);
    ++diff_.calls;
    // A fact that one bundle does not declare is no reason not to ask the other.
    const Decision was = old_engine_->Decide(old_case.input());
    const Decision is = new_engine_->Decide(new_case.input());
    if (was.verdict == is.verdict) return true;
    Note(tool, stated, was, is);
    return true;
  }

  static std::string Said(const Decision& decision) {
    std::string text(VerdictName(decision.verdict));
    if (decision.verdict == Verdict::kDeny) text += " " + decision.code;
    return text;
  }

  void Note(const std::string& tool, const core::Json& stated, const Decision& was,
            const Decision& is) {
    std::set<std::string> rules;
    for (const auto& [one, other] : {std::pair{&was, &is}, std::pair{&is, &was}}) {
      for (const FiredRule& rule : one->rules) {
        const bool same =
            std::any_of(other->rules.begin(), other->rules.end(), [&](const FiredRule& match) {
              return match.id == rule.id && match.verdict == rule.verdict;
            });
        if (!same) rules.insert(rule.id);
      }
    }
    BundleChange change{.tool = tool,
                        .change = Said(was) + " -> " + Said(is),
                        .rules = {rules.begin(), rules.end()},
                        .witness = stated};
    const auto [at, fresh] = changes_.try_emplace(
        std::tuple(change.tool, change.change, change.rules), std::move(change));
    ++at->second.calls;
  }

  std::shared_ptr<const Bundle> before_;
  std::shared_ptr<const Bundle> after_;
  Program tests_, old_, new_;
  std::vector<Finding> ignored_;  // both bundles were loaded without errors before
  std::unique_ptr<Engine> old_engine_, new_engine_;
  BundleDiff diff_;
  std::map<std::tuple<std::string, std::string, std::vector<std::string>>, BundleChange> changes_;
};

}  // namespace

bool BundleDiff::widens() const {
  return std::any_of(changes.begin(), changes.end(), [](const BundleChange& change) {
    return change.change.ends_with("-> allow") || change.change.starts_with("deny");
  });
}

BundleDiff DiffBundles(std::shared_ptr<const Bundle> before, std::shared_ptr<const Bundle> after,
                       const std::vector<BundleFile>& test_files) {
  return Differ(std::move(before), std::move(after), test_files).Run();
}

}  // namespace interlock::policies
