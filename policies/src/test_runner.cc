#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "case_run.h"
#include "line_coverage.h"
#include "policies/explain.h"
#include "policies/test.h"
#include "rule_engine.h"
#include "schema_values.h"
#include "stated_case.h"

namespace interlock::policies {
namespace {

bool Fired(const Decision& decision, std::string_view rule, std::string_view code) {
  return std::any_of(decision.rules.begin(), decision.rules.end(), [&](const FiredRule& fired) {
    return (rule.empty() || fired.id == rule) && (code.empty() || fired.code == code);
  });
}

// A rule that raised denies whatever the others say, so a case that expects a denial would pass for
// the wrong reason. Named is the first such rule that the case does not speak of; null: none.
const FiredRule* Raised(const Decision& decision, std::string_view rule, std::string_view code) {
  const auto found =
      std::find_if(decision.rules.begin(), decision.rules.end(), [&](const FiredRule& fired) {
        const bool meant =
            !code.empty() && fired.code == code && (rule.empty() || fired.id == rule);
        return fired.verdict == "error" && !meant;
      });
  return found == decision.rules.end() ? nullptr : &*found;
}

// What is not as the case expects, one line; empty when all is.
std::string Compare(const core::Json& stated, const Decision& decision) {
  const std::string expect = TextMemberOf(stated, "expect", "");
  const std::string got(VerdictName(decision.verdict));
  if (expect != "allow" && expect != "deny" && expect != "ask" && expect != "modify") {
    return "expect is allow, deny, ask or modify, not `" + expect + "`";
  }
  if (expect != got) return "expected " + expect + ", got " + got + " " + decision.code;
  const std::string rule = TextMemberOf(stated, "rule", "");
  const std::string code = TextMemberOf(stated, "code", "");
  if (const FiredRule* raised = Raised(decision, rule, code)) {
    return "rule `" + raised->id + "` raised (" + raised->code + "): " + raised->because +
           "; state `code` if that is meant";
  }
  if (!rule.empty() && !Fired(decision, rule, code)) {
    return "rule `" + rule + "` did not speak" + (code.empty() ? "" : " with code " + code);
  }
  if (rule.empty() && !code.empty() && decision.code != code && !Fired(decision, "", code)) {
    return "expected code " + code + ", got " + decision.code;
  }
  const core::Json after = MemberOf(stated, "args_after");
  if (!after.is_null() && (!decision.modified_args || *decision.modified_args != after)) {
    return "the arguments became " +
           (decision.modified_args ? core::CanonicalJson(*decision.modified_args) : "nothing");
  }
  const core::Json content = MemberOf(stated, "content_after");
  if (!content.is_null() && (!decision.modified_content || *decision.modified_content != content)) {
    return "the content became " + (decision.modified_content
                                        ? core::CanonicalJson(*decision.modified_content)
                                        : "nothing");
  }
  return "";
}

}  // namespace

PolicyTestResult RunCase(const Bundle& bundle, Engine& engine, const TestCase& test,
                         const CaseWatch& watch) {
  PolicyTestResult result{.file = test.place.file,
                          .line = test.place.line,
                          .name = test.name,
                          .passed = false,
                          .message = "",
                          .explain = ""};
  const StatedCase stated(bundle, test.input, "");
  result.message = stated.problem();
  if (!result.message.empty()) return result;
  Decision decision = engine.Decide(stated.input());
  result.message = Compare(test.input, decision);
  result.explain = Explain(decision);
  result.passed = result.message.empty();
  if (watch.seen != nullptr) {
    for (const RuleTrace& trace : engine.Trace(stated.input())) {
      const bool silent = trace.outcome == "abstained" || trace.outcome == "not applicable";
      ++(silent ? (*watch.seen)[trace.id].silent : (*watch.seen)[trace.id].spoke);
    }
  }
  if (watch.decision != nullptr) *watch.decision = std::move(decision);
  return result;
}

namespace {

core::Json GoldenOf(const Decision& decision) {
  core::Json rules = core::Json::array();
  for (const FiredRule& rule : decision.rules) {
    rules.push_back(rule.id + " " + rule.verdict + (rule.code.empty() ? "" : " " + rule.code));
  }
  core::Json golden = {{"verdict", std::string(VerdictName(decision.verdict))},
                       {"code", decision.code},
                       {"rules", std::move(rules)}};
  if (!decision.say.empty()) golden["say"] = decision.say;
  if (decision.modified_args) golden["args_after"] = *decision.modified_args;
  if (decision.modified_content) golden["content_after"] = *decision.modified_content;
  return golden;
}

// Runs the cases of all files against one bundle.
class TestRun {
 public:
  TestRun(std::shared_ptr<const Bundle> bundle, const std::vector<BundleFile>& test_files,
          const PolicyTestOptions& options)
      : bundle_(std::move(bundle)), options_(options) {
    tests_.Load(test_files, Program::What::kTests, report_.errors);
    engine_ = MakeEngine(bundle_->files());
    if (!options_.twice) return;
    std::vector<BundleFile> reversed(bundle_->files().rbegin(), bundle_->files().rend());
    second_ = MakeEngine(reversed);
  }

