#include "policies/approval.h"

#include <algorithm>

namespace interlock::policies {
namespace {

constexpr std::string_view kRunUser = "run-user";

bool Accepts(const std::vector<std::string>& approvers, std::string_view one) {
  return std::find(approvers.begin(), approvers.end(), one) != approvers.end();
}

// Whoever answered an earlier stage has had his say, and so has he for whom another spoke.
MayAnswer CheckFirstWord(const ApprovalState& state, const std::string& name) {
  const auto earlier = state.granted_by.size() -
                       std::min<std::size_t>(state.granted_by.size(),
                                             static_cast<std::size_t>(std::max(0, state.in_stage)));
  const auto end = state.granted_by.begin() + static_cast<std::ptrdiff_t>(earlier);
  if (state.stage > 0 && std::find(state.granted_by.begin(), end, name) != end) {
    return {.yes = false, .why_not = "whoever answered an earlier stage does not answer this one"};
  }
  if (Accepts(state.granted_for, name)) {
    return {.yes = false, .why_not = "somebody has answered in his place already"};
  }
  return {.yes = true, .why_not = ""};
}

constexpr const char* kEdited = "whoever edited the arguments does not approve them";
constexpr const char* kTold = "whoever told the run what to do does not approve what it asks";

// What keeps a relay from speaking whoever is asked.
MayAnswer CheckRelayStanding(const ApprovalState& state, const Answerer& answerer) {
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
    return {.yes = false, .why_not = kEdited};
  }
  if (Accepts(state.told_by, "principal:" + answerer.principal->id)) {
    return {.yes = false, .why_not = kTold};
  }
  return {.yes = true, .why_not = ""};
}

// The run's user answers through a relay.
MayAnswer CheckRelay(const ApprovalState& state, const Answerer& answerer) {
  if (MayAnswer may = CheckRelayStanding(state, answerer); !may.yes) return may;
  const std::vector<std::string> approvers = ApproversNow(state);
  if (!Accepts(approvers, kRunUser) && !Accepts(approvers, "user:" + state.run_user)) {
    return {.yes = false, .why_not = "the run's user is not among the approvers"};
  }
  return CheckFirstWord(state, AnswererName(answerer));
}

// What keeps a principal from answering whatever his roles are.
MayAnswer CheckStanding(const ApprovalState& state, const std::string& id) {
  if (id == state.requester) {
    return {.yes = false, .why_not = "whoever made the run does not approve its calls"};
  }
  if (!state.run_user.empty() && id == state.run_user) {
    return {.yes = false, .why_not = "the run's user confirms through a relay, not as an approver"};
  }
  if (Accepts(state.editors, "principal:" + id)) return {.yes = false, .why_not = kEdited};
  if (Accepts(state.told_by, "principal:" + id)) return {.yes = false, .why_not = kTold};
  return CheckFirstWord(state, "principal:" + id);
}

// One token is one voice, in whatever stage: his own or the user's that he relays.
MayAnswer CheckOneVoice(const ApprovalState& state, const Answerer& answerer) {
  const std::string self = "principal:" + answerer.principal->id;
  const bool relays = !answerer.on_behalf_of.empty();
  if (!Accepts(relays ? state.granted_by : state.relayed_by, self)) {
    return {.yes = true, .why_not = ""};
  }
  return {.yes = false,
          .why_not = relays
                         ? "whoever approved for himself does not relay the user's yes as well"
                         : "whoever relayed the user's yes does not approve for himself as well"};
}

// A principal answers for himself.
MayAnswer CheckPrincipal(const ApprovalState& state, const core::Principal& principal) {
  if (MayAnswer may = CheckStanding(state, principal.id); !may.yes) return may;
  if (IsAsked(state, principal)) return {.yes = true, .why_not = ""};
  std::string asked;
  for (const std::string& approver : ApproversNow(state)) {
    asked += (asked.empty() ? "" : ", ") + approver;
  }
  const std::size_t stages = StageCount(state.demand);
  if (stages > 1) {
    asked += " (stage " + std::to_string(state.stage + 1) + " of " + std::to_string(stages) + ")";
  }
  return {.yes = false, .why_not = "not among the approvers: " + asked};
}

bool IsOpen(ApprovalPhase phase) {
  return phase == ApprovalPhase::kPending || phase == ApprovalPhase::kGranted;
}

bool AcceptsAll(const std::vector<std::string>& approvers, const std::vector<std::string>& all) {
  return std::all_of(all.begin(), all.end(),
                     [&](const std::string& one) { return Accepts(approvers, one); });
}

// Nobody whom `granted` let answer is refused by `demand`, in any of its stages.
bool IsAtLeastAsStrict(const ApprovalState& granted, const ApprovalDemand& demand) {
  const std::size_t stages = StageCount(demand);
  if (StageCount(granted.demand) != stages) return false;
  if (!AcceptsAll(demand.escalate_to, granted.demand.escalate_to)) return false;
  const bool sooner = granted.demand.escalate_after_ms < demand.escalate_after_ms;
  if (sooner && !granted.demand.escalate_to.empty()) return false;  // others could, too early
  std::size_t needed = 0;
  for (std::size_t i = 0; i < stages; ++i) {
    const ApprovalStage had = StageAt(granted.demand, i);
    const ApprovalStage asked = StageAt(demand, i);
    if (!AcceptsAll(asked.approvers, had.approvers)) return false;
    if (stages > 1 && had.quorum < asked.quorum) return false;
    needed += static_cast<std::size_t>(std::max(1, asked.quorum));
  }
  return granted.granted_by.size() >= needed;
}

}  // namespace

