#include "core/plain_id.h"
#include "server/checks.h"
#include "server/handlers.h"
#include "server/names.h"
#include "server/ownership.h"
#include "server/receipts.h"

namespace interlock::runtime::handlers {
namespace {

core::StatusOr<ApprovalInfo> VisibleApproval(const Caller& caller, std::string_view id) {
  core::StatusOr<ApprovalInfo> info = caller.engine->GetApproval(*caller.who, id);
  if (!info.ok() || SeesAllRuns(caller)) return info;
  const bool own =
      info->run.empty() ? info->state.requester == caller.who->id : OwnRun(caller, info->run).ok();
  if (own) return info;
  return WithReason(core::NotFound("there is no approval `" + std::string(id) + "`"),
                    "APPROVAL_NOT_FOUND");
}

// Whether the caller has the role for the capacity in which he answers. Whether he is among this
// approval's approvers is the engine's to say.
core::Status CheckCapacity(const Caller& caller, wire::AnswerFor answer_for) {
  const bool relay = answer_for == wire::ANSWER_FOR_RUN_USER;
  if (!relay && answer_for != wire::ANSWER_FOR_UNSPECIFIED) {
    return BadField("answer_for", "is not a value that this server knows");
  }
  const std::string_view role = relay ? core::kRoleUserRelay : core::kRoleApprover;
  if (caller.who->Has(role)) return core::OkStatus();
  return WithReason(core::PermissionDenied("`" + caller.who->id + "` needs role " +
                                           std::string(role) + " to answer in this capacity"),
                    "MISSING_ROLE");
}

template <typename Request>
core::StatusOr<Answer> AnswerOf(const Caller& caller, const Request& request) {
  INTERLOCK_RETURN_IF_ERROR(CheckCapacity(caller, request.answer_for()));
  INTERLOCK_ASSIGN_OR_RETURN(const std::string_view id,
                             IdOfName("name", request.name(), collection::kApprovals));
  INTERLOCK_RETURN_IF_ERROR(CheckNotEmpty("etag", request.etag()));
  INTERLOCK_RETURN_IF_ERROR(CheckLength("etag", request.etag(), 128));
  INTERLOCK_RETURN_IF_ERROR(CheckLength("reason", request.reason(), kReasonBytesMax));
  INTERLOCK_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  INTERLOCK_RETURN_IF_ERROR(VisibleApproval(caller, id).status());
  Answer answer;
  answer.approval = id;
  answer.etag = request.etag();
  answer.reason = request.reason();
  answer.on_behalf_of = request.answer_for() == wire::ANSWER_FOR_RUN_USER ? "user" : "";
  answer.request_id = request.request_id();
  return answer;
}

core::StatusOr<EditSpec> EditOf(const Caller& caller, const wire::EditArgumentsRequest& request) {
  INTERLOCK_ASSIGN_OR_RETURN(Answer answer, AnswerOf(caller, request));
  INTERLOCK_RETURN_IF_ERROR(CheckNotEmpty("args_json", request.args_json()));
  INTERLOCK_RETURN_IF_ERROR(
      CheckLength("args_json", request.args_json(), core::kArgsLimits.bytes_max));
  return EditSpec{.approval = std::move(answer.approval),
                  .args = request.args_json(),
                  .etag = std::move(answer.etag),
                  .reason = std::move(answer.reason),
                  .on_behalf_of = std::move(answer.on_behalf_of),
                  .request_id = std::move(answer.request_id)};
}

// Microseconds of a time that the engine can count with; 0: it is not set.
core::StatusOr<std::int64_t> UntilOf(const wire::DelegateRequest& request) {
  if (!request.has_until_time()) return 0;
  constexpr std::int64_t kYear10000 = 253'402'300'800;  // as google.protobuf.Timestamp ends
  const google::protobuf::Timestamp& until = request.until_time();
  const bool sound = until.seconds() > 0 && until.seconds() < kYear10000 && until.nanos() >= 0 &&
                     until.nanos() < 1'000'000'000;
  if (!sound) return BadField("until_time", "lies in the next 31 days");
  return until.seconds() * 1'000'000 + until.nanos() / 1'000;
}

core::StatusOr<DelegateSpec> DelegateOf(const Caller& caller,
                                        const wire::DelegateRequest& request) {
  INTERLOCK_RETURN_IF_ERROR(CheckParent(request.parent()));
  INTERLOCK_RETURN_IF_ERROR(CheckNotEmpty("to", request.to()));
  INTERLOCK_RETURN_IF_ERROR(CheckLength("to", request.to(), core::kPlainIdBytesMax));
  INTERLOCK_RETURN_IF_ERROR(CheckLength("by", request.by(), core::kPlainIdBytesMax));
  INTERLOCK_RETURN_IF_ERROR(CheckLength("reason", request.reason(), kReasonBytesMax));
  INTERLOCK_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  DelegateSpec spec;
  if (!request.approval().empty()) {
    INTERLOCK_ASSIGN_OR_RETURN(const std::string_view id,
                               IdOfName("approval", request.approval(), collection::kApprovals));
    if (!request.end()) INTERLOCK_RETURN_IF_ERROR(VisibleApproval(caller, id).status());
    spec.approval = id;
  }
  spec.to = request.to();
  INTERLOCK_ASSIGN_OR_RETURN(spec.until_us, UntilOf(request));
  spec.end = request.end();
  spec.by = request.by();
  spec.reason = request.reason();
  spec.request_id = request.request_id();
  return spec;
}

void Send(const Caller& caller, core::StatusOr<Answer> answer, Reply<wire::Approval> reply) {
  if (!answer.ok()) return reply(answer.status());
  caller.engine->AnswerApproval(*caller.who, *std::move(answer),
                                [tenant = caller.tenant(), caller,
                                 reply = std::move(reply)](core::StatusOr<ApprovalInfo> info) {
                                  if (!info.ok()) return reply(info.status());
                                  reply(WithReceipt(caller, info->written, ToWire(tenant, *info)));
                                });
}

}  // namespace

core::StatusOr<wire::ListApprovalsResponse> ListApprovals(
    const Caller& caller, const wire::ListApprovalsRequest& request) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::string run, RunFilter(caller, request.run()));
  INTERLOCK_ASSIGN_OR_RETURN(const auto phase, ApprovalFilter(request.state()));
  INTERLOCK_ASSIGN_OR_RETURN(
      const ListPage page,
      PageOf(caller, "ListApprovals", request, std::to_string(request.state()) + "\n" + run));
  INTERLOCK_ASSIGN_OR_RETURN(const Page<ApprovalInfo> found,
                             caller.engine->ListApprovals(*caller.who, page.spec, phase, run));
  wire::ListApprovalsResponse response;
  for (const ApprovalInfo& info : found.items) {
    *response.add_approvals() = ToWire(caller.tenant(), info);
  }
  response.set_next_page_token(caller.pages->Seal(page.scope, found.next_cursor));
  return response;
}

