#include "engine/unanswered.h"

#include <utility>

#include "engine/answers.h"
#include "engine/hub.h"

namespace interlock::runtime {
namespace {

// Of a call, without a demand of its decision.
policies::ApprovalState StateFor(const Ticket& ticket, std::vector<std::string> told_by) {
  return {.call = ticket.id.call,
          .requester = ticket.id.principal,
          .run_user = ticket.id.user,
          .editors = FromLog(Gate::EditorsOf(ticket), ticket.id.user),
          .told_by = std::move(told_by)};
}

}  // namespace

std::string Unanswered::Why(const policies::ApprovalState& state) const {
  const auto& people = hub_.parts.principals;
  if (people == nullptr) return "";
  return policies::WhyUnanswerable(state, *people, hub_.parts.state->Delegations(),
                                   NowInLog(hub_.parts));
}

void Unanswered::Note(const policies::ApprovalState& state) {
  std::string why = Why(state);
  if (why.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    if (!why_.try_emplace(state.id, why).second) return;
  }
  if (hub_.parts.warn) {
    hub_.parts.warn("nobody can give approval `" + state.id + "`: " + why +
                    "; change the configuration, or reject it");
  }
}

std::string Unanswered::WhyNot(const Ticket& ticket, std::vector<std::string> told_by) const {
  policies::ApprovalState state = StateFor(ticket, std::move(told_by));
  for (const policies::ApprovalDemand& demand : ticket.decision.demands) {
    state.demand = demand;
    if (std::string why = Why(state); !why.empty()) return why;
  }
  return "";
}

void Unanswered::Look(const Ticket& ticket) {
  if (hub_.parts.principals == nullptr) return;
  policies::ApprovalState state = StateFor(ticket, hub_.TellersOf(ticket.id.run));
  const auto& demands = ticket.decision.demands;
  for (std::size_t i = 0; i < demands.size() && i < ticket.approvals.size(); ++i) {
    state.id = ticket.approvals[i];
    state.demand = demands[i];
    Note(state);
  }
}

std::string Unanswered::warning() {
  const std::lock_guard lock(mutex_);
  std::erase_if(why_, [this](const auto& one) {
    const auto row = hub_.ApprovalRowOf(one.first);
    return !row.ok() || row->phase != policies::ApprovalPhase::kPending;
  });
  if (why_.empty()) return "";
  const auto& [id, why] = *why_.rbegin();
  return std::to_string(why_.size()) + (why_.size() == 1 ? " approval waits" : " approvals wait") +
         " for people who are not there, the newest `" + id + "`: " + why +
         "; see `interlock approvals list --state pending`";
}

}  // namespace interlock::runtime
