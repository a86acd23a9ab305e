// The one gate: every tool call of every caller goes through it, and nothing else can make a
// permit.
//
// Steps of a call (rule 4): locks, look-ups, decision, call slot, intent, run, outcome. `Pass`
// takes a call to a durable decision; `RunIntended` runs it and records the outcome;
// `Record` and `SettleRecorded` deal with outcomes nobody saw.
#pragma once

#include <asio.hpp>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/permit.h"
#include "engine/async.h"
#include "engine/entries.h"
#include "engine/journal.h"
#include "engine/outputs.h"
#include "engine/patience.h"
#include "engine/provenance.h"
#include "engine/rows.h"
#include "policies/active.h"
#include "policies/approval.h"
#include "policies/bundle.h"
#include "runtime/agent.h"
#include "runtime/make_engine.h"

namespace interlock::runtime {

class Archives;

// One thread that runs steps and gates; a run or call stays on its worker.
struct Worker {
  asio::io_context io{1};
  std::unique_ptr<policies::Engine> engine;          // null: no bundle, everything is denied
  std::unique_ptr<policies::Engine> candidate{};     // decides beside it; null: none is watched
  std::shared_ptr<policies::Divergence> diverged{};  // where the two part

  // Zero without a bundle.
  core::Digest BundleId() const {
    return engine == nullptr ? core::Digest{} : engine->bundle().id();
  }
};

struct RunStart;  // run_start.h

// An approval that was granted to a parked call and may be consumed.
struct GrantedApproval {
  policies::ApprovalState state;
  std::string binding_hmac;  // as it stands in the log
};

// A call on its way through the gate. Used by one coroutine at a time.
struct Ticket {
  CallIdentity id;
  std::optional<Sealer> sealer;
  const AgentFile* agent = nullptr;   // null for a call without a run
  const Provenance* reads = nullptr;  // of its run; null: no run, nothing is labelled
  policies::LabelMap labels;          // of the arguments
  ReadCount read;                     // how much the decision rests on
  bool flow_untrusted = false;        // and whether anything of that was untrusted
  // The same when it ended; nullopt: it ends now.
  std::optional<bool> untrusted_then{};
  HandleLabels handles;              // of those that were named, not written
  std::string edited;                // what a person made of the arguments; empty: nothing
  std::vector<std::string> editors;  // who did, as in EditFields
  std::int64_t edit_until_us = 0;    // as there: no edit gives people more time
  bool dry_run = false;              // it has no locks, and would wait for calls at work on them
  bool asks_only = false;            // what the policy allows outright stays parked (rule 12)
  bool as_recorded = false;          // a replay: what was denied then was not put off
  std::int64_t decided_index = -1;   // it must still be the newest decision; -1: whichever is
  std::int64_t edited_index = -1;    // and this the newest edit; looked at with decided_index

  std::shared_ptr<const tools::Tool> tool;
  tools::CanonicalArgs args;
  std::string level;               // where it runs, as the intent says
  std::string effect_key;          // HMAC, or the call's id
  std::vector<std::string> locks;  // HMACs, sorted
  bool locked = false;
  bool has_place = false;

  std::string cannot;     // why the engine cannot make the call; empty: it can
  bool proposed = false;  // call.proposed stands in the log already
  int round = 0;
  std::int64_t now_us = 0;     // of the decision's input
  std::int64_t window_ms = 0;  // that the decision counted over
  std::vector<Draft> earlier;  // facts and decisions of rounds that modified the arguments
  std::vector<policies::Fact> facts;
  policies::Decision decision;
  core::Digest decided_by{};  // the bundle
  // Another bundle came into force, or more was read: it has to be decided again from the start.
  bool stale = false;
  std::vector<GrantedApproval> granted;
  std::vector<std::string> outdated;  // granted as well, for what its tool was before
  // Sealed before the serial section, for the decision as it was made; made anew there if that
  // moved.
  std::vector<Draft> drafts;
  std::string drafted_verdict;
  std::string drafted_code;
  // Writer thread: what stands before the decision in the same durable step. False: with that the
  // call is put off, as nothing may be decided of it now.
  std::function<core::StatusOr<bool>(Serial&)> before{};
  bool put_off = false;  // also where the log knows more than its run has read

