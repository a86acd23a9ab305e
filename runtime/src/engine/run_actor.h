// One run in memory: feeds events to the core and performs its effects. Lives on one worker; leaves
// memory when it only waits.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/compensation_call.h"
#include "engine/hub.h"
#include "engine/step.h"

namespace interlock::runtime {

struct PlanReply;
struct PlanRequestedFields;

class RunActor : public std::enable_shared_from_this<RunActor> {
 public:
  RunActor(Hub& hub, std::string run);

  const std::string& run() const { return run_; }
  Worker& worker() { return worker_; }
  // Under the hub's lock: events on their way here.
  int queued = 0;

  // --- the rest on the worker's thread only
  // Takes an event that stands in the log with this run_seq (-1: only wakes the run). The first one
  // reads the run back from the log and goes on with what was open; what was read then is not taken
  // twice.
  void Accept(const Event& event, std::int64_t seq);
  // Hub::GoOnWith.
  void GoOnWith(const std::string& call, std::function<void()> passed);
  // Hub::TellEnd.
  void LookForEnds();
  // Something that it asked for was not written: it leaves, and goes on as the log stands then.
  void ReadBack();

 private:
  void Load();
  // --- of a run that cannot be read any more (run_actor_lost.cc)
  void EndAsLost(const core::Status& why);
  asio::awaitable<void> WriteLost(RunRow row, std::string why);
  void GoOn(std::vector<RecordedCall> calls);
  void Resume();
  std::vector<std::string> GrantedCalls() const;
  void Handle(const Event& event);
  bool WaitsToAsk() const;  // until a kill switch is lifted, or its planner is there

  struct LiveCall {
    std::unique_ptr<Ticket> ticket;
    std::atomic<std::uint64_t> handle{0};
  };

  // What people may have changed since: messages, and calls that wait for somebody.
  struct Read {
    std::int64_t messages = 0;
    std::vector<std::pair<std::string, CallState>> open;  // by call
  };

  // What a request to the planner is made of.
  struct Heard {
    struct Call {
      SlotPhase phase = SlotPhase::kProposed;
      std::string edit{};
      bool operator==(const Call&) const = default;
    };
    std::size_t messages = 0;
    std::vector<Call> calls{};
    bool operator==(const Heard&) const = default;
  };

  // A result that the planner reads with its next plan.
  struct Unreleased {
    CallIdentity id;
    Release release;
    core::Json shown;
    bool succeeded = false;
    std::string from{};  // of a part: whose result it is a part of
  };

  void CancelWhatMayBe();  // of the calls that it started

  void Perform(const effect::RequestPlan&);
  void Perform(const effect::AskPlannerAgain&);
  void Perform(const effect::StartCalls&);
  void Perform(const effect::ResumeCall& resume);
  void Perform(const effect::CheckAnswer& check);
  void Perform(const effect::Park&);
  void Perform(const effect::WaitForUser& wait);
  void Perform(const effect::WaitForPerson&);
  void Perform(const effect::WaitForRun&);
  void Perform(const effect::StopRuns&);
  void Perform(const effect::BeginCancel& cancel);
  void Perform(const effect::BeginCompensation& begin);
  void Perform(const effect::Compensate& compensate);
  void Perform(const effect::Finish& finish);

  // --- one durable step for what follows at once from what came before it (run_actor_steps.cc)
  // The outcome of a call that is over, of which the log does not know yet.
  struct Ended {
    std::shared_ptr<LiveCall> live;
    Draft outcome;
  };
  // A plan that the core has taken and the log has not.
  struct HeldPlan {
    Draft received;
    Read read;
    bool durable = false;
  };
  bool TakesCallsAtOnce(const Plan& plan) const;
  asio::awaitable<void> TakeCalls(event::PlanReceived reply, Draft received);
  void HoldBefore(Ticket& ticket, HeldPlan& held);
  bool AsksNext(const Ticket& ticket) const;
  asio::awaitable<void> RecordAndAsk(std::shared_ptr<LiveCall> live);
  asio::awaitable<void> EndCall(const core::Status& recorded, Ended& ended);

