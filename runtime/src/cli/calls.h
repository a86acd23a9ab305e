// A call as the commands print it.
#pragma once

#include "cli/client.h"
#include "cli/io.h"

namespace interlock::runtime::cli {

void PrintCall(const Io& io, const wire::Call& call);

// 0: it ran; 1: denied, refused or failed; 3: parked or not settled yet; 2: unknown outcome, or
// nothing ran.
int ExitCodeOf(const wire::Call& call);
// Of a dry run: 0: it would run; 3: it would wait for an approval; 1: it would not run.
int ExitCodeOfCheck(const wire::Call& call);

}  // namespace interlock::runtime::cli
