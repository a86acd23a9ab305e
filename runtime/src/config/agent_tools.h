#pragma once

#include <memory>
#include <vector>

#include "runtime/agent.h"
#include "tools/tool.h"

namespace interlock::runtime {

// Adds a tool for each agent that another one names. Errors: as those of WithOwnTools.
core::Status AddAgentTools(const std::vector<AgentFile>& agents,
                           std::vector<std::shared_ptr<const tools::Tool>>& all);

}  // namespace interlock::runtime
