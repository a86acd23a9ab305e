// Tools that are compiled into the daemon: what the engine itself does for an agent that names it.
#pragma once

#include <memory>
#include <vector>

#include "core/status.h"
#include "runtime/agent.h"
#include "tools/tool.h"

namespace interlock::runtime {

// `registry` with the tools that these agents name and the engine provides: `read_result`. It is
// decided on, recorded and cited like any tool (rule 6). Errors: kInvalidArgument when a manifest
// takes one of their names.
core::StatusOr<std::shared_ptr<const tools::Registry>> WithOwnTools(
    std::shared_ptr<const tools::Registry> registry, const std::vector<AgentFile>& agents);

}  // namespace interlock::runtime
