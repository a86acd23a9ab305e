#include "policies/lint.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "case_space.h"
#include "lint_text.h"
#include "lua_budget.h"
#include "program.h"
#include "stated_case.h"

namespace interlock::policies {
namespace {

using Op = Predicate::Op;

bool IsBound(Op op) {
  return op == Op::kLess || op == Op::kAtMost || op == Op::kMore || op == Op::kAtLeast;
}

class Linter {
 public:
  Linter(const Bundle& bundle, const std::vector<BundleFile>& test_files, std::int64_t now_us)
      : bundle_(bundle), now_us_(now_us) {
    std::vector<Finding> ignored;  // the bundle was loaded without errors before; tests say theirs
    program_.Load(bundle.files(), Program::What::kPolicies, ignored);
    tests_.Load(test_files, Program::What::kTests, ignored);
  }

  std::vector<Finding> Run() {
    for (const BundleFile& file : bundle_.files()) LintText(file, findings_);
    for (const Rule& rule : program_.rules()) {
      if (rule.doc.empty()) Note(rule.place, "NO_DOC", Named(rule) + " has no `doc`");
      CheckEnded(rule);
      if (rule.table == nullptr) continue;
      CheckSame(rule);
      CheckShadowed(rule);
      CheckBounded(rule);
      for (const Condition& condition : rule.table->where) {
        CheckMoney(rule, condition.path, condition.predicate);
        CheckThreshold(rule, condition.path, condition.predicate);
      }
    }
    CheckLevels();
    for (const ExceptionDecl& exception : program_.exceptions()) {
      if (now_us_ < exception.expires_us) continue;
      Warn(exception.place, "EXCEPTION_ENDED",
           "exception `" + exception.id + "` has ended; take it out");
    }
    std::stable_sort(findings_.begin(), findings_.end(), [](const Finding& a, const Finding& b) {
      return std::tie(a.file, a.line) < std::tie(b.file, b.line);
    });
    return std::move(findings_);
  }

 private:
  static std::string Named(const Rule& rule) { return "rule `" + rule.id + "`"; }

  void Warn(const Place& place, std::string code, std::string message) {
    Add(place, "warning", std::move(code), std::move(message));
  }
  void Note(const Place& place, std::string code, std::string message) {
    Add(place, "note", std::move(code), std::move(message));
  }
  void Add(const Place& place, std::string severity, std::string code, std::string message) {
    findings_.push_back({.file = place.file,
                         .line = place.line,
                         .severity = std::move(severity),
                         .code = std::move(code),
                         .message = std::move(message)});
  }

  // Tools that the rule is about, as far as they are known or named.
  std::set<std::string> ToolsOf(const Rule& rule) const {
    std::set<std::string> all;
    AddToolNames(bundle_.tools(), program_, all);
    std::set<std::string> of;
    for (const std::string& tool : all) {
      if (program_.Applies(rule, tool, EffectOf(tool))) of.insert(tool);
    }
    return of;
  }

  std::string EffectOf(const std::string& tool) const {
    for (const KnownTool& known : bundle_.tools()) {
      if (known.name == tool) return known.effect;
    }
    return "";
  }

  // A level that another one always fills before: it bounds nothing.
  void CheckLevels() {
    const std::vector<BudgetDecl>& all = program_.budgets();
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto before = std::find_if(all.begin(), all.end(), [&](const BudgetDecl& other) {
        return &other != &all[i] && !other.level.empty() && !all[i].level.empty() &&
               WholeName(other) == WholeName(all[i]) && FillsBefore(other, all[i]);
      });
      if (before == all.end()) continue;
      Warn(program_.budget_places()[i], "DEAD_LEVEL",
           "level `" + all[i].level + "` of budget `" + WholeName(all[i]) +
               "` is never full before `" + before->level + "`; lower it or take it out");
    }
  }

  // Whether all that `narrow` counts is counted by `wide` too, over as long, and by less.
  static bool FillsBefore(const BudgetDecl& wide, const BudgetDecl& narrow) {
    const bool holds = wide.per == "tenant" || wide.per == narrow.per ||
                       (narrow.per == "run" && (wide.per == "principal" || wide.per == "user"));
    const bool over =
        wide.window_ms == 0 || (narrow.window_ms > 0 && wide.window_ms % narrow.window_ms == 0);
    return holds && over && !wide.optional && wide.limit <= narrow.limit;
  }

