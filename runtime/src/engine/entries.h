// What the engine writes: one function an entry kind, text appended in canonical form, content
// sealed. The forms are described in docs/entries.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/keys.h"
#include "audit/log.h"
#include "core/json.h"
#include "policies/decision.h"
#include "runtime/engine.h"
#include "runtime/planner.h"
#include "tools/executor.h"

namespace interlock::runtime {

// An entry that waits for the serial section.
struct Draft {
  std::string_view kind;  // a literal
  std::string run;
  std::string actor;
  std::string body;
  std::vector<std::string> cites;
  std::vector<audit::SealedPayload> payloads;
};

Draft MakeDraft(std::string_view kind, std::string run, std::string actor);

// Seals content for one subject. Borrowed key store; copyable; thread-safe.
class Sealer {
 public:
  Sealer(audit::KeyStore& keys, std::shared_ptr<const audit::SubjectKey> key)
      : keys_(&keys), key_(std::move(key)) {}

  // Adds a payload to the draft and returns the commitment object that names it.
  std::string Seal(Draft& draft, std::string_view media, std::string_view plaintext) const;
  std::string Text(Draft& draft, std::string_view text) const {
    return Seal(draft, "text/plain", text);
  }
  std::string JsonText(Draft& draft, std::string_view json) const {
    return Seal(draft, "application/json", json);
  }
  // Canonical arguments: besides the whole, each top-level field is committed to by itself
  // (docs/entries.md), where the object is of a modest shape and the tool's schema names each of
  // them. Any other name is whatever a model wrote, and would outlive an erasure.
  std::string Args(Draft& draft, std::string_view json, const tools::Tool* tool) const;
  audit::KeyStore& keys() const { return *keys_; }

 private:
  static std::string Name(Draft& draft, audit::SealedPayload payload, std::string_view fields);

  audit::KeyStore* keys_;
  std::shared_ptr<const audit::SubjectKey> key_;
};

// Builds a body: fields must be added in key order (checked).
class BodyWriter {
 public:
  explicit BodyWriter(Draft& draft) : writer_(draft.body) {}
  BodyWriter& String(std::string_view key, std::string_view value) {
    writer_.String(key, value);
    return *this;
  }
  BodyWriter& Int(std::string_view key, std::int64_t value) {
    writer_.Int(key, value);
    return *this;
  }
  BodyWriter& Bool(std::string_view key, bool value) {
    writer_.Bool(key, value);
    return *this;
  }
  BodyWriter& Raw(std::string_view key, std::string_view json) {
    writer_.Raw(key, json);
    return *this;
  }
  // Only when it is not empty.
  BodyWriter& Optional(std::string_view key, std::string_view value) {
    if (!value.empty()) writer_.String(key, value);
    return *this;
  }
  void Close() { writer_.Close(); }

 private:
  core::JsonObjectWriter writer_;
};

std::string JsonStrings(const std::vector<std::string>& texts);  // ["a","b"]

// Where a run stands that an agent called as a tool (ADR 42).
struct Lineage {
  std::string parent;                // run
  std::string call;                  // of the parent
  std::string root;                  // run
  std::vector<std::string> agents;   // of the runs above it, the root's first
  std::vector<std::string> editors;  // of arguments of the calls that led here, as in EditFields
  std::vector<std::string> told_by;  // operators who had told those runs what to do
  std::int64_t runs_max = 0;         // below the root
};

// A call as the gate carries it: who, what, in which run. Values are as authenticated or
// configured.
struct CallIdentity {
  std::string call;  // UUID
  std::string run;   // empty for a call without a run
  std::string agent;
  std::string principal;
  std::vector<std::string> roles;
  std::string user;     // plain; empty: none
  std::string subject;  // plain
  std::shared_ptr<const core::Json> session;
  std::int64_t step = -1;
  std::int64_t position = -1;
  std::string tool;
  std::string args_text;                     // as proposed
  std::string request;                       // HMAC; empty when none
  std::string request_digest;                // HMAC of what was asked for
  std::string request_id;                    // plain
  std::string compensates{};                 // the call that this one takes back; empty: none
  std::shared_ptr<const Lineage> lineage{};  // null: its run was asked for from outside

