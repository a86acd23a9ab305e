// Approvers hand on what they may answer (ADR 51): one approval, or all until a time.
#include <algorithm>

#include "core/plain_id.h"
#include "engine/answers.h"
#include "engine/engine.h"

namespace interlock::runtime {

struct EngineImpl::Handing {
  core::Principal who;
  DelegateSpec spec;
  HandedOn given;
  policies::ApprovalState shown;  // of one approval, as it was read; the journal looks anew
  std::string run;
  std::string call;
  std::string subject;  // whose key seals the reason
  RequestMark request;
  Draft draft;
  std::string reason;  // sealed
  bool repeated = false;
};

namespace {

core::Status NotADelegate(const std::string& why) {
  return WithReason(core::PermissionDenied(why), "NOT_A_DELEGATE");
}

core::Status TooManyDelegations(std::size_t most, const std::string& whose) {
  return WithReason(
      core::Error(core::StatusCode::kResourceExhausted,
                  std::to_string(most) + " delegations" + whose + " are in force; end some first"),
      "DELEGATION_LIMIT");
}

bool IsSame(const policies::Delegation& a, const policies::Delegation& b) {
  return a.by == b.by && a.to == b.to && a.approval == b.approval;
}

core::Status CheckSpec(const DelegateSpec& spec) {
  if (!core::IsPlainId(spec.to)) {
    return core::InvalidArgument(
        "`to` is the id of a principal: 1 to 64 letters, digits, `-`, `_`, `.` or `@`");
  }
  if (spec.reason.size() > kReasonBytesMax) {
    return core::InvalidArgument("`reason` is longer than 4096 bytes");
  }
  if (spec.end && spec.until_us != 0) {
    return core::InvalidArgument("what ends has no `until_time`; leave one of the two out");
  }
  if (!spec.end && !spec.by.empty()) {
    return core::InvalidArgument("`by` says whose delegation ends; nobody hands on another's");
  }
  if (!spec.end && spec.until_us == 0 && spec.approval.empty()) {
    return core::InvalidArgument("say until when: `until_time` lies in the next 31 days");
  }
  return core::OkStatus();
}

// What is in force of the same; without a time where nothing is.
policies::Delegation InForce(Serial& serial, policies::Delegation given) {
  for (policies::Delegation& one : serial.state().Delegations()) {
    if (IsSame(one, given) && one.until_us > serial.now_us()) return std::move(one);
  }
  given.until_us = 0;
  return given;
}

// One that is renewed does not count.
core::Status CheckRoom(Serial& serial, const policies::Delegation& given) {
  std::size_t all = 0;
  std::size_t his = 0;
  for (const policies::Delegation& one : serial.state().Delegations()) {
    if (IsSame(one, given) || one.until_us <= serial.now_us()) continue;
    ++all;
    his += one.by == given.by ? 1 : 0;
  }
  if (his >= kDelegationsEachMax) return TooManyDelegations(kDelegationsEachMax, " of yours");
  return all >= kDelegationsMax ? TooManyDelegations(kDelegationsMax, "") : core::OkStatus();
}

// Until when it holds: no longer than 31 days, nor than the approval.
core::StatusOr<std::int64_t> UntilOf(Serial& serial, const DelegateSpec& spec,
                                     std::int64_t expires_us) {
  const std::int64_t most = serial.now_us() + kDelegationMicrosMax;
  const bool fits = spec.until_us > serial.now_us() && spec.until_us <= most;
  if (spec.until_us != 0 && !fits) {
    return core::InvalidArgument("`until_time` lies in the next 31 days");
  }
  const std::int64_t until_us = spec.until_us == 0 ? most : spec.until_us;
  return expires_us > 0 ? std::min(until_us, expires_us) : until_us;
}

// Whether he may hand it on now, and until when.
core::Status CheckHanding(Serial& serial, const core::Principal& who, const DelegateSpec& spec,
                          const policies::ApprovalState& shown, policies::Delegation& given) {
  INTERLOCK_RETURN_IF_ERROR(CheckClock(serial));
  std::int64_t expires_us = 0;
  if (spec.approval.empty()) {
    if (spec.to == who.id) return NotADelegate("it is his already");
  } else {
    INTERLOCK_ASSIGN_OR_RETURN(const ApprovalRow* now, StillOpen(serial, spec.approval));
    const auto may = policies::CheckDelegate(AsNow(shown, *now), who, spec.to);
    if (!may.yes) return NotADelegate(may.why_not);
    expires_us = now->expires_us;
  }
  INTERLOCK_ASSIGN_OR_RETURN(given.until_us, UntilOf(serial, spec, expires_us));
  return CheckRoom(serial, given);
}

void WriteDelegated(Draft& draft, const policies::Delegation& given, const std::string& call,
                    const std::string& reason, const RequestMark& request) {
  BodyWriter body(draft);
  body.Optional("approval", given.approval).String("by", given.by).Optional("call", call);
  if (!reason.empty()) body.Raw("reason", reason);
  request.Write(body);
  body.Raw("roles", JsonStrings(given.roles)).String("to", given.to);
  body.Int("until_us", given.until_us).Close();
}

}  // namespace

// A right that is handed to nobody helps nobody, and whoever is named so later would have it.
core::Status EngineImpl::CheckDeputy(const std::string& id) const {
  const auto& people = hub_.parts.principals;
  if (people == nullptr) return core::OkStatus();
  const auto found = std::find_if(people->begin(), people->end(),
                                  [&](const core::Principal& one) { return one.id == id; });
  if (found == people->end()) {
    return WithReason(core::InvalidArgument("`to` names `" + id +
                                            "`, and no principal of this tenant is called so"),
                      "UNKNOWN_PRINCIPAL");
  }
  if (found->Has(core::kRoleApprover)) return core::OkStatus();
  return WithReason(
      core::InvalidArgument("`to` names `" + id + "`, who lacks the role `approver` to answer"),
      "UNKNOWN_PRINCIPAL");
}

// The run and call that it is about.
core::Status EngineImpl::PlaceHanding(Handing& handing) const {
  INTERLOCK_ASSIGN_OR_RETURN(const ApprovalRow row, hub_.ApprovalRowOf(handing.spec.approval));
  RecordedCall call;
  INTERLOCK_ASSIGN_OR_RETURN(handing.shown, FullState(row, call));
  handing.subject = call.id.subject;
  handing.run = row.run;
  handing.call = row.call;
  return core::OkStatus();
}

core::Status EngineImpl::PrepareHanding(Handing& handing) const {
  const DelegateSpec& spec = handing.spec;
  handing.request = MarkOf(handing.who, spec.request_id, "Delegate", spec.approval,
                           {{"by", spec.by},
                            {"end", spec.end},
                            {"reason", spec.reason},
                            {"to", spec.to},
                            {"until_us", spec.until_us}});
  handing.given = {{.approval = spec.approval,
                    .by = spec.by.empty() ? handing.who.id : spec.by,
                    .roles = spec.end ? std::vector<std::string>{} : handing.who.roles,
                    .to = spec.to,
                    .until_us = 0}};
  handing.subject = "principal:" + handing.who.id;
  if (!spec.approval.empty()) {
    // What was handed on is taken back also of an approval that stands in a log before this one.
    core::Status placed = PlaceHanding(handing);
    if (!placed.ok() && !spec.end) return placed;
  }
  INTERLOCK_ASSIGN_OR_RETURN(auto key, hub_.parts.keys->KeyFor(handing.subject));
  handing.draft = MakeDraft("approval.delegated", handing.run, "principal:" + handing.who.id);
  if (!spec.reason.empty()) {
    handing.reason = Sealer(*hub_.parts.keys, std::move(key)).Text(handing.draft, spec.reason);
  }
  return core::OkStatus();
}

core::Status EngineImpl::CommitHanding(Serial& serial, Handing& handing) {
  const DelegateSpec& spec = handing.spec;
  INTERLOCK_ASSIGN_OR_RETURN(handing.repeated, WasMade(serial.state(), handing.request));
  if (handing.repeated) {
    handing.given = {InForce(serial, handing.given)};
    return core::Error(core::StatusCode::kAlreadyExists, "handed on already");
  }
  if (!spec.end) {
    INTERLOCK_RETURN_IF_ERROR(
        CheckHanding(serial, handing.who, spec, handing.shown, handing.given));
  } else if (InForce(serial, handing.given).until_us == 0) {
    return WithReason(core::NotFound("`" + handing.given.by +
                                     "` has handed on nothing like that "
                                     "to `" +
                                     spec.to + "`; see `interlock approvals delegations`"),
                      "DELEGATION_NOT_FOUND");
  }
  WriteDelegated(handing.draft, handing.given, handing.call, handing.reason, handing.request);
  INTERLOCK_ASSIGN_OR_RETURN(handing.given.written, serial.Append(handing.draft));
  return core::OkStatus();
}

void EngineImpl::Delegate(const core::Principal& who, DelegateSpec spec, Reply<HandedOn> reply) {
  const bool anothers = spec.end && !spec.by.empty() && spec.by != who.id;
  core::Status may = Need(who, anothers ? core::kRoleOperator : core::kRoleApprover);
  if (may.ok()) may = CheckSpec(spec);
  if (may.ok() && !spec.end) may = CheckDeputy(spec.to);  // what was handed on may always end
  if (!may.ok()) return reply(may);
  auto handing = std::make_shared<Handing>();
  handing->who = who;
  handing->spec = std::move(spec);
  asio::post(hub_.WorkerOf(handing->spec.to).io, [this, handing, reply = std::move(reply)] {
    if (core::Status ready = PrepareHanding(*handing); !ready.ok()) return reply(ready);
    hub_.journal.Submit([handing](Serial& serial) { return CommitHanding(serial, *handing); },
                        audit::Urgency::kNormal,
                        [handing, reply](const core::Status& status) {
                          if (!status.ok() && !handing->repeated) return reply(status);
                          reply(handing->given);
                        });
  });
}

// One's own and those to oneself; whoever looks after all sees all.
core::StatusOr<std::vector<policies::Delegation>> EngineImpl::ListDelegations(
    const core::Principal& who) {
  const bool all = who.Has(core::kRoleOperator) || who.Has(core::kRoleAuditor);
  if (!all) INTERLOCK_RETURN_IF_ERROR(Need(who, core::kRoleApprover));
  std::vector<policies::Delegation> found = hub_.parts.state->Delegations();
  const std::int64_t now_us = NowInLog(hub_.parts);
  std::erase_if(found, [&](const policies::Delegation& one) {
    const bool mine = one.by == who.id || one.to == who.id;
    return one.until_us <= now_us || (!all && !mine);
  });
  return found;
}

}  // namespace interlock::runtime
