// The fold of a partition's entries: what the journal decides on.
//
// The writer thread changes it (Apply, under a lock); it alone may use the Find methods without a
// copy. Other threads use the Peek methods, which know only what memory holds.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "audit/keys.h"
#include "audit/log.h"
#include "core/status.h"
#include "engine/brief_mutex.h"
#include "engine/note_rows.h"
#include "engine/row_table.h"
#include "engine/rows.h"
#include "runtime/make_engine.h"

namespace interlock::runtime {

inline constexpr std::int64_t kClockDoubtMicros = 3'600'000'000;  // rule 27
// A log silent for longer than this at start cannot tell a long pause from a wrong clock: 31 days.
inline constexpr std::int64_t kClockSilenceMicros = 31ll * 24 * 3600 * 1'000'000;

std::vector<std::string> SplitWords(std::string_view text);
// Behind `words`, those of `more` that are not there yet.
void AddMissing(std::vector<std::string>& words, const std::vector<std::string>& more);
// The texts of a list, as they are: tags of rules may be any words.
std::vector<std::string> TextsOf(const core::JsonObjectView& body, std::string_view field);
// Whether `labels` of an entry begin with "untrusted", which is what they say of trust.
bool SaysUntrusted(const core::JsonObjectView& body);
// The texts of a list, space separated; of names and ids, which need no escapes.
std::string WordsOf(const core::JsonObjectView& body, std::string_view field);
void AddWord(std::string& words, std::string_view word);  // unless it is there
// The unit is part of it: a budget that is declared in another currency starts anew.
std::string BudgetKey(std::string_view budget, std::string_view unit, std::string_view scope_hmac,
                      std::int64_t window_us);
// Whose holds are those of a run's request to its planner; a run has at most one open.
std::string PlanHolder(std::string_view run);
// What the stage of an approval that is asked now needs, and whether it is the last.
std::int64_t QuorumNow(const ApprovalRow& row);
bool IsLastStage(const ApprovalRow& row);
// Events of a counter within the last per_ms.
std::int64_t CountWithin(const CounterRow& row, std::int64_t per_ms, std::int64_t now_us);
// The counter of one's grants, as the log names him: no HMAC, so none of a policy's limits is it.
std::string GrantCounter(std::string_view by);
inline constexpr std::int64_t kGrantWindowMs = 60'000;  // that it is kept for
// The sum of their amounts; as much as fits where it does not.
std::int64_t SumWithin(const CounterRow& row, std::int64_t per_ms, std::int64_t now_us);

// Tables, indexes and the documented v_ views (docs/auditor_guide.md) that auditors read.
std::vector<std::string> AuditSchema();

class State final : public audit::Projector {
 public:
  explicit State(const audit::KeyStore* keys = nullptr, std::size_t runs_kept = kRowsOfRunsKept);

  // --- audit::Projector
  std::string_view name() const override { return "runtime"; }
  std::vector<std::string> Schema() const override;
  core::Status Attach(sqlite3* db) override;
  core::Status Apply(const audit::EntryView& entry) override;
  void Committed() override;
  core::Status Flush() override;
  std::string Seal(std::uint64_t next_index) const override;
  void Reset() override;
  core::Status MayClose(sqlite3* db) override;
  core::StatusOr<std::vector<std::string>> Carried(sqlite3* db) override;

