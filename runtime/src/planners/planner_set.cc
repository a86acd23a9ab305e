#include <algorithm>
#include <limits>

#include "alarm.h"
#include "runtime/planners.h"

namespace interlock::runtime {
namespace {

// Of a prompt of three parts and a reply of one; unknown prices come last.
std::int64_t CostOf(const PlannerConfig& config) {
  const ModelPrice* const price = PriceOf(config.model.prices, config.model.model);
  if (config.kind != PlannerKind::kModel) return 0;
  if (price == nullptr) return std::numeric_limits<std::int64_t>::max();
  return price->input * 3 + price->output;
}

// A script needs next to nothing, but not nothing of a route's time.
constexpr std::int64_t kScriptTimeoutMs = 1'000;
constexpr std::int64_t kPlanWaitMs = 120'000;

std::int64_t TimeoutMsOf(const PlannerConfig& config) {
  return config.kind == PlannerKind::kModel ? config.model.timeout_ms : kScriptTimeoutMs;
}

bool Hedges(const Route& route) { return route.hedge_after_ms > 0; }

bool NeedsAlarm(const PlannerConfig& config) {
  const bool waits = config.kind == PlannerKind::kModel && config.model.concurrent_max > 0;
  return waits || std::any_of(config.routes.begin(), config.routes.end(), Hedges);
}

core::StatusOr<std::unique_ptr<Planner>> MakeOne(const PlannerConfig& config,
                                                 const PlannerParts& parts, const Later& later) {
  if (config.kind == PlannerKind::kScripted) return MakeScriptedPlanner({.folder = config.folder});
  ModelOptions options = config.model;
  options.name = config.name;
  options.fetcher = parts.fetcher;
  options.clock = parts.clock;
  options.random = parts.random;
  options.later = later;
  return MakeModelPlanner(std::move(options));
}

}  // namespace

std::int64_t PlanWaitMs(const std::vector<PlannerConfig>& configs) {
  std::map<std::string, std::int64_t> timeouts_ms;
  for (const PlannerConfig& config : configs) timeouts_ms[config.name] = TimeoutMsOf(config);
  std::int64_t longest = kPlanWaitMs;
  for (const PlannerConfig& config : configs) {
    longest = std::max(longest, TimeoutMsOf(config));
    for (const Route& route : config.routes) {
      std::int64_t together = route.canary.empty() ? 0 : timeouts_ms[route.canary];
      for (const std::string& name : route.use) together += timeouts_ms[name];
      longest = std::max(longest, together);
    }
  }
  return longest;
}

PlannerSet::PlannerSet() = default;
PlannerSet::PlannerSet(PlannerSet&& other) noexcept = default;
PlannerSet& PlannerSet::operator=(PlannerSet&& other) noexcept = default;

// Nobody is asked any more when routers and planners begin to end.
PlannerSet::~PlannerSet() {
  if (alarm_ != nullptr) alarm_->Stop();
}

core::StatusOr<PlannerSet> PlannerSet::Make(const std::vector<PlannerConfig>& configs,
                                            const PlannerParts& parts) {
  PlannerSet set;
  std::map<std::string, RouterTarget> targets;
  Later later;
  if (std::any_of(configs.begin(), configs.end(), NeedsAlarm)) {
    set.alarm_ = std::make_shared<Alarm>();
    later = [alarm = set.alarm_](std::int64_t ms, std::function<void()> ring) {
      alarm->After(ms, std::move(ring));
    };
  }
  for (const PlannerConfig& config : configs) {
    if (config.kind == PlannerKind::kRouter) continue;
    auto made = MakeOne(config, parts, later);
    if (!made.ok()) {
      return core::Error(made.status().code(), "planner `" + config.name + "`: " +
                                                   std::string(core::Message(made.status())));
    }
    targets[config.name] = {
        .planner = made->get(), .cost = CostOf(config), .timeout_ms = TimeoutMsOf(config)};
    set.by_name_[config.name] = made->get();
    set.planners_.push_back(*std::move(made));
  }
  for (const PlannerConfig& config : configs) {
    if (config.kind != PlannerKind::kRouter) continue;
    INTERLOCK_ASSIGN_OR_RETURN(auto made, MakeRouter({.name = config.name,
                                                      .routes = config.routes,
                                                      .targets = targets,
                                                      .clock = parts.clock,
                                                      .later = later}));
    set.by_name_[config.name] = made.get();
    set.routers_.push_back(std::move(made));
  }
  return set;
}

}  // namespace interlock::runtime
