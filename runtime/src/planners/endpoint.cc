#include "endpoint.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "api_key.h"
#include "backoff.h"
#include "codec.h"
#include "core/check.h"
#include "rate_limit.h"
#include "reply_cache.h"
#include "runtime/planners.h"
#include "runtime/tokens.h"
#include "waiting_line.h"

namespace interlock::runtime {
namespace {

using Done = std::function<void(core::StatusOr<Plan>)>;
using Fetched = core::StatusOr<tools::FetchResponse>;

// Of a stream as it comes: a few bytes of text are some hundred on the wire.
constexpr std::size_t kStreamBytesMax = 8 * kPlanBytesMax;
// Of one that is recorded as it came.
constexpr std::size_t kRawStreamMax = 1 << 20;
constexpr std::size_t kWaitingMax = 10'000;  // calls that wait for a place
constexpr std::int64_t kTokensCountedMax = 1'000'000'000;
constexpr std::int64_t kRetriesMax = 1000;
// Of a reply whose length nobody bounds (`output_tokens_max`): what most models can write.
constexpr std::int64_t kOutputTokensAssumed = 8192;

core::Status Cancelled() { return core::Error(core::StatusCode::kCancelled, "cancelled"); }

// RFC 9110 §8.3.1: the type in any case of letters, its parameters behind `;`.
bool IsEventStream(std::string_view content_type) {
  constexpr std::string_view kType = "text/event-stream";
  const std::string_view type = content_type.substr(0, content_type.find_first_of("; \t"));
  return std::equal(type.begin(), type.end(), kType.begin(), kType.end(), [](char a, char b) {
    return a == b || (a >= 'A' && a <= 'Z' && a - 'A' + 'a' == b);
  });
}

// A call that is over: told with nothing held.
struct Ending {
  Done done;
  core::StatusOr<Plan> answer;
};

// Shared with the fetcher's callbacks, which may come after the planner is gone. Thread-safe.
class Endpoint : public std::enable_shared_from_this<Endpoint> {
 public:
  Endpoint(ModelOptions options, std::string api_key)
      : options_(std::move(options)),
        codec_(CodecOf(options_.dialect)),
        api_key_(std::move(api_key)),
        requests_(options_.requests_per_minute),
        tokens_(options_.tokens_per_minute),
        breaker_({.failures_max = options_.breaker_failures,
                  .rest_us = options_.breaker_rest_ms * 1000}),
        cache_(
            {.entries_max = options_.cache_entries_max, .ttl_us = options_.cache_ttl_ms * 1000}) {}

  std::uint64_t Begin(PlanRequest request, Done done) {
    if (request.lost && !*request.lost) *request.lost = policies::NoUse();
    ModelCall call;
    call.model = request.model.empty() ? options_.model : request.model;
    core::StatusOr<WireRequest> wire =
        codec_.Write(request, WireOptionsFor(call.model, request.lost != nullptr));
    if (!wire.ok()) {
      done(wire.status());
      return 0;
    }
    call.path = std::move(wire->path);
    call.body = std::move(wire->body);
    if (request.lost) call.one = UseOfOne(call.model, call.body);
    call.request = std::move(request);
    call.request.messages.clear();  // a call that waits holds its bytes once
    call.request.messages.shrink_to_fit();
    call.done = std::move(done);
    std::vector<Ending> endings;
    const std::uint64_t handle = Admit(std::move(call), endings);
    Tell(endings);
    return handle;
  }

  policies::ModelUse Bound(const PlanRequest& request) const {
    const std::string& model = request.model.empty() ? options_.model : request.model;
    const auto wire = codec_.Write(request, WireOptionsFor(model, /*bounded=*/true));
    // What cannot be written is not sent.
    const policies::ModelUse one = UseOfOne(model, wire.ok() ? wire->body : "");
    policies::ModelUse most = one;
    for (std::int64_t retry = 0; retry < options_.retries_max; ++retry) {
      most = policies::Together(most, one);
    }
    return most;
  }

