// An approver changes the arguments of a parked call (ADR 39): the policy is asked first, then the
// edit is durable and voids all approvals, then the call goes through the whole gate again.
#include <algorithm>

#include "engine/answers.h"
#include "engine/engine.h"
#include "engine/run_state.h"
#include "engine/unanswered.h"

namespace interlock::runtime {

struct EngineImpl::Edit {
  core::Principal who;
  EditSpec spec;
  ApprovalRow row;
  std::vector<ApprovalRow> siblings;  // it included
  RecordedCall call;
  EditFields fields;
  RequestMark request;
  std::optional<Sealer> sealer;
  RecordedRun recorded;            // its run, if it has one
  std::unique_ptr<Ticket> ticket;  // as the policy was asked
  Worker* worker = nullptr;
  bool open = false;  // as read before the serial section
  bool repeated = false;
  std::string objection;  // of the journal
  std::int64_t seq = -1;  // of call.edited in its run
};

namespace {

core::Status NotEditable(const std::string& why) {
  return WithReason(core::FailedPrecondition(why), "NOT_EDITABLE");
}

core::Status TooMany() {
  return WithReason(
      core::FailedPrecondition("the call was edited, or was to be, " + std::to_string(kEditsMax) +
                               " times; approve or reject it"),
      "EDIT_LIMIT");
}

// No word on the arguments: it counts as no edit.
core::Status NotNow(std::string_view code, std::string_view say) {
  std::string text = "nothing can be edited now (" + std::string(code) + ")";
  if (!say.empty()) text += ": " + std::string(say);
  return WithReason(core::FailedPrecondition(text + "; try again later"), "EDIT_DENIED");
}

core::Status Denied(std::string_view code, std::string_view say) {
  std::string text = "the policy does not allow these arguments (" + std::string(code) + ")";
  if (!say.empty()) text += ": " + std::string(say);
  return WithReason(core::FailedPrecondition(text), "EDIT_DENIED");
}

std::vector<std::string> IdsOf(const std::vector<ApprovalRow>& rows) {
  std::vector<std::string> ids;
  ids.reserve(rows.size());
  for (const ApprovalRow& row : rows) ids.push_back(row.approval);
  return ids;
}

// The new arguments in canonical form, if they fit the tool and are others.
core::StatusOr<std::string> CheckedArgs(const tools::Tool& tool, const RecordedCall& call,
                                        const std::string& text) {
  const auto args = tool.ValidateArgs(std::string_view(text));
  if (!args.ok()) {
    return WithReason(core::InvalidArgument("the edit does not fit: " +
                                            std::string(core::Message(args.status()))),
                      "BAD_ARGUMENTS");
  }
  if (args->text != call.args) return args->text;
  return WithReason(
      core::InvalidArgument("these are the arguments already; approve or reject instead"),
      "NOTHING_CHANGED");
}

constexpr const char* kNobodyLeft = "NOBODY_LEFT";
constexpr const char* kTooFewOthers =
    "Too few others could approve it: who edits does not count, nor who made the run or told it "
    "what to do.";

// Whether it would ask people of whom too few are left, also of those who are configured.
bool LeavesNobody(const Unanswered& unanswered, const Ticket& ticket,
                  std::vector<std::string> told_by) {
  if (ticket.verdict != "ask") return false;
  if (!unanswered.WhyNot(ticket, told_by).empty()) return true;
  const std::vector<policies::ApprovalDemand>& demands = ticket.decision.demands;
  const policies::Excluded excluded{.requester = ticket.id.principal,
                                    .run_user = ticket.id.user,
                                    .editors = FromLog(Gate::EditorsOf(ticket), ticket.id.user),
                                    .told_by = std::move(told_by)};
  return std::any_of(demands.begin(), demands.end(),
                     [&](const auto& demand) { return !policies::CouldBeMet(demand, excluded); });
}

}  // namespace

void EngineImpl::EditArguments(const core::Principal& who, EditSpec spec, Reply<CallInfo> reply) {
  if (spec.reason.size() > kReasonBytesMax)
    return reply(core::InvalidArgument("`reason` is longer than 4096 bytes"));
  if (hub_.stopping()) return reply(core::Unavailable("the daemon is stopping; try again"));
  auto row = hub_.ApprovalRowOf(spec.approval);
  if (!row.ok()) return reply(row.status());
  auto edit = std::make_shared<Edit>();
  edit->who = who;
  edit->spec = std::move(spec);
  edit->row = *std::move(row);
  edit->worker = &hub_.WorkerOf(edit->row.run.empty() ? edit->row.call : edit->row.run);
  auto run = [](EngineImpl* self, std::shared_ptr<Edit> work,
                Reply<CallInfo> answer) -> asio::awaitable<void> {
    core::Status prepared = self->PrepareEdit(*work);
    if (!prepared.ok()) {
      answer(prepared);
      co_return;
    }
    core::StatusOr<CallInfo> info = co_await self->MakeEdit(work);
    answer(std::move(info));
  };
  Worker& worker = *edit->worker;
  hub_.Spawn(worker, run(this, std::move(edit), std::move(reply)));
}

// Who asks for it, of what he saw, and whether it could be at all.
core::Status EngineImpl::PrepareEdit(Edit& edit) const {
  const EditSpec& spec = edit.spec;
  INTERLOCK_ASSIGN_OR_RETURN(const policies::ApprovalState state, FullState(edit.row, edit.call));
  INTERLOCK_ASSIGN_OR_RETURN(const policies::Answerer answerer,
                             AnswererOf(edit.who, spec.on_behalf_of, state));
  edit.open = edit.row.phase == policies::ApprovalPhase::kPending;
  const policies::MayAnswer may = policies::CheckEditor(state, answerer);
  if (edit.open && !may.yes) return NotAnApprover(may);
  INTERLOCK_RETURN_IF_ERROR(CheckSeen(edit.row, spec.etag));
  if (!edit.call.id.compensates.empty()) {
    return NotEditable("what takes a call back is made from that call; approve or reject it");
  }
  edit.request = MarkOf(edit.who, spec.request_id, "EditArguments", spec.approval,
                        {{"args", spec.args},
                         {"etag", spec.etag},
                         {"on_behalf_of", spec.on_behalf_of},
                         {"reason", spec.reason}});
  const auto tool = hub_.parts.registry->Find(edit.call.id.tool);
  if (tool == nullptr) return NotEditable("tool `" + edit.call.id.tool + "` is gone");
  INTERLOCK_ASSIGN_OR_RETURN(const CallRow call, hub_.CallRowOf(edit.row.call));
  if (edit.open && call.edits >= kEditsMax) return TooMany();
  // Of an ended one, the journal tells whether this very edit ended it.
  std::string args = spec.args;
  if (edit.open) {
    INTERLOCK_ASSIGN_OR_RETURN(args, CheckedArgs(*tool, edit.call, spec.args));
  }
  INTERLOCK_ASSIGN_OR_RETURN(edit.siblings, hub_.ApprovalsOfCall(edit.row.call));
  INTERLOCK_ASSIGN_OR_RETURN(auto key, hub_.parts.keys->KeyFor(edit.call.id.subject));
  edit.sealer = Sealer(*hub_.parts.keys, std::move(key));
  const std::string by = NameInLog(answerer);
  const std::string actor = "principal:" + edit.who.id;
  std::vector<std::string> editors = EditorsWith(edit.call.editors, by, actor);
  edit.fields = {.run = edit.row.run,
                 .actor = actor,
                 .approval = edit.row.approval,
                 .call = edit.row.call,
                 .args = std::move(args),
                 .tool = tool,
                 .by = by,
                 .editors = std::move(editors),
                 .reason = spec.reason,
                 .request = edit.request.key,
                 .request_digest = edit.request.digest,
                 .until_us = edit.row.expires_us};
  return core::OkStatus();
}

asio::awaitable<core::StatusOr<CallInfo>> EngineImpl::MakeEdit(std::shared_ptr<Edit> edit) {
  if (edit->open) {
    if (core::Status asked = co_await AskPolicy(*edit); !asked.ok()) co_return asked;
  }
  Draft edited;  // sealed here: the serial section is everybody's time
  if (edit->open) edited = DraftEdited(*edit->sealer, edit->fields);
  core::Status status = co_await hub_.journal.Commit(
      [this, &edit, &edited](Serial& serial) { return CommitEdit(serial, *edit, edited); });
  if (!status.ok() && !edit->objection.empty()) {
    co_return co_await RefuseEdit(*edit, edit->objection, edit->ticket->say);
  }
  if (!status.ok() && !edit->repeated) co_return status;
  if (status.ok()) status = co_await PassEdited(*edit);
  if (!status.ok() && !edit->repeated) co_return status;
  const auto now = hub_.CallRowOf(edit->row.call);
  if (!now.ok()) co_return now.status();
  co_return InfoOf(*now, /*content=*/true);
}

// The whole policy on the new arguments, with fresh facts. What it refuses is recorded and changes
// nothing: a slip of the pen must not end the call.
asio::awaitable<core::Status> EngineImpl::AskPolicy(Edit& edit) {
  RecordedRun& run = edit.recorded;
  if (!edit.row.run.empty()) {
    auto recorded = hub_.ReadBack(edit.row.run);
    if (!recorded.ok()) co_return recorded.status();
    run = *std::move(recorded);
  }
  const bool of_run = !edit.row.run.empty();
  const AgentFile* agent =
      of_run ? hub_.PinnedAgent(edit.call.id.agent, run.agent_digest) : nullptr;
  if (of_run && agent == nullptr) co_return NotEditable("the agent of its run is gone");
  auto made = hub_.TicketOf(edit.call, agent);
  if (!made.ok()) co_return made.status();
  edit.ticket = *std::move(made);
  Ticket& ticket = *edit.ticket;
  if (of_run) {
    ticket.id.roles = run.base.roles;
    ticket.id.session = run.base.session;
    ticket.reads = &run.reads;
  }
  ticket.edited = edit.fields.args;
  co_await hub_.gate.Check(*edit.worker, ticket);
  ticket.editors = edit.fields.editors;
  if (LeavesNobody(*hub_.unanswered, ticket, hub_.TellersOf(edit.row.run))) {
    ticket.code = kNobodyLeft;
    ticket.say = kTooFewOthers;
  } else if (ticket.verdict == "allow" || ticket.verdict == "ask" || Gate::ReadBlindly(ticket)) {
    co_return core::OkStatus();  // of what memory did not know the journal decides anew
  }
  co_return co_await RefuseEdit(edit, ticket.code, ticket.say);
}

asio::awaitable<core::Status> EngineImpl::RefuseEdit(const Edit& edit, const std::string& code,
                                                     const std::string& say) {
  if (Gate::MayPass(*edit.ticket, code)) co_return NotNow(code, say);
  Draft refused = DraftEditRefused(*edit.sealer, edit.fields, code, say);
  core::Status recorded =
      co_await hub_.journal.Commit([&refused, &edit](Serial& serial) -> core::Status {
        const CallRow* call = serial.state().FindCall(edit.row.call);
        if (call == nullptr || call->edits >= kEditsMax) return TooMany();
        if (call->state != CallState::kParked)
          return NotEditable("the call does not wait any more");
        return serial.Append(refused).status();
      });
  co_return recorded.ok() ? Denied(code, say) : recorded;
}

core::Status EngineImpl::CommitEdit(Serial& serial, Edit& edit, Draft& edited) {
  State& state = serial.state();
  INTERLOCK_ASSIGN_OR_RETURN(edit.repeated, WasMade(state, edit.request));
  if (edit.repeated) return core::Error(core::StatusCode::kAlreadyExists, "edited already");
  INTERLOCK_ASSIGN_OR_RETURN(const ApprovalRow* open, StillOpen(serial, edit.row.approval));
  INTERLOCK_RETURN_IF_ERROR(CheckSeen(*open, edit.spec.etag));
  const CallRow* call = state.FindCall(edit.row.call);
  if (call == nullptr || call->state != CallState::kParked) {
    return NotEditable("the call does not wait any more");
  }
  if (call->edits >= kEditsMax) return TooMany();
  if (!edit.row.run.empty()) {
    const RunRow* run = state.FindRun(edit.row.run);
    if (run == nullptr || !Admits(run->state, "")) return NotEditable("its run ends");
    edit.seq = run->entries;
  }
  // An effect that another call has had, or a budget that is spent, must not end the call either.
  INTERLOCK_CHECK(edit.ticket != nullptr);
  edit.objection = hub_.gate.ObjectionNow(serial, *edit.ticket);
  if (edit.objection.empty() &&
      LeavesNobody(*hub_.unanswered, *edit.ticket, Gate::TellersOf(serial, *edit.ticket))) {
    edit.objection = kNobodyLeft;
    edit.ticket->say = kTooFewOthers;
  }
  if (!edit.objection.empty()) return core::FailedPrecondition("the journal objects");
  // Sealed anew only where another approval of the call expires sooner.
  const std::int64_t until_us = FirstExpiry(state, IdsOf(edit.siblings));
  if (until_us != edit.fields.until_us) {
    edit.fields.until_us = until_us;
    edited = DraftEdited(*edit.sealer, edit.fields);
  }
  INTERLOCK_RETURN_IF_ERROR(serial.Append(edited).status());
  return VoidSiblings(serial, edit.siblings, "", "edited");
}

// A call without a run is run by its caller, who asks again (rule 12); here it only asks anew.
asio::awaitable<core::Status> EngineImpl::PassEdited(const Edit& edit) {
  const EditFields& fields = edit.fields;
  if (!fields.run.empty()) {
    hub_.Post(fields.run,
              event::CallEdited{fields.call, ChangeOf(edit.call.id.args_text, fields.args)},
              edit.seq);
    auto start = [this, &fields](std::function<void(bool)> done) {
      hub_.GoOnWith(fields.run, fields.call, [done = std::move(done)] { done(true); });
    };
    co_await Await<bool>(std::move(start));
    co_return core::OkStatus();
  }
  const auto row = hub_.CallRowOf(fields.call);
  if (!row.ok()) co_return row.status();
  co_return co_await hub_.AskAnew(*row);
}

}  // namespace interlock::runtime
