#include "day.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "audit/verify.h"
#include "replays.h"
#include "runtime/projectors.h"

namespace interlock::runtime::sim {
namespace {

constexpr int kRunsAPhase = 3;
constexpr int kCallsAPhase = 3;
constexpr auto kPause = std::chrono::milliseconds(1);
constexpr int kPausesMax = 20;  // what moves without an entry is seen after as many
constexpr auto kPatience = std::chrono::seconds(20);  // a seed that needs it has failed
constexpr std::int64_t kMinuteUs = 60'000'000;

bool MovesByItself(RunState state) {
  return state == RunState::kRunning || state == RunState::kCancelling ||
         state == RunState::kCompensating;
}

}  // namespace

struct Day::Told {
  std::mutex mutex;
  int waits = 0;  // replies that have not come
  std::vector<std::string> runs;

  void Await() {
    const std::lock_guard lock(mutex);
    ++waits;
  }
};

Day::Day(std::uint64_t seed)
    : choice_(seed),
      faults_(audit::InstallFaultVfs()),
      harness_("", ShopTools()),
      world_(choice_, harness_),
      told_(std::make_shared<Told>()) {
  harness_.SetPolicy(ShopPolicy());  // which names the agents
  harness_.asked = &world_;
  harness_.agent = test::AgentNamed("tester", "agents: [helper, clerk]\n",
                                    "steps_max: 5, calls_max: 20, tokens_max: 400, runs_max: 4");
  // The one keeps to a part of the tokens that are left above, the other may use them all.
  harness_.others = {
      test::AgentNamed("helper", "agents: [clerk]\n", "steps_max: 8, tokens_max: 150"),
      test::AgentNamed("clerk", "")};
  world_.has_intent = [this](const std::string& call) {
    const auto page = harness_.log().ReadRange(0, 100'000);
    return page.ok() &&
           std::any_of(page->entries.begin(), page->entries.end(), [&](const audit::Entry& entry) {
             return entry.kind == "call.intended" && entry.bytes.find(call) != std::string::npos;
           });
  };
}

Evidence Day::Live() {
  const int phases = 1 + static_cast<int>(choice_.Of("phases", 3));
  for (int i = 0; i < phases; ++i) Phase(i);
  Settle();
  Evidence evidence;
  evidence.runs = Runs();
  evidence.diverged = Diverged(evidence.runs);
  for (const CallState state : {CallState::kUnknown, CallState::kParked}) {
    for (CallInfo& call : Calls(state)) evidence.waiting.push_back(std::move(call));
  }
  evidence.purse = harness_.Budget("purse");
  auto page = harness_.log().ReadRange(0, 100'000);
  if (page.ok()) evidence.entries = std::move(page->entries);
  evidence.effects = world_.effects();
  evidence.without_intent = world_.without_intent();
  evidence.requester = harness_.integrator.id;
  evidence.power_cuts = power_cuts_;
  {
    const std::lock_guard lock(told_->mutex);
    evidence.acknowledged = told_->runs;
  }
  Stop();
  evidence.verdict = Verdict();
  return evidence;
}

// ---------------------------------------------------------------- crashes

void Day::Phase(int number) {
  const std::string phase = "phase" + std::to_string(number);
  Stop();
  harness_.clock.Shift(static_cast<std::int64_t>(choice_.Of(phase + "/later", 45)) * kMinuteUs);
  faults_.Arm(audit::Faults::At::kPowerCut, 10 + choice_.Of(phase + "/cut", 400));
  if (harness_.TryStart().ok()) {  // the power may go while it starts
    Submit(phase);
    Work(phase);
  }
  Stop();
  constexpr audit::Kept kWays[] = {audit::Kept::kNothing, audit::Kept::kEverything,
                                   audit::Kept::kHalf, audit::Kept::kReordered};
  if (faults_.power_is_off()) {
    ++power_cuts_;
    PowerBack(kWays[choice_.Of(phase + "/kept", std::size(kWays))]);
  }
  faults_.Disarm();
  harness_.Start();
}

void Day::PowerBack(audit::Kept kept) {
  for (const auto& [path, bytes] : faults_.FilesAfterPowerCut(kept)) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }
  for (const auto& entry : std::filesystem::directory_iterator(harness_.folder)) {
    if (entry.path().extension() == ".db-shm") std::filesystem::remove(entry.path());
  }
}

// Lists cost more than a look at the log's length.
void Day::AwaitGrowth(std::uint64_t size) {
  for (int i = 0; i < kPausesMax && harness_.log().size() == size; ++i) {
    std::this_thread::sleep_for(kPause);
  }
}

// Started calls are waited for: what hangs answers meanwhile.
void Day::Stop() {
  std::atomic<bool> stopped{false};
  std::thread release([&] {
    while (!stopped) {
      world_.ReleaseAll();
      std::this_thread::sleep_for(kPause);
    }
  });
  harness_.Stop();
  stopped = true;
  release.join();
}

// ---------------------------------------------------------------- clients

void Day::Create(const std::string& message, const std::string& request_id) {
  CreateRunSpec spec{.agent = "tester",
                     .message = message,
                     .user = "u" + std::to_string(choice_.Of(message + "/user", 2)),
                     .subject = "",
                     .session = core::Json::object(),
                     .request_id = request_id};
  told_->Await();
  harness_.engine().CreateRun(harness_.integrator, std::move(spec),
                              [told = told_](const core::StatusOr<RunInfo>& run) {
                                const std::lock_guard lock(told->mutex);
                                --told->waits;
                                if (run.ok()) told->runs.push_back(run->id);
                              });
}

void Day::Execute(const std::string& about, const std::string& request_id) {
  const std::string id = "o" + std::to_string(choice_.Of(about + "/object", 4));
  const std::string amount = std::to_string(5 + choice_.Of(about + "/amount", 200)) + ".00";
  ToolCallSpec spec{.tool = choice_.OneIn(3, about) ? "mail.send" : "pay.refund",
                    .args = R"({"amount":")" + amount + R"(","id":")" + id + R"("})",
                    .user = "u1",
                    .subject = "",
                    .session = core::Json::object(),
                    .request_id = request_id};
  told_->Await();
  harness_.engine().ExecuteToolCall(harness_.integrator, std::move(spec),
                                    [told = told_](const core::StatusOr<CallInfo>& /*call*/) {
                                      const std::lock_guard lock(told->mutex);
                                      --told->waits;
                                    });
}

// Each request comes twice now and then, as from a client that lost its reply.
void Day::Submit(const std::string& phase) {
  for (int i = 0; i < kRunsAPhase; ++i) {
    const std::string message = phase + "/run" + std::to_string(i);
    const std::string request = harness_.NewRequestId();
    Create(message, request);
    if (choice_.OneIn(3, message + "/twice")) Create(message, request);
  }
  for (int i = 0; i < kCallsAPhase; ++i) {
    const std::string about = phase + "/call" + std::to_string(i);
    const std::string request = harness_.NewRequestId();
    Execute(about, request);
    if (choice_.OneIn(3, about + "/twice")) Execute(about, request);
  }
}

// ---------------------------------------------------------------- people

namespace {

const core::Principal kDirector{.tenant = "main", .id = "dina", .roles = {"approver", "director"}};
const core::Principal kDeputy{.tenant = "main", .id = "li", .roles = {"approver"}};

}  // namespace

void Day::Work(const std::string& phase) {
  CancelSome(phase);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (harness_.log().health() == audit::Health::kOk &&
         std::chrono::steady_clock::now() < deadline) {
    const std::uint64_t seen = harness_.log().size();
    AnswerApprovals(phase);
    DisturbWaiting(phase);
    if (IsStill()) {
      if (!world_.HasHanging()) return;
      world_.ReleaseAll();
    }
    AwaitGrowth(seen);
  }
}

// But for what hangs.
bool Day::IsStill() {
  {
    const std::lock_guard lock(told_->mutex);
    if (told_->waits > 0 && !world_.HasHanging()) return false;
  }
  const std::vector<RunInfo> runs = Runs();
  return world_.HasHanging() || std::none_of(runs.begin(), runs.end(), [](const RunInfo& run) {
           return MovesByItself(run.state);
         });
}

void Day::CancelSome(const std::string& phase) {
  for (const RunInfo& run : Runs()) {
    // Its place among the runs is the same for a seed, its id is not.
    if (IsFinal(run.state) || !choice_.OneIn(5, phase + "/cancel")) continue;
    harness_.engine().CancelRun(harness_.integrator, run.id, "changed my mind", "",
                                [](const core::StatusOr<RunInfo>&) {});
    return;
  }
}

// Clients write to runs that wait for those below them, or do not want them any more; each once.
void Day::DisturbWaiting(const std::string& phase) {
  for (const RunInfo& run : Runs()) {
    if (run.state != RunState::kWaitingForRun || !disturbed_.insert(phase + run.id).second)
      continue;
    const std::string about = phase + "/waits" + std::to_string(disturbed_.size());
    const std::uint64_t way = choice_.Of(about, 6);
    if (way == 0) {
      harness_.engine().CancelRun(harness_.integrator, run.id, "changed my mind", "",
                                  [](const core::StatusOr<RunInfo>&) {});
    } else if (way < 4) {
      harness_.engine().SendMessage(harness_.integrator, run.id, "how far are you?", "",
                                    [](const core::StatusOr<RunInfo>&) {});
    }
  }
}

void Day::Answer(const ApprovalInfo& approval, const core::Principal& who, bool grant) {
  struct Answer answer {
    .approval = approval.state.id, .grant = grant, .etag = approval.etag, .reason = "",
    .on_behalf_of = "", .request_id = ""
  };
  harness_.engine().AnswerApproval(who, answer, [](const core::StatusOr<ApprovalInfo>&) {});
}

// The director, or who stands in for her: also side by side, when one of them alone counts.
void Day::AnswerLater(const ApprovalInfo& approval, const std::string& phase) {
  const std::uint64_t how = choice_.Of(phase + "/later/" + approval.args, 4);
  if (how == 0) return Answer(approval, kDirector, false);
  if (how < 3) {
    const DelegateSpec spec{.approval = approval.state.id,
                            .to = kDeputy.id,
                            .until_us = 0,
                            .reason = "",
                            .request_id = ""};
    harness_.engine().Delegate(kDirector, spec, [](const core::StatusOr<policies::Delegation>&) {});
    Answer(approval, kDeputy, true);
  }
  if (how > 1) Answer(approval, kDirector, true);
}

void Day::AnswerApprovals(const std::string& phase) {
  for (const ApprovalInfo& approval : Pending()) {
    Answer(approval, harness_.integrator, true);  // never his to grant
    AnswerLater(approval, phase);
    switch (choice_.Of(phase + "/answer/" + approval.args, 5)) {
      case 0:
        break;  // nobody is there
      case 1:
        Answer(approval, harness_.manager, false);
        break;
      case 2:  // a race
        Answer(approval, harness_.manager, true);
        Answer(approval, harness_.second, false);
        break;
      default:
        Answer(approval, harness_.manager, true);
    }
  }
}

void Day::ResolveUnknown() {
  for (const CallInfo& call : Calls(CallState::kUnknown)) {
    for (const core::Principal* who : {&harness_.operator_one, &harness_.operator_two}) {
      ResolveSpec spec{.call = call.id,
                       .happened = world_.Happened(call.id),
                       .reason = "looked at the shop",
                       .evidence = "",
                       .request_id = ""};
      harness_.engine().ResolveCall(*who, std::move(spec), [](const core::StatusOr<CallInfo>&) {});
    }
  }
}

// Everybody does his work, and nothing fails any more.
void Day::Settle() {
  world_.Calm();
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < deadline) {
    const std::uint64_t seen = harness_.log().size();
    world_.ReleaseAll();
    ResolveUnknown();
    for (const ApprovalInfo& approval : Pending()) {
      const bool grant = choice_.OneIn(2, "settle/" + approval.args);
      Answer(approval, harness_.manager, grant);
      Answer(approval, kDirector, grant);
    }
    const std::vector<RunInfo> runs = Runs();
    for (const RunInfo& run : runs) {
      if (run.state != RunState::kWaitingForUser) continue;
      harness_.engine().CancelRun(harness_.integrator, run.id, "no answer", "",
                                  [](const core::StatusOr<RunInfo>&) {});
    }
    const bool ended = std::all_of(runs.begin(), runs.end(),
                                   [](const RunInfo& run) { return IsFinal(run.state); });
    if (ended && Calls(CallState::kUnknown).empty() && Pending().empty()) return;
    AwaitGrowth(seen);
  }
}

// ---------------------------------------------------------------- what there is

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
std::string Day::Story(const std::string& run) {
  std::string story;
  const auto page = harness_.log().ReadRange(0, 100'000);
  if (!page.ok()) return story;
  for (const audit::Entry& entry : page->entries) {
    if (entry.run == run) story += "\n" + entry.bytes;
  }
  return story;
}

// Rule 18.
std::vector<std::string> Day::Diverged(const std::vector<RunInfo>& runs) {
  std::vector<const AgentFile*> agents{&harness_.agent};
  for (const AgentFile& other : harness_.others) agents.push_back(&other);
  std::vector<std::string> diverged;
  for (const RunInfo& run : runs) {
    const auto report = test::ReplayOf(harness_, run.id, agents);
    if (!report.ok()) {
      diverged.push_back("run " + run.id + ": " + std::string(core::Message(report.status())));
    } else if (!report->passes()) {
      const auto& first = report->first;
      diverged.push_back("run " + run.id + " at " +
                         (first ? first->kind + ": " + first->why + "\nrecorded " +
                                      first->recorded + "\nrebuilt  " + first->rebuilt
                                : "its root") +
                         "\nof" + Story(run.id));
    }
  }
  return diverged;
}

std::string Day::Verdict() const {
  audit::VerifyOptions options;
  options.database = harness_.folder + "/audit.db";
  const auto projectors = MakeProjectors();
  for (const auto& projector : projectors) options.projectors.push_back(projector.get());
  const audit::VerifyReport report = audit::Verify(options);
  return report.verdict == audit::Verdict::kIntact ? "intact" : report.reason;
}

}  // namespace interlock::runtime::sim
