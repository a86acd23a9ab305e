// Tells other systems what happens to approvals (ADR 40): signed requests, retried until they are
// taken, in the order of the log. The log is the outbox; a file beside it holds how far a hook has
// been told, so a restart neither forgets nor repeats more than what was under way.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "audit/log.h"
#include "core/clock.h"
#include "core/random.h"
#include "core/status.h"
#include "runtime/config.h"
#include "tools/fetcher.h"

namespace interlock::runtime {

struct WebhooksOptions {
  std::string tenant;
  std::string folder;                 // of the tenant: `webhook-NAME` is kept in it
  const audit::Log* log = nullptr;    // borrowed, outlives the webhooks, as the next three
  tools::Fetcher* fetcher = nullptr;  // rule 25
  const core::Clock* clock = nullptr;
  core::Random* random = nullptr;
  std::vector<WebhookConfig> hooks;  // of this tenant
  std::int64_t interval_ms = 200;    // how often the log is looked at
  std::int64_t backoff_ms = 1'000;   // after the first failure; doubled, with jitter
  std::int64_t backoff_max_ms = 300'000;
  std::int64_t timeout_ms = 10'000;  // of one request
  // A line for the operator when a hook begins to fail, is well again, or something was given up.
  // From its thread.
  std::function<void(const std::string&)> report;
};

// Thread-safe. One thread a hook.
class Webhooks {
 public:
  virtual ~Webhooks() = default;  // what is under way is cancelled, and told again after a start
  // One line each: a hook that fails, and why.
  virtual std::vector<std::string> warnings() const = 0;
};

// Whether the hook's secret can be read and is one. Errors: as of StartWebhooks, naming the hook.
core::Status CheckWebhook(const WebhookConfig& config);

// A hook that is new is told what happens from now on. Errors: kNotFound, kInvalidArgument for a
// secret that is none; kDataLoss for a file of its place that cannot be read.
core::StatusOr<std::unique_ptr<Webhooks>> StartWebhooks(WebhooksOptions options);

}  // namespace interlock::runtime
