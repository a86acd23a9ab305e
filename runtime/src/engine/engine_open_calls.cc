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
    const bool unknown = one.waits_for == OpenCall::WaitsFor::kPerson;
    if (unknown && hub_.gate.IsSettling(one.call)) one.waits_for = OpenCall::WaitsFor::kLookUp;
  }
  for (OpenCall& one : found.asked) {
    INTERLOCK_ASSIGN_OR_RETURN(const ApprovalRow approval, hub_.ApprovalRowOf(one.approval));
    if (approval.phase != policies::ApprovalPhase::kPending) continue;
    one.tool = approval.tool;
    found.open.push_back(std::move(one));
  }
  if (row.state == RunState::kCompensating && found.open.empty()) {
    if (auto next = NextToTakeBack(row)) found.open.push_back(*std::move(next));
  }
  return std::move(found.open);
}

// No entry says why it is not taken back yet. What cannot be read now is not named.
std::optional<OpenCall> EngineImpl::NextToTakeBack(const RunRow& row) const {
  const auto recorded =
      hub_.history.Run(row.run, [this](const std::string& name, const std::string& digest) {
        return hub_.PinnedAgent(name, digest);
      });
  if (!recorded.ok()) return std::nullopt;
  const auto& calls = recorded->core.compensations;
  const auto next = std::find_if(calls.begin(), calls.end(), [](const Compensation& one) {
    return one.phase != SlotPhase::kDone;
  });
  if (next == calls.end()) return std::nullopt;
  const auto call = hub_.CallRowOf(next->of);
  if (!call.ok()) return std::nullopt;
  OpenCall waits{
      .call = next->of, .tool = call->tool, .waits_for = OpenCall::WaitsFor::kTurn, .approval = ""};
  const auto tool = hub_.parts.registry->Find(call->tool);
  const std::string by =
      tool == nullptr || !tool->manifest().compensate ? "" : tool->manifest().compensate->tool;
  if (StoppedFor(*hub_.parts.state, row, by)) waits.waits_for = OpenCall::WaitsFor::kSwitch;
  return waits;
}

}  // namespace interlock::runtime