  CallState state = CallState::kProposed;
  std::string verdict;
  std::string code;
  std::string say;
  std::vector<std::string> approvals;  // pending ones
  core::Json fix;
  tools::Outcome outcome;
  std::string outcome_kind;  // as recorded
  std::string observation;
  Release release;                // once there is an outcome
  core::Json shown;               // the result as it may be read, or what the tool said
  std::string read_from;          // of read_result: the tool whose result it reads
  std::optional<Draft> released;  // of a call without a run
  std::optional<Draft> kept;      // of a tool of the engine: what its outcome leaves in the log
  // --- of a call of an agent
  std::int64_t tokens_left = -1;   // to its run; -1: no limit
  std::int64_t steps_left = -1;    // -1: of no run
  std::int64_t calls_left = -1;    // as above
  std::int64_t wall_left_ms = -1;  // as above
  // --- how long a tool that only reads may take (ADR 59)
  std::shared_ptr<const Patience> patience{};  // of who asked for the call; null: of a run
  std::int64_t run_ends_monotonic_us = 0;      // by its wall limit; 0: of no run
  std::int64_t wall_ms = 0;                    // as the intent says; 0: what the manifest says
  std::shared_ptr<RunStart> starts{};          // once it may start: the run
  std::optional<RunEnd> ended{};               // and how that ended
  int attempt = 1;
  std::int64_t unknown_monotonic_us = 0;         // since when its end is unknown, or was read so
  std::int64_t intended_monotonic_us = 0;        // when the newest intent was committed
  std::string intended_effect;                   // of a recorded call, as its intent says
  std::atomic<std::uint64_t>* handle = nullptr;  // of the executor, for Cancel
  audit::EntryRef newest;
  std::int64_t create_us = 0;  // as its row has them
  std::int64_t update_us = 0;
};

// Of a recorded outcome: it is known that the effect happened.
inline bool Succeeded(std::string_view outcome) {
  return outcome == "ok" || outcome == "reconciled_done";
}

// The code of a decision whose demands were met by approvals.
inline constexpr const char* kApproved = "APPROVED";
// Of an agent's call that would start more runs than may be.
inline constexpr const char* kTooManyRuns = "AGENT_RUNS";
// Of a call that takes back what can be taken back no more.
inline constexpr const char* kCallLost = "CALL_LOST";
// And of a call whose effect another call has had, or is having.
inline constexpr const char* kDuplicateEffect = "DUPLICATE_EFFECT";

struct GateParts {
  std::string tenant;
  Journal* journal = nullptr;
  Timers* timers = nullptr;  // null: nothing is waited for
  audit::KeyStore* keys = nullptr;
  const core::Clock* clock = nullptr;
  core::Random* random = nullptr;
  const core::PermitMint* mint = nullptr;
  tools::Executor* executor = nullptr;
  std::shared_ptr<const tools::Registry> registry;
  EngineLimits limits;
  std::shared_ptr<Outputs> outputs;
  Archives* archives = nullptr;  // closed logs, which hold older notes; null: there are none
  // The run that a call of an agent starts, sealed and judged, of which nothing is in the log yet.
  // Errors: kFailedPrecondition, why it cannot be started; anything else passes.
  std::function<core::StatusOr<std::shared_ptr<RunStart>>(Worker&, const Ticket&)> new_run{};
  // A run, as the log's tables have it: memory may have let it go.
  std::function<core::StatusOr<RunRow>(const std::string& run)> run_of{};
  std::function<bool()> stopping{};  // null: it never does
  // A call waits for approvals, durably; on a worker. May be empty.
  std::function<void(const Ticket&)> parked{};
  // What this run waits for has changed, and no entry says so; any thread.
  std::function<void(const std::string& run)> waits_changed{};
};

// Thread-safe. Neither copies nor moves.
class Gate {
 public:
  explicit Gate(GateParts parts);
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Takes a call to a durable decision. Afterwards ticket.state is kDenied, kRefused, kParked or
  // kIntended; in the last case RunIntended must follow. Or it was put off: only what stands before
  // it is in the log. Errors: the log did not take it (nothing happened, nothing is held), nobody
  // waits for it any more (as CheckWaits; likewise), or kAlreadyExists when the request_id names
  // another call by now.
  asio::awaitable<core::Status> Pass(Worker& worker, Ticket& ticket);
  // Whether nothing but the log is waited for on the way of such a call to its decision: no lock,
  // look-up or place.
  bool PassesAtOnce(const Worker& worker, const std::string& tool) const;

