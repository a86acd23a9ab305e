#include "engine/compensation_call.h"

#include <algorithm>

#include "core/template.h"

namespace interlock::runtime {
namespace {

// What its manifest says of a call of `tool`; null: nothing.
const tools::Compensate* CompensateOf(const tools::Registry& registry, const std::string& tool) {
  const auto found = registry.Find(tool);  // which keeps it
  return found == nullptr || !found->manifest().compensate ? nullptr
                                                           : &*found->manifest().compensate;
}

// Arguments that cannot be made are none: the gate then refuses the call, and the log shows why
// nothing was taken back.
void TakeBack(const tools::Compensate& compensate, const RecordedCall& call, Ticket& ticket) {
  ticket.cannot = "The arguments cannot be made of what the call to be taken back has left.";
  const auto args = core::ParseJson(call.args, core::kPayloadLimits);
  if (!args.ok()) return;
  const core::Json scope = {{"args", *args},
                            {"call", {{"id", call.id.call}, {"idempotency_key", call.id.call}}},
                            {"result", call.given.is_null() ? call.result : call.given},
                            {"session", *call.id.session}};
  const auto expanded = core::ExpandJson(compensate.args, scope);
  if (!expanded.ok()) return;
  ticket.id.args_text = core::CanonicalJson(*expanded);
  ticket.cannot.clear();
}

}  // namespace

void MakeCompensation(const tools::Registry& registry, const RunCore& core, const ToTakeBack& back,
                      Ticket& ticket) {
  ticket.id.step = core.steps;
  ticket.id.position = static_cast<std::int64_t>(
      std::count_if(core.compensations.begin(), core.compensations.end(),
                    [](const Compensation& one) { return !one.call.empty(); }));
  ticket.id.compensates = back.of;
  ticket.id.args_text = "{}";
  const tools::Compensate* compensate = CompensateOf(registry, back.tool);
  if (compensate != nullptr) ticket.id.tool = compensate->tool;
  if (!back.call.ok()) {
    ticket.cannot = std::string(kCannotTell) + std::string(core::Message(back.call.status()));
  } else if (compensate != nullptr) {
    TakeBack(*compensate, *back.call, ticket);
  }
}

core::StatusOr<RecordedCall> CallOfEnded(
    const std::string& run, const std::string& call,
    const std::function<core::StatusOr<RecordedRun>(const std::string&)>& read,
    CallsOfEnded& kept) {
  if (kept.run != run) {
    INTERLOCK_ASSIGN_OR_RETURN(RecordedRun ended, read(run));
    kept = {.run = run, .calls = std::move(ended.calls)};
  }
  const auto at = std::find_if(kept.calls.begin(), kept.calls.end(),
                               [&call](const RecordedCall& one) { return one.id.call == call; });
  if (at == kept.calls.end()) return core::DataLoss("the log has no call `" + call + "`");
  return *at;
}

}  // namespace interlock::runtime