  // --- writer thread only; pointers hold until the command ends
  const RunRow* FindRun(const std::string& run) { return Find(runs_, run); }
  const CallRow* FindCall(const std::string& call) { return Find(calls_, call); }
  const ApprovalRow* FindApproval(const std::string& id) { return Find(approvals_, id); }
  const BudgetRow* FindBudget(const std::string& key) { return Find(budgets_, key); }
  const HoldRow* FindHold(const std::string& hold) { return Find(holds_, hold); }
  const CreditRow* FindCredit(const std::string& call) { return Find(credits_, call); }
  const EffectRow* FindEffect(const std::string& key) { return Find(effects_, key); }
  const LockRow* FindLock(const std::string& key) { return Find(locks_, key); }
  const CounterRow* FindCounter(const std::string& key) { return Find(counters_, key); }
  const RequestRow* FindRequest(const std::string& request) { return Find(requests_, request); }
  // Called on the writer thread, under the state's lock, for every entry of a run; must not call
  // back.
  void SetRunListener(std::function<void(const std::string&)> listener) {
    run_listener_ = std::move(listener);
  }
  // Counts the committed batches that changed an approval; any thread. What is asked of the tables
  // after this was read holds all that it counts.
  std::uint64_t approvals_version() const {
    return approvals_version_.load(std::memory_order_acquire);
  }
  // Time of the newest entry that was folded; any thread.
  std::int64_t newest_us() const { return newest_us_.load(std::memory_order_relaxed); }
  // Whether a row could not be read since the last call of this: then what was found is not so.
  bool TakeReadError();
  std::string Setting(const std::string& name);
  // Rule 27: the wall clock jumped or lags behind the log, and no operator has confirmed it. From
  // any thread; the writer knows it first.
  bool clock_in_doubt() const { return clock_in_doubt_.load(std::memory_order_acquire); }
  // What audit::LogOptions::clock_stepped calls, on the writer thread; a step before the engine
  // listens is told to it at once.
  void ClockStepped(std::int64_t by_us);
  void OnClockStep(std::function<void(std::int64_t by_us)> listener);
  // While the clock is in doubt, windows of budgets stand still at the time before (rule 27).
  // Writer thread only.
  std::int64_t TrustedTime(std::int64_t now_us);
  // A subject is being erased: what was sealed before that by its key, and is on its way here,
  // begins nothing any more, and once the erasure stands in the log nothing is sealed by it. Until
  // EndErasing, where the erasure comes to nothing, or the process ends. Thread-safe.
  void BeginErasing(const std::string& key);
  void EndErasing(const std::string& key);
  bool MaySeal(const std::string& key, std::string_view kind) const;
  void DoubtClock() { clock_in_doubt_.store(true, std::memory_order_release); }
  // --- kill switches (state_switches.cc), as the newest entry leaves them; any thread
  std::vector<SwitchInfo> Switches() const;  // by name
  // The one that stops a call of `tool` by `agent`; without a tool: that stops its runs. Either may
  // be empty.
  std::optional<SwitchInfo> StoppedBy(std::string_view tool, std::string_view agent) const;
  // What approvers have handed on and is in force, or was a moment ago, by giver; any thread.
  std::vector<policies::Delegation> Delegations() const;
  // --- roll-outs (state_rollouts.cc), as the newest entry leaves them, by agent; any thread
  std::vector<RolloutInfo> Rollouts() const;
  std::optional<RolloutInfo> RolloutOf(std::string_view agent) const;
  std::vector<std::string> HoldsOf(const std::string& call);
  // Pending and granted ones, oldest first.
  std::vector<std::string> OpenApprovalsOf(const std::string& run);
  // Those of runs that work for this one, on whatever level (ADR 42).
  std::vector<std::string> OpenApprovalsBelow(const std::string& root);
  // Parked ones that were edited and not decided on since.
  std::vector<std::string> EditedCallsOf(const std::string& run);

  // --- any thread but the writer's: nullopt when memory does not know (ask the tables then)
  template <typename Row>
  struct Peeked {
    bool known = false;
    std::optional<Row> row;
  };
  // What is durable; waits when the row was changed by a batch that is not.
  Peeked<RunRow> PeekRun(const std::string& run) const { return Peek(runs_, run, Wait::kYes); }
  Peeked<CallRow> PeekCall(const std::string& call) const { return Peek(calls_, call, Wait::kYes); }
  Peeked<ApprovalRow> PeekApproval(const std::string& id) const {
    return Peek(approvals_, id, Wait::kYes);
  }
  // As the newest entry leaves it, durable or not.
  Peeked<RunRow> PeekRunNow(const std::string& run) const { return Peek(runs_, run, Wait::kNo); }
  // What the serial section would see now: a first look that is checked there again (rule 1).
  Peeked<BudgetRow> PeekBudget(const std::string& key) const {
    return Peek(budgets_, key, Wait::kNo);
  }
  Peeked<CounterRow> PeekCounter(const std::string& key) const {
    return Peek(counters_, key, Wait::kNo);
  }
  Peeked<RequestRow> PeekRequest(const std::string& request) const {
    return Peek(requests_, request, Wait::kNo);
  }

