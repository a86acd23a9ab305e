// What one rule built, before it is weighed with the others.
#pragma once

#include <cstdint>
#include <string>

#include "policies/decision.h"

namespace interlock::policies {

inline constexpr std::size_t kSayBytesMax = 1024;
inline constexpr std::size_t kCodeBytesMax = 63;
inline constexpr std::size_t kKeyBytesMax = 256;
inline constexpr std::size_t kApproversMax = 16;
inline constexpr std::int64_t kQuorumMax = 16;

enum class VerdictKind : std::uint8_t {
  kAllow,
  kDeny,
  kAsk,
  kModify,
  kLimit,
  kReserve,
  kLabel,
  kNote
};
std::string_view VerdictKindName(VerdictKind kind);
// Whether rules of a phase may answer so: only a call can be asked about or paid for.
bool VerdictFits(VerdictKind kind, RulePhase phase);
// What a path of modify begins with in this phase: "args", "message", "result", "answer".
std::string_view ContentRoot(RulePhase phase);
// Whether `path` is that root, or lies inside it.
bool IsUnder(std::string_view path, std::string_view root);

struct RuleVerdict {
  VerdictKind kind = VerdictKind::kAllow;
  int line = 0;
  std::string code{};
  std::string say{};
  std::string because{};
  core::Json changes{};  // deny: fix, modify: new values, by path
  ApprovalDemand demand{};
  std::size_t budget = 0;  // reserve: in Program::budgets, the first of its levels
  std::size_t levels = 1;
  std::int64_t amount = 0;
  LimitUse limit{};
  std::vector<LabelChange> labels{};  // without the rule
};

// UPPER_SNAKE, at most kCodeBytesMax.
bool IsCode(std::string_view code);
// "role:…", "user:…" or "run-user".
bool IsApprover(std::string_view approver);
// The longest prefix of at most kSayBytesMax bytes that ends between characters.
std::string CutToSay(std::string text);

}  // namespace interlock::policies