std::size_t StageCount(const ApprovalDemand& demand) { return demand.later.size() + 1; }

ApprovalStage StageAt(const ApprovalDemand& demand, std::size_t stage) {
  if (stage == 0) return {.approvers = demand.approvers, .quorum = demand.quorum};
  return stage <= demand.later.size() ? demand.later[stage - 1] : ApprovalStage{};
}

std::vector<std::string> ApproversNow(const ApprovalState& state) {
  const auto stage = static_cast<std::size_t>(std::max(0, state.stage));
  std::vector<std::string> approvers = StageAt(state.demand, stage).approvers;
  if (!state.escalated) return approvers;
  const std::vector<std::string>& more = state.demand.escalate_to;
  approvers.insert(approvers.end(), more.begin(), more.end());
  return approvers;
}

bool IsAsked(const ApprovalState& state, const core::Principal& principal) {
  const std::vector<std::string> approvers = ApproversNow(state);
  return std::any_of(approvers.begin(), approvers.end(), [&](const std::string& approver) {
    return approver == "user:" + principal.id ||
           (approver.starts_with("role:") && principal.Has(std::string_view(approver).substr(5)));
  });
}

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

namespace {

// Before it is asked what else came with his token.
MayAnswer CheckRight(const ApprovalState& state, const Answerer& answerer) {
  if (state.phase != ApprovalPhase::kPending) {
    return {.yes = false,
            .why_not = "the approval is " + std::string(ApprovalPhaseName(state.phase))};
  }
  if (answerer.principal == nullptr) return {.yes = false, .why_not = "nobody is named"};
  if (!answerer.on_behalf_of.empty()) return CheckRelay(state, answerer);
  return CheckPrincipal(state, *answerer.principal);
}

}  // namespace

MayAnswer CheckAnswerer(const ApprovalState& state, const Answerer& answerer) {
  MayAnswer may = CheckRight(state, answerer);
  return may.yes ? CheckOneVoice(state, answerer) : may;
}

MayAnswer CheckVeto(const ApprovalState& state, const Answerer& answerer) {
  MayAnswer may = CheckRight(state, answerer);
  if (may.yes || state.phase != ApprovalPhase::kPending || answerer.principal == nullptr)
    return may;
  const bool relays = !answerer.on_behalf_of.empty();
  if (relays && !CheckRelayStanding(state, answerer).yes) return may;
  const std::string name = AnswererName(answerer);
  const bool spoken = Accepts(state.granted_by, name) || Accepts(state.granted_for, name);
  return spoken ? MayAnswer{.yes = true, .why_not = ""} : may;
}

MayAnswer CheckEditor(const ApprovalState& state, const Answerer& answerer) {
  ApprovalState as_proposed = state;
  as_proposed.editors.clear();
  as_proposed.told_by.clear();
  return CheckRight(as_proposed, answerer);
}

namespace {

// In whose place he answers: the first who handed it to him and `may` give his right; empty:
// nobody.
template <typename May>
std::string GiverOf(const ApprovalState& state, const Answerer& answerer,
                    const std::vector<Delegation>& delegations, std::int64_t now_us,
                    const May& may) {
  const bool himself = answerer.principal != nullptr && answerer.on_behalf_of.empty();
  if (!himself || state.phase != ApprovalPhase::kPending) return "";
  const std::string& id = answerer.principal->id;
  if (!CheckStanding(state, id).yes) return "";
  for (const Delegation& given : delegations) {
    const bool for_this = given.approval.empty() || given.approval == state.id;
    if (given.to != id || given.until_us <= now_us || !for_this) continue;
    const core::Principal giver{
        .tenant = answerer.principal->tenant, .id = given.by, .roles = given.roles};
    const Answerer in_person{.principal = &giver, .on_behalf_of = ""};
    if (may(in_person)) return AnswererName(in_person);
  }
  return "";
}

Right OwnOr(std::string giver, MayAnswer own) {
  if (own.yes || giver.empty()) return {.may = std::move(own), .of = ""};
  return {.may = {.yes = true, .why_not = ""}, .of = std::move(giver)};
}

}  // namespace

