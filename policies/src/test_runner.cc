#include <algorithm>
#include <map>

#include "case_run.h"
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
                         std::map<std::string, RuleSeen>* seen) {
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
  result.message = Compare(test.input, decision);
  result.explain = Explain(decision);
  result.passed = result.message.empty();
  if (seen == nullptr) return result;
  for (const RuleTrace& trace : engine.Trace(stated.input())) {
    const bool silent = trace.outcome == "abstained" || trace.outcome == "not applicable";
    ++(silent ? (*seen)[trace.id].silent : (*seen)[trace.id].spoke);
  }
  return result;
}

namespace {

void RunCases(const std::shared_ptr<const Bundle>& bundle, const std::vector<TestCase>& tests,
              PolicyTestReport& report, std::map<std::string, RuleSeen>& seen) {
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
    report.cases.push_back(RunCase(*bundle, **engine, test, &seen));
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
  std::map<std::string, RuleSeen> seen;
  RunCases(bundle, program.tests(), report, seen);
  if (report.cases.empty()) {
    report.errors.push_back({.file = "",
                             .line = 0,
                             .severity = "error",
                             .code = "NO_TESTS",
                             .message = "there is no test case; write test \"…\" { … }"});
  }
  const std::vector<std::string> ids = RuleIds(*bundle);
  for (const std::string& id : ids) {
    if (seen[id].spoke == 0) report.unfired.push_back(id);
    if (seen[id].spoke > 0 && seen[id].silent == 0) report.never_silent.push_back(id);
  }
  report.rules = ids.size();
  return report;
}

}  // namespace interlock::policies
