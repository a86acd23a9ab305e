// Agents as tools (ADR 42): their calls pass the gate like any other, and what they start stands in
// the log with their intent. Nothing but the log runs them, so no permit is made.
#include <algorithm>

#include "engine/gate.h"
#include "engine/lineage.h"
#include "engine/run_start.h"

namespace interlock::runtime {
namespace {

bool IsAtWork(const CallIdentity& id, std::string_view agent) {
  if (id.agent == agent) return true;
  return id.lineage != nullptr && std::find(id.lineage->agents.begin(), id.lineage->agents.end(),
                                            agent) != id.lineage->agents.end();
}

std::int64_t RunsMax(const Ticket& ticket) {
  if (ticket.id.lineage != nullptr) return ticket.id.lineage->runs_max;
  return ticket.agent == nullptr ? 0 : ticket.agent->limits.runs_max;
}

}  // namespace

bool Gate::IsAgents(const Ticket& ticket) {
  return ticket.tool != nullptr && IsAgentTool(ticket.id.tool);
}

bool Gate::MayCallAgent(Ticket& ticket) const {
  if (IsAtWork(ticket.id, AgentOfTool(ticket.id.tool))) {
    Refuse(ticket, "AGENT_CYCLE",
           "This agent is at work above this one; it cannot be called here.");
  } else if (ticket.id.Depth() >= kRunDepthMax) {
    Refuse(ticket, "AGENT_DEPTH", "Agents call agents four deep at most; do this one yourself.");
  } else if (ticket.tokens_left == 0) {
    Refuse(ticket, kTokenLimit, "None of this run's tokens are left for another agent.");
  } else if (ticket.steps_left == 0) {
    Refuse(ticket, kStepLimit, "None of this run's steps are left for another agent.");
  } else if (ticket.calls_left == 0) {
    Refuse(ticket, kCallLimit, "None of this run's calls are left for another agent.");
  } else {
    return true;
  }
  return false;
}

core::Status Gate::MakeRun(Worker& worker, Ticket& ticket) const {
  auto made = parts_.new_run(worker, ticket);
  if (made.ok()) {
    ticket.starts = *std::move(made);
    return core::OkStatus();
  }
  if (made.status().code() != core::StatusCode::kFailedPrecondition) return made.status();
  Refuse(ticket, kAgentGone, std::string(core::Message(made.status())));
  ticket.decision = {};
  ticket.facts.clear();
  return core::OkStatus();
}

// What is started below a run is counted at the topmost, so that no tree grows without end.
std::string Gate::RunObjection(Serial& serial, const Ticket& ticket) const {
  if (!IsAgents(ticket)) return "";
  const RunRow* root = serial.state().FindRun(ticket.id.Root());
  const bool may = root != nullptr && root->started < RunsMax(ticket);
  return may ? "" : kTooManyRuns;
}

// By the roll-out in force where its start stands in the log (ADR 55).
bool Gate::MayStart(Serial& serial, const Ticket& ticket) {
  if (ticket.starts == nullptr) return false;
  const AgentChoice& choice = ticket.starts->choice;
  return choice.agent == nullptr || !Hub::IsStale(choice, serial.state());  // null: a replay's
}

// Precondition: the intent was appended just now.
core::Status Gate::StartRun(Serial& serial, Ticket& ticket) const {
  if (ticket.starts == nullptr || ticket.starts->started.kind.empty()) return core::OkStatus();
  RunStart& start = *ticket.starts;
  INTERLOCK_RETURN_IF_ERROR(serial.Append(start.started).status());
  if (JudgeAgain(serial, CaseOf(start), start.judged)) start.message = MessageOf(start);
  return serial.Append(start.message).status();
}

asio::awaitable<core::Status> Gate::RecordEnd(Worker& worker, Ticket& ticket) {
  ticket.outcome_kind = tools::OutcomeKindName(ticket.outcome.kind);
  LetGo(ticket.id.call);
  co_return co_await CommitKnown(worker, ticket);
}

// What an agent answered bears the labels of all that it has read.
void Gate::InheritEnd(Ticket& ticket) {
  Release& release = ticket.release;
  const policies::Label& label = ticket.ended->label;
  release.trusted_tool = label.trusted;
  policies::LabelChange whole{
      .rule = "", .path = "result", .tags = label.tags, .untrusted = !label.trusted};
  release.tags.insert(release.tags.begin(), label.tags.begin(), label.tags.end());
  release.readers = label.readers;
  release.sources = label.sources;
  if (!whole.tags.empty()) release.changes.insert(release.changes.begin(), std::move(whole));
}

}  // namespace interlock::runtime
