#include "fakes.h"

#include <gtest/gtest.h>

namespace interlock::runtime::test {

// ---------------------------------------------------------------- tools

void FakeTools::On(const std::string& tool, Handler handler) {
  const std::lock_guard lock(mutex_);
  handlers_[tool] = std::move(handler);
}

void FakeTools::Answers(const std::string& tool, core::Json result) {
  On(tool, [result = std::move(result)](const tools::CallSpec&, const Done& done) {
    done(OkOutcome(result));
  });
}

void FakeTools::Fails(const std::string& tool, const std::string& code) {
  On(tool, [code](const tools::CallSpec&, const Done& done) { done(FailedOutcome(code)); });
}

void FakeTools::Holds(const std::string& tool) {
  On(tool, [this, tool](const tools::CallSpec&, Done done) {
    const std::lock_guard lock(mutex_);
    held_[tool].push_back(std::move(done));
    changed_.notify_all();
  });
}

void FakeTools::WaitUntilHeld(const std::string& tool, std::size_t calls) {
  std::unique_lock lock(mutex_);
  ASSERT_TRUE(changed_.wait_for(lock, kReplyPatience, [&] { return held_[tool].size() >= calls; }));
}

void FakeTools::Release(const std::string& tool, const tools::Outcome& outcome) {
  std::vector<Done> held;
  {
    const std::lock_guard lock(mutex_);
    held.swap(held_[tool]);
  }
  for (const Done& done : held) done(outcome);
}

void FakeTools::Start(const tools::CallSpec& spec, Done done) {
  Handler handler;
  {
    const std::lock_guard lock(mutex_);
    const auto at = handlers_.find(spec.tool->manifest().name);
    if (at != handlers_.end()) handler = at->second;
  }
  if (!handler) return done(FailedOutcome("NO_HANDLER"));
  handler(spec, std::move(done));
}

std::uint64_t FakeTools::Run(core::Permit permit, tools::CallSpec spec, Done done) {
  const core::PermitTerms& terms = permit.terms();
  EXPECT_EQ(terms.call_id, spec.call_id);
  EXPECT_EQ(terms.tool_digest, spec.tool->digest());
  EXPECT_EQ(terms.args_digest, spec.args.digest);
  EXPECT_EQ(terms.limits_digest, spec.tool->limits_digest());
  if (before_run) before_run(terms);
  const std::uint64_t handle = Note(spec, runs_);
  Start(spec, std::move(done));
  return handle;
}

std::uint64_t FakeTools::Lookup(core::LookupPermit, tools::CallSpec spec, Done done) {
  EXPECT_EQ(spec.tool->manifest().effect, tools::Effect::kRead);
  const std::uint64_t handle = Note(spec, lookups_);
  Start(spec, std::move(done));
  return handle;
}

std::uint64_t FakeTools::Note(const tools::CallSpec& spec, std::map<std::string, int>& counts) {
  const std::lock_guard lock(mutex_);
  ++counts[spec.tool->manifest().name];
  begun_[next_] = {spec.tool->manifest().name, spec.call_id};
  return next_++;
}

void FakeTools::Cancel(std::uint64_t handle) {
  Begun begun;
  {
    const std::lock_guard lock(mutex_);
    cancelled_.push_back(handle);
    if (const auto at = begun_.find(handle); at != begun_.end()) begun = at->second;
    changed_.notify_all();
  }
  if (told_to_stop) told_to_stop(begun.tool, begun.call);
}

void FakeTools::EndRun(std::string_view run) {
  const std::lock_guard lock(mutex_);
  ended_runs_.emplace_back(run);
}

void FakeTools::OnSessionEnd(const std::function<void(tools::SessionEnd)>& told) {
  const std::lock_guard lock(mutex_);
  told_ = told;
}

void FakeTools::EndSession(tools::SessionEnd end) {
  const std::lock_guard lock(mutex_);
  if (told_) told_(std::move(end));
}

std::vector<std::string> FakeTools::ended_runs() const {
  const std::lock_guard lock(mutex_);
  return ended_runs_;
}

int FakeTools::runs(const std::string& tool) const {
  const std::lock_guard lock(mutex_);
  const auto at = runs_.find(tool);
  return at == runs_.end() ? 0 : at->second;
}

int FakeTools::lookups(const std::string& tool) const {
  const std::lock_guard lock(mutex_);
  const auto at = lookups_.find(tool);
  return at == lookups_.end() ? 0 : at->second;
}

std::vector<std::uint64_t> FakeTools::cancelled() const {
  const std::lock_guard lock(mutex_);
  return cancelled_;
}

std::vector<std::string> FakeTools::cancelled_tools() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const std::uint64_t handle : cancelled_) names.push_back(begun_.at(handle).tool);
  return names;
}

