#include "cli/eval/driver.h"

#include <set>
#include <utility>

namespace interlock::runtime::cli {
namespace {

constexpr std::chrono::minutes kCaseLimit{5};

class CaseDriver {
 public:
  CaseDriver(const Workshop& workshop, const Client& client, const Case& the_case)
      : workshop_(workshop),
        client_(client),
        case_(the_case),
        differences_(the_case.steps.size()) {}

  CaseResult Run() {
    const core::Status status = Drive();
    if (!status.ok()) result_.error = core::Message(status);
    JudgeSteps();
    workshop_.Clear(case_);
    return std::move(result_);
  }

 private:
  core::Status Drive() {
    INTERLOCK_RETURN_IF_ERROR(workshop_.Prepare(case_));
    INTERLOCK_RETURN_IF_ERROR(Snapshot());
    INTERLOCK_RETURN_IF_ERROR(Start());
    INTERLOCK_RETURN_IF_ERROR(Follow());
    // A run that was cancelled while its call waited asks no more: look at that step now.
    if (checked_ < record_.calls().size()) INTERLOCK_RETURN_IF_ERROR(CheckStep());
    return core::OkStatus();
  }

  core::Status Start() {
    wire::CreateRunRequest request;
    request.set_parent(client_.parent());
    request.set_request_id(NewRequestId());
    wire::Run& run = *request.mutable_run();
    run.set_agent(workshop_.suite().agent);
    run.set_message(case_.message.empty() ? "case" : case_.message);
    run.set_user(case_.user);
    core::Json session = case_.session;
    session["case"] = case_.name;
    session["script"] = case_.name;
    run.set_session_json(session.dump());
    INTERLOCK_ASSIGN_OR_RETURN(
        const wire::Run made,
        client_.Call(client_.runs, &wire::RunService::Stub::CreateRun, request));
    result_.run = made.name();
    return core::OkStatus();
  }

  core::Status Follow() {
    grpc::ClientContext context;
    client_.Prepare(context);
    context.set_deadline(std::chrono::system_clock::now() + kCaseLimit);
    wire::WatchRunRequest request;
    request.set_name(result_.run);
    request.set_view(wire::CONTENT_VIEW_FULL);
    const auto reader = client_.runs->WatchRun(&context, request);
    wire::WatchRunResponse item;
    core::Status reacted = core::OkStatus();
    while (reacted.ok() && reader->Read(&item)) {
      if (item.has_event()) reacted = TakeEvent(item.event());
    }
    if (!reacted.ok()) context.TryCancel();
    const grpc::Status ended = reader->Finish();
    if (!reacted.ok()) return reacted;
    if (!ended.ok()) return client_.Explain(ended);
    if (record_.ended_as() == "run.completed" || cancelled_) return core::OkStatus();
    return core::Internal("the run ended as " + record_.ended_as());
  }

  core::Status TakeEvent(const wire::RunEvent& event) {
    const core::Json entry =
        core::Json::parse(event.entry_json(), nullptr, /*allow_exceptions=*/false);
    if (!entry.is_object()) return core::Internal("an entry of the stream is no JSON object");
    record_.Take(entry, {event.content().begin(), event.content().end()});
    INTERLOCK_RETURN_IF_ERROR(AnswerApprovals());
    if (record_.phase() == RunPhase::kWaitsForPerson) return Cancel("an outcome is unknown");
    if (record_.phase() != RunPhase::kWaitsForUser || record_.questions() == answered_)
      return core::OkStatus();
    answered_ = record_.questions();
    INTERLOCK_RETURN_IF_ERROR(CheckStep());
    return GoOn();
  }

  core::Status AnswerApprovals() {
    if (record_.calls().empty()) return core::OkStatus();
    const CallRecord& call = record_.calls().back();
    const std::size_t step = record_.calls().size() - 1;
    if (step >= case_.steps.size()) return core::OkStatus();
    for (const AskedApproval& approval : call.approvals) {
      if (approval.phase != "requested" || !answered_approvals_.insert(approval.id).second)
        continue;
      INTERLOCK_RETURN_IF_ERROR(AnswerOne(approval, case_.steps[step].confirmed));
    }
    return core::OkStatus();
  }

