// Which planners a request goes to, in which order. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/planner.h"
#include "runtime/planners.h"

namespace interlock::runtime {

// The first route that takes the request; nullptr when none does.
const Route* RouteFor(const std::vector<Route>& routes, const PlanRequest& request);

// Whether a run is among the `percent` of all; the same run always is or never is.
bool InCanary(std::string_view run, std::int64_t percent);

// What a planner costs or takes; less is better.
using Measure = std::function<std::int64_t(const std::string& planner)>;

// The planners to try, in order: the canary of a run that is in it, then those of `use` by what the
// route prefers; where two measure the same, as they stand.
std::vector<std::string> OrderOf(const Route& route, std::string_view run, const Measure& cost,
                                 const Measure& latency);

}  // namespace interlock::runtime
