#include "policies/content.h"

#include <algorithm>

#include "core/check.h"

namespace interlock::policies {
namespace {

// What an earlier round said stays on the record where the last one says nothing.
void KeepEarlier(const Decision& earlier, Decision& last) {
  for (const FiredRule& rule : earlier.rules) {
    const bool said = std::any_of(last.rules.begin(), last.rules.end(),
                                  [&](const FiredRule& one) { return one.id == rule.id; });
    if (!said) last.rules.push_back(rule);
  }
  std::sort(last.rules.begin(), last.rules.end(),
            [](const FiredRule& a, const FiredRule& b) { return a.id < b.id; });
  for (const LabelChange& label : earlier.labels) {
    const bool there =
        std::find(last.labels.begin(), last.labels.end(), label) != last.labels.end();
    if (!there) last.labels.push_back(label);
  }
  std::sort(last.labels.begin(), last.labels.end(), [](const LabelChange& a, const LabelChange& b) {
    return std::tie(a.rule, a.path) < std::tie(b.rule, b.path);
  });
}

}  // namespace

ContentDecision DecideContent(Engine& engine, DecisionInput input) {
  INTERLOCK_CHECK(input.phase != RulePhase::kCall && input.content != nullptr);
  ContentDecision out;
  out.content = *input.content;
  Decision earlier;
  for (int round = 0;; ++round) {
    input.content = &out.content;
    out.decision = engine.Decide(input);
    KeepEarlier(earlier, out.decision);
    if (out.decision.verdict != Verdict::kModify) break;
    if (round == kContentRoundsMax) {
      out.decision.verdict = Verdict::kDeny;
      out.decision.code = "MODIFY_LOOP";
      out.decision.say = "Rules kept changing this, so it is withheld.";
      out.decision.modified_content.reset();
      break;
    }
    core::Json next = *std::move(out.decision.modified_content);
    earlier = std::move(out.decision);
    out.content = std::move(next);
    out.changed = true;
  }
  if (out.decision.verdict == Verdict::kDeny) out.content = nullptr;
  return out;
}

}  // namespace interlock::policies
