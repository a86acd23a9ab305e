// The engine's face: checks who may do what, turns requests into journal commands, reads rows into
// answers.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "engine/housekeeper.h"
#include "engine/hub.h"
#include "engine/requests.h"
#include "runtime/engine.h"

namespace interlock::runtime {

// Tells subscribers of a run that it has new entries. Thread-safe.
class Subscriptions {
 public:
  std::uint64_t Add(std::string_view run, std::function<void()> changed);
  void Remove(std::uint64_t id);
  void Notify(const std::string& run);
  void NotifyAll();
  bool any() const { return count_.load() > 0; }

 private:
  struct One {
    std::string run;
    std::function<void()> changed;
  };
  std::mutex mutex_;
  std::map<std::uint64_t, One> all_;
  std::multimap<std::string, std::uint64_t> by_run_;
  std::uint64_t next_ = 1;
  std::atomic<std::size_t> count_{0};
};

// A message on its way into the log.
struct Incoming {
  CallIdentity base;  // of its run
  Sealer sealer;
  std::string actor;
  std::string from;  // "user" or "operator"
  std::string text;
  RequestMark request{};  // empty: of a run that it begins
  bool flow_untrusted = false;
  JudgedText judged{};
  Draft draft{};
};

class EngineImpl final : public Engine {
 public:
  explicit EngineImpl(EngineParts parts);
  ~EngineImpl() override;
  core::Status Start();

  void CreateRun(const core::Principal& who, CreateRunSpec spec, Reply<RunInfo> reply) override;
  core::StatusOr<RunInfo> GetRun(const core::Principal& who, std::string_view run) override;
  core::StatusOr<Page<RunInfo>> ListRuns(const core::Principal& who, const PageSpec& page,
                                         std::optional<RunState> state) override;
  void SendMessage(const core::Principal& who, std::string run, std::string text,
                   std::string request_id, Reply<RunInfo> reply) override;
  void CancelRun(const core::Principal& who, std::string run, std::string reason,
                 std::string request_id, Reply<RunInfo> reply) override;
  core::StatusOr<std::vector<RunEvent>> ReadEvents(const core::Principal& who, std::string_view run,
                                                   std::int64_t after_seq, int max,
                                                   bool content) override;
  std::uint64_t Subscribe(std::string_view run, std::function<void()> changed) override;
  void Unsubscribe(std::uint64_t subscription) override;
  core::StatusOr<std::uint64_t> SubscribeOutput(
      const core::Principal& who, std::string_view run,
      std::function<void(const ToolOutput&)> watcher) override;
  void UnsubscribeOutput(std::uint64_t subscription) override {
    hub_.outputs->Remove(subscription);
  }
  core::StatusOr<std::uint64_t> SubscribeText(
      const core::Principal& who, std::string_view run,
      std::function<void(const PlannerText&)> watcher) override;
  void UnsubscribeText(std::uint64_t subscription) override { hub_.texts->Remove(subscription); }

  std::vector<std::shared_ptr<const tools::Tool>> ListTools(const core::Principal& who) override;
  void CheckToolCall(const core::Principal& who, ToolCallSpec spec, Reply<CallInfo> reply) override;
  void ExecuteToolCall(const core::Principal& who, ToolCallSpec spec,
                       Reply<CallInfo> reply) override;
  core::StatusOr<CallInfo> GetCall(const core::Principal& who, std::string_view call) override;
  core::StatusOr<Page<CallInfo>> ListCalls(const core::Principal& who, const PageSpec& page,
                                           std::optional<CallState> state,
                                           std::string_view run) override;
  void ResolveCall(const core::Principal& who, ResolveSpec spec, Reply<CallInfo> reply) override;

  core::StatusOr<ApprovalInfo> GetApproval(const core::Principal& who,
                                           std::string_view id) override;
  core::StatusOr<Page<ApprovalInfo>> ListApprovals(const core::Principal& who, const PageSpec& page,
                                                   std::optional<policies::ApprovalPhase> phase,
                                                   std::string_view run) override;
  void AnswerApproval(const core::Principal& who, Answer answer,
                      Reply<ApprovalInfo> reply) override;

