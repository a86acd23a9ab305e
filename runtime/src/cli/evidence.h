// audit evidence|proof|export|witness: what leaves the log for others to check.
#pragma once

#include "cli/cli.h"

namespace interlock::runtime::cli {

// Written beside and renamed, so that no half file is ever taken for a whole one.
core::Status WriteWhole(const std::string& path, std::string_view bytes);

void AddEvidenceCommands(CLI::App& group, Session& session);
void AddWitnessCommands(CLI::App& group, Session& session);

}  // namespace interlock::runtime::cli
