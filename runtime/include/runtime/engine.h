// The engine as its faces (gRPC, CLI, tests) see it: runs, calls, approvals and the log of one
// tenant.
//
// Plain values, no protobuf. Every method is thread-safe. Methods with a Reply return at once and
// call it exactly once, from an engine thread, when what they did is durable; it must not block.
// Errors carry an ErrorInfo reason in the status payload kReasonUrl ("RUN_NOT_FOUND").
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/log.h"
#include "core/json.h"
#include "core/principal.h"
#include "core/status.h"
#include "policies/active.h"
#include "policies/approval.h"
#include "policies/budget_change.h"
#include "policies/decision.h"
#include "runtime/approvals.h"
#include "runtime/hangup.h"
#include "runtime/spending.h"
#include "tools/tool.h"

namespace interlock::runtime {

// Limits of what callers hand in, for every face of the engine.
inline constexpr std::size_t kMessageBytesMax = 64 * 1024;
inline constexpr std::size_t kSessionBytesMax = 64 * 1024;
inline constexpr std::size_t kPersonBytesMax = 256;  // user, subject
inline constexpr std::size_t kReasonBytesMax = 4 * 1024;
inline constexpr std::size_t kEvidenceBytesMax = 16 * 1024;

template <typename T>
using Reply = std::function<void(core::StatusOr<T>)>;

// The reason (UPPER_SNAKE, at most 63 characters) that goes to the caller as google.rpc.ErrorInfo.
core::Status WithReason(core::Status status, std::string_view reason);
std::string ReasonOf(const core::Status& status);  // a default by code when none was set

enum class RunState {
  kRunning,
  kWaitingForApproval,  // parked; holds nothing
  kWaitingForUser,      // the planner asked something; SendMessage goes on
  kWaitingForPerson,    // a call's outcome is unknown; ResolveCall goes on
  kCancelling,          // waits for outcomes of started calls (rule 11)
  kCompleted,
  kFailed,
  kCancelled,
  kEscalated,          // handed to a person; ended for the engine
  kCompensating,       // failed or cancelled; the engine takes back what it did
  kUncompensated,      // failed or cancelled, and something that it did stands: a person has to see
                       // to it
  kWaitingForSwitch,   // its agent is stopped by a kill switch; LiftSwitch goes on
  kWaitingForRun,      // an agent that it called is at work; it goes on when that run ends
  kWaitingForPlanner,  // its planner is not configured; a start with one of that name goes on
};
inline constexpr RunState kRunStateLast = RunState::kWaitingForPlanner;
std::string_view RunStateName(RunState state);  // "waiting_for_approval"
bool IsFinal(RunState state);

// A call of a run that has not ended, and what it waits for.
struct OpenCall {
  enum class WaitsFor {
    kOutcome,   // it is at work
    kLookUp,    // its outcome is unknown, and is being found out
    kPerson,    // its outcome is unknown, and nobody but a person can tell: ResolveCall
    kApproval,  // somebody has to answer `approval`
    kSwitch,    // it is to be taken back, and a kill switch stops that
    kTurn,      // it is to be taken back, once nothing is in the way
  };
  std::string call;
  std::string tool;
  WaitsFor waits_for = WaitsFor::kOutcome;
  std::string approval{};

