// Which lines of a bundle's rules ran.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "policies/test.h"
#include "program.h"

namespace interlock::policies {

// Lines of functions inside of policies (rules and their helpers, not invariants), and the line of
// each table rule. `program` was loaded from `files`; `ran` holds what the engine watched, and the
// places of table rules that spoke. By file.
std::vector<FileCoverage> CoverageOf(Program& program, const std::vector<BundleFile>& files,
                                     const std::set<std::pair<std::string, int>>& ran);

}  // namespace interlock::policies
