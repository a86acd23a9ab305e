// The life of one call, from top to bottom.
#include "engine/gate.h"

#include <algorithm>

#include "engine/budget_view.h"
#include "engine/run_state.h"
#include "engine/switches.h"
#include "policies/budget.h"
#include "policies/facts.h"
#include "policies/recorded.h"

namespace interlock::runtime {
namespace {

constexpr std::size_t kLimitsMax = 256;  // slots that one call may take
// A decision that waits longer for a place to run in is made anew, with fresh facts.
constexpr std::int64_t kDecisionAgeMaxMicros = 10'000'000;
constexpr std::size_t kEnvelopeBytesMax = 4'096;  // of an entry, around its body

}  // namespace

Gate::Gate(GateParts parts)
    : parts_(std::move(parts)),
      locks_(parts_.timers),
      lookups_(parts_.limits.lookups_max),
      calls_(parts_.limits.calls_max) {}

// ---------------------------------------------------------------- 2: to a durable decision

asio::awaitable<core::Status> Gate::Pass(Worker& worker, Ticket& ticket) {
  if (Prepare(ticket) && !IsKilled(ticket)) {
    ticket.level = parts_.executor->LevelFor(*ticket.tool);
    ticket.locked = co_await locks_.Take(ticket.locks, WaitOf(ticket, parts_.limits.lock_wait_us));
    if (!ticket.locked) {
      ticket.verdict = "deny";
      ticket.code = "BUSY";
      ticket.say = "Another call on the same object is still running; try again later.";
    } else if (core::Status status = co_await DecideInRounds(worker, ticket); !status.ok()) {
      Leave(ticket);
      co_return status;
    }
  }
  core::Status status = core::OkStatus();
  do {
    if (ticket.stale) {
      StartAgain(ticket);
      status = co_await DecideInRounds(worker, ticket);
      if (!status.ok() || ticket.stale) continue;
    }
    if (status = CheckWaits(ticket); !status.ok()) break;
    // The place to run in is taken before the intent: a permit must not wait (rule 4).
    const bool may_run =
        ticket.verdict == "allow" || (ticket.verdict == "ask" && !ticket.granted.empty());
    if (may_run && IsAgents(ticket)) {
      if (status = MakeRun(worker, ticket); !status.ok()) break;
    } else if (may_run) {
      co_await TakePlace(ticket);
    }
    // What was heard meanwhile stands before the decision in the log; and the world moves on.
    ticket.stale = may_run && (HasHeardMore(ticket) || HasAged(ticket));
    if (ticket.stale) continue;
    MakeDrafts(ticket);
    status = co_await parts_.journal->Commit(
        [this, &ticket](Serial& serial) { return CommitPass(serial, ticket); });
    if (status.ok()) ticket.before = nullptr;
    // Who stops hears of no message any more; the next start does.
    if (ticket.stale && ticket.reads != nullptr && parts_.stopping && parts_.stopping()) {
      ticket.stale = false;
      ticket.put_off = true;
    }
  } while (status.ok() && ticket.stale);
  if (!status.ok() || ticket.state != CallState::kIntended || IsAgents(ticket)) Leave(ticket);
  const bool parked = status.ok() && ticket.state == CallState::kParked && !ticket.put_off;
  if (parked && parts_.parked) parts_.parked(ticket);
  co_return status;
}

bool Gate::PassesAtOnce(const Worker& worker, const std::string& tool) const {
  if (IsAgentTool(tool) || IsOwnTool(tool) || !calls_.AnyFree()) return false;
  const auto found = parts_.registry->Find(tool);
  if (found != nullptr && !found->manifest().locks.empty()) return false;
  return worker.engine == nullptr || worker.engine->bundle().FactsFor(tool).empty();
}

// As it was proposed: what rules of the bundle before made of it is forgotten.
void Gate::StartAgain(Ticket& ticket) const {
  ticket.stale = false;
  ticket.earlier.clear();
  ticket.drafts.clear();
  ticket.decision = {};
  ticket.handles.clear();
  ticket.starts.reset();
  INTERLOCK_CHECK(Prepare(ticket));  // as before: tool and arguments are the same
}

// Sealing and hashing happen here, on the worker: the serial section is everybody's time.
void Gate::MakeDrafts(Ticket& ticket) const {
  ticket.drafts.clear();
  if (ticket.decision.bundle_id == core::Digest{}) NoteReads(ticket);  // no rule was asked
  if (!ticket.proposed) {
    ticket.drafts.push_back(
        DraftProposed(ticket.id, *ticket.sealer, ticket.tool.get(), ticket.args.text));
  }
  for (Draft& draft : ticket.earlier) ticket.drafts.push_back(std::move(draft));
  ticket.earlier.clear();
  if (!ticket.facts.empty()) {
    ticket.drafts.push_back(DraftFacts(ticket.id, *ticket.sealer, ticket.facts, ticket.round));
  }
  const bool covered = ticket.verdict == "ask" && Covered(ticket);
  if (covered) ticket.code = kApproved;
  ticket.drafted_verdict = covered ? "allow" : ticket.verdict;
  ticket.drafted_code = ticket.code;
  ticket.drafts.push_back(DecidedDraft(ticket, ticket.drafted_verdict));
  const std::size_t counters = ticket.decision.limits.size() + ticket.decision.tallies.size();
  const bool fits = counters <= kLimitsMax &&
                    std::all_of(ticket.drafts.begin(), ticket.drafts.end(), [](const Draft& draft) {
                      return draft.body.size() <= audit::kEntryBytesMax - kEnvelopeBytesMax;
                    });
  if (fits) return;
  // What cannot be recorded does not happen, and is not tried for ever.
  Refuse(ticket, "TOO_LARGE",
         "What the policy read and decided about this call does not fit a record.");
  ticket.decision = {};
  ticket.facts.clear();
  MakeDrafts(ticket);
}

namespace {

// What was decided on, where that is not what stands in call.proposed byte for byte.
std::string_view DecidedArgs(const Ticket& ticket) {
  return ticket.args.text == ticket.id.args_text ? std::string_view() : ticket.args.text;
}

// All that the rules saw: who reads the entry decides again by it.
const policies::LabelMap* LabelsToRecord(const Ticket& ticket) {
  return ticket.reads == nullptr ? nullptr : &ticket.labels;
}

}  // namespace

Draft Gate::DecidedDraft(const Ticket& ticket, std::string_view verdict) const {
  const bool decided = ticket.decision.bundle_id != core::Digest{} && verdict != "refuse";
  return DraftDecided(ticket.id, *ticket.sealer,
                      {.effect = verdict,
                       .code = ticket.code,
                       .say = ticket.say,
                       .decision = decided ? &ticket.decision : nullptr,
                       .args = DecidedArgs(ticket),
                       .tool = ticket.tool.get(),
                       .round = ticket.round,
                       .window_ms = decided ? ticket.window_ms : 0,
                       .labels = decided ? LabelsToRecord(ticket) : nullptr,
                       .now_us = ticket.now_us,
                       .untrusted = ticket.flow_untrusted});
}

// Rule 14: every demand is met by an approval that was given for these arguments, this tool and
// these values.
bool Gate::Covered(const Ticket& ticket) const {
  if (ticket.granted.empty()) return false;
  std::vector<policies::ApprovalState> states;
  for (const GrantedApproval& granted : ticket.granted) states.push_back(granted.state);
  return policies::Covers(states, ticket.decision.demands, ticket.args.digest,
                          ticket.tool->digest());
}

Draft Gate::OutcomeDraft(const Ticket& ticket) const {
  return DraftOutcome(ticket.id, *ticket.sealer,
                      {.attempt = ticket.attempt,
                       .kind = ticket.outcome_kind,
                       .code = ticket.outcome.error_code,
                       .detail = ticket.outcome.error,
                       .level = ticket.level,
                       .outcome = &ticket.outcome,
                       .ended = ticket.ended ? &*ticket.ended : nullptr});
}

void Gate::Leave(Ticket& ticket) {
  if (ticket.locked) locks_.Give(ticket.locks);
  ticket.locked = false;
  GivePlace(ticket);
}

void Gate::GivePlace(Ticket& ticket) {
  if (std::exchange(ticket.has_place, false)) calls_.Give();
}

asio::awaitable<void> Gate::TakePlace(Ticket& ticket) {
  if (ticket.has_place) co_return;
  co_await calls_.Take();
  ticket.has_place = true;
}

asio::awaitable<core::Status> Gate::DecideInRounds(Worker& worker, Ticket& ticket) {
  const core::Digest bundle = worker.BundleId();
  for (ticket.round = 0;; ++ticket.round) {
    co_await GatherFacts(worker, ticket);
    const bool read_more = ticket.round > 0 && HasHeardMore(ticket);
    // Meanwhile: nothing of two bundles in one decision, nor rounds before and after a message.
    if (worker.BundleId() != bundle || read_more) {
      ticket.stale = true;
      co_return core::OkStatus();
    }
    if (worker.engine == nullptr) {
      ticket.verdict = "deny";
      ticket.code = "NO_BUNDLE";
      ticket.say = "No policy is active.";
      co_return core::OkStatus();
    }
    ticket.now_us = std::max(parts_.clock->WallMicros(), parts_.journal->state().newest_us());
    const PeekReader reader(parts_.journal->state(), *parts_.keys, ticket.now_us);
    DecideOnce(*worker.engine, ticket, reader);
    if (worker.candidate != nullptr) {
      worker.diverged->Take(ticket.decision, worker.candidate->Decide(InputOf(ticket, reader)));
    }
    ticket.window_ms = WindowOf(ticket.decision, reader.longest_ms());
    if (ticket.decision.verdict != policies::Verdict::kModify) co_return core::OkStatus();
    if (core::Status changed = ApplyModification(ticket); !changed.ok()) {
      ticket.verdict = "deny";
      ticket.say = core::Message(changed);
      co_return core::OkStatus();
    }
  }
}

bool Gate::HasHeardMore(const Ticket& ticket) {
  return ticket.reads != nullptr && ticket.reads->count() != ticket.read;
}

bool Gate::HasAged(const Ticket& ticket) const {
  const bool decided = ticket.decision.bundle_id != core::Digest{};
  return decided && parts_.clock->WallMicros() - ticket.now_us > kDecisionAgeMaxMicros;
}

void Gate::NoteReads(Ticket& ticket) {
  if (ticket.reads == nullptr) return;
  ticket.read = ticket.reads->count();
  ticket.flow_untrusted = ticket.reads->untrusted();
}

void Gate::DecideOnce(policies::Engine& engine, Ticket& ticket,
                      const policies::StateReader& state) const {
  NoteReads(ticket);
  if (ticket.reads != nullptr) {
    ticket.labels = ticket.reads->LabelsOf(ticket.args.value, ticket.handles);
  }
  const policies::DecisionInput input = InputOf(ticket, state);
  ticket.decision = engine.Decide(input);
  ticket.decided_by = engine.bundle().id();
  ticket.decision.input_digest = policies::InputDigest(input);
  ticket.verdict = policies::VerdictName(ticket.decision.verdict);
  ticket.code = ticket.decision.code;
  ticket.say = ticket.decision.say;
  ticket.fix = ticket.decision.fix;
}

// Rule 5: every round is recorded, at most two, and no round may move a lock or an effect key.
core::Status Gate::ApplyModification(Ticket& ticket) {
  ticket.earlier.push_back(DraftFacts(ticket.id, *ticket.sealer, ticket.facts, ticket.round));
  ticket.earlier.push_back(DraftDecided(ticket.id, *ticket.sealer,
                                        {.effect = "modify",
                                         .code = ticket.code,
                                         .say = "",
                                         .decision = &ticket.decision,
                                         .args = ticket.args.text,
                                         .tool = ticket.tool.get(),
                                         .round = ticket.round,
                                         .window_ms = ticket.window_ms,
                                         .labels = LabelsToRecord(ticket),
                                         .now_us = ticket.now_us,
                                         .untrusted = ticket.flow_untrusted}));
  if (ticket.round >= policies::kModifyRoundsMax) {
    ticket.code = "MODIFY_LOOP";
    return core::FailedPrecondition("The policy changes this call again and again.");
  }
  auto args = ticket.tool->ValidateArgs(ticket.decision.modified_args.value_or(core::Json()));
  if (!args.ok()) {
    ticket.code = "MODIFY_SCHEMA";
    return core::FailedPrecondition("The policy changed the arguments so that they do not fit.");
  }
  const std::string effect_key = ticket.effect_key;
  const std::vector<std::string> locks = ticket.locks;
  const std::string proposed = std::exchange(ticket.id.args_text, args->text);
  const std::string edited = std::exchange(ticket.edited, "");
  const Provenance* const reads = std::exchange(ticket.reads, nullptr);
  const bool fits = Prepare(ticket);
  ticket.reads = reads;
  BearAllLabels(ticket, reads);
  ticket.id.args_text = proposed;
  ticket.edited = edited;
  if (!fits || ticket.effect_key != effect_key || ticket.locks != locks) {
    ticket.effect_key = effect_key;
    ticket.locks = locks;
    ticket.code = "MODIFY_KEY";
    return core::FailedPrecondition("The policy changed what this call is about.");
  }
  return core::OkStatus();
}

// ---------------------------------------------------------------- 4: the decision's input

policies::DecisionInput Gate::InputOf(const Ticket& ticket,
                                      const policies::StateReader& state) const {
  policies::DecisionInput input;
  input.call = {.id = ticket.id.call,
                .run = ticket.id.Root(),
                .tool = ticket.id.tool,
                .effect = tools::EffectName(ticket.tool->manifest().effect),
                .agent = ticket.id.agent,
                .step = ticket.id.step,
                .compensates = ticket.id.compensates,
                .caller = ticket.id.Caller(),
                .depth = ticket.id.Depth()};
  input.tenant = parts_.tenant;
  input.principal = ticket.id.principal;
  input.principal_roles = &ticket.id.roles;
  input.user = ticket.id.user;
  input.args = &ticket.args.value;
  input.args_text = ticket.args.text;
  input.session = ticket.id.session.get();
  input.facts = &ticket.facts;
  input.now_us = ticket.now_us;
  input.flow_untrusted = ticket.flow_untrusted;
  input.labels = ticket.reads == nullptr ? nullptr : &ticket.labels;
  input.state = &state;
  return input;
}

// ---------------------------------------------------------------- 6: run, and record how it ended

core::PermitTerms Gate::TermsOf(const Ticket& ticket) const {
  return {.call_id = ticket.id.call,
          .tool_digest = ticket.tool->digest(),
          .args_digest = ticket.args.digest,
          .limits_digest = ticket.tool->limits_digest(),
          .expires_monotonic_us = ticket.intended_monotonic_us + core::kPermitLifeMicros};
}

namespace {

// What cannot be told counts as ending: the tool has not been started yet.
bool RunIsEnding(const GateParts& parts, const CallIdentity& id) {
  return !AdmittedByRuns(id, [&parts](const std::string& run) -> std::optional<RunStanding> {
    const auto peeked = parts.journal->state().PeekRunNow(run);
    const auto row = peeked.row ? core::StatusOr<RunRow>(*peeked.row) : parts.run_of(run);
    if (!row.ok()) return RunStanding{.state = RunState::kCancelling, .parent = ""};
    return RunStanding{.state = row->state, .parent = row->parent};
  });
}

}  // namespace

// Precondition: the intent is durable. A cancel or a kill switch that came between the intent and
// here stops a first attempt (rule 11); a further one goes on, since only it can tell what became
// of the first.
asio::awaitable<tools::Outcome> Gate::Execute(Ticket& ticket) {
  const bool cancelled = ticket.attempt == 1 && RunIsEnding(parts_, ticket.id);
  const auto stop = ticket.attempt == 1 ? StoppedBy(ticket) : std::nullopt;
  if (cancelled || stop) {
    tools::Outcome withdrawn;
    withdrawn.error_code = cancelled ? "CANCELLED" : kKilled;
    withdrawn.error =
        cancelled ? "the run was cancelled before the tool was started" : KilledSay(*stop);
    co_return withdrawn;
  }
  tools::CallSpec spec{.tool = ticket.tool,
                       .args = ticket.args,
                       .session = *ticket.id.session,
                       .run = ticket.id.run,
                       .call_id = ticket.id.call,
                       .idempotency_key = ticket.id.call,
                       .deadline_monotonic_us = 0};
  if (ticket.wall_ms > 0) {
    spec.deadline_monotonic_us = ticket.intended_monotonic_us + ticket.wall_ms * 1000;
  }
  if (!ticket.id.run.empty()) spec.on_output = parts_.outputs->For(ticket.id.run, ticket.id.call);
  std::uint64_t handle = 0;
  // On its way here it is handed on half a dozen times, and is most of a KiB.
  using Ended = std::unique_ptr<tools::Outcome>;
  auto start = [this, &ticket, &spec, &handle](std::function<void(Ended)> done) {
    auto ended = [done = std::move(done)](tools::Outcome outcome) {
      done(std::make_unique<tools::Outcome>(std::move(outcome)));
    };
    handle = IsOwnTool(ticket.id.tool) ? StartOwn(ticket, std::move(spec), std::move(ended))
                                       : parts_.executor->Run(parts_.mint->Mint(TermsOf(ticket)),
                                                              std::move(spec), std::move(ended));
    if (ticket.handle != nullptr) ticket.handle->store(handle);
    KeepRunning(ticket, handle);
  };
  const Ended outcome = co_await Await<Ended>(std::move(start));
  DropRunning(handle);
  if (ticket.handle != nullptr) ticket.handle->store(0);
  co_return std::move(*outcome);
}

asio::awaitable<core::Status> Gate::RunIntended(Worker& worker, Ticket& ticket) {
  co_await Run(ticket);
  co_return co_await Record(worker, ticket);
}

asio::awaitable<core::Status> Gate::Record(Worker& worker, Ticket& ticket) {
  // Before anybody can read that it is unknown: else a person would be told to say it meanwhile.
  const bool settles = ticket.outcome_kind == "unknown" && CanFindOut(ticket);
  if (settles) BeginSettling(ticket);
  core::Status status = co_await CommitKnown(worker, ticket);
  if (status.ok() && ticket.state == CallState::kUnknown) status = co_await FindOut(worker, ticket);
  if (settles) EndSettling(ticket);
  Leave(ticket);
  co_return status;
}

namespace {

// Rule 13 and property 2: what a failure means for the world is the manifest's word, not a guess.
// A retry that failed or never started says nothing of the attempt before it, which may be at work
// yet ("this key is in use").
std::string RecordedKind(const tools::Tool& tool, const tools::Outcome& outcome, int attempt) {
  const tools::Manifest& manifest = tool.manifest();
  const std::string kind(tools::OutcomeKindName(outcome.kind));
  if (outcome.kind == tools::OutcomeKind::kOk) return kind;
  if (attempt > 1 && manifest.effect != tools::Effect::kRead) return "unknown";
  if (outcome.kind == tools::OutcomeKind::kNotStarted) return kind;
  if (manifest.effect == tools::Effect::kRead) {
    return outcome.kind == tools::OutcomeKind::kUnknown ? "failed" : kind;
  }
  const bool harmless = manifest.failure == tools::FailureMeaning::kNoEffect &&
                        outcome.kind == tools::OutcomeKind::kFailed && outcome.reported_failure;
  return harmless ? kind : "unknown";
}

}  // namespace

asio::awaitable<void> Gate::Run(Ticket& ticket) {
  ticket.outcome = co_await Execute(ticket);
  ticket.outcome_kind = RecordedKind(*ticket.tool, ticket.outcome, ticket.attempt);
}

void Gate::EndRecorded(Ticket& ticket) {
  SayRecorded(ticket);
  Leave(ticket);
}

void Gate::BecomeUnknown(Ticket& ticket) const {
  ticket.state = CallState::kUnknown;
  ticket.unknown_monotonic_us = parts_.clock->MonotonicMicros();
}

void Gate::SayRecorded(Ticket& ticket) const {
  if (Succeeded(ticket.outcome_kind)) {
    ticket.state = CallState::kOk;
  } else if (ticket.outcome_kind == "unknown") {
    BecomeUnknown(ticket);
  } else {
    ticket.state =
        ticket.outcome_kind == "not_started" ? CallState::kNotStarted : CallState::kFailed;
  }
}

asio::awaitable<core::Status> Gate::RecordLost(Worker& worker, Ticket& ticket) {
  ticket.outcome = {};
  ticket.outcome.kind = tools::OutcomeKind::kUnknown;
  ticket.outcome.error_code = "LOST";
  ticket.outcome.error = "the daemon ended while the call was open";
  // Nothing is lost with a read, or with what the engine does in the step that records its outcome;
  // anything else may have happened, whatever became of its manifest.
  const bool harmless = ticket.intended_effect == "read" || IsOwnTool(ticket.id.tool);
  ticket.outcome_kind = harmless ? "failed" : "unknown";
  return CommitKnown(worker, ticket);
}

void Gate::Seize(const std::string& call, std::vector<std::string> locks) {
  locks = locks_.Seize(std::move(locks));
  const std::lock_guard lock(seized_mutex_);
  seized_[call] = std::move(locks);
}

void Gate::LetGo(const std::string& call) {
  const std::lock_guard lock(seized_mutex_);
  const auto seized = seized_.extract(call);
  if (!seized.empty()) locks_.Give(seized.mapped());
}

// The locks that were kept since the start, or else taken as by any call.
asio::awaitable<bool> Gate::TakeBack(Ticket& ticket) {
  {
    const std::lock_guard lock(seized_mutex_);
    const auto at = seized_.find(ticket.id.call);
    if (at != seized_.end()) {
      ticket.locks = std::move(at->second);
      ticket.locked = true;
      seized_.erase(at);
      co_return true;
    }
  }
  ticket.locked = co_await locks_.Take(ticket.locks, parts_.limits.lock_wait_us);
  co_return ticket.locked;
}

asio::awaitable<core::Status> Gate::SettleRecorded(Worker& worker, Ticket& ticket,
                                                   std::string_view outcome) {
  if (!co_await TakeBack(ticket)) co_return core::Unavailable("the call's locks are taken");
  const bool settles = CanFindOut(ticket);
  if (settles) BeginSettling(ticket);
  core::Status status = core::OkStatus();
  if (outcome.empty()) {
    status = co_await RecordLost(worker, ticket);
  } else {
    BecomeUnknown(ticket);
    ticket.observation = ObservationUnknown();
  }
  if (status.ok() && ticket.state == CallState::kUnknown && settles) {
    status = co_await FindOut(worker, ticket);
  }
  if (settles) EndSettling(ticket);
  Leave(ticket);
  co_return status;
}

}  // namespace interlock::runtime
