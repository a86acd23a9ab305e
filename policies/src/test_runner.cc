#include <algorithm>
#include <set>

#include "policies/explain.h"
#include "policies/test.h"
#include "program.h"
#include "stated_case.h"

namespace interlock::policies {
namespace {

bool Fired(const Decision& decision, std::string_view rule, std::string_view code) {
  return std::any_of(decision.rules.begin(), decision.rules.end(), [&](const FiredRule& fired) {
    return (rule.empty() || fired.id == rule) && (code.empty() || fired.code == code);
  });
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
  return "";
}

PolicyTestResult RunCase(const Bundle& bundle, Engine& engine, const TestCase& test,
                         std::set<std::string>& fired) {
  PolicyTestResult result{.file = test.place.file,
                          .line = test.place.line,
                          .name = test.name,
                          .passed = false,
                          .message = "",
                          .explain = ""};
  const StatedCase stated(bundle, test.input, "");
  result.message = stated.problem();
  if (!result.message.empty()) return result;
  const Decision decision = engine.Decide(stated.input());
  for (const FiredRule& rule : decision.rules) fired.insert(rule.id);
  result.message = Compare(test.input, decision);
  result.explain = Explain(decision);
  result.passed = result.message.empty();
  return result;
}

void RunCases(const std::shared_ptr<const Bundle>& bundle, const std::vector<TestCase>& tests,
              PolicyTestReport& report, std::set<std::string>& fired) {
  core::StatusOr<std::unique_ptr<Engine>> engine = Engine::Make(bundle);
  if (!engine.ok()) {
    report.errors.push_back({.file = "",
                             .line = 0,
                             .severity = "error",
                             .code = "BUNDLE",
                             .message = std::string(core::Message(engine.status()))});
    return;
  }
  for (const TestCase& test : tests) {
    report.cases.push_back(RunCase(*bundle, **engine, test, fired));
  }
}

std::vector<std::string> RuleIds(const Bundle& bundle) {
  Program program;
  std::vector<Finding> ignored;  // the bundle was loaded without errors before
  program.Load(bundle.files(), Program::What::kPolicies, ignored);
  std::vector<std::string> ids;
  for (const Rule& rule : program.rules()) ids.push_back(rule.id);
  return ids;
}

}  // namespace

std::size_t PolicyTestReport::failed() const {
  return static_cast<std::size_t>(std::count_if(
      cases.begin(), cases.end(), [](const PolicyTestResult& result) { return !result.passed; }));
}

PolicyTestReport RunPolicyTests(std::shared_ptr<const Bundle> bundle,
                                const std::vector<BundleFile>& test_files) {
  PolicyTestReport report;
  Program program;
  program.Load(test_files, Program::What::kTests, report.errors);
  std::set<std::string> fired;
  RunCases(bundle, program.tests(), report, fired);
  if (report.cases.empty()) {
    report.errors.push_back({.file = "",
                             .line = 0,
                             .severity = "error",
                             .code = "NO_TESTS",
                             .message = "there is no test case; write test \"…\" { … }"});
  }
  const std::vector<std::string> ids = RuleIds(*bundle);
  std::copy_if(ids.begin(), ids.end(), std::back_inserter(report.unfired),
               [&](const std::string& id) { return !fired.contains(id); });
  return report;
}

}  // namespace interlock::policies
