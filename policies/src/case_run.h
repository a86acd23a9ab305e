// One case of a *_test.lua file against an engine.
#pragma once

#include <map>
#include <string>

#include "policies/test.h"
#include "program.h"

namespace interlock::policies {

// How often a rule about a call spoke, and how often it had nothing to say.
struct RuleSeen {
  int spoke = 0;
  int silent = 0;
};

// `seen` (may be null) is told of every rule about the call.
PolicyTestResult RunCase(const Bundle& bundle, Engine& engine, const TestCase& test,
                         std::map<std::string, RuleSeen>* seen);

}  // namespace interlock::policies
