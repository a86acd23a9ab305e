// The examples of rules, run whenever a bundle loads: a wrong one refuses it.
#pragma once

#include <vector>

#include "rule_engine.h"

namespace interlock::policies {

// Each example is decided by its rule alone. Adds a finding for each that comes out differently.
void RunExamples(RuleEngine& engine, std::vector<Finding>& findings);

}  // namespace interlock::policies
