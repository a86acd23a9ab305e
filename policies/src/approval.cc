#include "policies/approval.h"

#include <algorithm>

namespace interlock::policies {
namespace {

constexpr std::string_view kRunUser = "run-user";

bool Accepts(const std::vector<std::string>& approvers, std::string_view one) {
  return std::find(approvers.begin(), approvers.end(), one) != approvers.end();
}

// The run's user answers through a relay.
MayAnswer CheckRelay(const ApprovalState& state, const Answerer& answerer) {
  if (!answerer.principal->Has(core::kRoleUserRelay)) {
    return {.yes = false,
            .why_not = "only a principal with role `user-relay` relays a user's word"};
  }
  if (state.run_user.empty() || answerer.on_behalf_of != state.run_user) {
    return {.yes = false, .why_not = "only the run's own user is relayed"};
  }
  // Neither who edited for himself and relays now, nor the user whose edit was relayed.
  if (Accepts(state.editors, AnswererName(answerer)) ||
      Accepts(state.editors, "principal:" + answerer.principal->id)) {
    return {.yes = false, .why_not = "whoever edited the arguments does not approve them"};
  }
  if (!Accepts(state.demand.approvers, kRunUser) &&
      !Accepts(state.demand.approvers, "user:" + state.run_user)) {
    return {.yes = false, .why_not = "the run's user is not among the approvers"};
  }
  return {.yes = true, .why_not = ""};
}

// A principal answers for himself.
MayAnswer CheckPrincipal(const ApprovalState& state, const core::Principal& principal) {
  if (principal.id == state.requester) {
    return {.yes = false, .why_not = "whoever made the run does not approve its calls"};
  }
  if (!state.run_user.empty() && principal.id == state.run_user) {
    return {.yes = false, .why_not = "the run's user confirms through a relay, not as an approver"};
  }
  if (Accepts(state.editors, "principal:" + principal.id)) {
    return {.yes = false, .why_not = "whoever edited the arguments does not approve them"};
  }
  for (const std::string& approver : state.demand.approvers) {
    if (approver == "user:" + principal.id) return {.yes = true, .why_not = ""};
    if (approver.starts_with("role:") && principal.Has(std::string_view(approver).substr(5))) {
      return {.yes = true, .why_not = ""};
    }
  }
  std::string asked;
  for (const std::string& approver : state.demand.approvers) {
    asked += (asked.empty() ? "" : ", ") + approver;
  }
  return {.yes = false, .why_not = "not among the approvers: " + asked};
}

bool IsOpen(ApprovalPhase phase) {
  return phase == ApprovalPhase::kPending || phase == ApprovalPhase::kGranted;
}

// Nobody whom `granted` let answer is refused by `demand`.
bool IsAtLeastAsStrict(const ApprovalState& granted, const ApprovalDemand& demand) {
  return std::all_of(granted.demand.approvers.begin(), granted.demand.approvers.end(),
                     [&](const std::string& one) { return Accepts(demand.approvers, one); }) &&
         granted.granted_by.size() >= static_cast<std::size_t>(std::max(1, demand.quorum));
}

}  // namespace

std::string_view ApprovalPhaseName(ApprovalPhase phase) {
  switch (phase) {
    case ApprovalPhase::kPending:
      return "pending";
    case ApprovalPhase::kGranted:
      return "granted";
    case ApprovalPhase::kRejected:
      return "rejected";
    case ApprovalPhase::kExpired:
      return "expired";
    case ApprovalPhase::kConsumed:
      return "consumed";
    case ApprovalPhase::kVoided:
      return "voided";
  }
  return "pending";
}

core::Digest BindingDigest(const core::Digest& args, const core::Digest& tool,
                           const core::Json& show) {
  return core::Sha256({"interlock.approval.v1\n", core::AsBytes(args), core::AsBytes(tool),
                       core::CanonicalJson(show)});
}

MayAnswer CheckAnswerer(const ApprovalState& state, const Answerer& answerer) {
  if (state.phase != ApprovalPhase::kPending) {
    return {.yes = false,
            .why_not = "the approval is " + std::string(ApprovalPhaseName(state.phase))};
  }
  if (answerer.principal == nullptr) return {.yes = false, .why_not = "nobody is named"};
  if (!answerer.on_behalf_of.empty()) return CheckRelay(state, answerer);
  return CheckPrincipal(state, *answerer.principal);
}

MayAnswer CheckEditor(const ApprovalState& state, const Answerer& answerer) {
  ApprovalState as_proposed = state;
  as_proposed.editors.clear();
  return CheckAnswerer(as_proposed, answerer);
}

// Of a role it cannot be known who has it.
bool OnlyEditorsCould(const ApprovalDemand& demand, std::string_view run_user,
                      const std::vector<std::string>& editors) {
  const std::string user(run_user);
  const auto is_editor = [&](const std::string& approver) {
    const bool is_user = approver == kRunUser || (!user.empty() && approver == "user:" + user);
    if (is_user) return Accepts(editors, "user:" + user);
    return approver.starts_with("user:") && Accepts(editors, "principal:" + approver.substr(5));
  };
  return std::all_of(demand.approvers.begin(), demand.approvers.end(), is_editor);
}

std::string AnswererName(const Answerer& answerer) {
  if (!answerer.on_behalf_of.empty()) return "user:" + answerer.on_behalf_of;
  return "principal:" + (answerer.principal == nullptr ? std::string() : answerer.principal->id);
}

AnswerEffect Grant(ApprovalState& state, const Answerer& answerer) {
  if (!CheckAnswerer(state, answerer).yes) return AnswerEffect::kNone;
  std::string name = AnswererName(answerer);
  if (Accepts(state.granted_by, name)) return AnswerEffect::kNone;
  state.granted_by.push_back(std::move(name));
  if (state.granted_by.size() < static_cast<std::size_t>(std::max(1, state.demand.quorum))) {
    return AnswerEffect::kCounted;
  }
  state.phase = ApprovalPhase::kGranted;
  return AnswerEffect::kGranted;
}

AnswerEffect Reject(ApprovalState& state, const Answerer& answerer) {
  if (!CheckAnswerer(state, answerer).yes) return AnswerEffect::kNone;
  state.phase = ApprovalPhase::kRejected;
  return AnswerEffect::kRejected;
}

bool Expire(ApprovalState& state, std::int64_t now_us) {
  if (state.phase != ApprovalPhase::kPending || now_us < state.expires_us) return false;
  state.phase = ApprovalPhase::kExpired;
  return true;
}

bool Consume(ApprovalState& state) {
  if (state.phase != ApprovalPhase::kGranted) return false;
  state.phase = ApprovalPhase::kConsumed;
  return true;
}

bool Void(ApprovalState& state) {
  if (!IsOpen(state.phase)) return false;
  state.phase = ApprovalPhase::kVoided;
  return true;
}

bool IsOpenConfirmation(const ApprovalState& state) {
  if (!IsOpen(state.phase)) return false;
  return Accepts(state.demand.approvers, kRunUser) ||
         (!state.run_user.empty() && Accepts(state.demand.approvers, "user:" + state.run_user));
}

bool Covers(const std::vector<ApprovalState>& granted, const std::vector<ApprovalDemand>& demands,
            const core::Digest& args, const core::Digest& tool) {
  return std::all_of(demands.begin(), demands.end(), [&](const ApprovalDemand& demand) {
    const core::Digest binding = BindingDigest(args, tool, demand.show);
    return std::any_of(granted.begin(), granted.end(), [&](const ApprovalState& state) {
      return state.phase == ApprovalPhase::kGranted && state.binding == binding &&
             IsAtLeastAsStrict(state, demand);
    });
  });
}

}  // namespace interlock::policies