 private:
  template <typename Row>
  const Row* Find(RowTable<Row>& table, const std::string& key) {
    const std::lock_guard lock(mutex_);  // a look-up may load: keep Peek out
    return table.Find(key);
  }
  enum class Wait { kNo, kYes };
  template <typename Row>
  Peeked<Row> Peek(const RowTable<Row>& table, const std::string& key, Wait wait) const {
    std::unique_lock lock(mutex_);
    for (;;) {
      Row row;
      std::int64_t batch = 0;
      const auto found = table.PeekAt(key, row, batch);
      if (found == RowTable<Row>::Peek::kUnknown) return {};
      if (wait == Wait::kYes && batch == batch_) {
        committed_.wait(lock, [&] { return batch != batch_; });
        continue;
      }
      if (found == RowTable<Row>::Peek::kAbsent) return {.known = true, .row = std::nullopt};
      return {.known = true, .row = std::move(row)};
    }
  }

  template <typename Do>
  void ForEachTable(Do act) {
    act(runs_), act(calls_), act(approvals_), act(budgets_), act(holds_), act(call_holds_);
    act(run_approvals_), act(credits_);
    act(effects_), act(locks_), act(counters_), act(requests_), act(settings_);
    act(erasures_), act(accesses_), act(call_users_), act(notes_), act(subject_notes_);
    act(model_days_);
  }

  // What the gate decides on: sums of their rows are sealed. Runs and calls are looked up by
  // people; what is open of them is settled by the entries that they name.
  template <typename Self, typename Do>
  static void ForEachSealed(Self& self, Do act) {
    act(self.approvals_), act(self.budgets_), act(self.holds_), act(self.call_holds_);
    act(self.run_approvals_), act(self.credits_), act(self.effects_), act(self.locks_),
        act(self.counters_);
    act(self.requests_), act(self.settings_), act(self.notes_), act(self.subject_notes_);
  }

  bool ReadErrorOfTables();  // under the lock
  void TrimTables();         // likewise
  core::Status ApplyKind(const audit::EntryView& entry);
  // One method a subject; each returns kDataLoss when a field is missing.
  core::Status ApplyRun(const audit::EntryView& entry);
  core::Status ApplyCall(const audit::EntryView& entry);
  void NoteEdited(const CallRow& call, bool waits);
  void NoteOpen(const std::string& run, const std::string& word, bool open);
  core::Status ApplyDecided(const audit::EntryView& entry, CallRow& call);
  core::Status ApplyIntended(const audit::EntryView& entry, CallRow& call);
  core::Status ApplyOutcome(const audit::EntryView& entry, CallRow& call);
  core::Status ApplyResolved(const audit::EntryView& entry, CallRow& call);
  core::Status ApplyBudget(const audit::EntryView& entry);
  core::Status ApplyApproval(const audit::EntryView& entry);
  // --- what approvers hand on (state_delegations.cc)
  core::Status ApplyDelegated(const audit::EntryView& entry);
  core::Status LoadDelegations(sqlite3* db);
  void CarryDelegation(const std::string& name, const std::string& text);
  void EndDelegationsOf(const std::string& approval);
  // --- what auditors look for (state_audit.cc)
  void ApplyErased(const audit::EntryView& entry);
  void ApplyAccess(const audit::EntryView& entry);
  // --- notes that agents keep (state_memory.cc)
  core::Status ApplyMemory(const audit::EntryView& entry);
  void AddNote(NoteRow note);
  void DropNote(const std::string& subject, const std::string& topic);
  void DropErasedNotes(const audit::EntryView& entry);
  void CarryNote(const std::vector<std::string>& row);
  // --- what goes on in the next log (state_carry.cc)
  core::Status ApplyCarried(const audit::EntryView& entry);
  core::Status CarryRow(std::string_view table, const std::vector<std::string>& row);
  // --- kill switches (state_switches.cc)
  core::Status ApplySwitch(const audit::EntryView& entry);
  void LoadSwitches();
  core::Status ApplyRollout(const audit::EntryView& entry);
  void LoadRollouts();
  void NoteRules(const audit::EntryView& entry, CallRow& call);
  void NoteMoney(const audit::EntryView& entry, CallRow& call);
  void NoteRequest(const audit::EntryView& entry, std::string_view kind, std::string_view name);
  // --- effect keys (state_effects.cc)
  void TakeEffect(const CallRow& call);
  void KeepEffect(const CallRow& call);  // it happened
  // The effect did not happen: its key is free again.
  void FreeEffect(const CallRow& call);
  void ApplyCompensated(const audit::EntryView& entry, const CallRow& by);
  void NoteSettled(const CallRow& call, const std::string& hold, std::int64_t amount,
                   const std::string& budget_key);
  void FreeCounters(const CallRow& call);
  // Slots of rate limits, for a call or a message.
  void TakeSlots(const std::string& counters, const audit::EntryView& entry, const std::string& by);
  void NoteGrant(const audit::EntryView& entry);
  void NoteWindow(const audit::EntryView& entry);
  std::int64_t CounterWindowMs();
  // The outcome is known: the locks no longer deny others.
  void SettleLocks(CallRow& call);
  void TouchRun(const audit::EntryView& entry);
  // --- what models came to (state_costs.cc)
  void NoteCost(const audit::EntryView& entry, RunRow& run);
  void NoteLineage(const audit::EntryView& entry, RunRow& run);
  void NoteTellers(const audit::EntryView& entry, const std::string& run);

