#include "policies/explain.h"

#include <algorithm>
#include <array>

namespace interlock::policies {
namespace {

constexpr std::array<std::string_view, 10> kStrongestFirst = {
    "error", "deny", "ask", "modify", "limit", "reserve", "allow", "label", "excepted", "note"};

std::string Outcome(const Decision& decision) {
  switch (decision.verdict) {
    case Verdict::kAllow:
      return "allowed";
    case Verdict::kDeny:
      return "denied " + decision.code;
    case Verdict::kAsk:
      return "needs approval";
    case Verdict::kModify:
      return "modified; decided again on the new arguments";
  }
  return "denied";
}

std::string RuleLine(const FiredRule& rule) {
  std::string line = "\n  " + rule.verdict;
  line.append(line.size() < 12 ? 12 - line.size() : 0, ' ');
  line += rule.id + " (line " + std::to_string(rule.line) + ")";
  if (!rule.code.empty()) line += " " + rule.code;
  if (!rule.because.empty()) line += ": " + rule.because;
  if (!rule.exception.empty()) line += " (exception " + rule.exception + ")";
  if (!rule.say.empty()) line += "\n             says: " + rule.say;
  return line;
}

std::string DemandLine(const ApprovalDemand& demand) {
  const auto either = [](const std::vector<std::string>& approvers) {
    std::string text;
    for (const std::string& one : approvers) text += (text.empty() ? "" : " or ") + one;
    return text;
  };
  std::string line = "\n  approval by " + either(demand.approvers) + ", " +
                     std::to_string(demand.quorum) + " needed, ";
  for (const ApprovalStage& stage : demand.later) {
    line += "then " + either(stage.approvers) + ", " + std::to_string(stage.quorum) + " needed, ";
  }
  if (demand.escalate_after_ms > 0) {
    line += "after " + std::to_string(demand.escalate_after_ms / 1000) + " s also " +
            either(demand.escalate_to) + ", ";
  }
  return line + "within " + std::to_string(demand.expires_ms / 1000) + " s, bound to " +
         core::CanonicalJson(demand.show);
}

}  // namespace

std::string Explain(const Decision& decision) {
  std::string text = Outcome(decision);
  if (decision.rules.empty()) text += "\n  no rule spoke about this call";
  for (const std::string_view verdict : kStrongestFirst) {
    for (const FiredRule& rule : decision.rules) {
      if (rule.verdict == verdict) text += RuleLine(rule);
    }
  }
  for (const FiredRule& rule : decision.shadow) text += RuleLine(rule) + " (in shadow)";
  if (!decision.shadow.empty()) {
    text += "\n  with the rules in shadow: " + std::string(VerdictName(decision.shadow_verdict));
  }
  for (const ApprovalDemand& demand : decision.demands) text += DemandLine(demand);
  for (const Reservation& hold : decision.reservations) {
    text += "\n  holds " + std::to_string(hold.amount) + " " + hold.budget.unit + " of " +
            hold.budget.name + " (" + hold.scope + ")";
  }
  for (const LimitUse& limit : decision.limits) {
    text += "\n  takes one of " + std::to_string(limit.max) + " under " + limit.key;
  }
  for (const Tally& tally : decision.tallies) {
    text += "\n  counts under " + tally.key;
    if (tally.summed) text += ", " + std::to_string(tally.amount) + " more";
  }
  if (!decision.fix.is_null()) text += "\n  fix: " + core::CanonicalJson(decision.fix);
  return text;
}

}  // namespace interlock::policies