  // Who may see what is fetched for it: its user, or whoever made it.
  std::vector<std::string> Readers() const { return {user.empty() ? principal : user}; }
  // By which rules and budgets know it: the topmost run.
  const std::string& Root() const { return lineage == nullptr ? run : lineage->root; }
  std::int64_t Depth() const {
    return lineage == nullptr ? 0 : static_cast<std::int64_t>(lineage->agents.size());
  }
  // The agent that called this one.
  std::string_view Caller() const {
    return lineage == nullptr || lineage->agents.empty() ? std::string_view()
                                                         : lineage->agents.back();
  }
  std::string Actor() const {
    if (!compensates.empty()) return "engine";
    return agent.empty() ? "principal:" + principal : "agent:" + agent;
  }
};

// `canonical_args`: of a call whose arguments were checked, else empty. Where they are what was
// proposed, byte for byte, each field is committed to by itself, and call.decided need not repeat
// them. `tool`: null when there is none of that name.
Draft DraftProposed(const CallIdentity& id, const Sealer& sealer, const tools::Tool* tool,
                    std::string_view canonical_args);
Draft DraftFacts(const CallIdentity& id, const Sealer& sealer,
                 const std::vector<policies::Fact>& facts, int round);

struct DecidedFields {
  std::string_view effect;  // "allow" "deny" "ask" "modify" "refuse"
  std::string_view code;
  std::string_view say;
  const policies::Decision* decision = nullptr;  // null for "refuse"
  std::string_view args;                         // canonical text; empty for "refuse"
  const tools::Tool* tool = nullptr;             // whose they are
  int round = 0;
  std::int64_t window_ms = 0;                  // how far back counters were counted
  const policies::LabelMap* labels = nullptr;  // of the arguments; null: they have none
  // Of the decision's input, with `decision` only.
  std::int64_t now_us = 0;
  bool untrusted = false;
};
Draft DraftDecided(const CallIdentity& id, const Sealer& sealer, const DecidedFields& fields);

struct HoldFields {
  std::string hold;
  std::string budget;
  std::string scope;  // HMAC
  std::string unit;
  std::int64_t window_us = 0;
  std::int64_t limit = 0;
  std::int64_t amount = 0;
};
// Of a request to a run's planner: `id` has the run and no call.
Draft DraftHeld(const CallIdentity& id, const HoldFields& hold);
Draft DraftSettled(const CallIdentity& id, const HoldFields& hold, std::int64_t amount,
                   bool flagged);
Draft DraftReleased(const CallIdentity& id, const HoldFields& hold, std::string_view why);

// Beside the outcome of the call `id` that took back `id.compensates`: what the hold had come to,
// as far as it goes back.
Draft DraftCredited(const CallIdentity& id, const HoldFields& hold);
Draft DraftCompensated(const CallIdentity& id);

struct IntentFields {
  int attempt = 1;
  bool builtin = false;
  bool compensable = false;
  std::vector<std::string> counters;  // HMACs, "HMAC:amount" where amounts are summed
  std::string effect;
  std::string effect_key;  // HMAC, or the call's id
  std::string idempotency_key;
  std::string level;  // as tools::Executor::LevelFor
  std::string level_min;
  std::string limits;              // digest name
  std::vector<std::string> locks;  // HMACs
  std::string profile;
  std::string starts{};              // the run that it starts; empty: it is no agent's
  std::int64_t starts_tokens = 0;    // that this run is granted; 0: no limit
  std::vector<std::string> targets;  // what it may reach on the network (rule 25)
  std::string tool_digest;           // digest name
  std::int64_t wall_ms = 0;          // that it may take, where that is less than its limits say
};
Draft DraftIntended(const CallIdentity& id, const IntentFields& intent);

// How a run ended that a call started: what the log of its parent keeps of it.
struct RunEnd {
  std::string run{};
  RunState state = RunState::kFailed;
  std::int64_t tokens = 0;             // of the model, with those of runs below it
  std::vector<std::string> effects{};  // calls that can be taken back, oldest first
  policies::Label label{};             // of what it answered
  std::vector<std::string> told_by{};  // operators who had told it what to do
  bool stands = false;          // something that it or one below it did, and nobody takes that back
  bool effects_beside = false;  // too many for the entry: they stand in the payload of the label
};

struct OutcomeFields {
  int attempt = 1;
  std::string kind;  // "ok", …, "reconciled_done"
  std::string code;
  std::string detail;                       // content
  std::string level;                        // of the intent; of a box its report says it
  const tools::Outcome* outcome = nullptr;  // null when nothing ran
  const RunEnd* ended = nullptr;            // of the run that it started; null: it is no agent's
};
// Which profile and, where that is known, which program: adjacent in every body that tells of a
// box.
void AddBoxDigests(BodyWriter& body, const sandbox::BoxResult& box);
Draft DraftOutcome(const CallIdentity& id, const Sealer& sealer, const OutcomeFields& fields);

// What the rules about results made of one (rule 7).
struct Release {
  bool untrusted = true;
  bool trusted_tool = false;  // by its manifest, before any rule spoke
  std::vector<std::string> tags;
  bool withheld = false;
  std::string code;  // why it is withheld
  std::string say;
  std::vector<policies::LabelChange> changes;  // what rules said of it or of parts of it
  std::vector<std::string> readers;            // who asked for it
  std::vector<std::string> sources{};          // whose words it passes on, beside its tool's
  bool by_handle = false;                      // named to the planner, not shown
  bool preview = false;                        // of it the first part is shown, and its name
  std::optional<core::Json> changed;           // shown in its place
  std::vector<policies::FiredRule> rules{};
  core::Digest bundle_id{};  // zero: no rule was asked
};
// Labels: "untrusted" or "trusted", then "tag:…" of each tag. What rules said of parts of it, and
// who may see it, is sealed beside them.
Draft DraftResultReleased(const CallIdentity& id, const Sealer& sealer, const Release& release);
// "untrusted" or "trusted", then "tag:…" of each.
std::vector<std::string> LabelWords(bool untrusted, const std::vector<std::string>& tags);
// Whether they would fill the entry that names them (32 KiB as JSON).
bool IsTooManyTags(const std::vector<std::string>& tags);
inline constexpr std::string_view kTooManyTags = "TOO_MANY_TAGS";

// What rules made of a message, an answer or a question; of an answer also its schema.
struct JudgedText {
  bool withheld = false;
  std::string code;                    // why
  std::string say;                     // for the planner
  std::optional<std::string> changed;  // read or given in its place
  bool untrusted = false;              // rules about messages said so
  std::vector<std::string> tags;
  std::vector<policies::FiredRule> rules{};
  std::vector<policies::LimitUse> limits;
  std::vector<policies::VersionedRead> reads;
  std::int64_t window_ms = 0;  // that it counted over
  core::Digest bundle_id{};    // zero: no rule was asked

