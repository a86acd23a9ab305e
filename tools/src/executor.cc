#include "tools/executor.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>

#include "artifact_collector.h"
#include "box.h"
#include "core/check.h"
#include "http_call.h"
#include "mcp/box_link.h"
#include "mcp/http_link.h"
#include "mcp/sessions.h"
#include "outcome.h"

namespace interlock::tools {
namespace {

using Done = std::function<void(Outcome)>;

// What runs, and how each is stopped. Shared with the callbacks of what runs, which may outlive the
// executor. Thread-safe.
class RunningCalls {
 public:
  using Stop = std::function<void()>;

  std::uint64_t Add() {
    const std::lock_guard lock(mutex_);
    calls_.emplace(++last_, Call{});
    return last_;
  }
  // True: a Cancel came before it could be stopped, so it is due now.
  bool Started(std::uint64_t handle, Stop stop) {
    const std::lock_guard lock(mutex_);
    const auto it = calls_.find(handle);
    if (it == calls_.end()) return false;  // done already
    it->second.stop = std::move(stop);
    return it->second.cancelled;
  }
  void Cancel(std::uint64_t handle) {
    Stop stop;
    {
      const std::lock_guard lock(mutex_);
      const auto it = calls_.find(handle);
      if (it == calls_.end()) return;
      it->second.cancelled = true;
      stop = it->second.stop;
    }
    if (stop) stop();
  }
  void Remove(std::uint64_t handle) {
    const std::lock_guard lock(mutex_);
    calls_.erase(handle);
  }

 private:
  struct Call {
    Stop stop;
    bool cancelled = false;
  };
  std::mutex mutex_;
  std::uint64_t last_ = 0;
  std::unordered_map<std::uint64_t, Call> calls_;
};

// Why a permit does not fit the call; empty: it does.
std::string_view Mismatch(const core::PermitTerms& terms, const CallSpec& spec, std::int64_t now) {
  if (now >= terms.expires_monotonic_us) return "permit has expired";
  if (terms.call_id.empty() || terms.call_id != spec.call_id) return "permit is for another call";
  if (terms.tool_digest != spec.tool->digest()) return "permit is for another tool";
  // Over the bytes that the tool will read, not over a digest that came along with them.
  if (terms.args_digest != core::Sha256(spec.args.text) || spec.args.digest != terms.args_digest) {
    return "permit is for other arguments";
  }
  if (terms.limits_digest != spec.tool->limits_digest()) return "permit is for other limits";
  return {};
}

class ExecutorImpl final : public Executor {
 public:
  explicit ExecutorImpl(ExecutorOptions options)
      : options_(std::move(options)),
        servers_(std::make_shared<McpSessions>(options_.sessions_max)) {
    INTERLOCK_CHECK(options_.clock != nullptr);
  }
  ~ExecutorImpl() override {
    servers_->OnSessionEnd(nullptr);
    servers_->EndAll();
  }

  std::uint64_t Run(core::Permit permit, CallSpec spec, Done done) override {
    INTERLOCK_CHECK(spec.tool != nullptr && done != nullptr);
    return Begin(permit.terms(), std::move(spec), std::move(done));
  }

  std::uint64_t Lookup(core::LookupPermit permit, CallSpec spec, Done done) override {
    INTERLOCK_CHECK(spec.tool != nullptr && done != nullptr);
    if (spec.tool->manifest().effect != Effect::kRead) {
      done(NotStarted("PERMIT", "a look-up may only run a tool of effect read"));
      return 0;
    }
    return Begin(permit.terms(), std::move(spec), std::move(done));
  }

  std::string_view LevelFor(const Tool& tool) const override {
    if (!tool.manifest().process || options_.launcher == nullptr) return Executor::LevelFor(tool);
    return sandbox::LevelName(options_.launcher->capabilities().level);
  }

  void Cancel(std::uint64_t handle) override { calls_->Cancel(handle); }
  void EndRun(std::string_view run) override { servers_->EndRun(run); }
  void OnSessionEnd(const std::function<void(SessionEnd)>& told) override {
    servers_->OnSessionEnd(told);
  }

 private:
  std::uint64_t Begin(const core::PermitTerms& terms, CallSpec spec, Done done) {
    const std::int64_t now = options_.clock->MonotonicMicros();
    if (const std::string_view why = Mismatch(terms, spec, now); !why.empty()) {
      done(NotStarted("PERMIT", why));
      return 0;
    }
    std::int64_t left_ms = spec.tool->manifest().limits.wall_ms;
    if (spec.deadline_monotonic_us != 0) {
      left_ms = std::min(left_ms, (spec.deadline_monotonic_us - now) / 1000);
    }
    if (left_ms < 1) {
      done(NotStarted("DEADLINE", "the call's deadline has passed"));
      return 0;
    }
    if (spec.tool->manifest().http) return RunHttp(spec, left_ms, std::move(done));
    if (!spec.tool->manifest().process) return RunBuiltin(spec, done);
    return RunBox(std::move(spec), left_ms, std::move(done));
  }

  std::uint64_t RunBuiltin(const CallSpec& spec, const Done& done) {
    const auto it = options_.builtins.find(spec.tool->manifest().builtin);
    if (it == options_.builtins.end()) {
      done(NotStarted("REFUSED",
                      "no builtin `" + spec.tool->manifest().builtin + "` is compiled in"));
      return 0;
    }
    done(OutcomeOfBuiltin(*spec.tool, Guarded(it->second, spec)));
    return 0;
  }

