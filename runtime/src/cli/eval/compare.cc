#include "cli/eval/compare.h"

#include <algorithm>
#include <cmath>

namespace interlock::runtime::cli {
namespace {

using core::Json;

constexpr double kNumberTolerance = 1e-6;
constexpr std::size_t kShownBytesMax = 120;

bool Holds(const std::vector<std::string>& list, const std::string& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

bool AnyPhase(const CallRecord& call, std::initializer_list<std::string_view> phases) {
  return std::any_of(call.approvals.begin(), call.approvals.end(), [&](const AskedApproval& a) {
    return std::find(phases.begin(), phases.end(), a.phase) != phases.end();
  });
}

// A no of the user ends a call as well as a rule does, but the rules' word was to ask.
Got VerdictOf(const CallRecord& call) {
  if (call.executed()) return Got::kAllow;
  if (AnyPhase(call, {"rejected"})) return Got::kApproval;
  if (call.effect == "deny" || call.effect == "refuse") return Got::kDeny;
  if (AnyPhase(call, {"requested", "expired", "voided"})) return Got::kApproval;
  return Got::kNothing;
}

bool OverAsked(const CaseStep& step, const CallRecord& call, const AskingTerms& terms) {
  if (step.expected != Expected::kAllow) return false;
  return std::any_of(call.approvals.begin(), call.approvals.end(), [&](const AskedApproval& a) {
    const bool known = Holds(terms.confirm, step.tool) || Holds(terms.confirm, "*");
    return !known || !UserMayGrant(a);
  });
}

bool AskingIsDenial(const CaseStep& step, const AskingTerms& terms) {
  return !step.confirmed &&
         std::any_of(step.rules.begin(), step.rules.end(),
                     [&](const auto& rule) { return Holds(terms.ask_is_denial, rule); });
}

// The strongest word that the decision gave for itself.
std::string Why(const CallRecord& call) {
  std::string why = call.code;
  if (!call.say.empty()) why += (why.empty() ? "" : ": ") + call.say;
  if (!call.approvals.empty()) why += " (asked by " + call.approvals.back().rule + ")";
  return why;
}

void JudgeOutcome(const CaseStep& step, const CallRecord& call, Judgement& judgement) {
  const bool ok = call.outcome == "ok" || call.outcome == "reconciled_done";
  if (!ok && call.outcome != "failed") {
    judgement.error = true;
    judgement.reason = "the allowed call ended `" + call.outcome + "`" +
                       (call.outcome_code.empty() ? "" : " (" + call.outcome_code + ")");
  } else if (step.tool_ok.has_value() && *step.tool_ok != ok) {
    judgement.tool_mismatch = true;
    judgement.reason = ok ? "the tool succeeded where the case says that it fails"
                          : "the tool failed with " + call.outcome_code;
  }
}

void JudgeVerdict(const CaseStep& step, const CallRecord& call, const AskingTerms& terms,
                  Judgement& judgement) {
  switch (step.expected) {
    case Expected::kAllow:
      judgement.false_denial = judgement.got != Got::kAllow || judgement.over_asked;
      break;
    case Expected::kDeny:
      judgement.missed_denial = judgement.got == Got::kAllow ||
                                (judgement.got == Got::kApproval && !AskingIsDenial(step, terms));
      break;
    case Expected::kApproval:
      judgement.missed_denial = judgement.got == Got::kAllow && call.approvals.empty();
      judgement.false_denial = judgement.got == Got::kDeny;
      break;
    case Expected::kAny:
    case Expected::kSkip:
      break;
  }
  if (!judgement.ok()) judgement.reason = Why(call);
}

std::string Shown(const Json& value) {
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > kShownBytesMax) text = text.substr(0, kShownBytesMax) + "…";
  return text;
}

bool SameScalar(const Json& a, const Json& b) {
  if (a.is_number() && b.is_number()) {
    return std::fabs(a.get<double>() - b.get<double>()) < kNumberTolerance;
  }
  return a == b;
}

void Compare(const Json& expected, const Json& got, const std::string& path,
             std::vector<std::string>& out);

void CompareObjects(const Json& expected, const Json& got, const std::string& path,
                    std::vector<std::string>& out) {
  for (const auto& [key, value] : expected.items()) {
    const std::string below = path + (path.empty() ? "" : "/") + key;
    if (got.contains(key)) {
      Compare(value, got[key], below, out);
    } else {
      out.push_back(below + ": expected " + Shown(value) + ", got nothing");
    }
  }
  for (const auto& [key, value] : got.items()) {
    if (!expected.contains(key)) {
      out.push_back(path + (path.empty() ? "" : "/") + key + ": expected nothing, got " +
                    Shown(value));
    }
  }
}

void Compare(const Json& expected, const Json& got, const std::string& path,
             std::vector<std::string>& out) {
  if (out.size() >= kDifferencesMax) return;
  if (expected.is_object() && got.is_object()) return CompareObjects(expected, got, path, out);
  if (expected.is_array() && got.is_array() && expected.size() == got.size()) {
    for (std::size_t i = 0; i < expected.size(); ++i) {
      Compare(expected[i], got[i], path + "/" + std::to_string(i), out);
    }
    return;
  }
  if (!SameScalar(expected, got)) {
    out.push_back(path + ": expected " + Shown(expected) + ", got " + Shown(got));
  }
}

}  // namespace

std::string_view GotName(Got got) {
  switch (got) {
    case Got::kNothing:
      return "NOTHING";
    case Got::kAllow:
      return "ALLOW";
    case Got::kDeny:
      return "DENY";
    case Got::kApproval:
      return "REQUIRE_APPROVAL";
  }
  return "?";
}

bool UserMayGrant(const AskedApproval& approval) { return Holds(approval.approvers, "run-user"); }

Judgement Judge(const CaseStep& step, const CallRecord* call, const AskingTerms& terms) {
  Judgement judgement;
  if (call == nullptr || (judgement.got = VerdictOf(*call)) == Got::kNothing) {
    judgement.error = true;
    judgement.reason =
        call == nullptr ? "the run ended before this step" : "no verdict was recorded";
    return judgement;
  }
  if (call->tool != step.tool) {
    judgement.error = true;
    judgement.reason = "the planner proposed `" + call->tool + "` here";
    return judgement;
  }
  judgement.over_asked = OverAsked(step, *call, terms);
  JudgeVerdict(step, *call, terms, judgement);
  const bool judged = step.expected != Expected::kAny;
  if (judged && judgement.ok() && judgement.got == Got::kAllow)
    JudgeOutcome(step, *call, judgement);
  return judgement;
}

std::vector<std::string> Differences(const Json& expected, const Json& got) {
  std::vector<std::string> out;
  Compare(expected, got, "", out);
  if (out.size() > kDifferencesMax) out.resize(kDifferencesMax);
  return out;
}

}  // namespace interlock::runtime::cli
