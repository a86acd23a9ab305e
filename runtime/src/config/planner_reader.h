// Entries of `planners` in the daemon's configuration.
#pragma once

#include "config/yaml_reader.h"
#include "runtime/planners.h"

namespace interlock::runtime {

// Each reads its keys; the caller closes the map.
void ReadPlannerKind(YamlMap& map, PlannerConfig& planner);
void ReadModel(YamlMap& map, ModelOptions& model);
void ReadContexts(YamlMap& map, ContextTable& contexts);
void ReadRoutes(YamlMap& map, PlannerConfig& planner);

}  // namespace interlock::runtime
