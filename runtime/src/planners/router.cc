#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "core/check.h"
#include "routes.h"
#include "runtime/planners.h"

namespace interlock::runtime {
namespace {

using Done = std::function<void(core::StatusOr<Plan>)>;

constexpr std::int64_t kHedgePrice = 100;     // of one hedge; a request earns `hedge_percent_max`
constexpr std::int64_t kHedgesSavedMax = 10;  // for when an endpoint turns slow for many at once
// Then whoever was slow, or failed, is tried again.
constexpr std::int64_t kLatencyKeptUs = 300'000'000;

constexpr std::size_t kReasonBytesMax = 500;  // of all that failed, together

core::Status Cancelled() { return core::Error(core::StatusCode::kCancelled, "cancelled"); }

// One planner that was asked.
struct Leg {
  std::string name;
  std::uint64_t inner = 0;  // its handle, once it was `asked`
  bool asked = false;       // its Propose returned
  bool begun = false;       // the first byte of its reply has come
  bool over = false;
  bool missed = false;        // a part of its text was not forwarded
  std::int64_t since_us = 0;  // monotonic
  std::int64_t until_us = 0;  // by when it has to answer; 0: nobody said
  // Of a hedge what it may be billed for besides: it runs beside another, which has the request's.
  std::shared_ptr<std::optional<policies::ModelUse>> lost;
  std::shared_ptr<Spent> spent;  // likewise, what its provider told of
};

// How long a planner took of late.
struct Latency {
  std::int64_t mean_us = 0;
  std::int64_t noted_us = 0;  // monotonic
};

// One Propose, over all the planners that it goes to.
struct Ride {
  PlanRequest request;
  Done done;
  const Route* route = nullptr;
  std::vector<std::string> order;
  std::size_t next = 0;    // in `order`: who is asked next
  std::deque<Leg> legs;    // who was asked, in order
  std::size_t active = 0;  // legs that are not over
  std::vector<std::string> failed;
  std::optional<core::Status> fault;  // the first that its model may mend when it is told
  std::optional<Plan> won;            // the first good answer
  std::size_t winner = 0;             // whose that is
  bool cancelled = false;
  std::size_t voice = 0;  // the leg whose text is forwarded
  bool told = false;      // text was forwarded
  bool restart = false;   // what was forwarded is void
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
    ride->route = route;
    std::uint64_t handle = 0;
    {
      const std::lock_guard lock(mutex_);
      ride->order = OrderOf(
          *route, ride->request.run,
          [this](const std::string& name) { return options_.targets.at(name).cost; },
          [this](const std::string& name) { return LatencyUs(name); });
      std::int64_t& saved = saved_[route];
      saved = std::min(saved + route->hedge_percent_max, kHedgesSavedMax * kHedgePrice);
      handle = ++last_;
      rides_[handle] = ride;
      AddLeg(*ride);
    }
    Ask(handle, ride, 0);
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
    CancelLegs(*ride);
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
  // Under the lock. The next planner of the order is asked, by the Ask that follows.
  std::size_t AddLeg(Ride& ride) {
    Leg& leg = ride.legs.emplace_back();
    leg.since_us = options_.clock->MonotonicMicros();
    leg.until_us = UntilUs(ride, leg.since_us);
    leg.name = ride.order[ride.next++];
    ++ride.active;
    return ride.legs.size() - 1;
  }

  // By when the next planner of the order has to answer, so that those behind it can be asked: its
  // share of what is left, by its timeout.
  std::int64_t UntilUs(const Ride& ride, std::int64_t now_us) const {
    const std::int64_t deadline = ride.request.deadline_monotonic_us;
    const bool last = ride.next + 1 == ride.order.size();
    if (deadline == 0 || deadline <= now_us || last) return deadline;
    std::int64_t all_ms = 0;
    for (std::size_t i = ride.next; i < ride.order.size(); ++i) all_ms += TimeoutMs(ride.order[i]);
    return now_us + (deadline - now_us) / std::max<std::int64_t>(1, all_ms) *
                        TimeoutMs(ride.order[ride.next]);
  }
  std::int64_t TimeoutMs(const std::string& name) const {
    return options_.targets.at(name).timeout_ms;
  }

  // Asks the planner of the leg. It may answer before its Propose returns.
  void Ask(std::uint64_t handle, const std::shared_ptr<Ride>& ride, std::size_t at) {
    PlanRequest request;
    Planner* planner = nullptr;
    bool hedge = false;
    {
      const std::lock_guard lock(mutex_);
      const Leg& leg = ride->legs[at];
      planner = options_.targets.at(leg.name).planner;
      request = ride->request;
      request.deadline_monotonic_us = leg.until_us;
      hedge = leg.lost != nullptr;
      if (hedge) request.lost = request.lost == nullptr ? nullptr : leg.lost;
      if (hedge) request.spent = request.spent == nullptr ? nullptr : leg.spent;
      if (request.on_text) request.on_text = Forwarder(ride, at);
    }
    if (ride->route->hedge_after_ms > 0) request.on_reply = Beginner(ride, at);
    if (!hedge) HedgeLater(handle, *ride, at);
    const std::uint64_t inner =
        planner->Propose(std::move(request),
                         [self = shared_from_this(), handle, ride, at](core::StatusOr<Plan> plan) {
                           self->OnPlan(handle, ride, at, std::move(plan));
                         });
    bool unwanted = false;
    {
      const std::lock_guard lock(mutex_);
      Leg& leg = ride->legs[at];
      if (leg.over) return;  // it answered
      leg.inner = inner;
      leg.asked = true;
      unwanted = ride->cancelled || ride->won;
    }
    if (unwanted) planner->Cancel(inner);
  }

