// How a run that is read back begins.
#include "audit/read_error.h"
#include "engine/history.h"
#include "engine/lineage.h"
#include "engine/run_entries.h"

namespace interlock::runtime {
namespace {

core::StatusOr<core::Json> WhoOf(const History& history, std::uint64_t index,
                                 const core::JsonObjectView& body) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::string text, history.Content(index, body, "who"));
  return core::ParseJson(text, core::kPayloadLimits);
}

// What a run that an agent started was given of that one's limits.
void TakeLimits(const core::JsonObjectView& given, AgentLimits& limits) {
  limits.calls_max = given.Int("calls").value_or(limits.calls_max);
  limits.steps_max = given.Int("steps").value_or(limits.steps_max);
  limits.tokens_max = given.Int("tokens").value_or(0);
  limits.wall_ms = given.Int("wall_ms").value_or(limits.wall_ms);
}

}  // namespace

bool IsLost(const core::Status& status) {
  return status.code() == core::StatusCode::kNotFound || audit::IsDamage(status);
}

void TakeContext(const core::Json& context, CallIdentity& id) {
  if (!context.is_object()) return;
  id.user = context.value("user", "");
  id.subject = context.value("subject", "");
  id.roles = context.value("roles", std::vector<std::string>{});
  id.request_id = context.value("request_id", "");
  if (context.contains("session")) id.session = std::make_shared<core::Json>(context["session"]);
}

core::Status History::FoldStarted(const audit::Entry& entry, const core::JsonObjectView& body,
                                  const AgentOf& agent_of, RecordedRun& recorded) const {
  CallIdentity& base = recorded.base;
  base.agent = body.String("agent").value_or("");
  base.principal = body.String("principal").value_or("");
  recorded.agent_digest = body.String("agent_digest").value_or("");
  INTERLOCK_ASSIGN_OR_RETURN(const core::Json who, WhoOf(*this, entry.index, body));
  TakeContext(who, base);
  INTERLOCK_ASSIGN_OR_RETURN(core::Json session, JsonIfAny(entry.index, body, "session"));
  base.session = std::make_shared<core::Json>(std::move(session));
  recorded.reads.ReadSession(*base.session);
  if (const auto context = body.Object("context")) {
    recorded.core.context.budget = BudgetOf(*context);
  }
  const AgentFile* agent = agent_of(base.agent, recorded.agent_digest);
  if (agent != nullptr) {
    recorded.core.limits = agent->limits;
    recorded.core.on_text = agent->on_text;
    recorded.core.escalates = agent->escalates;
    recorded.core.together = agent->together;
    recorded.results = agent->results;
    recorded.reads_results = ReadsResults(*agent);
  }
  if (const auto lineage = body.Object("lineage")) {
    base.lineage = std::make_shared<const Lineage>(LineageFrom(*lineage));
    if (const auto given = body.Object("limits")) TakeLimits(*given, recorded.core.limits);
  }
  return core::OkStatus();
}

}  // namespace interlock::runtime
