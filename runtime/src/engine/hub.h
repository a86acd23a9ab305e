// What the engine's parts share: services, workers and the runs in memory.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "engine/archives.h"
#include "engine/gate.h"
#include "engine/history.h"
#include "engine/journal.h"
#include "engine/outputs.h"
#include "engine/planner_texts.h"
#include "engine/step.h"
#include "engine/unanswered.h"
#include "runtime/make_engine.h"

namespace interlock::runtime {

class RunActor;

// The version of an agent that a new run is given.
struct AgentChoice {
  const AgentFile* agent = nullptr;  // null: there is no such agent
  std::string rollout;               // RolloutJson; empty: no roll-out had a part in it
  std::string etag;                  // of the roll-out that was asked; empty: there was none
};

// Thread-safe. Owned by the engine; outlives actors and coroutines.
class Hub {
 public:
  explicit Hub(EngineParts parts);
  ~Hub();  // Stop, then the workers end
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  core::Status Start();
  // No new work; waits (bounded) until started calls have their outcomes; then the workers end.
  void Stop();

  // Gives a run an event that stands in the log with this run_seq (kAlways: taken twice it does no
  // harm); a run that is not in memory is read back from the log.
  static constexpr std::int64_t kAlways = std::numeric_limits<std::int64_t>::max();
  void Post(const std::string& run, Event event, std::int64_t seq);
  // Tells it that a parked call may go on; `passed` is called when that has been through the gate,
  // or will not before a restart.
  void GoOnWith(const std::string& run, const std::string& call,
                const std::function<void()>& passed);
  // Tells it that a run which it started has ended.
  void TellEnd(const std::string& parent);
  // Cancels a run for the one that started it and is ending. Of one that is ending, nothing.
  void StopRun(const std::string& run, const std::string& parent);
  void KeepAgentTool(Ticket& ticket, const RecordedCall& call) const;
  // A run that `ticket`, a call of an agent, may start (GateParts::new_run).
  core::StatusOr<std::shared_ptr<RunStart>> NewRun(Worker& worker, const Ticket& ticket);
  // Brings a run into memory so that it goes on by itself.
  void Wake(const std::string& run) { Post(run, event::Resume{}, -1); }
  // From the actor, when it has nothing to do. False: an event came in between, it must stay.
  bool Evict(const std::string& run, const RunActor* actor);
  // The log did not take an entry: the run is read back when the log is well again.
  void NoteStalled(const std::string& run) { NoteStalled(run, Stalled::Kind::kRun, false); }
  // The log tells more than the run in memory has read: it is read back when it has left, at once
  // the first time. Its time goes on meanwhile: the log says what was left when it waited last.
  using Moment = asio::steady_timer::time_point;
  void NoteNews(const std::string& run, std::optional<Moment> ends);
  // When the time of a run is up that is read back at once; nullopt: as the log says.
  std::optional<Moment> EndOf(const std::string& run);
  // Something that the run needs could not be read, which may pass: it will stall. True: it did
  // so often enough.
  bool GivesUpReading(const std::string& run);
  // What the run waits for has changed, and no entry says so.
  void NoteWaits(const std::string& run) const {
    if (waits_changed) waits_changed(run);
  }
  // As NoteStalled, of a call without a run.
  void NoteStalledCall(const std::string& call) { NoteStalled(call, Stalled::Kind::kCall, false); }

  Worker& WorkerOf(const std::string& id);
  // Counts a coroutine while it runs, so that Stop can wait.
  void Spawn(Worker& worker, asio::awaitable<void> work);

