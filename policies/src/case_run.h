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

// What a case is told of on its way; any may be null.
struct CaseWatch {
  std::map<std::string, RuleSeen>* seen = nullptr;  // every rule about the call
  Decision* decision = nullptr;
};

PolicyTestResult RunCase(const Bundle& bundle, Engine& engine, const TestCase& test,
                         const CaseWatch& watch);

}  // namespace interlock::policies
