// Open approvals of a run, in the journal's serial section: what a message and the run's end do to
// them (rule 15).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"
#include "engine/journal.h"

namespace interlock::runtime {

struct EndedCall {
  std::string run;
  std::string call;
};

// The run's user wrote: every call that his own word was asked for, or has allowed and did not
// start yet, ends; the other approvals of such a call with it. So do those of the runs above and
// below it: it is one conversation to him. `ended` gets the calls.
core::Status VoidConfirmations(Serial& serial, const std::string& run,
                               std::vector<EndedCall>& ended);

// Every open approval of the run, the calls that wait for them, and those that an edit has freed of
// their approvals and that were not decided on since: with the run's end they wait for nobody.
core::Status VoidOpenApprovals(Serial& serial, const std::string& run, std::string_view why);

// A call that was edited and is not decided anew ends. `run` is empty where it has none.
core::Status Withdraw(Serial& serial, const std::string& run, const std::string& call,
                      std::string_view why);

// What a run that parks waits for: of these approvals, by call, those that are open of calls that
// are parked still.
struct ParkedFor {
  std::vector<std::string> approvals;
  bool pending = false;  // somebody has to answer one
};
ParkedFor WhatParks(State& state, const std::map<std::string, std::vector<std::string>>& asked);

}  // namespace interlock::runtime