  // The user's yes or no, as the case has it. What he may not answer ends the run: nobody else is
  // here.
  core::Status AnswerOne(const AskedApproval& approval, bool confirmed) {
    const std::string& call = record_.calls().back().call;
    if (refused_.contains(call)) return core::OkStatus();  // one no is enough
    if (!confirmed && UserMayGrant(approval)) refused_.insert(call);
    if (!UserMayGrant(approval)) return Cancel("an approval that the run's user may not give");
    wire::GetApprovalRequest get;
    get.set_name(client_.Name("approvals", approval.id));
    INTERLOCK_ASSIGN_OR_RETURN(
        const wire::Approval shown,
        client_.Call(client_.approvals, &wire::ApprovalService::Stub::GetApproval, get));
    const auto status =
        confirmed ? Send(wire::ApproveRequest(), shown, &wire::ApprovalService::Stub::Approve)
                  : Send(wire::RejectRequest(), shown, &wire::ApprovalService::Stub::Reject);
    if (!status.ok() && !confirmed) return Cancel("the user does not confirm");
    return status;
  }

  template <typename Request>
  core::Status Send(Request request, const wire::Approval& shown,
                    grpc::Status (wire::ApprovalService::Stub::*method)(grpc::ClientContext*,
                                                                        const Request&,
                                                                        wire::Approval*)) {
    request.set_name(shown.name());
    request.set_etag(shown.etag());
    request.set_answer_for(wire::ANSWER_FOR_RUN_USER);
    request.set_request_id(NewRequestId());
    return client_.Call(client_.approvals, method, request).status();
  }

  core::Status Cancel(const std::string& why) {
    if (std::exchange(cancelled_, true)) return core::OkStatus();
    wire::CancelRunRequest request;
    request.set_name(result_.run);
    request.set_reason(why);
    request.set_request_id(NewRequestId());
    return client_.Call(client_.runs, &wire::RunService::Stub::CancelRun, request).status();
  }

  core::Status GoOn() {
    wire::SendMessageRequest request;
    request.set_name(result_.run);
    request.set_text(std::string(kGoOn));
    request.set_request_id(NewRequestId());
    return client_.Call(client_.runs, &wire::RunService::Stub::SendMessage, request).status();
  }

  // Remembers the database as it is before the next step.
  core::Status Snapshot() {
    if (!workshop_.has_database()) return core::OkStatus();
    INTERLOCK_ASSIGN_OR_RETURN(before_, workshop_.DatabaseDigest(case_));
    return core::OkStatus();
  }

  // The step that has just ended: its objects, or that nothing changed where nothing ran.
  core::Status CheckStep() {
    const std::size_t step = checked_++;
    if (step >= case_.steps.size() || step >= record_.calls().size()) return core::OkStatus();
    const core::Json& wanted = case_.steps[step].state_after;
    if (!wanted.is_null()) {
      INTERLOCK_ASSIGN_OR_RETURN(const core::Json got, workshop_.Export(case_, wanted));
      differences_[step] = Differences(wanted, got);
    }
    const core::Digest before = before_;
    INTERLOCK_RETURN_IF_ERROR(Snapshot());
    if (!record_.calls()[step].executed() && before != before_) {
      differences_[step].push_back("the call was not executed and yet the database changed");
    }
    return core::OkStatus();
  }

  void JudgeSteps() {
    for (std::size_t i = 0; i < case_.steps.size(); ++i) {
      StepResult step;
      if (i < record_.calls().size()) step.call = record_.calls()[i];
      step.judgement =
          Judge(case_.steps[i], step.call ? &*step.call : nullptr, workshop_.suite().asking);
      step.differences = differences_[i];
      result_.steps.push_back(std::move(step));
    }
  }

  const Workshop& workshop_;
  const Client& client_;
  const Case& case_;
  CaseResult result_;
  RunRecord record_;
  std::vector<std::vector<std::string>> differences_;
  std::set<std::string> answered_approvals_;
  std::set<std::string> refused_;  // calls
  core::Digest before_{};
  std::size_t checked_ = 0;
  int answered_ = 0;
  bool cancelled_ = false;
};

}  // namespace

CaseResult RunCase(const Workshop& workshop, const Client& client, const Case& the_case) {
  return CaseDriver(workshop, client, the_case).Run();
}

}  // namespace interlock::runtime::cli
