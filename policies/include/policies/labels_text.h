// Labels as text.
#pragma once

#include <string>

#include "policies/labels.h"

namespace interlock::policies {

// The canonical text of LabelsJson, without its tree: it is made twice for every call of a run.
std::string CanonicalLabels(const LabelMap& labels);

}  // namespace interlock::policies