  // A border: a builtin may use libraries that throw.
  static Outcome Guarded(const Builtin& builtin, const CallSpec& spec) {
    try {
      return builtin(spec);
    } catch (const std::exception& error) {
      Outcome outcome;
      const bool reads = spec.tool->manifest().effect == Effect::kRead;
      outcome.kind = reads ? OutcomeKind::kFailed : OutcomeKind::kUnknown;
      outcome.error_code = reads ? "TOOL_ERROR" : "LOST";
      outcome.error = error.what();
      return outcome;
    }
  }

  std::uint64_t RunHttp(const CallSpec& spec, std::int64_t wall_ms, Done done) {
    if (options_.fetcher == nullptr) {
      done(NotStarted("REFUSED", "http tools are refused: there is no fetcher"));
      return 0;
    }
    if (spec.tool->manifest().mcp) return RunRemote(spec, wall_ms, done);
    auto call = MakeHttpCall(spec, wall_ms);
    if (!call.ok()) {
      done(NotStarted("REFUSED", core::Message(call.status())));
      return 0;
    }
    const std::uint64_t handle = calls_->Add();
    auto follow = std::make_shared<Follow>(
        *options_.fetcher, std::move(call->request), std::move(call->origins),
        [calls = calls_, handle, tool = spec.tool, done = std::move(done)](Followed followed) {
          calls->Remove(handle);
          done(OutcomeOfHttp(*tool, std::move(followed)));
        });
    if (calls_->Started(handle, [weak = std::weak_ptr(follow)] {
          if (const auto running = weak.lock()) running->Cancel();
        })) {
      follow->Cancel();
    }
    follow->Start();
    return handle;
  }

  std::uint64_t RunBox(CallSpec spec, std::int64_t wall_ms, Done done) {
    if (options_.launcher == nullptr) {
      done(NotStarted("REFUSED", "process tools are refused: there is no sandbox launcher"));
      return 0;
    }
    auto box = MakeBox(spec, wall_ms);
    if (!box.ok()) {
      done(NotStarted("REFUSED", core::Message(box.status())));
      return 0;
    }
    auto artifacts = ArtifactsOf(spec);
    if (!artifacts.ok()) {
      done(NotStarted("REFUSED", core::Message(artifacts.status())));
      return 0;
    }
    if (spec.tool->manifest().mcp) {
      const auto make = [launcher = options_.launcher, &box] {
        return McpBoxLink::Make(*launcher, *std::move(box));
      };
      return RunMcp(std::move(spec), make, wall_ms, done);
    }
    if (*artifacts) done = Collecting(**std::move(artifacts), std::move(done));
    const std::uint64_t handle = calls_->Add();
    const std::uint64_t running = options_.launcher->Run(
        *std::move(box), [calls = calls_, handle, tool = spec.tool,
                          done = std::move(done)](sandbox::BoxResult result) {
          calls->Remove(handle);
          done(OutcomeOfBox(*tool, std::move(result)));
        });
    const auto stop = [launcher = options_.launcher, running] { launcher->Cancel(running); };
    if (calls_->Started(handle, stop)) stop();
    return handle;
  }

  std::uint64_t RunRemote(const CallSpec& spec, std::int64_t wall_ms, const Done& done) {
    auto request = MakeMcpRequest(spec);
    if (!request.ok()) {
      done(NotStarted("REFUSED", core::Message(request.status())));
      return 0;
    }
    const auto make = [this, &request]() -> core::StatusOr<std::shared_ptr<McpLink>> {
      return std::make_shared<McpHttpLink>(*options_.fetcher, *std::move(request));
    };
    return RunMcp(spec, make, wall_ms, done);
  }

  std::uint64_t RunMcp(CallSpec spec, const McpSessions::MakeLink& make, std::int64_t wall_ms,
                       const Done& done) {
    const std::uint64_t handle = calls_->Add();
    const std::uint64_t running = servers_->Call(std::move(spec), make, wall_ms,
                                                 [calls = calls_, handle, done](Outcome outcome) {
                                                   calls->Remove(handle);
                                                   done(std::move(outcome));
                                                 });
    // Not their owner: `done` drops this on the servers' own thread, which must not be their end.
    const auto stop = [weak = std::weak_ptr(servers_), running] {
      if (const auto servers = weak.lock()) servers->Cancel(running);
    };
    if (calls_->Started(handle, stop)) stop();
    return handle;
  }

  // What is collected is final: the whole tree of the program is dead by then.
  Done Collecting(ArtifactSpec artifacts, Done done) {
    auto wanted = std::make_shared<const ArtifactSpec>(std::move(artifacts));
    return [collector = collector_, wanted, done = std::move(done)](Outcome outcome) {
      if (!outcome.sandboxed || outcome.box.kind == sandbox::EndKind::kLost)
        return done(std::move(outcome));
      collector->Post([wanted, done, outcome = std::move(outcome)]() mutable {
        auto found = sandbox::CollectArtifacts(wanted->folder, wanted->files, wanted->limits);
        if (found.ok()) {
          outcome.artifacts = *std::move(found);
        } else {
          outcome.artifacts.skipped.push_back(
              {wanted->folder, std::string(core::Message(found.status()))});
        }
        done(std::move(outcome));
      });
    };
  }

  const ExecutorOptions options_;
  std::shared_ptr<ArtifactCollector> collector_ = std::make_shared<ArtifactCollector>();
  const std::shared_ptr<McpSessions> servers_;
  std::shared_ptr<RunningCalls> calls_ = std::make_shared<RunningCalls>();
};

}  // namespace

std::string_view Executor::LevelFor(const Tool& tool) const {
  if (tool.manifest().http) return "http";
  return tool.manifest().builtin.empty() ? "" : "builtin";
}

std::unique_ptr<Executor> MakeExecutor(ExecutorOptions options) {
  return std::make_unique<ExecutorImpl>(std::move(options));
}

}  // namespace interlock::tools
