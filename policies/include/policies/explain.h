// A decision as text for people: which rule said what, at which line, and why it came out as it
// did.
#pragma once

#include <string>

#include "policies/decision.h"

namespace interlock::policies {

// Several lines, the last without a line feed. The first is the outcome ("denied OVER_REFUND"),
// then one line a rule that spoke, strongest first, then demands, reservations and limits.
// Deterministic; holds the content of `say` and `because`, so it is for people who may read the
// call.
std::string Explain(const Decision& decision);

}  // namespace interlock::policies
