#include "engine/answers.h"

#include <algorithm>

namespace interlock::runtime {
namespace {

constexpr const char* kRunUser = "run-user";

core::Status Ended(const std::string& approval, const std::string& how) {
  return WithReason(core::FailedPrecondition("approval `" + approval + "` " + how),
                    "APPROVAL_ENDED");
}

bool IsOpen(const ApprovalRow& row) {
  return row.phase == policies::ApprovalPhase::kPending ||
         row.phase == policies::ApprovalPhase::kGranted;
}

}  // namespace

core::StatusOr<policies::Answerer> AnswererOf(const core::Principal& who,
                                              const std::string& on_behalf_of,
                                              const policies::ApprovalState& state) {
  policies::Answerer answerer{.principal = &who, .on_behalf_of = ""};
  if (on_behalf_of.empty()) return answerer;
  const bool named = on_behalf_of == state.run_user || on_behalf_of == "user";
  if (state.run_user.empty() || !named) {
    return WithReason(core::PermissionDenied("only the word of the run's own user can be relayed"),
                      "NOT_THE_USER");
  }
  answerer.on_behalf_of = state.run_user;
  return answerer;
}

std::string NameInLog(const policies::Answerer& answerer) {
  return answerer.on_behalf_of.empty() ? "principal:" + answerer.principal->id : kRunUser;
}

std::vector<std::string> FromLog(std::vector<std::string> names, const std::string& run_user) {
  for (std::string& name : names) {
    if (name == kRunUser) name = "user:" + run_user;
  }
  return names;
}

std::vector<std::string> EditorsWith(std::vector<std::string> editors, const std::string& by,
                                     const std::string& actor) {
  for (const std::string& name : {by, actor}) {
    if (std::find(editors.begin(), editors.end(), name) == editors.end()) editors.push_back(name);
  }
  return editors;
}

core::Status NotAnApprover(const policies::MayAnswer& may) {
  return WithReason(core::PermissionDenied(may.why_not), "NOT_AN_APPROVER");
}

core::Status CheckSeen(const ApprovalRow& row, std::string_view etag) {
  if (etag == row.binding) return core::OkStatus();
  return WithReason(
      core::Error(core::StatusCode::kAborted, "`etag` is not that of this approval; read it again"),
      "STALE_APPROVAL");
}

core::StatusOr<const ApprovalRow*> StillOpen(Serial& serial, const std::string& approval) {
  const ApprovalRow* row = serial.state().FindApproval(approval);
  if (row == nullptr) return Ended(approval, "is not there");
  if (row->phase != policies::ApprovalPhase::kPending) {
    return Ended(approval, "is " + std::string(policies::ApprovalPhaseName(row->phase)));
  }
  if (row->expires_us <= serial.now_us() && !serial.state().clock_in_doubt()) {
    return Ended(approval, "has expired");
  }
  return row;
}

core::Status VoidSiblings(Serial& serial, const std::vector<ApprovalRow>& rows,
                          std::string_view except, std::string_view why) {
  for (const ApprovalRow& row : rows) {
    if (row.approval == except) continue;
    const ApprovalRow* now = serial.state().FindApproval(row.approval);
    if (now == nullptr || !IsOpen(*now)) continue;
    Draft voided = DraftApprovalVoided(row.run, row.call, row.approval, why, /*ends_call=*/false);
    INTERLOCK_RETURN_IF_ERROR(serial.Append(voided).status());
  }
  return core::OkStatus();
}

}  // namespace interlock::runtime