  bool operator==(const OpenCall&) const = default;
};

struct RunInfo {
  std::string id;
  std::string agent;
  std::string agent_digest;
  RunState state = RunState::kRunning;
  std::string principal;
  std::int64_t create_time_us = 0;
  std::int64_t update_time_us = 0;
  std::int64_t steps = 0;
  std::string answer;  // final text, for kCompleted; the question, for kWaitingForUser; the
                       // summary, for kEscalated (if readable)
  std::string code;    // why, for kFailed, kCompensating and kUncompensated: "STEP_LIMIT", …
  std::string reason;  // one line
  std::int64_t entries = 0;  // run_seq of the newest entry + 1
  audit::EntryRef newest;    // receipt (rule 23)
  // Of a run that an agent called as a tool (ADR 42); empty and 0 of any other.
  std::string parent{};  // run
  std::string root{};    // the topmost run
  std::string call{};    // of the parent
  std::int64_t depth = 0;
  std::vector<std::string> waits_for{};  // of kWaitingForRun: runs
  ModelCost models{};                    // what its own requests came to; not those of runs below
  ModelCost models_below{};              // by GetRun, when it has ended: of runs below
  // By GetRun, of one that waits for calls: those at work or of unknown outcome, then those that
  // wait for an approval, each oldest first; or the one that is to be taken back next.
  std::vector<OpenCall> open_calls{};
};

struct CreateRunSpec {
  std::string agent;
  std::string message;     // the first message of the user, at most 64 KiB
  std::string user;        // the authenticated end user as the integrator knows him; empty: none
  std::string subject;     // whose key seals the content; empty: the user, else the run's own id
  core::Json session;      // object of trusted values, at most 64 KiB; null: {}
  std::string request_id;  // UUID; empty: no deduplication
};

enum class CallState {
  kProposed,
  kDenied,
  kParked,
  kIntended,
  kRunning,
  kOk,
  kFailed,
  kUnknown,
  kNotStarted,
  kWithdrawn,
  kRefused,  // bad arguments, unknown tool
};
std::string_view CallStateName(CallState state);
bool IsFinal(CallState state);  // nothing more comes of the call

struct CallInfo {
  std::string id;
  std::string run;  // empty for ExecuteToolCall without a run
  std::string tool;
  CallState state = CallState::kProposed;
  std::string verdict;  // "allow", "deny", "ask"
  std::string code;
  std::string say;
  std::vector<policies::FiredRule> rules;  // from the decision when it is at hand
  std::vector<std::string> approvals;      // ids that it waits for or used
  std::string args;                        // canonical text if readable
  std::string result;                      // JSON text if released and readable
  std::string outcome;                     // "ok", "failed", "unknown", …
  std::string sandbox_level;
  std::int64_t create_time_us = 0;
  std::int64_t update_time_us = 0;
  audit::EntryRef newest;
};

struct ToolCallSpec {
  std::string tool;
  std::string args;  // JSON text
  std::string user;
  std::string subject;
  core::Json session;
  std::string request_id;  // required for Execute; kept as long as its call
  // How long its caller waits (ADR 59): so long from now, -1 for ever; or until he goes away (null:
  // nobody would tell).
  std::int64_t wait_us = -1;
  std::shared_ptr<Hangup> hangup{};
};

// One entry of a run, with its content where the reader may see it.
struct RunEvent {
  audit::Entry entry;
  std::vector<std::pair<std::string, std::string>> content;  // body field name -> plaintext
};

// A part of what a tool of a run writes while it works. For people who watch: it is no record (the
// outcome's entry is that), and no rule about results has seen it.
struct ToolOutput {
  std::string call;
  bool is_stderr = false;
  // Valid UTF-8 that harms no terminal: control characters but line feed and tab, and what reorders
  // or hides text, are spelt out. A page must insert it as text, never as markup.
  std::string text;
};

// A part of what the planner of a run writes, as it comes. For people who watch, and provisional:
// what counts is the reply that the log has, which may be another, or none.
struct PlannerText {
  std::int64_t step = 0;
  std::string text;     // as ToolOutput::text
  bool begins = false;  // what was told of this step before this is void
};

struct PolicyInfo {
  std::string bundle;  // "sha256:…"; empty: none is in force, and everything is denied
  std::int64_t rules = 0;
  std::int64_t revision = 0;  // of its seal; 0: without a trust root
  std::string signed_by;
  bool seal_required = false;  // a trust root is configured
  std::string problem;         // why the newest load was refused; empty: it was not
  std::string candidate;       // watched beside it; empty: none
  policies::Divergence::Count diverged;
  std::optional<audit::EntryRef> written = {};  // the entry that the change made
  std::vector<policies::BudgetChange> anew{};   // by ActivatePolicy: what it has begun anew
};

template <typename T>
struct Page {
  std::vector<T> items;
  std::string next_cursor;  // empty at the end; opaque
};

// Which sealed content of an entry to open, and why.
struct DiscloseSpec {
  std::uint64_t entry_index = 0;
  std::vector<int> slots;           // empty: all
  std::string reason;               // at most 200 bytes
  std::vector<std::string> fields;  // only these, of content committed field by field; empty: whole
  std::string log;                  // origin of the closed log it stands in; empty: the open one
};

struct DisclosedField {
  std::string name;
  std::string value;  // canonical JSON
  std::string salt;
};

struct DisclosedPayload {
  int slot = 0;
  bool erased = false;  // then the rest is empty
  std::string media;
  std::string content;
  std::string salt;
  std::vector<DisclosedField> fields;  // when only fields were asked for: then no content, no salt
};

struct Disclosure {
  std::vector<DisclosedPayload> payloads;     // in slot order
  std::optional<std::uint64_t> access_index;  // of the entry that records it; none: nothing shown
};

struct PageSpec {
  int size = 50;  // 1..1000
  std::string cursor;
  // Of a list that is not read at once (SearchCalls): nothing is read for a caller who has gone
  // away; null: nobody would tell.
  std::shared_ptr<Hangup> hangup{};
};

struct ResolveSpec {
  std::string call;
  bool happened = false;
  std::string reason;  // required
  std::string evidence;
  std::string request_id;
};

struct EraseSpec {
  std::string subject;      // as CreateRun named it
  std::string reason;       // stays in the log: no personal data
  std::string legal_basis;  // may be empty
  std::string request_id;
};

struct Erasure {
  std::uint64_t index = 0;  // of the payload.erased entry
  std::string log{};        // origin of the closed log that has it; empty: the open one
  std::int64_t runs_ended = 0;
  std::int64_t payloads = 0;  // whose ciphertext was erased
  // A reader keeps old pages with ciphertext, which go when it ends; warnings() says so until then.
  bool old_pages_pending = false;
  // Origins of closed logs that are not in the tenant's folder: what they hold under the destroyed
  // key is erased when they are there again.
  std::vector<std::string> logs_away{};
};

// A kill switch that is set: "all", "agent:<glob>" or "tool:<glob>".
struct SwitchInfo {
  std::string name;
  std::string by;  // the principal's id
  std::string reason;
  std::int64_t time_us = 0;
  std::string etag;                             // changes whenever it is set anew
  std::optional<audit::EntryRef> written = {};  // the entry that the change made
};

// The newest roll-out of an agent (ADR 55): how many of a hundred subjects are given `version`.
struct RolloutInfo {
  std::string agent{};
  std::string version{};     // of the file NAME@VERSION.yaml; the others are given NAME.yaml
  std::int64_t percent = 0;  // 0..100
  std::string by{};          // the principal's id
  std::string reason{};
  std::int64_t time_us = 0;
  std::string etag{};      // index of its entry
  std::string digest{};    // of the file that it was set for
  bool available = false;  // this daemon has that very file; without it all are given NAME.yaml
  std::optional<audit::EntryRef> written = {};  // the entry that the change made
};

struct RolloutSpec {
  std::string agent;
  std::string version;
  std::int64_t percent = 0;
  std::string reason;
  std::string etag;  // empty: whatever stands now is replaced
};

struct LiftSpec {
  std::string name;
  std::string reason;
  std::string etag;  // empty: whatever stands now
};

struct RetentionReport {
  std::int64_t payloads = 0;
  std::int64_t entries = 0;
};

// A call as auditors list it; people other than principals are HMACs.
struct AuditedCall {
  std::string call;
  std::string run;
  std::string tool;
  std::string agent;
  std::string principal;
  std::string subject;
  std::string verdict;
  std::string code;
  std::string outcome;
  std::string effect;
  std::vector<std::string> rules;
  std::vector<std::string> approvers;
  std::int64_t amount_minor = 0;
  std::string currency;
  std::int64_t create_time_us = 0;
  std::int64_t update_time_us = 0;
  std::int64_t proposed_index = -1;
  std::int64_t decided_index = -1;
  std::int64_t outcome_index = -1;
};

struct FoundText {
  std::string call;
  std::uint64_t index = 0;
  std::string field;     // "args", "result"
  std::string snippet;   // the first hit in [brackets]
  std::string log;       // origin of the closed log that `index` is of; empty: the open one
  std::string log_file;  // its name in the tenant's folder
};

struct UnsearchedLog {
  std::string log;       // origin; empty: the file cannot be opened
  std::string log_file;  // empty: it is not in the tenant's folder
  std::string why;
};

struct FoundTexts {
  Page<FoundText> page;
  std::uint64_t access_index = 0;  // of the access.read entry
  // Arguments and results that do not open and were not erased: nobody could look into them.
  std::uint64_t unreadable = 0;
  // Closed logs that full text does not cover yet, or cannot: how many this page or one before did
  // not cover, and which it is now.
  std::uint64_t unsearched_logs = 0;
  std::vector<UnsearchedLog> unsearched;
};

class Engine {
 public:
  virtual ~Engine() = default;  // graceful: no new steps, started calls get their outcomes

