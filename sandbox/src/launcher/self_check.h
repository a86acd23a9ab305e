// The program that the trial runs inside a box: it looks at the walls from within.
#pragma once

namespace interlock::sandbox {

// Prints one line for each wall that does not stand. Returns an exit status: 0 when all stand.
int SelfCheck(bool namespaces);

}  // namespace interlock::sandbox