  // Runs what Pass intended and records how it ended, unknown outcomes settled as the manifest
  // says. Afterwards ticket.state is kOk, kFailed, kNotStarted or kUnknown (a person must say).
  // Errors: the outcome is not durable.
  asio::awaitable<core::Status> RunIntended(Worker& worker, Ticket& ticket);
  // The same in parts, for who records an outcome together with what follows from it. First the
  // call runs.
  asio::awaitable<void> Run(Ticket& ticket);
  // Then either its outcome is recorded alone, and settled where nobody knows it.
  asio::awaitable<core::Status> Record(Worker& worker, Ticket& ticket);
  // Or, of one that is known, it is judged; its entry is added in the serial section; and when that
  // is durable, the call is over.
  Draft Judge(Worker& worker, Ticket& ticket) const;
  core::Status CommitOutcome(Serial& serial, Ticket& ticket, Draft& outcome);
  void EndRecorded(Ticket& ticket);

  // For a call that a restart finds with an intent: records `unknown` when it has no outcome at all
  // (`outcome` empty), and settles that under the call's own locks, so that no other call looks and
  // acts meanwhile (rule 3). A ticket without a tool (its manifest has changed) stays unknown.
  // Errors: the log took nothing, or somebody resolved it meanwhile.
  asio::awaitable<core::Status> SettleRecorded(Worker& worker, Ticket& ticket,
                                               std::string_view outcome);

  // For a call whose run has ended as ticket.ended and ticket.outcome say: records it. Errors: the
  // outcome is not durable, or somebody recorded it meanwhile.
  asio::awaitable<core::Status> RecordEnd(Worker& worker, Ticket& ticket);

  // After a kill switch was set: stops those started calls that it names and that may be (rule 11).
  void HaltStopped();
  // After a caller has gone: stops tools that only read and that nobody waits for any more.
  void HaltLeft();
  // What becomes of this call, whose outcome is unknown, is being found out; or of one of a run.
  bool IsSettling(const std::string& call) const;
  bool IsSettlingOneOf(const std::string& run) const;

  // Before anything is served: keeps the locks of a call that SettleRecorded will be asked for.
  void Seize(const std::string& call, std::vector<std::string> locks);
  // A person said what became of the call: locks that it kept since the start and that nobody has
  // settled under are free.
  void LetGo(const std::string& call);

  // What the policy says, as the worker knows balances and counters; without locks, entries or
  // effects.
  asio::awaitable<void> Check(Worker& worker, Ticket& ticket);
  // That, and what the journal would object to now (rules 1, 3, 8 and 13), for a ticket without a
  // run. Takes no locks and no place, so it does not tell of calls at work that it would wait for.
  // Errors: as CheckWaits; those of the log, which then would not take the call either.
  asio::awaitable<core::Status> CheckWhole(Worker& worker, Ticket& ticket);
  // Whether anybody waits for the call still. Errors: kDeadlineExceeded (DEADLINE), kCancelled
  // (CALLER_GONE).
  core::Status CheckWaits(const Ticket& ticket) const;

  // Tool, arguments and keys of a ticket; sets verdict `refuse` and false when the call makes no
  // sense.
  bool Prepare(Ticket& ticket) const;

  // Serial section: what the journal has against a call that Check let pass, as a code; ticket.say
  // says it. Empty: nothing. What the decision rests on and has moved since is decided anew.
  std::string ObjectionNow(Serial& serial, Ticket& ticket);
  // Who may not approve it: who changed its arguments, or those of a call that led to its run.
  static std::vector<std::string> EditorsOf(const Ticket& ticket);
  // Serial section: nor who has told its run what to do, or a run that led to it.
  static std::vector<std::string> TellersOf(Serial& serial, const Ticket& ticket);
  // A denial may rest on nothing but what memory did not know and read as none.
  static bool ReadBlindly(const Ticket& ticket);

  // Serial section: what a person's word does to the holds of a call (rules 10, 13).
  core::Status SettleHolds(Serial& serial, const CallIdentity& id, bool happened) const;

  // What result rules make of the ticket's outcome: sets release, shown and observation. Pure.
  void JudgeResult(Worker& worker, Ticket& ticket) const;

