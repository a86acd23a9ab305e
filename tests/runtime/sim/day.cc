#include "day.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "engine/replay.h"
#include "fixture.h"
#include "flows.h"
#include "runtime/projectors.h"
#include "told.h"

namespace interlock::runtime::sim {
namespace {

constexpr auto kPause = std::chrono::microseconds(200);
constexpr int kPausesMax = 15;  // what moves without an entry is seen after as many
constexpr int kQuietLooks = 2;  // after which what hangs answers
constexpr int kStillLooks = 6;  // after which nothing moves: a cancelled run may wait for a person
// A phase that takes both has failed; one of a machine that has other things to do takes the first.
constexpr auto kPatience = std::chrono::seconds(20);
constexpr std::clock_t kPatienceCpuSeconds = 4;
constexpr std::int64_t kMinuteUs = 60'000'000;
constexpr int kPage = 10'000;

class Patience {
 public:
  bool IsOver() const {
    return std::chrono::steady_clock::now() > until_ &&
           std::clock() - cpu_before_ > kPatienceCpuSeconds * CLOCKS_PER_SEC;
  }

 private:
  const std::chrono::steady_clock::time_point until_ = std::chrono::steady_clock::now() + kPatience;
  const std::clock_t cpu_before_ = std::clock();
};

AgentFile SecondVersion() {
  auto parsed = ParseAgent("tester@2.yaml",
                           "name: tester\nversion: \"2\"\nplanner: fake\nprompt: be better\n"
                           "tools: [\"*\"]\nlimits: {steps_max: 4, calls_max: 20}\n");
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() ? *parsed : AgentFile{};
}

}  // namespace

Day::Day(std::uint64_t seed)
    : choice_(seed),
      faults_(audit::InstallFaultVfs()),
      harness_(ShopPolicy(choice_), ShopTools(), test::Harness::Begin::kStopped),
      portal_{.tenant = "main", .id = "portal", .roles = {"integrator", "user-relay"}},
      world_(choice_, harness_),
      told_(std::make_shared<Told>()) {
  harness_.limits.retry_pause_us = 500;
  harness_.asked = &world_;
  harness_.agent = test::AgentNamed("tester", "agents: [helper, clerk]\n",
                                    "steps_max: 5, calls_max: 20, tokens_max: 400, runs_max: 4");
  // The one keeps to a part of the tokens that are left above, the other may use them all.
  harness_.others = {
      test::AgentNamed("helper", "agents: [clerk]\n", "steps_max: 8, tokens_max: 150"),
      test::AgentNamed("clerk", "")};
  harness_.versions = {SecondVersion()};
  world_.has_intent = [this](const std::string& call) { return HasIntent(call); };
}

Evidence Day::Live() {
  const int phases = 1 + static_cast<int>(choice_.Of("phases", 3));
  for (int i = 0; i < phases; ++i) Phase(i);
  harness_.Start();
  ReadAnew();
  Settle();
  Evidence evidence;
  evidence.runs = Runs();
  evidence.diverged = Diverged(evidence.runs);
  for (const CallState state : {CallState::kUnknown, CallState::kParked}) {
    for (CallInfo& call : Calls(state)) evidence.waiting.push_back(std::move(call));
  }
  if (auto budgets = harness_.engine().ListBudgets(harness_.operator_one, {.past = true});
      budgets.ok()) {
    evidence.budgets = *std::move(budgets);
  }
  evidence.effects = world_.effects();
  evidence.without_intent = world_.without_intent();
  evidence.hurried = world_.hurried();
  evidence.reads_stopped = world_.reads_stopped();
  evidence.power_cuts = power_cuts_;
  evidence.was_full = full_;
  TakeAnswers(evidence);
  CatchUp();
  evidence.mislabelled = Mislabelled();
  Stop();
  const audit::VerifyReport report = Verify();
  evidence.verdict = report.verdict == audit::Verdict::kIntact ? "intact" : report.reason;
  evidence.on_the_way = on_the_way_;
  return evidence;
}

void Day::TakeAnswers(Evidence& evidence) {
  const std::lock_guard lock(told_->mutex);
  evidence.acknowledged = told_->runs;
  evidence.trespasses = told_->trespasses;
  for (const Sent& sent : sent_) {
    const std::string& id = sent.request_id;
    const std::string name = id.substr(0, 8) + id.substr(9, 4) +
                             harness_.keys().Hmac("request", sent.who->id + "\n" + id);
    if (told_->answers.contains(id)) evidence.answers[name] = told_->answers[id];
    const int nobody = std::max(told_->given_up[id], told_->unheard[id]);
    if (nobody > 0 && nobody == told_->asked[id]) evidence.for_nobody.insert(name);
  }
}

std::vector<std::string> Day::Breaches(const Evidence& evidence) {
  std::vector<std::string> breaches = checker_.Finish(evidence);
  for (std::string& breach : breaches) {
    for (const RunInfo& run : evidence.runs) {
      if (breach.find("run " + run.id) != std::string::npos) breach += Story(run.id);
    }
  }
  return breaches;
}

// ---------------------------------------------------------------- crashes

void Day::Phase(int number) {
  const std::string phase = "phase" + std::to_string(number);
  harness_.clock.Shift(static_cast<std::int64_t>(choice_.Of(phase + "/later", 45)) * kMinuteUs);
  faults_.Arm(audit::Faults::At::kPowerCut, 10 + choice_.Of(phase + "/cut", 400));
  if (harness_.TryStart().ok()) {  // the power may go while it starts
    ReadAnew();
    Submit(phase);
    Work(phase);
    if (choice_.OneIn(3, phase + "/waits")) CheckWaits();
  }
  Stop();
  constexpr audit::Kept kWays[] = {audit::Kept::kNothing, audit::Kept::kEverything,
                                   audit::Kept::kHalf, audit::Kept::kReordered};
  const bool cut = faults_.power_is_off();
  if (cut) {
    ++power_cuts_;
    PowerBack(kWays[choice_.Of(phase + "/kept", std::size(kWays))]);
  }
  faults_.Disarm();
  if (choice_.OneIn(3, phase + "/verify")) VerifyNow();
}

// What a crash or a stop has just left.
void Day::VerifyNow() {
  if (kept_.empty()) return;  // there may be no log yet
  const audit::VerifyReport report = Verify();
  // The newest entries wait for a head, which the next start signs.
  const bool sound =
      report.verdict == audit::Verdict::kIntact || report.verdict == audit::Verdict::kIncomplete;
  if (!sound) on_the_way_.push_back("VERIFIES: before a start: " + report.reason);
}

void Day::PowerBack(audit::Kept kept) {
  for (const auto& [path, bytes] : faults_.FilesAfterPowerCut(kept)) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }
  for (const auto& entry : std::filesystem::directory_iterator(harness_.folder)) {
    if (entry.path().extension() == ".db-shm") std::filesystem::remove(entry.path());
  }
}