  // --- runs
  virtual void CreateRun(const core::Principal& who, CreateRunSpec spec, Reply<RunInfo> reply) = 0;
  virtual core::StatusOr<RunInfo> GetRun(const core::Principal& who, std::string_view run) = 0;
  // Newest first; `state` filters when set.
  virtual core::StatusOr<Page<RunInfo>> ListRuns(const core::Principal& who, const PageSpec& page,
                                                 std::optional<RunState> state) = 0;
  virtual void SendMessage(const core::Principal& who, std::string run, std::string text,
                           std::string request_id, Reply<RunInfo> reply) = 0;
  virtual void CancelRun(const core::Principal& who, std::string run, std::string reason,
                         std::string request_id, Reply<RunInfo> reply) = 0;
  // Durable events with run_seq > after_seq, oldest first. `content`: also open sealed payloads
  // (who may).
  virtual core::StatusOr<std::vector<RunEvent>> ReadEvents(const core::Principal& who,
                                                           std::string_view run,
                                                           std::int64_t after_seq, int max,
                                                           bool content) = 0;
  // Calls `changed` (from the writer's thread or a worker's; must not block, nor ask for what
  // tables hold) whenever the run got entries, or waits for something else, until Unsubscribe.
  virtual std::uint64_t Subscribe(std::string_view run, std::function<void()> changed) = 0;
  virtual void Unsubscribe(std::uint64_t subscription) = 0;
  // Calls `watcher` (from the sandbox's thread; must not block) with what tools of the run write,
  // until UnsubscribeOutput. Errors: kNotFound; kPermissionDenied without the role operator or
  // approver: callers read what rules have passed, auditors entries that record that they looked.
  virtual core::StatusOr<std::uint64_t> SubscribeOutput(
      const core::Principal& who, std::string_view run,
      std::function<void(const ToolOutput&)> watcher) = 0;
  virtual void UnsubscribeOutput(std::uint64_t subscription) = 0;
  // The same with what its planner writes, where its agent streams and no rule judges answers; from
  // the planner's thread. Errors: kNotFound; kPermissionDenied for who is neither the run's caller
  // nor an operator or approver.
  virtual core::StatusOr<std::uint64_t> SubscribeText(
      const core::Principal& who, std::string_view run,
      std::function<void(const PlannerText&)> watcher) = 0;
  virtual void UnsubscribeText(std::uint64_t subscription) = 0;

