// Calls that a planner makes again and again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/planner.h"

namespace interlock::runtime {

// A call as it was proposed; of long arguments their digest.
struct MadeCall {
  std::string tool;
  std::string args;
};
// Of the newest plans that made calls, oldest first.
using MadePlans = std::vector<std::vector<MadeCall>>;

// So many plans for each time that a call may be repeated: calls that take turns are seen, too.
inline constexpr std::int64_t kPlansPerRepeat = 4;

// The call that was made most often.
struct Loop {
  std::string tool{};
  std::int64_t times = 0;  // 0: none passes the limit
};
// What of `plan` was made, with the plans before it, more than `repeats_max` times: the same tool
// with the same arguments, however they are written.
Loop LoopOf(const MadePlans& before, const Plan& plan, std::int64_t repeats_max);
// Keeps what the next look needs.
void NotePlan(MadePlans& plans, const Plan& plan, std::int64_t repeats_max);

}  // namespace interlock::runtime
