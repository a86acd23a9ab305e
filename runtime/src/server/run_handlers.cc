#include "server/checks.h"
#include "server/handlers.h"
#include "server/names.h"
#include "server/ownership.h"

namespace interlock::runtime::handlers {
namespace {

// The engine's answer as the wire's. The tenant is copied: the reply may outlive the request.
Reply<RunInfo> AsRun(const Caller& caller, Reply<wire::Run> reply) {
  return [tenant = caller.tenant(), engine = caller.engine,
          reply = std::move(reply)](core::StatusOr<RunInfo> info) {
    if (!info.ok()) return reply(info.status());
    wire::Run run = ToWire(tenant, *info);
    if (run.has_newest_entry()) AddCheckpoint(engine->log(), run.mutable_newest_entry());
    reply(std::move(run));
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
core::StatusOr<std::string> RunToChange(const Caller& caller, std::string_view name,
                                        std::string_view request_id) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::string_view id, IdOfName("name", name, kRuns));
  INTERLOCK_RETURN_IF_ERROR(CheckRequestId(request_id));
  INTERLOCK_RETURN_IF_ERROR(OwnRun(caller, id).status());
  return std::string(id);
}

}  // namespace

void CreateRun(const Caller& caller, const wire::CreateRunRequest& request,
               Reply<wire::Run> reply) {
  core::StatusOr<CreateRunSpec> spec = SpecOf(request);
  if (!spec.ok()) return reply(spec.status());
  caller.engine->CreateRun(*caller.who, *std::move(spec), AsRun(caller, std::move(reply)));
}

core::StatusOr<wire::Run> GetRun(const Caller& caller, const wire::GetRunRequest& request) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::string_view id, IdOfName("name", request.name(), kRuns));
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
  core::StatusOr<std::string> run = RunToChange(caller, request.name(), request.request_id());
  if (!run.ok()) return reply(run.status());
  core::Status text = CheckNotEmpty("text", request.text());
  if (text.ok()) text = CheckLength("text", request.text(), kMessageBytesMax);
  if (!text.ok()) return reply(text);
  caller.engine->SendMessage(*caller.who, *std::move(run), request.text(), request.request_id(),
                             AsRun(caller, std::move(reply)));
}

void CancelRun(const Caller& caller, const wire::CancelRunRequest& request,
               Reply<wire::Run> reply) {
  core::StatusOr<std::string> run = RunToChange(caller, request.name(), request.request_id());
  if (!run.ok()) return reply(run.status());
  const core::Status reason = CheckLength("reason", request.reason(), kReasonBytesMax);
  if (!reason.ok()) return reply(reason);
  caller.engine->CancelRun(*caller.who, *std::move(run), request.reason(), request.request_id(),
                           AsRun(caller, std::move(reply)));
}

}  // namespace interlock::runtime::handlers