  // --- tools and calls
  virtual std::vector<std::shared_ptr<const tools::Tool>> ListTools(const core::Principal& who) = 0;
  // The gate without effects or entries: policy, facts, and what the log would object to now.
  virtual void CheckToolCall(const core::Principal& who, ToolCallSpec spec,
                             Reply<CallInfo> reply) = 0;
  // The gate for callers with their own loop (rule 12). A parked call is a state, not an error.
  virtual void ExecuteToolCall(const core::Principal& who, ToolCallSpec spec,
                               Reply<CallInfo> reply) = 0;
  virtual core::StatusOr<CallInfo> GetCall(const core::Principal& who, std::string_view call) = 0;
  virtual core::StatusOr<Page<CallInfo>> ListCalls(const core::Principal& who, const PageSpec& page,
                                                   std::optional<CallState> state,
                                                   std::string_view run) = 0;
  virtual void ResolveCall(const core::Principal& who, ResolveSpec spec, Reply<CallInfo> reply) = 0;

  // --- approvals
  virtual core::StatusOr<ApprovalInfo> GetApproval(const core::Principal& who,
                                                   std::string_view id) = 0;
  virtual core::StatusOr<Page<ApprovalInfo>> ListApprovals(
      const core::Principal& who, const PageSpec& page,
      std::optional<policies::ApprovalPhase> phase, std::string_view run) = 0;
  virtual void AnswerApproval(const core::Principal& who, Answer answer,
                              Reply<ApprovalInfo> reply) = 0;

