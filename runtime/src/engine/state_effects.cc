// The fold of effect keys: what is done, what is being done, and what was taken back (rule 8).
#include "engine/state.h"
#include "engine/state_fields.h"

namespace interlock::runtime {
namespace {

// A key that another call could have too, so that somebody must remember it.
bool HasSharedEffect(const CallRow& call) {
  return !call.effect_key.empty() && call.effect_key != call.call;
}

}  // namespace

void State::TakeEffect(const CallRow& call) {
  if (!HasSharedEffect(call)) return;
  EffectRow& effect = effects_.Edit(call.effect_key);
  effect.call = call.call;
  effect.undone = 0;
}

// What took back the effect of before says nothing of this one, which can be taken back too. Not
// before: if this one fails, nothing is there that could be taken back a second time.
void State::KeepEffect(const CallRow& call) {
  const EffectRow* effect = HasSharedEffect(call) ? effects_.Find(call.effect_key) : nullptr;
  if (effect == nullptr || effect->call != call.call || effect->undone_by.empty()) return;
  const std::string undone_by = effect->undone_by;
  const std::string undone_key = effect->undone_key;
  EffectRow& kept = effects_.Edit(call.effect_key);
  kept.undone_by.clear();
  kept.undone_key.clear();
  const EffectRow* undoing = effects_.Find(undone_key);
  if (undoing != nullptr && undoing->call == undone_by) effects_.Erase(undone_key);
}

void State::FreeEffect(const CallRow& call) {
  const EffectRow* effect = HasSharedEffect(call) ? effects_.Find(call.effect_key) : nullptr;
  if (effect == nullptr || effect->call != call.call) return;
  if (effect->undone_by.empty()) {
    effects_.Erase(call.effect_key);
  } else {
    effects_.Edit(call.effect_key).undone = 1;  // as it was before
  }
}

// Precondition: the call `by` has succeeded.
void State::ApplyCompensated(const audit::EntryView& entry, const CallRow& by) {
  const std::string of = Field(entry, "compensates");
  if (calls_.Find(of) == nullptr) return;
  CallRow& call = calls_.Edit(of);
  call.compensated_by = by.call;
  credits_.Erase(of);
  const EffectRow* effect = HasSharedEffect(call) ? effects_.Find(call.effect_key) : nullptr;
  if (effect == nullptr || effect->call != of || effect->undone != 0) return;
  if (!HasSharedEffect(by)) {
    effects_.Erase(call.effect_key);
    return;
  }
  EffectRow& undone = effects_.Edit(call.effect_key);
  undone.undone = 1;
  undone.undone_by = by.call;
  undone.undone_key = by.effect_key;
}

void State::NoteSettled(const CallRow& call, const std::string& hold, std::int64_t amount,
                        const std::string& budget_key) {
  if (call.compensable == 0 || amount == 0) return;
  CreditRow& credit = credits_.Edit(call.call);
  credit.settled +=
      (credit.settled.empty() ? "" : " ") + hold + ":" + std::to_string(amount) + ":" + budget_key;
}

}  // namespace interlock::runtime
