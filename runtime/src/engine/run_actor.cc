#include "engine/run_actor.h"

#include <algorithm>
#include <chrono>

#include "engine/answers.h"
#include "engine/lineage.h"
#include "engine/open_approvals.h"
#include "engine/plan_budgets.h"
#include "engine/run_entries.h"
#include "engine/run_state.h"
#include "engine/step_compensation.h"

namespace interlock::runtime {
RunActor::RunActor(Hub& hub, std::string run)
    : hub_(hub),
      run_(std::move(run)),
      worker_(hub.WorkerOf(run_)),
      timer_(hub.timers->executor()) {}

// ---------------------------------------------------------------- events

void RunActor::Accept(const Event& event, std::int64_t seq) {
  if (!loaded_ && !gone_) Load();
  if (loaded_ && seq > loaded_seq_) {
    const auto* message = std::get_if<event::Message>(&event);
    if (message != nullptr) ReadInto(reads_, *message);
    Handle(event);
  }
  stays_ = false;
  LeaveWaitToAsk();
  MaybeLeave();
}

// Not while anything of it is under way: what comes of that may be what it waits for next.
void RunActor::LeaveWaitToAsk() {
  const bool waits = loaded_ && !gone_ && !stalled_ && !stays_ && in_flight_ == 0;
  if (waits && core_.state == RunState::kWaitingForSwitch && !IsStopped()) Spawn(LeaveSwitch());
  if (waits && core_.state == RunState::kWaitingForPlanner && planner_ != nullptr) {
    Spawn(Leave(RunState::kWaitingForPlanner, "its planner is configured"));
  }
}

void RunActor::GoOnWith(const std::string& call, std::function<void()> passed) {
  passed_[call].push_back(std::move(passed));
  Accept(event::CallGranted{call}, Hub::kAlways);
  if (!resuming_.contains(call)) TellPassed(call);
}

void RunActor::LookForEnds() {
  if (!loaded_ && !gone_) Load();
  if (loaded_ && !gone_ && !stalled_) LookAtRuns();
  MaybeLeave();
}

void RunActor::ReadBack() {
  if (!gone_) Stall();
  MaybeLeave();
}

void RunActor::TellPassed(const std::string& call) {
  for (const auto& passed : std::exchange(passed_[call], {})) passed();
  passed_.erase(call);
}

void RunActor::Load() {
  auto recorded = hub_.ReadBack(run_);
  const auto key =
      recorded.ok() ? hub_.parts.keys->KeyFor(recorded->base.subject)
                    : core::StatusOr<std::shared_ptr<const audit::SubjectKey>>(recorded.status());
  if (!key.ok()) {
    // Content that was erased, of a run that has ended, or a damaged payload. Anything else may
    // pass.
    if (IsLost(key.status())) return EndAsLost(key.status());
    Stall();
    gone_ = true;
    return;
  }
  loaded_ = true;
  loaded_seq_ = recorded->last_seq;
  charged_ = recorded->charged;
  core_ = std::move(recorded->core);
  log_says_why_ = FailureIsSaid(core_);
  base_ = std::move(recorded->base);
  sealer_ = hub_.SealerFor(*key);
  reads_ = std::move(recorded->reads);
  results_ = recorded->results;
  agent_ = hub_.PinnedAgent(base_.agent, recorded->agent_digest);
  planner_ = agent_ == nullptr ? nullptr : hub_.PlannerOf(*agent_);
  GoOn(std::move(recorded->calls));
}

void RunActor::GoOn(std::vector<RecordedCall> calls) {
  ++in_flight_;  // what begins here may stall at once, and must not leave before the rest
  ArmTimer();
  std::vector<RecordedCall> unsettled;
  for (RecordedCall& call : calls) {
    const bool known = !call.outcome.empty() && call.outcome != "unknown";
    if (known && !call.released) {
      Rejudge(call);
    }
    const bool parked = call.verdict == "ask" && call.attempt == 0;
    if (parked) open_approvals_[call.id.call] = call.approvals;
    if (call.attempt > 0 && !known && call.starts.empty()) {
      Step(core_, event::CallRunning{.call = call.id.call});
      unsettled.push_back(std::move(call));
    }
  }
  LookAtRuns();
  Resume();
  // Last: one may be settled at once, and what comes of it must find the run at work already.
  for (RecordedCall& call : unsettled) {
    if (!stalled_) Spawn(SettleCall(std::move(call)));
  }
  --in_flight_;
}

void RunActor::Resume() {
  const bool plans = core_.state != RunState::kCompensating;
  if (plans && agent_ == nullptr) return Handle(event::PlanFailed{kAgentGone, kAgentGoneReason});
  if (WaitsToAsk()) {  // until Leave
    unasked_ = core_.planning;
    return;
  }
  for (const std::string& call : GrantedCalls()) Handle(event::CallGranted{call});
  Handle(event::Resume{});
}

// An outcome that no plan has read yet: what it may show was said to nobody, and is asked anew.
void RunActor::Rejudge(const RecordedCall& call) {
  auto ticket = hub_.TicketOf(call, AgentOf(call));
  if (!ticket.ok()) return Stall();
  Ticket& judged = **ticket;
  judged.reads = &reads_;
  judged.facts = FactsFromJson(call.facts);
  judged.untrusted_then = call.untrusted_then;
  judged.outcome_kind = call.outcome;
  judged.outcome.result = call.result;
  judged.outcome.error_code = call.error_code;
  judged.outcome.error = call.error;
  hub_.gate.JudgeResult(worker_, judged);
  if (call.outcome.starts_with("resolved_")) return;  // in our own words, read as they are
  Step(core_, event::CallReleased{call.id.call, judged.observation});
  KeepForRelease(judged);
}

// Parked calls whose approvals are all given, or that an edit has freed: just before a crash,
// perhaps.
std::vector<std::string> RunActor::GrantedCalls() const {
  std::vector<std::string> parked;
  for (const CallSlot& slot : core_.slots) {
    if (slot.phase == SlotPhase::kParked) parked.push_back(slot.call);
  }
  for (const Compensation& compensation : core_.compensations) {
    if (compensation.phase == SlotPhase::kParked) parked.push_back(compensation.call);
  }
  std::vector<std::string> granted;
  for (const std::string& call : parked) {
    const auto approvals = hub_.ApprovalsOfCall(call);
    if (!approvals.ok()) continue;
    bool any = false;
    bool pending = false;
    for (const ApprovalRow& row : *approvals) {
      any = any || row.phase == policies::ApprovalPhase::kGranted;
      pending = pending || row.phase == policies::ApprovalPhase::kPending;
    }
    const auto row = hub_.CallRowOf(call);
    const bool freed = row.ok() && IsFreedByEdit(*row, *approvals);
    if (freed || (any && !pending)) granted.push_back(call);
  }
  return granted;
}

void RunActor::Handle(const Event& event) {
  if (gone_ || stalled_) return;
  for (const Effect& effect : Step(core_, event)) {
    std::visit([this](const auto& e) { Perform(e); }, effect);
  }
  // The core takes its reply to be on its way.
  if (unasked_ && !WaitsToAsk()) Stall(Back::kAtOnce);
}

bool RunActor::WaitsToAsk() const {
  return core_.state == RunState::kWaitingForSwitch || core_.state == RunState::kWaitingForPlanner;
}

void RunActor::Spawn(asio::awaitable<void> work) {
  ++in_flight_;
  auto self = shared_from_this();
  // The actor must outlive the coroutine, and leave only when nothing of it runs.
  auto run = [](std::shared_ptr<RunActor> actor,
                asio::awaitable<void> inner) -> asio::awaitable<void> {
    co_await std::move(inner);
    --actor->in_flight_;
    actor->LeaveWaitToAsk();
    actor->MaybeLeave();
  };
  hub_.Spawn(worker_, run(std::move(self), std::move(work)));
}

void RunActor::Stall(Back back) {
  if (stalled_) return;
  stalled_ = true;
  if (back == Back::kLater) return hub_.NoteStalled(run_);
  hub_.NoteNews(run_, agent_ == nullptr ? std::nullopt : std::optional(timer_.expiry()));
}

void RunActor::MaybeLeave() {
  if (in_flight_ > 0) return;
  const bool idle = gone_ || stalled_ || IsFinal(core_.state) || IsWaiting(core_.state) ||
                    CompensationWaits(core_);
  if (!idle || !hub_.Evict(run_, this)) return;
  gone_ = true;
  timer_.cancel();
  if (IsFinal(core_.state)) hub_.parts.executor->EndRun(run_);
}

void RunActor::ArmTimer() {
  if (agent_ == nullptr) return;
  const std::int64_t left_ms = core_.wall_left_ms < 0 ? core_.limits.wall_ms : core_.wall_left_ms;
  if (const auto ends = hub_.EndOf(run_)) {
    timer_.expires_at(*ends);
  } else {
    timer_.expires_after(std::chrono::milliseconds(left_ms));
  }
  timer_.async_wait([weak = weak_from_this(), &io = worker_.io](asio::error_code error) {
    if (error) return;
    asio::post(io, [weak] {
      if (const auto self = weak.lock()) self->TimeIsUp();
    });
  });
}

void RunActor::TimeIsUp() {
  if (gone_) return;
  if (planner_handle_ != 0) planner_->Cancel(planner_handle_);
  if (!IsEnding(core_.state)) CancelWhatMayBe();
  Handle(event::TimeUp{});
  MaybeLeave();
}

// ---------------------------------------------------------------- effects

void RunActor::Perform(const effect::RequestPlan&) { Spawn(RequestPlan()); }
void RunActor::Perform(const effect::AskPlannerAgain&) { Spawn(AskPlannerAgain()); }
void RunActor::Perform(const effect::StartCalls&) {
  if (starting_calls_) return;  // the loop finds them
  starting_calls_ = true;
  Spawn(StartCalls(nullptr));
}
void RunActor::Perform(const effect::ResumeCall& resume) {
  resuming_.insert(resume.call);
  Spawn(ResumeCall(resume.call));
}

void RunActor::Perform(const effect::Park& park) {
  Spawn(WriteUnlessNews(TakeChecks(), RunState::kWaitingForApproval, StillWaits(park)));
}

void RunActor::Perform(const effect::WaitForPerson& wait) {
  Spawn(WriteUnlessNews(TakeChecks(), RunState::kWaitingForPerson, StillWaits(wait)));
}

void RunActor::Perform(const effect::WaitForUser& wait) {
  std::vector<Draft> drafts = TakeChecks();
  drafts.push_back(DraftWaitForUser(run_, *sealer_, wait.text, WallLeftMs()));
  Spawn(SayToUser(std::move(drafts), StillWaitsBesides()));
}

// Something of it is open still: an answer that came meanwhile would otherwise find nobody. What
// was answered meanwhile is not waited for.
RunActor::Still RunActor::StillWaits(const effect::Park&) const {
  return [this, asked = open_approvals_, left_ms = WallLeftMs()](State& state,
                                                                 std::vector<Draft>& drafts) {
    const ParkedFor parked = WhatParks(state, asked);
    drafts.push_back(DraftParked(run_, *sealer_, parked.approvals, left_ms));
    return parked.pending;
  };
}

RunActor::Still RunActor::StillWaits(const effect::WaitForPerson&) const {
  std::vector<std::string> unknown;
  for (const CallSlot& slot : core_.slots) {
    if (slot.phase == SlotPhase::kPerson) unknown.push_back(slot.call);
  }
  return [this, unknown, left_ms = WallLeftMs()](State& state, std::vector<Draft>& drafts) {
    const bool open = std::any_of(unknown.begin(), unknown.end(), [&](const std::string& call) {
      const CallRow* row = state.FindCall(call);
      return row != nullptr && row->state == CallState::kUnknown;
    });
    drafts.push_back(DraftWaitForPerson(run_, left_ms));
    return open;
  };
}

// What was said while calls are open is followed by what the run waits for, in one durable step:
// nobody is to take it for a question.
RunActor::Still RunActor::StillWaitsBesides() const {
  Still besides;
  if (Any(core_, SlotPhase::kPerson)) {
    besides = StillWaits(effect::WaitForPerson{});
  } else if (Any(core_, SlotPhase::kParked)) {
    besides = StillWaits(effect::Park{});
  } else if (Any(core_, SlotPhase::kRun)) {
    besides = StillWaits(effect::WaitForRun{});
  }
  return [besides](State& state, std::vector<Draft>& drafts) {
    if (besides) besides(state, drafts);
    return true;  // it is said also where somebody was faster than this; the core hears of that
  };
}

// The core hears that it waits for more, and writes what does not stand there already.
asio::awaitable<void> RunActor::SayToUser(std::vector<Draft> drafts, Still still) {
  co_await WriteUnlessNews(std::move(drafts), RunState::kWaitingForUser, std::move(still));
  if (core_.state == RunState::kWaitingForUser) Handle(event::Resume{});
}

void RunActor::Perform(const effect::BeginCancel&) {
  if (planner_handle_ != 0) planner_->Cancel(planner_handle_);
  Perform(effect::StopRuns{});
  CancelWhatMayBe();
}

// Rule 11: started calls go on, but for reads and those whose manifest says `cancel: safe`.
void RunActor::CancelWhatMayBe() {
  for (const auto& [call, live] : live_) {
    const tools::Manifest& manifest = live->ticket->tool->manifest();
    const bool may =
        manifest.effect == tools::Effect::kRead || manifest.cancel == tools::CancelMeaning::kSafe;
    const std::uint64_t handle = live->handle.load();
    if (may && handle != 0) hub_.parts.executor->Cancel(handle);
  }
}

void RunActor::Perform(const effect::Finish& finish) {
  open_approvals_.clear();
  const bool well = finish.state == RunState::kCompleted || finish.state == RunState::kEscalated;
  const bool failed = finish.state == RunState::kFailed;
  const Unless unless = well ? Unless::kNews : failed ? FailsUnless(finish.code) : Unless::kNothing;
  std::vector<Draft> drafts = TakeChecks();
  drafts.push_back(DraftFinish(run_, *sealer_, finish));
  Spawn(WriteEnd(std::move(drafts), unless));
}

// What is still open is seen in the serial section: somebody may be answering right now.
asio::awaitable<void> RunActor::WriteEnd(std::vector<Draft> drafts, Unless unless) {
  bool news = false;
  const Read read = ReadSoFar();
  const std::int64_t left_ms = WallLeftMs();
  core::Status status = co_await hub_.journal.Commit(
      [this, &drafts, &news, &read, unless, left_ms](Serial& serial) -> core::Status {
        const bool ends_well = unless == Unless::kNews;
        news = ends_well ? HasNews(serial, read) : Prevents(serial, unless, read);
        if (ends_well && !news) {
          INTERLOCK_ASSIGN_OR_RETURN(news, WaitIfStopped(serial, left_ms));
        }
        if (news) return core::OkStatus();
        INTERLOCK_RETURN_IF_ERROR(VoidOpenApprovals(serial, run_, "run ended"));
        if (charged_) INTERLOCK_RETURN_IF_ERROR(SettlePlan(serial, run_, {}));
        for (Draft& draft : drafts) INTERLOCK_RETURN_IF_ERROR(serial.Append(draft).status());
        return core::OkStatus();
      });
  if (!status.ok()) co_return Stall();
  if (news) co_return Stall(Back::kAtOnce);
  if (base_.lineage != nullptr) hub_.TellEnd(base_.lineage->parent);
}

bool RunActor::HasNews(Serial& serial, const Read& read) const {
  State& state = serial.state();
  const RunRow* row = state.FindRun(run_);
  if (row == nullptr || IsEnding(row->state) || row->messages != read.messages) return true;
  return std::any_of(read.open.begin(), read.open.end(), [&state](const auto& one) {
    const CallRow* call = state.FindCall(one.first);
    return call == nullptr || call->state != one.second ||
           call->edited_index > call->decided_index;  // it goes through the gate anew
  });
}

RunActor::Read RunActor::ReadSoFar() const {
  Read read{.messages = core_.user_messages, .open = {}};
  for (const CallSlot& slot : core_.slots) {
    if (slot.phase == SlotPhase::kParked) read.open.emplace_back(slot.call, CallState::kParked);
    if (slot.phase == SlotPhase::kPerson) read.open.emplace_back(slot.call, CallState::kUnknown);
  }
  return read;
}

RunActor::Unless RunActor::FailsUnless(std::string_view code) const {
  return checks_.empty() && code != kContextLimit ? Unless::kCancel : Unless::kMessage;
}

bool RunActor::Prevents(Serial& serial, Unless unless, const Read& read) const {
  if (unless == Unless::kNothing) return false;
  const RunRow* row = serial.state().FindRun(run_);
  const bool written = row != nullptr && row->messages != read.messages;
  return IsCancelling(serial) || (unless == Unless::kMessage && written);
}

bool RunActor::IsCancelling(Serial& serial) const {
  const RunRow* row = serial.state().FindRun(run_);
  return row != nullptr && row->state == RunState::kCancelling;
}

asio::awaitable<void> RunActor::Write(std::vector<Draft> drafts, Journal::Body then) {
  core::Status status = co_await hub_.journal.Commit([&drafts, &then](Serial& serial) {
    for (Draft& draft : drafts) INTERLOCK_RETURN_IF_ERROR(serial.Append(draft).status());
    return then(serial);
  });
  if (!status.ok()) Stall();
}

// Says that the run waits, unless the log knows better by now: a message that the core has not
// read, a cancel, or nothing left of what it waits for. Then nothing is said, and the run is read
// back from the log. What it says already (the core hears of an answer later than the journal) is
// not said twice.
asio::awaitable<void> RunActor::WriteUnlessNews(std::vector<Draft> drafts, RunState as,
                                                Still still) {
  bool news = false;
  const Read read = ReadSoFar();
  const std::int64_t left_ms = WallLeftMs();
  core::Status status = co_await hub_.journal.Commit(
      [this, &drafts, &still, &news, &read, as, left_ms](Serial& serial) -> core::Status {
        news = HasNews(serial, read) || !still(serial.state(), drafts);
        if (as == RunState::kWaitingForUser && !news) {  // what a stopped agent does not say
          INTERLOCK_ASSIGN_OR_RETURN(news, WaitIfStopped(serial, left_ms));
        }
        if (news || serial.state().FindRun(run_)->state == as) return core::OkStatus();
        for (Draft& draft : drafts) INTERLOCK_RETURN_IF_ERROR(serial.Append(draft).status());
        return core::OkStatus();
      });
  if (!status.ok()) co_return Stall();
  if (news) Stall(Back::kAtOnce);
}

}  // namespace interlock::runtime
