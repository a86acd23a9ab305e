// Whether those who are there could give an approval at all: who fills which place of which stage.
#include <algorithm>
#include <map>

#include "policies/approval.h"

namespace interlock::policies {
namespace {

bool Holds(const std::vector<std::string>& all, const std::string& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

// The approval as it is once that stage is asked, and who else is asked when it escalates.
ApprovalState AtStage(const ApprovalState& state, int stage) {
  ApprovalState then = state;
  if (stage != state.stage) then.in_stage = 0;
  then.stage = stage;
  then.escalated = true;
  return then;
}

bool HasTheRpc(const core::Principal& one) {
  return one.Has(core::kRoleApprover) || one.Has(core::kRoleUserRelay);
}

class Places {
 public:
  Places(const ApprovalState& state, const std::vector<core::Principal>& people,
         const std::vector<Delegation>& delegations, std::int64_t now_us)
      : state_(state), people_(people) {
    for (const Delegation& given : delegations) {
      const bool for_this = given.approval.empty() || given.approval == state.id;
      if (for_this && given.until_us > now_us) AddGiver(given);
    }
  }

  std::string Why() {
    const int stages = static_cast<int>(StageCount(state_.demand));
    for (int stage = std::max(0, state_.stage); stage < stages; ++stage) {
      const ApprovalState then = AtStage(state_, stage);
      const int quorum = StageAt(state_.demand, static_cast<std::size_t>(stage)).quorum;
      const int missing = std::max(1, quorum) - then.in_stage;
      const std::vector<std::string> voices = VoicesOf(then);
      if (static_cast<int>(voices.size()) < missing) return TooFew(then, missing, voices);
      for (int place = 0; place < missing; ++place) {
        places_.push_back(voices);
        std::vector<bool> tried(places_.size(), false);
        if (!Fill(places_.size() - 1, tried)) {
          return "the same people would have to answer more than one stage of it";
        }
      }
    }
    return "";
  }

 private:
  // In whose place somebody answers who is there: his own right may be that of then.
  void AddGiver(const Delegation& given) {
    const auto is = [](const std::string& id) {
      return [&id](const core::Principal& one) { return one.id == id; };
    };
    const auto deputy = std::find_if(people_.begin(), people_.end(), is(given.to));
    const bool gone = std::none_of(people_.begin(), people_.end(), is(given.by));
    if (!gone || deputy == people_.end() || !HasTheRpc(*deputy)) return;
    givers_.push_back({.tenant = deputy->tenant, .id = given.by, .roles = given.roles});
  }

  // The names that could count in this stage.
  std::vector<std::string> VoicesOf(const ApprovalState& then) const {
    std::vector<std::string> voices;
    const auto add = [&](const Answerer& one) {
      std::string name = AnswererName(one);
      const bool heard = Holds(then.granted_by, name) || Holds(voices, name);
      if (!heard && CheckAnswerer(then, one).yes) voices.push_back(std::move(name));
    };
    for (const core::Principal& one : people_) {
      if (!HasTheRpc(one)) continue;
      add({.principal = &one, .on_behalf_of = ""});
      const bool relays = one.Has(core::kRoleUserRelay) && !then.run_user.empty();
      if (relays) add({.principal = &one, .on_behalf_of = then.run_user});
    }
    for (const core::Principal& one : givers_) add({.principal = &one, .on_behalf_of = ""});
    return voices;
  }

  // An augmenting path: whoever sits in a place may move to another that he can fill.
  bool Fill(std::size_t place, std::vector<bool>& tried) {
    tried[place] = true;
    for (const std::string& voice : places_[place]) {
      const auto sits = taken_.find(voice);
      const bool free = sits == taken_.end();
      if (!free && (tried[sits->second] || !Fill(sits->second, tried))) continue;
      taken_[voice] = place;
      return true;
    }
    return false;
  }

  std::string TooFew(const ApprovalState& then, int missing,
                     const std::vector<std::string>& voices) const {
    std::string asked;
    for (const std::string& one : ApproversNow(then)) asked += (asked.empty() ? "" : " or ") + one;
    const std::size_t stages = StageCount(then.demand);
    if (stages > 1) {
      asked += " (stage " + std::to_string(then.stage + 1) + " of " + std::to_string(stages) + ")";
    }
    const std::string there = voices.empty()       ? "nobody"
                              : voices.size() == 1 ? "only 1"
                                                   : "only " + std::to_string(voices.size());
    return "it needs " + std::to_string(missing) + " more of " + asked + ", and " + there +
           " of the configured principals may answer" + WhoMayNot(then);
  }

  // One who is asked and may not, with the reason.
  std::string WhoMayNot(const ApprovalState& then) const {
    for (const core::Principal& one : people_) {
      if (!IsAsked(then, one)) continue;
      if (!HasTheRpc(one)) return " (`" + one.id + "` lacks role approver)";
      const MayAnswer may = CheckAnswerer(then, {.principal = &one, .on_behalf_of = ""});
      if (!may.yes) return " (`" + one.id + "`: " + may.why_not + ")";
    }
    return "";
  }

  const ApprovalState& state_;
  const std::vector<core::Principal>& people_;
  std::vector<core::Principal> givers_;
  std::vector<std::vector<std::string>> places_;  // who could fill each
  std::map<std::string, std::size_t> taken_;      // who does
};

}  // namespace

std::string WhyUnanswerable(const ApprovalState& state, const std::vector<core::Principal>& people,
                            const std::vector<Delegation>& delegations, std::int64_t now_us) {
  if (state.phase != ApprovalPhase::kPending) return "";
  return Places(state, people, delegations, now_us).Why();
}

}  // namespace interlock::policies