  void EditArguments(const core::Principal& who, EditSpec spec, Reply<CallInfo> reply) override;
  void Delegate(const core::Principal& who, DelegateSpec spec, Reply<HandedOn> reply) override;
  core::StatusOr<std::vector<policies::Delegation>> ListDelegations(
      const core::Principal& who) override;
  core::StatusOr<std::vector<BudgetInfo>> ListBudgets(const core::Principal& who,
                                                      const BudgetQuery& query) override;
  core::StatusOr<Page<ModelDay>> ListModelDays(const core::Principal& who, const PageSpec& page,
                                               const DayRange& days) override;
  const audit::Log& log() const override { return *hub_.parts.log; }
  core::StatusOr<const audit::Log*> LogOf(std::string_view origin) override;
  core::StatusOr<audit::Checkpoint> CheckpointNow(const core::Principal& who) override;
  core::StatusOr<Disclosure> DisclosePayloads(const core::Principal& who,
                                              const DiscloseSpec& spec) override;
  core::StatusOr<audit::EntryRef> ConfirmClock(const core::Principal& who,
                                               const std::string& reason) override;
  bool clock_in_doubt() const override { return hub_.parts.state->clock_in_doubt(); }
  core::StatusOr<audit::EntryRef> RotateSignerKey(const core::Principal& who) override;
  core::StatusOr<Page<AuditedCall>> QueryCalls(const core::Principal& who, const PageSpec& page,
                                               std::string_view filter) override;
  void SearchCalls(const core::Principal& who, PageSpec page, std::string text,
                   Reply<FoundTexts> reply) override;
  void EraseSubject(const core::Principal& who, EraseSpec spec, Reply<Erasure> reply) override;
  void ApplyRetention(const core::Principal& who, bool validate_only,
                      Reply<RetentionReport> reply) override;
  core::StatusOr<std::vector<SwitchInfo>> ListSwitches(const core::Principal& who) override;
  core::StatusOr<SwitchInfo> SetSwitch(const core::Principal& who, const std::string& name,
                                       const std::string& reason) override;
  core::StatusOr<audit::EntryRef> LiftSwitch(const core::Principal& who,
                                             const LiftSpec& spec) override;
  core::StatusOr<std::vector<RolloutInfo>> ListRollouts(const core::Principal& who) override;
  core::StatusOr<RolloutInfo> SetRollout(const core::Principal& who,
                                         const RolloutSpec& spec) override;
  core::StatusOr<PolicyInfo> GetPolicy(const core::Principal& who) override;
  core::StatusOr<PolicyInfo> ActivatePolicy(const core::Principal& who,
                                            const std::string& reason) override;
  core::StatusOr<PolicyInfo> WatchCandidate(const core::Principal& who) override;
  core::StatusOr<PolicyInfo> StopCandidate(const core::Principal& who) override;
  std::string Unhealthy() const override;
  std::vector<std::string> warnings() const override;

 private:
  // --- who may
  core::Status MaySeeRun(const core::Principal& who, const RunRow& row) const;
  core::Status MaySeeCall(const core::Principal& who, const CallRow& row) const;
  // `what`: "write to it".
  core::Status MayChangeRun(const core::Principal& who, const RunRow& row,
                            std::string_view what) const;
  // A look at content is itself an entry (access.read), durable before anything is shown, whatever
  // the role. It leaves none for the principal who made the run or call, and for an approver whom a
  // pending approval asks: it is shown to be decided. `first` and `last`: whose content.
  struct Look {
    std::string_view principal;  // whom the run or call belongs to
    std::string_view run;
    std::int64_t first = 0;
    std::int64_t last = 0;
    std::string_view log = {};  // origin of the closed log it stands in; empty: this one
  };
  static bool IsOutsider(const core::Principal& who, std::string_view principal);
  bool IsShownToDecide(const core::Principal& who, const policies::ApprovalState& state) const;
  core::Status RecordLook(const core::Principal& who, const Look& look) const;
  static core::Status Need(const core::Principal& who, std::string_view role);
  RequestMark MarkOf(const core::Principal& who, std::string_view request_id,
                     std::string_view method, std::string_view target,
                     const core::Json& content) const {
    return MarkOfText(who, request_id, method, target, core::CanonicalJson(content));
  }
  // The same for content that is canonical JSON text already.
  RequestMark MarkOfText(const core::Principal& who, std::string_view request_id,
                         std::string_view method, std::string_view target,
                         std::string_view content) const;