  // Hands one approval, or all until a time, to somebody who could not answer otherwise, or ends
  // that; an end has no time. Errors: kInvalidArgument (UNKNOWN_PRINCIPAL: nobody of that name is
  // configured, or he is no approver), kPermissionDenied (ROLE_REQUIRED, NOT_A_DELEGATE), kNotFound
  // (DELEGATION_NOT_FOUND), kFailedPrecondition (APPROVAL_ENDED, CLOCK_IN_DOUBT),
  // kResourceExhausted (DELEGATION_LIMIT).
  virtual void Delegate(const core::Principal& who, DelegateSpec spec, Reply<HandedOn> reply) = 0;
  // Those that are in force, by giver.
  virtual core::StatusOr<std::vector<policies::Delegation>> ListDelegations(
      const core::Principal& who) = 0;

  // The call as it stands once the policy has decided anew on these arguments: parked with other
  // approvals, or on its way. Errors: kInvalidArgument (BAD_ARGUMENTS, NOTHING_CHANGED), kAborted
  // (STALE_APPROVAL), kPermissionDenied (NOT_AN_APPROVER), kFailedPrecondition (APPROVAL_ENDED,
  // EDIT_DENIED: the policy does not allow it and the call stays as it was; NOT_EDITABLE,
  // EDIT_LIMIT).
  virtual void EditArguments(const core::Principal& who, EditSpec spec, Reply<CallInfo> reply) = 0;

  // --- budgets, log, health
  // By name and scope. A scope is readable where it is the tenant, a principal, an agent, a run or
  // the user that the query names.
  virtual core::StatusOr<std::vector<BudgetInfo>> ListBudgets(const core::Principal& who,
                                                              const BudgetQuery& query) = 0;
  // What models came to by the open log, by day, planner, provider and model, oldest first. Role:
  // operator or auditor.
  virtual core::StatusOr<Page<ModelDay>> ListModelDays(const core::Principal& who,
                                                       const PageSpec& page,
                                                       const DayRange& days) = 0;
  virtual const audit::Log& log() const = 0;
  // The log of an origin, open or closed; empty: the open one. Lives as long as the engine. Errors:
  // kNotFound (LOG_NOT_FOUND); kUnavailable: it may be one that cannot be opened.
  virtual core::StatusOr<const audit::Log*> LogOf(std::string_view origin) = 0;
  virtual core::StatusOr<audit::Checkpoint> CheckpointNow(const core::Principal& who) = 0;
  // Opens sealed content of an entry for an auditor, after an `access.read` entry is durable.
  // Blocks. Errors: kPermissionDenied; kNotFound for a slot that the entry does not have; kDataLoss
  // when content is not what the entry commits to.
  virtual core::StatusOr<Disclosure> DisclosePayloads(const core::Principal& who,
                                                      const DiscloseSpec& spec) = 0;
  // Rule 27: vouches for the clock. Blocks until durable. Role: operator. Errors:
  // kFailedPrecondition (CLOCK_NOT_IN_DOUBT).
  virtual core::StatusOr<audit::EntryRef> ConfirmClock(const core::Principal& who,
                                                       const std::string& reason) = 0;
  virtual bool clock_in_doubt() const = 0;
  // A new key for the signer of the log. Blocks until the first head under it is signed. Role:
  // operator.
  virtual core::StatusOr<audit::EntryRef> RotateSignerKey(const core::Principal& who) = 0;