  asio::awaitable<void> RequestPlan();
  // Its planner is not configured: a start that has it goes on (ADR 81).
  asio::awaitable<void> WaitForPlanner();
  // `ended`: recorded in the same durable step; null: nothing.
  asio::awaitable<void> RequestPlanWith(Ended* ended);
  asio::awaitable<void> AskPlanner();
  asio::awaitable<void> TakeReply(const PlanReply& reply, core::StatusOr<Plan>& plan,
                                  Draft& received);
  // Records the request with what it holds, or that it is refused, and asks.
  asio::awaitable<void> AskIfCovered(std::vector<Draft> drafts, const PlanRequestedFields& fields,
                                     Ended* ended);
  asio::awaitable<void> AskPlannerAgain();
  // `held`: what the first of them takes along.
  asio::awaitable<void> StartCalls(HeldPlan* held);
  asio::awaitable<void> RunCall(std::shared_ptr<LiveCall> live);
  asio::awaitable<void> ResumeCall(std::string call);
  asio::awaitable<void> PassAgain(const std::string& call);
  asio::awaitable<void> PassGate(std::shared_ptr<LiveCall> live);
  void TellPassed(const std::string& call);
  asio::awaitable<void> SettleCall(RecordedCall call);
  // --- runs that it started (run_actor_runs.cc)
  // Takes the ends of those that have ended.
  void LookAtRuns();
  asio::awaitable<void> TakeEnd(std::string call);
  void HearEnd(Ticket& ticket);
  struct EndedRun {
    RunEnd end;  // without its run and state
    std::string text;
    bool erased = false;
  };
  core::StatusOr<EndedRun> EndOf(const RunRow& row) const;
  core::StatusOr<std::unique_ptr<Ticket>> TicketOfEnd(const std::string& call);
  void GiveLimits(Ticket& ticket) const;
  std::int64_t WallLeftMs() const;  // at least 1; -1: nobody counts
  bool IsOver() const;              // it ends, whatever its planner would say
  asio::awaitable<void> BeginCompensation(effect::BeginCompensation begin);
  asio::awaitable<void> PassCompensation(std::shared_ptr<LiveCall> live);
  // `then` goes on in the same durable step.
  asio::awaitable<void> Write(std::vector<Draft> drafts, Journal::Body then);
  // Of a run that a kill switch stops, not the drafts are written but that it waits; of one that
  // somebody has cancelled or written to meanwhile, nothing.
  // What has ended is written whatever else is.
  asio::awaitable<void> WriteUnlessStopped(std::vector<Draft> drafts, Journal::Body then,
                                           Ended* ended = nullptr);
  // What the next request may use at most; nullopt: no budget in force asks.
  std::optional<policies::ModelUse> MostOfRequest();
  // Writer thread: whether there is something to wait for; may add to what is written.
  using Still = std::function<bool(State&, std::vector<Draft>&)>;
  asio::awaitable<void> WriteUnlessNews(std::vector<Draft> drafts, RunState as, Still still);
  Still StillWaits(const effect::Park&) const;
  Still StillWaits(const effect::WaitForPerson&) const;
  Still StillWaits(const effect::WaitForRun&) const;
  Still StillWaitsBesides() const;
  asio::awaitable<void> SayToUser(std::vector<Draft> drafts, Still still);
  // kMessage: somebody has cancelled it, or written to it.
  enum class Unless { kNothing, kCancel, kMessage, kNews };
  asio::awaitable<void> WriteEnd(std::vector<Draft> drafts, Unless unless);
  asio::awaitable<void> WriteThatItFails(std::vector<Draft> drafts);
  Read ReadSoFar() const;
  Heard HeardSoFar() const;
  // Calls that the core believes at work, but for `but`.
  std::vector<std::string> AtWork(const Ended* but) const;
  // Writer thread: whether the log knows what the core has not read: a message, a cancel, what
  // somebody said of a call.
  bool HasNews(Serial& serial, const Read& read) const;
  // Writer thread: whether somebody has cancelled the run: it then does not end as failed.
  bool IsCancelling(Serial& serial) const;
  // Why a run fails may rest on what was said to it so far: how long that is, or how often its
  // planner was told to say something else.
  Unless FailsUnless(std::string_view code) const;
  // Writer thread: what keeps a run from ending as failed.
  bool Prevents(Serial& serial, Unless unless, const Read& read) const;
  // --- kill switches (run_actor_switches.cc)
  bool IsStopped() const;
  // Writer thread: true when a kill switch stops the run; then the log says that it waits for it.
  core::StatusOr<bool> WaitIfStopped(Serial& serial, std::int64_t left_ms) const;
  // A run that waits to ask its planner goes on where nothing is in its way any more.
  void LeaveWaitToAsk();
  asio::awaitable<void> LeaveSwitch();
  // The run goes on, unless it waits for something else by now, or is stopped.
  asio::awaitable<void> Leave(RunState waits, std::string_view why);
  // Writer thread: whether one of them has, which the core hears of later than the log.
  static bool HasEnded(Serial& serial, const std::vector<std::string>& calls);

