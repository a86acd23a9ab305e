#include "cli/open_log.h"

#include "cli/message_json.h"

namespace interlock::runtime::cli {

core::StatusOr<std::int64_t> BeginOfOpenLog(const Client& client) {
  wire::GetEntryRequest request;
  request.set_name(client.Name("entries", "0"));
  const auto first = client.Call(client.audit, &wire::AuditService::Stub::GetEntry, request);
  if (first.status().code() == core::StatusCode::kNotFound) return 0;  // an empty log
  if (!first.ok()) return first.status();
  return first->kind() == "log.opened" ? MicrosOf(first->create_time()) : 0;
}

}  // namespace interlock::runtime::cli
