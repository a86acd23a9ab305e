// What follows at once from what came before it, in one durable step with it (ADR 63): a reply of
// the planner with the decision on its first call, and the outcome of a plan's last call with the
// next request. The core is then ahead of the log until that step is durable, so nothing may be
// waited for in between, and what the log knows better makes the run read it anew.
#include <algorithm>

#include "core/check.h"
#include "engine/plan_budgets.h"
#include "engine/run_actor.h"
#include "engine/run_entries.h"

namespace interlock::runtime {
namespace {

template <typename Only>
bool IsOnly(const std::vector<Effect>& effects) {
  return effects.size() == 1 && std::holds_alternative<Only>(effects.front());
}

bool IsOpen(const CallSlot& slot) { return slot.phase != SlotPhase::kDone; }

}  // namespace

// Nothing else of the run is under way, so that what is decided rests on nothing that a message or
// another call could move in between. What model budgets charge is settled before anything else.
bool RunActor::TakesCallsAtOnce(const Plan& plan) const {
  const auto calls = static_cast<std::int64_t>(plan.calls.size());
  const bool alone = in_flight_ == 1 && live_.empty() && resuming_.empty() && core_.slots.empty() &&
                     !starting_calls_ && !stalled_ && !gone_;
  const bool goes_on = core_.state == RunState::kRunning &&
                       core_.closing.kind == Closing::Kind::kNone && !charged_ &&
                       core_.calls + calls <= core_.limits.calls_max &&
                       LoopOf(core_.recent, plan, core_.limits.repeats_max).times == 0;
  if (plan.finish != Finish::kCalls || plan.calls.empty() || !alone || !goes_on) return false;
  if (hub_.stopping() || hub_.parts.log->health() != audit::Health::kOk) return false;
  const std::string& first = plan.calls.front().tool;
  return first != kEscalateTool && hub_.gate.PassesAtOnce(worker_, first);
}

asio::awaitable<void> RunActor::TakeCalls(event::PlanReceived reply, Draft received) {
  HeldPlan held{.received = std::move(received), .read = ReadSoFar()};
  const auto effects = Step(core_, std::move(reply));
  INTERLOCK_CHECK(IsOnly<effect::StartCalls>(effects));
  starting_calls_ = true;
  co_await StartCalls(&held);
  if (held.durable) co_return;
  // The call could not be recorded: its plan may be. The run is read back either way.
  std::vector<Draft> alone;
  alone.push_back(std::move(held.received));
  co_await Write(std::move(alone), [](Serial&) { return core::OkStatus(); });
  Stall();
}

void RunActor::HoldBefore(Ticket& ticket, HeldPlan& held) {
  ticket.before = [this, &held](Serial& serial) -> core::StatusOr<bool> {
    Draft received = held.received;  // which is tried again alone where this step fails
    INTERLOCK_RETURN_IF_ERROR(serial.Append(received).status());
    return !HasNews(serial, held.read);
  };
}

// Whether the planner is asked as soon as the outcome of this call is known.
bool RunActor::AsksNext(const Ticket& ticket) const {
  const std::string& call = ticket.id.call;
  const bool last =
      std::all_of(core_.slots.begin(), core_.slots.end(), [&call](const CallSlot& slot) {
        return slot.call == call ? slot.phase == SlotPhase::kRunning : !IsOpen(slot);
      });
  const bool alone = in_flight_ == 1 && live_.size() == 1 && resuming_.empty() &&
                     !starting_calls_ && !stalled_ && !gone_;
  const bool goes_on = core_.state == RunState::kRunning && !core_.planning && !charged_ &&
                       core_.closing.kind == Closing::Kind::kNone && TokensLeft(core_) != 0 &&
                       StepsLeft(core_) > 0 && ticket.id.compensates.empty();
  if (!last || !alone || !goes_on || ticket.outcome_kind == "unknown") return false;
  if (agent_ == nullptr || planner_ == nullptr || ChargesModels(worker_.engine.get())) return false;
  return !hub_.stopping() && hub_.parts.log->health() == audit::Health::kOk;
}

asio::awaitable<void> RunActor::RecordAndAsk(std::shared_ptr<LiveCall> live) {
  Ticket& ticket = *live->ticket;
  Ended ended{.live = std::move(live), .outcome = hub_.gate.Judge(worker_, ticket)};
  const bool took_effect = Succeeded(ticket.outcome_kind);
  KeepForRelease(ticket);
  const auto effects = Step(core_, event::CallDone{.call = ticket.id.call,
                                                   .observation = ticket.observation,
                                                   .took_effect = took_effect});
  INTERLOCK_CHECK(IsOnly<effect::RequestPlan>(effects));
  co_await RequestPlanWith(&ended);
}

// What did not become durable with the request is recorded alone: an effect that was had must not
// be forgotten because of what was to follow it.
asio::awaitable<void> RunActor::EndCall(const core::Status& recorded, Ended& ended) {
  Ticket& ticket = *ended.live->ticket;
  if (recorded.ok()) {
    hub_.gate.EndRecorded(ticket);
  } else {
    core::Status alone = co_await hub_.gate.Record(worker_, ticket);
    if (!alone.ok()) Stall();
  }
  live_.erase(ticket.id.call);
  ended = {};  // who waits for the model keeps nothing of the call
}

}  // namespace interlock::runtime