  PolicyTestReport Run() {
    const std::vector<TestCase>& tests = tests_.tests();
    report_.cases.resize(tests.size());
    engine_->Watch(&ran_);
    for (const std::size_t at : Order(tests.size())) RunOne(tests[at], report_.cases[at]);
    engine_->Watch(nullptr);
    if (tests.empty()) Fail("NO_TESTS", "there is no test case; write test \"…\" { … }");
    Names();
    CompareGolden();
    Coverage();
    return std::move(report_);
  }

 private:
  std::unique_ptr<RuleEngine> MakeEngine(const std::vector<BundleFile>& files) const {
    auto program = std::make_unique<Program>();
    std::vector<Finding> ignored;  // the bundle was loaded without errors before
    program->Load(files, Program::What::kPolicies, ignored);
    return std::make_unique<RuleEngine>(bundle_, std::move(program));
  }

  void Fail(std::string code, std::string message) {
    report_.errors.push_back(
        {.severity = "error", .code = std::move(code), .message = std::move(message)});
  }

  std::vector<std::size_t> Order(std::size_t count) const {
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), 0);
    if (!options_.shuffle) return order;
    Chooser chooser(*options_.shuffle);
    for (std::size_t i = count; i > 1; --i) std::swap(order[i - 1], order[chooser.Below(i)]);
    return order;
  }

  void RunOne(const TestCase& test, PolicyTestResult& result) {
    Decision decision;
    result = RunCase(*bundle_, *engine_, test, {.seen = &seen_, .decision = &decision});
    if (result.explain.empty()) return;  // nothing was decided
    decisions_[&result] = GoldenOf(decision);
    if (!options_.twice || !result.passed) return;
    const std::string bytes = CanonicalDecision(decision);
    const StatedCase stated(*bundle_, test.input, "");
    for (RuleEngine* engine : {engine_.get(), second_.get()}) {
      if (CanonicalDecision(engine->Decide(stated.input())) == bytes) continue;
      result.passed = false;
      result.message = "decided in two ways: the same call gave other bytes the second time";
    }
  }

  // "file: name", and a number where two are called the same.
  void Names() {
    std::map<std::string, int> taken;
    for (const PolicyTestResult& result : report_.cases) {
      std::string name = result.file + ": " + result.name;
      const int number = ++taken[name];
      if (number > 1) name += " #" + std::to_string(number);
      names_.push_back(name);
      const auto found = decisions_.find(&result);
      if (found != decisions_.end()) report_.golden[name] = found->second;
    }
  }

  void CompareGolden() {
    if (!options_.golden.is_object()) return;
    for (std::size_t i = 0; i < report_.cases.size(); ++i) {
      PolicyTestResult& result = report_.cases[i];
      const auto expected = options_.golden.find(names_[i]);
      if (!result.passed) continue;
      if (expected == options_.golden.end()) {
        result.passed = false;
        result.message = "it has no golden decision yet";
      } else if (*expected != report_.golden[names_[i]]) {
        result.passed = false;
        result.message = "the golden decision was " + core::CanonicalJson(*expected) + ", now " +
                         core::CanonicalJson(report_.golden[names_[i]]);
      }
    }
    for (const auto& item : options_.golden.items()) {
      if (report_.golden.contains(item.key())) continue;
      Fail("GOLDEN", "no test is called `" + item.key() + "` any more, and it has a decision");
    }
  }

  void Coverage() {
    Program program;
    std::vector<Finding> ignored;
    program.Load(bundle_->files(), Program::What::kPolicies, ignored);
    report_.rules = program.rules().size();
    for (const Rule& rule : program.rules()) {
      const RuleSeen& seen = seen_[rule.id];
      if (seen.spoke == 0) report_.unfired.push_back(rule.id);
      if (seen.spoke > 0 && seen.silent == 0) report_.never_silent.push_back(rule.id);
      if (seen.spoke > 0) ran_.emplace(rule.place.file, rule.place.line);
    }
    report_.coverage = CoverageOf(program, bundle_->files(), ran_);
  }

  std::shared_ptr<const Bundle> bundle_;
  const PolicyTestOptions& options_;
  Program tests_;
  std::unique_ptr<RuleEngine> engine_, second_;
  std::map<std::string, RuleSeen> seen_;
  std::map<const PolicyTestResult*, core::Json> decisions_;
  std::vector<std::string> names_;
  std::set<std::pair<std::string, int>> ran_;
  PolicyTestReport report_;
};

}  // namespace

std::size_t PolicyTestReport::failed() const {
  return static_cast<std::size_t>(std::count_if(
      cases.begin(), cases.end(), [](const PolicyTestResult& result) { return !result.passed; }));
}

int PolicyTestReport::line_percent() const {
  std::size_t all = 0;
  std::size_t missed = 0;
  for (const FileCoverage& one : coverage) {
    all += one.lines;
    missed += one.missed.size();
  }
  return all == 0 ? 100 : static_cast<int>((all - missed) * 100 / all);
}

PolicyTestReport RunPolicyTests(std::shared_ptr<const Bundle> bundle,
                                const std::vector<BundleFile>& test_files,
                                const PolicyTestOptions& options) {
  return TestRun(std::move(bundle), test_files, options).Run();
}

}  // namespace interlock::policies
