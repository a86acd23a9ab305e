#include "server/checks.h"
#include "server/handlers.h"
#include "server/names.h"
#include "server/ownership.h"
#include "server/receipts.h"

namespace interlock::runtime::handlers {
namespace {

// The engine's answer as the wire's. The tenant is copied: the reply may outlive the request.
Reply<RunInfo> AsRun(const Caller& caller, wire::WaitCheckpoint wait, Reply<wire::Run> reply) {
  return [tenant = caller.tenant(), caller, wait,
          reply = std::move(reply)](core::StatusOr<RunInfo> info) {
    if (!info.ok()) return reply(info.status());
    SendWithReceipt(caller, wait, ToWire(tenant, *info), reply);
  };
}

core::StatusOr<CreateRunSpec> SpecOf(const wire::CreateRunRequest& request) {
  INTERLOCK_RETURN_IF_ERROR(CheckParent(request.parent()));
  const wire::Run& run = request.run();
  INTERLOCK_RETURN_IF_ERROR(CheckNotEmpty("run.agent", run.agent()));
  INTERLOCK_RETURN_IF_ERROR(CheckLength("run.agent", run.agent(), 64));
  INTERLOCK_RETURN_IF_ERROR(CheckLength("run.message", run.message(), kMessageBytesMax));
  INTERLOCK_RETURN_IF_ERROR(CheckLength("run.user", run.user(), kPersonBytesMax));
  INTERLOCK_RETURN_IF_ERROR(CheckLength("run.subject", run.subject(), kPersonBytesMax));
  INTERLOCK_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  INTERLOCK_RETURN_IF_ERROR(CheckWait(request.wait_checkpoint()));
  CreateRunSpec spec;
  INTERLOCK_ASSIGN_OR_RETURN(spec.session, ParseSession("run.session_json", run.session_json()));
  spec.agent = run.agent();
  spec.message = run.message();
  spec.user = run.user();
  spec.subject = run.subject();
  spec.request_id = request.request_id();
  return spec;
}

// The id of a run that the caller may change.
template <typename Request>
core::StatusOr<std::string> RunToChange(const Caller& caller, const Request& request) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::string_view id,
                             IdOfName("name", request.name(), collection::kRuns));
  INTERLOCK_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  INTERLOCK_RETURN_IF_ERROR(CheckWait(request.wait_checkpoint()));
  INTERLOCK_RETURN_IF_ERROR(OwnRun(caller, id).status());
  return std::string(id);
}

}  // namespace

void CreateRun(const Caller& caller, const wire::CreateRunRequest& request,
               Reply<wire::Run> reply) {
  core::StatusOr<CreateRunSpec> spec = SpecOf(request);
  if (!spec.ok()) return reply(spec.status());
  caller.engine->CreateRun(*caller.who, *std::move(spec),
                           AsRun(caller, request.wait_checkpoint(), std::move(reply)));
}

core::StatusOr<wire::Run> GetRun(const Caller& caller, const wire::GetRunRequest& request) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::string_view id,
                             IdOfName("name", request.name(), collection::kRuns));
  INTERLOCK_ASSIGN_OR_RETURN(const RunInfo info, OwnRun(caller, id));
  return ToWire(caller.tenant(), info);
}

core::StatusOr<wire::ListRunsResponse> ListRuns(const Caller& caller,
                                                const wire::ListRunsRequest& request) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::optional<RunState> state, RunStateFilter(request.state()));
  INTERLOCK_ASSIGN_OR_RETURN(const ListPage page,
                             PageOf(caller, "ListRuns", request, std::to_string(request.state())));
  INTERLOCK_ASSIGN_OR_RETURN(const Page<RunInfo> found,
                             caller.engine->ListRuns(*caller.who, page.spec, state));
  wire::ListRunsResponse response;
  const bool all = SeesAllRuns(caller);
  for (const RunInfo& info : found.items) {
    if (all || MadeBy(info, caller)) *response.add_runs() = ToWire(caller.tenant(), info);
  }
  response.set_next_page_token(caller.pages->Seal(page.scope, found.next_cursor));
  return response;
}

void SendMessage(const Caller& caller, const wire::SendMessageRequest& request,
                 Reply<wire::Run> reply) {
  core::StatusOr<std::string> run = RunToChange(caller, request);
  if (!run.ok()) return reply(run.status());
  core::Status text = CheckNotEmpty("text", request.text());
  if (text.ok()) text = CheckLength("text", request.text(), kMessageBytesMax);
  if (!text.ok()) return reply(text);
  caller.engine->SendMessage(*caller.who, *std::move(run), request.text(), request.request_id(),
                             AsRun(caller, request.wait_checkpoint(), std::move(reply)));
}

void CancelRun(const Caller& caller, const wire::CancelRunRequest& request,
               Reply<wire::Run> reply) {
  core::StatusOr<std::string> run = RunToChange(caller, request);
  if (!run.ok()) return reply(run.status());
  const core::Status reason = CheckLength("reason", request.reason(), kReasonBytesMax);
  if (!reason.ok()) return reply(reason);
  caller.engine->CancelRun(*caller.who, *std::move(run), request.reason(), request.request_id(),
                           AsRun(caller, request.wait_checkpoint(), std::move(reply)));
}

}  // namespace interlock::runtime::handlers