// Started calls are waited for: what hangs answers meanwhile.
void Day::Stop() {
  faults_.write_is_full = false;
  world_.Hurry(true);
  harness_.Stop();
  world_.Hurry(false);
  world_.callers().Clear();
}

void Day::Work(const std::string& phase) {
  CancelSome(phase);
  const Patience patience;
  int quiet = 0;
  for (int look = 0; harness_.log().health() != audit::Health::kStopped; ++look) {
    if (patience.IsOver()) {
      return on_the_way_.push_back(
          world_.ReadsForNobody() ? "WAITED: " + phase + ": a tool reads for callers who have left"
                                  : "ENDS: " + phase + " does not come to rest" + WhatMoves());
    }
    const std::uint64_t seen = harness_.log().size();
    CatchUp();
    Operate(phase, look);
    LeaveSome(phase, look);
    full_ = full_ || harness_.log().health() == audit::Health::kNoSpace;
    AnswerApprovals(phase);
    DisturbWaiting(phase);
    Chat(phase, look);
    Interrupt(phase);
    if (IsStill() || quiet >= kQuietLooks) {
      const bool hung = world_.HasHanging();
      const bool still = IsStill() || quiet >= kStillLooks;
      if (!hung && still && harness_.log().size() == seen) return;
      ReleaseAll(phase);
    }
    AwaitGrowth(seen);
    quiet = harness_.log().size() == seen ? quiet + 1 : 0;
    if (++looks_ % 8 == 0) CheckBudgets();
  }
}

bool Day::IsStill() {
  {
    const std::lock_guard lock(told_->mutex);
    if (told_->waits > 0) return false;
  }
  const std::lock_guard lock(read_mutex_);
  return !board_.Moves();
}