  // NAME.yaml; null: there is none.
  const AgentFile* FindAgent(const std::string& name) const;
  // NAME@VERSION.yaml.
  // The very file that it was set for; null when this daemon does not have it.
  const AgentFile* FindRolledOut(const RolloutInfo& rollout) const;
  const AgentFile* FindVersion(const std::string& name, const std::string& version) const;
  // For a new run about `subject`. Another roll-out may come into force before the run's first
  // entry: IsStale says so, in the serial section.
  AgentChoice ChooseAgent(const std::string& name, const std::string& subject) const;
  static bool IsStale(const AgentChoice& choice, const State& state);
  // What its planner is shown, in the order of names.
  std::vector<std::shared_ptr<const tools::Tool>> ToolsOf(const AgentFile& agent) const;
  // The agent file a run is pinned to; null when this daemon does not have it any more.
  const AgentFile* PinnedAgent(const std::string& name, const std::string& digest) const;
  // A run as its entries tell it. Errors: as History::Run.
  core::StatusOr<RecordedRun> ReadBack(const std::string& run) const;
  // --- planners (hub_planners.cc)
  Planner* PlannerOf(const AgentFile& agent) const;  // null: it is not configured
  // Lines for the operator: open runs whose planner is not. Reads the tables.
  std::vector<std::string> Unplanned() const;
  Sealer SealerFor(std::shared_ptr<const audit::SubjectKey> key) {
    return {*parts.keys, std::move(key)};
  }

  bool stopping() const { return stopping_.load(); }
  std::string NewId() { return core::NewUuidV7(*parts.clock, *parts.random); }

  // Rows by key: from memory, else from the tables.
  core::StatusOr<RunRow> RunRowOf(const std::string& run) const;
  core::StatusOr<CallRow> CallRowOf(const std::string& call) const;
  core::StatusOr<ApprovalRow> ApprovalRowOf(const std::string& id) const;
  core::StatusOr<std::vector<ApprovalRow>> ApprovalsOfCall(const std::string& call) const;
  // Who told the run what to do, as those have it: Gate::TellersOf looks in the serial section.
  // Nobody where there is no run.
  std::vector<std::string> TellersOf(const std::string& run) const;

  // A ticket that goes on with a recorded call; of one that was started, without a tool when that
  // is not the one that was intended any more.
  core::StatusOr<std::unique_ptr<Ticket>> TicketOf(const RecordedCall& call,
                                                   const AgentFile* agent);
  // A call without a run whose arguments were edited asks for its approvals anew; what the policy
  // allows outright stays parked until its caller comes back (rule 12).
  asio::awaitable<core::Status> AskAnew(CallRow row);
  // Rule 27: an operator vouches for the clock (kFailedPrecondition when it is not in doubt).
  core::StatusOr<audit::EntryRef> ConfirmClock(const std::string& actor, const std::string& reason);
  // After a kill switch was lifted: runs that waited for it go on, and what it kept from being
  // settled or taken back is.
  void WakeStopped();
  // After one was set or lifted: who watches runs that take back what they did is told. Gives
  // those. Reads the tables; none when they cannot be read.
  std::set<std::string> TellCompensating() const;
  // Runs `body` serially and waits until it is durable. Not on the writer thread.
  core::Status CommitNow(Journal::Body body);
  // Approvals of a call that are granted, with their bindings; `complete` when none is pending and
  // it may go through the gate again. `outdated`: those granted for what the tool was before.
  struct Grants {
    std::vector<GrantedApproval> granted;
    std::vector<std::string> outdated;
    bool complete = false;
    bool freed = false;  // by an edit: see IsFreedByEdit
  };
  core::StatusOr<Grants> GrantsOf(const RecordedCall& call) const;
  // Who a run is for: principal, roles, user, subject, agent, session (from run.started).
  core::StatusOr<CallIdentity> ContextOf(const RunRow& row) const;
  // The entries that tell of a call: where History::Call looks.
  static std::vector<std::uint64_t> IndexesOf(const CallRow& row);
  // One approval as the state machine knows it, with what it was asked for.
  core::StatusOr<policies::ApprovalState> ApprovalStateOf(const ApprovalRow& row) const;

  // --- the bundle in force (hub_policies.cc)
  // Loads the tenant's policies aside and swaps to them in one entry; an error keeps what there is.
  // Blocks until durable. Errors: kFailedPrecondition (BUNDLE_REFUSED).
  core::StatusOr<PolicyInfo> Activate(const std::string& actor, const std::string& reason);
  // The candidate decides beside it from now on, and counts for nothing.
  core::StatusOr<PolicyInfo> Watch();
  PolicyInfo StopWatching();
  PolicyInfo Policy() const;
  std::string BundleId() const;  // empty: none is in force
  std::vector<policies::BudgetDecl> Budgets() const;

