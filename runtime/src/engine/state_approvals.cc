// The fold of approvals: who may still answer, and what an answer did.
#include "engine/state.h"
#include "engine/state_fields.h"

namespace interlock::runtime {

core::Status State::ApplyApproval(const audit::EntryView& entry) {
  const std::string id = Field(entry, "approval");
  if (id.empty()) return Missing(entry, "approval");
  ApprovalRow& approval = approvals_.Edit(id);
  const std::string_view kind = entry.kind;
  approval.update_us = entry.time_us;
  if (kind == "approval.requested") {
    approval.call = Field(entry, "call");
    approval.run = entry.run;
    approval.tool = Field(entry, "tool");
    approval.rule = Field(entry, "rule");
    approval.quorum = entry.body.Int("quorum").value_or(1);
    approval.binding = Field(entry, "binding");
    approval.approvers = WordsOf(entry.body, "approvers");
    approval.editors = WordsOf(entry.body, "editors");
    approval.expires_us = entry.body.Int("expires_us").value_or(0);
    approval.create_us = entry.time_us;
    approval.entry_index = static_cast<std::int64_t>(entry.index);
    if (approval.run.empty()) return core::OkStatus();
    std::string& open = run_approvals_.Edit(approval.run).open;
    open += (open.empty() ? "" : " ") + id;
    return core::OkStatus();
  }
  if (kind != "approval.granted" && !approval.run.empty()) {
    RunApprovalsRow& of_run = run_approvals_.Edit(approval.run);
    of_run.open = WithoutWord(of_run.open, id);
    if (of_run.open.empty()) run_approvals_.Erase(approval.run);
  }
  CallRow& call = calls_.Edit(approval.call);
  call.update_us = entry.time_us;
  if (kind == "approval.granted") {
    NoteRequest(entry, "approval", id);
    approval.granted_by += (approval.granted_by.empty() ? "" : " ") + Field(entry, "by");
    if (entry.body.Bool("complete").value_or(false)) {
      approval.phase = policies::ApprovalPhase::kGranted;
    }
  } else if (kind == "approval.rejected") {
    NoteRequest(entry, "approval", id);
    approval.phase = policies::ApprovalPhase::kRejected;
    call.state = CallState::kDenied;
    call.verdict = "deny";
    call.code = "APPROVAL_REJECTED";
  } else if (kind == "approval.expired") {
    approval.phase = policies::ApprovalPhase::kExpired;
    call.state = CallState::kDenied;
    call.verdict = "deny";
    call.code = "APPROVAL_EXPIRED";
  } else if (kind == "approval.consumed") {
    approval.phase = policies::ApprovalPhase::kConsumed;
    for (const std::string& by : SplitWords(approval.granted_by)) AddWord(call.approved_by, by);
  } else if (kind == "approval.voided") {
    approval.phase = policies::ApprovalPhase::kVoided;
    if (entry.body.Bool("ends_call").value_or(false)) {
      call.state = CallState::kDenied;
      call.verdict = "deny";
      call.code = "CONFIRMATION_VOIDED";
    }
  }
  return core::OkStatus();
}

}  // namespace interlock::runtime