std::string Day::WhatMoves() {
  std::string what = ": " + std::to_string(harness_.log().size()) + " entries";
  if (world_.HasHanging()) what += ", something hangs";
  {
    const std::lock_guard lock(told_->mutex);
    if (told_->waits > 0) what += ", " + std::to_string(told_->waits) + " wait for an answer";
  }
  for (const RunInfo& run : Runs()) {
    if (!IsFinal(run.state)) what += ", a run is " + std::string(RunStateName(run.state));
  }
  return what;
}

// Lists cost more than a look at the log's length.
void Day::AwaitGrowth(std::uint64_t size) {
  for (int i = 0; i < kPausesMax && harness_.log().size() == size && !world_.IsLooking(); ++i) {
    std::this_thread::sleep_for(kPause);
  }
}

void Day::Settle() {
  world_.Calm();
  LiftAll();
  const Patience patience;
  int quiet = 0;
  while (!patience.IsOver()) {
    const std::uint64_t seen = harness_.log().size();
    world_.ReleaseAll();
    CatchUp();
    const bool look = IsStill() || quiet >= kQuietLooks;
    if (look && SettleOnce() && IsStill() && harness_.log().size() == seen) return;
    AwaitGrowth(seen);
    quiet = harness_.log().size() == seen ? quiet + 1 : 0;
  }
  on_the_way_.push_back("ENDS: the end does not come to rest" + WhatMoves());
}

bool Day::SettleOnce() {
  const std::vector<CallInfo> unknown = Calls(CallState::kUnknown);
  ResolveUnknown(unknown);
  const std::vector<ApprovalInfo> pending = Pending();
  for (const ApprovalInfo& approval : pending) {
    const bool grant = choice_.OneIn(2, "settle/" + approval.args);
    for (const core::Principal& who : {harness_.manager, harness_.second, kDirector}) {
      Answer(approval, who, grant);
    }
  }
  bool ended = true;
  for (const RunInfo& run : Runs()) {
    ended = ended && IsFinal(run.state);
    if (run.state != RunState::kWaitingForUser) continue;
    const core::Principal& who = run.principal == portal_.id ? portal_ : harness_.integrator;
    harness_.engine().CancelRun(who, run.id, "no answer", "",
                                [](const core::StatusOr<RunInfo>&) {});
  }
  return ended && unknown.empty() && pending.empty();
}

// ---------------------------------------------------------------- what there is

// Of a power cut the log may have lost its end, which nobody had been told of.
void Day::ReadAnew() {
  const std::lock_guard lock(read_mutex_);
  if (!kept_.empty()) {
    const auto newest = harness_.log().Read(kept_.size() - 1);
    if (newest.ok() && newest->leaf_hash == kept_.back().leaf_hash) return;
  }
  kept_.clear();
  board_.Clear();
  for (const std::string& breach : checker_.breaches()) on_the_way_.push_back(breach);
  checker_ = Checker();
}

void Day::CatchUp() {
  const std::lock_guard lock(read_mutex_);
  while (kept_.size() < harness_.log().size()) {
    const auto page = harness_.log().ReadRange(kept_.size(), kPage);
    if (!page.ok() || page->entries.empty()) return;
    for (const audit::Entry& entry : page->entries) {
      board_.Read(entry);
      checker_.Read(entry);
      kept_.push_back(entry);
    }
  }
}

bool Day::HasIntent(const std::string& call) {
  CatchUp();
  const std::lock_guard lock(read_mutex_);
  return checker_.HasIntent(call);
}

// Only what was read while nothing was written can be compared. Tables show a batch a moment before
// the log counts it.
void Day::CheckBudgets() {
  const std::uint64_t size = harness_.log().size();
  const auto budgets = harness_.engine().ListBudgets(harness_.operator_one, {.past = true});
  const auto told = std::make_shared<std::promise<void>>();
  std::future<void> behind_writer = told->get_future();
  harness_.log().Submit(std::make_unique<audit::TestCommand>(
                            [](audit::Transaction&) {
                              return core::Error(core::StatusCode::kAborted, "nothing to add");
                            },
                            [told](const core::Status&) { told->set_value(); }),
                        audit::Urgency::kOutcome);
  behind_writer.wait();
  CatchUp();
  const std::lock_guard lock(read_mutex_);
  if (budgets.ok() && kept_.size() == size && harness_.log().size() == size) {
    static_cast<void>(checker_.Budgets(*budgets));
  }
}

