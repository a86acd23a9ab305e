// Runs a tool, once, for a permit. The only caller is the gate.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/money.h"
#include "core/permit.h"
#include "core/random.h"
#include "tools/fetcher.h"
#include "tools/tool.h"

namespace interlock::tools {

enum class OutcomeKind {
  kOk,      // the tool answered with a result that fits its schema
  kFailed,  // the tool said that it failed ({"error": …} or a non-zero exit)
  kTimeout,
  kViolation,   // the sandbox stopped it
  kUnknown,     // started, and we cannot tell how it ended
  kNotStarted,  // nothing ran: void or mismatched permit, set-up failure, refused level
};
std::string_view OutcomeKindName(OutcomeKind kind);  // "ok", "not_started"

struct Outcome {
  OutcomeKind kind = OutcomeKind::kNotStarted;
  core::Json result;  // for kOk; null otherwise
  // For all but kOk, [A-Z][A-Z0-9_]{0,63}. kFailed: the tool's own code, or TOOL_ERROR, BAD_RESULT,
  // EXIT_1, SIGNAL_11, HTTP_404, REFUSED_REDIRECT, CANCELLED; kTimeout: TIMEOUT, CPU; kViolation:
  // MEMORY, OUTPUT, PIDS, DISK, SYSCALL; kUnknown: LOST, CANCELLED, HTTP_500, REFUSED_REDIRECT;
  // kNotStarted: PERMIT, REFUSED, DEADLINE, SETUP.
  std::string error_code;
  std::string error;   // one line, at most 1 KiB, escaped
  std::string advice;  // one line for the tool's author: what in its manifest stands in its way, as
                       // far as its output tells; empty: nothing is known
  bool reported_failure = false;  // kFailed, and the tool itself said so with {"error": …}: with
                                  // `failure: no_effect` nothing happened
  std::optional<core::Money> reported;  // per `money:` of the manifest, if well-formed
  sandbox::BoxResult box;               // for process tools; stdout dropped after parsing
  bool sandboxed = false;
  sandbox::Artifacts artifacts;  // of a process tool that ran and whose manifest names some
};

struct CallSpec {
  std::shared_ptr<const Tool> tool;
  CanonicalArgs args;
  core::Json session;                      // trusted values, for mount templates
  std::string run = {};                    // whose MCP server it may use; empty: one of its own
  std::string call_id;                     // given to the tool as INTERLOCK_CALL_ID
  std::string idempotency_key;             // given as INTERLOCK_IDEMPOTENCY_KEY; same on a retry
  std::int64_t deadline_monotonic_us = 0;  // 0: only the manifest's limit
  // Output of a process tool while it runs; see sandbox::BoxSpec. Empty: nobody looks.
  std::function<void(sandbox::Output)> on_output = nullptr;
};

// How an MCP server ended.
struct SessionEnd {
  std::string run;      // empty: it was one call's alone
  std::string command;  // of the server, one line; of a remote one, where it is
  std::int64_t calls = 0;
  bool by_itself = false;  // nobody had asked it to
  bool refused = false;    // its tools are not the pinned ones
  bool remote = false;  // reached over HTTP: it had no box, and nothing of it ended but our session
  std::string why;      // one line, for people, in its words too; empty: nobody needs it any more
  sandbox::BoxResult box;  // without its output
};

// A compiled-in tool (rule 6): goes through the gate like any other, marked `builtin` in entries.
// Runs on the caller's thread, must not block; its result is checked against the schema like a
// process's. Thread-safe.
using Builtin = std::function<Outcome(const CallSpec&)>;

// Thread-safe.
class Executor {
 public:
  virtual ~Executor() = default;
  // Consumes the permit: checks life, call, tool digest, args digest, limits digest; any mismatch
  // is kNotStarted. `done` is called exactly once, from some thread, and must not block.
  virtual std::uint64_t Run(core::Permit permit, CallSpec spec,
                            std::function<void(Outcome)> done) = 0;
  // The same for look-ups; refuses (kNotStarted) any tool whose effect is not `read`.
  virtual std::uint64_t Lookup(core::LookupPermit permit, CallSpec spec,
                               std::function<void(Outcome)> done) = 0;
  // Kills a running process tool (whether that may be, rule 11, is the gate's to know); `done`
  // still comes. A handle that is unknown or done: no-op.
  virtual void Cancel(std::uint64_t handle) = 0;
  // Where a call of the tool runs now: "full" to "none", the level of the boxes that there are;
  // "http", a request of this process; "builtin", this process itself. Empty: nowhere.
  virtual std::string_view LevelFor(const Tool& tool) const;
  // The run has ended: what serves its calls dies. Whoever keeps nothing between calls needs none.
  virtual void EndRun(std::string_view /*run*/) {}
  // `told` hears of each MCP server that ends (from the sandbox's thread; must not block).
  // Empty: nobody; afterwards the former one is not running and never will.
  virtual void OnSessionEnd(const std::function<void(SessionEnd)>& /*told*/) {}
};

struct ExecutorOptions {
  sandbox::Launcher* launcher = nullptr;  // borrowed; nullptr: process tools are refused
  const core::Clock* clock = nullptr;
  std::map<std::string, Builtin> builtins;
  Fetcher* fetcher = nullptr;  // borrowed; nullptr: http tools are refused
  int sessions_max = 16;       // MCP servers at once; beyond it the one idle longest ends
};

// May be destroyed while boxes run: their `done` still comes, from the launcher. Servers that no
// call waits for end then.
std::unique_ptr<Executor> MakeExecutor(ExecutorOptions options);

}  // namespace interlock::tools
