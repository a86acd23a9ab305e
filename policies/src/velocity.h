// Velocities: calls that go on are counted, and an amount of theirs is summed, under a key taken
// from them, so that rules of any run may ask how many there were and how much.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "program.h"
#include "table/path.h"

namespace interlock::policies {

inline constexpr std::size_t kVelocitiesMax = 256;

// Adds a finding for each question of a rule that names no velocity, as far as the text shows it.
void CheckVelocityNames(const std::vector<BundleFile>& files, const Program& program,
                        std::vector<Finding>& findings);

// velocity "name" { tool, key, of, unit, within, optional }
int VelocityStart(lua_State* lua);
// count { tool | velocity, key, within } and sum { tool | velocity, key, of, within } in a rule.
bool AsksVelocity(lua_State* lua, int index);
int CountOfVelocity(lua_State* lua);
int SumOfVelocity(lua_State* lua);

// The counter of one key: "refund/paid:USD/u1". No rule's counter has a colon before its key.
std::string CounterOf(const Velocity& velocity, std::string_view key);

// Adds what a call that goes on counts for. Where a key or an amount is missing, the call is denied
// as RULE_ERROR: what is not counted could not be bounded by any rule.
void CountCall(const Program& program, const std::vector<std::uint32_t>& velocities,
               PathValues& values, Decision& decision);

}  // namespace interlock::policies