void Day::CheckWaits() {
  if (harness_.log().health() != audit::Health::kOk || !IsStill()) return;
  const std::uint64_t size = harness_.log().size();
  const std::vector<RunInfo> runs = Runs();
  const std::vector<CallInfo> unknown = Calls(CallState::kUnknown);
  CatchUp();
  const std::lock_guard lock(read_mutex_);
  if (kept_.size() == size && harness_.log().size() == size && !board_.Moves()) {
    checker_.Waits(Checker::When::kOnTheWay, runs, unknown);
  }
}

std::vector<RunInfo> Day::Runs() {
  auto page =
      harness_.engine().ListRuns(harness_.operator_one, {.size = 1000, .cursor = ""}, std::nullopt);
  return page.ok() ? std::move(page->items) : std::vector<RunInfo>{};
}

std::vector<ApprovalInfo> Day::Pending() {
  auto page = harness_.engine().ListApprovals(harness_.operator_one, {.size = 1000, .cursor = ""},
                                              policies::ApprovalPhase::kPending, "");
  return page.ok() ? std::move(page->items) : std::vector<ApprovalInfo>{};
}

std::vector<CallInfo> Day::Calls(CallState state) {
  auto page =
      harness_.engine().ListCalls(harness_.operator_one, {.size = 1000, .cursor = ""}, state, "");
  return page.ok() ? std::move(page->items) : std::vector<CallInfo>{};
}

// What stands in the log of a run, an entry a line.
std::string Day::Story(const std::string& run) const {
  std::string story;
  for (const audit::Entry& entry : kept_) {
    if (entry.run == run) story += "\n" + entry.bytes;
  }
  return story;
}

// Rule 18. A run costs as much to replay as to live: a third of them, or all when asked for.
std::vector<std::string> Day::Diverged(const std::vector<RunInfo>& runs) {
  const bool all = std::getenv("INTERLOCK_SIM_REPLAY") != nullptr;
  ReplayParts parts;
  parts.tenant = "main";
  parts.log = &harness_.log();
  parts.keys = &harness_.keys();
  parts.registry = harness_.registry();
  parts.bundle = harness_.LoadPolicy(harness_.policy());
  parts.agent_of = [this](const std::string&, const std::string& digest) -> const AgentFile* {
    if (harness_.agent.digest == digest) return &harness_.agent;
    for (const auto* files : {&harness_.others, &harness_.versions}) {
      for (const AgentFile& agent : *files) {
        if (agent.digest == digest) return &agent;
      }
    }
    return nullptr;
  };
  std::vector<std::string> diverged;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (!all && !choice_.OneIn(3, "replay/" + std::to_string(i))) continue;
    const std::string& run = runs[i].id;
    const auto report = ReplayRun(parts, run);
    if (!report.ok()) {
      diverged.push_back("run " + run + ": " + std::string(core::Message(report.status())));
    } else if (!report->passes()) {
      const auto& first = report->first;
      diverged.push_back("run " + run + " at " +
                         (first ? first->kind + ": " + first->why + "\nrecorded " +
                                      first->recorded + "\nrebuilt  " + first->rebuilt
                                : "its root"));
    } else if (!report->left_out.empty()) {
      diverged.push_back("run " + run + " leaves out " + report->left_out.begin()->first);
    }
  }
  return diverged;
}

// All that was written until now.
std::vector<std::string> Day::Mislabelled() {
  Flows flows([this](std::uint64_t index, int slot) -> std::optional<std::string> {
    const auto row = harness_.log().ReadPayload(index, slot);
    if (!row.ok() || row->erased) return std::nullopt;
    auto opened = harness_.keys().Open(row->payload);
    if (!opened.ok()) return std::nullopt;
    return std::move(opened->plaintext);
  });
  for (const audit::Entry& entry : kept_) flows.Read(entry);
  compared_ = flows.seen();
  return flows.breaches();
}

audit::VerifyReport Day::Verify() const {
  audit::VerifyOptions options;
  options.database = harness_.folder + "/audit.db";
  const auto projectors = MakeProjectors();
  for (const auto& projector : projectors) options.projectors.push_back(projector.get());
  return audit::Verify(options);
}

}  // namespace interlock::runtime::sim
