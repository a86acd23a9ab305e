// Approvals: what is asked, who may answer, and what an answer does.
#include <algorithm>

#include "engine/answers.h"
#include "engine/engine.h"
#include "engine/select.h"

namespace interlock::runtime {

// The call as it was when this was asked: an edit may have had it decided on again since. What was
// asked for is one durable step with its decision, and stands behind it.
core::StatusOr<CallRow> EngineImpl::CallWhenAsked(const ApprovalRow& row) const {
  INTERLOCK_ASSIGN_OR_RETURN(CallRow call, hub_.CallRowOf(row.call));
  if (call.decided_index < row.entry_index) return call;
  for (std::int64_t index = row.entry_index - 1; index >= 0; --index) {
    INTERLOCK_ASSIGN_OR_RETURN(const audit::Entry entry,
                               hub_.parts.log->Read(static_cast<std::uint64_t>(index)));
    if (entry.kind == "approval.requested") continue;  // of another rule
    INTERLOCK_ASSIGN_OR_RETURN(const core::JsonObjectView view,
                               core::JsonObjectView::Of(entry.bytes));
    const auto body = view.Object("body");
    const bool of_call = body && body->String("call") == row.call;
    if (entry.kind == "approval.voided" && of_call) continue;  // what it takes the place of
    if (entry.kind != "call.decided" || !of_call) break;
    call.decided_index = index;
    call.edited_index = call.intended_index = call.outcome_index = call.released_index = -1;
    return call;
  }
  return core::DataLoss("entry " + std::to_string(row.entry_index) + " stands behind no decision");
}

// The approval with everything that says who may answer it: the demand, the run's user and who
// asked.
core::StatusOr<policies::ApprovalState> EngineImpl::FullState(const ApprovalRow& row,
                                                              RecordedCall& call) const {
  INTERLOCK_ASSIGN_OR_RETURN(policies::ApprovalState state, hub_.ApprovalStateOf(row));
  INTERLOCK_ASSIGN_OR_RETURN(const CallRow call_row, CallWhenAsked(row));
  INTERLOCK_ASSIGN_OR_RETURN(call, RecordedOf(call_row));
  state.requester = call.id.principal;
  state.run_user = call.id.user;
  state.editors = FromLog(std::move(state.editors), state.run_user);
  return AsNow(std::move(state), row);  // the run's user is known now
}

// What the decision that asks saw, by name: gathered in the same durable step, just before it. Null
// where the look-up failed.
core::StatusOr<core::Json> EngineImpl::FactsOf(const ApprovalRow& row) const {
  INTERLOCK_ASSIGN_OR_RETURN(const CallRow call, CallWhenAsked(row));
  core::Json by_name = core::Json::object();
  if (call.decided_index < 1) return by_name;
  const auto index = static_cast<std::uint64_t>(call.decided_index) - 1;
  INTERLOCK_ASSIGN_OR_RETURN(const audit::Entry entry, hub_.parts.log->Read(index));
  INTERLOCK_ASSIGN_OR_RETURN(const core::JsonObjectView view,
                             core::JsonObjectView::Of(entry.bytes));
  const auto body = view.Object("body");
  const bool of_call = body && body->String("call").value_or("") == row.call;
  if (entry.kind != "facts.gathered" || !of_call) return by_name;
  INTERLOCK_ASSIGN_OR_RETURN(const std::string facts, hub_.history.Content(index, *body, "facts"));
  INTERLOCK_ASSIGN_OR_RETURN(const core::Json json, core::ParseJson(facts, core::kPayloadLimits));
  for (policies::Fact& fact : FactsFromJson(json)) {
    by_name[fact.name] = fact.present ? std::move(fact.value) : core::Json();
  }
  return by_name;
}

// To its run, or to one that this works for.
bool EngineImpl::WroteSince(const ApprovalRow& row) const {
  for (std::string at = row.run; !at.empty();) {
    const auto run = hub_.RunRowOf(at);
    if (!run.ok()) return false;
    if (run->message_us > row.create_us) return true;
    at = run->parent;
  }
  return false;
}

core::StatusOr<ApprovalInfo> EngineImpl::InfoOf(const ApprovalRow& row) const {
  ApprovalInfo info;
  RecordedCall call;
  INTERLOCK_ASSIGN_OR_RETURN(info.state, FullState(row, call));
  info.run = row.run;
  info.tool = row.tool;
  info.args = call.args;
  INTERLOCK_ASSIGN_OR_RETURN(info.facts, FactsOf(row));
  info.etag = EtagOf(row);
  info.create_time_us = row.create_us;
  if (call.decision.is_object() && call.decision.contains("rules")) {
    for (const core::Json& rule : call.decision["rules"]) {
      info.rules.push_back({.id = rule.value("id", ""),
                            .verdict = rule.value("verdict", ""),
                            .code = rule.value("code", ""),
                            .say = rule.value("say", ""),
                            .because = rule.value("because", ""),
                            .line = rule.value("line", 0)});
    }
  }
  const auto run =
      row.run.empty() ? core::StatusOr<RunRow>(core::NotFound("")) : hub_.RunRowOf(row.run);
  info.new_message_since = WroteSince(row);
  info.escalate_us = row.escalate_us;
  info.reminders = row.reminders;
  info.unanswerable = hub_.unanswered->Why(info.state);
  if (run.ok()) {
    info.agents = SplitWords(run->above);
    info.agents.push_back(run->agent);
    info.root = run->root.empty() ? run->run : run->root;
  }
  return info;
}

// What was asked before this start: principals may be others now.
void EngineImpl::LookForUnanswered() {
  constexpr const char* kPending = "WHERE phase = 0 ORDER BY approval DESC LIMIT 1000";
  const auto rows = Select<ApprovalRow>(*hub_.parts.log, kPending, {});
  if (!rows.ok()) return;
  for (const ApprovalRow& row : *rows) {
    if (hub_.stopping()) return;
    RecordedCall call;
    const auto state = FullState(row, call);
    if (state.ok()) hub_.unanswered->Note(*state);
  }
}

// Planners are what they are until the next start.
void EngineImpl::LookForPlanners() {
  for (const std::string& line : hub_.Unplanned()) {
    unplanned_ = true;
    if (hub_.parts.warn) hub_.parts.warn(line);
  }
}

core::StatusOr<ApprovalInfo> EngineImpl::GetApproval(const core::Principal& who,
                                                     std::string_view id) {
  INTERLOCK_ASSIGN_OR_RETURN(const ApprovalRow row, hub_.ApprovalRowOf(std::string(id)));
  INTERLOCK_ASSIGN_OR_RETURN(const CallRow call, hub_.CallRowOf(row.call));
  INTERLOCK_RETURN_IF_ERROR(MaySeeCall(who, call));
  INTERLOCK_ASSIGN_OR_RETURN(ApprovalInfo info, InfoOf(row));
  if (IsShownToDecide(who, info.state)) return info;
  INTERLOCK_RETURN_IF_ERROR(RecordLook(who, {.principal = call.principal,
                                             .run = row.run,
                                             .first = call.proposed_index,
                                             .last = row.entry_index}));
  return info;
}

core::StatusOr<Page<ApprovalInfo>> EngineImpl::ListApprovals(
    const core::Principal& who, const PageSpec& page, std::optional<policies::ApprovalPhase> phase,
    std::string_view run) {
  std::string where = "WHERE (? = '' OR approval < ?)";
  std::vector<std::string> bound{page.cursor, page.cursor};
  if (phase)
    where += " AND phase = CAST(? AS INTEGER)",
        bound.push_back(std::to_string(static_cast<int>(*phase)));
  if (!run.empty()) where += " AND run = ?", bound.emplace_back(run);
  INTERLOCK_ASSIGN_OR_RETURN(
      auto rows,
      Select<ApprovalRow>(*hub_.parts.log,
                          where + " ORDER BY approval DESC LIMIT " + std::to_string(page.size + 1),
                          bound));
  Page<ApprovalInfo> result;
  std::optional<Look> look;  // one record for the page
  if (static_cast<int>(rows.size()) > page.size) {
    rows.pop_back();
    result.next_cursor = rows.back().approval;
  }
  for (const ApprovalRow& row : rows) {
    const auto call = hub_.CallRowOf(row.call);
    if (!call.ok() || !MaySeeCall(who, *call).ok()) continue;
    auto info = InfoOf(row);
    if (!info.ok()) continue;  // erased content: nothing to show
    const bool recorded = IsOutsider(who, call->principal) && !IsShownToDecide(who, info->state);
    result.items.push_back(std::move(*info));
    if (!recorded) continue;
    if (!look)
      look =
          Look{.principal = {}, .run = run, .first = call->proposed_index, .last = row.entry_index};
    look->first = std::min(look->first, call->proposed_index);
    look->last = std::max(look->last, row.entry_index);
  }
  if (look) INTERLOCK_RETURN_IF_ERROR(RecordLook(who, *look));
  return result;
}

// --- answers

struct EngineImpl::Answering {
  core::Principal who;
  Answer answer;
  ApprovalRow row;                // as it was read; the journal looks anew
  policies::ApprovalState shown;  // likewise
  policies::Answerer answerer;
  std::vector<ApprovalRow> of_call;
  RequestMark request;
  Draft draft;
  std::string reason;  // sealed
  std::optional<audit::EntryRef> written = {};
  std::int64_t grants = 0;  // of his, within a minute
  bool repeated = false;
  bool all_granted = false;  // of the call
};

namespace {

// Of the call's approvals none but this one waits.
bool IsLastOfCall(State& state, const std::vector<ApprovalRow>& of_call,
                  const std::string& approval) {
  return std::none_of(of_call.begin(), of_call.end(), [&](const ApprovalRow& row) {
    return row.approval != approval &&
           state.FindApproval(row.approval)->phase == policies::ApprovalPhase::kPending;
  });
}

}  // namespace

core::Status EngineImpl::PrepareAnswer(Answering& answering) const {
  const Answer& answer = answering.answer;
  INTERLOCK_ASSIGN_OR_RETURN(answering.row, hub_.ApprovalRowOf(answer.approval));
  RecordedCall call;
  INTERLOCK_ASSIGN_OR_RETURN(answering.shown, FullState(answering.row, call));
  INTERLOCK_ASSIGN_OR_RETURN(answering.answerer,
                             AnswererOf(answering.who, answer.on_behalf_of, answering.shown));
  INTERLOCK_ASSIGN_OR_RETURN(answering.of_call, hub_.ApprovalsOfCall(answering.row.call));
  answering.request = MarkOf(answering.who, answer.request_id, "AnswerApproval", answer.approval,
                             {{"etag", answer.etag},
                              {"grant", answer.grant},
                              {"on_behalf_of", answer.on_behalf_of},
                              {"reason", answer.reason}});
  answering.draft = MakeDraft(answer.grant ? "approval.granted" : "approval.rejected",
                              answering.row.run, "principal:" + answering.who.id);
  INTERLOCK_ASSIGN_OR_RETURN(auto key, hub_.parts.keys->KeyFor(call.id.subject));
  if (!answer.reason.empty()) {
    answering.reason =
        Sealer(*hub_.parts.keys, std::move(key)).Text(answering.draft, answer.reason);
  }
  return core::OkStatus();
}

// The journal alone says whether an answer counts: first whether it was given before, and then who
// he is to the approval as it is now.
core::Status EngineImpl::CommitAnswer(Serial& serial, Answering& answering) const {
  State& state = serial.state();
  const Answer& answer = answering.answer;
  INTERLOCK_ASSIGN_OR_RETURN(answering.repeated, WasMade(state, answering.request));
  if (answering.repeated) return core::Error(core::StatusCode::kAlreadyExists, "answered already");
  INTERLOCK_ASSIGN_OR_RETURN(const ApprovalRow* now, StillOpen(serial, answer.approval));
  INTERLOCK_ASSIGN_OR_RETURN(const policies::Right right,
                             RightNow(serial, AsNow(answering.shown, *now), answering.answerer,
                                      answer.grant ? Says::kYes : Says::kNo));
  INTERLOCK_RETURN_IF_ERROR(CheckSeen(*now, answer.etag));
  const std::string by = NameInLog(answering.answerer);
  answering.repeated = answer.grant && HasGranted(*now, by);  // a person counts once
  if (answering.repeated) return core::Error(core::StatusCode::kAlreadyExists, "granted already");
  const EngineLimits& limits = hub_.parts.limits;
  if (answer.grant) {
    INTERLOCK_ASSIGN_OR_RETURN(answering.grants,
                               GrantsWithin(serial, by, limits, hub_.parts.clock->WallMicros()));
  }
  const std::int64_t missing = answer.grant ? QuorumNow(*now) - now->in_stage - 1 : 0;
  const bool stage_complete = missing <= 0;
  const bool complete = !answer.grant || (stage_complete && IsLastStage(*now));
  BodyWriter body(answering.draft);
  body.String("approval", answer.approval).String("by", by).String("call", now->call);
  body.Bool("complete", complete).Optional("for", right.of);
  if (answering.grants > limits.grants_per_minute) body.Int("hasty", answering.grants);
  if (missing > 0) body.Int("missing", missing);
  if (!answering.reason.empty()) body.Raw("reason", answering.reason);
  answering.request.Write(body);
  const bool staged = answer.grant && !now->quorums.empty();
  if (staged) body.Int("stage", now->stage + 1).Bool("stage_complete", stage_complete);
  body.Close();
  INTERLOCK_ASSIGN_OR_RETURN(answering.written, serial.Append(answering.draft));
  if (!answer.grant) {
    return VoidSiblings(serial, answering.of_call, answer.approval, "another approval was refused");
  }
  answering.all_granted = complete && IsLastOfCall(state, answering.of_call, answer.approval);
  return core::OkStatus();
}

// The run goes on with what was said.
void EngineImpl::PassAnswer(const Answering& answering) {
  const ApprovalRow& row = answering.row;
  if (row.run.empty()) return;
  if (!answering.answer.grant) {
    hub_.Post(row.run, event::CallDone{row.call, EndedObservation("APPROVAL_REJECTED")},
              Hub::kAlways);
  } else if (answering.all_granted) {
    hub_.Post(row.run, event::CallGranted{row.call}, Hub::kAlways);
  }
}

core::StatusOr<ApprovalInfo> EngineImpl::InfoAfter(const Answering& answering) const {
  INTERLOCK_ASSIGN_OR_RETURN(const ApprovalRow now, hub_.ApprovalRowOf(answering.row.approval));
  INTERLOCK_ASSIGN_OR_RETURN(ApprovalInfo info, InfoOf(now));
  if (answering.grants > hub_.parts.limits.grants_per_minute) {
    info.warning = HastyText(answering.grants);
  }
  info.written = answering.written;
  return info;
}

void EngineImpl::AnswerApproval(const core::Principal& who, Answer answer,
                                Reply<ApprovalInfo> reply) {
  if (answer.reason.size() > kReasonBytesMax)
    return reply(core::InvalidArgument("`reason` is longer than 4096 bytes"));
  auto answering = std::make_shared<Answering>();
  answering->who = who;
  answering->answer = std::move(answer);
  Worker& worker = hub_.WorkerOf(answering->answer.approval);
  asio::post(worker.io, [this, &worker, answering, reply = std::move(reply)] {
    if (core::Status ready = PrepareAnswer(*answering); !ready.ok()) return reply(ready);
    hub_.journal.Submit(
        [this, answering](Serial& serial) { return CommitAnswer(serial, *answering); },
        audit::Urgency::kNormal,
        [this, &worker, answering, reply](const core::Status& status) {
          if (!status.ok() && !answering->repeated) return reply(status);
          if (status.ok()) PassAnswer(*answering);
          asio::post(worker.io, [this, answering, reply] { reply(InfoAfter(*answering)); });
        });
  });
}

}  // namespace interlock::runtime
