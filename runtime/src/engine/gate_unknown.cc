// Outcomes that nobody saw: retried by idempotency key, looked up, or left to a person.
#include <algorithm>

#include "core/template.h"
#include "engine/gate.h"
#include "engine/switches.h"

namespace interlock::runtime {
namespace {

constexpr int kLookUpsMax = 5;  // of one outcome, while they are not answered
constexpr std::int64_t kStopLookMicros = 250'000;

}  // namespace

bool Gate::IsSettling(const std::string& call) const {
  const std::lock_guard lock(settling_mutex_);
  return settling_.contains(call);
}

bool Gate::IsSettlingOneOf(const std::string& run) const {
  const std::lock_guard lock(settling_mutex_);
  return std::any_of(settling_.begin(), settling_.end(),
                     [&run](const auto& one) { return one.second == run; });
}

bool Gate::CanFindOut(const Ticket& ticket) {
  if (ticket.tool == nullptr) return false;
  const tools::Manifest& manifest = ticket.tool->manifest();
  return manifest.idempotency.supported || manifest.reconcile.has_value();
}

void Gate::BeginSettling(const Ticket& ticket) {
  const std::lock_guard lock(settling_mutex_);
  settling_[ticket.id.call] = ticket.id.run;
}

void Gate::EndSettling(const Ticket& ticket) {
  {
    const std::lock_guard lock(settling_mutex_);
    settling_.erase(ticket.id.call);
  }
  if (parts_.waits_changed && !ticket.id.run.empty()) parts_.waits_changed(ticket.id.run);
}

asio::awaitable<core::Status> Gate::FindOut(Worker& worker, Ticket& ticket) {
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
  co_await SleepFor(*parts_.timers, parts_.limits.retry_pause_us * ticket.attempt);
  co_await TakePlace(ticket);
  ++ticket.attempt;
  ticket.level = parts_.executor->LevelFor(*ticket.tool);
  core::Status status = co_await parts_.journal->Commit(
      [this, &ticket](Serial& serial) { return CommitIntent(serial, ticket); });
  if (!status.ok()) {
    --ticket.attempt;  // it was not made
    co_return status;
  }
  co_await Run(ticket);
  co_return co_await CommitKnown(worker, ticket);
}

// False: the engine stops. What is unknown then is taken up at the next start.
asio::awaitable<bool> Gate::Pause(std::int64_t micros) const {
  for (std::int64_t left = micros; left > 0; left -= kStopLookMicros) {
    if (parts_.stopping && parts_.stopping()) co_return false;
    co_await SleepFor(*parts_.timers, std::min(left, kStopLookMicros));
  }
  co_return true;
}

// The look-up's answer. While there is none (its service is away), it is asked again after pauses.
asio::awaitable<policies::Fact> Gate::AskWhetherDone(const core::Json& args, const Ticket& ticket) {
  policies::FactDecl look_up{.name = "reconcile",
                             .tool = ticket.tool->manifest().reconcile->tool,
                             .args = args,
                             .after = {}};
  // The arguments are final: nothing in them is a template any more.
  const core::Json scope = {{"args", args}};
  for (auto& [name, value] : look_up.args.items()) value = "{args." + name + "}";
  for (int asked = 1;; ++asked) {
    policies::Fact found = co_await LookUp(look_up, scope, ticket);
    if (found.present || asked == kLookUpsMax || found.error_code == kKilled) co_return found;
    if (!co_await Pause(parts_.limits.retry_pause_us << (asked + 1))) co_return found;
  }
}

// It may wait for long, and look-ups have slots of their own: calls of others run meanwhile. What
// the newest attempt does needs its time as well, so the wait begins when its end was not seen.
asio::awaitable<core::Status> Gate::Reconcile(Worker& worker, Ticket& ticket) {
  GivePlace(ticket);
  const tools::Reconcile& reconcile = *ticket.tool->manifest().reconcile;
  const std::int64_t settles_us = ticket.unknown_monotonic_us + reconcile.settle_after_ms * 1000;
  const bool waited = co_await Pause(settles_us - parts_.clock->MonotonicMicros());
  if (!waited) co_return core::Unavailable("the engine stops");
  core::Json scope = {{"args", ticket.args.value},
                      {"call", {{"id", ticket.id.call}, {"idempotency_key", ticket.id.call}}}};
  const auto args = core::ExpandJson(reconcile.args, scope);
  if (!args.ok()) co_return core::OkStatus();  // stays unknown: a person says
  const policies::Fact found = co_await AskWhetherDone(*args, ticket);
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

// Denied for a call that has the same effect and is open: whether that takes effect nobody knows
// yet.
bool Gate::MayComeToNothing(Serial& serial, const Ticket& ticket) {
  if (ticket.verdict != "deny" || ticket.code != kDuplicateEffect) return false;
  const EffectRow* effect = serial.state().FindEffect(ticket.effect_key);
  const CallRow* other = effect == nullptr ? nullptr : serial.state().FindCall(effect->call);
  return other != nullptr && !IsFinal(other->state);
}

}  // namespace interlock::runtime
