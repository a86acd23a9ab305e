#include "examples.h"

#include <algorithm>

#include "policies/explain.h"
#include "stated_case.h"

namespace interlock::policies {
namespace {

const std::vector<std::string>& Expectations() {
  static const std::vector<std::string> kWords = {"allow",  "deny",    "ask",         "modify",
                                                  "limit",  "reserve", "note",        "applies",
                                                  "silent", "error",   "default_deny"};
  return kWords;
}

// The one tool that the rule is about, or "".
std::string OnlyTool(const Rule& rule) {
  const std::vector<std::string>& tools = rule.selector.tools;
  const bool one = tools.size() == 1 && rule.selector.effects.empty();
  return one && !Selector::IsGlob(tools[0]) ? tools[0] : "";
}

std::string RuleOutcome(const Decision& decision) {
  if (decision.rules.empty()) return "silent";
  const FiredRule& fired = decision.rules[0];
  std::string text = fired.verdict;
  if (!fired.code.empty()) text += " " + fired.code;
  if (!fired.because.empty()) text += " (" + fired.because + ")";
  return text;
}

bool IsAsExpected(const std::string& expect, const Decision& decision) {
  if (expect == "silent" || expect == "default_deny") return decision.rules.empty();
  if (decision.rules.empty()) return false;
  if (expect == "applies") return decision.rules[0].verdict != "error";
  return decision.rules[0].verdict == expect;
}

// What is wrong with the example, one line; empty when nothing is.
std::string RunOne(RuleEngine& engine, std::size_t at, const core::Json& example) {
  const Rule& rule = engine.program().rules()[at];
  const std::string expect = TextMemberOf(example, "expect", "");
  const auto& words = Expectations();
  if (std::find(words.begin(), words.end(), expect) == words.end()) {
    return "expect is a verdict, \"applies\", \"silent\" or \"error\", not `" + expect + "`" +
           DidYouMean(expect, words);
  }
  const StatedCase stated(engine.bundle(), example, OnlyTool(rule));
  if (!stated.problem().empty()) return stated.problem();
  const Call& call = stated.input().call;
  const RulePhase phase = stated.input().phase;
  if (phase != rule.selector.phase) {
    return "the rule is about " + std::string(RulePhaseName(rule.selector.phase)) +
           "s, and the example states a " + std::string(RulePhaseName(phase));
  }
  const bool has_tool = phase == RulePhase::kCall || phase == RulePhase::kResult;
  if (has_tool && call.tool.empty()) return "say which tool is called: tool = \"…\"";
  if (!engine.program().Applies(rule, call.tool, call.effect)) {
    return "the rule is not about `" + std::string(call.tool) + "` of effect " +
           std::string(call.effect) + "; name another tool or effect";
  }
  const Decision decision = engine.DecideAlone(stated.input(), at);
  if (!IsAsExpected(expect, decision))
    return "expected " + expect + ", got " + RuleOutcome(decision);
  const std::string code = TextMemberOf(example, "code", "");
  if (!code.empty() && decision.rules[0].code != code) {
    return "expected code " + code + ", got " + RuleOutcome(decision);
  }
  const core::Json after = MemberOf(example, "args_after");
  if (!after.is_null() && (!decision.modified_args || *decision.modified_args != after)) {
    return "the arguments became " +
           (decision.modified_args ? core::CanonicalJson(*decision.modified_args) : "nothing else");
  }
  const core::Json content = MemberOf(example, "content_after");
  if (!content.is_null() && (!decision.modified_content || *decision.modified_content != content)) {
    return "the content became " + (decision.modified_content
                                        ? core::CanonicalJson(*decision.modified_content)
                                        : "nothing else");
  }
  return "";
}

}  // namespace

void RunExamples(RuleEngine& engine, std::vector<Finding>& findings) {
  const std::vector<Rule>& rules = engine.program().rules();
  for (std::size_t at = 0; at < rules.size(); ++at) {
    if (!rules[at].examples.is_array()) continue;
    std::size_t number = 0;
    for (const core::Json& example : rules[at].examples) {
      ++number;
      const std::string wrong = RunOne(engine, at, example);
      if (wrong.empty()) continue;
      findings.push_back({.file = rules[at].place.file,
                          .line = rules[at].place.line,
                          .severity = "error",
                          .code = "EXAMPLE",
                          .message = "example " + std::to_string(number) + " of rule `" +
                                     rules[at].id + "`: " + wrong});
    }
  }
}

}  // namespace interlock::policies
