// What a seed left behind. Pure, so that tests can plant a breach of each property.
#pragma once

#include <map>
#include <set>
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
  std::vector<BudgetInfo> budgets;        // as the engine has them
  std::vector<std::string> acknowledged;  // runs that clients were told of
  std::map<std::string, std::set<std::string>> answers;  // request -> runs and calls, as told
  std::set<std::string> for_nobody;                      // requests, each time that they were made
  std::vector<std::string> hurried;     // calls that change something, stopped or given less time
  std::vector<std::string> trespasses;  // what a client was let do with what is another's
  std::vector<std::string> on_the_way;  // breaches that were seen before the end
  int reads_stopped = 0;
  int power_cuts = 0;
  bool was_full = false;                 // the disk, for a while
  std::string verdict;                   // of the verifier: "intact", or why not
  std::vector<std::string> diverged;     // runs that replay does not make anew, and where
  std::vector<std::string> mislabelled;  // entries that the model of labels has otherwise
};

// One line a breach, beginning with the property's name; empty: all hold.
std::vector<std::string> Breaches(const Evidence& evidence);

}  // namespace interlock::runtime::sim