  // --- rows to answers
  core::StatusOr<RunInfo> InfoOf(const RunRow& row) const { return InfoOf(row, hub_.here()); }
  core::StatusOr<RunInfo> InfoOf(const RunRow& row, const Place& place) const;
  core::StatusOr<CallInfo> InfoOf(const CallRow& row, bool content) const {
    return InfoOf(row, content, hub_.here());
  }
  core::StatusOr<CallInfo> InfoOf(const CallRow& row, bool content, const Place& place) const;
  core::StatusOr<ApprovalInfo> InfoOf(const ApprovalRow& row) const;
  bool WroteSince(const ApprovalRow& row) const;
  core::StatusOr<CallRow> CallWhenAsked(const ApprovalRow& row) const;
  core::StatusOr<policies::ApprovalState> FullState(const ApprovalRow& row,
                                                    RecordedCall& call) const;
  core::StatusOr<core::Json> FactsOf(const ApprovalRow& row) const;
  core::StatusOr<RecordedCall> RecordedOf(const CallRow& row) const;
  std::string TextAt(const Place& place, std::int64_t index, std::string_view field) const;
  std::string PlannerLacking(const RunRow& row) const;
  core::StatusOr<std::vector<OpenCall>> OpenCallsOf(const RunRow& row) const;
  // Of these, those that a run waits for which takes back what it did; else the next of it.
  std::vector<OpenCall> ToTakeBack(const RunRow& row, std::vector<OpenCall> open) const;
  core::StatusOr<std::vector<RunRow>> OpenRuns() const;
  // Scopes that these budgets may have, by their HMACs; of people only that of `user`.
  core::StatusOr<std::map<std::string, std::string>> ScopeNames(
      const std::vector<policies::BudgetDecl>& budgets, const std::string& user) const;

  // --- calls without a run
  struct Direct;  // one call in flight and who waits for it
  asio::awaitable<void> RunDirect(std::shared_ptr<Direct> direct);
  asio::awaitable<core::StatusOr<CallInfo>> GoOnDirect(std::shared_ptr<Direct> direct, CallRow row);
  void AnswerDirect(const std::shared_ptr<Direct>& direct, core::StatusOr<CallInfo> info);
  std::unique_ptr<Ticket> TicketFor(const core::Principal& who, ToolCallSpec& spec,
                                    const RequestMark& request) const;
  CallInfo InfoOf(const Ticket& ticket) const;
  core::StatusOr<CallInfo> ArchivedCall(const std::string& call);
  core::StatusOr<RunInfo> ArchivedRun(const std::string& run);
  // A request to change a run that this log does not have (`absent`): the answer of before when a
  // closed log has the run and this very request was made; else that it has ended.
  void AnswerOfClosed(const core::Principal& who, const std::string& run, std::string_view what,
                      const RequestMark& request, const core::Status& absent, Reply<RunInfo> reply);
  // What somebody else's run says is read at its entries, which record who looked.
  static RunInfo AnswerFor(const core::Principal& who, RunInfo info) {
    if (IsOutsider(who, info.principal)) info.answer.clear();
    return info;
  }
  core::StatusOr<RunRow> OpenRun(const core::Principal& who, std::string_view run);

  // --- answers to approvals (engine_approvals.cc)
  struct Answering;
  core::Status PrepareAnswer(Answering& answering) const;
  core::Status CommitAnswer(Serial& serial, Answering& answering) const;
  void PassAnswer(const Answering& answering);
  core::StatusOr<ApprovalInfo> InfoAfter(const Answering& answering) const;
  void LookForUnanswered();  // on the housekeeper's thread, once after the start
  void LookForPlanners();    // likewise

  // --- approvers who hand on what they may answer (engine_delegations.cc)
  struct Handing;
  core::Status PrepareHanding(Handing& handing) const;
  core::Status PlaceHanding(Handing& handing) const;
  core::Status CheckDeputy(const std::string& id) const;
  static core::Status CommitHanding(Serial& serial, Handing& handing);

  // --- edits of parked calls (engine_edits.cc)
  struct Edit;
  core::Status PrepareEdit(Edit& edit) const;
  asio::awaitable<core::StatusOr<CallInfo>> MakeEdit(std::shared_ptr<Edit> edit);
  asio::awaitable<core::Status> AskPolicy(Edit& edit);
  asio::awaitable<core::Status> RefuseEdit(const Edit& edit, const std::string& code,
                                           const std::string& say);
  core::Status CommitEdit(Serial& serial, Edit& edit, Draft& edited);
  asio::awaitable<core::Status> PassEdited(const Edit& edit);

  // --- runs and messages
  void StartRun(const core::Principal& who, const std::string& run, const std::string& session,
                std::shared_ptr<const CreateRunSpec> spec, Reply<RunInfo> reply);
  // On the run's worker: asks the rules.
  void Judge(Incoming& message);
  // Writer thread: asks again when what they said rests on something that moved, and appends it.
  core::Status Take(Serial& serial, Incoming& message);
  std::string ReleasedAsItIs(const core::JsonObjectView& body) const;

  bool NamesSomething(std::string_view switch_name) const;
  core::Status CancelAndWait(const core::Principal& who, const std::string& run);

  Hub hub_;
  Subscriptions subscriptions_;
  std::set<std::string> touched_;  // writer thread: runs of the open batch
  std::mutex direct_mutex_;
  std::map<std::string, std::shared_ptr<Direct>> direct_;  // by request key
  std::atomic<bool> unplanned_{false};  // open runs lacked their planner at the start
  Housekeeper housekeeper_;
};

}  // namespace interlock::runtime
