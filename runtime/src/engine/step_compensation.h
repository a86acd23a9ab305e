// The end of a run that was not completed: what it did is taken back, newest first, one call after
// the other, each through the gate. Part of the pure core.
#pragma once

#include <vector>

#include "engine/step.h"

namespace interlock::runtime {

// Ends the run, at once if nothing of it can be taken back. A call whose outcome a person has yet
// to say is waited for: only then is it known whether there is something to take back.
std::vector<Effect> EndUncompleted(RunCore& run, Ending ending);

// Step of a run that is compensating. When all is done it ends as it was going to, or, if
// something could not be taken back, as kUncompensated.
std::vector<Effect> StepCompensating(RunCore& run, const Event& event);

// Whether it waits for an approval or a person, and holds nothing meanwhile.
bool CompensationWaits(const RunCore& run);

}  // namespace interlock::runtime
