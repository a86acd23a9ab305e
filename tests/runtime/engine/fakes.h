// What stands in for the tools and the planner of an engine under test.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/permit.h"
#include "runtime/planner.h"
#include "tools/executor.h"

namespace interlock::runtime::test {

inline constexpr std::chrono::seconds kReplyPatience{20};  // a test that needs it has failed

// Tools as functions. Checks what a permit promises and remembers every run.
class FakeTools final : public tools::Executor {
 public:
  using Done = std::function<void(tools::Outcome)>;
  using Handler = std::function<void(const tools::CallSpec&, Done)>;

  void On(const std::string& tool, Handler handler);
  // Answers at once with this result.
  void Answers(const std::string& tool, core::Json result);
  void Fails(const std::string& tool, const std::string& code);
  // Keeps every call of `tool` waiting until Release.
  void Holds(const std::string& tool);
  void Release(const std::string& tool, const tools::Outcome& outcome);
  void WaitUntilHeld(const std::string& tool, std::size_t calls);

  std::uint64_t Run(core::Permit permit, tools::CallSpec spec, Done done) override;
  std::uint64_t Lookup(core::LookupPermit permit, tools::CallSpec spec, Done done) override;
  void Cancel(std::uint64_t handle) override;
  std::string_view LevelFor(const tools::Tool&) const override { return level; }
  void EndRun(std::string_view run) override;
  void OnSessionEnd(const std::function<void(tools::SessionEnd)>& told) override;

  // As if an MCP server had ended.
  void EndSession(tools::SessionEnd end);
  std::vector<std::string> ended_runs() const;
  int runs(const std::string& tool) const;  // effects, not look-ups
  int lookups(const std::string& tool) const;
  std::vector<std::uint64_t> cancelled() const;
  std::vector<std::string> cancelled_tools() const;
  void WaitUntilCancelled(std::size_t calls);
  std::string_view level = "builtin";  // where all of them run
  // Called before an effect starts, on the engine's thread.
  std::function<void(const core::PermitTerms&)> before_run;
  // Called by Cancel, on any thread.
  std::function<void(const std::string& tool, const std::string& call)> told_to_stop;

 private:
  struct Begun {
    std::string tool;
    std::string call;
  };

  void Start(const tools::CallSpec& spec, Done done);
  // Its handle.
  std::uint64_t Note(const tools::CallSpec& spec, std::map<std::string, int>& counts);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Handler> handlers_;
  std::map<std::string, std::vector<Done>> held_;
  std::map<std::string, int> runs_;
  std::map<std::string, int> lookups_;
  std::vector<std::uint64_t> cancelled_;
  std::map<std::uint64_t, Begun> begun_;  // by handle
  std::vector<std::string> ended_runs_;
  std::function<void(tools::SessionEnd)> told_;
  std::uint64_t next_ = 1;
};

tools::Outcome OkOutcome(core::Json result);
tools::Outcome FailedOutcome(const std::string& code);
tools::Outcome UnknownOutcome();

// Requests of a fake planner that wait for Cancel, or for what they are told. Thread-safe.
class HeldRequests {
 public:
  using Done = std::function<void(core::StatusOr<Plan>)>;

  std::uint64_t Hold(Done done);
  // Ends it as cancelled; false: it is not held.
  bool Cancel(std::uint64_t handle);
  void Say(const Plan& plan);  // to all of them
  void WaitFor(std::size_t requests);
  int cancelled() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t next_ = 1;
  std::map<std::uint64_t, Done> held_;
  int cancelled_ = 0;
};

// Of a tool that left a file, and a link that was not taken.
tools::Outcome OutcomeWithFiles();

// Plans are taken from a list by step; `seen` are the requests.
class FakePlanner final : public Planner {
 public:
  std::uint64_t Propose(PlanRequest request,
                        std::function<void(core::StatusOr<Plan>)> done) override;
  policies::ModelUse Bound(const PlanRequest&) const override {
    if (before_asked) before_asked();
    return bound;
  }
  policies::ModelUse bound;                // of every request
  std::optional<policies::ModelUse> lost;  // of every request; nullopt: it says nothing of that
  // Of a request that is held: it ends as cancelled.
  void Cancel(std::uint64_t handle) override { held_.Cancel(handle); }
  void ForgetReplies() override { ++forgotten; }
  // From now on requests wait for Cancel.
  void Holds();
  void WaitUntilHeld() { held_.WaitFor(1); }
  // Those that wait get this reply, and nothing waits any more.
  void GoesOn(const Plan& reply);

  static Plan Calls(std::vector<ProposedCall> calls);
  static Plan Answer(std::string text);
  static Plan Ask(std::string text);

  std::vector<core::StatusOr<Plan>> plans;  // beyond the end: an answer
  std::vector<Spent> spent;                 // by replies before each of these; beyond: none
  std::atomic<int> forgotten = 0;
  std::function<void()> before_asked;  // of a request that budgets bound; on the engine's thread
  std::function<void()> before_reply;  // on the engine's thread
  std::vector<PlanRequest> seen() const;

 private:
  mutable std::mutex mutex_;
  bool holds_ = false;
  HeldRequests held_;
  std::vector<PlanRequest> seen_;
};

}  // namespace interlock::runtime::test
