// AuditService: lists of calls, full text, erasure, retention.
#include "server/checks.h"
#include "server/handlers.h"
#include "server/names.h"
#include "server/receipts.h"

namespace interlock::runtime::handlers {
namespace {

constexpr std::size_t kFilterBytesMax = 4096;
constexpr std::size_t kSearchBytesMax = 1024;
constexpr std::size_t kErasureReasonBytesMax = 256;
constexpr std::size_t kLegalBasisBytesMax = 128;

// Stays in the log for ever and in the clear: one printable line.
core::Status CheckOneLine(std::string_view field, std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < ' ') return BadField(field, "must be one line");
  }
  return core::OkStatus();
}

core::StatusOr<EraseSpec> SpecOf(const wire::EraseSubjectRequest& request) {
  INTERLOCK_RETURN_IF_ERROR(CheckParent(request.parent()));
  INTERLOCK_RETURN_IF_ERROR(CheckNotEmpty("subject", request.subject()));
  INTERLOCK_RETURN_IF_ERROR(CheckLength("subject", request.subject(), kPersonBytesMax));
  INTERLOCK_RETURN_IF_ERROR(CheckNotEmpty("reason", request.reason()));
  INTERLOCK_RETURN_IF_ERROR(CheckLength("reason", request.reason(), kErasureReasonBytesMax));
  INTERLOCK_RETURN_IF_ERROR(CheckOneLine("reason", request.reason()));
  INTERLOCK_RETURN_IF_ERROR(CheckLength("legal_basis", request.legal_basis(), kLegalBasisBytesMax));
  INTERLOCK_RETURN_IF_ERROR(CheckOneLine("legal_basis", request.legal_basis()));
  INTERLOCK_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  return EraseSpec{.subject = request.subject(),
                   .reason = request.reason(),
                   .legal_basis = request.legal_basis(),
                   .request_id = request.request_id()};
}

// Of an entry in a closed log: where it stands, and no head; its proof is asked for there.
wire::Receipt ReceiptOf(const Caller& caller, const Erasure& erased) {
  if (erased.log.empty()) return ReceiptAt(caller, erased.index);
  wire::Receipt receipt;
  receipt.set_index(static_cast<std::int64_t>(erased.index));
  receipt.set_log_origin(erased.log);
  return receipt;
}

}  // namespace

core::StatusOr<wire::QueryCallsResponse> QueryCalls(const Caller& caller,
                                                    const wire::QueryCallsRequest& request) {
  INTERLOCK_RETURN_IF_ERROR(CheckLength("filter", request.filter(), kFilterBytesMax));
  INTERLOCK_ASSIGN_OR_RETURN(const ListPage page,
                             PageOf(caller, "QueryCalls", request, request.filter()));
  INTERLOCK_ASSIGN_OR_RETURN(const Page<AuditedCall> found,
                             caller.engine->QueryCalls(*caller.who, page.spec, request.filter()));
  wire::QueryCallsResponse response;
  for (const AuditedCall& call : found.items) {
    *response.add_calls() = ToWire(caller.tenant(), call);
  }
  response.set_next_page_token(caller.pages->Seal(page.scope, found.next_cursor));
  return response;
}

void SearchCalls(const Caller& caller, const wire::SearchCallsRequest& request,
                 Reply<wire::SearchCallsResponse> reply) {
  core::Status bad = CheckNotEmpty("text", request.text());
  if (bad.ok()) bad = CheckLength("text", request.text(), kSearchBytesMax);
  if (!bad.ok()) return reply(bad);
  auto page = PageOf(caller, "SearchCalls", request, request.text());
  if (!page.ok()) return reply(page.status());
  page->spec.hangup = caller.hangup;
  caller.engine->SearchCalls(
      *caller.who, page->spec, request.text(),
      [tenant = caller.tenant(), pages = *caller.pages, scope = page->scope,
       reply = std::move(reply)](core::StatusOr<FoundTexts> found) {
        if (!found.ok()) return reply(found.status());
        wire::SearchCallsResponse response;
        for (const FoundText& hit : found->page.items) {
          *response.add_hits() = ToWire(tenant, hit);
        }
        response.set_next_page_token(pages.Seal(scope, found->page.next_cursor));
        response.set_access_index(static_cast<std::int64_t>(found->access_index));
        response.set_unreadable_payloads(static_cast<std::int64_t>(found->unreadable));
        response.set_unsearched_logs(static_cast<std::int64_t>(found->unsearched_logs));
        for (UnsearchedLog& log : found->unsearched) {
          wire::UnsearchedLog& told = *response.add_unsearched();
          told.set_log(std::move(log.log));
          told.set_log_file(std::move(log.log_file));
          told.set_why(std::move(log.why));
        }
        reply(std::move(response));
      });
}

void EraseSubject(const Caller& caller, const wire::EraseSubjectRequest& request,
                  Reply<wire::EraseSubjectResponse> reply) {
  core::StatusOr<EraseSpec> spec = SpecOf(request);
  if (!spec.ok()) return reply(spec.status());
  caller.engine->EraseSubject(*caller.who, *std::move(spec),
                              [caller, reply = std::move(reply)](core::StatusOr<Erasure> erased) {
                                if (!erased.ok()) return reply(erased.status());
                                wire::EraseSubjectResponse response;
                                *response.mutable_receipt() = ReceiptOf(caller, *erased);
                                response.set_index(static_cast<std::int64_t>(erased->index));
                                response.set_runs_ended(erased->runs_ended);
                                response.set_payloads(erased->payloads);
                                response.set_old_pages_pending(erased->old_pages_pending);
                                for (std::string& log : erased->logs_away) {
                                  response.add_logs_away(std::move(log));
                                }
                                reply(std::move(response));
                              });
}

void ApplyRetention(const Caller& caller, const wire::ApplyRetentionRequest& request,
                    Reply<wire::ApplyRetentionResponse> reply) {
  if (core::Status bad = CheckParent(request.parent()); !bad.ok()) return reply(bad);
  caller.engine->ApplyRetention(*caller.who, request.validate_only(),
                                [reply = std::move(reply)](core::StatusOr<RetentionReport> done) {
                                  if (!done.ok()) return reply(done.status());
                                  wire::ApplyRetentionResponse response;
                                  response.set_payloads(done->payloads);
                                  response.set_entries(done->entries);
                                  reply(std::move(response));
                                });
}

}  // namespace interlock::runtime::handlers