void FakeTools::WaitUntilCancelled(std::size_t calls) {
  std::unique_lock lock(mutex_);
  ASSERT_TRUE(changed_.wait_for(lock, kReplyPatience, [&] { return cancelled_.size() >= calls; }));
}

tools::Outcome OutcomeWithFiles() {
  tools::Outcome outcome = OkOutcome({{"ok", true}});
  const std::string bytes("pdf\0bytes", 9);
  outcome.artifacts.taken.push_back(
      {.path = "report.pdf", .bytes = bytes, .digest = core::Sha256(bytes)});
  outcome.artifacts.skipped.push_back({.path = "link", .why = "Too many levels"});
  return outcome;
}

tools::Outcome OkOutcome(core::Json result) {
  tools::Outcome outcome;
  outcome.kind = tools::OutcomeKind::kOk;
  if (result.is_object() && result.contains("amount")) {
    const auto money = core::ParseMoney(result.value("amount", ""), result.value("currency", ""));
    if (money.ok()) outcome.reported = *money;
  }
  outcome.result = std::move(result);
  return outcome;
}

tools::Outcome FailedOutcome(const std::string& code) {
  tools::Outcome outcome;
  outcome.kind = tools::OutcomeKind::kFailed;
  outcome.error_code = code;
  outcome.error = "failed on purpose";
  outcome.reported_failure = true;
  return outcome;
}

tools::Outcome UnknownOutcome() {
  tools::Outcome outcome;
  outcome.kind = tools::OutcomeKind::kUnknown;
  outcome.error_code = "LOST";
  outcome.error = "nobody saw the end";
  return outcome;
}

// ---------------------------------------------------------------- planner

std::uint64_t HeldRequests::Hold(Done done) {
  const std::lock_guard lock(mutex_);
  held_[++next_] = std::move(done);
  changed_.notify_all();
  return next_;
}

bool HeldRequests::Cancel(std::uint64_t handle) {
  Done done;
  {
    const std::lock_guard lock(mutex_);
    const auto at = held_.find(handle);
    if (at == held_.end()) return false;
    done = std::move(at->second);
    held_.erase(at);
    ++cancelled_;
  }
  done(core::Error(core::StatusCode::kCancelled, "cancelled"));
  return true;
}

void HeldRequests::Say(const Plan& plan) {
  std::map<std::uint64_t, Done> held;
  {
    const std::lock_guard lock(mutex_);
    held.swap(held_);
  }
  for (const auto& [handle, done] : held) done(plan);
}

void HeldRequests::WaitFor(std::size_t requests) {
  std::unique_lock lock(mutex_);
  ASSERT_TRUE(changed_.wait_for(lock, kReplyPatience, [&] { return held_.size() >= requests; }));
}

int HeldRequests::cancelled() const {
  const std::lock_guard lock(mutex_);
  return cancelled_;
}

std::uint64_t FakePlanner::Propose(PlanRequest request,
                                   std::function<void(core::StatusOr<Plan>)> done) {
  core::StatusOr<Plan> plan = Answer("done");
  {
    const std::lock_guard lock(mutex_);
    const auto step = static_cast<std::size_t>(request.step);
    if (step < plans.size()) plan = plans[step];
    if (request.lost) *request.lost = lost;
    if (request.spent && step < spent.size()) Add(spent[step], *request.spent);
    seen_.push_back(std::move(request));
    if (holds_) return held_.Hold(std::move(done));
  }
  if (before_reply) before_reply();
  done(std::move(plan));
  return 1;
}

void FakePlanner::Holds() {
  const std::lock_guard lock(mutex_);
  holds_ = true;
}

void FakePlanner::GoesOn(const Plan& reply) {
  {
    const std::lock_guard lock(mutex_);
    holds_ = false;
  }
  held_.Say(reply);
}

std::vector<PlanRequest> FakePlanner::seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

Plan FakePlanner::Calls(std::vector<ProposedCall> calls) {
  Plan plan;
  plan.finish = Finish::kCalls;
  plan.calls = std::move(calls);
  return plan;
}

Plan FakePlanner::Answer(std::string text) {
  Plan plan;
  plan.text = std::move(text);
  return plan;
}

Plan FakePlanner::Ask(std::string text) {
  Plan plan;
  plan.finish = Finish::kAsk;
  plan.text = std::move(text);
  return plan;
}

}  // namespace interlock::runtime::test
