// The planners that come with the daemon: one that reads its steps from a file, one that asks a
// model, one that asks others.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/random.h"
#include "core/status.h"
#include "runtime/contexts.h"
#include "runtime/planner.h"
#include "runtime/prices.h"
#include "tools/fetcher.h"

namespace interlock::runtime {

// Steps from `<folder>/<script>.yaml`, where script is `session.script` ([a-z0-9_-]{1,64}) or the
// agent's name. Step N is the one after N assistant messages, so that a restarted run goes on where
// it was. A script is read again when its modification time or size changes. A script that ran out
// answers "I have nothing more to do."
struct ScriptedOptions {
  std::string folder;
};
// Errors: kNotFound when there is no such folder.
core::StatusOr<std::unique_ptr<Planner>> MakeScriptedPlanner(ScriptedOptions options);

// Calls a function after so many milliseconds, from any thread.
using Later = std::function<void(std::int64_t delay_ms, std::function<void()> ring)>;

// What a model endpoint speaks. Base urls end with the version: paths are below it.
enum class Dialect {
  kChat,       // OpenAI's chat completions, and who is compatible: <base_url>/chat/completions
  kResponses,  // OpenAI's responses: <base_url>/responses
  kAnthropic,  // Anthropic's messages: <base_url>/messages
  kGemini,     // Gemini's generateContent: <base_url>/models/<model>:generateContent
};

struct ModelOptions {
  std::string name;  // of the planner, for the record
  Dialect dialect = Dialect::kChat;
  std::string base_url;              // "https://api.example.com/v1"
  std::string model;                 // when the agent file names none
  std::string api_key_env;           // name of an environment variable; empty: none
  std::string api_key_file;          // or a file that holds the key (white space around it is cut)
  std::int64_t timeout_ms = 60'000;  // of one attempt
  std::int64_t retries_max = 3;      // after 408, 409, 425, 429, 5xx and connection errors
  std::int64_t backoff_ms = 500;  // first wait; doubles, with jitter of ±50 %, up to backoff_max_ms
  std::int64_t backoff_max_ms = 20'000;
  std::int64_t retry_after_max_ms = 60'000;  // a server that asks for a longer wait ends the call
  std::string temperature;                   // a number as text ("0.2"); empty: not sent
  std::int64_t output_tokens_max = 0;        // 0: the provider's own; Anthropic's: 8192
  bool stream = false;                       // ask for an event stream
  bool prompt_cache = false;                 // Anthropic: mark what may be cached at the provider
  bool http2 = false;                        // over TLS: requests share connections
  std::int64_t requests_per_minute = 0;      // attempts; 0: no limit
  std::int64_t tokens_per_minute = 0;        // of prompts, estimated; 0: no limit
  std::int64_t concurrent_max = 0;           // calls at once, others wait in order; 0: no limit
  std::int64_t breaker_failures = 0;         // in a row until the endpoint rests; 0: it never does
  std::int64_t breaker_rest_ms = 30'000;
  std::int64_t cache_entries_max = 0;  // replies kept for requests equal to the last byte; 0: none
  std::int64_t cache_ttl_ms = 600'000;
  PriceTable prices;
  tools::Fetcher* fetcher = nullptr;   // borrowed
  const core::Clock* clock = nullptr;  // borrowed
  core::Random* random = nullptr;      // borrowed; for the jitter
  Later later = nullptr;               // ends calls that wait for a place; needed where some may
};
// Reads the key once; it goes into the dialect's header and nowhere else.
// Errors: kInvalidArgument (URL, temperature, a negative number, `concurrent_max` without `later`),
// kNotFound (variable or file that should hold the key).
core::StatusOr<std::unique_ptr<Planner>> MakeModelPlanner(ModelOptions options);

enum class RoutePreference {
  kOrder,    // as they stand
  kCost,     // the cheapest first, by their prices for their own model
  kLatency,  // who answered fastest of late first; who was not asked for five minutes comes before
};

// Requests that it takes go to its planners in order, until one answers.
struct Route {
  std::vector<std::string> agents;  // names or globs (`*`); empty: every agent
  std::vector<std::string> risks;   // of the agent: "low", "medium", "high"; empty: whatever it is
  std::vector<std::string> use;     // names of planners
  RoutePreference prefer = RoutePreference::kOrder;
  std::string canary;  // a planner that `canary_percent` of runs ask first; empty: none
  std::int64_t canary_percent = 0;
  // Of a request of which no byte came back for so long, the next planner of the order is asked
  // beside the first; the first good answer counts. 0: never.
  std::int64_t hedge_after_ms = 0;
  std::int64_t hedge_percent_max = 0;  // of this route's requests: how many at most are asked twice
};

struct RouterTarget {
  Planner* planner = nullptr;  // borrowed
  std::int64_t cost = 0;       // to compare by; less is better
  // Of one attempt: what a request's time is shared by, and how slow one counts that fails.
  std::int64_t timeout_ms = 60'000;
};

struct RouterOptions {
  std::string name;
  std::vector<Route> routes;  // the first that takes a request counts
  std::map<std::string, RouterTarget> targets;
  const core::Clock* clock = nullptr;  // borrowed
  Later later = nullptr;               // null: no route hedges
};
// A planner that asks others. Any error but kCancelled goes to the next one; the plan's `failed`
// says what happened before. Until the request's deadline each has its share of what is left, by
// its timeout, so that one that hangs leaves time for those behind it. Agents' `model` is not
// passed on: every planner has its own. Where a request was hedged, `done` comes when all that were
// asked are over: those that are not wanted any more are cancelled, and what they may be billed for
// is in PlanRequest::lost. Errors: kInvalidArgument (no routes, a route to no target).
core::StatusOr<std::unique_ptr<Planner>> MakeRouter(RouterOptions options);

enum class PlannerKind { kScripted, kModel, kRouter };

// One entry of `planners` in the daemon's configuration.
struct PlannerConfig {
  std::string name;
  PlannerKind kind = PlannerKind::kScripted;
  std::string folder;         // kScripted: of the scripts, absolute
  ModelOptions model;         // kModel: but for what PlannerParts gives
  std::vector<Route> routes;  // kRouter
  ContextTable contexts;      // kModel
};

struct PlannerParts {  // borrowed
  tools::Fetcher* fetcher = nullptr;
  const core::Clock* clock = nullptr;
  core::Random* random = nullptr;
};

// How long one plan may take: two minutes, or as long as an attempt at each planner of the longest
// route. A caller's deadline that leaves every planner its timeout.
std::int64_t PlanWaitMs(const std::vector<PlannerConfig>& configs);

class Alarm;

// All planners of a daemon. Movable; routers end before those they ask.
class PlannerSet {
 public:
  PlannerSet();
  ~PlannerSet();
  PlannerSet(PlannerSet&& other) noexcept;
  PlannerSet& operator=(PlannerSet&& other) noexcept;
  // Errors: those of the planners, with their name.
  static core::StatusOr<PlannerSet> Make(const std::vector<PlannerConfig>& configs,
                                         const PlannerParts& parts);
  const std::map<std::string, Planner*>& by_name() const { return by_name_; }

 private:
  std::vector<std::unique_ptr<Planner>> planners_;
  std::vector<std::unique_ptr<Planner>> routers_;
  std::map<std::string, Planner*> by_name_;
  // Of routes that hedge and of places that are waited for; null: there are none.
  std::shared_ptr<Alarm> alarm_;
};

// What the bytes of a recorded plan say, read again without a network: the plan of `recorded.raw`
// under `request`, with who answered and what it cost as recorded. Errors: those of the reader of
// its dialect (kDataLoss, kOutOfRange, kPermissionDenied) when the bytes are no such reply.
core::StatusOr<Plan> PlanOfRecord(const Plan& recorded, const PlanRequest& request);
// Whether those bytes still say what was recorded of them: how the plan ends, its text, and id,
// tool, arguments and signature of each call. A `request` without tools leaves open how a name
// reads that may be the wire's or a tool's. Errors: kAborted, saying what differs.
core::Status CheckRecord(const Plan& recorded, const PlanRequest& request);

}  // namespace interlock::runtime