  // All that were asked and have not answered.
  void CancelLegs(const Ride& ride) {
    std::vector<std::pair<Planner*, std::uint64_t>> open;
    {
      const std::lock_guard lock(mutex_);
      for (const Leg& leg : ride.legs) {
        if (leg.over || !leg.asked) continue;  // Ask will see that it is not wanted
        open.emplace_back(options_.targets.at(leg.name).planner, leg.inner);
      }
    }
    for (const auto& [planner, inner] : open) planner->Cancel(inner);
  }

  std::function<void()> Beginner(const std::shared_ptr<Ride>& ride, std::size_t at) {
    return [self = shared_from_this(), ride, at] {
      const std::lock_guard lock(self->mutex_);
      ride->legs[at].begun = true;
    };
  }

  // Text of one leg at a time: of a hedge only once the other has ended without having said
  // anything of use. Text that follows another's begins anew.
  std::function<void(const TextDelta&)> Forwarder(const std::shared_ptr<Ride>& ride,
                                                  std::size_t at) {
    return [self = shared_from_this(), ride, at](const TextDelta& delta) {
      bool restarted = delta.restarted;
      {
        const std::lock_guard lock(self->mutex_);
        ride->legs[at].begun = true;
        Leg& leg = ride->legs[at];
        leg.missed = leg.missed && !delta.restarted;
        if (leg.missed || !self->HasVoice(*ride, at)) {
          leg.missed = true;
          return;
        }
        restarted = restarted || ride->restart;
        ride->restart = false;
        ride->told = true;
      }
      ride->request.on_text({.text = delta.text, .restarted = restarted});
    };
  }

  // Under the lock. Who speaks first has the voice until its leg is over. Whose beginning nobody
  // heard is heard when it has won, as a whole.
  bool HasVoice(Ride& ride, std::size_t at) {
    if (ride.won) return false;
    if (ride.voice == at) return true;
    if (ride.told && !ride.legs[ride.voice].over) return false;
    ride.restart = ride.told;
    ride.voice = at;
    return true;
  }

  // ---------------------------------------------------------------- hedging

  void HedgeLater(std::uint64_t handle, const Ride& ride, std::size_t at) {
    if (ride.route->hedge_after_ms == 0) return;
    options_.later(ride.route->hedge_after_ms, [weak = weak_from_this(), handle, at] {
      if (const auto self = weak.lock()) self->Hedge(handle, at);
    });
  }

  // The leg is alone and nothing of its reply has come: the next planner is asked beside it, where
  // the share of such requests allows it.
  void Hedge(std::uint64_t handle, std::size_t at) {
    std::shared_ptr<Ride> ride;
    std::size_t beside = 0;
    {
      const std::lock_guard lock(mutex_);
      const auto it = rides_.find(handle);
      if (it == rides_.end()) return;
      ride = it->second;
      const Leg& leg = ride->legs[at];
      const bool slow = !leg.over && !leg.begun && ride->active == 1;
      const bool may = slow && !ride->cancelled && ride->next < ride->order.size();
      std::int64_t& saved = saved_[ride->route];
      if (!may || !HasTime(*ride) || saved < kHedgePrice) return;
      saved -= kHedgePrice;
      beside = AddLeg(*ride);
      ride->legs[beside].lost = std::make_shared<std::optional<policies::ModelUse>>();
      ride->legs[beside].spent = std::make_shared<Spent>();
    }
    Ask(handle, ride, beside);
  }

  // Under the lock. What a good answer has cost that nobody waits for any more: where it does not
  // tell, its planner has counted it as lost.
  static void CountLoser(Ride& ride, const Leg& leg, const core::StatusOr<Plan>& plan) {
    const auto& lost = leg.lost != nullptr ? leg.lost : ride.request.lost;
    const bool tells = plan.ok() && !plan->tokens_estimated && !plan->from_cache;
    if (!ride.request.lost || !tells || plan->provider.empty()) return;
    *lost = policies::Together(lost->value_or(policies::NoUse()),
                               {.tokens = plan->prompt_tokens + plan->completion_tokens,
                                .cost_micros = plan->cost_micros,
                                .currency = plan->currency});
  }

  // Under the lock, when all legs are over.
  static void JoinLost(Ride& ride) {
    for (const Leg& leg : ride.legs) {
      if (ride.request.spent && leg.spent) Add(*leg.spent, *ride.request.spent);
      auto& all = ride.request.lost;
      if (!all || leg.lost == nullptr || !*leg.lost) continue;
      *all = policies::Together(all->value_or(policies::NoUse()), **leg.lost);
    }
  }

