#include <algorithm>
#include <map>
#include <mutex>

#include "core/check.h"
#include "routes.h"
#include "runtime/planners.h"

namespace interlock::runtime {
namespace {

using Done = std::function<void(core::StatusOr<Plan>)>;

// One Propose, over all the planners that it goes to.
struct Ride {
  PlanRequest request;
  Done done;
  std::vector<std::string> order;
  std::size_t at = 0;         // in `order`: who is asked
  std::uint64_t inner = 0;    // its handle, once `asked` is `at` + 1
  std::size_t asked = 0;      // how many Propose calls returned
  std::int64_t since_us = 0;  // monotonic
  std::vector<std::string> failed;
  bool cancelled = false;
  bool told = false;     // text was forwarded
  bool restart = false;  // what was forwarded is void
};

// Shared with the callbacks of other planners, which may come after the router is gone.
// Thread-safe.
class Rides : public std::enable_shared_from_this<Rides> {
 public:
  explicit Rides(RouterOptions options) : options_(std::move(options)) {}

  std::uint64_t Begin(PlanRequest request, Done done) {
    const Route* const route = RouteFor(options_.routes, request);
    if (route == nullptr) {
      if (request.lost) *request.lost = policies::NoUse();
      done(core::FailedPrecondition("no route of planner `" + options_.name +
                                    "` takes this agent; add one without `agents` and `risks`"));
      return 0;
    }
    auto ride = std::make_shared<Ride>();
    request.model.clear();  // each planner has its own
    ride->request = std::move(request);
    ride->done = std::move(done);
    std::uint64_t handle = 0;
    {
      const std::lock_guard lock(mutex_);
      ride->order = OrderOf(
          *route, ride->request.run,
          [this](const std::string& name) { return options_.targets.at(name).cost; },
          [this](const std::string& name) { return latency_us_[name]; });
      handle = ++last_;
      rides_[handle] = ride;
    }
    Ask(handle, ride);
    return handle;
  }

  // Each of the route may be asked, and fail after it was paid. A price that one of them lacks, or
  // has in another currency, is no bound.
  policies::ModelUse Bound(PlanRequest request) const {
    const Route* const route = RouteFor(options_.routes, request);
    policies::ModelUse most = policies::NoUse();
    if (route == nullptr) return most;  // nobody is asked
    request.model.clear();
    std::vector<std::string> names = route->use;
    const bool listed = std::find(names.begin(), names.end(), route->canary) != names.end();
    if (!route->canary.empty() && !listed) names.push_back(route->canary);
    for (const std::string& name : names) {
      most = policies::Together(most, options_.targets.at(name).planner->Bound(request));
    }
    return most;
  }

  void Cancel(std::uint64_t handle) {
    std::shared_ptr<Ride> ride;
    {
      const std::lock_guard lock(mutex_);
      const auto it = rides_.find(handle);
      if (it == rides_.end()) return;
      ride = it->second;
      ride->cancelled = true;
    }
    CancelInner(*ride);
  }

  void CancelAll() {
    std::vector<std::uint64_t> handles;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [handle, ride] : rides_) handles.push_back(handle);
    }
    for (const std::uint64_t handle : handles) Cancel(handle);
  }

 private:
  Planner& PlannerAt(const Ride& ride) const {
    return *options_.targets.at(ride.order[ride.at]).planner;
  }

  // Asks the planner whose turn it is. It may answer before its Propose returns.
  void Ask(std::uint64_t handle, const std::shared_ptr<Ride>& ride) {
    PlanRequest request;
    std::size_t at = 0;
    {
      const std::lock_guard lock(mutex_);
      at = ride->at;
      request = ride->request;
      ride->since_us = options_.clock->MonotonicMicros();
      if (request.on_text) request.on_text = Forwarder(ride);
    }
    const std::uint64_t inner =
        options_.targets.at(ride->order[at])
            .planner->Propose(std::move(request),
                              [self = shared_from_this(), handle, ride](core::StatusOr<Plan> plan) {
                                self->OnPlan(handle, ride, std::move(plan));
                              });
    bool cancelled = false;
    {
      const std::lock_guard lock(mutex_);
      if (ride->at != at) return;  // it answered, and the next one was asked
      ride->inner = inner;
      ride->asked = at + 1;
      cancelled = ride->cancelled;
    }
    if (cancelled) CancelInner(*ride);
  }