  bool silent() const { return !withheld && !changed && rules.empty(); }
};

struct MessageFields {
  std::string actor;
  std::string_view from;  // "user", "operator" or "agent"
  std::string_view text;  // as it came
  std::string_view request;
  std::string_view request_digest;
  const JudgedText* judged = nullptr;
  const policies::Label* label = nullptr;  // that it came with; null: whoever wrote it is trusted
};
Draft DraftMessage(const std::string& run, const Sealer& sealer, const MessageFields& fields);
// `what`: "answer", "question" or "summary".
Draft DraftAnswerChecked(const std::string& run, const Sealer& sealer, std::string_view what,
                         const JudgedText& judged);
// What the planner reads in place of a message that is withheld.
std::string WithheldMessage(std::string_view code, std::string_view say);

// What rules said of a result or its parts, and back (result.released).
core::Json ChangesToJson(const std::vector<policies::LabelChange>& changes);
std::vector<policies::LabelChange> ChangesFromJson(const core::Json& json);

// --- approvals (approval_entries.cc)
struct ApprovalFields {
  std::string approval;
  std::string binding;  // HMAC of the binding digest
  std::int64_t expires_us = 0;
  const policies::ApprovalDemand* demand = nullptr;
  std::vector<std::string> editors{};  // of the arguments, as in EditFields
  std::vector<std::string> told_by{};  // "principal:<id>", who had told the run what to do
};
Draft DraftApprovalRequested(const CallIdentity& id, const Sealer& sealer,
                             const ApprovalFields& fields);
// Of timers: an approval that nobody has answered for long.
Draft DraftEscalated(const std::string& run, const std::string& call, const std::string& approval,
                     const std::vector<std::string>& to);
Draft DraftReminded(const std::string& run, const std::string& call, const std::string& approval,
                    std::int64_t count);
// `kind`: approval.consumed | approval.expired.
Draft DraftApprovalEnded(std::string_view kind, const std::string& run, const std::string& call,
                         const std::string& approval);
Draft DraftApprovalVoided(const std::string& run, const std::string& call,
                          const std::string& approval, std::string_view why, bool ends_call);

// Arguments that a person changed while their call was parked.
struct EditFields {
  std::string run{};  // empty: a call without one
  std::string actor{};
  std::string approval{};  // that was open
  std::string call{};
  std::string args{};  // canonical
  std::shared_ptr<const tools::Tool> tool{};
  std::string by{};                    // "principal:<id>" or "run-user"
  std::vector<std::string> editors{};  // all so far, this one included
  std::string reason{};
  std::string request{};
  std::string request_digest{};
  std::int64_t until_us = 0;  // when the approval that was open expires: its followers do too
};
Draft DraftEdited(const Sealer& sealer, const EditFields& edit);
// Of an edit that the policy does not allow: the call stays as it was.
Draft DraftEditRefused(const Sealer& sealer, const EditFields& edit, std::string_view code,
                       std::string_view say);

// Demands and facts as JSON, and back (approvals are shown and rebuilt from them).
core::Json DemandToJson(const policies::ApprovalDemand& demand);
policies::ApprovalDemand DemandFromJson(const core::Json& json);
core::Json FactsToJson(const std::vector<policies::Fact>& facts);
std::vector<policies::Fact> FactsFromJson(const core::Json& json);

// What the planner reads of a call (docs/tools.md).
std::string ObservationOk(const core::Json& result);
// Of a result that was left out of the prompt; `handle` may be empty.
std::string ObservationLeftOut(std::size_t bytes, std::string_view handle);
// With the name that arguments may carry instead of its text. `outline`: its shape alone.
std::string ObservationHandle(std::size_t number, std::string_view member, const core::Json& value);
core::Json WithheldJson(std::string_view code, std::string_view say);  // {"withheld":{…}}
std::string ObservationWithheld(std::string_view code, std::string_view say);
std::string ObservationDenied(std::string_view code, std::string_view say, const core::Json& fix);
// What it says of a call whose approval was refused (APPROVAL_REJECTED), or was not given in time.
std::string_view SayOfEnded(std::string_view code);
std::string ObservationFailed(std::string_view code, std::string_view message);
std::string ObservationPending(const std::vector<std::string>& approvals, std::string_view say);
std::string ObservationUnknown();

}  // namespace interlock::runtime
