// Kill switches: what their names mean, and what is said of one.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/status.h"
#include "runtime/engine.h"

namespace interlock::runtime {

inline constexpr const char* kKilled = "KILLED";
inline constexpr std::string_view kAllSwitch = "all";
inline constexpr std::string_view kAgentSwitch = "agent:";
inline constexpr std::string_view kToolSwitch = "tool:";
inline constexpr std::size_t kSwitchNameBytesMax = 128;
inline constexpr std::size_t kSwitchesMax = 64;  // set at once

// Whether a switch of that name stops a call of `tool` by `agent`; without a tool, that agent's
// runs.
bool SwitchStops(std::string_view name, std::string_view tool, std::string_view agent);
class State;
struct CallIdentity;
struct RunRow;
// The switch that stops this call, or without a tool this run: by its own agent, or by one of those
// above that it works for.
std::optional<SwitchInfo> StoppedFor(const State& state, const CallIdentity& id,
                                     std::string_view tool);
// As above, of a run as its row tells it.
std::optional<SwitchInfo> StoppedFor(const State& state, const RunRow& run, std::string_view tool);
// Of an operator's act, for its entry: one line of 1 to 200 bytes. Errors: kInvalidArgument.
core::Status CheckReason(std::string_view reason);
// Errors: kInvalidArgument.
core::Status CheckSwitchName(std::string_view name);
// One line: which switch, who, when.
std::string KilledSay(const SwitchInfo& set);

}  // namespace interlock::runtime