  // What rules make of a text of a run. Pure; `engine` null: no bundle, and it is withheld.
  struct TextCase {
    policies::RulePhase phase = policies::RulePhase::kMessage;  // or kAnswer
    const CallIdentity* id = nullptr;
    std::string_view text;
    policies::Label label;        // of the text
    bool flow_untrusted = false;  // the planner has read untrusted content
  };
  JudgedText JudgeText(policies::Engine* engine, const TextCase& text) const;
  // Serial section: the same on the journal's own state when what it rests on has moved. True: it
  // was judged anew.
  bool JudgeAgain(Serial& serial, const TextCase& text, JudgedText& judged) const;

  // Whether what the planner reads of such an outcome holds bytes of a tool that is not trusted,
  // the look-up's for a reconciled one. Null: a tool that is gone.
  bool UntrustedOutcome(const tools::Tool* tool, std::string_view kind) const;

  // Whether the code of its denial tells what stands in a call's way for now, and nothing of the
  // call. A rule's own denial never does, whatever code the rule gives it.
  static bool MayPass(const Ticket& ticket, std::string_view code);

  const GateParts& parts() const { return parts_; }

 private:
  friend class Replayer;  // runs the same steps on what was recorded

  static bool MayComeToNothing(Serial& serial, const Ticket& ticket);

  // --- worker side
  asio::awaitable<void> GatherFacts(Worker& worker, Ticket& ticket);
  void StartAgain(Ticket& ticket) const;
  static void NoteReads(Ticket& ticket);
  bool HasAged(const Ticket& ticket) const;
  // Its run has read more since.
  static bool HasHeardMore(const Ticket& ticket);
  // The log has a message that is not among those.
  static bool HasReadLess(Serial& serial, const Ticket& ticket);
  asio::awaitable<policies::Fact> LookUp(const policies::FactDecl& fact, core::Json scope,
                                         const Ticket& ticket);
  asio::awaitable<core::Status> DecideInRounds(Worker& worker, Ticket& ticket);
  // One round on the facts that are there, at ticket.now_us.
  void DecideOnce(policies::Engine& engine, Ticket& ticket,
                  const policies::StateReader& state) const;
  core::Status ApplyModification(Ticket& ticket);
  policies::DecisionInput InputOf(const Ticket& ticket, const policies::StateReader& state) const;
  void Refuse(Ticket& ticket, std::string code, std::string say) const;
  void Leave(Ticket& ticket);  // gives locks and place back
  asio::awaitable<void> TakePlace(Ticket& ticket);
  void GivePlace(Ticket& ticket);
  // --- kill switches (gate_switches.cc)
  std::optional<SwitchInfo> StoppedBy(const Ticket& ticket) const;
  // --- agents as tools (gate_agents.cc)
  static bool IsAgents(const Ticket& ticket);
  bool MayCallAgent(Ticket& ticket) const;  // else it is refused
  core::Status MakeRun(Worker& worker, Ticket& ticket) const;
  std::string RunObjection(Serial& serial, const Ticket& ticket) const;
  static bool MayStart(Serial& serial, const Ticket& ticket);
  core::Status StartRun(Serial& serial, Ticket& ticket) const;
  static void InheritEnd(Ticket& ticket);
  bool IsKilled(Ticket& ticket) const;  // then it is denied
  // --- callers who wait no more (gate_patience.cc)
  bool IsLeft(const Ticket& ticket) const;
  std::int64_t WaitOf(const Ticket& ticket, std::int64_t most_us) const;
  void LimitRead(Ticket& ticket) const;
  void KeepRunning(const Ticket& ticket, std::uint64_t handle);
  void DropRunning(std::uint64_t handle);
  asio::awaitable<tools::Outcome> Execute(Ticket& ticket);
  // --- what the engine itself does for an agent (gate_own.cc)
  std::uint64_t StartOwn(Ticket& ticket, tools::CallSpec spec,
                         std::function<void(tools::Outcome)> done) const;
  policies::Label LabelOfResult(Ticket& ticket) const;
  void Inherit(Ticket& ticket, const policies::Label& label) const;
  // --- notes that agents keep (gate_memory.cc)
  tools::Outcome UseMemory(const Ticket& ticket) const;
  static void BearLabelsOfNotes(Ticket& ticket);
  void KeepNote(Ticket& ticket) const;
  void SayRecorded(Ticket& ticket) const;
  void BecomeUnknown(Ticket& ticket) const;
  void AskResultRules(Worker& worker, Ticket& ticket, const policies::Label& label,
                      const core::Json& content) const;
  JudgedText JudgeWith(policies::Engine& engine, const TextCase& text,
                       const policies::StateReader& reader, std::int64_t now_us) const;
  core::StatusOr<tools::CanonicalArgs> CheckedArgs(Ticket& ticket) const;
  core::StatusOr<tools::CanonicalArgs> ProposedArgs(Ticket& ticket) const;
  static void BearAllLabels(Ticket& ticket, const Provenance* reads);
  asio::awaitable<core::Status> RecordLost(Worker& worker, Ticket& ticket);
  asio::awaitable<core::Status> CommitKnown(Worker& worker, Ticket& ticket);
  // Writer thread: whether the log says otherwise than the ticket whether anything untrusted was
  // read by now; the ticket says the same then.
  static bool TakeFlow(Serial& serial, Ticket& ticket);
  asio::awaitable<bool> TakeBack(Ticket& ticket);
  static bool CanFindOut(const Ticket& ticket);
  void BeginSettling(const Ticket& ticket);
  void EndSettling(const Ticket& ticket);
  // For a call whose outcome is recorded as unknown: retry by idempotency key, look-up, or leave to
  // a person.
  asio::awaitable<core::Status> FindOut(Worker& worker, Ticket& ticket);
  asio::awaitable<core::Status> Retry(Worker& worker, Ticket& ticket);
  asio::awaitable<core::Status> Reconcile(Worker& worker, Ticket& ticket);
  asio::awaitable<policies::Fact> AskWhetherDone(const core::Json& args, const Ticket& ticket);
  asio::awaitable<bool> Pause(std::int64_t micros) const;
  void MakeDrafts(Ticket& ticket) const;
  Draft DecidedDraft(const Ticket& ticket, std::string_view verdict) const;
  bool Covered(const Ticket& ticket) const;
  core::PermitTerms TermsOf(const Ticket& ticket) const;
  core::Json KeyScope(const Ticket& ticket) const;

