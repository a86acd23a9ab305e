// 3: facts. What rules know of the world before they decide: look-ups by tools that only read.
#include "engine/gate.h"
#include "engine/switches.h"
#include "policies/facts.h"

namespace interlock::runtime {

asio::awaitable<void> Gate::GatherFacts(Worker& worker, Ticket& ticket) {
  ticket.facts.clear();
  if (worker.engine == nullptr) co_return;
  core::Json values = core::Json::object();
  const std::vector<policies::FactDecl> facts = worker.engine->bundle().FactsFor(ticket.id.tool);
  for (const policies::FactDecl& fact : facts) {
    if (IsLeft(ticket)) co_return;  // and nothing is decided
    core::Json scope = {
        {"args", ticket.args.value}, {"session", *ticket.id.session}, {"facts", values}};
    if (!ticket.id.user.empty()) scope["user"] = ticket.id.user;
    policies::Fact found = co_await LookUp(fact, std::move(scope), ticket);
    if (found.present) values[fact.name] = found.value;
    ticket.facts.push_back(std::move(found));
  }
}

// A failed look-up is an absent fact: rules that need it deny.
asio::awaitable<policies::Fact> Gate::LookUp(const policies::FactDecl& fact, core::Json scope,
                                             const Ticket& ticket) {
  policies::Fact found{.name = fact.name, .present = false, .value = nullptr, .error_code = ""};
  if (StoppedFor(parts_.journal->state(), ticket.id, fact.tool)) {
    found.error_code = kKilled;
    co_return found;
  }
  const auto args = policies::ExpandFactArgs(fact, scope);
  if (!args.ok()) {
    found.error_code = "MISSING_INPUT";
    co_return found;
  }
  const auto tool = parts_.registry->Find(fact.tool);
  auto checked = tool == nullptr
                     ? core::StatusOr<tools::CanonicalArgs>(core::NotFound("no such tool"))
                     : tool->ValidateArgs(*args);
  if (!checked.ok()) {
    found.error_code = tool == nullptr ? "UNKNOWN_TOOL" : "BAD_ARGUMENTS";
    co_return found;
  }
  tools::CallSpec spec{.tool = tool,
                       .args = std::move(*checked),
                       .session = *ticket.id.session,
                       .run = ticket.id.run,
                       .call_id = core::NewUuidV7(*parts_.clock, *parts_.random),
                       .idempotency_key = "",
                       .deadline_monotonic_us = 0};
  spec.deadline_monotonic_us =
      parts_.clock->MonotonicMicros() + WaitOf(ticket, parts_.limits.fact_wait_us);
  core::PermitTerms terms{.call_id = spec.call_id,
                          .tool_digest = tool->digest(),
                          .args_digest = spec.args.digest,
                          .limits_digest = tool->limits_digest(),
                          .expires_monotonic_us = spec.deadline_monotonic_us};
  co_await lookups_.Take();
  auto start = [this, &terms, &spec](std::function<void(tools::Outcome)> done) {
    parts_.executor->Lookup(parts_.mint->MintLookup(std::move(terms)), std::move(spec),
                            std::move(done));
  };
  tools::Outcome outcome = co_await Await<tools::Outcome>(std::move(start));
  lookups_.Give();
  found.present = outcome.kind == tools::OutcomeKind::kOk;
  found.value = std::move(outcome.result);
  found.error_code = found.present ? "" : outcome.error_code;
  co_return found;
}

}  // namespace interlock::runtime
