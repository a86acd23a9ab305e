// Outcomes that nobody saw: retried by idempotency key, looked up, or left to a person.
#include "core/template.h"
#include "engine/gate.h"

namespace interlock::runtime {
namespace {

constexpr std::int64_t kRetryPauseMicros = 200'000;  // times the attempt

}  // namespace

asio::awaitable<core::Status> Gate::SettleUnknown(Worker& worker, Ticket& ticket) {
  const tools::Manifest& manifest = ticket.tool->manifest();
  while (ticket.state == CallState::kUnknown && manifest.idempotency.supported &&
         ticket.attempt < parts_.limits.attempts_max) {
    core::Status status = co_await Retry(worker, ticket);
    if (status.code() == core::StatusCode::kDeadlineExceeded) break;  // the key is too old by now
    if (status.code() == core::StatusCode::kCancelled) break;         // a kill switch (rule 9)
    if (!status.ok()) co_return status;
  }
  if (ticket.state == CallState::kUnknown && manifest.reconcile) {
    co_return co_await Reconcile(worker, ticket);
  }
  co_return core::OkStatus();
}

// The same call, the same key, a new durable intent. Never for a tool that did not declare it can.
asio::awaitable<core::Status> Gate::Retry(Worker& worker, Ticket& ticket) {
  GivePlace(ticket);
  co_await SleepFor(kRetryPauseMicros * ticket.attempt);
  co_await TakePlace(ticket);
  ++ticket.attempt;
  ticket.level = parts_.executor->LevelFor(*ticket.tool);
  core::Status status = co_await parts_.journal->Commit(
      [this, &ticket](Serial& serial) { return CommitIntent(serial, ticket); });
  if (!status.ok()) {
    --ticket.attempt;  // it was not made
    co_return status;
  }
  ticket.outcome = co_await Execute(ticket);
  // A retry that never started says nothing about the first attempt.
  if (ticket.outcome.kind == tools::OutcomeKind::kNotStarted) {
    ticket.outcome.kind = tools::OutcomeKind::kUnknown;
  }
  status = co_await RecordOutcome(worker, ticket);
  co_return status;
}

// It may wait for long, and look-ups have slots of their own: calls of others run meanwhile.
asio::awaitable<core::Status> Gate::Reconcile(Worker& worker, Ticket& ticket) {
  GivePlace(ticket);
  const tools::Reconcile& reconcile = *ticket.tool->manifest().reconcile;
  const std::int64_t settles_us = ticket.intent_us + reconcile.settle_after_ms * 1000;
  const std::int64_t wait_us = settles_us - parts_.clock->WallMicros();
  if (wait_us > 0) co_await SleepFor(wait_us);
  core::Json scope = {{"args", ticket.args.value},
                      {"call", {{"id", ticket.id.call}, {"idempotency_key", ticket.id.call}}}};
  const auto args = core::ExpandJson(reconcile.args, scope);
  if (!args.ok()) co_return core::OkStatus();  // stays unknown: a person says
  policies::FactDecl look_up{
      .name = "reconcile", .tool = reconcile.tool, .args = *args, .after = {}};
  // The arguments are final: nothing in them is a template any more.
  core::Json final_scope = {{"args", *args}};
  for (auto& [name, value] : look_up.args.items()) value = "{args." + name + "}";
  policies::Fact found = co_await LookUp(look_up, std::move(final_scope), ticket);
  if (!found.present || !found.value.is_object()) co_return core::OkStatus();
  const auto done = found.value.find("done");
  if (done == found.value.end() || !done->is_boolean()) co_return core::OkStatus();
  const bool happened = done->get<bool>();
  ticket.outcome_kind = happened ? "reconciled_done" : "reconciled_not_done";
  ticket.outcome = {};
  ticket.outcome.result = happened ? found.value : core::Json();
  ticket.outcome.error_code = happened ? "" : "NOT_DONE";
  ticket.outcome.error = happened ? "" : "the look-up says that it did not take effect";
  co_return co_await CommitKnown(worker, ticket);
}

}  // namespace interlock::runtime