  // --- serial section (writer thread)
  core::Status CommitPass(Serial& serial, Ticket& ticket);
  core::Status CommitDecision(Serial& serial, Ticket& ticket);
  core::Status CommitIntent(Serial& serial, Ticket& ticket);
  Draft OutcomeDraft(const Ticket& ticket) const;
  core::Status ReleaseToCaller(Serial& serial, Ticket& ticket) const;
  core::Status Undo(Serial& serial, const CallIdentity& id,
                    const std::optional<core::Money>& reported) const;
  bool StillHolds(Serial& serial, const Ticket& ticket) const;
  std::string Objection(Serial& serial, Ticket& ticket) const;
  std::string ObjectionToAny(Ticket& ticket) const;  // any thread
  std::string BudgetObjection(Serial& serial, Ticket& ticket) const;
  std::string ScopeKey(const std::string& scope) const { return parts_.keys->Hmac("scope", scope); }
  core::Status Redecide(Serial& serial, Ticket& ticket);
  core::Status EmitAsk(Serial& serial, Ticket& ticket);
  core::Status EmitAllow(Serial& serial, Ticket& ticket);
  static core::Status VoidGranted(Serial& serial, const Ticket& ticket, std::string_view why);
  static core::Status VoidOutdated(Serial& serial, const Ticket& ticket);
  IntentFields IntentOf(const Ticket& ticket) const;

  GateParts parts_;
  LockTable locks_;
  std::mutex seized_mutex_;
  std::map<std::string, std::vector<std::string>> seized_;  // by call, since the start
  // Started calls that may be stopped halfway, by their handle at the executor.
  struct Running {
    std::string tool;
    CallIdentity of;
    std::shared_ptr<const Patience> patience;  // of one that only reads
  };
  std::mutex running_mutex_;
  std::map<std::uint64_t, Running> running_;
  mutable std::mutex settling_mutex_;
  std::map<std::string, std::string> settling_;  // call -> its run; empty: of none
  Places lookups_;
  Places calls_;
};

}  // namespace interlock::runtime
