// What a run that has not ended waits for, call by call.
#include <algorithm>

#include "engine/engine.h"
#include "engine/entry_pager.h"
#include "engine/state_fields.h"
#include "engine/switches.h"

namespace interlock::runtime {
namespace {

// A run that is read while it works costs no look at its entries.
bool WaitsForCalls(RunState state) {
  return state == RunState::kWaitingForApproval || state == RunState::kWaitingForPerson ||
         state == RunState::kCancelling || state == RunState::kCompensating;
}

// By its entries: the tables may be behind, and cannot follow on a full disk, when somebody looks.
struct Found {
  std::vector<OpenCall> open;   // at work or of unknown outcome, oldest first
  std::vector<OpenCall> asked;  // approvals, answered or not

  void Fold(const audit::Entry& entry, const core::JsonObjectView& body);
};

void Found::Fold(const audit::Entry& entry, const core::JsonObjectView& body) {
  const std::string call = body.String("call").value_or("");
  if (entry.kind == "approval.requested") {
    asked.push_back({.call = call,
                     .tool = "",
                     .waits_for = OpenCall::WaitsFor::kApproval,
                     .approval = body.String("approval").value_or("")});
    return;
  }
  const bool intended = entry.kind == "call.intended";
  const bool resolved = entry.kind == "call.resolved" && body.Bool("complete").value_or(false);
  if (!intended && !resolved && entry.kind != "call.outcome") return;
  const auto at = std::find_if(open.begin(), open.end(),
                               [&call](const OpenCall& one) { return one.call == call; });
  const bool unknown = entry.kind == "call.outcome" && body.String("kind") == "unknown";
  if (intended && at == open.end()) {
    open.push_back({.call = call,
                    .tool = body.String("tool").value_or(""),
                    .waits_for = OpenCall::WaitsFor::kOutcome,
                    .approval = ""});
  } else if (unknown && at != open.end()) {
    at->waits_for = OpenCall::WaitsFor::kPerson;
  } else if (!intended && at != open.end()) {
    open.erase(at);
  }
}

}  // namespace

core::StatusOr<std::vector<OpenCall>> EngineImpl::OpenCallsOf(const RunRow& row) const {
  if (!WaitsForCalls(row.state) && !hub_.gate.IsSettlingOneOf(row.run)) {
    return std::vector<OpenCall>{};
  }
  Found found;
  EntryPager pager(*hub_.parts.log, row.run);
  for (;;) {
    INTERLOCK_ASSIGN_OR_RETURN(const std::vector<audit::Entry> entries, pager.Next());
    if (entries.empty()) break;
    for (const audit::Entry& entry : entries) {
      INTERLOCK_ASSIGN_OR_RETURN(const core::JsonObjectView view,
                                 core::JsonObjectView::Of(entry.bytes));
      if (const auto body = view.Object("body")) found.Fold(entry, *body);
    }
  }
  for (OpenCall& one : found.open) {
    if (hub_.gate.IsSettling(one.call)) one.waits_for = OpenCall::WaitsFor::kLookUp;
  }
  if (row.state == RunState::kCancelling) return std::move(found.open);  // asks nobody any more
  for (OpenCall& one : found.asked) {
    INTERLOCK_ASSIGN_OR_RETURN(const ApprovalRow approval, hub_.ApprovalRowOf(one.approval));
    if (approval.phase != policies::ApprovalPhase::kPending) continue;
    one.tool = approval.tool;
    found.open.push_back(std::move(one));
  }
  if (row.state == RunState::kCompensating) return ToTakeBack(row, std::move(found.open));
  return std::move(found.open);
}

// No entry says why the next is not taken back yet. What cannot be read now is not named.
std::vector<OpenCall> EngineImpl::ToTakeBack(const RunRow& row, std::vector<OpenCall> open) const {
  const auto recorded = hub_.ReadBack(row.run);
  if (!recorded.ok()) return open;
  std::vector<Compensation> left = recorded->core.compensations;
  std::erase_if(left, [](const Compensation& one) { return one.phase == SlotPhase::kDone; });
  // Of the other calls some may be open for ever: it ends without them.
  std::erase_if(open, [&left](const OpenCall& one) {
    return std::none_of(left.begin(), left.end(), [&one](const Compensation& back) {
      return back.of == one.call || back.call == one.call;
    });
  });
  if (!open.empty() || left.empty()) return open;
  const auto call = hub_.CallRowOf(left.front().of);
  if (!call.ok()) return open;
  const auto tool = hub_.parts.registry->Find(call->tool);
  const std::string by =
      tool == nullptr || !tool->manifest().compensate ? "" : tool->manifest().compensate->tool;
  const bool stopped = StoppedFor(*hub_.parts.state, row, by).has_value();
  open.push_back({.call = call->call,
                  .tool = call->tool,
                  .waits_for = stopped ? OpenCall::WaitsFor::kSwitch : OpenCall::WaitsFor::kTurn,
                  .approval = ""});
  return open;
}

}  // namespace interlock::runtime