  void Cancel(std::uint64_t handle) {
    std::vector<Ending> endings;
    {
      const std::lock_guard lock(mutex_);
      if (const auto it = calls_.find(handle); it != calls_.end()) CancelLocked(it, endings);
    }
    Tell(endings);
  }

  void CancelAll() {
    std::vector<Ending> endings;
    {
      const std::lock_guard lock(mutex_);
      for (auto it = calls_.begin(); it != calls_.end();) CancelLocked(it++, endings);
    }
    Tell(endings);
  }

  void Forget() {
    const std::lock_guard lock(mutex_);
    cache_.Clear();
    ++epoch_;  // what is on its way quotes what must be forgotten
  }

 private:
  using Calls = std::map<std::uint64_t, ModelCall>;

  // The most of one attempt. The body is longer than what the model reads of it.
  policies::ModelUse UseOfOne(const std::string& model, std::string_view body) const {
    Plan most;
    most.prompt_tokens = std::min(EstimateTokens(body, FamilyOf(model)), kTokensCountedMax);
    most.completion_tokens = OutputTokens(/*bounded=*/true);
    policies::ModelUse use{.tokens = most.prompt_tokens + most.completion_tokens};
    if (const ModelPrice* const price = PriceOf(options_.prices, model)) {
      ModelPrice dearest = *price;  // all of it may be written to the provider's cache
      dearest.input = std::max(price->input, price->cache_write);
      use.currency = options_.prices.currency;
      use.cost_micros = CostMicros(dearest, most);
    }
    return use;
  }

  // Where budgets hold the most, nobody may write more: the bound goes out with the request.
  std::int64_t OutputTokens(bool bounded) const {
    const bool unset = options_.output_tokens_max == 0;
    return bounded && unset ? kOutputTokensAssumed : options_.output_tokens_max;
  }

  WireOptions WireOptionsFor(const std::string& model, bool bounded) const {
    return {.model = model,
            .temperature = options_.temperature,
            .output_tokens_max = OutputTokens(bounded),
            .stream = options_.stream,
            .prompt_cache = options_.prompt_cache};
  }

  static void Tell(std::vector<Ending>& endings) {
    for (Ending& ending : endings) ending.done(std::move(ending.answer));
  }

  std::int64_t Now() const { return options_.clock->MonotonicMicros(); }

  // Answers from the cache, starts, or lets wait.
  std::uint64_t Admit(ModelCall call, std::vector<Ending>& endings) {
    const std::lock_guard lock(mutex_);
    if (cache_.enabled()) {
      call.cache_key = core::Sha256({call.request.tenant, std::string_view("\0", 1), call.path,
                                     std::string_view("\0", 1), call.body});
      if (auto plan = cache_.Find(call.cache_key, Now())) {
        endings.push_back({std::move(call.done), *std::move(plan)});
        return 0;
      }
    }
    if (waiting_.size() >= kWaitingMax) {
      endings.push_back(
          {std::move(call.done), core::ResourceExhausted("too many calls wait for this planner")});
      return 0;
    }
    call.epoch = epoch_;
    const std::uint64_t handle = ++last_;
    const std::int64_t deadline_us = call.request.deadline_monotonic_us;
    calls_.emplace(handle, std::move(call));
    waiting_.Add(handle, deadline_us);
    StartWaiting(endings);
    WakeInTime();
    return handle;
  }

  // Whoever waits longest gets the next place.
  void StartWaiting(std::vector<Ending>& endings) {
    EndOverdue(endings);
    while (!waiting_.empty() &&
           (options_.concurrent_max == 0 || running_ < options_.concurrent_max)) {
      const auto it = TakeFromLine(*waiting_.First());
      ++running_;
      const core::Status status = Attempt(it, 0);
      if (status.ok()) continue;
      --running_;
      End(it, status, endings);
    }
  }

