// What may be shown of a result: rules decide when the outcome is durable (rule 7).
#include <algorithm>

#include "engine/budget_view.h"
#include "engine/gate.h"
#include "policies/content.h"

namespace interlock::runtime {

void Gate::JudgeResult(Worker& worker, Ticket& ticket) const {
  Release& release = ticket.release;
  release = {};
  release.untrusted = UntrustedOutcome(ticket.tool.get(), ticket.outcome_kind);
  if (!Succeeded(ticket.outcome_kind)) {
    ticket.shown = ticket.outcome.error;
    ticket.observation = ticket.outcome_kind == "unknown"
                             ? ObservationUnknown()
                             : ObservationFailed(ticket.outcome.error_code, ticket.outcome.error);
    return;
  }
  ticket.shown = ticket.outcome.result;
  if (worker.engine == nullptr || ticket.tool == nullptr) {
    release.withheld = true;
    release.code = worker.engine == nullptr ? "NO_BUNDLE" : "TOOL_CHANGED";
    release.say = "It took effect; the rules that would show what it returned are not there.";
  } else {
    AskResultRules(worker, ticket);
  }
  ticket.observation = ObservationOk(ticket.shown);
  if (!release.withheld) return;
  ticket.shown = WithheldJson(release.code, release.say);
  ticket.observation = ObservationWithheld(release.code, release.say);
}

// Rule 7: an error of a rule withholds the result, never the outcome.
void Gate::AskResultRules(Worker& worker, Ticket& ticket) const {
  Release& release = ticket.release;
  ticket.now_us = std::max(parts_.clock->WallMicros(), parts_.journal->state().newest_us());
  const PeekReader reader(parts_.journal->state(), *parts_.keys, ticket.now_us);
  policies::LabelMap labels = ticket.labels;
  labels.Set("result", {.trusted = !release.untrusted,
                        .sources = {"tool:" + ticket.id.tool},
                        .tags = {},
                        .readers = {}});
  policies::DecisionInput input = InputOf(ticket, reader);
  input.phase = policies::RulePhase::kResult;
  input.content = &ticket.outcome.result;
  input.labels = &labels;
  policies::ContentDecision judged = policies::DecideContent(*worker.engine, input);
  for (const policies::LabelChange& change : judged.decision.labels) {
    release.untrusted = release.untrusted || change.untrusted;
    release.tags.insert(release.tags.end(), change.tags.begin(), change.tags.end());
  }
  release.rules = std::move(judged.decision.rules);
  if (!release.rules.empty()) release.bundle_id = judged.decision.bundle_id;
  release.withheld = judged.decision.verdict == policies::Verdict::kDeny;
  if (release.withheld) {
    release.code = judged.decision.code;
    release.say = judged.decision.say.empty() ? "The policy withholds what this call returned."
                                              : judged.decision.say;
  } else if (judged.changed) {
    ticket.shown = judged.content;
    release.changed = std::move(judged.content);
  }
}

// Not of outcomes that are told in our own words alone. A failure is told in the tool's.
bool Gate::UntrustedOutcome(const tools::Tool* tool, std::string_view kind) const {
  if (kind == "not_started" || kind == "unknown" || kind == "reconciled_not_done" ||
      kind.starts_with("resolved_")) {
    return false;
  }
  std::shared_ptr<const tools::Tool> look_up;
  if (kind == "reconciled_done" && tool != nullptr && tool->manifest().reconcile) {
    look_up = parts_.registry->Find(tool->manifest().reconcile->tool);
    tool = look_up.get();
  }
  return tool == nullptr || tool->manifest().trust == tools::ResultTrust::kUntrusted;
}

}  // namespace interlock::runtime
