// How much a model can read at once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace interlock::runtime {

struct PlannerConfig;

struct ModelContext {
  std::string model;        // in a table "*": every model that is not named
  std::int64_t tokens = 0;  // prompt and reply together, 1,024..100,000,000; 0: nobody knows
};
using ContextTable = std::vector<ModelContext>;

// Tokens 0: neither the model nor "*" is there.
ModelContext ContextOf(const ContextTable& table, std::string_view model);

// Of what an agent with this planner and `model` (empty: the planner's own) is answered by; of a
// router the smallest of those that it may ask, as long as all of them are known.
ModelContext ContextOf(const std::vector<PlannerConfig>& planners, std::string_view planner,
                       std::string_view model);

}  // namespace interlock::runtime
