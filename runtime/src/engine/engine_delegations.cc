// Approvers hand on what they may answer (ADR 51): one approval, or all until a time.
#include <algorithm>

#include "engine/answers.h"
#include "engine/engine.h"

namespace interlock::runtime {

struct EngineImpl::Handing {
  core::Principal who;
  DelegateSpec spec;
  policies::Delegation given;
  std::string run;
  std::string call;
  RequestMark request;
  Draft draft;
  bool repeated = false;
};

namespace {

constexpr std::size_t kPrincipalBytesMax = 128;

// As principals are named in the configuration.
bool IsPrincipalId(std::string_view id) {
  return !id.empty() && id.size() <= kPrincipalBytesMax &&
         std::all_of(id.begin(), id.end(), [](char c) { return c > ' ' && c < 0x7f && c != '"'; });
}

core::Status NotADelegate(const std::string& why) {
  return WithReason(core::PermissionDenied(why), "NOT_A_DELEGATE");
}

core::Status CheckSpan(const DelegateSpec& spec, std::int64_t now_us) {
  const bool ends = spec.until_us == 0 && spec.approval.empty();
  if (ends || !spec.approval.empty()) return core::OkStatus();
  if (spec.until_us > now_us && spec.until_us <= now_us + kDelegationMicrosMax) {
    return core::OkStatus();
  }
  return core::InvalidArgument("`until` lies in the next 31 days");
}

Draft DraftDelegated(const Sealer& sealer, const std::string& run, const std::string& call,
                     const policies::Delegation& given, const std::string& reason,
                     const RequestMark& request) {
  Draft draft = MakeDraft("approval.delegated", run, "principal:" + given.by);
  const std::string sealed = reason.empty() ? "" : sealer.Text(draft, reason);
  BodyWriter body(draft);
  body.Optional("approval", given.approval).String("by", given.by).Optional("call", call);
  if (!sealed.empty()) body.Raw("reason", sealed);
  request.Write(body);
  body.Raw("roles", JsonStrings(given.roles)).String("to", given.to);
  body.Int("until_us", given.until_us).Close();
  return draft;
}

}  // namespace

core::Status EngineImpl::PrepareHanding(Handing& handing) const {
  const DelegateSpec& spec = handing.spec;
  const std::int64_t now_us = hub_.parts.clock->WallMicros();
  INTERLOCK_RETURN_IF_ERROR(CheckSpan(spec, now_us));
  handing.request = MarkOf(handing.who, spec.request_id, "Delegate", spec.approval,
                           {{"reason", spec.reason}, {"to", spec.to}, {"until_us", spec.until_us}});
  handing.given = {.approval = spec.approval,
                   .by = handing.who.id,
                   .roles = handing.who.roles,
                   .to = spec.to,
                   .until_us = spec.until_us};
  std::string subject = "principal:" + handing.who.id;
  if (spec.approval.empty()) {
    if (spec.to == handing.who.id) return NotADelegate("it is his already");
  } else {
    INTERLOCK_ASSIGN_OR_RETURN(const ApprovalRow row, hub_.ApprovalRowOf(spec.approval));
    RecordedCall call;
    INTERLOCK_ASSIGN_OR_RETURN(const policies::ApprovalState state, FullState(row, call));
    const policies::MayAnswer may = policies::CheckDelegate(state, handing.who, spec.to);
    if (row.phase == policies::ApprovalPhase::kPending && !may.yes) {
      return NotADelegate(may.why_not);
    }
    subject = call.id.subject;
    handing.run = row.run;
    handing.call = row.call;
    handing.given.until_us =
        spec.until_us == 0 ? row.expires_us : std::min(spec.until_us, row.expires_us);
  }
  INTERLOCK_ASSIGN_OR_RETURN(auto key, hub_.parts.keys->KeyFor(subject));
  const Sealer sealer(*hub_.parts.keys, std::move(key));
  handing.draft = DraftDelegated(sealer, handing.run, handing.call, handing.given, spec.reason,
                                 handing.request);
  return core::OkStatus();
}

void EngineImpl::Delegate(const core::Principal& who, DelegateSpec spec,
                          Reply<policies::Delegation> reply) {
  if (core::Status may = Need(who, core::kRoleApprover); !may.ok()) return reply(may);
  if (!IsPrincipalId(spec.to)) return reply(core::InvalidArgument("`to` is the id of a principal"));
  if (spec.reason.size() > kReasonBytesMax)
    return reply(core::InvalidArgument("`reason` is longer than 4096 bytes"));
  auto handing = std::make_shared<Handing>();
  handing->who = who;
  handing->spec = std::move(spec);
  asio::post(hub_.WorkerOf(handing->spec.to).io, [this, handing, reply = std::move(reply)] {
    if (core::Status ready = PrepareHanding(*handing); !ready.ok()) return reply(ready);
    hub_.journal.Submit(
        [handing](Serial& serial) -> core::Status {
          State& state = serial.state();
          INTERLOCK_ASSIGN_OR_RETURN(handing->repeated, WasMade(state, handing->request));
          if (handing->repeated)
            return core::Error(core::StatusCode::kAlreadyExists, "handed on already");
          if (!handing->spec.approval.empty()) {
            INTERLOCK_RETURN_IF_ERROR(StillOpen(serial, handing->spec.approval).status());
          }
          if (state.Delegations().size() >= kDelegationsMax && handing->given.until_us > 0) {
            return WithReason(core::Error(core::StatusCode::kResourceExhausted,
                                          std::to_string(kDelegationsMax) +
                                              " delegations are in force; end some first"),
                              "DELEGATION_LIMIT");
          }
          return serial.Append(handing->draft).status();
        },
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
  const std::int64_t now_us = hub_.parts.clock->WallMicros();
  std::erase_if(found, [&](const policies::Delegation& one) {
    const bool mine = one.by == who.id || one.to == who.id;
    return one.until_us <= now_us || (!all && !mine);
  });
  return found;
}

}  // namespace interlock::runtime
