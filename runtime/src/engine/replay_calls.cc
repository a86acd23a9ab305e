// The calls of a replayed run: decided, held for, intended and settled by the gate's own code on
// the state of then.
#include <algorithm>

#include "engine/answers.h"
#include "engine/budget_view.h"
#include "engine/compensation_call.h"
#include "engine/lineage.h"
#include "engine/replayer.h"
#include "engine/run_start.h"
#include "engine/switches.h"

namespace interlock::runtime {
namespace {

constexpr std::string_view kRunEnded = "RUN_ENDED";

// How far the rules' time may lie before the entry's, where the entry does not name it.
constexpr std::int64_t kSearchMicros = 20'000'000;

// When the rules were asked: as the entry says, else the time that makes the recorded digest of
// their input.
std::int64_t TimeOf(const RecordedEntry& decided, policies::DecisionInput input) {
  const std::int64_t named = decided.Int("now_us", 0);
  if (named > 0) return named;
  const core::Json decision = decided.JsonContent("decision");
  const std::string digest = decision.is_object() ? decision.value("input", "") : "";
  const std::int64_t last = decided.entry.time_us;
  input.now_us = last;
  std::string text = policies::CanonicalInput(input);
  const std::string mark = "\"now_us\":" + std::to_string(last) + ",\"phase\"";
  const std::size_t at = text.rfind(mark);
  if (digest.empty() || at == std::string::npos) return last;
  const std::size_t digits = std::to_string(last).size();
  for (std::int64_t now = last; now > last - kSearchMicros; --now) {
    text.replace(at + 9, digits, std::to_string(now));
    if (core::DigestName(core::Sha256(text)) == digest) return now;
  }
  return last;
}

using Reads = std::map<std::string, policies::VersionedRead>;  // by key

// What the recorded decision read otherwise than this one.
Reads ReadOtherwise(const policies::Decision& decision, const RecordedEntry& decided) {
  const core::Json recorded = decided.JsonContent("decision");
  const core::Json reads =
      recorded.is_object() ? recorded.value("reads", core::Json()) : core::Json();
  Reads otherwise;
  for (const policies::VersionedRead& read : decision.reads) {
    if (!reads.is_array()) break;
    for (const core::Json& then : reads) {
      if (then.value("key", "") != read.key) continue;
      policies::VersionedRead as_then = read;
      as_then.value = std::strtoll(then.value("value", "0").c_str(), nullptr, 10);
      as_then.version = std::strtoull(then.value("version", "0").c_str(), nullptr, 10);
      const bool same = as_then.value == read.value && as_then.version == read.version;
      if (!same) otherwise.insert_or_assign(read.key, std::move(as_then));
    }
  }
  return otherwise;
}

bool OnlyHadToFit(const policies::Decision& decision, const Reads& reads) {
  return std::all_of(decision.reads.begin(), decision.reads.end(),
                     [&](const policies::VersionedRead& read) {
                       return read.fits_only || !reads.contains(read.key);
                     });
}

// What a decision reads, but for some that were read otherwise.
class ReaderAsThen final : public policies::StateReader {
 public:
  ReaderAsThen(const policies::StateReader& now, const Reads& then) : now_(now), then_(then) {}
  policies::VersionedRead BudgetUsed(const policies::BudgetDecl& budget,
                                     std::string_view scope) const override {
    return AsThen(now_.BudgetUsed(budget, scope));
  }
  policies::VersionedRead Count(std::string_view key, std::int64_t per_ms,
                                std::int64_t now_us) const override {
    return AsThen(now_.Count(key, per_ms, now_us));
  }
  policies::VersionedRead Sum(std::string_view key, std::int64_t per_ms,
                              std::int64_t now_us) const override {
    return AsThen(now_.Sum(key, per_ms, now_us));
  }

 private:
  policies::VersionedRead AsThen(policies::VersionedRead read) const {
    const auto at = then_.find(read.key);
    if (at == then_.end()) return read;
    read.value = at->second.value;
    read.version = at->second.version;
    return read;
  }

