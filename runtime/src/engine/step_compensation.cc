#include "engine/step_compensation.h"

#include <algorithm>
#include <utility>

namespace interlock::runtime {
namespace {

using Effects = std::vector<Effect>;

// Newest first; what a person has to say about was begun last.
std::vector<Compensation> ToTakeBack(const RunCore& run) {
  std::vector<Compensation> calls;
  for (const CallSlot& slot : run.slots) {
    if (slot.phase == SlotPhase::kPerson && slot.compensable) calls.push_back({.of = slot.call});
  }
  for (auto call = run.effects.rbegin(); call != run.effects.rend(); ++call) {
    calls.push_back({.of = call->call, .happened = true});
  }
  return calls;
}

Compensation* FindOf(RunCore& run, const std::string& of) {
  const auto at = std::find_if(run.compensations.begin(), run.compensations.end(),
                               [&](const Compensation& one) { return one.of == of; });
  return at == run.compensations.end() ? nullptr : &*at;
}

// By the call that takes another back.
Compensation* FindBy(RunCore& run, const std::string& call) {
  const auto at = std::find_if(run.compensations.begin(), run.compensations.end(),
                               [&](const Compensation& one) { return one.call == call; });
  return call.empty() || at == run.compensations.end() ? nullptr : &*at;
}

// The one that all others wait for; null: all are done.
const Compensation* Head(const RunCore& run) {
  const auto at =
      std::find_if(run.compensations.begin(), run.compensations.end(),
                   [](const Compensation& one) { return one.phase != SlotPhase::kDone; });
  return at == run.compensations.end() ? nullptr : &*at;
}

// A function of the state alone, as in Step: a restart at any point finds the same.
Effects Next(RunCore& run) {
  if (!run.compensating_durable) return {};
  if (const Compensation* head = Head(run); head != nullptr) {
    const bool ready = head->happened && head->phase == SlotPhase::kProposed && head->call.empty();
    return ready ? Effects{effect::Compensate{head->of}} : Effects{};
  }
  std::vector<std::string> standing;
  for (const Compensation& one : run.compensations) {
    if (!one.undone) standing.push_back(one.of);
  }
  run.state = standing.empty() ? run.ending.state : RunState::kUncompensated;
  return {effect::Finish{.state = run.state,
                         .answer = "",
                         .code = run.ending.code,
                         .reason = run.ending.reason,
                         .as = run.ending.state,
                         .uncompensated = std::move(standing)}};
}

// What is known of one already stays: a person may have spoken while the entry was written.
Effects On(RunCore& run, const event::Compensating& compensating) {
  std::vector<Compensation> calls = compensating.calls;
  for (Compensation& one : calls) {
    if (const Compensation* known = FindOf(run, one.of); known != nullptr) one = *known;
  }
  run.compensations = std::move(calls);
  run.ending = compensating.ending;
  run.state = RunState::kCompensating;
  run.compensating_durable = true;
  return Next(run);
}

Effects On(RunCore& run, const event::CompensationProposed& proposed) {
  Compensation* one = FindOf(run, proposed.of);
  if (one == nullptr) return {};
  one->call = proposed.call;
  one->phase = SlotPhase::kDeciding;
  return {};
}

void SetPhase(RunCore& run, const std::string& call, SlotPhase phase) {
  Compensation* one = FindBy(run, call);
  if (one != nullptr && one->phase != SlotPhase::kDone) one->phase = phase;
}

Effects On(RunCore& run, const event::CallParked& parked) {
  SetPhase(run, parked.call, SlotPhase::kParked);
  return {};
}

Effects On(RunCore& run, const event::CallRunning& running) {
  SetPhase(run, running.call, SlotPhase::kRunning);
  return {};
}

Effects On(RunCore& run, const event::CallNeedsPerson& person) {
  SetPhase(run, person.call, SlotPhase::kPerson);
  return {};
}

Effects On(RunCore& run, const event::CallDone& done) {
  if (Compensation* one = FindBy(run, done.call); one != nullptr) {
    if (one->phase == SlotPhase::kDone) return {};
    one->phase = SlotPhase::kDone;
    one->undone = done.took_effect;
    return Next(run);
  }
  // Of a call that was to be taken back, it is now known whether it happened at all.
  Compensation* one = FindOf(run, done.call);
  if (one == nullptr || one->happened || one->phase == SlotPhase::kDone) return {};
  one->happened = done.took_effect;
  one->undone = !done.took_effect;
  if (one->undone) one->phase = SlotPhase::kDone;
  return Next(run);
}

Effects On(RunCore& run, const event::CallGranted& granted) {
  Compensation* one = FindBy(run, granted.call);
  if (one == nullptr || one->phase != SlotPhase::kParked) return {};
  one->phase = SlotPhase::kDeciding;
  return {effect::ResumeCall{granted.call}};
}

Effects On(RunCore& run, const event::Resume&) { return Next(run); }

// Nothing else matters any more: nobody plans, and a cancel changes nothing of it.
template <typename Other>
Effects On(RunCore&, const Other&) {
  return {};
}

}  // namespace

std::vector<Effect> EndUncompleted(RunCore& run, Ending ending) {
  run.compensations = ToTakeBack(run);
  if (run.compensations.empty()) {
    run.state = ending.state;
    return {effect::Finish{.state = ending.state,
                           .answer = "",
                           .code = std::move(ending.code),
                           .reason = std::move(ending.reason),
                           .as = ending.state}};
  }
  run.state = RunState::kCompensating;
  run.ending = ending;
  return {effect::BeginCompensation{std::move(ending), run.compensations}};
}

std::vector<Effect> StepCompensating(RunCore& run, const Event& event) {
  return std::visit([&](const auto& e) { return On(run, e); }, event);
}

bool CompensationWaits(const RunCore& run) {
  const Compensation* head = Head(run);
  if (run.state != RunState::kCompensating || !run.compensating_durable || head == nullptr) {
    return false;
  }
  return !head->happened || head->phase == SlotPhase::kParked || head->phase == SlotPhase::kPerson;
}

}  // namespace interlock::runtime
