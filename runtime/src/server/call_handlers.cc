#include <algorithm>
#include <chrono>

#include "server/checks.h"
#include "server/handlers.h"
#include "server/names.h"
#include "server/ownership.h"
#include "server/receipts.h"

namespace interlock::runtime::handlers {
namespace {

Reply<CallInfo> AsCall(const Caller& caller, wire::WaitCheckpoint wait, Reply<wire::Call> reply) {
  return [tenant = caller.tenant(), caller, wait,
          reply = std::move(reply)](core::StatusOr<CallInfo> info) {
    if (!info.ok()) return reply(info.status());
    SendWithReceipt(caller, wait, ToWire(tenant, *info), reply);
  };
}

core::StatusOr<ToolCallSpec> SpecOf(std::string_view parent, const wire::ToolCall& call,
                                    std::string_view request_id) {
  INTERLOCK_RETURN_IF_ERROR(CheckParent(parent));
  INTERLOCK_RETURN_IF_ERROR(CheckNotEmpty("call.tool", call.tool()));
  INTERLOCK_RETURN_IF_ERROR(CheckLength("call.tool", call.tool(), 128));
  INTERLOCK_RETURN_IF_ERROR(CheckNotEmpty("call.args_json", call.args_json()));
  INTERLOCK_RETURN_IF_ERROR(
      CheckLength("call.args_json", call.args_json(), core::kArgsLimits.bytes_max));
  INTERLOCK_RETURN_IF_ERROR(CheckLength("call.user", call.user(), kPersonBytesMax));
  INTERLOCK_RETURN_IF_ERROR(CheckLength("call.subject", call.subject(), kPersonBytesMax));
  INTERLOCK_RETURN_IF_ERROR(CheckRequestId(request_id));
  ToolCallSpec spec;
  INTERLOCK_ASSIGN_OR_RETURN(spec.session, ParseSession("call.session_json", call.session_json()));
  spec.tool = call.tool();
  spec.args = call.args_json();
  spec.user = call.user();
  spec.subject = call.subject();
  spec.request_id = request_id;
  return spec;
}

// As long as its deadline says, or until he goes away (ADR 59); without a deadline for ever.
void LetWait(const Caller& caller, ToolCallSpec& spec) {
  using std::chrono::duration_cast, std::chrono::microseconds, std::chrono::system_clock;
  spec.hangup = caller.hangup;
  if (caller.deadline == system_clock::time_point::max()) return;
  const auto left = duration_cast<microseconds>(caller.deadline - system_clock::now());
  spec.wait_us = std::max<std::int64_t>(0, left.count());
}

core::StatusOr<ResolveSpec> SpecOf(const wire::ResolveCallRequest& request) {
  using Request = wire::ResolveCallRequest;
  INTERLOCK_ASSIGN_OR_RETURN(const std::string_view id,
                             IdOfName("name", request.name(), collection::kCalls));
  if (request.finding() != Request::FINDING_HAPPENED &&
      request.finding() != Request::FINDING_NOT_HAPPENED) {
    return BadField("finding", "must be HAPPENED or NOT_HAPPENED");
  }
  INTERLOCK_RETURN_IF_ERROR(CheckNotEmpty("reason", request.reason()));
  INTERLOCK_RETURN_IF_ERROR(CheckLength("reason", request.reason(), kReasonBytesMax));
  INTERLOCK_RETURN_IF_ERROR(CheckLength("evidence", request.evidence(), kEvidenceBytesMax));
  INTERLOCK_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  INTERLOCK_RETURN_IF_ERROR(CheckWait(request.wait_checkpoint()));
  return ResolveSpec{.call = std::string(id),
                     .happened = request.finding() == Request::FINDING_HAPPENED,
                     .reason = request.reason(),
                     .evidence = request.evidence(),
                     .request_id = request.request_id()};
}

}  // namespace

core::StatusOr<wire::ListToolsResponse> ListTools(const Caller& caller,
                                                  const wire::ListToolsRequest& request) {
  INTERLOCK_ASSIGN_OR_RETURN(const ListPage page, PageOf(caller, "ListTools", request, ""));
  const auto tools = caller.engine->ListTools(*caller.who);  // by name
  const auto size = static_cast<std::size_t>(page.spec.size);
  // The cursor is the last name sent, so that a page goes on rightly when tools came or went.
  auto next = std::find_if(tools.begin(), tools.end(), [&](const auto& tool) {
    return tool->manifest().name > page.spec.cursor;
  });
  wire::ListToolsResponse response;
  std::string last;
  for (; next != tools.end() && static_cast<std::size_t>(response.tools_size()) < size; ++next) {
    *response.add_tools() = ToWire(caller.tenant(), **next);
    last = (*next)->manifest().name;
  }
  if (next != tools.end()) response.set_next_page_token(caller.pages->Seal(page.scope, last));
  return response;
}

void CheckToolCall(const Caller& caller, const wire::CheckToolCallRequest& request,
                   Reply<wire::Call> reply) {
  core::StatusOr<ToolCallSpec> spec = SpecOf(request.parent(), request.call(), "");
  if (!spec.ok()) return reply(spec.status());
  LetWait(caller, *spec);
  caller.engine->CheckToolCall(*caller.who, *std::move(spec),
                               AsCall(caller, wire::WAIT_CHECKPOINT_UNSPECIFIED, std::move(reply)));
}

void ExecuteToolCall(const Caller& caller, const wire::ExecuteToolCallRequest& request,
                     Reply<wire::Call> reply) {
  if (request.request_id().empty()) return reply(BadField("request_id", "is required"));
  if (const core::Status wait = CheckWait(request.wait_checkpoint()); !wait.ok()) {
    return reply(wait);
  }
  core::StatusOr<ToolCallSpec> spec =
      SpecOf(request.parent(), request.call(), request.request_id());
  if (!spec.ok()) return reply(spec.status());
  LetWait(caller, *spec);
  caller.engine->ExecuteToolCall(*caller.who, *std::move(spec),
                                 AsCall(caller, request.wait_checkpoint(), std::move(reply)));
}

core::StatusOr<wire::Call> GetCall(const Caller& caller, const wire::GetCallRequest& request) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::string_view id,
                             IdOfName("name", request.name(), collection::kCalls));
  INTERLOCK_ASSIGN_OR_RETURN(const CallInfo info, caller.engine->GetCall(*caller.who, id));
  if (!info.run.empty() && !OwnRun(caller, info.run).ok()) {
    return WithReason(core::NotFound("there is no call `" + std::string(id) + "`"),
                      "CALL_NOT_FOUND");
  }
  return ToWire(caller.tenant(), info);
}

