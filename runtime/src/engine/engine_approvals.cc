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
  state.granted_by = FromLog(std::move(state.granted_by), state.run_user);
  state.editors = FromLog(std::move(state.editors), state.run_user);
  return state;
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

core::StatusOr<ApprovalInfo> EngineImpl::InfoOf(const ApprovalRow& row) const {
  ApprovalInfo info;
  RecordedCall call;
  INTERLOCK_ASSIGN_OR_RETURN(info.state, FullState(row, call));
  info.run = row.run;
  info.tool = row.tool;
  info.args = call.args;
  INTERLOCK_ASSIGN_OR_RETURN(info.facts, FactsOf(row));
  info.etag = row.binding;
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
  info.new_message_since = run.ok() && run->message_us > row.create_us;
  info.escalate_us = row.escalate_us;
  info.reminders = row.reminders;
  return info;
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

void EngineImpl::AnswerApproval(const core::Principal& who, Answer answer,
                                Reply<ApprovalInfo> reply) {
  if (answer.reason.size() > kReasonBytesMax)
    return reply(core::InvalidArgument("`reason` is longer than 4096 bytes"));
  asio::post(hub_.WorkerOf(answer.approval).io, [this, who, answer, reply = std::move(reply)] {
    const auto row = hub_.ApprovalRowOf(answer.approval);
    if (!row.ok()) return reply(row.status());
    RecordedCall call;
    auto full = FullState(*row, call);
    if (!full.ok()) return reply(full.status());
    const auto answerer = AnswererOf(who, answer.on_behalf_of, *full);
    if (!answerer.ok()) return reply(answerer.status());
    // Of an ended one the journal says so, or finds that this very answer was given before.
    const bool still_open = row->phase == policies::ApprovalPhase::kPending;
    const policies::Right right = policies::RightOf(
        *full, *answerer, hub_.parts.state->Delegations(), hub_.parts.clock->WallMicros());
    if (still_open && !right.may.yes) return reply(NotAnApprover(right.may));
    if (core::Status seen = CheckSeen(*row, answer.etag); !seen.ok()) return reply(seen);
    const auto key = hub_.parts.keys->KeyFor(call.id.subject);
    if (!key.ok()) return reply(key.status());
    auto draft = std::make_shared<Draft>();
    draft->kind = answer.grant ? "approval.granted" : "approval.rejected";
    draft->run = row->run;
    draft->actor = "principal:" + who.id;
    const std::string reason =
        answer.reason.empty() ? "" : hub_.SealerFor(*key).Text(*draft, answer.reason);
    const RequestMark request = MarkOf(who, answer.request_id, "AnswerApproval", answer.approval,
                                       {{"etag", answer.etag},
                                        {"grant", answer.grant},
                                        {"on_behalf_of", answer.on_behalf_of},
                                        {"reason", answer.reason}});
    const Word word{.by = NameInLog(*answerer), .of = right.of, .stage = row->stage};
    const bool relayed = !answerer->on_behalf_of.empty();
    const GrantPace pace{
        .counter = relayed ? "" : hub_.parts.keys->Hmac("counter", "approvals/" + word.by),
        .per_minute = hub_.parts.limits.grants_per_minute,
        .pause_us = hub_.parts.limits.grant_pause_us};
    auto others = hub_.ApprovalsOfCall(row->call);
    if (!others.ok()) return reply(others.status());
    struct Answered {
      bool repeated = false;
      bool complete = false;  // of this approval
      bool all = false;       // of the call
      std::int64_t within_minute = 0;
    };
    auto answered = std::make_shared<Answered>();
    hub_.journal.Submit(
        [answer, draft, reason, request, word, pace, answered,
         others = std::move(*others)](Serial& serial) -> core::Status {
          State& state = serial.state();
          INTERLOCK_ASSIGN_OR_RETURN(answered->repeated, WasMade(state, request));
          if (answered->repeated)
            return core::Error(core::StatusCode::kAlreadyExists, "answered already");
          INTERLOCK_ASSIGN_OR_RETURN(const ApprovalRow* now, StillOpen(serial, answer.approval));
          answered->repeated = answer.grant && HasGranted(*now, word.by);  // a person counts once
          if (answered->repeated)
            return core::Error(core::StatusCode::kAlreadyExists, "granted already");
          INTERLOCK_RETURN_IF_ERROR(CheckWord(*now, word));
          const bool counted = answer.grant && !pace.counter.empty();
          if (counted) {
            INTERLOCK_ASSIGN_OR_RETURN(answered->within_minute, GrantsWithin(serial, pace));
          }
          const bool staged = answer.grant && !now->quorums.empty();
          const bool stage_complete = now->in_stage + 1 >= QuorumNow(*now);
          answered->complete = !answer.grant || (stage_complete && IsLastStage(*now));
          BodyWriter body(*draft);
          body.String("approval", answer.approval).String("by", word.by).String("call", now->call);
          body.Bool("complete", answered->complete);
          if (counted) body.Raw("counters", JsonStrings({pace.counter}));
          body.Optional("for", word.of);
          if (answered->within_minute > pace.per_minute) {
            body.Int("hasty", answered->within_minute);
          }
          if (!reason.empty()) body.Raw("reason", reason);
          request.Write(body);
          if (staged) body.Int("stage", now->stage + 1).Bool("stage_complete", stage_complete);
          if (counted) body.Int("window_ms", kGrantWindowMs);
          body.Close();
          INTERLOCK_RETURN_IF_ERROR(serial.Append(*draft).status());
          answered->all = answered->complete;
          if (!answer.grant) {
            return VoidSiblings(serial, others, answer.approval, "another approval was refused");
          }
          for (const ApprovalRow& other : others) {
            if (other.approval == answer.approval) continue;
            const bool pending =
                state.FindApproval(other.approval)->phase == policies::ApprovalPhase::kPending;
            if (pending) answered->all = false;
          }
          return core::OkStatus();
        },
        audit::Urgency::kNormal,
        [this, answer, answered, run = row->run, call_id = row->call, most = pace.per_minute,
         reply](const core::Status& status) {
          if (!status.ok() && !answered->repeated) return reply(status);
          if (status.ok() && !run.empty()) {
            if (!answer.grant) {
              hub_.Post(run, event::CallDone{call_id, EndedObservation("APPROVAL_REJECTED")},
                        Hub::kAlways);
            } else if (answered->all) {
              hub_.Post(run, event::CallGranted{call_id}, Hub::kAlways);
            }
          }
          const std::int64_t count = answered->within_minute;
          asio::post(hub_.WorkerOf(answer.approval).io, [this, answer, count, most, reply] {
            const auto now = hub_.ApprovalRowOf(answer.approval);
            auto info = now.ok() ? InfoOf(*now) : core::StatusOr<ApprovalInfo>(now.status());
            if (info.ok() && count > most) info->warning = HastyText(count);
            reply(std::move(info));
          });
        });
  });
}

}  // namespace interlock::runtime
