#include "routes.h"

#include <algorithm>

#include "core/digest.h"
#include "core/glob.h"

namespace interlock::runtime {

const Route* RouteFor(const std::vector<Route>& routes, const PlanRequest& request) {
  const auto takes = [&](const Route& route) {
    const bool agent =
        route.agents.empty() ||
        std::any_of(route.agents.begin(), route.agents.end(), [&](const std::string& glob) {
          return core::GlobMatches(glob, request.agent);
        });
    return agent && (route.risks.empty() || std::find(route.risks.begin(), route.risks.end(),
                                                      request.risk) != route.risks.end());
  };
  const auto found = std::find_if(routes.begin(), routes.end(), takes);
  return found == routes.end() ? nullptr : &*found;
}

bool InCanary(std::string_view run, std::int64_t percent) {
  const core::Digest digest = core::Sha256({"interlock canary ", run});
  const std::int64_t number = digest[0] << 16 | digest[1] << 8 | digest[2];
  return number * 100 < percent * (1 << 24);
}

std::vector<std::string> OrderOf(const Route& route, std::string_view run, const Measure& cost,
                                 const Measure& latency) {
  std::vector<std::string> order = route.use;
  if (route.prefer != RoutePreference::kOrder) {
    const Measure& measure = route.prefer == RoutePreference::kCost ? cost : latency;
    std::vector<std::pair<std::int64_t, std::string>> measured;
    measured.reserve(order.size());
    for (const std::string& name : order) measured.emplace_back(measure(name), name);
    std::stable_sort(measured.begin(), measured.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::transform(measured.begin(), measured.end(), order.begin(),
                   [](auto& entry) { return std::move(entry.second); });
  }
  if (!route.canary.empty() && InCanary(run, route.canary_percent)) {
    std::erase(order, route.canary);
    order.insert(order.begin(), route.canary);
  }
  return order;
}

}  // namespace interlock::runtime
