// Notes that agents keep, as calls like any other: an outcome and what it leaves in memory are one
// durable step, so that an intent without an outcome has left nothing.
#include <algorithm>

#include "engine/gate.h"
#include "engine/memory.h"
#include "runtime/own_tools.h"

namespace interlock::runtime {
namespace {

// Of what is made of the arguments: a note, or the choice of one. What rules say of them now counts
// as what was known of them.
policies::Label LabelOfNote(const Ticket& ticket) {
  policies::Label label{
      .trusted = !ticket.flow_untrusted, .sources = {}, .tags = {}, .readers = {"*"}};
  for (const auto& [ignored, part] : ticket.labels.all()) label = policies::Join(label, part);
  return WithSaid(std::move(label), ticket.decision.labels);
}

Note NoteOf(const Ticket& ticket) {
  return {.topic = ticket.args.value.value("topic", ""),
          .text = ticket.args.value.value("text", ""),
          .label = LabelOfNote(ticket),
          .create_us = 0};
}

core::StatusOr<core::Json> AnswerOf(const Memory& memory, const Ticket& ticket) {
  const core::Json& args = ticket.args.value;
  if (ticket.id.tool == kMemoryWriteTool) return memory.Write(ticket.id, NoteOf(ticket));
  if (ticket.id.tool == kMemorySearchTool) return memory.Search(ticket.id, args);
  return memory.Delete(ticket.id, args, LabelOfNote(ticket));
}

// Rules have made another list of it: nobody knows which of its notes was which.
std::vector<policies::LabelChange> Joined(std::vector<policies::LabelChange> changes) {
  if (changes.empty()) return changes;
  policies::LabelChange whole{.rule = "", .path = "result", .tags = {}};
  for (const policies::LabelChange& change : changes) {
    whole.untrusted = whole.untrusted || change.untrusted;
    for (const std::string& tag : change.tags) {
      const bool known = std::find(whole.tags.begin(), whole.tags.end(), tag) != whole.tags.end();
      if (!known) whole.tags.push_back(tag);
    }
  }
  return {std::move(whole)};
}

}  // namespace

tools::Outcome Gate::UseMemory(const Ticket& ticket) const {
  const Memory memory(parts_.journal->log(), *parts_.keys, parts_.archives);
  auto answer = AnswerOf(memory, ticket);
  tools::Outcome outcome;
  if (answer.ok()) {
    outcome.kind = tools::OutcomeKind::kOk;
    outcome.result = *std::move(answer);
    return outcome;
  }
  outcome.kind = tools::OutcomeKind::kFailed;
  outcome.error_code = ReasonOf(answer.status());
  outcome.error = core::Message(answer.status());
  if (outcome.error_code.empty()) {  // not for a planner: it names entries
    outcome.error_code = "MEMORY_UNREADABLE";
    outcome.error = "the notes cannot be read now";
  }
  outcome.reported_failure = true;
  return outcome;
}

// Each note bears the label that it was written with: what one agent read is what the next one
// reads.
void Gate::BearLabelsOfNotes(Ticket& ticket) {
  if (ticket.id.tool != kMemorySearchTool || !Succeeded(ticket.outcome_kind)) return;
  Release& release = ticket.release;
  auto changes = LabelsOfNotes(ticket.outcome.result);
  if (release.changed) changes = Joined(std::move(changes));
  for (const policies::LabelChange& change : changes) {
    release.untrusted = release.untrusted || change.untrusted;
    for (const std::string& tag : change.tags) {
      const auto& tags = release.tags;
      if (std::find(tags.begin(), tags.end(), tag) == tags.end()) release.tags.push_back(tag);
    }
  }
  release.changes.insert(release.changes.begin(), changes.begin(), changes.end());
}

void Gate::KeepNote(Ticket& ticket) const {
  ticket.kept.reset();
  if (!Succeeded(ticket.outcome_kind)) return;
  if (ticket.id.tool == kMemoryWriteTool) {
    ticket.kept = DraftNoted(ticket.id, *ticket.sealer, NoteOf(ticket));
  } else if (ticket.id.tool == kMemoryDeleteTool && ticket.outcome.result.value("deleted", false)) {
    ticket.kept = DraftNoteDeleted(ticket.id, *ticket.sealer, ticket.args.value.value("topic", ""));
  }
}

}  // namespace interlock::runtime
