// What may be shown of a result: rules decide when the outcome is durable (rule 7).
#include <algorithm>
#include <iterator>

#include "engine/budget_view.h"
#include "engine/gate.h"
#include "engine/handles.h"
#include "engine/long_results.h"
#include "policies/content.h"

namespace interlock::runtime {
namespace {

// Outcomes that are told in our own words alone.
bool IsToldByUs(std::string_view kind) {
  return kind == "not_started" || kind == "unknown" || kind == "reconciled_not_done" ||
         kind.starts_with("resolved_");
}

core::Json FailureJson(const tools::Outcome& outcome) {
  return {{"error", {{"code", outcome.error_code}, {"message", outcome.error}}}};
}

// That it failed, and how, is never withheld: only what its tool said.
void ShowFailure(Ticket& ticket) {
  const Release& release = ticket.release;
  std::string message = ticket.outcome.error;
  if (release.withheld) {
    message = release.say;
  } else if (release.by_handle) {
    message = kUnshownFailure;
  } else if (release.changed) {
    message = FailureMessage(*release.changed);
  }
  ticket.observation =
      ObservationFailed(release.by_handle ? kUnshownCode : ticket.outcome.error_code, message);
  ticket.shown = std::move(message);
}

void ShowResult(Ticket& ticket) {
  Release& release = ticket.release;
  if (release.withheld) {
    ticket.shown = WithheldJson(release.code, release.say);
    ticket.observation = ObservationWithheld(release.code, release.say);
    return;
  }
  ticket.shown = release.changed ? *release.changed : ticket.outcome.result;
  release.preview =
      !release.by_handle && ticket.id.tool != kReadResultTool && IsLong(ticket.agent, ticket.shown);
  const bool named = release.by_handle || release.preview;
  ticket.observation = named ? kNamedOnly : ObservationOk(ticket.shown);
}

// They would not fit into the entry that names them, and a result without its tags is not shown.
void WithholdTags(Release& release) {
  release.tags.clear();
  release.changes.clear();
  release.changed.reset();
  release.untrusted = true;
  release.withheld = true;
  release.code = kTooManyTags;
  release.say = "It bears more tags than can be recorded; it is not shown. Ask for less.";
}

}  // namespace

// Rules speak of failures too: what a tool says of one is content like any other.
void Gate::JudgeResult(Worker& worker, Ticket& ticket) const {
  Release& release = ticket.release;
  release = {};
  release.readers = ticket.id.Readers();
  release.untrusted = ticket.ended ? !ticket.ended->label.trusted
                                   : UntrustedOutcome(ticket.tool.get(), ticket.outcome_kind);
  release.trusted_tool = !release.untrusted;
  if (IsToldByUs(ticket.outcome_kind)) {
    ticket.shown = ticket.outcome.error;
    ticket.observation = ticket.outcome_kind == "unknown"
                             ? ObservationUnknown()
                             : ObservationFailed(ticket.outcome.error_code, ticket.outcome.error);
    return;
  }
  const bool ok = Succeeded(ticket.outcome_kind);
  const policies::Label label = LabelOfResult(ticket);
  if (worker.engine == nullptr || ticket.tool == nullptr) {
    release.withheld = true;
    release.code = worker.engine == nullptr ? "NO_BUNDLE" : "TOOL_CHANGED";
    release.say = ok ? "It took effect; the rules that would show what it returned are not there."
                     : "It failed; the rules that would show what it said are not there.";
  } else {
    AskResultRules(worker, ticket, label, ok ? ticket.outcome.result : FailureJson(ticket.outcome));
  }
  Inherit(ticket, label);
  if (IsTooManyTags(release.tags)) WithholdTags(release);
  const bool handles = ticket.agent != nullptr && ticket.agent->results == ResultsAs::kHandles;
  release.by_handle = handles && release.untrusted && !release.withheld;
  ok ? ShowResult(ticket) : ShowFailure(ticket);
}

// Rule 7: an error of a rule withholds the result, never the outcome.
void Gate::AskResultRules(Worker& worker, Ticket& ticket, const policies::Label& label,
                          const core::Json& content) const {
  Release& release = ticket.release;
  ticket.now_us = std::max(parts_.clock->WallMicros(), parts_.journal->state().newest_us());
  const PeekReader reader(parts_.journal->state(), *parts_.keys, ticket.now_us);
  policies::LabelMap labels = ticket.labels;
  labels.Set("result", label);
  policies::DecisionInput input = InputOf(ticket, reader);
  input.phase = policies::RulePhase::kResult;
  const bool untrusted_now = ticket.reads != nullptr && ticket.reads->untrusted();
  input.flow_untrusted = ticket.untrusted_then.value_or(untrusted_now);
  input.content = &content;
  input.labels = &labels;
  policies::ContentDecision judged = policies::DecideContent(*worker.engine, input);
  for (const policies::LabelChange& change : judged.decision.labels) {
    release.untrusted = release.untrusted || change.untrusted;
    std::copy_if(change.tags.begin(), change.tags.end(), std::back_inserter(release.tags),
                 [](const std::string& tag) { return !tag.starts_with(kReaderTag); });
  }
  release.changes = std::move(judged.decision.labels);
  release.rules = std::move(judged.decision.rules);
  if (!release.rules.empty()) release.bundle_id = judged.decision.bundle_id;
  release.withheld = judged.decision.verdict == policies::Verdict::kDeny;
  if (release.withheld) {
    release.code = judged.decision.code;
    release.say = judged.decision.say.empty() ? "The policy withholds what this call returned."
                                              : judged.decision.say;
  } else if (judged.changed) {
    release.changed = std::move(judged.content);
  }
}

// Not of outcomes that are told in our own words alone. A failure is told in the tool's.
bool Gate::UntrustedOutcome(const tools::Tool* tool, std::string_view kind) const {
  if (IsToldByUs(kind)) return false;
  std::shared_ptr<const tools::Tool> look_up;
  if (kind == "reconciled_done" && tool != nullptr && tool->manifest().reconcile) {
    look_up = parts_.registry->Find(tool->manifest().reconcile->tool);
    tool = look_up.get();
  }
  return tool == nullptr || tool->manifest().trust == tools::ResultTrust::kUntrusted;
}

// ---------------------------------------------------------------- recorded

Draft Gate::Judge(Worker& worker, Ticket& ticket) const {
  Draft draft = OutcomeDraft(ticket);
  JudgeResult(worker, ticket);
  KeepNote(ticket);
  if (ticket.id.run.empty()) {
    ticket.released = DraftResultReleased(ticket.id, *ticket.sealer, ticket.release);
  }
  return draft;
}

// Precondition: what the outcome is recorded as is said. Rules about its result ask what was read
// where the outcome stands in the log: what comes there meanwhile has it judged again.
asio::awaitable<core::Status> Gate::CommitKnown(Worker& worker, Ticket& ticket) {
  ticket.untrusted_then.reset();
  if (ticket.reads != nullptr) ticket.untrusted_then = ticket.reads->untrusted();
  bool moved = false;
  core::Status status = core::OkStatus();
  do {
    Draft draft = Judge(worker, ticket);
    status = co_await parts_.journal->Commit(
        [this, &ticket, &draft, &moved](Serial& serial) {
          moved = TakeFlow(serial, ticket);
          return moved ? core::OkStatus() : CommitOutcome(serial, ticket, draft);
        },
        audit::Urgency::kOutcome);
  } while (status.ok() && moved);
  if (status.ok()) SayRecorded(ticket);
  co_return status;
}

}  // namespace interlock::runtime
