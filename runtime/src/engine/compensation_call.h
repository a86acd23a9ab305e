// The call by which the engine takes another one back: what its manifest makes of what that one has
// left in the log.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"
#include "engine/gate.h"
#include "engine/history.h"
#include "engine/step.h"

namespace interlock::runtime {

// How it begins that a call cannot be taken back because the log cannot tell of it any more.
inline constexpr std::string_view kCannotTell =
    "The log cannot tell what is to be taken back; a person sees to it: ";

// What is known of a call that is to be taken back.
struct ToTakeBack {
  std::string of;    // the call
  std::string tool;  // that it called; empty: nobody knows
  // As the log has it. An error: it cannot be read any more, and a person sees to it.
  core::StatusOr<RecordedCall> call;
};

// Gives the ticket of the compensation, whose `id` is the run's, its tool, its arguments and its
// place in the run; or why it cannot be made.
void MakeCompensation(const tools::Registry& registry, const RunCore& core, const ToTakeBack& back,
                      Ticket& ticket);

// Calls of one run that has ended, which do not change any more: read once, however many of them
// are taken back.
struct CallsOfEnded {
  std::string run;
  std::vector<RecordedCall> calls;
};
// Errors: kDataLoss, when the run has no such call; those of `read` pass.
core::StatusOr<RecordedCall> CallOfEnded(
    const std::string& run, const std::string& call,
    const std::function<core::StatusOr<RecordedRun>(const std::string&)>& read, CallsOfEnded& kept);

}  // namespace interlock::runtime