  const policies::StateReader& now_;
  const Reads& then_;
};

sandbox::EndKind EndKindOf(std::string_view name) {
  for (int kind = 0; kind <= static_cast<int>(sandbox::EndKind::kLost); ++kind) {
    if (sandbox::EndKindName(static_cast<sandbox::EndKind>(kind)) == name) {
      return static_cast<sandbox::EndKind>(kind);
    }
  }
  return sandbox::EndKind::kLost;
}

// Zero: it does not stand there.
core::Digest DigestIn(const RecordedEntry& recorded, const char* key) {
  const std::string name = recorded.Text(key);
  return core::DigestFromHex(name.substr(std::min<std::size_t>(7, name.size())))
      .value_or(core::Digest{});
}

// The files that a program left, each a payload of its own.
sandbox::Artifacts ArtifactsOf(const RecordedEntry& recorded) {
  sandbox::Artifacts artifacts;
  if (!recorded.body.contains("artifacts")) return artifacts;
  for (const core::Json& one : recorded.JsonContent("artifacts")) {
    const std::string path = one.value("path", "");
    if (!one.contains("slot")) {
      artifacts.skipped.push_back({.path = path, .why = one.value("why", "")});
      continue;
    }
    const std::size_t slot = one.value("slot", recorded.payloads.size());
    const std::string bytes =
        slot < recorded.payloads.size() ? recorded.payloads[slot].plaintext : "";
    artifacts.taken.push_back({.path = path, .bytes = bytes, .digest = core::Sha256(bytes)});
  }
  return artifacts;
}

tools::Outcome OutcomeOf(const RecordedEntry& recorded) {
  tools::Outcome outcome;
  outcome.kind = tools::OutcomeKind::kFailed;
  if (recorded.body.contains("result")) outcome.result = recorded.JsonContent("result");
  outcome.error_code = recorded.Text("code");
  outcome.error = recorded.Content("detail");
  outcome.advice = recorded.Content("advice");
  outcome.reported_failure = recorded.Text("kind") == "failed";
  if (recorded.body.contains("money")) {
    const core::Json& money = recorded.body["money"];
    outcome.reported = core::Money{std::strtoll(money.value("amount", "0").c_str(), nullptr, 10),
                                   money.value("unit", "")};
  }
  outcome.artifacts = ArtifactsOf(recorded);
  outcome.sandboxed = recorded.body.contains("cpu_us");
  outcome.box.level = sandbox::ParseLevel(recorded.Text("level")).value_or(sandbox::Level::kNone);
  if (!outcome.sandboxed) return outcome;
  outcome.box.cpu_us = recorded.Int("cpu_us", 0);
  outcome.box.wall_us = recorded.Int("wall_us", 0);
  outcome.box.memory_peak_bytes = recorded.Int("memory_peak_bytes", 0);
  const core::Json exit = recorded.body.value("exit", core::Json::object());
  outcome.box.kind = EndKindOf(exit.value("kind", ""));
  outcome.box.value = exit.value("value", 0);
  outcome.box.filter_digest = DigestIn(recorded, "filter_digest");
  outcome.box.profile_digest = DigestIn(recorded, "profile_digest");
  outcome.box.program_digest = DigestIn(recorded, "program_digest");
  return outcome;
}

}  // namespace

const RecordedEntry* Replayer::Ahead(std::string_view kind, const std::string& call) const {
  for (std::size_t i = at_; i < own_.size(); ++i) {
    if (own_[i].entry.kind == kind && own_[i].Text("call") == call) return &own_[i];
  }
  return nullptr;
}

// The call of the plan that goes to the gate next. One that was on its way there when the run was
// cancelled is recorded behind that, and the core has dropped it.
std::optional<CallSlot> Replayer::NextOfPlan() const {
  const RunCore& core = recorded_.core;
  const auto slot = std::find_if(core.slots.begin(), core.slots.end(), [](const CallSlot& one) {
    return one.phase == SlotPhase::kProposed;
  });
  if (slot != core.slots.end()) return *slot;
  const auto plan =
      std::find_if(core.messages.rbegin(), core.messages.rend(),
                   [](const ChatMessage& message) { return message.role == Role::kAssistant; });
  if (core.state != RunState::kCancelling || plan == core.messages.rend()) return std::nullopt;
  CallSlot next;
  next.step = core.steps - 1;
  for (const RecordedCall& call : recorded_.calls) {
    if (call.id.step == next.step) next.position = std::max(next.position, call.id.position + 1);
  }
  const auto is_handed_over = [&core](const ProposedCall& call) {
    return core.escalates && call.tool == kEscalateTool;
  };
  const auto size = static_cast<std::int64_t>(plan->calls.size());
  const auto at = [&] { return plan->calls.begin() + next.position; };
  while (next.position < size && is_handed_over(*at())) ++next.position;
  if (next.position >= size) return std::nullopt;
  next.proposed = *at();
  return next;
}

// A call of the plan as the core has it, or a parked one that comes back.
core::StatusOr<std::unique_ptr<Ticket>> Replayer::NewTicket(const RecordedEntry& recorded) {
  if (!recorded.Text("compensates").empty()) return NewCompensation(recorded);
  auto ticket = std::make_unique<Ticket>();
  const std::string call = recorded.Text("call");
  if (recorded.entry.kind == "call.proposed") {
    const std::optional<CallSlot> slot = NextOfPlan();
    if (!slot) return Differ("the plan has no such call", "");
    ticket->id = recorded_.base;
    ticket->id.call = call;
    ticket->id.step = slot->step;
    ticket->id.position = slot->position;
    ticket->id.tool = slot->proposed.tool;
    ticket->id.args_text = slot->proposed.args_text;
  } else {
    const auto& calls = recorded_.calls;
    const auto known = std::find_if(calls.begin(), calls.end(),
                                    [&](const RecordedCall& one) { return one.id.call == call; });
    if (known == calls.end()) return Differ("no such call was proposed", "");
    ticket->id = known->id;
    ticket->proposed = true;
    ticket->edited = known->edited;
    ticket->editors = known->editors;
    ticket->edit_until_us = known->edit_until_us;
    ticket->attempt = std::max(1, known->attempt);
  }
  ticket->sealer = sealer_;
  ticket->agent = ticket->id.compensates.empty() ? agent_ : nullptr;
  ticket->reads = &recorded_.reads;
  return ticket;
}

// As the entries of its run have it by now: this run, or one that it started.
core::StatusOr<RecordedCall> Replayer::RecordedAs(const CallRow& row) {
  if (row.run != run_) {
    const auto read = [this](const std::string& run) { return history_.Run(run, parts_.agent_of); };
    return CallOfEnded(row.run, row.call, read, below_);
  }
  for (const RecordedCall& call : recorded_.calls) {
    if (call.id.call == row.call) return call;
  }
  return core::NotFound("the log has no call `" + row.call + "`");
}

// The call that the core would take back here, by the manifest that the one taken back was made by.
core::StatusOr<std::unique_ptr<Ticket>> Replayer::NewCompensation(const RecordedEntry& recorded) {
  const std::string of = recorded.Text("compensates");
  INTERLOCK_ASSIGN_OR_RETURN(const DueNow due, Due());
  const auto* compensate =
      due.effects.size() == 1 ? std::get_if<effect::Compensate>(&due.effects.front()) : nullptr;
  if (compensate == nullptr || compensate->of != of) {
    return Differ("the run has something else to take back here", "");
  }
  const CallRow* row = state_->FindCall(of);
  if (row == nullptr) return Differ("the log has no call `" + of + "`", "");
  ToTakeBack back{.of = of, .tool = row->tool, .call = RecordedAs(*row)};
  if (back.call.ok()) back.tool = back.call->id.tool;
  const auto tool = parts_.registry->Find(back.tool);
  const std::string digest = tool == nullptr ? "" : core::DigestName(tool->digest());
  if (back.call.ok() && digest != back.call->intended_tool_digest) {
    return WithReason(core::FailedPrecondition("tool `" + back.tool + "` is not the one of call `" +
                                               of + "`, which was taken back"),
                      "TOOL_CHANGED");
  }
  auto ticket = std::make_unique<Ticket>();
  ticket->id = recorded_.base;
  ticket->id.call = recorded.Text("call");
  MakeCompensation(*parts_.registry, recorded_.core, back, *ticket);
  // What could not be read then is an input.
  const RecordedEntry* decided = Ahead("call.decided", ticket->id.call);
  const std::string say = decided == nullptr ? "" : decided->Content("say");
  const bool lost = say.starts_with(kCannotTell);
  if (!lost && IsLost(back.call.status())) {
    return WithReason(core::FailedPrecondition("content of call `" + of +
                                               "` was erased; the run cannot be made anew"),
                      "PAYLOAD_ERASED");
  }
  if (!lost && !back.call.ok()) return back.call.status();
  if (lost) {
    ticket->id.args_text = "{}";
    ticket->cannot = say;
  }
  ticket->sealer = sealer_;
  ticket->reads = &recorded_.reads;
  return ticket;
}

// Approvals that were given to a parked call, with what they were bound to.
void Replayer::GiveGrants(Ticket& ticket) {
  for (std::size_t i = 0; i < at_; ++i) {
    const RecordedEntry& asked = own_[i];
    if (asked.entry.kind != "approval.requested" || asked.Text("call") != ticket.id.call) continue;
    const ApprovalRow* row = state_->FindApproval(asked.Text("approval"));
    if (row == nullptr || row->phase != policies::ApprovalPhase::kGranted) continue;
    policies::ApprovalState state;
    state.id = row->approval;
    state.call = row->call;
    state.demand = DemandFromJson(asked.JsonContent("demand"));
    state = AsNow(std::move(state), *row);
    const auto known =
        std::find_if(recorded_.calls.begin(), recorded_.calls.end(),
                     [&](const RecordedCall& one) { return one.id.call == ticket.id.call; });
    const auto tool = parts_.registry->Find(ticket.id.tool);
    if (known == recorded_.calls.end()) continue;
    if (tool != nullptr) {
      state.binding =
          policies::BindingDigest(core::Sha256(known->args), tool->digest(), state.demand.show);
    }
    if (tool == nullptr || keys_.Hmac("binding", core::AsBytes(state.binding)) != row->binding) {
      ticket.outdated.push_back(row->approval);
    } else {
      ticket.granted.push_back({.state = std::move(state), .binding_hmac = row->binding});
    }
  }
}

// The ids of holds and approvals that the next command makes.
void Replayer::GiveIds() {
  std::vector<std::string> ids;
  const std::string call = next().Text("call");
  for (std::size_t i = at_; i < own_.size() && own_[i].Text("call") == call; ++i) {
    const std::string& kind = own_[i].entry.kind;
    if (kind == "approval.requested") ids.push_back(own_[i].Text("approval"));
    if (kind == "budget.held") ids.push_back(own_[i].Text("hold"));
    if (kind == "call.outcome" || kind == "result.released") break;
  }
  random_.Give(std::move(ids));
}

// What the machine gave then is an input.
std::string Replayer::LevelAhead(const std::string& call) const {
  const RecordedEntry* intended = Ahead("call.intended", call);
  return intended == nullptr ? "" : intended->Text("level");
}

// And so is what was left of the run's time.
std::int64_t Replayer::WallAhead(const std::string& call) const {
  const RecordedEntry* intended = Ahead("call.intended", call);
  return intended == nullptr ? 0 : intended->Int("wall_ms", 0);
}

void Replayer::DecideRound(Ticket& ticket, const RecordedEntry& decided) {
  const LiveReader reader(*state_, keys_, decided.entry.time_us);
  Gate::NoteReads(ticket);  // the input of then is looked for
  ticket.labels = ticket.reads->LabelsOf(ticket.args.value, ticket.handles);
  ticket.now_us = TimeOf(decided, gate_->InputOf(ticket, reader));
  gate_->DecideOnce(*worker_.engine, ticket, reader);
  // Of what only had to fit, the value that was read then is an input (rule 1).
  if (const Reads then = ReadOtherwise(ticket.decision, decided); !then.empty()) {
    gate_->DecideOnce(*worker_.engine, ticket, ReaderAsThen(reader, then));
    if (!OnlyHadToFit(ticket.decision, then)) {
      gate_->DecideOnce(*worker_.engine, ticket, reader);
    }
  }
  ticket.window_ms = WindowOf(ticket.decision, reader.longest_ms());
  ticket.decision.bundle_id = Recorded(ticket.decision.bundle_id);
  if (parts_.candidate == nullptr) return;
  const core::Json then = decided.JsonContent("decision");
  if (!then.is_object()) return;
  PutRecordedLines(then.value("rules", core::Json()), ticket.decision.rules);
  PutRecordedLines(then.value("shadow", core::Json()), ticket.decision.shadow);
}

// Gate::DecideInRounds, with the facts that were found then.
core::Status Replayer::DecideAsRecorded(Ticket& ticket) {
  std::size_t at = at_ + (ticket.proposed ? 0 : 1);
  for (ticket.round = 0;; ++ticket.round) {
    ticket.facts.clear();
    if (at < own_.size() && own_[at].entry.kind == "facts.gathered") {
      ticket.facts = FactsFromJson(own_[at].JsonContent("facts"));
      ++at;
    }
    if (at >= own_.size() || own_[at].entry.kind != "call.decided") {
      return Differ("its decision is missing", "");
    }
    const RecordedEntry& decided = own_[at++];
    // A wait that was given up is an input, as all timers are; so is what was refused before a rule
    // was asked and overtaken by a cancel: the entry does not tell why it was.
    const std::string code = decided.Text("code");
    const bool unasked =
        !decided.body.contains("decision") && (code == "BUSY" || code == kRunEnded);
    if (unasked || worker_.engine == nullptr) {
      ticket.verdict = "deny";
      ticket.code = unasked ? "BUSY" : "NO_BUNDLE";
      ticket.say = decided.Content("say");
      return core::OkStatus();
    }
    DecideRound(ticket, decided);
    if (ticket.decision.verdict != policies::Verdict::kModify) return core::OkStatus();
    if (core::Status changed = gate_->ApplyModification(ticket); !changed.ok()) {
      ticket.verdict = "deny";
      ticket.say = core::Message(changed);
      return core::OkStatus();
    }
  }
}

// The code of a call that no rule was asked about; "" of any other.
std::string Replayer::RefusedAs(const std::string& call) const {
  const RecordedEntry* decided = Ahead("call.decided", call);
  const bool asked = decided == nullptr || decided->body.contains("decision");
  return asked ? "" : decided->Text("code");
}

// Of an agent's call: the run that it started then, of which nothing is made anew here.
void Replayer::GiveRun(Ticket& ticket) {
  if (!IsAgentTool(ticket.id.tool)) return;
  // What was left when the gate looked is an input: an outcome may have come before the decision.
  const std::string refused = RefusedAs(ticket.id.call);
  if (refused == kTokenLimit) ticket.tokens_left = 0;
  if (refused == kStepLimit) ticket.steps_left = 0;
  if (refused == kCallLimit) ticket.calls_left = 0;
  if (refused == kRunEnded) {  // a cancel overtook a refusal, and the entry does not tell which
    ticket.tokens_left = TokensLeft(recorded_.core);
    ticket.steps_left = StepsLeft(recorded_.core);
    ticket.calls_left = CallsLeft(recorded_.core);
  }
  ticket.starts = std::make_shared<RunStart>();
  const RecordedEntry* intended = Ahead("call.intended", ticket.id.call);
  if (intended == nullptr) return;  // it was denied
  ticket.starts->base.run = intended->Text("starts");
  ticket.starts->tokens = intended->Int("starts_tokens", 0);
}

core::Status Replayer::RebuildDecision() {
  INTERLOCK_ASSIGN_OR_RETURN(std::unique_ptr<Ticket> ticket, NewTicket(next()));
  GiveIds();
  ticket->level = LevelAhead(ticket->id.call);
  ticket->as_recorded = true;
  ticket->wall_ms = WallAhead(ticket->id.call);
  GiveRun(*ticket);
  if (ticket->proposed) GiveGrants(*ticket);
  // When the gate looked first is an input: a switch that was set later finds a decision made.
  const RecordedEntry* decided = Ahead("call.decided", ticket->id.call);
  INTERLOCK_RETURN_IF_ERROR(JudgeAs(decided == nullptr ? next() : *decided));
  const bool killed_at_once =
      decided != nullptr && decided->Text("code") == kKilled && !decided->body.contains("decision");
  // What was configured then is an input, too.
  const bool gone = IsAgentTool(ticket->id.tool) && RefusedAs(ticket->id.call) == kAgentGone;
  if (gate_->Prepare(*ticket) && !(killed_at_once && gate_->IsKilled(*ticket))) {
    if (gone) {
      gate_->Refuse(*ticket, kAgentGone, decided->Content("say"));
    } else {
      INTERLOCK_RETURN_IF_ERROR(DecideAsRecorded(*ticket));
    }
  }
  gate_->MakeDrafts(*ticket);
  ReplayTransaction transaction(*this);
  Serial serial(transaction, *state_, worker_.engine.get());
  INTERLOCK_RETURN_IF_ERROR(gate_->CommitDecision(serial, *ticket));
  // Other policies may have a window that ends between the decision and its entry.
  if (ticket->stale) return Differ("it would be decided once more", "");
  tickets_[ticket->id.call] = std::move(ticket);
  return core::OkStatus();
}

// What a person wrote is an input; its canonical form, and who has edited the call so far, are not.
core::Status Replayer::RebuildEdit() {
  const RecordedEntry& recorded = next();
  const auto& calls = recorded_.calls;
  const auto known = std::find_if(calls.begin(), calls.end(), [&](const RecordedCall& one) {
    return one.id.call == recorded.Text("call");
  });
  if (known == calls.end()) return Differ("no such call was proposed", "");
  const auto tool = parts_.registry->Find(known->id.tool);
  const std::string text = recorded.Content("args");
  const auto args = tool == nullptr
                        ? core::StatusOr<tools::CanonicalArgs>(core::NotFound("no such tool"))
                        : tool->ValidateArgs(std::string_view(text));
  if (!args.ok()) return Differ("the edited arguments do not fit", "");
  const std::string by = recorded.Text("by");
  std::vector<std::string> editors = EditorsWith(known->editors, by, recorded.actor);
  std::vector<std::string> asked;
  for (std::size_t i = 0; i < at_; ++i) {
    const bool of_call = own_[i].Text("call") == known->id.call;
    if (of_call && own_[i].entry.kind == "approval.requested")
      asked.push_back(own_[i].Text("approval"));
  }
  const std::int64_t until_us = FirstExpiry(*state_, asked);
  return Expect(DraftEdited(*sealer_, {.run = run_,
                                       .actor = recorded.actor,
                                       .approval = recorded.Text("approval"),
                                       .call = known->id.call,
                                       .args = args->text,
                                       .tool = tool,
                                       .by = by,
                                       .editors = std::move(editors),
                                       .reason = recorded.Content("reason"),
                                       .request = recorded.Text("request"),
                                       .request_digest = recorded.Text("request_digest"),
                                       .until_us = until_us}));
}

// A further attempt.
core::Status Replayer::RebuildRetry() {
  const auto at = tickets_.find(next().Text("call"));
  if (at == tickets_.end()) return Differ("no such call was decided", "");
  Ticket& ticket = *at->second;
  ticket.attempt = static_cast<int>(next().Int("attempt", 1));
  ticket.level = next().Text("level");
  ReplayTransaction transaction(*this);
  Serial serial(transaction, *state_, worker_.engine.get());
  core::Status status = gate_->CommitIntent(serial, ticket);
  if (status.ok() || report_.first) return status;
  return Differ("no further attempt would be made: " + std::string(core::Message(status)), "");
}

// By whose policies, the release of it tells if a rule spoke.
core::Status Replayer::JudgeResult(Ticket& ticket) {
  const RecordedEntry* released = Ahead("result.released", ticket.id.call);
  for (const std::string& id : MayHaveJudged(next(), released == nullptr ? next() : *released)) {
    INTERLOCK_RETURN_IF_ERROR(JudgeBy(id));
    gate_->JudgeResult(worker_, ticket);
    if (ticket.release.rules.empty()) break;
  }
  return core::OkStatus();
}

// A person's word is an input; what it does to the holds of the call follows from it.
core::Status Replayer::RebuildResolved() {
  const RecordedEntry resolved = next();
  const auto& calls = recorded_.calls;
  const auto known = std::find_if(calls.begin(), calls.end(), [&](const RecordedCall& one) {
    return one.id.call == resolved.Text("call");
  });
  if (known == calls.end()) return Differ("no such call was proposed", "");
  INTERLOCK_RETURN_IF_ERROR(Take());
  if (!resolved.body.value("complete", false)) return core::OkStatus();
  INTERLOCK_RETURN_IF_ERROR(TakeIn(resolved.entry.index));
  ReplayTransaction transaction(*this);
  Serial serial(transaction, *state_, worker_.engine.get());
  return gate_->SettleHolds(serial, known->id, resolved.body.value("happened", false));
}

core::Status Replayer::RebuildOutcome() {
  const auto at = tickets_.find(next().Text("call"));
  if (at == tickets_.end()) return Differ("no such call was decided", "");
  Ticket& ticket = *at->second;
  ticket.attempt = static_cast<int>(next().Int("attempt", 1));
  ticket.level = next().Text("level");
  ticket.outcome = OutcomeOf(next());
  ticket.outcome_kind = next().Text("kind");
  if (next().body.contains("ended")) {
    INTERLOCK_ASSIGN_OR_RETURN(ticket.ended, RunEndFrom(core::CanonicalJson(next().body["ended"]),
                                                        next().JsonContent("ended_label")));
    Ticket& of = ticket;
    of.outcome.reported_failure =
        of.outcome.reported_failure &&
        LeftNothing(of.ended->state, of.outcome.error_code, of.ended->stands);
  }
  Draft draft = gate_->OutcomeDraft(ticket);
  INTERLOCK_RETURN_IF_ERROR(JudgeResult(ticket));
  gate_->KeepNote(ticket);
  ReplayTransaction transaction(*this);
  Serial serial(transaction, *state_, worker_.engine.get());
  core::Status status = gate_->CommitOutcome(serial, ticket, draft);
  if (status.ok() || report_.first) return status;
  return Differ("no outcome would be taken: " + std::string(core::Message(status)), "");
}

core::Status Replayer::RebuildRelease() {
  const std::string call = next().Text("call");
  const auto at = tickets_.find(call);
  released_.push_back(call);
  if (at == tickets_.end() || at->second->outcome_kind.empty()) {
    return Differ("nothing is known of what this call gave", "");
  }
  Ticket& ticket = *at->second;
  Release release = ticket.release;
  if (release.bundle_id != core::Digest{}) release.bundle_id = Recorded(release.bundle_id);
  PutRecordedLines(next().Member("rules"), release.rules);
  return Expect(DraftResultReleased(ticket.id, *sealer_, release));
}

}  // namespace interlock::runtime
