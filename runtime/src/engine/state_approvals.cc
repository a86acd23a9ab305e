// The fold of approvals: who may still answer, and what an answer did.
#include "engine/state.h"
#include "engine/state_fields.h"

namespace interlock::runtime {
namespace {

constexpr std::string_view kBelow = "below:";  // before the id of a topmost run

// Beyond that, people know.
constexpr std::int64_t kRemindersMax = 16;

// When what is counted from this entry is due; 0: never.
std::int64_t After(const audit::EntryView& entry, std::int64_t span_ms) {
  return span_ms > 0 ? entry.time_us + span_ms * 1000 : 0;
}

// Quorums of the stages, and into `approvers` whoever any of them asks.
std::string StagesOf(const audit::EntryView& entry, std::string& approvers) {
  std::string quorums;
  const auto stages = core::JsonArrayElements(entry.body.Raw("stages").value_or("[]"));
  if (!stages.ok()) return quorums;
  for (const std::string_view text : *stages) {
    const auto stage = core::JsonObjectView::Of(text);
    if (!stage.ok()) continue;
    quorums += (quorums.empty() ? "" : " ") + std::to_string(stage->Int("quorum").value_or(1));
    for (const std::string& one : SplitWords(WordsOf(*stage, "approvers"))) AddWord(approvers, one);
  }
  return quorums;
}

void Request(const audit::EntryView& entry, ApprovalRow& approval) {
  approval.call = Field(entry, "call");
  approval.run = entry.run;
  approval.tool = Field(entry, "tool");
  approval.rule = Field(entry, "rule");
  approval.quorum = entry.body.Int("quorum").value_or(1);
  approval.binding = Field(entry, "binding");
  approval.approvers = WordsOf(entry.body, "approvers");
  approval.editors = WordsOf(entry.body, "editors");
  approval.told_by = WordsOf(entry.body, "told_by");
  approval.expires_us = entry.body.Int("expires_us").value_or(0);
  approval.create_us = entry.time_us;
  approval.entry_index = static_cast<std::int64_t>(entry.index);
  approval.quorums = StagesOf(entry, approval.approvers);
  approval.escalate_to = WordsOf(entry.body, "escalate_to");
  approval.escalate_ms = entry.body.Int("escalate_ms").value_or(0);
  approval.escalate_us = After(entry, approval.escalate_ms);
  approval.remind_ms = entry.body.Int("remind_ms").value_or(0);
  approval.remind_us = After(entry, approval.remind_ms);
}

void Grant(const audit::EntryView& entry, ApprovalRow& approval) {
  const std::string by = Field(entry, "by");
  approval.granted_by += (approval.granted_by.empty() ? "" : " ") + by;
  if (by == "run-user") AddWord(approval.relayed_by, Actor(entry));
  if (const std::string of = Field(entry, "for"); !of.empty()) AddWord(approval.granted_for, of);
  ++approval.in_stage;
  if (entry.body.Bool("complete").value_or(false)) {
    approval.phase = policies::ApprovalPhase::kGranted;
  } else if (entry.body.Bool("stage_complete").value_or(false)) {
    ++approval.stage;
    approval.in_stage = 0;
    approval.escalated = 0;
    approval.escalate_us = After(entry, approval.escalate_ms);
    approval.remind_us = After(entry, approval.remind_ms);
    approval.reminders = 0;
  }
}

// It waits on, with more people or after another word to the same.
bool WaitsOn(std::string_view kind) {
  return kind == "approval.escalated" || kind == "approval.reminded";
}

void KeepWaiting(const audit::EntryView& entry, ApprovalRow& approval) {
  if (entry.kind == "approval.escalated") {
    approval.escalated = 1;
    approval.escalate_us = 0;
    return;
  }
  ++approval.reminders;
  approval.remind_us =
      approval.reminders < kRemindersMax ? After(entry, approval.remind_ms) : std::int64_t{0};
}

}  // namespace

std::int64_t QuorumNow(const ApprovalRow& row) {
  const std::vector<std::string> quorums = SplitWords(row.quorums);
  const auto stage = static_cast<std::size_t>(row.stage);
  return stage < quorums.size() ? std::stoll(quorums[stage]) : row.quorum;
}

bool IsLastStage(const ApprovalRow& row) {
  return row.stage + 1 >= static_cast<std::int64_t>(SplitWords(row.quorums).size());
}

core::Status State::ApplyApproval(const audit::EntryView& entry) {
  if (entry.kind == "approval.delegated") return ApplyDelegated(entry);
  const std::string id = Field(entry, "approval");
  if (id.empty()) return Missing(entry, "approval");
  ApprovalRow& approval = approvals_.Edit(id);
  approvals_changed_ = true;
  const std::string_view kind = entry.kind;
  approval.update_us = entry.time_us;
  if (kind == "approval.requested") {
    Request(entry, approval);
    if (approval.run.empty()) return core::OkStatus();
    NoteOpen(approval.run, id, /*open=*/true);
    return core::OkStatus();
  }
  if (WaitsOn(kind)) {
    KeepWaiting(entry, approval);
    return core::OkStatus();
  }
  if (kind != "approval.granted" && !approval.run.empty()) {
    NoteOpen(approval.run, id, /*open=*/false);
  }
  CallRow& call = calls_.Edit(approval.call);
  call.update_us = entry.time_us;
  if (kind == "approval.granted") {
    NoteRequest(entry, "approval", id);
    Grant(entry, approval);
    NoteGrant(entry);
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
  if (approval.phase != policies::ApprovalPhase::kPending) {
    approval.escalate_us = approval.remind_us = 0;  // no timer is for it any more
    EndDelegationsOf(id);
  }
  return core::OkStatus();
}

// In the list of its run and, below another, in that of the tree.
void State::NoteOpen(const std::string& run, const std::string& word, bool open) {
  const RunRow* row = runs_.Find(run);
  std::vector<std::string> lists{run};
  if (row != nullptr && !row->root.empty()) lists.push_back(std::string(kBelow) + row->root);
  for (const std::string& list : lists) {
    RunApprovalsRow& listed = run_approvals_.Edit(list);
    listed.open = WithoutWord(listed.open, word);
    if (open) listed.open += (listed.open.empty() ? "" : " ") + word;
    if (listed.open.empty()) run_approvals_.Erase(list);
  }
}

std::vector<std::string> State::OpenApprovalsOf(const std::string& run) {
  const std::lock_guard lock(mutex_);
  const RunApprovalsRow* row = run_approvals_.Find(run);
  return row == nullptr ? std::vector<std::string>{} : SplitWords(row->open);
}

std::vector<std::string> State::OpenApprovalsBelow(const std::string& root) {
  return OpenApprovalsOf(std::string(kBelow) + root);
}

}  // namespace interlock::runtime
