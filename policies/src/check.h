// What can be known to be wrong before any call: names, tools, fields, facts.
#pragma once

#include <vector>

#include "policies/bundle.h"
#include "program.h"

namespace interlock::policies {

// Adds findings. Without tools only what the files say of each other is checked.
void CheckProgram(Program& program, const std::vector<KnownTool>& tools,
                  std::vector<Finding>& findings);

}  // namespace interlock::policies