  // Those whose deadline came before they had a place, though none may become free for long: who
  // asked may have others to ask.
  void EndOverdue(std::vector<Ending>& endings) {
    for (auto due = waiting_.FirstDue(); due; due = waiting_.FirstDue()) {
      if (LeftMs(calls_.find(*due)->second, 1) > 0) return;
      End(TakeFromLine(*due),
          core::Error(core::StatusCode::kDeadlineExceeded,
                      "the deadline came before this planner had a place"),
          endings);
    }
  }

  Calls::iterator TakeFromLine(std::uint64_t handle) {
    const auto it = calls_.find(handle);
    INTERLOCK_CHECK(it != calls_.end());  // who ends leaves the line
    waiting_.Remove(handle, it->second.request.deadline_monotonic_us);
    return it;
  }

  // One alarm for all who wait, for the earliest deadline. One that was set for who does not wait
  // any more rings for nobody.
  void WakeInTime() {
    const std::int64_t next_us = waiting_.next_deadline_us();
    if (next_us == 0 || options_.later == nullptr) return;
    if (wakes_us_ != 0 && wakes_us_ <= next_us) return;
    wakes_us_ = next_us;
    const std::int64_t left_ms = std::max<std::int64_t>(0, (next_us - Now()) / 1000);
    options_.later(left_ms, [weak = weak_from_this(), next_us] {
      if (const auto self = weak.lock()) self->OnAlarm(next_us);
    });
  }

  void OnAlarm(std::int64_t of_us) {
    std::vector<Ending> endings;
    {
      const std::lock_guard lock(mutex_);
      if (wakes_us_ == of_us) wakes_us_ = 0;
      EndOverdue(endings);
      WakeInTime();
    }
    Tell(endings);
  }

  void End(Calls::iterator it, core::StatusOr<Plan> answer, std::vector<Ending>& endings) {
    endings.push_back({std::move(it->second.done), std::move(answer)});
    calls_.erase(it);
  }

  void CancelLocked(Calls::iterator it, std::vector<Ending>& endings) {
    ModelCall& call = it->second;
    if (call.fetch == 0) {
      TakeFromLine(it->first);
      return End(it, Cancelled(), endings);
    }
    call.cancelled = true;
    options_.fetcher->Cancel(call.fetch);  // its callback reports
  }

  // Milliseconds that the call has left; at most `most`.
  std::int64_t LeftMs(const ModelCall& call, std::int64_t most) const {
    if (call.request.deadline_monotonic_us == 0) return most;
    return std::min(most, (call.request.deadline_monotonic_us - Now()) / 1000);
  }

  // Starts one attempt in `delay_ms`, or later where a limit asks for it. Errors: the endpoint
  // rests, or the deadline would come first.
  core::Status Attempt(Calls::iterator it, std::int64_t delay_ms) {
    ModelCall& call = it->second;
    const std::int64_t now = Now();
    if (!breaker_.Allows(now)) {
      return core::Unavailable("this planner's endpoint rests after " +
                               std::to_string(breaker_.failures()) + " failures in a row");
    }
    const std::int64_t limited = std::max(requests_.WaitUs(now), tokens_.WaitUs(now));
    if (limited > 0) delay_ms = std::max(delay_ms, limited / 1000 + 1);
    // All of them wait for the same moment: what Retry-After asks is the least.
    if (requests_.IsPaused(now)) delay_ms += Backoff(0);
    if (LeftMs(call, delay_ms + 1) <= delay_ms) {
      const bool own = limited > 0 && !requests_.IsPaused(now);
      return core::Unavailable(own ? "this planner's rate limit leaves no room before the deadline"
                                   : "this planner's provider asked to wait (Retry-After), longer "
                                     "than the deadline leaves");
    }
    requests_.Take(now, 1);
    if (options_.tokens_per_minute > 0) tokens_.Take(now, EstimateTokens(call.body));
    call.attempt = breaker_.Started();
    Send(it->first, call, delay_ms);
    return core::OkStatus();
  }