core::StatusOr<wire::ListCallsResponse> ListCalls(const Caller& caller,
                                                  const wire::ListCallsRequest& request) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::string run, RunFilter(caller, request.run()));
  INTERLOCK_ASSIGN_OR_RETURN(const std::optional<CallState> state,
                             CallStateFilter(request.state()));
  INTERLOCK_ASSIGN_OR_RETURN(
      const ListPage page,
      PageOf(caller, "ListCalls", request, std::to_string(request.state()) + "\n" + run));
  INTERLOCK_ASSIGN_OR_RETURN(const Page<CallInfo> found,
                             caller.engine->ListCalls(*caller.who, page.spec, state, run));
  wire::ListCallsResponse response;
  for (const CallInfo& info : found.items) *response.add_calls() = ToWire(caller.tenant(), info);
  response.set_next_page_token(caller.pages->Seal(page.scope, found.next_cursor));
  return response;
}

void ResolveCall(const Caller& caller, const wire::ResolveCallRequest& request,
                 Reply<wire::Call> reply) {
  core::StatusOr<ResolveSpec> spec = SpecOf(request);
  if (!spec.ok()) return reply(spec.status());
  caller.engine->ResolveCall(*caller.who, *std::move(spec),
                             AsCall(caller, request.wait_checkpoint(), std::move(reply)));
}

}  // namespace interlock::runtime::handlers
