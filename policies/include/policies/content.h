// Rules about what is already there: a message that came in, the result of a call, an answer. It
// passes unless a rule withholds it; rules may change it first.
#pragma once

#include "policies/bundle.h"

namespace interlock::policies {

inline constexpr int kContentRoundsMax = 2;

struct ContentDecision {
  // The last round's: kAllow, or kDeny with its code and `say`; never kModify. Its rules are those
  // of all rounds, each id once, the last word of each.
  Decision decision{};
  core::Json content{};  // as it may be passed on; null when it is denied
  bool changed = false;
};

// Decides about `input.content` in `input.phase` (not kCall), and again on what rules made of it,
// until they are content; more than kContentRoundsMax changes deny MODIFY_LOOP. Labels of all
// rounds are kept. Deterministic, as Engine::Decide.
ContentDecision DecideContent(Engine& engine, DecisionInput input);

}  // namespace interlock::policies