  void Send(std::uint64_t handle, ModelCall& call, std::int64_t delay_ms) {
    tools::FetchRequest request;
    request.method = "POST";
    request.url = options_.base_url + call.path;
    request.headers = {{"Content-Type", "application/json"},
                       {"Accept", options_.stream ? "text/event-stream" : "application/json"}};
    if (options_.dialect == Dialect::kAnthropic) {
      request.headers.emplace_back("anthropic-version", "2023-06-01");
    }
    if (!api_key_.empty()) {
      for (auto& header : codec_.KeyHeaders(api_key_)) request.headers.push_back(std::move(header));
    }
    request.body = call.body;
    request.may_share = options_.http2;
    request.delay_ms = delay_ms;
    request.timeout_ms =
        std::max<std::int64_t>(1, LeftMs(call, options_.timeout_ms + delay_ms) - delay_ms);
    request.connect_timeout_ms = std::min(request.connect_timeout_ms, request.timeout_ms);
    request.body_bytes_max = options_.stream ? kStreamBytesMax : kPlanBytesMax;
    call.sent = request.sent = std::make_shared<std::atomic<bool>>(false);
    if (options_.stream) {
      call.stream = std::make_shared<StreamReader>(codec_, call.request.on_text, call.told);
    }
    if (call.stream != nullptr || call.request.on_reply) {
      request.on_body = [stream = call.stream, begins = call.request.on_reply](
                            int status,
                            std::string_view piece) mutable -> core::StatusOr<tools::Wanted> {
        if (status != 200) return tools::Wanted::kMore;
        if (const auto told = std::exchange(begins, nullptr)) told();
        if (stream == nullptr) return tools::Wanted::kMore;
        INTERLOCK_RETURN_IF_ERROR(stream->Feed(piece));
        return stream->ended() ? tools::Wanted::kNoMore : tools::Wanted::kMore;
      };
    }
    call.fetch = options_.fetcher->Fetch(
        std::move(request), [self = shared_from_this(), handle](const Fetched& fetched) {
          self->OnFetched(handle, fetched);
        });
  }

  // On the fetcher's thread.
  void OnFetched(std::uint64_t handle, const Fetched& fetched) {
    std::vector<Ending> endings;
    {
      const std::lock_guard lock(mutex_);
      const auto it = calls_.find(handle);
      INTERLOCK_CHECK(it != calls_.end());
      ModelCall& call = it->second;
      ReplyNotes notes;
      core::StatusOr<Plan> answer = Judge(call, fetched, notes);
      Observe(call, fetched, answer);
      if (!CountSpent(call, answer, notes)) CountLost(call, fetched, answer);
      if (!Retried(it, fetched, answer)) {
        --running_;
        if (answer.ok()) Complete(call, *answer);
        End(it, std::move(answer), endings);
        StartWaiting(endings);
      }
    }
    Tell(endings);
  }

  core::StatusOr<Plan> Judge(const ModelCall& call, const Fetched& fetched,
                             ReplyNotes& notes) const {
    if (call.cancelled) return Cancelled();
    if (!fetched.ok()) return fetched.status();
    if (fetched->status != 200) return StatusOfHttp(*fetched);
    const bool events = call.stream != nullptr && IsEventStream(fetched->Header("content-type"));
    if (!events) return codec_.Read(fetched->body, call.request, notes);
    INTERLOCK_ASSIGN_OR_RETURN(const std::string whole, call.stream->Whole());
    INTERLOCK_ASSIGN_OR_RETURN(Plan plan, codec_.Read(whole, call.request, notes));
    if (fetched->body.size() > kRawStreamMax) return plan;  // `raw` is what it was folded into
    plan.raw = fetched->body;
    plan.streamed = true;
    return plan;
  }

