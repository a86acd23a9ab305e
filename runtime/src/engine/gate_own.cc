// What the engine itself does for an agent: a compiled-in tool is decided on, intended and recorded
// like any other, and its permit is checked by the same executor (rule 6).
#include <algorithm>

#include "engine/gate.h"
#include "engine/long_results.h"
#include "engine/memory.h"
#include "runtime/own_tools.h"

namespace interlock::runtime {
namespace {

tools::Outcome PartOf(const Ticket& ticket) {
  tools::Outcome outcome;
  outcome.kind = tools::OutcomeKind::kFailed;
  outcome.error_code = "BAD_PART";
  outcome.reported_failure = true;
  if (ticket.reads == nullptr || ticket.agent == nullptr) {
    outcome.error = "there are no results to read from";
    return outcome;
  }
  auto part = ReadPart(*ticket.reads, ticket.args.value,
                       static_cast<std::size_t>(ticket.agent->limits.result_bytes_max));
  if (!part.ok()) {
    outcome.error = core::Message(part.status());
    return outcome;
  }
  outcome.kind = tools::OutcomeKind::kOk;
  outcome.error_code.clear();
  outcome.result = *std::move(part);
  return outcome;
}

}  // namespace

std::uint64_t Gate::StartOwn(Ticket& ticket, tools::CallSpec spec,
                             std::function<void(tools::Outcome)> done) const {
  tools::ExecutorOptions own;
  own.clock = parts_.clock;
  own.builtins[ticket.id.tool] = [this, &ticket](const tools::CallSpec&) {
    return IsMemoryTool(ticket.id.tool) ? UseMemory(ticket) : PartOf(ticket);
  };
  const auto executor = tools::MakeExecutor(std::move(own));
  return executor->Run(parts_.mint->Mint(TermsOf(ticket)), std::move(spec), std::move(done));
}

// Of a part of a result that of the very part, as if it had been shown by the call that it is of.
policies::Label Gate::LabelOfResult(Ticket& ticket) const {
  if (ticket.ended) return ticket.ended->label;
  const Release& release = ticket.release;
  policies::Label label{.trusted = !release.untrusted,
                        .sources = {"tool:" + ticket.id.tool},
                        .tags = {},
                        .readers = release.readers};
  if (!Succeeded(ticket.outcome_kind)) return label;
  if (ticket.id.tool == kMemorySearchTool) {
    for (const policies::LabelChange& note : LabelsOfNotes(ticket.outcome.result)) {
      const policies::Label own{
          .trusted = !note.untrusted, .sources = {}, .tags = note.tags, .readers = {"*"}};
      label = policies::Join(label, own);
    }
  }
  if (ticket.id.tool != kReadResultTool) return label;
  const auto part = ticket.reads == nullptr ? core::StatusOr<HeldPart>(core::NotFound("no results"))
                                            : PartOfCall(*ticket.reads, ticket.args.value);
  label.trusted = false;
  if (!part.ok()) return label;
  ticket.read_from = part->tool;
  return part->label;
}

// What rules said of the whole holds for the part: it stands in the record as if they had said so
// again.
void Gate::Inherit(Ticket& ticket, const policies::Label& label) const {
  if (ticket.ended) return InheritEnd(ticket);
  BearLabelsOfNotes(ticket);
  if (ticket.id.tool != kReadResultTool || !Succeeded(ticket.outcome_kind)) return;
  Release& release = ticket.release;
  release.untrusted = release.untrusted || !label.trusted;
  release.trusted_tool = label.trusted;
  policies::LabelChange whole{.rule = "", .path = "result", .tags = label.tags};
  release.tags.insert(release.tags.begin(), label.tags.begin(), label.tags.end());
  for (const std::string& reader : label.readers) {
    const auto& own = release.readers;
    if (std::find(own.begin(), own.end(), reader) != own.end()) continue;
    whole.tags.push_back(std::string(kReaderTag) + reader);
  }
  if (!whole.tags.empty()) release.changes.insert(release.changes.begin(), std::move(whole));
  // An agent that is not shown what untrusted tools give does not read it in parts either.
  const bool hidden = ticket.agent != nullptr && ticket.agent->results == ResultsAs::kHandles &&
                      release.untrusted && !release.withheld;
  if (!hidden) return;
  Release ours;  // these are our own words
  ours.untrusted = false;
  ours.trusted_tool = true;
  ours.readers = std::move(release.readers);
  release = std::move(ours);
  release.withheld = true;
  release.code = "NOT_SHOWN";
  release.say = "What an untrusted tool gave is not shown here; pass it on by its handle.";
}

}  // namespace interlock::runtime
