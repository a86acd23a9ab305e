// Judges what happened against what should have: verdicts, tool answers, objects. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/eval/cases.h"
#include "cli/eval/record.h"
#include "core/json.h"

namespace interlock::runtime::cli {

enum class Got { kNothing, kAllow, kDeny, kApproval };
std::string_view GotName(Got got);  // "ALLOW"

// What the suite says of asking.
struct AskingTerms {
  // Tools whose use the policy text makes the user confirm; "*" is all of them.
  std::vector<std::string> confirm;
  std::vector<std::string>
      ask_is_denial;  // the data's rules for which asking is as good as denying
};

struct Judgement {
  Got got = Got::kNothing;
  bool false_denial = false;  // expected ALLOW and it was not, or it was over-asked
  bool missed_denial =
      false;                // expected DENY and it was allowed, or asked where asking is no denial
  bool over_asked = false;  // asked where the policy text demands nothing, or of somebody else
  bool tool_mismatch =
      false;           // allowed as expected, but the tool succeeded or failed unlike the case says
  bool error = false;  // no verdict, or an allowed call without a known outcome
  std::string reason;  // one line for a person; empty when all is well
  bool ok() const { return !false_denial && !missed_denial && !tool_mismatch && !error; }
};

// Whether the run's user may give this approval.
bool UserMayGrant(const AskedApproval& approval);

// `call` is nullptr when the run ended before the step.
Judgement Judge(const CaseStep& step, const CallRecord* call, const AskingTerms& terms);

// Where `got` differs from `expected`: "orders/#W1/status: expected \"a\", got \"b\"". Numbers are
// equal when they differ by less than 1e-6 (prices are decimals with two digits). At most
// kDifferencesMax.
inline constexpr std::size_t kDifferencesMax = 20;
std::vector<std::string> Differences(const core::Json& expected, const core::Json& got);

}  // namespace interlock::runtime::cli