  // --- audit
  // Calls that an AIP-160 filter keeps, newest first. Errors: kInvalidArgument (FILTER).
  virtual core::StatusOr<Page<AuditedCall>> QueryCalls(const core::Principal& who,
                                                       const PageSpec& page,
                                                       std::string_view filter) = 0;
  // Full text of the open log, then of the closed ones, newest first; writes access.read first, one
  // for each log that anything is shown of. Errors: kFailedPrecondition (SEARCH_OFF);
  // kInvalidArgument (SEARCH_TEXT); kUnavailable while an erasure cannot be finished; kCancelled:
  // the caller has gone away.
  virtual void SearchCalls(const core::Principal& who, PageSpec page, std::string text,
                           Reply<FoundTexts> reply) = 0;
  // Rule 21. Errors: kNotFound (SUBJECT_NOT_FOUND), kFailedPrecondition (SUBJECT_BUSY,
  // SUBJECT_ERASED).
  virtual void EraseSubject(const core::Principal& who, EraseSpec spec, Reply<Erasure> reply) = 0;
  // Erases content that is older than its class is kept; `validate_only` counts. Errors:
  // kFailedPrecondition (CLOCK_IN_DOUBT).
  virtual void ApplyRetention(const core::Principal& who, bool validate_only,
                              Reply<RetentionReport> reply) = 0;

  // --- kill switches (ADR 33)
  // Those that are set, by name.
  virtual core::StatusOr<std::vector<SwitchInfo>> ListSwitches(const core::Principal& who) = 0;
  // Blocks until durable. Gives the switch as it stands: one that is set already stays. Role:
  // operator. Errors: kInvalidArgument; kNotFound when it would stop nothing that there is.
  virtual core::StatusOr<SwitchInfo> SetSwitch(const core::Principal& who, const std::string& name,
                                               const std::string& reason) = 0;
  // Blocks until durable. Role: operator. Errors: kNotFound (SWITCH_NOT_FOUND), kAborted
  // (STALE_SWITCH).
  virtual core::StatusOr<audit::EntryRef> LiftSwitch(const core::Principal& who,
                                                     const LiftSpec& spec) = 0;

  // --- roll-outs (ADR 55)
  // By agent.
  virtual core::StatusOr<std::vector<RolloutInfo>> ListRollouts(const core::Principal& who) = 0;
  // Blocks until durable; holds for runs that are begun after it. Role: operator. Errors:
  // kInvalidArgument; kNotFound (AGENT_NOT_FOUND, VERSION_NOT_FOUND); kAborted (STALE_ROLLOUT).
  virtual core::StatusOr<RolloutInfo> SetRollout(const core::Principal& who,
                                                 const RolloutSpec& spec) = 0;

  // --- policies (ADR 45)
  virtual core::StatusOr<PolicyInfo> GetPolicy(const core::Principal& who) = 0;
  // Loads the tenant's policies anew and swaps to them while calls go on. Blocks until durable.
  // Role: operator. Errors: kFailedPrecondition (BUNDLE_REFUSED): what was in force stays.
  virtual core::StatusOr<PolicyInfo> ActivatePolicy(const core::Principal& who,
                                                    const std::string& reason) = 0;
  // Lets the tenant's candidate decide beside the bundle in force, counting where the two part.
  // Role: operator. Errors: as above.
  virtual core::StatusOr<PolicyInfo> WatchCandidate(const core::Principal& who) = 0;
  virtual core::StatusOr<PolicyInfo> StopCandidate(const core::Principal& who) = 0;

  // Empty when healthy, else one line an operator can act on.
  virtual std::string Unhealthy() const = 0;
  // What an operator should look at while work goes on, one line each.
  virtual std::vector<std::string> warnings() const { return {}; }
};

}  // namespace interlock::runtime