  // ---------------------------------------------------------------- answers

  // Under the lock. What the answer of a leg is to the ride.
  void Note(Ride& ride, std::size_t at, core::StatusOr<Plan>& plan) {
    Leg& leg = ride.legs[at];
    leg.over = true;
    --ride.active;
    if (ride.cancelled || ride.won) CountLoser(ride, leg, plan);
    if (ride.cancelled) plan = Cancelled();
    if (ride.won) {
      NoteAtLeast(leg);
      const bool given_up = plan.ok() || plan.status().code() == core::StatusCode::kCancelled;
      ride.failed.push_back(leg.name + ": " +
                            (given_up ? "slower than the one asked beside it"
                                      : std::string(core::Message(plan.status()))));
    } else if (plan.ok()) {
      NoteLatency(leg.name, TookUs(leg));
      ride.won = *std::move(plan);
      ride.winner = at;
    } else {
      // However soon it said so: as slow as one that hangs.
      const std::int64_t timeout_us = TimeoutMs(leg.name) * 1000;
      if (!ride.cancelled) NoteLatency(leg.name, std::max(TookUs(leg), timeout_us));
      ride.failed.push_back(leg.name + ": " + std::string(core::Message(plan.status())));
      const bool fault = plan.status().code() == core::StatusCode::kOutOfRange;
      if (fault && !ride.fault) ride.fault = plan.status();
    }
  }

  void OnPlan(std::uint64_t handle, const std::shared_ptr<Ride>& ride, std::size_t at,
              core::StatusOr<Plan> plan) {
    std::optional<std::size_t> next;
    bool ends = false;
    bool won = false;
    {
      const std::lock_guard lock(mutex_);
      Note(*ride, at, plan);
      if (ride->active == 0) {
        const bool again = !ride->won && plan.status().code() != core::StatusCode::kCancelled &&
                           ride->next < ride->order.size() && HasTime(*ride);
        if (again) next = AddLeg(*ride);
        ends = !again;
      }
      won = ride->won.has_value();
      if (ends) {
        JoinLost(*ride);
        rides_.erase(handle);
      }
    }
    if (next) return Ask(handle, ride, *next);
    if (ends) return End(*ride, std::move(plan));
    if (won) CancelLegs(*ride);
  }

  // A model that wrote badly is told just that, and not of others. Else what each of them said; the
  // kind of error is that of the last.
  static core::Status AllFailed(const Ride& ride, const core::Status& last) {
    if (ride.fault) return *ride.fault;
    if (ride.failed.size() < 2) return last;
    std::string all;
    for (const std::string& one : ride.failed) all += (all.empty() ? "" : "; ") + one;
    return core::Error(last.code(), all.substr(0, kReasonBytesMax));
  }

  // No leg is open any more: nobody else has the ride.
  static void End(Ride& ride, core::StatusOr<Plan> plan) {
    if (!ride.won)
      return ride.done(ride.cancelled ? std::move(plan) : AllFailed(ride, plan.status()));
    if (ride.told && ride.voice != ride.winner) {
      ride.request.on_text({.text = ride.won->text, .restarted = true});
    }
    ride.won->failed = std::move(ride.failed);
    ride.done(*std::move(ride.won));
  }

  bool HasTime(const Ride& ride) const {
    const std::int64_t deadline = ride.request.deadline_monotonic_us;
    return deadline == 0 || options_.clock->MonotonicMicros() < deadline;
  }

  std::int64_t TookUs(const Leg& leg) const {
    return options_.clock->MonotonicMicros() - leg.since_us;
  }
  // Who was not asked of late takes no time, so is tried.
  std::int64_t LatencyUs(const std::string& name) const {
    const auto found = latencies_.find(name);
    if (found == latencies_.end()) return 0;
    const bool old = options_.clock->MonotonicMicros() - found->second.noted_us > kLatencyKeptUs;
    return old ? 0 : found->second.mean_us;
  }
  // A moving mean, an eighth for the newest.
  void NoteLatency(const std::string& name, std::int64_t took_us) {
    const std::int64_t mean_us = LatencyUs(name);
    latencies_[name] = {.mean_us = mean_us == 0 ? std::max<std::int64_t>(1, took_us)
                                                : mean_us + (took_us - mean_us) / 8,
                        .noted_us = options_.clock->MonotonicMicros()};
  }
  // Of one that was given up: it takes longer than that.
  void NoteAtLeast(const Leg& leg) {
    const std::int64_t took_us = TookUs(leg);
    if (took_us > LatencyUs(leg.name)) NoteLatency(leg.name, took_us);
  }

  const RouterOptions options_;
  std::mutex mutex_;  // guards what follows and every ride; never held while others are called
  std::map<std::uint64_t, std::shared_ptr<Ride>> rides_;
  std::map<std::string, Latency> latencies_;
  std::map<const Route*, std::int64_t> saved_;  // for hedges, in hundredths
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
  if (route.hedge_after_ms > 0 && options.later == nullptr) {
    return core::InvalidArgument("a route that hedges needs a clock that wakes it");
  }
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