  void Spawn(asio::awaitable<void> work);
  std::unique_ptr<Ticket> NewTicket(const CallSlot& slot);
  core::StatusOr<RecordedCall> RecordedAs(const std::string& of);
  core::StatusOr<std::unique_ptr<Ticket>> NewCompensation(const std::string& of);
  // As whose call it goes through the gate: what the engine proposes is bound by no agent's list.
  const AgentFile* AgentOf(const RecordedCall& call) const {
    return call.id.compensates.empty() ? agent_ : nullptr;
  }
  void Rejudge(const RecordedCall& call);
  void KeepForRelease(Ticket& ticket);
  void AfterPass(std::shared_ptr<LiveCall> live);
  // It leaves, and is read back: when the log is well again, or at once where that is well and
  // tells more than the core has read.
  enum class Back { kLater, kAtOnce };
  void Stall(Back back = Back::kLater);
  void MaybeLeave();
  void ArmTimer();
  void TimeIsUp();
  PlanRequest MakePlanRequest();
  std::vector<Draft> TakeChecks() { return std::exchange(checks_, {}); }
  std::vector<Draft> TakeReleases(std::vector<std::string>& shown);

  Hub& hub_;
  std::string run_;
  Worker& worker_;
  RunCore core_;
  Provenance reads_;  // what the planner has read
  ResultsAs results_ = ResultsAs::kText;
  CallIdentity base_;
  const AgentFile* agent_ = nullptr;
  Planner* planner_ = nullptr;
  std::optional<Sealer> sealer_;
  std::map<std::string, std::shared_ptr<LiveCall>> live_;
  std::map<std::string, std::vector<std::string>> open_approvals_;    // by call
  std::map<std::string, std::vector<std::function<void()>>> passed_;  // by call: who waits for it
  std::set<std::string> resuming_;                                    // calls
  Places lending_{1};  // what is left of its limits moves for one at a time: see PassGate
  std::vector<Unreleased> unreleased_;
  CallsOfEnded below_;         // that are taken back
  std::vector<Draft> checks_;  // of answers, to be recorded with what comes of them
  std::uint64_t planner_handle_ = 0;
  bool charged_ = false;      // model budgets hold something for the open request
  asio::steady_timer timer_;  // one of hub_.timers; used on the worker
  std::int64_t loaded_seq_ = -1;
  int in_flight_ = 0;
  bool loaded_ = false;
  bool unasked_ = false;  // a request that stands in the log is not made while it waits to ask
  bool request_waits_ = false;  // for a model budget: what it releases is read, and not in the log
  bool stays_ = false;          // it could not leave what it waits for, until it hears of more
  bool starting_calls_ = false;
  bool log_says_why_ = false;  // it fails, while those are stopped that it started
  bool stalled_ = false;
  bool gone_ = false;
};

}  // namespace interlock::runtime
