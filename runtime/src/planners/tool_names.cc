#include "tool_names.h"

#include <algorithm>

namespace interlock::runtime {

std::string WireToolName(std::string_view name) {
  std::string wire(name);
  std::replace(wire.begin(), wire.end(), '.', '-');
  return wire;
}

std::string ToolNameFromWire(std::string_view wire, const PlanRequest& request) {
  for (const auto& tool : request.tools) {
    const std::string& name = tool->manifest().name;
    if (wire == name || wire == WireToolName(name)) return name;
  }
  return std::string(wire);
}

}  // namespace interlock::runtime