  void CheckEnded(const Rule& rule) {
    if (!rule.shadow || now_us_ < rule.shadow_ends_us) return;
    Warn(rule.place, "SHADOW_ENDED",
         Named(rule) + " is in shadow past its end; make it active or take it out");
  }

  std::string Meaning(const Rule& rule) const {
    std::string text = std::to_string(static_cast<int>(rule.selector.phase)) + rule.table->code;
    text += "/" + std::to_string(static_cast<int>(rule.table->verdict)) + (rule.shadow ? "s" : "");
    for (const std::string& tool : rule.selector.tools) text += "," + tool;
    for (const std::string& effect : rule.selector.effects) text += ";" + effect;
    for (const Condition& condition : rule.table->where) {
      text += "&" + program_.paths().at(condition.path).text + " " +
              ShowPredicate(condition.predicate, program_.paths());
    }
    return text;
  }

  // Only verdicts without content of their own: two demands may ask different people.
  void CheckSame(const Rule& rule) {
    const bool plain =
        rule.table->verdict == VerdictKind::kAllow || rule.table->verdict == VerdictKind::kDeny;
    // Patterns and detectors are not shown in full, so that two of them may differ.
    const bool whole =
        std::all_of(rule.table->where.begin(), rule.table->where.end(), [](const Condition& one) {
          return one.predicate.op != Op::kMatches && one.predicate.op != Op::kDetects;
        });
    if (!plain || !whole) return;
    const auto [at, fresh] = meanings_.emplace(Meaning(rule), rule.id);
    if (!fresh) {
      Warn(rule.place, "SAME_RULE", Named(rule) + " says the same as `" + at->second + "`");
    }
  }

  // An allow for calls that a rule without conditions always denies.
  void CheckShadowed(const Rule& rule) {
    if (rule.table->verdict != VerdictKind::kAllow || rule.selector.phase != RulePhase::kCall) {
      return;
    }
    std::set<std::string> open = ToolsOf(rule);
    if (open.empty()) return;
    std::string by;
    for (const Rule& other : program_.rules()) {
      const bool always = other.table != nullptr && other.table->where.empty() && !other.shadow &&
                          other.table->verdict == VerdictKind::kDeny &&
                          other.selector.phase == RulePhase::kCall && other.exceptions.empty();
      if (!always) continue;
      const std::size_t before = open.size();
      std::erase_if(open, [&](const std::string& tool) {
        return program_.Applies(other, tool, EffectOf(tool));
      });
      if (open.size() < before) by = other.id;
    }
    if (open.empty()) {
      Warn(rule.place, "SHADOWED", Named(rule) + " never counts: `" + by + "` denies every call");
    }
  }

  bool ReadsArgs(const Predicate& predicate, int path) const {
    const bool open = predicate.op == Op::kAbsent || predicate.op == Op::kPresent;
    return !open && program_.paths().at(path).root == Root::kArgs;
  }

  bool Limits(const Rule& other, const std::string& tool, const std::string& effect) const {
    if (other.shadow || !program_.Applies(other, tool, effect)) return false;
    if (other.selector.phase != RulePhase::kCall) return false;
    // A function may do anything; it is taken to be a bound.
    if (other.table == nullptr) return true;
    const VerdictKind kind = other.table->verdict;
    return kind == VerdictKind::kDeny || kind == VerdictKind::kAsk || kind == VerdictKind::kLimit ||
           kind == VerdictKind::kReserve;
  }

  void CheckBounded(const Rule& rule) {
    if (rule.table->verdict != VerdictKind::kAllow || rule.selector.phase != RulePhase::kCall) {
      return;
    }
    const bool bounded =
        std::any_of(rule.table->where.begin(), rule.table->where.end(),
                    [&](const Condition& one) { return ReadsArgs(one.predicate, one.path); });
    if (bounded) return;
    for (const std::string& tool : ToolsOf(rule)) {
      const std::string effect = EffectOf(tool);
      if (effect != "money" && effect != "egress") continue;
      const bool limited =
          std::any_of(program_.rules().begin(), program_.rules().end(),
                      [&](const Rule& other) { return Limits(other, tool, effect); });
      if (limited) continue;
      Warn(rule.place, "UNBOUNDED_ALLOW",
           Named(rule) + " allows `" + tool + "` of effect " + effect +
               " whatever its arguments are; add a bound, limit, reserve or require_approval");
      return;
    }
  }