  void CancelInner(const Ride& ride) {
    Planner* planner = nullptr;
    std::uint64_t inner = 0;
    {
      const std::lock_guard lock(mutex_);
      if (ride.asked != ride.at + 1) return;  // Ask will see that it was cancelled
      planner = &PlannerAt(ride);
      inner = ride.inner;
    }
    planner->Cancel(inner);
  }

  // Text of a planner that is asked after another one had told some begins anew.
  std::function<void(const TextDelta&)> Forwarder(const std::shared_ptr<Ride>& ride) {
    return [self = shared_from_this(), ride](const TextDelta& delta) {
      bool restarted = delta.restarted;
      {
        const std::lock_guard lock(self->mutex_);
        restarted = restarted || ride->restart;
        ride->restart = false;
        ride->told = true;
      }
      ride->request.on_text({.text = delta.text, .restarted = restarted});
    };
  }

  void OnPlan(std::uint64_t handle, const std::shared_ptr<Ride>& ride, core::StatusOr<Plan> plan) {
    bool next = false;
    {
      const std::lock_guard lock(mutex_);
      if (ride->cancelled) plan = core::Error(core::StatusCode::kCancelled, "cancelled");
      NoteLatency(*ride, plan.ok());
      next = !plan.ok() && plan.status().code() != core::StatusCode::kCancelled &&
             ride->at + 1 < ride->order.size() && HasTime(*ride);
      if (!plan.ok()) {
        ride->failed.push_back(ride->order[ride->at] + ": " +
                               std::string(core::Message(plan.status())));
      }
      if (next) {
        ++ride->at;
        ride->restart = ride->told;
      } else {
        rides_.erase(handle);
      }
    }
    if (next) return Ask(handle, ride);
    if (plan.ok()) plan->failed = std::move(ride->failed);
    ride->done(std::move(plan));
  }

  bool HasTime(const Ride& ride) const {
    const std::int64_t deadline = ride.request.deadline_monotonic_us;
    return deadline == 0 || options_.clock->MonotonicMicros() < deadline;
  }

  // A moving mean, an eighth for the newest; who was never asked takes no time, so is tried.
  void NoteLatency(const Ride& ride, bool ok) {
    if (!ok) return;
    const std::int64_t took = options_.clock->MonotonicMicros() - ride.since_us;
    std::int64_t& mean = latency_us_[ride.order[ride.at]];
    mean = mean == 0 ? std::max<std::int64_t>(1, took) : mean + (took - mean) / 8;
  }

  const RouterOptions options_;
  std::mutex mutex_;  // guards what follows and every ride; never held while others are called
  std::map<std::uint64_t, std::shared_ptr<Ride>> rides_;
  std::map<std::string, std::int64_t> latency_us_;
  std::uint64_t last_ = 0;
};

class Router final : public Planner {
 public:
  explicit Router(std::shared_ptr<Rides> rides) : rides_(std::move(rides)) {}
  ~Router() override { rides_->CancelAll(); }

  std::uint64_t Propose(PlanRequest request, Done done) override {
    return rides_->Begin(std::move(request), std::move(done));
  }
  policies::ModelUse Bound(const PlanRequest& request) const override {
    return rides_->Bound(request);
  }
  void Cancel(std::uint64_t handle) override { rides_->Cancel(handle); }

 private:
  const std::shared_ptr<Rides> rides_;
};

core::Status CheckRoute(const Route& route, const RouterOptions& options) {
  if (route.use.empty()) return core::InvalidArgument("a route needs planners to `use`");
  std::vector<std::string> names = route.use;
  if (!route.canary.empty()) names.push_back(route.canary);
  for (const std::string& name : names) {
    if (options.targets.count(name) > 0) continue;
    return core::InvalidArgument("planner `" + options.name + "` routes to `" + name +
                                 "`, which is no planner of its own; add it to `planners`");
  }
  return core::OkStatus();
}

}  // namespace

core::StatusOr<std::unique_ptr<Planner>> MakeRouter(RouterOptions options) {
  INTERLOCK_CHECK(options.clock != nullptr);
  if (options.routes.empty()) {
    return core::InvalidArgument("planner `" + options.name + "` needs `routes`");
  }
  for (const Route& route : options.routes) {
    INTERLOCK_RETURN_IF_ERROR(CheckRoute(route, options));
  }
  return std::unique_ptr<Planner>(
      std::make_unique<Router>(std::make_shared<Rides>(std::move(options))));
}

}  // namespace interlock::runtime