  // What the attempt says of the endpoint.
  void Observe(ModelCall& call, const Fetched& fetched, const core::StatusOr<Plan>& answer) {
    call.told = call.told || (call.stream != nullptr && call.stream->told());
    const bool broken_off = fetched.ok() && fetched->status == 200 && !answer.ok() &&
                            (answer.status().code() == core::StatusCode::kUnavailable ||
                             answer.status().code() == core::StatusCode::kDataLoss);
    // The endpoint is well, in the middle of a stream too.
    const bool fault = !answer.ok() && answer.status().code() == core::StatusCode::kOutOfRange;
    if (call.cancelled) {
      breaker_.Abandoned(call.attempt);
    } else if (!fault && (IsFailure(fetched) || broken_off)) {
      breaker_.Failed(call.attempt, Now());
    } else {
      breaker_.Succeeded();
    }
  }

  // An attempt of which no plan was made, and whose provider says what it used. False: it is not
  // such a one, or nobody asks.
  bool CountSpent(ModelCall& call, const core::StatusOr<Plan>& answer, ReplyNotes& notes) const {
    if (answer.ok() || call.request.spent == nullptr || !TellsUse(notes.used)) return false;
    notes.used.provider = options_.name;
    Price(call.model, notes.used);
    Add(SpentOn(notes.used), *call.request.spent);
    return true;
  }

  void Price(const std::string& model, Plan& plan) const {
    const ModelPrice* const price = PriceOf(options_.prices, model);
    if (price == nullptr) return;
    plan.currency = options_.prices.currency;
    plan.cost_micros = CostMicros(*price, plan);
  }

  // An attempt that may be billed, and does not say for how much, counts with its most.
  static void CountLost(ModelCall& call, const Fetched& fetched,
                        const core::StatusOr<Plan>& answer) {
    if (!call.request.lost || !MayBeBilled(fetched, *call.sent)) return;
    if (answer.ok() && TellsUse(*answer)) return;
    *call.request.lost = policies::Together(**call.request.lost, call.one);
  }

  static bool TellsUse(const Plan& plan) {
    return plan.prompt_tokens > 0 || plan.completion_tokens > 0;
  }

  bool Retried(Calls::iterator it, const Fetched& fetched, const core::StatusOr<Plan>& answer) {
    if (answer.ok() || it->second.cancelled) return false;
    const auto wait = RetryWait(it->second, fetched, answer.status());
    if (!wait || !Attempt(it, *wait).ok()) return false;
    ++it->second.retries;
    return true;
  }

  // How long to wait before the next attempt; nullopt: there is none.
  std::optional<std::int64_t> RetryWait(const ModelCall& call, const Fetched& fetched,
                                        const core::Status& status) {
    const bool worth = status.code() == core::StatusCode::kUnavailable ||
                       status.code() == core::StatusCode::kDataLoss ||
                       (!fetched.ok() && status.code() == core::StatusCode::kDeadlineExceeded);
    if (!worth) return std::nullopt;
    std::int64_t wait = Backoff(call.retries);
    if (fetched.ok()) {
      const auto asked = RetryAfterMs(fetched->Header("retry-after"), options_.clock->WallMicros());
      // What it asks of one it asks of all; but not longer than we would ever wait.
      if (asked) requests_.Pause(Now() + std::min(*asked, options_.retry_after_max_ms) * 1000);
      if (asked && *asked > options_.retry_after_max_ms) return std::nullopt;
      wait = std::max(wait, asked.value_or(0));
    }
    if (call.retries >= options_.retries_max) return std::nullopt;
    if (LeftMs(call, wait + 1) <= wait) return std::nullopt;  // no time for another attempt
    return wait;
  }

  std::int64_t Backoff(std::int64_t retry) const {
    return BackoffMs({.first_ms = options_.backoff_ms, .max_ms = options_.backoff_max_ms}, retry,
                     *options_.random);
  }

  // Who answered, for how much.
  void Complete(ModelCall& call, Plan& plan) {
    plan.provider = options_.name;
    plan.model = call.model;
    plan.dialect = DialectName(options_.dialect);
    if (!TellsUse(plan)) {
      plan.tokens_estimated = true;
      plan.prompt_tokens = std::min(EstimateTokens(call.body), kTokensCountedMax);
      plan.completion_tokens = EstimateTokens(plan.text);
      for (const ProposedCall& made : plan.calls) {
        plan.completion_tokens += EstimateTokens(made.tool) + EstimateTokens(made.args_text);
      }
    }
    Price(call.model, plan);
    plan.raw_request = std::move(call.body);
    if (call.epoch == epoch_) cache_.Keep(call.cache_key, plan, Now());
  }

