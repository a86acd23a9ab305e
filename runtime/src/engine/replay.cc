// The way through a run's entries, and those that tell of the run itself.
#include "engine/replay.h"

#include <algorithm>
#include <iterator>

#include "core/check.h"
#include "engine/lineage.h"
#include "engine/open_approvals.h"
#include "engine/plan_budgets.h"
#include "engine/replayer.h"
#include "engine/switches.h"
#include "runtime/planners.h"

namespace interlock::runtime {
namespace {

constexpr std::string_view kFromOutside[] = {
    "run.started",       "approval.granted",   "approval.rejected",  "approval.expired",
    "approval.voided",   "run.cancelling",     "run.resumed",        "call.withdrawn",
    "call.edit_refused", "approval.delegated", "approval.escalated", "approval.reminded",
};

bool IsFromOutside(std::string_view kind) {
  return std::find(std::begin(kFromOutside), std::end(kFromOutside), kind) !=
         std::end(kFromOutside);
}

// What ends a run of which the log could not be read (ADR 64), in the step that says so: that it
// could not is an input, and so is all that followed from it.
bool IsOfLost(const std::vector<RecordedEntry>& run, const RecordedEntry& recorded) {
  const RecordedEntry& last = run.back();
  const bool lost = last.entry.kind == "run.failed" && last.Text("code") == kRunLost;
  return lost && recorded.entry.time_us == last.entry.time_us;
}

core::Status Diverged() { return core::Error(core::StatusCode::kAborted, "it differs"); }

std::string EnvelopeText(const RecordedEntry& recorded, const audit::NewEntry& made,
                         std::string_view body, std::string_view prev, const std::string& tenant) {
  std::string text;
  core::JsonObjectWriter writer(text);
  writer.String("actor", made.actor);
  writer.Raw("body", body);
  writer.Raw("cites", JsonStrings({made.cites.begin(), made.cites.end()}));
  writer.Int("index", static_cast<std::int64_t>(recorded.entry.index));
  writer.String("kind", made.kind);
  writer.String("prev", prev);
  writer.String("run", made.run);
  writer.Int("run_seq", recorded.entry.run_seq);
  writer.String("tenant", tenant);
  writer.Int("time_us", recorded.entry.time_us);
  writer.Int("v", 1);
  writer.Close();
  return text;
}

}  // namespace

std::string RecordedEntry::Text(const char* field) const {
  const auto at = body.find(field);
  return at != body.end() && at->is_string() ? at->get<std::string>() : "";
}

std::int64_t RecordedEntry::Int(const char* field, std::int64_t otherwise) const {
  const auto at = body.find(field);
  return at != body.end() && at->is_number_integer() ? at->get<std::int64_t>() : otherwise;
}

core::Json RecordedEntry::Member(const char* field) const {
  const auto at = body.find(field);
  return at != body.end() ? *at : core::Json();
}

std::string RecordedEntry::Content(const char* field) const {
  const auto at = body.find(field);
  if (at == body.end() || !at->is_object()) return "";
  const std::size_t slot = at->value("slot", payloads.size());
  return slot < payloads.size() ? payloads[slot].plaintext : "";
}

core::Json RecordedEntry::JsonContent(const char* field) const {
  auto json = core::ParseJson(Content(field), core::kPayloadLimits);
  return json.ok() ? *std::move(json) : core::Json();
}

core::StatusOr<ReplayReport> ReplayRun(const ReplayParts& parts, const std::string& run) {
  return Replayer(parts, run).Run();
}

core::StatusOr<ReplayReport> Replayer::Run() {
  INTERLOCK_RETURN_IF_ERROR(Load());
  while (at_ < own_.size() && !report_.first) {
    const std::size_t from = at_;
    INTERLOCK_RETURN_IF_ERROR(FoldUpTo(own_[from].entry.index));
    clock_.time_us = own_[from].entry.time_us;
    core::Status status = Rebuild();
    if (report_.first) break;
    if (!status.ok()) return status;
    INTERLOCK_CHECK(at_ > from);
    for (std::size_t i = from; i < at_; ++i) INTERLOCK_RETURN_IF_ERROR(Remember(own_[i]));
  }
  report_.recorded_root = recorded_root_.Root();
  if (!report_.first) report_.rebuilt_root = rebuilt_root_.Root();
  return std::move(report_);
}

core::Status Replayer::Rebuild() {
  const std::string& kind = next().entry.kind;
  if (IsFromOutside(kind) || IsOfLost(own_, next())) return Take();
  if (kind == "call.resolved") return RebuildResolved();
  if (kind == "message.received") return RebuildMessage();
  if (kind == "plan.requested" || kind == "plan.refused") return RebuildPlanRequested();
  if (kind == "plan.received") return RebuildPlanReceived();
  if (recorded_.charged && kind.starts_with("budget.") && next().Text("call").empty()) {
    return RebuildLostPlan();
  }
  if (kind == "answer.checked") return RebuildChecked();
  if (kind == "call.proposed" || kind == "facts.gathered" || kind == "call.decided") {
    return RebuildDecision();
  }
  if (kind == "call.edited") return RebuildEdit();
  if (kind == "call.intended") return RebuildRetry();
  if (kind == "call.outcome") return RebuildOutcome();
  if (kind == "result.released") return RebuildRelease();
  if (kind.starts_with("run.")) return RebuildEffect();
  return LeaveOut();
}

// ---------------------------------------------------------------- comparing

core::StatusOr<audit::EntryRef> Replayer::Expect(const audit::NewEntry& made,
                                                 std::span<const audit::SealedPayload> payloads) {
  if (at_ == own_.size()) {
    report_.first = {.index = 0,
                     .run_seq = static_cast<std::int64_t>(at_),
                     .kind = std::string(made.kind),
                     .recorded = "",
                     .rebuilt = std::string(made.body),
                     .why = "the log has no such entry"};
    return Diverged();
  }
  const RecordedEntry& recorded = next();
  std::string body(made.body);
  for (std::size_t slot = 0; slot < payloads.size() && slot < recorded.payloads.size(); ++slot) {
    keys_.CommitWith(payloads[slot], recorded.payloads[slot].salt, body);
  }
  std::string text = EnvelopeText(recorded, made, body, prev_, parts_.tenant);
  if (text != recorded.entry.bytes) {
    core::Status differs =
        Differ(made.kind == recorded.entry.kind ? "its bytes differ" : "another entry follows here",
               std::move(text));
    if (made.kind == "call.decided" && recorded.entry.kind == made.kind) {
      report_.first->decisions = DecisionsOf(recorded, body, payloads);
    }
    return differs;
  }
  const core::Digest leaf = audit::LeafHash(text);
  prev_ = core::Hex(leaf);
  rebuilt_root_.Add(leaf);
  ++report_.rebuilt;
  ++at_;
  return audit::EntryRef{recorded.entry.index, leaf};
}

core::Status Replayer::Expect(const Draft& draft) {
  return Expect({.kind = draft.kind,
                 .run = draft.run,
                 .actor = draft.actor,
                 .body = draft.body,
                 .cites = draft.cites},
                draft.payloads)
      .status();
}

// Its place in the chain is made anew, its body is not.
core::Status Replayer::Chain() {
  const RecordedEntry& recorded = next();
  const std::string text = EnvelopeText(recorded,
                                        {.kind = recorded.entry.kind,
                                         .run = run_,
                                         .actor = recorded.actor,
                                         .body = "",
                                         .cites = recorded.cites},
                                        core::CanonicalJson(recorded.body), prev_, parts_.tenant);
  if (text != recorded.entry.bytes) return Differ("its place in the chain differs", text);
  const core::Digest leaf = audit::LeafHash(text);
  prev_ = core::Hex(leaf);
  rebuilt_root_.Add(leaf);
  ++at_;
  return core::OkStatus();
}

core::Status Replayer::Take() {
  INTERLOCK_RETURN_IF_ERROR(Chain());
  ++report_.taken[own_[at_ - 1].entry.kind];
  return core::OkStatus();
}

core::Status Replayer::LeaveOut() {
  INTERLOCK_RETURN_IF_ERROR(Chain());
  ++report_.left_out[own_[at_ - 1].entry.kind];
  return core::OkStatus();
}

core::Status Replayer::Differ(std::string why, std::string rebuilt) {
  const audit::Entry& entry = next().entry;
  report_.first = {.index = entry.index,
                   .run_seq = entry.run_seq,
                   .kind = entry.kind,
                   .recorded = entry.bytes,
                   .rebuilt = std::move(rebuilt),
                   .why = std::move(why)};
  return Diverged();
}

// ---------------------------------------------------------------- what the core would do

namespace {

bool SaysThatItFails(const RecordedEntry& next) {
  return next.entry.kind == "run.failed" || next.entry.kind == "run.compensating";
}

// Why a run fails, where only its own entry tells: its time and, while it waits for those that it
// started, its model's window and what is configured are inputs.
std::optional<Event> ToldFailure(const RecordedEntry& next) {
  const std::string code = next.Text("code");
  const bool waits = next.entry.kind == "run.waiting";
  if (!waits && !SaysThatItFails(next)) return std::nullopt;
  if (code == kTimeLimit) return event::TimeUp{};
  if (code == kAgentGone) return event::PlanFailed{code, kAgentGoneReason};
  if (!waits || code != kContextLimit) return std::nullopt;
  return event::PlanFailed{code, next.Content("reason")};
}

}  // namespace

// What is left to do as the log stands here; answers that rules pass in silence are judged on the
// way.
core::StatusOr<Replayer::DueNow> Replayer::Due() {
  RunCore probe = recorded_.core;
  const bool told = probe.state == RunState::kCompensating;  // already
  const bool full = !told && SaysThatItFails(next()) && next().Text("code") == kContextLimit;
  const auto overflow = full ? ContextOverflow(probe) : std::nullopt;
  const Event begins = overflow ? event::PlanFailed{kContextLimit, *overflow}
                       : told   ? Event(event::Resume{})
                                : ToldFailure(next()).value_or(event::Resume{});
  // It came before what the planner, who was stopped for it, has said.
  if (std::holds_alternative<event::TimeUp>(begins)) probe.closing = {};
  std::vector<Effect> due = parts_.step(probe, begins);
  for (int i = 0; i < 2 && due.size() == 1; ++i) {
    const auto* check = std::get_if<effect::CheckAnswer>(&due.front());
    if (check == nullptr || next().entry.kind == "answer.checked") break;
    JudgedText judged;
    for (const std::string& id : MayHaveJudged(next(), next())) {
      INTERLOCK_RETURN_IF_ERROR(JudgeBy(id));
      judged = JudgeAnswer(*gate_, worker_.engine.get(), agent_, recorded_.base, recorded_.reads,
                           *check);
      if (judged.silent()) break;
    }
    if (!judged.silent())
      return Differ("rules spoke of the answer, and the log does not say so", "");
    due = parts_.step(probe, CheckedAs(judged));
  }
  return DueNow{std::move(due), std::move(probe)};
}

core::Status Replayer::RebuildEffect() {
  const std::string& kind = next().entry.kind;
  if (kind == "run.waiting" && next().Text("for") == "switch") {
    const auto stop = StoppedFor(*state_, recorded_.base, "");
    return stop ? Expect(DraftWaitForSwitch(run_, stop->name, LeftMs()))
                : Differ("no switch is set", "");
  }
  INTERLOCK_ASSIGN_OR_RETURN(const DueNow due, Due());
  if (kind == "run.waiting" && next().Text("for") == "planner") return RebuildWaitForPlanner(due);
  for (const Effect& effect : due.effects) {
    if (const auto* finish = std::get_if<effect::Finish>(&effect)) {
      return Expect(DraftFinish(run_, *sealer_, *finish));
    }
    if (const auto* begin = std::get_if<effect::BeginCompensation>(&effect)) {
      return Expect(DraftCompensating(run_, *sealer_, *begin));
    }
    if (const auto* wait = std::get_if<effect::WaitForUser>(&effect)) {
      return Expect(DraftWaitForUser(run_, *sealer_, wait->text, LeftMs()));
    }
    if (std::holds_alternative<effect::WaitForPerson>(effect)) {
      return Expect(DraftWaitForPerson(run_, LeftMs()));
    }
    if (std::holds_alternative<effect::WaitForRun>(effect)) {
      return Expect(DraftWaitForRun(due.core, *sealer_, LeftMs()));
    }
    if (!std::holds_alternative<effect::Park>(effect)) continue;
    std::map<std::string, std::vector<std::string>> asked;  // in the order of calls
    for (const RecordedCall& call : recorded_.calls) {
      if (call.verdict == "ask" && call.attempt == 0) asked[call.id.call] = call.approvals;
    }
    return Expect(DraftParked(run_, *sealer_, WhatParks(*state_, asked).approvals, LeftMs()));
  }
  return Differ("the run has something else to do here", "");
}

// That the planner is not configured is an input: the run waits where it would have asked.
core::Status Replayer::RebuildWaitForPlanner(const DueNow& due) {
  const bool asks = std::any_of(due.effects.begin(), due.effects.end(), [](const Effect& effect) {
    return std::holds_alternative<effect::RequestPlan>(effect) ||
           std::holds_alternative<effect::AskPlannerAgain>(effect);
  });
  if (!asks || agent_ == nullptr) return Differ("the run would not ask its planner here", "");
  return Expect(DraftWaitForPlanner(run_, agent_->planner, LeftMs()));
}

core::Status Replayer::RebuildPlanRequested() {
  INTERLOCK_ASSIGN_OR_RETURN(const DueNow due, Due());
  const bool again = next().body.value("again", core::Json()) == core::Json(true);
  const bool asks =
      std::any_of(due.effects.begin(), due.effects.end(), [again](const Effect& effect) {
        return again ? std::holds_alternative<effect::AskPlannerAgain>(effect)
                     : std::holds_alternative<effect::RequestPlan>(effect);
      });
  if (!asks || agent_ == nullptr) return Differ("the run would not ask its planner here", "");
  RunCore probe = recorded_.core;
  if (const auto overflow = again ? std::nullopt : ContextOverflow(probe)) {
    return Differ(*overflow, "");
  }
  if (!again) parts_.step(probe, event::PlanRequested{});
  PlanRequestedFields fields = AskedOf(probe, *agent_, std::exchange(released_, {}), *sealer_);
  fields.again = again;
  fields.left_ms = LeftMs();
  PlanAsk ask{.who = &recorded_.base, .fields = &fields};
  // What the planner told of its prices and bounds is an input.
  if (const auto use = next().body.find("use"); use != next().body.end()) {
    INTERLOCK_ASSIGN_OR_RETURN(ask.most, UseOf(*use));
  }
  INTERLOCK_RETURN_IF_ERROR(JudgeAs(next()));
  if (worker_.engine != nullptr) ask.bundle = recorded_bundle_;
  GiveIds();
  ReplayTransaction transaction(*this);
  Serial serial(transaction, *state_, worker_.engine.get());
  std::vector<Draft> before;  // rebuilt each by itself
  const auto refused = AskOrRefuse(serial, gate_->parts(), ask, before);
  if (refused.ok() || report_.first) return refused.status();
  return Differ(std::string(core::Message(refused.status())), "");
}

// The recorded bytes of a reply are read by the code that read them live.
core::Status Replayer::RebuildPlanReceived() {
  if (agent_ == nullptr || !recorded_.core.planning) return Differ("no plan was asked for", "");
  core::StatusOr<Plan> plan = core::Unavailable("");
  PlanReply reply;
  if (next().Text("finish") == "error") {
    reply.code = next().Text("code");
    reply.reason = next().Content("reason");
  } else {
    plan = PlanFromJson(next().Content("plan"));
    if (!plan.ok()) return plan.status();
    if (!plan->raw.empty()) {
      PlanRequest request;
      AskForAnswer(*agent_, request);
      const core::Status same = CheckRecord(*plan, request);
      if (!same.ok()) return Differ(std::string(core::Message(same)), "");
    }
    reply = ReplyOf(plan);
  }
  reply.wait_ms = next().Int("wait_ms", -1);
  if (const auto lost = next().body.find("lost"); lost != next().body.end()) {
    INTERLOCK_ASSIGN_OR_RETURN(reply.lost, UseOf(*lost));
  }
  if (const auto spent = next().body.find("spent"); spent != next().body.end()) {
    INTERLOCK_ASSIGN_OR_RETURN(reply.spent, SpentOf(*spent));
  }
  ReplayTransaction transaction(*this);  // of the time of this entry
  INTERLOCK_RETURN_IF_ERROR(Expect(
      DraftPlanReceived(run_, *sealer_, agent_->planner, recorded_.core.steps, reply, plan)));
  if (!recorded_.charged) return core::OkStatus();
  Serial serial(transaction, *state_, worker_.engine.get());
  return SettlePlan(serial, run_, CostOf(plan, reply));
}

// A request whose reply was lost, or is not waited for any more.
core::Status Replayer::RebuildLostPlan() {
  ReplayTransaction transaction(*this);
  Serial serial(transaction, *state_, worker_.engine.get());
  return SettlePlan(serial, run_, {});
}

core::Status Replayer::RebuildChecked() {
  INTERLOCK_ASSIGN_OR_RETURN(const DueNow due, Due());
  const auto* check =
      due.effects.empty() ? nullptr : std::get_if<effect::CheckAnswer>(&due.effects.front());
  if (check == nullptr) return Differ("there is no answer to be checked", "");
  INTERLOCK_RETURN_IF_ERROR(JudgeAs(next()));
  JudgedText judged =
      JudgeAnswer(*gate_, worker_.engine.get(), agent_, recorded_.base, recorded_.reads, *check);
  if (judged.bundle_id != core::Digest{}) judged.bundle_id = Recorded(judged.bundle_id);
  PutRecordedLines(next().Member("rules"), judged.rules);
  return Expect(DraftAnswerChecked(run_, *sealer_, NameOf(check->kind), judged));
}

core::Status Replayer::RebuildMessage() {
  const RecordedEntry& recorded = next();
  INTERLOCK_RETURN_IF_ERROR(JudgeAs(recorded));
  CallIdentity base = recorded_.base;
  const RunRow* row = state_->FindRun(run_);
  if (row != nullptr) base.step = recorded_.core.steps;
  const std::string text = recorded.Content("text");
  const std::string from = recorded.Text("from");
  const bool first = recorded.entry.run_seq == 1;
  if (first) base.step = -1;
  policies::Label label{.trusted = true, .sources = {from}, .tags = {}, .readers = {"*"}};
  const bool labelled = recorded.body.contains("label");  // an input: what its caller had read
  if (labelled) {
    INTERLOCK_ASSIGN_OR_RETURN(const core::Json json,
                               core::ParseJson(recorded.Content("label"), core::kPayloadLimits));
    label = LabelFromJson(json);
  }
  const Gate::TextCase said{
      .phase = policies::RulePhase::kMessage,
      .id = &base,
      .text = text,
      .label = label,
      .flow_untrusted = !label.trusted || (row != nullptr && row->untrusted != 0)};
  JudgedText judged = gate_->JudgeText(worker_.engine.get(), said);
  ReplayTransaction transaction(*this);
  Serial serial(transaction, *state_, worker_.engine.get());
  gate_->JudgeAgain(serial, said, judged);
  if (judged.bundle_id != core::Digest{}) judged.bundle_id = Recorded(judged.bundle_id);
  PutRecordedLines(recorded.Member("rules"), judged.rules);
  const std::string request = recorded.Text("request");
  const std::string request_digest = recorded.Text("request_digest");
  return Expect(DraftMessage(run_, *sealer_,
                             {.actor = recorded.actor,
                              .from = from,
                              .text = text,
                              .request = request,
                              .request_digest = request_digest,
                              .judged = &judged,
                              .label = labelled ? &label : nullptr}));
}

}  // namespace interlock::runtime
