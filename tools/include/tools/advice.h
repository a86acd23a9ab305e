// What a tool's author reads after his program failed in a box.
#pragma once

#include <string>
#include <vector>

#include "sandbox/launcher.h"

namespace interlock::tools {

// The rule of the box that ended the program, or that none did; then, for a program that failed by
// itself, a line for each thing in its output that programs say when a wall of the box is in their
// way, with the key of the manifest (and the option of `sandbox exec`) that moves it. The lines are
// our own words, safe for a terminal.
std::vector<std::string> ExplainEnding(const sandbox::Limits& limits,
                                       const sandbox::BoxResult& result);

// The same for the record: one line; empty when the box was in nobody's way.
std::string AdviceOn(const sandbox::Limits& limits, const sandbox::BoxResult& result);

}  // namespace interlock::tools