  const ModelOptions options_;
  const Codec& codec_;
  const std::string api_key_;
  std::mutex mutex_;  // guards what follows; never held while `done` runs
  Calls calls_;
  WaitingLine waiting_;
  std::int64_t wakes_us_ = 0;  // when the next alarm rings; 0: none is set
  std::int64_t running_ = 0;
  std::uint64_t last_ = 0;
  RateLimit requests_;
  RateLimit tokens_;
  Breaker breaker_;
  ReplyCache cache_;
  std::uint64_t epoch_ = 0;  // grows when the cache is cleared
};

class ModelPlanner final : public Planner {
 public:
  explicit ModelPlanner(std::shared_ptr<Endpoint> endpoint) : endpoint_(std::move(endpoint)) {}
  ~ModelPlanner() override { endpoint_->CancelAll(); }

  std::uint64_t Propose(PlanRequest request, Done done) override {
    return endpoint_->Begin(std::move(request), std::move(done));
  }
  policies::ModelUse Bound(const PlanRequest& request) const override {
    return endpoint_->Bound(request);
  }
  void Cancel(std::uint64_t handle) override { endpoint_->Cancel(handle); }
  void ForgetReplies() override { endpoint_->Forget(); }

 private:
  const std::shared_ptr<Endpoint> endpoint_;
};

core::Status CheckOptions(const ModelOptions& options) {
  for (const std::int64_t number :
       {options.timeout_ms - 1, options.retries_max, options.backoff_ms, options.output_tokens_max,
        options.requests_per_minute, options.tokens_per_minute, options.concurrent_max,
        options.breaker_failures, options.breaker_rest_ms, options.cache_entries_max,
        options.cache_ttl_ms}) {
    if (number < 0) return core::InvalidArgument("planner limits must not be negative");
  }
  if (options.output_tokens_max > kTokensCountedMax || options.retries_max > kRetriesMax) {
    return core::InvalidArgument("`output_tokens_max` is at most " +
                                 std::to_string(kTokensCountedMax) + " and `retries_max` " +
                                 std::to_string(kRetriesMax));
  }
  if (options.concurrent_max > 0 && options.later == nullptr) {
    return core::InvalidArgument("`concurrent_max` needs a clock that wakes who waits");
  }
  if (options.temperature.empty()) return core::OkStatus();
  const auto number = core::ParseJson(options.temperature, core::kArgsLimits);
  if (!number.ok() || !number->is_number()) {
    return core::InvalidArgument("`temperature` must be a number");
  }
  return core::OkStatus();
}

}  // namespace

core::StatusOr<std::unique_ptr<Planner>> MakeModelPlanner(ModelOptions options) {
  INTERLOCK_CHECK(options.fetcher != nullptr && options.clock != nullptr &&
                  options.random != nullptr);
  while (!options.base_url.empty() && options.base_url.back() == '/') options.base_url.pop_back();
  INTERLOCK_RETURN_IF_ERROR(CheckOptions(options));
  if (!options.model.empty()) {  // else agents name theirs
    INTERLOCK_RETURN_IF_ERROR(CodecOf(options.dialect).CheckModel(options.model));
  }
  INTERLOCK_ASSIGN_OR_RETURN(std::string key,
                             ReadApiKey(options.api_key_env, options.api_key_file));
  INTERLOCK_RETURN_IF_ERROR(CheckEndpointUrl(options.base_url, !key.empty()));
  return std::unique_ptr<Planner>(std::make_unique<ModelPlanner>(
      std::make_shared<Endpoint>(std::move(options), std::move(key))));
}

}  // namespace interlock::runtime
