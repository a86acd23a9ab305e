// The label of a value in full: parts that nobody labelled count.
#pragma once

#include <string>

#include "policies/decision.h"

namespace interlock::policies {

// Under, joined with an untrusted label of source "unknown" if some part of the value at `path` has
// no label of its own and none above it. Values outside of the arguments and the content have the
// labels that stand there.
Label LabelInFull(const DecisionInput& input, const std::string& path);

}  // namespace interlock::policies
