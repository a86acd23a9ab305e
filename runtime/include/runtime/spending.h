// What was spent: by budget, and on models by run and by day.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace interlock::runtime {

struct BudgetInfo {
  std::string name;
  std::string scope;  // readable while the engine knows it, else its HMAC
  std::string unit;
  std::int64_t limit = 0;
  std::int64_t held = 0;
  std::int64_t settled = 0;
  std::int64_t window_start_us = 0;
  std::int64_t window_end_us = 0;  // 0: it has none, or no rule in force knows the budget any more
  bool past = false;               // no call is counted in it any more
};

// Which budgets to list.
struct BudgetQuery {
  bool past = false;   // windows that are over, too
  std::string user{};  // only those of this user; empty: all
};

// What requests to models came to, as the log has it.
struct ModelCost {
  std::int64_t tokens_in = 0;
  std::int64_t tokens_cached = 0;  // of tokens_in: read from the provider's cache
  std::int64_t tokens_out = 0;
  std::int64_t tokens_reasoning = 0;             // of tokens_out
  std::map<std::string, std::int64_t> micros{};  // by ISO 4217 code; no entry: no price is known
  std::map<std::string, std::int64_t> saved_micros{};  // by replies that a cache had
  std::int64_t cache_hits = 0;
  std::int64_t asked = 0;  // replies from a provider
};

// The same of one day (UTC) and one planner, provider and model.
struct ModelDay {
  std::string day;       // "2026-11-23"
  std::string planner;   // as the agent file names it: an endpoint or a route
  std::string provider;  // the endpoint that replied, or whose reply the cache had; empty: none
                         // did, a script did, or the entry is of an older engine
  std::string model;     // likewise
  std::int64_t requests = 0;  // that ended in whatever way
  std::int64_t failed = 0;    // of these: there was no reply
  ModelCost cost{};
};

// Days of which ListModelDays tells, "2026-11-23", the last one too; empty: without a bound.
struct DayRange {
  std::string from{};
  std::string to{};
};

}  // namespace interlock::runtime
