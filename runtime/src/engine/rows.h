// The rows that the log folds into: what the journal decides on, and what lists and views read.
// Derived from entry bytes alone (rule 22): no content, people and objects as HMACs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "policies/approval.h"
#include "runtime/engine.h"

namespace interlock::runtime {

struct RunRow {
  static constexpr const char* kTable = "p_run";
  std::string run;
  std::string agent;
  std::string agent_digest;
  RunState state = RunState::kRunning;
  std::string principal;
  std::string subject;  // HMAC
  std::string user;     // HMAC, empty when there is none
  std::int64_t create_us = 0;
  std::int64_t update_us = 0;
  std::int64_t steps = 0;
  std::int64_t first_index = 0;
  std::int64_t newest_index = 0;
  std::int64_t entries = 0;
  std::string newest_hash;       // hex
  std::int64_t message_us = 0;   // when the newest message came
  std::int64_t messages = 0;     // of the user, so far
  std::int64_t untrusted = 0;    // 1: the planner was given untrusted content
  std::int64_t text_index = -1;  // entry that holds the answer, question or failure (slot 0)
  std::string code;
  // Of a run that an agent called as a tool; empty and 0 of any other.
  std::string parent;
  std::string root;
  std::string parent_call;
  std::string above;         // agents of the runs above it, space separated, the root's first
  std::int64_t started = 0;  // of a root: runs below it
  std::string waits_for;     // runs, space separated, while it waits for them
  std::string told_by;       // who has told it what to do as an operator, space separated
  // What its own requests to models came to.
  std::int64_t tokens_in = 0;
  std::int64_t tokens_out = 0;
  std::string cost;                   // "<amount>:<unit>", space separated
  std::string saved;                  // as above, by replies from a cache
  std::int64_t cache_hits = 0;        // replies from a cache
  std::int64_t asked = 0;             // replies from a provider
  std::int64_t tokens_cached = 0;     // of tokens_in
  std::int64_t tokens_reasoning = 0;  // of tokens_out
  static constexpr std::string RunRow::*kKey = &RunRow::run;
  template <typename Self, typename Visit>
  static void Fields(Self& r, Visit visit) {
    visit("run", r.run), visit("agent", r.agent), visit("agent_digest", r.agent_digest);
    visit("state", r.state), visit("principal", r.principal), visit("subject", r.subject);
    visit("user", r.user), visit("create_us", r.create_us), visit("update_us", r.update_us);
    visit("steps", r.steps), visit("first_index", r.first_index);
    visit("newest_index", r.newest_index), visit("entries", r.entries);
    visit("newest_hash", r.newest_hash), visit("message_us", r.message_us);
    visit("messages", r.messages), visit("untrusted", r.untrusted);
    visit("text_index", r.text_index), visit("code", r.code);
    visit("parent", r.parent), visit("root", r.root), visit("parent_call", r.parent_call);
    visit("above", r.above), visit("started", r.started), visit("waits_for", r.waits_for);
    visit("told_by", r.told_by);
    visit("tokens_in", r.tokens_in), visit("tokens_out", r.tokens_out), visit("cost", r.cost);
    visit("saved", r.saved), visit("cache_hits", r.cache_hits), visit("asked", r.asked);
    visit("tokens_cached", r.tokens_cached), visit("tokens_reasoning", r.tokens_reasoning);
  }
};

// What requests to models came to on one day (UTC). Key: "<day>|<planner>|<provider>|<model>".
struct ModelDayRow {
  static constexpr const char* kTable = "p_model_day";
  std::string key;
  std::string day;      // "2026-11-23"
  std::string planner;  // that was asked: an endpoint or a route
  std::string provider;
  std::string model;
  std::int64_t requests = 0;
  std::int64_t failed = 0;  // of these: there was no reply
  std::int64_t tokens_in = 0;
  std::int64_t tokens_cached = 0;
  std::int64_t tokens_out = 0;
  std::int64_t tokens_reasoning = 0;
  std::string cost;   // as of a run
  std::string saved;  // likewise
  std::int64_t cache_hits = 0;
  std::int64_t asked = 0;
  static constexpr std::string ModelDayRow::*kKey = &ModelDayRow::key;
  template <typename Self, typename Visit>
  static void Fields(Self& r, Visit visit) {
    visit("key", r.key), visit("day", r.day), visit("planner", r.planner);
    visit("provider", r.provider), visit("model", r.model), visit("requests", r.requests);
    visit("failed", r.failed), visit("tokens_in", r.tokens_in);
    visit("tokens_cached", r.tokens_cached), visit("tokens_out", r.tokens_out);
    visit("tokens_reasoning", r.tokens_reasoning), visit("cost", r.cost);
    visit("saved", r.saved), visit("cache_hits", r.cache_hits), visit("asked", r.asked);
  }
};

// A part of 64 by the first bits of a subject's HMAC, which is hexadecimal. New calls of random
// subjects then touch the ends of 64 runs of an index, not a page each.
inline std::int64_t SubjectPart(std::string_view hmac) {
  const auto digit = [&](std::size_t i) {
    return i >= hmac.size() ? 0 : hmac[i] <= '9' ? hmac[i] - '0' : hmac[i] - 'a' + 10;
  };
  return (digit(0) * 16 + digit(1)) / 4;
}

struct CallRow {
  static constexpr const char* kTable = "p_call";
  std::string call;
  std::string run;
  std::string tool;
  CallState state = CallState::kProposed;
  std::string principal;
  std::string subject;  // HMAC
  std::int64_t subject_part = 0;
  std::int64_t step = -1;
  std::int64_t position = -1;
  std::string verdict;
  std::string code;
  std::string outcome;
  std::string level;
  std::string effect;      // "money", …; empty before the intent
  std::string effect_key;  // of the current intent: an HMAC, or the call's id
  std::string idempotency_key;
  std::string locks;     // HMACs, space separated, of the current intent
  std::string counters;  // HMACs, space separated
  std::int64_t attempt = 0;
  std::int64_t create_us = 0;
  std::int64_t update_us = 0;
  std::int64_t intent_us = 0;  // of the first intent
  std::int64_t proposed_index = -1;
  std::int64_t edited_index = -1;  // of the newest call.edited
  std::int64_t edits = 0;
  // Of a call without a run that was edited and is not decided anew; 0: of none. Then it is
  // withdrawn.
  std::int64_t edit_until_us = 0;
  std::int64_t decided_index = -1;
  std::int64_t intended_index = -1;  // of the newest intent
  std::int64_t outcome_index = -1;
  std::int64_t released_index = -1;  // of result.released
  std::int64_t newest_index = 0;
  std::string newest_hash;
  std::string resolved_by;  // principals that said the same of an unknown outcome so far
  std::string resolved_as;  // "happened" | "not_happened"
  std::string agent;        // that proposed it; empty: none
  std::string rules;        // of the newest decision, space separated, each once
  std::string approved_by;  // principals whose grants were used, space separated
  std::int64_t amount = 0;  // money that moved, minor units
  std::string unit;         // its currency
  std::int64_t compensable =
      0;                       // 1: what it settles is noted, to be credited when it is taken back
  std::string compensated_by;  // the call that took it back
  static constexpr std::string CallRow::*kKey = &CallRow::call;
  template <typename Self, typename Visit>
  static void Fields(Self& r, Visit visit) {
    visit("call", r.call), visit("run", r.run), visit("tool", r.tool), visit("state", r.state);
    visit("principal", r.principal), visit("subject", r.subject);
    visit("subject_part", r.subject_part), visit("step", r.step), visit("position", r.position);
    visit("verdict", r.verdict), visit("code", r.code), visit("outcome", r.outcome);
    visit("level", r.level), visit("effect", r.effect), visit("effect_key", r.effect_key);
    visit("idempotency_key", r.idempotency_key), visit("locks", r.locks);
    visit("counters", r.counters), visit("attempt", r.attempt), visit("create_us", r.create_us);
    visit("update_us", r.update_us), visit("intent_us", r.intent_us);
    visit("proposed_index", r.proposed_index), visit("edited_index", r.edited_index);
    visit("edits", r.edits), visit("edit_until_us", r.edit_until_us);
    visit("decided_index", r.decided_index), visit("intended_index", r.intended_index);
    visit("outcome_index", r.outcome_index), visit("released_index", r.released_index);
    visit("newest_index", r.newest_index), visit("newest_hash", r.newest_hash);
    visit("resolved_by", r.resolved_by), visit("resolved_as", r.resolved_as);
    visit("agent", r.agent), visit("rules", r.rules), visit("approved_by", r.approved_by);
    visit("amount", r.amount), visit("unit", r.unit);
    visit("compensable", r.compensable), visit("compensated_by", r.compensated_by);
  }
};

struct ApprovalRow {
  static constexpr const char* kTable = "p_approval";
  std::string approval;
  std::string call;
  std::string run;
  std::string tool;
  policies::ApprovalPhase phase = policies::ApprovalPhase::kPending;
  std::string rule;
  std::int64_t quorum = 1;
  std::string granted_by;  // space separated names
  std::string binding;     // HMAC of the binding digest
  std::string approvers;   // space separated, people as HMACs
  std::string editors;     // who edited the arguments, space separated, as in granted_by
  std::string told_by;     // who had told the run what to do, space separated
  std::int64_t expires_us = 0;
  std::int64_t create_us = 0;
  std::int64_t update_us = 0;
  std::int64_t entry_index = 0;  // approval.requested (slot 0: the demand)
  std::string granted_for;       // in whose place some of granted_by spoke
  std::string relayed_by;        // principals who passed on the user's yes
  std::string quorums;           // of each stage, space separated; empty: there is one
  std::int64_t stage = 0;        // that is asked now; 0: the first
  std::int64_t in_stage = 0;     // of granted_by
  std::string escalate_to;       // people as HMACs
  std::int64_t escalate_ms = 0;  // after which a stage escalates; 0: never
  std::int64_t escalate_us = 0;  // when this one does; 0: it has, or it never does
  std::int64_t escalated = 0;    // 1: this stage has
  std::int64_t remind_ms = 0;
  std::int64_t remind_us = 0;  // when it is reminded of next; 0: no more
  std::int64_t reminders = 0;
  static constexpr std::string ApprovalRow::*kKey = &ApprovalRow::approval;
  template <typename Self, typename Visit>
  static void Fields(Self& r, Visit visit) {
    visit("approval", r.approval), visit("call", r.call), visit("run", r.run);
    visit("tool", r.tool), visit("phase", r.phase), visit("rule", r.rule);
    visit("quorum", r.quorum), visit("granted_by", r.granted_by), visit("binding", r.binding);
    visit("approvers", r.approvers), visit("editors", r.editors);
    visit("told_by", r.told_by), visit("expires_us", r.expires_us);
    visit("create_us", r.create_us), visit("update_us", r.update_us);
    visit("entry_index", r.entry_index), visit("granted_for", r.granted_for);
    visit("relayed_by", r.relayed_by);
    visit("quorums", r.quorums), visit("stage", r.stage), visit("in_stage", r.in_stage);
    visit("escalate_to", r.escalate_to), visit("escalate_ms", r.escalate_ms);
    visit("escalate_us", r.escalate_us), visit("escalated", r.escalated);
    visit("remind_ms", r.remind_ms), visit("remind_us", r.remind_us);
    visit("reminders", r.reminders);
  }
};

// Key: "<budget>|<unit>|<scope HMAC>|<window start>".
struct BudgetRow {
  static constexpr const char* kTable = "p_budget";
  std::string key;
  std::string budget;
  std::string scope;
  std::string unit;
  std::int64_t window_us = 0;
  std::int64_t limit_amount = 0;
  std::int64_t held = 0;
  std::int64_t settled = 0;
  std::int64_t version = 0;
  static constexpr std::string BudgetRow::*kKey = &BudgetRow::key;
  template <typename Self, typename Visit>
  static void Fields(Self& r, Visit visit) {
    visit("key", r.key), visit("budget", r.budget), visit("scope", r.scope), visit("unit", r.unit);
    visit("window_us", r.window_us), visit("limit_amount", r.limit_amount), visit("held", r.held);
    visit("settled", r.settled), visit("version", r.version);
  }
};

// An open hold: settled or released, it is gone, and what it came to stands in its entry.
struct HoldRow {
  static constexpr const char* kTable = "p_hold";
  std::string hold;
  std::string call;
  std::string budget_key;
  std::string unit;
  std::int64_t amount = 0;
  static constexpr std::string HoldRow::*kKey = &HoldRow::hold;
  template <typename Self, typename Visit>
  static void Fields(Self& r, Visit visit) {
    visit("hold", r.hold), visit("call", r.call), visit("budget_key", r.budget_key);
    visit("unit", r.unit), visit("amount", r.amount);
  }
};

// Open holds of one call, so that a restart finds them without a scan.
struct CallHoldsRow {
  static constexpr const char* kTable = "p_call_holds";
  std::string call;
  std::string holds;  // space separated
  static constexpr std::string CallHoldsRow::*kKey = &CallHoldsRow::call;
  template <typename Self, typename Visit>
  static void Fields(Self& r, Visit visit) {
    visit("call", r.call), visit("holds", r.holds);
  }
};

// Open approvals of one run: what a message or the run's end may void (rule 15); and as
// "edit:<call>" the calls that an edit has freed of theirs, until they are decided on. The row
// "below:<run>" has those of all runs that work for that one.
struct RunApprovalsRow {
  static constexpr const char* kTable = "p_run_approvals";
  std::string run;
  std::string open;  // space separated
  static constexpr std::string RunApprovalsRow::*kKey = &RunApprovalsRow::run;
  template <typename Self, typename Visit>
  static void Fields(Self& r, Visit visit) {
    visit("run", r.run), visit("open", r.open);
  }
};

// What holds of a call came to that can be taken back: it is credited to its budgets then.
struct CreditRow {
  static constexpr const char* kTable = "p_credit";
  std::string call;
  std::string settled;  // "<hold>:<amount>:<budget key>", space separated
  static constexpr std::string CreditRow::*kKey = &CreditRow::call;
  template <typename Self, typename Visit>
  static void Fields(Self& r, Visit visit) {
    visit("call", r.call), visit("settled", r.settled);
  }
};

// An effect key that is open or successful (rule 8). Absent or undone: free.
struct EffectRow {
  static constexpr const char* kTable = "p_effect";
  std::string key;
  std::string call;
  std::int64_t undone = 0;  // 1: it was taken back
  // By this call, whose own key stays taken until the effect has happened again.
  std::string undone_by;
  std::string undone_key;
  static constexpr std::string EffectRow::*kKey = &EffectRow::key;
  template <typename Self, typename Visit>
  static void Fields(Self& r, Visit visit) {
    visit("key", r.key), visit("call", r.call), visit("undone", r.undone);
    visit("undone_by", r.undone_by), visit("undone_key", r.undone_key);
  }
};

// A lock key whose newest writer has an intent without a known outcome (rule 3). Absent: settled.
struct LockRow {
  static constexpr const char* kTable = "p_lock";
  std::string key;
  std::string call;
  static constexpr std::string LockRow::*kKey = &LockRow::key;
  template <typename Self, typename Visit>
  static void Fields(Self& r, Visit visit) {
    visit("key", r.key), visit("call", r.call);
  }
};

// A sliding window: "<time_us>:<call> …", oldest first; "<time_us>:<call>:<amount>" where amounts
// are summed. Of a key with more than kCounterEventsMax events the older ones stand together, as
// "<time_us>:*<count>:<amount>" with the time of the newest of them: they leave the window late
// rather than early.
inline constexpr std::size_t kCounterEventsMax = 512;
struct CounterRow {
  static constexpr const char* kTable = "p_counter";
  std::string key;
  std::string events;
  std::int64_t version = 0;
  static constexpr std::string CounterRow::*kKey = &CounterRow::key;
  template <typename Self, typename Visit>
  static void Fields(Self& r, Visit visit) {
    visit("key", r.key), visit("events", r.events), visit("version", r.version);
  }
};

// A request_id that was used (as an HMAC of principal and id), what it asked for (as an HMAC of
// method, target and content), and what it made.
struct RequestRow {
  static constexpr const char* kTable = "p_request";
  std::string request;
  std::string digest;
  std::string kind;  // "run" | "message" | "call" | "approval" | "cancel" | "resolve"
  std::string name;
  static constexpr std::string RequestRow::*kKey = &RequestRow::request;
  template <typename Self, typename Visit>
  static void Fields(Self& r, Visit visit) {
    visit("request", r.request), visit("digest", r.digest), visit("kind", r.kind);
    visit("name", r.name);
  }
};

// A destroyed key, and the newest payload.erased that names it.
struct ErasureRow {
  static constexpr const char* kTable = "p_erasure";
  std::string key;
  std::string subject;  // HMAC
  std::string reason;
  std::string legal_basis;
  std::int64_t entry_index = 0;
  std::int64_t time_us = 0;
  static constexpr std::string ErasureRow::*kKey = &ErasureRow::key;
  template <typename Self, typename Visit>
  static void Fields(Self& r, Visit visit) {
    visit("key", r.key), visit("subject", r.subject), visit("reason", r.reason);
    visit("legal_basis", r.legal_basis), visit("entry_index", r.entry_index);
    visit("time_us", r.time_us);
  }
};

// For whom a call without a run was made: a run says that itself.
struct CallUserRow {
  static constexpr const char* kTable = "p_call_user";
  std::string call;
  std::string user;            // HMAC
  std::int64_t create_us = 0;  // of the call
  static constexpr std::string CallUserRow::*kKey = &CallUserRow::call;
  template <typename Self, typename Visit>
  static void Fields(Self& r, Visit visit) {
    visit("call", r.call), visit("user", r.user), visit("create_us", r.create_us);
  }
};

// A look at content (access.read). Key: the entry's index, 20 digits.
struct AccessRow {
  static constexpr const char* kTable = "p_access";
  std::string key;
  std::string actor;
  std::string what;        // "run", "payload", "search", …
  std::string target_run;  // empty: none
  std::string reason;      // in the words of who looked
  std::string slots;       // of the entry's payloads, as words; empty: not of one entry
  std::string fields;      // as words, when only these arguments were shown
  std::string log;         // origin of the closed log that it stands in; empty: this one
  std::int64_t first_index = -1;
  std::int64_t last_index = -1;
  std::int64_t entry_index = 0;
  std::int64_t time_us = 0;
  static constexpr std::string AccessRow::*kKey = &AccessRow::key;
  template <typename Self, typename Visit>
  static void Fields(Self& r, Visit visit) {
    visit("key", r.key), visit("actor", r.actor), visit("what", r.what);
    visit("reason", r.reason), visit("slots", r.slots), visit("fields", r.fields);
    visit("target_run", r.target_run), visit("first_index", r.first_index);
    visit("last_index", r.last_index), visit("entry_index", r.entry_index);
    visit("time_us", r.time_us), visit("log", r.log);
  }
};

// Single facts of the partition ("bundle": the active one).
struct FactRow {
  static constexpr const char* kTable = "p_setting";
  std::string name;
  std::string value;
  static constexpr std::string FactRow::*kKey = &FactRow::name;
  template <typename Self, typename Visit>
  static void Fields(Self& r, Visit visit) {
    visit("name", r.name), visit("value", r.value);
  }
};

}  // namespace interlock::runtime
