// Roll-outs as operators set them, and the version that a new run is given (ADR 55).
#include <algorithm>

#include "engine/engine.h"
#include "engine/rollouts.h"
#include "engine/state_fields.h"
#include "engine/switches.h"

namespace interlock::runtime {

std::int64_t RolloutPlace(const audit::KeyStore& keys, const std::string& agent,
                          const std::string& version, const std::string& subject) {
  constexpr std::size_t kDigits = 8;  // hexadecimal, of the 64
  const std::string hmac = keys.Hmac("rollout", agent + '\0' + version + '\0' + subject);
  const auto number = static_cast<std::int64_t>(std::stoull(hmac.substr(0, kDigits), nullptr, 16));
  return (number * kRolloutPlaces) >> (4 * kDigits);
}

std::string RolloutJson(const RolloutInfo& rollout, std::int64_t place,
                        const std::string& version) {
  std::string json;
  core::JsonObjectWriter writer(json);
  writer.Int("entry", NumberAt(rollout.etag));
  writer.Int("percent", rollout.percent);
  writer.Int("place", place);
  writer.String("version", version);
  writer.Close();
  return json;
}

// The roll-out's version for those it falls on; the agent's own file for everybody else, and when
// this daemon does not have the file that was meant.
AgentChoice Hub::ChooseAgent(const std::string& name, const std::string& subject) const {
  AgentChoice choice{.agent = FindAgent(name), .rollout = "", .etag = ""};
  const auto rollout = parts.state->RolloutOf(name);
  if (choice.agent == nullptr || !rollout) return choice;
  choice.etag = rollout->etag;
  const AgentFile* const other = FindRolledOut(*rollout);
  if (other == nullptr) return choice;
  const std::int64_t place = RolloutPlace(*parts.keys, name, rollout->version, subject);
  if (place < rollout->percent) choice.agent = other;
  choice.rollout = RolloutJson(*rollout, place, choice.agent->version);
  return choice;
}

bool Hub::IsStale(const AgentChoice& choice, const State& state) {
  const auto rollout = state.RolloutOf(choice.agent->name);
  return (rollout ? rollout->etag : "") != choice.etag;
}

const AgentFile* Hub::FindVersion(const std::string& name, const std::string& version) const {
  const auto found =
      std::find_if(parts.agents.begin(), parts.agents.end(), [&](const AgentFile& agent) {
        return agent.name == name && agent.by_rollout && agent.version == version;
      });
  return found == parts.agents.end() ? nullptr : &*found;
}

// A file that was edited, or that came later under that name, is not what an operator decided on.
const AgentFile* Hub::FindRolledOut(const RolloutInfo& rollout) const {
  const AgentFile* const file = FindVersion(rollout.agent, rollout.version);
  return file != nullptr && file->digest == rollout.digest ? file : nullptr;
}

core::StatusOr<std::vector<RolloutInfo>> EngineImpl::ListRollouts(const core::Principal& who) {
  const bool may = who.Has(core::kRoleOperator) || who.Has(core::kRoleAuditor) ||
                   who.Has(core::kRoleApprover) || who.Has(core::kRoleIntegrator);
  if (!may) return Need(who, core::kRoleOperator);
  std::vector<RolloutInfo> all = hub_.parts.state->Rollouts();
  for (RolloutInfo& one : all) {
    one.available = hub_.FindRolledOut(one) != nullptr;
  }
  return all;
}

core::StatusOr<RolloutInfo> EngineImpl::SetRollout(const core::Principal& who,
                                                   const RolloutSpec& spec) {
  INTERLOCK_RETURN_IF_ERROR(Need(who, core::kRoleOperator));
  INTERLOCK_RETURN_IF_ERROR(CheckReason(spec.reason));
  if (spec.percent < 0 || spec.percent > kRolloutPlaces) {
    return core::InvalidArgument("`percent` must be 0 to 100");
  }
  if (hub_.FindAgent(spec.agent) == nullptr) {
    return WithReason(core::NotFound("there is no agent `" + spec.agent.substr(0, 64) + "`"),
                      "AGENT_NOT_FOUND");
  }
  const AgentFile* const file = hub_.FindVersion(spec.agent, spec.version);
  const auto now = hub_.parts.state->RolloutOf(spec.agent);
  const bool ends = spec.percent == 0 && now && now->version == spec.version;
  if (file == nullptr && !ends) {
    return WithReason(
        core::NotFound("there is no file `" + spec.agent + "@" + spec.version.substr(0, 64) +
                       ".yaml`; add it and restart the daemon"),
        "VERSION_NOT_FOUND");
  }
  Draft draft = MakeDraft("rollout.set", "", "principal:" + who.id);
  const std::string digest = file == nullptr ? "" : file->digest;
  if (file != nullptr) draft.cites = {digest};
  BodyWriter(draft)
      .String("agent", spec.agent)
      .Optional("agent_digest", digest)
      .Int("percent", spec.percent)
      .String("reason", spec.reason)
      .String("version", spec.version)
      .Close();
  RolloutInfo set{.agent = spec.agent,
                  .version = spec.version,
                  .percent = spec.percent,
                  .by = who.id,
                  .reason = spec.reason,
                  .digest = digest,
                  .available = file != nullptr};
  INTERLOCK_RETURN_IF_ERROR(hub_.CommitNow([&](Serial& serial) -> core::Status {
    const auto before = serial.state().RolloutOf(spec.agent);
    if (!spec.etag.empty() && (!before || before->etag != spec.etag)) {
      return WithReason(
          core::Error(core::StatusCode::kAborted,
                      "the roll-out of `" + spec.agent + "` was set anew; look at it again"),
          "STALE_ROLLOUT");
    }
    INTERLOCK_ASSIGN_OR_RETURN(const audit::EntryRef ref, serial.Append(draft));
    set.time_us = serial.now_us();
    set.etag = std::to_string(ref.index);
    set.written = ref;
    return core::OkStatus();
  }));
  return set;
}

}  // namespace interlock::runtime
