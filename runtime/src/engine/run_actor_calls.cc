// The calls of a run: through the gate in plan order, side by side behind it.
#include <algorithm>

#include "engine/run_actor.h"
#include "engine/run_entries.h"
#include "engine/run_start.h"
#include "engine/run_state.h"

namespace interlock::runtime {

std::unique_ptr<Ticket> RunActor::NewTicket(const CallSlot& slot) {
  auto ticket = std::make_unique<Ticket>();
  ticket->id = base_;
  ticket->id.call = hub_.NewId();
  ticket->id.step = slot.step;
  ticket->id.position = slot.position;
  ticket->id.tool = slot.proposed.tool;
  ticket->id.args_text = slot.proposed.args_text;
  ticket->sealer = sealer_;
  ticket->agent = agent_;
  ticket->reads = &reads_;
  return ticket;
}

// Calls of agents go through the gate one by one: what is left of the run's limits is given to the
// next when it is known what this one took. Nor does a reply of the planner or the end of another
// come into the log meanwhile, which would use what is lent here already.
asio::awaitable<void> RunActor::PassGate(std::shared_ptr<LiveCall> live) {
  const bool of_agent = IsAgentTool(live->ticket->id.tool);
  if (of_agent) {
    co_await lending_.Take();
    GiveLimits(*live->ticket);
    if (hub_.stopping()) Stall();
  }
  if (agent_ != nullptr) {
    live->ticket->run_ends_monotonic_us = hub_.parts.clock->MonotonicMicros() + WallLeftMs() * 1000;
  }
  if (!stalled_) {
    core::Status status = co_await hub_.gate.Pass(worker_, *live->ticket);
    if (!status.ok()) {
      Stall();
    } else if (live->ticket->put_off) {
      Stall(Back::kAtOnce);
    } else {
      AfterPass(std::move(live));
    }
  }
  if (of_agent) lending_.Give();
}

// The calls of one plan pass the decision in plan order (rule 4); what was allowed runs side by
// side.
asio::awaitable<void> RunActor::StartCalls(HeldPlan* held) {
  while (!stalled_) {
    if (hub_.stopping()) {
      Stall();
      break;
    }
    auto next = std::find_if(core_.slots.begin(), core_.slots.end(), [](const CallSlot& slot) {
      return slot.phase == SlotPhase::kProposed;
    });
    if (next == core_.slots.end() || IsFinal(core_.state)) break;
    auto live = std::make_shared<LiveCall>();
    live->ticket = NewTicket(*next);
    live->ticket->handle = &live->handle;
    if (held != nullptr && !held->durable) HoldBefore(*live->ticket, *held);
    const auto tool = hub_.parts.registry->Find(next->proposed.tool);
    const bool compensable = tool != nullptr && tool->manifest().compensate.has_value();
    Step(core_,
         event::CallDeciding{next->step, next->position, live->ticket->id.call, compensable});
    co_await PassGate(live);
    if (held != nullptr) held->durable = held->durable || !live->ticket->before;
  }
  starting_calls_ = false;
}

void RunActor::KeepForRelease(Ticket& ticket) {
  unreleased_.push_back({.id = ticket.id,
                         .release = std::move(ticket.release),
                         .shown = std::move(ticket.shown),
                         .succeeded = Succeeded(ticket.outcome_kind),
                         .from = std::move(ticket.read_from)});
}

void RunActor::AfterPass(std::shared_ptr<LiveCall> live) {
  Ticket& ticket = *live->ticket;
  const std::string call = ticket.id.call;
  open_approvals_.erase(call);
  if (ticket.state == CallState::kIntended && ticket.starts != nullptr) {
    const std::string started = ticket.starts->base.run;
    Handle(event::CallRunning{.call = call, .started = started, .tokens = ticket.starts->tokens});
    hub_.Wake(started);
  } else if (ticket.state == CallState::kIntended) {
    live_[call] = live;
    Step(core_, event::CallRunning{.call = call});
    Spawn(RunCall(std::move(live)));
  } else if (ticket.state == CallState::kParked) {
    open_approvals_[call] = ticket.approvals;
    Handle(event::CallParked{call, ticket.observation});
  } else {
    const bool done_by_other = !ticket.id.compensates.empty() && ticket.code == kDuplicateEffect;
    Handle(event::CallDone{
        .call = call, .observation = ticket.observation, .took_effect = done_by_other});
  }
}

asio::awaitable<void> RunActor::RunCall(std::shared_ptr<LiveCall> live) {
  Ticket& ticket = *live->ticket;
  co_await hub_.gate.Run(ticket);
  if (AsksNext(ticket)) co_return co_await RecordAndAsk(std::move(live));
  core::Status status = co_await hub_.gate.Record(worker_, ticket);
  const std::string call = ticket.id.call;
  live_.erase(call);
  if (!status.ok()) {
    Stall();
    co_return;
  }
  if (ticket.state == CallState::kUnknown) {
    Handle(event::CallNeedsPerson{call, ticket.observation});
    co_return;
  }
  const bool took_effect = Succeeded(ticket.outcome_kind);
  KeepForRelease(ticket);
  Handle(event::CallDone{.call = call,
                         .observation = ticket.observation,
                         .took_effect = took_effect,
                         .index = ticket.newest.index});
}

asio::awaitable<void> RunActor::ResumeCall(std::string call) {
  co_await PassAgain(call);
  resuming_.erase(call);
  TellPassed(call);
}

// Approvals are complete, or its arguments were edited: the call goes through the whole gate again,
// with fresh facts (rule 14).
asio::awaitable<void> RunActor::PassAgain(const std::string& call) {
  if (hub_.stopping()) co_return Stall();
  if (request_waits_) co_return Stall(Back::kAtOnce);
  auto recorded = hub_.ReadBack(run_);
  if (!recorded.ok()) co_return Stall();
  const auto found = std::find_if(recorded->calls.begin(), recorded->calls.end(),
                                  [&](const RecordedCall& one) { return one.id.call == call; });
  if (found == recorded->calls.end()) co_return;
  auto ticket = hub_.TicketOf(*found, AgentOf(*found));
  auto grants = hub_.GrantsOf(*found);
  if (!ticket.ok() || !grants.ok()) co_return Stall();
  if (!grants->complete) {  // it went through the gate meanwhile, and waits for others
    co_return Handle(event::CallParked{call, ObservationPending(found->approvals, found->say)});
  }
  Draft resumed = DraftResumed(run_, grants->freed ? "edited" : "approved");
  core::Status noted = co_await hub_.journal.Commit([this, &resumed](Serial& serial) {
    const RunRow* row = serial.state().FindRun(run_);
    const bool open = row != nullptr && !IsEnding(row->state);
    // Cancelled meanwhile: the gate will say so of the call (rule 11). Or it takes another back.
    return open ? serial.Append(resumed).status() : core::OkStatus();
  });
  if (!noted.ok()) co_return Stall();
  if (request_waits_) co_return Stall(Back::kAtOnce);  // since then
  auto live = std::make_shared<LiveCall>();
  live->ticket = std::move(*ticket);
  live->ticket->handle = &live->handle;
  live->ticket->reads = &reads_;
  live->ticket->granted = std::move(grants->granted);
  live->ticket->outdated = std::move(grants->outdated);
  co_await PassGate(std::move(live));
}

// An intent that a dead daemon left open, or whose outcome nobody knows yet (property 2).
asio::awaitable<void> RunActor::SettleCall(RecordedCall recorded) {
  const std::string call = recorded.id.call;
  auto made = hub_.TicketOf(recorded, AgentOf(recorded));
  if (!made.ok()) {
    Stall();
    co_return;
  }
  const std::unique_ptr<Ticket> ticket = std::move(*made);
  ticket->reads = &reads_;  // rules about its result ask what was read
  ticket->facts = FactsFromJson(recorded.facts);
  core::Status status = co_await hub_.gate.SettleRecorded(worker_, *ticket, recorded.outcome);
  if (!status.ok()) {
    // Somebody resolved it meanwhile, or the log took nothing: the log tells when it is read again.
    Stall();
    co_return;
  }
  if (ticket->state == CallState::kUnknown) {
    Handle(event::CallNeedsPerson{call, ticket->observation});
    co_return;
  }
  const bool took_effect = Succeeded(ticket->outcome_kind);
  KeepForRelease(*ticket);
  Handle(event::CallDone{.call = call,
                         .observation = ticket->observation,
                         .took_effect = took_effect,
                         .index = ticket->newest.index});
}

}  // namespace interlock::runtime