core::StatusOr<wire::Approval> GetApproval(const Caller& caller,
                                           const wire::GetApprovalRequest& request) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::string_view id,
                             IdOfName("name", request.name(), collection::kApprovals));
  INTERLOCK_ASSIGN_OR_RETURN(const ApprovalInfo info, VisibleApproval(caller, id));
  return ToWire(caller.tenant(), info);
}

void Approve(const Caller& caller, const wire::ApproveRequest& request,
             Reply<wire::Approval> reply) {
  core::StatusOr<Answer> answer = AnswerOf(caller, request);
  if (answer.ok()) answer->grant = true;
  Send(caller, std::move(answer), std::move(reply));
}

void Reject(const Caller& caller, const wire::RejectRequest& request, Reply<wire::Approval> reply) {
  Send(caller, AnswerOf(caller, request), std::move(reply));
}

void Delegate(const Caller& caller, const wire::DelegateRequest& request,
              Reply<wire::Delegation> reply) {
  core::StatusOr<DelegateSpec> spec = DelegateOf(caller, request);
  if (!spec.ok()) return reply(spec.status());
  caller.engine->Delegate(
      *caller.who, *std::move(spec),
      [tenant = caller.tenant(), caller, reply = std::move(reply)](core::StatusOr<HandedOn> given) {
        if (!given.ok()) return reply(given.status());
        reply(WithReceipt(caller, given->written, ToWire(tenant, *given)));
      });
}

core::StatusOr<wire::ListDelegationsResponse> ListDelegations(
    const Caller& caller, const wire::ListDelegationsRequest& request) {
  INTERLOCK_RETURN_IF_ERROR(CheckParent(request.parent()));
  INTERLOCK_ASSIGN_OR_RETURN(const auto found, caller.engine->ListDelegations(*caller.who));
  wire::ListDelegationsResponse response;
  for (const policies::Delegation& given : found) {
    *response.add_delegations() = ToWire(caller.tenant(), given);
  }
  return response;
}

void EditArguments(const Caller& caller, const wire::EditArgumentsRequest& request,
                   Reply<wire::Call> reply) {
  core::StatusOr<EditSpec> spec = EditOf(caller, request);
  if (!spec.ok()) return reply(spec.status());
  caller.engine->EditArguments(
      *caller.who, *std::move(spec),
      [tenant = caller.tenant(), caller, reply = std::move(reply)](core::StatusOr<CallInfo> info) {
        if (!info.ok()) return reply(info.status());
        SendWithReceipt(caller, wire::WAIT_CHECKPOINT_UNSPECIFIED, ToWire(tenant, *info), reply);
      });
}

}  // namespace interlock::runtime::handlers
