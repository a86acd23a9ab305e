// What is answered to those who want something of a run that takes nothing more.
#pragma once

#include <string>
#include <string_view>

#include "engine/state.h"

namespace interlock::runtime {

// `row`: null or of a state that IsEnding. `not_done`: "it cannot be cancelled", said of a run that
// has not ended yet.
inline core::Status RunEnded(const std::string& run, const RunRow* row, std::string_view not_done) {
  std::string text = "run `" + run + "` ";
  if (row == nullptr || IsFinal(row->state)) {
    text += "has ended";
  } else {
    text += row->state == RunState::kCompensating ? "is taking back what it did: "
                                                  : "is being cancelled: ";
    text += not_done;
  }
  return WithReason(core::FailedPrecondition(text), "RUN_ENDED");
}

}  // namespace interlock::runtime
