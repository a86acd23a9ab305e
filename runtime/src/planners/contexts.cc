#include "runtime/contexts.h"

#include <algorithm>

#include "runtime/planners.h"

namespace interlock::runtime {
namespace {

const PlannerConfig* Named(const std::vector<PlannerConfig>& planners, std::string_view name) {
  const auto at = std::find_if(planners.begin(), planners.end(),
                               [&](const PlannerConfig& one) { return one.name == name; });
  return at == planners.end() ? nullptr : &*at;
}

ModelContext OfOne(const PlannerConfig* planner, std::string_view model) {
  if (planner == nullptr || planner->kind != PlannerKind::kModel) return {};
  return ContextOf(planner->contexts, model.empty() ? planner->model.model : model);
}

}  // namespace

ModelContext ContextOf(const ContextTable& table, std::string_view model) {
  const ModelContext* any = nullptr;
  for (const ModelContext& one : table) {
    if (one.model == model) return one;
    if (one.model == "*") any = &one;
  }
  return {.model = std::string(model), .tokens = any == nullptr ? 0 : any->tokens};
}

ModelContext ContextOf(const std::vector<PlannerConfig>& planners, std::string_view planner,
                       std::string_view model) {
  const PlannerConfig* const config = Named(planners, planner);
  if (config == nullptr || config->kind != PlannerKind::kRouter) return OfOne(config, model);
  ModelContext smallest;
  for (const Route& route : config->routes) {
    std::vector<std::string> asked = route.use;
    if (!route.canary.empty()) asked.push_back(route.canary);
    for (const std::string& name : asked) {
      // A router does not pass the agent's model on.
      const ModelContext one = OfOne(Named(planners, name), "");
      if (one.tokens == 0) return {};
      if (smallest.tokens == 0 || one.tokens < smallest.tokens) smallest = one;
    }
  }
  return smallest;
}

}  // namespace interlock::runtime