  void CheckMoney(const Rule& rule, int path, const Predicate& predicate) {
    for (const Predicate& part : predicate.parts) CheckMoney(rule, path, part);
    const bool decimal =
        IsBound(predicate.op) && predicate.constant.kind == Constant::Kind::kNumber;
    const ContextPath& where = program_.paths().at(path);
    if (!decimal || where.names.empty() || !IsMoneyName(where.names.back())) return;
    Warn(rule.place, "FLOAT_MONEY",
         Named(rule) + ": `" + where.text + "` looks like money; compare it with usd(" +
             ShowConstant(predicate.constant, program_.paths()) + ") or another currency");
  }

  void CheckThreshold(const Rule& rule, int path, const Predicate& predicate) {
    if (predicate.op == Op::kAll || predicate.op == Op::kOptional) {
      for (const Predicate& part : predicate.parts) CheckThreshold(rule, path, part);
    }
    const bool constant = predicate.constant.kind == Constant::Kind::kInteger ||
                          predicate.constant.kind == Constant::Kind::kNumber ||
                          predicate.constant.kind == Constant::Kind::kMoney;
    if (!IsBound(predicate.op) || !constant) return;
    const std::string& name = program_.paths().at(path).text;
    bool at = false;
    bool beyond = false;
    for (const double value : StatedNumbers(rule, name)) {
      const double bound = Bound(predicate.constant);
      at = at || value == bound;
      const bool up = predicate.op == Op::kLess || predicate.op == Op::kAtMost;
      const bool strict = predicate.op == Op::kLess || predicate.op == Op::kMore;
      // On the side of the bound that `at` is not on.
      const bool above = up != strict;
      beyond = beyond || (above ? value > bound : value < bound);
    }
    if (at && beyond) return;
    Note(rule.place, "THRESHOLD_UNTESTED",
         Named(rule) + ": no example or test has `" + name + "` " + (at ? "just beyond " : "at ") +
             ShowConstant(predicate.constant, program_.paths()));
  }

  static double Bound(const Constant& constant) {
    if (constant.kind == Constant::Kind::kNumber) return constant.number;
    double value = static_cast<double>(constant.integer);
    if (constant.kind != Constant::Kind::kMoney) return value;
    double unit = 1;
    for (int digit = 0; digit < constant.money_digits; ++digit) unit *= 10;
    return value / unit;
  }

  // The numbers at a path in the rule's examples, and in tests about its tools.
  std::vector<double> StatedNumbers(const Rule& rule, const std::string& path) const {
    std::vector<double> numbers;
    if (rule.examples.is_array()) {
      for (const core::Json& example : rule.examples) AddNumber(example, path, numbers);
    }
    for (const TestCase& test : tests_.tests()) {
      const std::string tool = TextMemberOf(test.input, "tool", "");
      const std::string effect = TextMemberOf(test.input, "effect", EffectOf(tool));
      if (program_.Applies(rule, tool, effect)) AddNumber(test.input, path, numbers);
    }
    return numbers;
  }

  static void AddNumber(const core::Json& stated, const std::string& path,
                        std::vector<double>& numbers) {
    const core::Json* value = StatedAt(stated, path);
    if (value == nullptr) return;
    if (value->is_number()) numbers.push_back(value->get<double>());
    if (!value->is_string()) return;
    const std::optional<double> number = NumberOf(value->get_ref<const std::string&>());
    if (number) numbers.push_back(*number);
  }

  const Bundle& bundle_;
  const std::int64_t now_us_;
  Program program_;
  Program tests_;
  std::vector<Finding> findings_;
  std::map<std::string, std::string> meanings_;
};

}  // namespace

std::vector<Finding> LintPolicies(const Bundle& bundle, const std::vector<BundleFile>& test_files,
                                  std::int64_t now_us) {
  return Linter(bundle, test_files, now_us).Run();
}

}  // namespace interlock::policies
