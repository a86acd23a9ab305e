#include "engine/open_approvals.h"

#include <algorithm>

#include "policies/approval.h"

namespace interlock::runtime {
namespace {

std::vector<ApprovalRow> OpenOf(State& state, const std::string& run) {
  std::vector<ApprovalRow> rows;
  for (const std::string& id : state.OpenApprovalsOf(run)) {
    const ApprovalRow* row = state.FindApproval(id);
    if (row != nullptr) rows.push_back(*row);
  }
  return rows;
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

core::Status Void(Serial& serial, const ApprovalRow& row, std::string_view why) {
  Draft voided = DraftApprovalVoided(row.run, row.call, row.approval, why, /*ends_call=*/true);
  return serial.Append(voided).status();
}

}  // namespace

core::Status VoidConfirmations(Serial& serial, const std::string& run,
                               std::vector<std::string>& ended) {
  const RunRow* row = serial.state().FindRun(run);
  const std::string user = row == nullptr ? "" : row->user;
  const std::vector<ApprovalRow> open = OpenOf(serial.state(), run);
  for (const ApprovalRow& approval : open) {
    const bool known = std::find(ended.begin(), ended.end(), approval.call) != ended.end();
    if (!known && IsConfirmation(approval, user)) ended.push_back(approval.call);
  }
  for (const ApprovalRow& approval : open) {
    if (std::find(ended.begin(), ended.end(), approval.call) == ended.end()) continue;
    INTERLOCK_RETURN_IF_ERROR(Void(serial, approval, "new message"));
  }
  return core::OkStatus();
}

core::Status VoidOpenApprovals(Serial& serial, const std::string& run, std::string_view why) {
  for (const ApprovalRow& approval : OpenOf(serial.state(), run)) {
    INTERLOCK_RETURN_IF_ERROR(Void(serial, approval, why));
  }
  for (const std::string& call : serial.state().EditedCallsOf(run)) {
    Draft withdrawn = MakeDraft("call.withdrawn", run, "engine");
    BodyWriter(withdrawn).String("call", call).String("why", why).Close();
    INTERLOCK_RETURN_IF_ERROR(serial.Append(withdrawn).status());
  }
  return core::OkStatus();
}

}  // namespace interlock::runtime
