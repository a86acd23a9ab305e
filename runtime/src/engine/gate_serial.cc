// What the gate does inside the journal's serial section: the last look at state that others may
// have moved, and the entries that make the decision, the holds, the consumed approvals and the
// intent one durable step.
#include <algorithm>
#include <map>

#include "core/check.h"
#include "engine/budget_view.h"
#include "engine/gate.h"
#include "engine/requests.h"
#include "engine/run_start.h"
#include "engine/run_state.h"
#include "engine/state_fields.h"
#include "engine/switches.h"
#include "policies/budget.h"

namespace interlock::runtime {
namespace {

// Rule 13: what lets a hold go. Anything else that started may have cost what was held.
bool CostNothing(const tools::Manifest& manifest, const std::string& kind,
                 const tools::Outcome& outcome) {
  if (kind == "not_started" || kind == "reconciled_not_done") return true;
  return kind == "failed" && manifest.failure == tools::FailureMeaning::kNoEffect &&
         outcome.reported_failure;
}

std::string SayFor(std::string_view code) {
  if (code == "DUPLICATE_EFFECT")
    return "This was done already, or is being done; do not repeat it.";
  if (code == "UNSETTLED")
    return "An earlier call on the same object has an unknown outcome; a person is asked.";
  if (code == "LIMIT") return "This was done too often in the last while.";
  if (code == "RUN_ENDED") return "The run has ended.";
  if (code == "CONFIRMATION_VOIDED") return "The user wrote again before confirming.";
  if (code == "APPROVAL_EXPIRED") return "The approval was not used in time.";
  if (code == kTooManyRuns) return "This run has started as many others as its agent may.";
  if (code == "APPROVAL_SPENT") return "The approval is no longer there to be used.";
  return "The policy does not allow this call.";
}

// What the objection said by itself tells more than the code does.
bool SaysMore(std::string_view code) {
  return code == "DUPLICATE_EFFECT" || code == "BUDGET" || code == kKilled || code == "CLOCK";
}

// A parked call that ended while it was on its way back: its confirmation was voided, say.
std::string EndedAs(State& state, const Ticket& ticket) {
  const CallRow* call = ticket.proposed ? state.FindCall(ticket.id.call) : nullptr;
  return call != nullptr && call->state == CallState::kDenied ? call->code : "";
}

// It has the lock in memory, too, which a call takes before it is decided.
bool IsUnderWay(State& state, const std::string& call) {
  const CallRow* row = state.FindCall(call);
  return row != nullptr && row->state == CallState::kIntended;
}

// The journal's order decides which switch stops a call, and whether one still does.
void StopAsOfNow(const std::optional<SwitchInfo>& stop, Ticket& ticket) {
  if (!stop) ticket.code = "BUSY";
  std::string say =
      stop ? KilledSay(*stop) : "A kill switch was lifted while this was decided; try again.";
  if (say != ticket.say) ticket.drafted_verdict.clear();  // what was sealed says something else
  ticket.say = std::move(say);
}

}  // namespace

bool Gate::MayPass(const Ticket& ticket, std::string_view code) {
  const policies::Decision& decision = ticket.decision;
  const bool by_rule = decision.bundle_id != core::Digest{} &&
                       decision.verdict == policies::Verdict::kDeny && decision.code == code;
  return !by_rule && (code == kKilled || code == "CLOCK" || code == "BUSY" || code == "UNSETTLED" ||
                      code == "NO_BUNDLE");
}

bool Gate::ReadBlindly(const Ticket& ticket) {
  const auto& reads = ticket.decision.reads;
  return std::any_of(reads.begin(), reads.end(), [](const policies::VersionedRead& read) {
    return !read.fits_only && read.version == kUnknownVersion;
  });
}

// Rule 1: every balance and counter whose value the decision rests on must stand as it was. What
// only had to fit is asked again by BudgetObjection.
bool Gate::StillHolds(Serial& serial, const Ticket& ticket) const {
  const LiveReader live(serial.state(), *parts_.keys, ticket.now_us);
  return std::all_of(
      ticket.decision.reads.begin(), ticket.decision.reads.end(),
      [&](const auto& read) { return read.fits_only || live.VersionOf(read) == read.version; });
}

core::Status Gate::Redecide(Serial& serial, Ticket& ticket) {
  const LiveReader live(serial.state(), *parts_.keys, ticket.now_us);
  INTERLOCK_CHECK(serial.engine() != nullptr);
  const policies::DecisionInput input = InputOf(ticket, live);
  ticket.decision = serial.engine()->Decide(input);
  ticket.decision.input_digest = policies::InputDigest(input);
  ticket.window_ms = WindowOf(ticket.decision, live.longest_ms());
  ticket.verdict = policies::VerdictName(ticket.decision.verdict);
  ticket.code = ticket.decision.code;
  ticket.say = ticket.decision.say;
  ticket.fix = ticket.decision.fix;
  ticket.drafted_verdict.clear();  // what was sealed tells of another decision
  if (ticket.decision.verdict == policies::Verdict::kModify) {
    ticket.verdict = "deny";  // the next try goes through its rounds from the start
    ticket.code = "BUSY";
    ticket.say = "Something changed while this was decided; try again.";
  }
  return core::OkStatus();
}

// What stops calls whatever they are about. Empty: nothing does.
std::string Gate::ObjectionToAny(Ticket& ticket) const {
  if (const auto stop = StoppedBy(ticket)) {
    ticket.say = KilledSay(*stop);
    return kKilled;
  }
  if (parts_.journal->state().clock_in_doubt()) {
    ticket.say = "The clock of this machine is in doubt; an operator has to confirm it first.";
    return "CLOCK";
  }
  return "";
}

// Why a call that the policy lets through (or asks about) must not go on. Empty: nothing against
// it.
std::string Gate::Objection(Serial& serial, Ticket& ticket) const {
  if (std::string objection = ObjectionToAny(ticket); !objection.empty()) return objection;
  State& state = serial.state();
  const bool own_key = ticket.effect_key == ticket.id.call;  // no other call can have it
  const EffectRow* effect = own_key ? nullptr : state.FindEffect(ticket.effect_key);
  if (effect != nullptr && effect->call != ticket.id.call && effect->undone == 0) {
    ticket.say =
        "This was done already, or is being done, by call " + effect->call + "; do not repeat it.";
    return "DUPLICATE_EFFECT";
  }
  if (ticket.tool->manifest().effect != tools::Effect::kRead) {
    for (const std::string& lock : ticket.locks) {
      const LockRow* held = state.FindLock(lock);
      if (held == nullptr || held->call == ticket.id.call) continue;
      if (!ticket.dry_run || !IsUnderWay(state, held->call)) return "UNSETTLED";
    }
  }
  return RunObjection(serial, ticket);
}

std::string Gate::BudgetObjection(Serial& serial, Ticket& ticket) const {
  State& state = serial.state();
  for (const GrantedApproval& granted : ticket.granted) {
    const ApprovalRow* row = state.FindApproval(granted.state.id);
    if (row == nullptr || row->phase != policies::ApprovalPhase::kGranted) return "APPROVAL_SPENT";
    if (row->expires_us <= serial.now_us()) return "APPROVAL_EXPIRED";
  }
  for (const policies::LimitUse& limit : ticket.decision.limits) {
    const CounterRow* counter = state.FindCounter(parts_.keys->Hmac("counter", limit.key));
    const std::int64_t used =
        counter == nullptr ? 0 : CountWithin(*counter, limit.per_ms, serial.now_us());
    if (used >= limit.max) return "LIMIT";
  }
  std::map<std::string, policies::BudgetState> balances;  // several reservations may share one
  for (const policies::Reservation& wanted : ticket.decision.reservations) {
    if (wanted.amount == 0) continue;
    const std::string key = BudgetKey(wanted.budget.name, wanted.budget.unit,
                                      ScopeKey(wanted.scope), wanted.window_start_us);
    const auto [at, fresh] = balances.try_emplace(key);
    const BudgetRow* row = fresh ? state.FindBudget(key) : nullptr;
    if (row != nullptr) {
      at->second = {.limit = row->limit_amount,
                    .held = row->held,
                    .settled = row->settled,
                    .version = static_cast<std::uint64_t>(row->version)};
    }
    if (policies::TryHold(at->second, wanted.budget.limit, wanted.amount) !=
        policies::HoldResult::kHeld) {
      ticket.say = "The budget " + wanted.budget.name + " does not cover this.";
      return "BUDGET";
    }
  }
  return "";
}

namespace {

// What a plan proposes is decided where the plan stands in the log already, or comes to stand in
// the same durable step.
core::Status PlanStands(Serial& serial, const Ticket& ticket) {
  const bool of_plan = !ticket.id.run.empty() && !ticket.proposed && ticket.id.compensates.empty();
  const RunRow* run = of_plan ? serial.state().FindRun(ticket.id.run) : nullptr;
  if (run == nullptr) return core::OkStatus();
  const std::int64_t plans = run->steps + (ticket.before ? 1 : 0);
  if (ticket.id.step < plans) return core::OkStatus();
  return core::FailedPrecondition("the plan that makes call `" + ticket.id.call +
                                  "` is not in the log");
}

}  // namespace

namespace {

// It would be held in a window that has ended, and the one that counts now would never know.
bool WindowIsOver(const policies::Decision& decision, std::int64_t now_us) {
  return std::any_of(decision.reservations.begin(), decision.reservations.end(),
                     [now_us](const policies::Reservation& wanted) {
                       return policies::WindowStart(now_us, wanted.budget.window_ms) !=
                              wanted.window_start_us;
                     });
}

}  // namespace

core::Status Gate::CommitPass(Serial& serial, Ticket& ticket) {
  INTERLOCK_RETURN_IF_ERROR(CheckWaits(ticket));
  if (ticket.before) {
    INTERLOCK_ASSIGN_OR_RETURN(const bool goes_on, ticket.before(serial));
    ticket.put_off = !goes_on;
    if (ticket.put_off) return core::OkStatus();
  }
  return CommitDecision(serial, ticket);
}

bool Gate::HasReadLess(Serial& serial, const Ticket& ticket) {
  const RunRow* run = ticket.reads == nullptr ? nullptr : serial.state().FindRun(ticket.id.run);
  return run != nullptr && run->messages != ticket.read.messages;
}

core::Status Gate::CommitDecision(Serial& serial, Ticket& ticket) {
  INTERLOCK_RETURN_IF_ERROR(PlanStands(serial, ticket));
  if (!ticket.id.request.empty() && !ticket.proposed) {
    const RequestRow* earlier = serial.state().FindRequest(ticket.id.request);
    if (earlier != nullptr) {
      INTERLOCK_RETURN_IF_ERROR(SameRequest(*earlier, ticket.id.request_digest));
      return core::Error(core::StatusCode::kAlreadyExists, earlier->name);
    }
  }
  if (ticket.decided_index >= 0) {
    const CallRow* call = serial.state().FindCall(ticket.id.call);
    if (call == nullptr || call->state != CallState::kParked ||
        call->decided_index != ticket.decided_index || call->edited_index != ticket.edited_index) {
      return core::Error(core::StatusCode::kAborted, "it was decided meanwhile");
    }
  }
  const bool decided = ticket.decision.bundle_id != core::Digest{} && ticket.verdict != "refuse";
  // A decision is by the bundle in force where it stands in the log, or it is made again.
  ticket.stale = ticket.stale || (decided && serial.engine() != nullptr &&
                                  serial.engine()->bundle().id() != ticket.decided_by);
  if (!ticket.stale && HasReadLess(serial, ticket))
    (decided ? ticket.stale : ticket.put_off) = true;
  if (ticket.stale || ticket.put_off) return core::OkStatus();
  if (!decided && ticket.code == kKilled) StopAsOfNow(StoppedBy(ticket), ticket);
  ticket.stale = decided && WindowIsOver(ticket.decision, serial.now_us());
  if (ticket.stale) return core::OkStatus();
  const bool denied = ticket.verdict == "deny";
  if (decided && ((denied && ReadBlindly(ticket)) || !StillHolds(serial, ticket))) {
    INTERLOCK_RETURN_IF_ERROR(Redecide(serial, ticket));
    ticket.stale = denied && ticket.verdict != "deny";  // a place to run in is not taken here
    if (ticket.stale) return core::OkStatus();
  }
  const bool covered = ticket.verdict == "ask" && Covered(ticket);
  const bool goes = ticket.verdict == "allow" || covered;
  // Decided anew, it may go on only now: what it would start is made on the worker.
  ticket.stale = goes && IsAgents(ticket) && !MayStart(serial, ticket);
  if (ticket.stale) return core::OkStatus();
  std::string objection;
  const auto standing_of = [&serial](const std::string& run) -> std::optional<RunStanding> {
    const RunRow* row = serial.state().FindRun(run);
    if (row == nullptr) return std::nullopt;
    return RunStanding{.state = row->state, .parent = row->parent};
  };
  if (!AdmittedByRuns(ticket.id, standing_of)) {
    objection = "RUN_ENDED";  // rule 11: the journal's order decides
  } else if (std::string ended = EndedAs(serial.state(), ticket); !ended.empty()) {
    objection = std::move(ended);
  } else if (goes || ticket.verdict == "ask") {
    objection = Objection(serial, ticket);
    if (objection.empty() && goes) objection = BudgetObjection(serial, ticket);
  }
  if (!objection.empty()) {
    if (!SaysMore(objection)) ticket.say = SayFor(objection);
    ticket.verdict = "deny";
    ticket.code = objection;
  } else if (covered) {
    ticket.verdict = "allow";
    ticket.code = kApproved;
  }

  const bool not_yet = ticket.verdict == "deny" && MayPass(ticket, ticket.code);
  const bool waits = !ticket.id.compensates.empty() && !ticket.as_recorded;
  if (waits && (not_yet || MayComeToNothing(serial, ticket))) {
    return core::Error(core::StatusCode::kAborted, "it is taken back when nothing is in the way");
  }
  if (ticket.asks_only && (ticket.verdict == "allow" || not_yet)) {
    return core::Error(core::StatusCode::kAborted, "it may go on when its caller asks for it");
  }
  if (ticket.verdict != ticket.drafted_verdict || ticket.code != ticket.drafted_code) {
    ticket.drafts.back() = DecidedDraft(ticket, ticket.verdict);
  }
  for (Draft& draft : ticket.drafts) INTERLOCK_RETURN_IF_ERROR(serial.Append(draft).status());
  ticket.newest = serial.newest();  // of the call: what its approvals say is theirs

  if (ticket.verdict == "allow") {
    INTERLOCK_RETURN_IF_ERROR(EmitAllow(serial, ticket));
  } else if (ticket.verdict == "ask") {
    INTERLOCK_RETURN_IF_ERROR(EmitAsk(serial, ticket));
  } else {
    INTERLOCK_RETURN_IF_ERROR(VoidGranted(serial, ticket, "denied"));
    ticket.state = ticket.verdict == "refuse" ? CallState::kRefused : CallState::kDenied;
    ticket.observation = ObservationDenied(ticket.code, ticket.say, ticket.fix);
  }
  ticket.update_us = serial.now_us();
  if (!ticket.proposed) ticket.create_us = ticket.update_us;
  return core::OkStatus();
}

std::string Gate::ObjectionNow(Serial& serial, Ticket& ticket) {
  if (!StillHolds(serial, ticket)) {
    core::Status decided = Redecide(serial, ticket);
    INTERLOCK_CHECK(decided.ok());
  }
  if (ticket.verdict != "allow" && ticket.verdict != "ask") return ticket.code;
  std::string objection = Objection(serial, ticket);
  if (objection.empty() && ticket.verdict == "allow") objection = BudgetObjection(serial, ticket);
  if (!objection.empty() && !SaysMore(objection)) ticket.say = SayFor(objection);
  return objection;
}

namespace {

core::Status VoidIfGranted(Serial& serial, const CallIdentity& id, const std::string& approval,
                           std::string_view why) {
  const ApprovalRow* row = serial.state().FindApproval(approval);
  if (row == nullptr || row->phase != policies::ApprovalPhase::kGranted) return core::OkStatus();
  Draft voided = DraftApprovalVoided(id.run, id.call, approval, why, /*ends_call=*/false);
  return serial.Append(voided).status();
}

}  // namespace

core::Status Gate::VoidGranted(Serial& serial, const Ticket& ticket, std::string_view why) {
  for (const GrantedApproval& granted : ticket.granted) {
    INTERLOCK_RETURN_IF_ERROR(VoidIfGranted(serial, ticket.id, granted.state.id, why));
  }
  return VoidOutdated(serial, ticket);
}

core::Status Gate::VoidOutdated(Serial& serial, const Ticket& ticket) {
  for (const std::string& approval : ticket.outdated) {
    INTERLOCK_RETURN_IF_ERROR(VoidIfGranted(serial, ticket.id, approval, "changed"));
  }
  return core::OkStatus();
}

namespace {

// A call needs all of its approvals, so each is of use only until the first of them expires. What
// an edit asks anew is to be answered by when the first of the call's open approvals was.
std::int64_t ExpiryOf(const Ticket& ticket, std::int64_t now_us) {
  const auto& demands = ticket.decision.demands;
  INTERLOCK_CHECK(!demands.empty());
  const auto first = std::min_element(
      demands.begin(), demands.end(),
      [](const auto& one, const auto& other) { return one.expires_ms < other.expires_ms; });
  const std::int64_t expires_us = now_us + first->expires_ms * 1000;
  const bool after_edit = ticket.edit_until_us > 0 && ticket.granted.empty();
  return after_edit ? std::min(expires_us, ticket.edit_until_us) : expires_us;
}

}  // namespace

// Nobody approves what he has told the agent to do.
std::vector<std::string> Gate::EditorsOf(const Ticket& ticket) {
  std::vector<std::string> all = ticket.editors;
  if (ticket.id.lineage != nullptr) AddMissing(all, ticket.id.lineage->editors);
  return all;
}

std::vector<std::string> Gate::TellersOf(Serial& serial, const Ticket& ticket) {
  const RunRow* run = ticket.id.run.empty() ? nullptr : serial.state().FindRun(ticket.id.run);
  return run == nullptr ? std::vector<std::string>{} : SplitWords(run->told_by);
}

core::Status Gate::EmitAsk(Serial& serial, Ticket& ticket) {
  // Approvals that no longer cover what is asked (other values shown, a further demand) are not
  // reused.
  INTERLOCK_RETURN_IF_ERROR(VoidGranted(serial, ticket, "changed"));
  ticket.approvals.clear();
  for (const policies::ApprovalDemand& demand : ticket.decision.demands) {
    const core::Digest binding =
        policies::BindingDigest(ticket.args.digest, ticket.tool->digest(), demand.show);
    ApprovalFields fields{.approval = core::NewUuidV7(*parts_.clock, *parts_.random),
                          .binding = parts_.keys->Hmac("binding", core::AsBytes(binding)),
                          .expires_us = ExpiryOf(ticket, serial.now_us()),
                          .demand = &demand,
                          .editors = EditorsOf(ticket),
                          .told_by = TellersOf(serial, ticket)};
    Draft requested = DraftApprovalRequested(ticket.id, *ticket.sealer, fields);
    INTERLOCK_RETURN_IF_ERROR(serial.Append(requested).status());
    ticket.approvals.push_back(fields.approval);
  }
  ticket.state = CallState::kParked;
  ticket.observation = ObservationPending(ticket.approvals, ticket.say);
  return core::OkStatus();
}

core::Status Gate::EmitAllow(Serial& serial, Ticket& ticket) {
  INTERLOCK_RETURN_IF_ERROR(VoidOutdated(serial, ticket));
  for (const GrantedApproval& granted : ticket.granted) {
    Draft consumed =
        DraftApprovalEnded("approval.consumed", ticket.id.run, ticket.id.call, granted.state.id);
    INTERLOCK_RETURN_IF_ERROR(serial.Append(consumed).status());
  }
  for (const policies::Reservation& wanted : ticket.decision.reservations) {
    if (wanted.amount == 0) continue;
    Draft held = DraftHeld(ticket.id, {.hold = core::NewUuidV7(*parts_.clock, *parts_.random),
                                       .budget = wanted.budget.name,
                                       .scope = ScopeKey(wanted.scope),
                                       .unit = wanted.budget.unit,
                                       .window_us = wanted.window_start_us,
                                       .limit = wanted.budget.limit,
                                       .amount = wanted.amount});
    INTERLOCK_RETURN_IF_ERROR(serial.Append(held).status());
  }
  ticket.attempt = 1;
  LimitRead(ticket);
  Draft intended = DraftIntended(ticket.id, IntentOf(ticket));
  INTERLOCK_RETURN_IF_ERROR(serial.Append(intended).status());
  ticket.newest = serial.newest();
  ticket.intended_monotonic_us = parts_.clock->MonotonicMicros();
  ticket.state = CallState::kIntended;
  return StartRun(serial, ticket);
}

IntentFields Gate::IntentOf(const Ticket& ticket) const {
  const tools::Manifest& manifest = ticket.tool->manifest();
  IntentFields intent{.attempt = ticket.attempt,
                      .builtin = !manifest.builtin.empty(),
                      .compensable = manifest.compensate.has_value(),
                      .counters = {},
                      .effect = std::string(tools::EffectName(manifest.effect)),
                      .effect_key = ticket.effect_key,
                      .idempotency_key = ticket.id.call,
                      .level = ticket.level,
                      .level_min = "",
                      .limits = core::DigestName(ticket.tool->limits_digest()),
                      .locks = ticket.locks,
                      .profile = "",
                      .targets = {},
                      .tool_digest = core::DigestName(ticket.tool->digest())};
  for (const policies::LimitUse& limit : ticket.decision.limits) {
    intent.counters.push_back(parts_.keys->Hmac("counter", limit.key));
  }
  for (const policies::Tally& tally : ticket.decision.tallies) {
    std::string& counter = intent.counters.emplace_back(parts_.keys->Hmac("counter", tally.key));
    if (tally.summed) counter += ":" + std::to_string(tally.amount);
  }
  intent.wall_ms = ticket.wall_ms;
  if (ticket.starts != nullptr) {
    intent.starts = ticket.starts->base.run;
    intent.starts_tokens = ticket.starts->tokens;
  }
  if (manifest.http) intent.targets = tools::HttpTargets(*manifest.http);
  if (manifest.process) {
    intent.level_min = sandbox::LevelName(manifest.process->level_min);
    intent.profile = sandbox::ProfileName(manifest.process->profile);
    for (const sandbox::Destination& place : manifest.process->connect) {
      intent.targets.push_back(place.host + ":" + std::to_string(place.port));
    }
  }
  return intent;
}

// A further attempt at a call whose outcome is unknown: the same key, so only while nobody has said
// otherwise.
core::Status Gate::CommitIntent(Serial& serial, Ticket& ticket) {
  const CallRow* call = serial.state().FindCall(ticket.id.call);
  if (call == nullptr || call->state != CallState::kUnknown) {
    return core::FailedPrecondition("the outcome of call `" + ticket.id.call + "` is known by now");
  }
  if (const auto stop = StoppedBy(ticket)) {
    return core::Error(core::StatusCode::kCancelled, KilledSay(*stop));
  }
  if (serial.state().clock_in_doubt()) {
    return core::FailedPrecondition("the clock is in doubt; run `interlock audit confirm-clock`");
  }
  // Rule 9. By the log's time, which never goes back; the key must live until the attempt has
  // ended.
  const tools::Manifest& manifest = ticket.tool->manifest();
  const std::int64_t wall_ms = manifest.limits.wall_ms;
  const std::int64_t age_us = serial.now_us() - call->intent_us;
  if (age_us + wall_ms * 1000 > manifest.idempotency.window_ms * 1000) {
    return core::Error(core::StatusCode::kDeadlineExceeded, "the idempotency key is too old");
  }
  ticket.intended_monotonic_us = parts_.clock->MonotonicMicros();
  IntentFields intent = IntentOf(ticket);
  intent.counters = SplitWords(call->counters);
  Draft draft = DraftIntended(ticket.id, intent);
  return serial.Append(draft).status();
}

bool Gate::TakeFlow(Serial& serial, Ticket& ticket) {
  const RunRow* run = ticket.untrusted_then ? serial.state().FindRun(ticket.id.run) : nullptr;
  if (run == nullptr) return false;
  const bool untrusted = run->untrusted != 0;
  return std::exchange(*ticket.untrusted_then, untrusted) != untrusted;
}

core::Status Gate::CommitOutcome(Serial& serial, Ticket& ticket, Draft& outcome) {
  const std::string& kind = ticket.outcome_kind;
  const CallRow* call = serial.state().FindCall(ticket.id.call);
  // What an older attempt found says nothing of the newest one.
  const bool open = call != nullptr &&
                    (call->state == CallState::kIntended || call->state == CallState::kUnknown) &&
                    call->attempt == ticket.attempt;
  if (!open) {
    return core::FailedPrecondition("the outcome of call `" + ticket.id.call + "` is known by now");
  }
  INTERLOCK_RETURN_IF_ERROR(serial.Append(outcome).status());
  ticket.newest = serial.newest();
  ticket.update_us = serial.now_us();
  if (kind == "unknown")
    return core::OkStatus();  // a hold with an open intent never expires (rule 13)
  const bool done = kind == "ok" || kind == "reconciled_done";
  for (const std::string& id : serial.state().HoldsOf(ticket.id.call)) {
    const HoldRow* hold = serial.state().FindHold(id);
    INTERLOCK_CHECK(hold != nullptr);
    const HoldFields fields = HoldFieldsOf(*hold, id, serial.state());
    Draft draft;
    if (done) {
      const auto& money = ticket.outcome.reported;
      policies::Settlement settled{.amount = hold->amount, .flagged = false};
      if (ticket.tool->manifest().money && core::MinorDigits(hold->unit).ok()) {
        settled = policies::SettlementOf(hold->amount, hold->unit, money.has_value(),
                                         money ? money->minor : 0, money ? money->currency : "");
      }
      draft = DraftSettled(ticket.id, fields, settled.amount, settled.flagged);
    } else if (CostNothing(ticket.tool->manifest(), kind, ticket.outcome)) {
      draft = DraftReleased(ticket.id, fields, kind);
    } else {
      draft = DraftSettled(ticket.id, fields, hold->amount, /*flagged=*/true);
    }
    INTERLOCK_RETURN_IF_ERROR(serial.Append(draft).status());
  }
  if (done) INTERLOCK_RETURN_IF_ERROR(Undo(serial, ticket.id, ticket.outcome.reported));
  if (ticket.kept) INTERLOCK_RETURN_IF_ERROR(serial.Append(*ticket.kept).status());
  INTERLOCK_RETURN_IF_ERROR(ReleaseToCaller(serial, ticket));
  const bool told = ticket.id.run.empty() && kind != "not_started";
  if (told) ticket.newest = serial.newest();  // and else of the call: a hold's entries are its own
  return core::OkStatus();
}

// Rule 7. The caller of a call without a run reads the result as soon as it is answered, so the
// release stands behind outcome and settlement in the same durable step; a run releases with its
// next plan.
core::Status Gate::ReleaseToCaller(Serial& serial, Ticket& ticket) const {
  if (!ticket.id.run.empty() || ticket.outcome_kind == "not_started") return core::OkStatus();
  INTERLOCK_CHECK(ticket.released.has_value());
  return serial.Append(*ticket.released).status();
}

core::Status Gate::SettleHolds(Serial& serial, const CallIdentity& id, bool happened) const {
  for (const std::string& hold_id : serial.state().HoldsOf(id.call)) {
    const HoldRow* hold = serial.state().FindHold(hold_id);
    INTERLOCK_CHECK(hold != nullptr);
    const HoldFields fields = HoldFieldsOf(*hold, hold_id, serial.state());
    // Nobody reported an amount: the whole hold is settled, flagged.
    Draft draft = happened ? DraftSettled(id, fields, hold->amount, /*flagged=*/true)
                           : DraftReleased(id, fields, "resolved");
    INTERLOCK_RETURN_IF_ERROR(serial.Append(draft).status());
  }
  return happened ? Undo(serial, id, std::nullopt) : core::OkStatus();
}

}  // namespace interlock::runtime
