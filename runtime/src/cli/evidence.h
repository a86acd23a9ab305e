// audit evidence|proof|export|witness: what leaves the log for others to check.
#pragma once

#include "cli/cli.h"

namespace interlock::runtime::cli {

void AddEvidenceCommands(CLI::App& group, Session& session);
void AddWitnessCommands(CLI::App& group, Session& session);

}  // namespace interlock::runtime::cli
