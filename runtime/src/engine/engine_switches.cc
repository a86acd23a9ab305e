// Kill switches as operators set and lift them (ADR 33).
#include <algorithm>

#include "core/glob.h"
#include "engine/engine.h"
#include "engine/switches.h"

namespace interlock::runtime {

namespace {
constexpr std::size_t kWordsBytesMax = 200;  // stand in the entry itself
}

core::Status CheckReason(std::string_view reason) {
  const bool line = std::none_of(reason.begin(), reason.end(), [](char c) {
    return static_cast<unsigned char>(c) < ' ' || c == 0x7f;
  });
  if (line && !reason.empty() && reason.size() <= kWordsBytesMax) return core::OkStatus();
  return core::InvalidArgument("`reason` must be one line of 1 to 200 bytes");
}

namespace {

std::optional<SwitchInfo> FindSwitch(const State& state, std::string_view name) {
  for (SwitchInfo& set : state.Switches()) {
    if (set.name == name) return std::move(set);
  }
  return std::nullopt;
}

Draft DraftSwitch(std::string_view kind, const core::Principal& who, std::string_view name,
                  std::string_view reason) {
  Draft draft;
  draft.kind = kind;
  draft.actor = "principal:" + who.id;
  BodyWriter(draft).String("reason", reason).String("switch", name).Close();
  return draft;
}

}  // namespace

core::StatusOr<std::vector<SwitchInfo>> EngineImpl::ListSwitches(const core::Principal& who) {
  const bool may = who.Has(core::kRoleOperator) || who.Has(core::kRoleAuditor) ||
                   who.Has(core::kRoleApprover) || who.Has(core::kRoleIntegrator);
  if (!may) return Need(who, core::kRoleOperator);
  return hub_.parts.state->Switches();
}

// A name that is mistyped in an emergency would stop nothing and say nothing.
bool EngineImpl::NamesSomething(std::string_view switch_name) const {
  if (switch_name == kAllSwitch) return true;
  const auto& tools = hub_.parts.registry->tools();
  const auto& agents = hub_.parts.agents;
  return std::any_of(tools.begin(), tools.end(),
                     [&](const auto& tool) {
                       return SwitchStops(switch_name, tool->manifest().name, "");
                     }) ||
         std::any_of(agents.begin(), agents.end(), [&](const AgentFile& agent) {
           return SwitchStops(switch_name, "", agent.name);
         });
}

core::StatusOr<SwitchInfo> EngineImpl::SetSwitch(const core::Principal& who,
                                                 const std::string& name,
                                                 const std::string& reason) {
  INTERLOCK_RETURN_IF_ERROR(Need(who, core::kRoleOperator));
  INTERLOCK_RETURN_IF_ERROR(CheckSwitchName(name));
  INTERLOCK_RETURN_IF_ERROR(CheckReason(reason));
  if (!NamesSomething(name)) {
    return WithReason(core::NotFound("no tool or agent here is named by `" + name +
                                     "`; see `interlock tools list`"),
                      "SWITCH_NAMES_NOTHING");
  }
  auto set = std::make_shared<SwitchInfo>();
  core::Status status = hub_.CommitNow([set, who, name, reason](Serial& serial) -> core::Status {
    auto earlier = FindSwitch(serial.state(), name);  // of two operators the first one's stands
    if (!earlier) {
      if (serial.state().Switches().size() >= kSwitchesMax) {
        return core::ResourceExhausted("64 switches are set; lift some, or set `all`");
      }
      Draft draft = DraftSwitch("switch.set", who, name, reason);
      INTERLOCK_ASSIGN_OR_RETURN(const audit::EntryRef ref, serial.Append(draft));
      earlier = SwitchInfo{.name = name,
                           .by = who.id,
                           .reason = reason,
                           .time_us = serial.now_us(),
                           .etag = std::to_string(ref.index),
                           .written = ref};
    }
    *set = std::move(*earlier);
    return core::OkStatus();
  });
  if (!status.ok()) return status;
  hub_.gate.HaltStopped();
  hub_.TellCompensating();
  return *set;
}

core::StatusOr<audit::EntryRef> EngineImpl::LiftSwitch(const core::Principal& who,
                                                       const LiftSpec& spec) {
  if (core::Status may = Need(who, core::kRoleOperator); !may.ok()) return may;
  if (core::Status bad = CheckReason(spec.reason); !bad.ok()) return bad;
  auto ref = std::make_shared<audit::EntryRef>();
  core::Status status = hub_.CommitNow([ref, who, spec](Serial& serial) -> core::Status {
    const auto set = FindSwitch(serial.state(), spec.name);
    if (!set) {
      return WithReason(core::NotFound("no switch `" + spec.name.substr(0, kSwitchNameBytesMax) +
                                       "` is set; see `interlock switches list`"),
                        "SWITCH_NOT_FOUND");
    }
    if (!spec.etag.empty() && spec.etag != set->etag) {
      return WithReason(
          core::Error(core::StatusCode::kAborted, "switch `" + spec.name + "` was set anew by " +
                                                      set->by + "; look at it again"),
          "STALE_SWITCH");
    }
    Draft draft = DraftSwitch("switch.lifted", who, spec.name, spec.reason);
    INTERLOCK_ASSIGN_OR_RETURN(*ref, serial.Append(draft));
    return core::OkStatus();
  });
  if (!status.ok()) return status;
  hub_.WakeStopped();
  return *ref;
}

std::vector<std::string> EngineImpl::warnings() const {
  std::vector<std::string> all = housekeeper_.warnings();
  if (std::string waits = hub_.unanswered->warning(); !waits.empty()) {
    all.push_back(std::move(waits));
  }
  if (unplanned_) {
    for (std::string& line : hub_.Unplanned()) all.push_back(std::move(line));
  }
  if (const PolicyInfo policy = hub_.Policy(); !policy.problem.empty() && !policy.bundle.empty()) {
    all.push_back("the policies that were to be activated were refused: " + policy.problem);
  }
  for (const SwitchInfo& set : hub_.parts.state->Switches()) {
    all.push_back(KilledSay(set) + " Why: " + set.reason);
  }
  return all;
}

}  // namespace interlock::runtime
