#include "rule_verdict.h"

#include <algorithm>

#include "core/plain_id.h"

namespace interlock::policies {

bool IsCode(std::string_view code) {
  const auto is_plain = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !code.empty() && code.size() <= kCodeBytesMax && code[0] >= 'A' && code[0] <= 'Z' &&
         std::all_of(code.begin(), code.end(), is_plain);
}

std::string_view VerdictKindName(VerdictKind kind) {
  constexpr std::string_view kNames[] = {"allow", "deny",    "ask",   "modify",
                                         "limit", "reserve", "label", "note"};
  return kNames[static_cast<std::size_t>(kind)];
}

bool VerdictFits(VerdictKind kind, RulePhase phase) {
  switch (kind) {
    case VerdictKind::kAsk:
    case VerdictKind::kReserve:
      return phase == RulePhase::kCall;
    case VerdictKind::kLimit:
      return phase == RulePhase::kCall || phase == RulePhase::kMessage;
    case VerdictKind::kLabel:
      return phase != RulePhase::kAnswer;
    default:
      return true;
  }
}

std::string_view ContentRoot(RulePhase phase) {
  return phase == RulePhase::kCall ? "args" : RulePhaseName(phase);
}

bool IsUnder(std::string_view path, std::string_view root) {
  return path.starts_with(root) && (path.size() == root.size() || path[root.size()] == '.');
}

bool IsApprover(std::string_view approver) {
  return approver == "run-user" ||
         (approver.starts_with("role:") && core::IsPlainId(approver.substr(5))) ||
         (approver.starts_with("user:") && approver.size() > 5);
}

std::string CutToSay(std::string text) {
  if (text.size() <= kSayBytesMax) return text;
  std::size_t end = kSayBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  text.resize(end);
  return text;
}

}  // namespace interlock::policies
