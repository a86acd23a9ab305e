// Roll-outs of agent versions (ADR 55): who is given which. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "audit/keys.h"
#include "runtime/engine.h"

namespace interlock::runtime {

inline constexpr std::int64_t kRolloutPlaces = 100;

// Where whoever a run is about stands in the roll-outs of this version: 0 to 99, always the same
// for the same tenant, agent, version and subject, and unknown to who has not the tenant's key.
std::int64_t RolloutPlace(const audit::KeyStore& keys, const std::string& agent,
                          const std::string& version, const std::string& subject);

// For run.started: {"entry":7,"percent":10,"place":42,"version":"2"}, of the version that the run
// was given.
std::string RolloutJson(const RolloutInfo& rollout, std::int64_t place, const std::string& version);

}  // namespace interlock::runtime
