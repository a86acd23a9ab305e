#include "engine/open_approvals.h"

#include <algorithm>

#include "engine/answers.h"
#include "policies/approval.h"

namespace interlock::runtime {
namespace {

std::vector<ApprovalRow> RowsOf(State& state, const std::vector<std::string>& ids) {
  std::vector<ApprovalRow> rows;
  for (const std::string& id : ids) {
    const ApprovalRow* row = state.FindApproval(id);
    if (row != nullptr) rows.push_back(*row);
  }
  return rows;
}

// Of a run, and of all that work for the same one.
std::vector<ApprovalRow> OpenInTree(State& state, const std::string& root) {
  std::vector<std::string> ids = state.OpenApprovalsOf(root);
  for (std::string& id : state.OpenApprovalsBelow(root)) ids.push_back(std::move(id));
  return RowsOf(state, ids);
}

bool Has(const std::vector<EndedCall>& calls, const std::string& call) {
  return std::any_of(calls.begin(), calls.end(),
                     [&](const EndedCall& one) { return one.call == call; });
}

// In rows people are HMACs, on both sides alike.
bool IsConfirmation(const ApprovalRow& row, const std::string& user) {
  policies::ApprovalState state;
  state.phase = row.phase;
  state.run_user = user;
  state.demand.approvers = SplitWords(row.approvers);
  state.demand.escalate_to = SplitWords(row.escalate_to);
  return policies::IsOpenConfirmation(state);
}

// The call ends with it, unless it went on without.
core::Status Void(Serial& serial, const ApprovalRow& row, std::string_view why) {
  const CallRow* call = serial.state().FindCall(row.call);
  const bool waits = call == nullptr || call->state == CallState::kParked;
  Draft voided = DraftApprovalVoided(row.run, row.call, row.approval, why, /*ends_call=*/waits);
  return serial.Append(voided).status();
}

}  // namespace

core::Status VoidConfirmations(Serial& serial, const std::string& run,
                               std::vector<EndedCall>& ended) {
  const RunRow* row = serial.state().FindRun(run);
  const std::string user = row == nullptr ? "" : row->user;
  const std::string root = row == nullptr || row->root.empty() ? run : row->root;
  const std::vector<ApprovalRow> open = OpenInTree(serial.state(), root);
  for (const ApprovalRow& approval : open) {
    if (Has(ended, approval.call) || !IsConfirmation(approval, user)) continue;
    ended.push_back({.run = approval.run, .call = approval.call});
  }
  for (const ApprovalRow& approval : open) {
    if (!Has(ended, approval.call)) continue;
    INTERLOCK_RETURN_IF_ERROR(Void(serial, approval, "new message"));
  }
  return core::OkStatus();
}

core::Status Withdraw(Serial& serial, const std::string& run, const std::string& call,
                      std::string_view why) {
  Draft withdrawn = MakeDraft("call.withdrawn", run, "engine");
  BodyWriter(withdrawn).String("call", call).String("why", why).Close();
  return serial.Append(withdrawn).status();
}

core::Status VoidOpenApprovals(Serial& serial, const std::string& run, std::string_view why) {
  State& state = serial.state();
  for (const ApprovalRow& approval : RowsOf(state, state.OpenApprovalsOf(run))) {
    INTERLOCK_RETURN_IF_ERROR(Void(serial, approval, why));
  }
  for (const std::string& call : serial.state().EditedCallsOf(run)) {
    INTERLOCK_RETURN_IF_ERROR(Withdraw(serial, run, call, why));
  }
  return core::OkStatus();
}

ParkedFor WhatParks(State& state, const std::map<std::string, std::vector<std::string>>& asked) {
  ParkedFor parked;
  for (const auto& [call, approvals] : asked) {
    const CallRow* row = state.FindCall(call);
    if (row == nullptr || row->state != CallState::kParked) continue;
    for (const ApprovalRow& approval : RowsOf(state, approvals)) {
      if (!IsOpen(approval)) continue;
      parked.approvals.push_back(approval.approval);
      parked.pending = parked.pending || approval.phase == policies::ApprovalPhase::kPending;
    }
  }
  return parked;
}

}  // namespace interlock::runtime
