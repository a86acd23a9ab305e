// Dry runs: what would be said of a call. Nothing is held, recorded or run for them.
#include "engine/gate.h"

namespace interlock::runtime {
namespace {

// Effect keys, locks, balances and counters stand in the journal's tables, which the writer alone
// reads whole. What asks for none of them need not wait for it.
bool RestsOnTables(const Ticket& ticket) {
  const bool has_key = ticket.effect_key != ticket.id.call;
  const bool may_lock =
      !ticket.locks.empty() && ticket.tool->manifest().effect != tools::Effect::kRead;
  const bool denied = ticket.verdict == "deny";
  return !ticket.decision.reads.empty() || (!denied && (has_key || may_lock));
}

void DenyFor(std::string objection, Ticket& ticket) {
  if (objection.empty()) return;
  ticket.verdict = "deny";
  ticket.code = std::move(objection);
}

}  // namespace

asio::awaitable<void> Gate::Check(Worker& worker, Ticket& ticket) {
  if (!Prepare(ticket) || IsKilled(ticket)) co_return;
  core::Status ignored = co_await DecideInRounds(worker, ticket);
  while (ticket.stale) {
    StartAgain(ticket);
    ignored = co_await DecideInRounds(worker, ticket);
  }
  if (ticket.say.empty() && ticket.verdict == "deny") {
    ticket.say = "The policy does not allow this call.";
  }
}

asio::awaitable<core::Status> Gate::CheckWhole(Worker& worker, Ticket& ticket) {
  core::Status status = core::OkStatus();
  ticket.dry_run = true;
  do {
    if (ticket.stale) StartAgain(ticket);
    co_await Check(worker, ticket);
    status = CheckWaits(ticket);
    const bool decided = ticket.decision.bundle_id != core::Digest{};
    if (!status.ok() || !decided) break;
    if (!RestsOnTables(ticket)) {
      if (ticket.verdict != "deny") DenyFor(ObjectionToAny(ticket), ticket);
      break;
    }
    status = co_await parts_.journal->Commit([this, &ticket](Serial& serial) {
      // As CommitDecision: by the bundle in force there. Nothing is appended.
      policies::Engine* const engine = serial.engine();
      ticket.stale = engine != nullptr && engine->bundle().id() != ticket.decided_by;
      if (!ticket.stale) DenyFor(ObjectionNow(serial, ticket), ticket);
      return core::OkStatus();
    });
  } while (status.ok() && ticket.stale);
  co_return status;
}

}  // namespace interlock::runtime