  EngineParts parts;
  const std::unique_ptr<Unanswered> unanswered = std::make_unique<Unanswered>(*this);
  const std::shared_ptr<Outputs> outputs = std::make_shared<Outputs>();
  const std::shared_ptr<PlannerTexts> texts = std::make_shared<PlannerTexts>();
  std::unique_ptr<Timers> timers = std::make_unique<Timers>();
  Journal journal;
  Gate gate;
  History history;
  Archives archives;
  // What a planner hands a run over with (kEscalateTool).
  const std::shared_ptr<const tools::Tool> escalate_tool;
  Place here() const { return {parts.log, &history}; }
  // Who watches the run is told by it; any thread. Set before Start.
  std::function<void(const std::string& run)> waits_changed;

 private:
  // What the log did not take, or could not be read back: tried again, ever more seldom.
  struct Stalled {
    enum class Kind { kRun, kCall };
    Kind kind = Kind::kRun;
    int tries = 0;
    int unread = 0;  // of them, for what could not be read
    bool waits = false;
    bool at_once = false;
    std::optional<Moment> ends{};
    std::int64_t next_us = 0;  // monotonic
  };

  void NoteStalled(const std::string& id, Stalled::Kind kind, bool news);
  // Until no coroutine runs.
  void AwaitIdle(std::chrono::steady_clock::time_point until);
  // Until what was posted to them before has run.
  void PassWorkers();
  // False: the daemon is stopping.
  bool Deliver(const std::string& run, std::function<void(RunActor&)> act);
  void Maintain();  // thread: expiry, stalled runs
  bool MayHaveDueApprovals();
  void ExpireApprovals();
  void TendApprovals();   // escalations and reminders that are due (hub_approvals.cc)
  void WithdrawEdited();  // calls that nobody came for (hub_approvals.cc)
  void WakeStalled();
  struct Engines;
  core::StatusOr<std::shared_ptr<Engines>> MakeEngines(
      const std::shared_ptr<const policies::Bundle>& bundle) const;
  core::Status ActivateBundle();
  // At a start with other policies than `before`: budgets that do not count what was spent.
  void SayWhatBegins(const std::string& before) const;
  core::StatusOr<policies::SealedBundle> LoadPolicies(const std::string& folder) const;
  core::Status CommitSwap(const policies::SealedBundle& next,
                          const std::shared_ptr<Engines>& engines, const std::string& actor,
                          const std::string& reason);
  void NoteActive(const policies::SealedBundle& now);
  void SetCandidate(const std::shared_ptr<Engines>& engines,
                    const std::shared_ptr<policies::Divergence>& diverged);
  core::Status WatchClock();
  core::Status Recover();
  core::Status AddPlanned(std::set<std::string>& runs) const;  // that waited for a planner there is
  asio::awaitable<void> SettleDirect(CallRow row);
  asio::awaitable<void> TakeUpEdit(CallRow row);
  void HearOfServers();
  asio::awaitable<void> WriteServerEnd(tools::SessionEnd end);

  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<asio::executor_work_guard<asio::io_context::executor_type>> guards_;
  std::vector<std::thread> threads_;
  std::thread maintenance_;
  // Of the maintenance thread: when the first approval is due, as of this version of them.
  std::uint64_t approvals_seen_ = 0;
  std::int64_t approvals_due_us_ = 0;

  std::mutex activating_;  // one change of bundles at a time
  mutable std::mutex policy_mutex_;
  PolicyInfo policy_;
  std::shared_ptr<policies::Divergence> diverged_;  // null: nothing is watched
  std::vector<policies::BudgetDecl> budgets_;       // of the bundle in force

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::shared_ptr<RunActor>> actors_;
  std::map<std::string, Stalled> stalled_;
  mutable std::map<std::string, std::unique_ptr<AgentFile>> pinned_;  // older files, by digest
  std::int64_t busy_ = 0;
  std::atomic<bool> stopping_{false};
};

// Whether a parked call waits for nobody: its arguments were edited, which voided its approvals,
// and it has not been through the gate since.
bool IsFreedByEdit(const CallRow& call, const std::vector<ApprovalRow>& approvals);

// Answers the end of an approval that was not granted: used by expiry and rejection alike.
std::string EndedObservation(std::string_view code);

}  // namespace interlock::runtime
