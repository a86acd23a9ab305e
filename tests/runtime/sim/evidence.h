// What a seed left behind, and the properties that it must have. Pure, so that tests can plant a
// breach of each.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "audit/log.h"
#include "runtime/engine.h"
#include "world.h"

namespace interlock::runtime::sim {

struct Evidence {
  std::vector<audit::Entry> entries;
  std::vector<Effect> effects;
  std::vector<std::string> without_intent;  // calls whose effect came before their intent
  std::vector<RunInfo> runs;
  std::vector<CallInfo> waiting;          // calls whose outcome is unknown or that are parked
  BudgetInfo purse;                       // as the engine has it
  std::vector<std::string> acknowledged;  // runs that clients were told of
  std::string requester;                  // the principal of all runs
  int power_cuts = 0;
  std::string verdict;                // of the verifier: "intact", or why not
  std::vector<std::string> diverged;  // runs that replay does not make anew, and where
};

// One line a breach, beginning with the property's name; empty: all hold.
std::vector<std::string> Breaches(const Evidence& evidence);

}  // namespace interlock::runtime::sim