Right RightOf(const ApprovalState& state, const Answerer& answerer,
              const std::vector<Delegation>& delegations, std::int64_t now_us) {
  MayAnswer own = CheckAnswerer(state, answerer);
  const auto unused = [&state](const Answerer& one) {
    return !Accepts(state.granted_by, AnswererName(one));
  };
  const bool free =
      answerer.principal != nullptr && unused(answerer) && CheckOneVoice(state, answerer).yes;
  const auto may = [&](const Answerer& giver) {
    return unused(giver) && CheckAnswerer(state, giver).yes;
  };
  std::string giver = own.yes || !free ? "" : GiverOf(state, answerer, delegations, now_us, may);
  return OwnOr(std::move(giver), std::move(own));
}

// A deputy says no wherever his giver could.
Right VetoOf(const ApprovalState& state, const Answerer& answerer,
             const std::vector<Delegation>& delegations, std::int64_t now_us) {
  MayAnswer own = CheckVeto(state, answerer);
  const auto may = [&state](const Answerer& giver) { return CheckVeto(state, giver).yes; };
  std::string giver = own.yes ? "" : GiverOf(state, answerer, delegations, now_us, may);
  return OwnOr(std::move(giver), std::move(own));
}

MayAnswer CheckDelegate(const ApprovalState& state, const core::Principal& by,
                        const std::string& to) {
  if (to == by.id) return {.yes = false, .why_not = "it is his already"};
  if (Accepts(state.granted_by, "principal:" + by.id)) {
    return {.yes = false, .why_not = "he has answered already"};
  }
  if (MayAnswer may = CheckPrincipal(state, by); !may.yes) return may;
  if (MayAnswer may = CheckStanding(state, to); !may.yes) return may;
  if (Accepts(state.granted_by, "principal:" + to)) {
    return {.yes = false, .why_not = "whom it would be handed to has answered already"};
  }
  if (Accepts(ApproversNow(state), "user:" + to)) {
    return {.yes = false, .why_not = "whom it would be handed to may answer by himself"};
  }
  return {.yes = true, .why_not = ""};
}

namespace {

// Of a role it cannot be known who has it.
bool StageCouldBeMet(const ApprovalStage& stage, const Excluded& excluded) {
  const std::string user = "user:" + excluded.run_user;
  std::vector<std::string> left;
  for (const std::string& approver : stage.approvers) {
    if (approver.starts_with("role:")) return true;
    const bool is_user = !excluded.run_user.empty() && (approver == kRunUser || approver == user);
    std::string name = is_user ? user : "principal:" + approver.substr(approver.find(':') + 1);
    const bool nobody = approver == kRunUser && !is_user;
    const bool requester = !is_user && name == "principal:" + excluded.requester;
    const bool told = Accepts(excluded.told_by, name);
    if (nobody || requester || told || Accepts(excluded.editors, name) || Accepts(left, name)) {
      continue;
    }
    left.push_back(std::move(name));
  }
  return left.size() >= static_cast<std::size_t>(std::max(1, stage.quorum));
}

}  // namespace

bool CouldBeMet(const ApprovalDemand& demand, const Excluded& excluded) {
  for (std::size_t i = 0; i < StageCount(demand); ++i) {
    ApprovalStage stage = StageAt(demand, i);
    stage.approvers.insert(stage.approvers.end(), demand.escalate_to.begin(),
                           demand.escalate_to.end());  // they come, though later
    if (!StageCouldBeMet(stage, excluded)) return false;
  }
  return true;
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
  if (!answerer.on_behalf_of.empty()) {
    state.relayed_by.push_back("principal:" + answerer.principal->id);
  }
  const auto stage = static_cast<std::size_t>(state.stage);
  if (++state.in_stage < std::max(1, StageAt(state.demand, stage).quorum)) {
    return AnswerEffect::kCounted;
  }
  if (stage + 1 < StageCount(state.demand)) {
    ++state.stage;
    state.in_stage = 0;
    state.escalated = false;
    return AnswerEffect::kCounted;
  }
  state.phase = ApprovalPhase::kGranted;
  return AnswerEffect::kGranted;
}

AnswerEffect Reject(ApprovalState& state, const Answerer& answerer) {
  if (!CheckVeto(state, answerer).yes) return AnswerEffect::kNone;
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
  const auto asks_him = [&state](const std::vector<std::string>& approvers) {
    return Accepts(approvers, kRunUser) ||
           (!state.run_user.empty() && Accepts(approvers, "user:" + state.run_user));
  };
  for (std::size_t i = 0; i < StageCount(state.demand); ++i) {
    if (asks_him(StageAt(state.demand, i).approvers)) return true;
  }
  return asks_him(state.demand.escalate_to);  // though it may not have come to that yet
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
