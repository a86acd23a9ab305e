// A harness with several agents, each with a planner's lines of its own.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "core/json.h"
#include "replays.h"
#include "rules.h"

namespace interlock::runtime::test {

// Plans are taken from a list by agent and step; beyond its end an agent answers "done".
class Cast final : public Planner {
 public:
  std::uint64_t Propose(PlanRequest request,
                        std::function<void(core::StatusOr<Plan>)> done) override {
    core::StatusOr<Plan> plan = FakePlanner::Answer("done");
    {
      const std::lock_guard lock(mutex_);
      const auto& lines = plans[request.agent];
      const auto step = static_cast<std::size_t>(request.step);
      if (step < lines.size()) plan = lines[step];
      const std::string agent = request.agent;
      seen_[agent].push_back(std::move(request));
      if (held_agent_ == agent) return held_.Hold(std::move(done));
    }
    done(std::move(plan));
    return 1;
  }
  policies::ModelUse Bound(const PlanRequest&) const override { return bound; }
  void Cancel(std::uint64_t handle) override { held_.Cancel(handle); }

  // From now on requests of this agent wait, for Cancel or for Say; empty: of none.
  void Holds(const std::string& agent) {
    const std::lock_guard lock(mutex_);
    held_agent_ = agent;
  }
  void WaitUntilHeld(std::size_t requests = 1) { held_.WaitFor(requests); }
  void Say(const Plan& plan) {
    Holds("");
    held_.Say(plan);
  }

  std::vector<PlanRequest> SeenBy(const std::string& agent) const {
    const std::lock_guard lock(mutex_);
    const auto at = seen_.find(agent);
    return at == seen_.end() ? std::vector<PlanRequest>{} : at->second;
  }
  int cancelled() const { return held_.cancelled(); }

  std::map<std::string, std::vector<core::StatusOr<Plan>>> plans;
  policies::ModelUse bound;

 private:
  mutable std::mutex mutex_;
  std::string held_agent_;
  HeldRequests held_;
  std::map<std::string, std::vector<PlanRequest>> seen_;
};

// `tester` calls `helper`, which calls `clerk`.
class Company {
 public:
  Company(const std::string& policy, const std::vector<ToolSpec>& tools,
          const std::string& tester_limits = "steps_max: 8")
      : h(AllowAll(), tools) {
    h.SetPolicy(policy);  // which may name the agents
    h.agent = AgentNamed("tester", "agents: [helper]\n", tester_limits);
    h.others = {AgentNamed("helper", "agents: [clerk]\n"), AgentNamed("clerk", "")};
    h.asked = &cast;
    h.Restart();
  }

  std::string Create(const std::string& message = "help") {
    const auto run = h.CreateRun(message);
    EXPECT_TRUE(run.ok()) << run.status();
    return run.ok() ? run->id : "";
  }

  // Runs that calls of this one started, oldest first.
  std::vector<RunInfo> Below(const std::string& run) {
    auto page = h.engine().ListRuns(h.operator_one, {}, std::nullopt);
    EXPECT_TRUE(page.ok()) << page.status();
    std::vector<RunInfo> runs;
    for (RunInfo& info : page->items) {
      if (info.parent == run) runs.insert(runs.begin(), std::move(info));
    }
    return runs;
  }
  // The first of them, once there is one.
  std::string Started(const std::string& run) {
    h.WaitFor(run, [&](const RunInfo&) { return !Below(run).empty(); });
    const std::vector<RunInfo> below = Below(run);
    return below.empty() ? "" : below.front().id;
  }

  std::vector<const AgentFile*> agents() const {
    std::vector<const AgentFile*> all{&h.agent};
    for (const AgentFile& other : h.others) all.push_back(&other);
    return all;
  }

  // The bodies of entries of this kind, of a run or with "" of all.
  std::vector<core::Json> Bodies(const std::string& run, std::string_view kind) {
    std::vector<core::Json> bodies;
    for (const audit::Entry& entry : h.Entries(run)) {
      if (entry.kind != kind) continue;
      const auto json = core::ParseJson(entry.bytes, core::kPayloadLimits);
      if (json.ok()) bodies.push_back((*json)["body"]);
    }
    return bodies;
  }

  // What the newest plan of this agent was made of, last message first.
  std::string LastRead(const std::string& agent) const {
    const auto seen = cast.SeenBy(agent);
    return seen.empty() || seen.back().messages.empty() ? "" : seen.back().messages.back().text;
  }

  Cast cast;  // outlives the engine
  Harness h;
};

inline Plan Asks(const std::string& agent, const std::string& message,
                 const std::string& id = "c1") {
  return FakePlanner::Calls({{id, "agent." + agent, core::CanonicalJson({{"message", message}})}});
}
inline Plan CallsTool(const std::string& tool, const std::string& args = "{}",
                      const std::string& id = "t1") {
  return FakePlanner::Calls({{id, tool, args}});
}

inline Plan WithTokens(Plan plan, std::int64_t tokens) {
  plan.prompt_tokens = tokens;
  return plan;
}

inline std::string CodeOf(Company& company, const std::string& run, const std::string& tool) {
  for (const CallInfo& call : company.h.CallsOf(run)) {
    if (call.tool == tool) return call.code;
  }
  ADD_FAILURE() << "no call of " << tool;
  return "";
}

// A run that waits for `helper`, whose planner is held.
struct Held {
  std::string run;
  std::string helper;
};
inline Held HoldHelper(Company& company) {
  company.cast.plans["tester"] = {Asks("helper", "look"), FakePlanner::Answer("all ok")};
  company.cast.Holds("helper");
  Held held{.run = company.Create(), .helper = ""};
  company.cast.WaitUntilHeld();
  company.h.WaitForState(held.run, RunState::kWaitingForRun);
  held.helper = company.Below(held.run).front().id;
  return held;
}

// One that waits for `helper`, which waits for `clerk`, whose planner is held.
struct HeldDeep {
  std::string run;
  std::string helper;
  std::string clerk;
};
inline HeldDeep HoldClerk(Company& company) {
  company.cast.plans["tester"] = {Asks("helper", "look"), FakePlanner::Answer("all ok")};
  company.cast.plans["helper"] = {Asks("clerk", "look it up"), FakePlanner::Answer("found it")};
  company.cast.Holds("clerk");
  HeldDeep held{.run = company.Create(), .helper = "", .clerk = ""};
  company.cast.WaitUntilHeld();
  company.h.WaitForState(held.run, RunState::kWaitingForRun);
  held.helper = company.Below(held.run).front().id;
  company.h.WaitForState(held.helper, RunState::kWaitingForRun);
  held.clerk = company.Below(held.helper).front().id;
  return held;
}

// What one books, another cancels.
inline std::vector<ToolSpec> TripTools() {
  ToolSpec book = WriteTool("flight.book");
  book.failure = tools::FailureMeaning::kNoEffect;
  book.compensate = "flight.cancel";
  ToolSpec cancel = WriteTool("flight.cancel");
  cancel.failure = tools::FailureMeaning::kNoEffect;
  return {book, cancel};
}

}  // namespace interlock::runtime::test
