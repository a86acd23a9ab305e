// What auditors ask of the engine: lists of calls by filter, full text, erasure, retention.
#include <future>

#include "engine/call_query.h"
#include "engine/engine.h"

namespace interlock::runtime {

core::StatusOr<Page<AuditedCall>> EngineImpl::QueryCalls(const core::Principal& who,
                                                         const PageSpec& page,
                                                         std::string_view filter) {
  if (!who.Has(core::kRoleAuditor)) INTERLOCK_RETURN_IF_ERROR(Need(who, core::kRoleOperator));
  auto compiled =
      CompileCallFilter(filter, [this](std::string_view purpose, std::string_view text) {
        return hub_.parts.keys->Hmac(purpose, text);
      });
  if (!compiled.ok()) return WithReason(compiled.status(), "FILTER");
  return QueryCallsOf(*hub_.parts.log, *compiled, page);
}

void EngineImpl::SearchCalls(const core::Principal& who, PageSpec page, std::string text,
                             Reply<FoundTexts> reply) {
  // Snippets are content, as what DisclosePayloads shows.
  if (core::Status may = Need(who, core::kRoleAuditor); !may.ok()) return reply(may);
  housekeeper_.Submit([this, who, page = std::move(page), text = std::move(text),
                       reply = std::move(reply)] { reply(housekeeper_.Search(who, page, text)); });
}

void EngineImpl::EraseSubject(const core::Principal& who, EraseSpec spec, Reply<Erasure> reply) {
  if (core::Status may = Need(who, core::kRoleOperator); !may.ok()) return reply(may);
  housekeeper_.Submit([this, who, spec = std::move(spec), reply = std::move(reply)] {
    reply(housekeeper_.Erase(who, spec,
                             MarkOf(who, spec.request_id, "EraseSubject", spec.subject,
                                    {{"legal_basis", spec.legal_basis}, {"reason", spec.reason}})));
  });
}

void EngineImpl::ApplyRetention(const core::Principal& who, bool validate_only,
                                Reply<RetentionReport> reply) {
  if (core::Status may = Need(who, core::kRoleOperator); !may.ok()) return reply(may);
  housekeeper_.Submit([this, who, validate_only, reply = std::move(reply)] {
    reply(housekeeper_.ApplyRetention("principal:" + who.id, validate_only));
  });
}

core::Status EngineImpl::CancelAndWait(const core::Principal& who, const std::string& run) {
  auto promise = std::make_shared<std::promise<core::Status>>();
  std::future<core::Status> done = promise->get_future();
  CancelRun(who, run, "", "",
            [promise](const core::StatusOr<RunInfo>& info) { promise->set_value(info.status()); });
  return done.get();
}

}  // namespace interlock::runtime
