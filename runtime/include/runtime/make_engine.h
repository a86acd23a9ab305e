// The engine's parts list, for main() and tests.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "audit/keys.h"
#include "audit/log.h"
#include "core/clock.h"
#include "core/permit.h"
#include "core/random.h"
#include "policies/active.h"
#include "policies/bundle.h"
#include "runtime/agent.h"
#include "runtime/contexts.h"
#include "runtime/engine.h"
#include "runtime/planner.h"
#include "tools/executor.h"
#include "tools/tool.h"

namespace interlock::runtime {

// The fold of the log that runs, calls, approvals and budgets are read from: give its projector()
// to audit::LogOptions before the log is opened, then the whole to EngineParts.
class State;
struct StateDeleter {
  void operator()(State* state) const;
};
using StatePtr = std::unique_ptr<State, StateDeleter>;
// With `keys` (borrowed until the state is gone) the tables that the gate decides on are sealed,
// and at the next start made anew from the entries when somebody without the keys has changed them.
// Of runs that do not move, memory keeps `runs_kept` rows: each is a KiB, and what is let go is
// read from the table when it is asked for.
inline constexpr std::size_t kRowsOfRunsKept = 8'192;
StatePtr MakeState(const audit::KeyStore* keys = nullptr, std::size_t runs_kept = kRowsOfRunsKept);
audit::Projector* ProjectorOf(State& state);
// For audit::LogOptions::clock_stepped (rule 27). Borrows the state.
std::function<void(std::int64_t by_us)> ClockSteppedOf(State& state);

struct EngineLimits {
  int workers = 2;                          // threads that run steps and gates
  int lookups_max = 64;                     // look-ups at once
  int calls_max = 64;                       // tool calls at once
  std::int64_t lock_wait_us = 10'000'000;   // then deny BUSY
  std::int64_t fact_wait_us = 10'000'000;   // for all look-ups of a call
  int attempts_max = 3;                     // of an idempotent tool whose outcome is unknown
  std::int64_t retry_pause_us = 200'000;    // between them, times the attempt
  int unread_tries_max = 12;                // to read what a run takes back: five minutes
  std::int64_t plan_wait_us = 120'000'000;  // for one reply of a planner
  // A person who grants more approvals than this within a minute is told so; and then waits so long
  // between two grants, 0: he is only told.
  int grants_per_minute = 12;
  std::int64_t grant_pause_us = 0;
};

// How long sealed content is kept, by the entries that it belongs to. Entries themselves stay.
struct RetentionPolicy {
  std::int64_t conversation_months = 13;  // messages, plans, answers
  std::int64_t calls_months = 13;         // arguments, results, facts, decisions
  std::int64_t approvals_months = 13;     // what approvers were shown and said
  std::int64_t memory_months = 13;        // notes of agents, from when each was written
};

// Where the bundle comes from, and what it has to be.
struct PolicyFolders {
  std::string folder;     // empty: nothing can be activated while the daemon runs
  std::string candidate;  // empty: nothing can be watched
  policies::TrustRoot trust{};
  policies::Seal seal{};  // of EngineParts::bundle
  std::string problem;    // why there is no bundle; empty: there is one, or none was wanted
};

// What full text leaves free on its disk; below it nothing is taken in. The log needs room for what
// is at work, and stops long after full text does.
inline constexpr std::uint64_t kSearchFreeBytesMin = 256ull << 20;

// Borrowed parts outlive the engine.
struct EngineParts {
  std::string tenant;
  audit::Log* log = nullptr;
  audit::KeyStore* keys = nullptr;
  State* state = nullptr;
  const core::Clock* clock = nullptr;
  core::Random* random = nullptr;
  const core::PermitMint* mint = nullptr;
  tools::Executor* executor = nullptr;
  std::shared_ptr<const tools::Registry> registry;
  std::shared_ptr<const policies::Bundle> bundle;  // null: everything is denied (NO_BUNDLE)
  PolicyFolders policy_folders{};
  std::vector<AgentFile> agents;
  std::map<std::string, Planner*> planners;  // by name
  // What the model behind a planner can read at once. May be empty: nobody knows.
  std::function<ModelContext(const std::string& planner, const std::string& model)> context_of;
  EngineLimits limits;
  std::string folder;   // of the tenant: for erasure and full text
  bool search = false;  // full text (audit/search.h); not without a folder
  std::uint64_t search_fill_max =
      20'000;  // entries of closed logs that one search or look may take in
  std::uint64_t search_free_bytes_min = kSearchFreeBytesMin;
  RetentionPolicy retention;
  // Everybody who can ask anything of this tenant. Null: nobody knows, so nothing is said of
  // approvals that nobody could give, nor of delegations to nobody.
  std::shared_ptr<const std::vector<core::Principal>> principals{};
  // One line that the operator must see, from any thread. May be empty.
  std::function<void(const std::string& line)> warn;
};

// Records the active bundle, picks up open runs (recovery), starts the workers.
core::StatusOr<std::unique_ptr<Engine>> MakeEngine(EngineParts parts);

}  // namespace interlock::runtime