  const audit::KeyStore* const keys_;  // null: nothing is sealed
  const std::size_t runs_kept_;
  RowHasher hasher_;
  std::atomic<std::int64_t> newest_us_{0};
  std::atomic<std::uint64_t> approvals_version_{1};
  bool approvals_changed_ = false;  // in the batch that is being folded
  bool trim_ = false;               // rows were written since the tables were trimmed
  std::atomic<bool> clock_in_doubt_{false};
  enum class Erasing { kBegun, kDone };
  mutable std::mutex erasing_mutex_;
  std::map<std::string, Erasing> erasing_;  // by key
  std::atomic<bool> any_erasing_{false};
  std::atomic<std::int64_t> trusted_us_{0};  // the newest entry's time when the clock stepped
  std::atomic<bool> any_switch_{false};
  std::vector<SwitchInfo> switches_;               // what the rows of settings_ say
  std::vector<policies::Delegation> delegations_;  // likewise
  std::vector<RolloutInfo> rollouts_;              // likewise
  std::mutex clock_mutex_;
  std::function<void(std::int64_t)> clock_listener_;
  std::vector<std::int64_t> clock_steps_;  // before there was a listener
  mutable BriefMutex mutex_;
  mutable std::condition_variable_any committed_;
  std::int64_t batch_ = 1;  // that is being folded
  std::function<void(const std::string&)> run_listener_;
  RowTable<RunRow> runs_;
  RowTable<CallRow> calls_;
  RowTable<ApprovalRow> approvals_;
  RowTable<BudgetRow> budgets_;
  RowTable<HoldRow> holds_;
  RowTable<CallHoldsRow> call_holds_;
  RowTable<RunApprovalsRow> run_approvals_;
  RowTable<CreditRow> credits_;
  RowTable<EffectRow> effects_;
  RowTable<LockRow> locks_;
  RowTable<CounterRow> counters_;
  RowTable<RequestRow> requests_;
  RowTable<FactRow> settings_;
  RowTable<ErasureRow> erasures_;
  RowTable<AccessRow> accesses_;
  RowTable<CallUserRow> call_users_;
  RowTable<NoteRow> notes_;
  RowTable<SubjectNotesRow> subject_notes_;
  RowTable<ModelDayRow> model_days_;
};

}  // namespace interlock::runtime
