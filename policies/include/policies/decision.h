// What goes into a decision and what comes out: data only, so that any decision replays from its
// record.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest.h"
#include "core/json.h"
#include "core/money.h"
#include "policies/labels.h"

namespace interlock::policies {

// Amounts of a budget: money in minor units of `unit` (an ISO 4217 code), or plain numbers
// ("calls", "tokens").
struct BudgetDecl {
  std::string name{};     // "refund.daily"; of a level "refund.user"
  std::string level{};    // "user", "user.30d": of a budget with levels; empty: it has none
  bool optional = false;  // a level that a call may have none of
  std::string unit{};
  std::int64_t limit = 0;
  std::string per{};           // "tenant" | "agent" | "principal" | "user" | "run"
  std::int64_t window_ms = 0;  // calendar-free window from the epoch; 0: for ever
  std::string charges{};       // "model": by what planners use (policies/model_budget.h); empty: by
                               // the reservations of rules
};

// A fact that rules of some tools need: a look-up through a read-only tool (rule 2).
struct FactDecl {
  std::string name{};                // c.facts.<name>
  std::string tool{};                // of effect `read`
  core::Json args{};                 // values may be templates over {args, session, user, facts}
  std::vector<std::string> after{};  // facts named in its templates; gathered first
};

// What the look-up gave. Absent: rules that touch it are a RULE_ERROR, unless they ask `present`
// first.
struct Fact {
  std::string name{};
  bool present = false;  // the look-up tool answered ok
  core::Json value{};
  std::string
      error_code{};  // the look-up's own code when it failed ("NOT_FOUND"); rules may read it
};

// A value of the journal that a decision read, with its version (rule 1).
struct VersionedRead {
  std::string key{};  // "budget/refund.daily/…", "counter/…"
  std::uint64_t version = 0;
  std::int64_t value = 0;
  std::int64_t held = 0;  // of a budget's value: by what has not ended yet
  // The decision asked no more than whether its own limit or reservation fits. The journal asks
  // that again when it takes the slot or the hold, so a version that moved changes nothing by
  // itself.
  bool fits_only = false;
  // What was asked, in the clear, as rules name it: a budget and whose share, or a counter's key
  // and how far back. Decide fills it in; it is for the sealed decision, never for an entry.
  std::string asked{};
  std::string scope{};      // of a budget
  std::int64_t per_ms = 0;  // of a counter
  bool summed = false;      // of a counter: the amounts of its calls were asked for
};

// Where rules read balances and counters from; the gate gives a snapshot, the journal its own
// state. Every read is recorded in Decision::reads.
class StateReader {
 public:
  virtual ~StateReader() = default;
  // Settled + held of a budget in its current window.
  virtual VersionedRead BudgetUsed(const BudgetDecl& budget, std::string_view scope) const = 0;
  // Calls with an allow and an effect (open or successful) under `key` within the last `per_ms`.
  virtual VersionedRead Count(std::string_view key, std::int64_t per_ms,
                              std::int64_t now_us) const = 0;
  // The sum of what these calls added to the counter (Tally).
  virtual VersionedRead Sum(std::string_view key, std::int64_t per_ms,
                            std::int64_t now_us) const = 0;
};

// What a decision is about. A call needs a rule that allows it. What is already there, a message
// that came in, the result of a call or an answer, passes unless a rule denies (withholds) it;
// rules may also change or label it.
enum class RulePhase : std::uint8_t { kCall, kMessage, kResult, kAnswer };
std::string_view RulePhaseName(RulePhase phase);  // "call" "message" "result" "answer"

struct Call {
  std::string_view id{};  // call id
  std::string_view run{};
  std::string_view tool{};
  std::string_view effect{};  // "read", "write", "money", "egress"
  std::string_view agent{};
  std::int64_t step = 0;
  std::string_view compensates{};  // id of the call that this one takes back, which the engine
                                   // proposed; empty: any other call
  // Of a run that an agent called as a tool: whose agent that was, and how many runs stand above.
  // `run` is then the topmost of them, so that what is counted by run is counted over all.
  std::string_view caller{};
  std::int64_t depth = 0;
};

// Everything a decision may depend on. Views are borrowed for the call.
struct DecisionInput {
  RulePhase phase = RulePhase::kCall;
  Call call{};
  std::string_view tenant{};
  std::string_view principal{};  // who made the run (authenticated)
  const std::vector<std::string>* principal_roles = nullptr;
  std::string_view user{};           // the run's end user; empty: not authenticated
  const core::Json* args = nullptr;  // canonical, fits the tool's schema; may be null in the
                                     // phases message and answer
  // Phase message: {"text": …}; result: what the tool gave; answer: {"text": …}. Else null.
  const core::Json* content = nullptr;
  std::string_view args_text{};         // the same as RFC 8785 text
  const core::Json* session = nullptr;  // object of trusted values from the integrator
  const std::vector<Fact>* facts = nullptr;
  std::int64_t now_us = 0;
  bool flow_untrusted = false;       // the plan has read untrusted content
  const LabelMap* labels = nullptr;  // null: nothing is labelled, so everything is untrusted
  const StateReader* state = nullptr;
};

enum class Verdict { kAllow, kDeny, kAsk, kModify };
std::string_view VerdictName(Verdict verdict);  // "allow" "deny" "ask" "modify"

struct FiredRule {
  std::string id{};  // "refund/never-more-than-paid"
  // "allow" "deny" "ask" "modify" "limit" "reserve" "label" "note" "error", or "excepted": it
  // denied or asked, and an exception of its own layer or above took that back.
  std::string verdict{};
  std::string code{};     // UPPER_SNAKE for deny and error
  std::string say{};      // for the model
  std::string because{};  // for people and the log only
  int line = 0;
  std::string exception{};  // "policy/name", when excepted
};

// What rules add to the label of a value, for the host to keep.
struct LabelChange {
  std::string rule{};
  std::string path{};  // "result.body", "args.note"
  std::vector<std::string> tags{};
  bool untrusted = false;
  friend bool operator==(const LabelChange&, const LabelChange&) = default;
};

// People that are asked together: any of them may grant, `quorum` of them must.
struct ApprovalStage {
  std::vector<std::string> approvers{};
  int quorum = 1;
};

struct ApprovalDemand {
  std::string rule{};
  std::vector<std::string>
      approvers{};  // "role:cs-manager", "user:maria", "run-user"; any of them may grant
  int quorum = 1;
  std::int64_t expires_ms = 0;
  core::Json
      show{};  // {"args.amount": …, "facts.order.status": …}: values the approval is bound to
  std::string say{};
  // What is asked when the first stage (approvers, quorum) is complete, one after the other. Nobody
  // answers in two stages.
  std::vector<ApprovalStage> later{};
  // Whoever may answer besides when a stage has waited for so long; 0: nobody.
  std::int64_t escalate_after_ms = 0;
  std::vector<std::string> escalate_to{};
  std::int64_t remind_ms = 0;  // between reminders while it waits; 0: none
};

struct Reservation {
  std::string rule{};
  BudgetDecl budget{};
  std::string scope{};  // value of `per` ("tenant:main", "user:…")
  std::int64_t window_start_us = 0;
  std::int64_t amount = 0;
};

struct LimitUse {
  std::string rule{};
  std::string key{};  // "<rule>/<key text>"
  std::int64_t max = 0;
  std::int64_t per_ms = 0;
};

// What a call that goes on adds to a velocity: itself, and an amount where one is summed.
struct Tally {
  std::string velocity{};      // "refund/paid"
  std::string key{};           // "refund/paid:USD/u1", of a counter
  bool summed = false;         // `amount` is one
  std::int64_t amount = 0;     // 0 and up, in the velocity's unit
  std::int64_t within_ms = 0;  // how far back rules may ask
};

struct Decision {
  Verdict verdict = Verdict::kDeny;
  std::string code = "DEFAULT_DENY";  // of the strongest reason; "OK" when allowed
  std::string say{};                  // what the model may read
  std::vector<FiredRule> rules{};     // every rule that said something, sorted by id
  std::vector<ApprovalDemand> demands{};
  std::vector<Reservation> reservations{};
  std::vector<LimitUse> limits{};
  std::vector<Tally> tallies{};                  // sorted by velocity
  std::optional<core::Json> modified_args{};     // verdict kModify, phase call
  std::optional<core::Json> modified_content{};  // verdict kModify, the other phases
  std::vector<LabelChange> labels{};
  // Rules in shadow that spoke, and what the verdict would be with them; empty and equal to
  // `verdict` when none did.
  std::vector<FiredRule> shadow{};
  Verdict shadow_verdict = Verdict::kDeny;
  core::Json fix{};  // suggested args, null when none
  std::vector<VersionedRead> reads{};
  core::Digest bundle_id{};
  core::Digest input_digest{};  // InputDigest; Decide leaves it to whoever records the decision
};

// Everything that the decision depends on besides the bundle and `reads`, as one canonical JSON
// object. Uses args_text when it is there.
std::string CanonicalInput(const DecisionInput& input);
// SHA-256 of it.
core::Digest InputDigest(const DecisionInput& input);

// The decision as one canonical JSON object: equal inputs and bundle give equal bytes on every
// machine.
std::string CanonicalDecision(const Decision& decision);

}  // namespace interlock::policies
