// Tool names as chat-completions endpoints take them: [a-zA-Z0-9_-]{1,64}.
#pragma once

#include <string>
#include <string_view>

#include "runtime/planner.h"

namespace interlock::runtime {

// "orders.get" -> "orders-get". No two tools meet: our names hold no `-`.
std::string WireToolName(std::string_view name);

// The offered tool that the model means; what it wrote (for the gate to refuse) when it means none.
std::string ToolNameFromWire(std::string_view wire, const PlanRequest& request);

}  // namespace interlock::runtime
