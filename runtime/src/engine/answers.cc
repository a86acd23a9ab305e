#include "engine/answers.h"

#include <algorithm>

namespace interlock::runtime {
namespace {

constexpr const char* kRunUser = "run-user";
constexpr std::int64_t kClockBehindMicros = 2'000'000;

core::Status Ended(const std::string& approval, const std::string& how) {
  return WithReason(core::FailedPrecondition("approval `" + approval + "` " + how),
                    "APPROVAL_ENDED");
}

}  // namespace

bool IsOpen(const ApprovalRow& row) {
  return row.phase == policies::ApprovalPhase::kPending ||
         row.phase == policies::ApprovalPhase::kGranted;
}

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
    if (name == kRunUser && !run_user.empty()) name = "user:" + run_user;
  }
  return names;
}

std::vector<std::string> EditorsWith(std::vector<std::string> editors, const std::string& by,
                                     const std::string& actor) {
  AddMissing(editors, {by, actor});
  return editors;
}

core::Status NotAnApprover(const policies::MayAnswer& may) {
  return WithReason(core::PermissionDenied(may.why_not), "NOT_AN_APPROVER");
}

std::string EtagOf(const ApprovalRow& row) {
  return row.quorums.empty() ? row.binding : row.binding + "." + std::to_string(row.stage + 1);
}

core::Status CheckSeen(const ApprovalRow& row, std::string_view etag) {
  if (etag == EtagOf(row)) return core::OkStatus();
  return WithReason(
      core::Error(core::StatusCode::kAborted, "`etag` is not that of this approval; read it again"),
      "STALE_APPROVAL");
}

policies::ApprovalState AsNow(policies::ApprovalState shown, const ApprovalRow& now) {
  shown.expires_us = now.expires_us;
  shown.phase = now.phase;
  shown.granted_by = FromLog(SplitWords(now.granted_by), shown.run_user);
  shown.granted_for = SplitWords(now.granted_for);
  shown.relayed_by = SplitWords(now.relayed_by);
  shown.stage = static_cast<int>(now.stage);
  shown.in_stage = static_cast<int>(now.in_stage);
  shown.escalated = now.escalated != 0;
  return shown;
}

std::int64_t NowInLog(const EngineParts& parts) {
  return std::max(parts.clock->WallMicros(), parts.state->newest_us());
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

bool HasGranted(const ApprovalRow& row, const std::string& name) {
  const std::vector<std::string> said = SplitWords(row.granted_by);
  return std::find(said.begin(), said.end(), name) != said.end();
}

std::int64_t FirstExpiry(State& state, const std::vector<std::string>& approvals) {
  std::int64_t first_us = 0;
  for (const std::string& approval : approvals) {
    const ApprovalRow* row = state.FindApproval(approval);
    if (row == nullptr || !IsOpen(*row)) continue;
    first_us = first_us == 0 ? row->expires_us : std::min(first_us, row->expires_us);
  }
  return first_us;
}

core::Status CheckClock(Serial& serial) {
  if (!serial.state().clock_in_doubt()) return core::OkStatus();
  return WithReason(
      core::FailedPrecondition("the clock is in doubt, so no delegation counts; check "
                               "it, then run `interlock audit confirm-clock`"),
      "CLOCK_IN_DOUBT");
}

core::StatusOr<policies::Right> RightNow(Serial& serial, const policies::ApprovalState& asked,
                                         const policies::Answerer& answerer, Says says) {
  const auto right_of = says == Says::kYes ? &policies::RightOf : &policies::VetoOf;
  policies::Right right = right_of(asked, answerer, serial.state().Delegations(), serial.now_us());
  if (!right.may.yes) return NotAnApprover(right.may);
  if (!right.of.empty()) INTERLOCK_RETURN_IF_ERROR(CheckClock(serial));
  return right;
}

std::string HastyText(std::int64_t grants) {
  return "you have granted " + std::to_string(grants) +
         " approvals within a minute; read what each would do";
}

core::StatusOr<std::int64_t> GrantsWithin(Serial& serial, const std::string& by,
                                          const EngineLimits& limits, std::int64_t wall_us) {
  if (by == kRunUser) return 0;  // the application that relays would be taken for one person
  const CounterRow* row = serial.state().FindCounter(GrantCounter(by));
  if (row == nullptr) return 1;
  const std::int64_t grants = CountWithin(*row, kGrantWindowMs, serial.now_us()) + 1;
  // Its time stands still after the wall clock was set back: nobody would get out of the minute.
  const bool moves = serial.now_us() - wall_us < kClockBehindMicros;
  const bool waits = moves && limits.grant_pause_us > 0 && grants > limits.grants_per_minute;
  if (!waits || CountWithin(*row, limits.grant_pause_us / 1000, serial.now_us()) == 0)
    return grants;
  return WithReason(
      core::Error(
          core::StatusCode::kResourceExhausted,
          "you have granted " + std::to_string(grants - 1) + " approvals within a minute; wait " +
              std::to_string((limits.grant_pause_us + 999'999) / 1'000'000) + " s before the next"),
      "TOO_FAST");
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
