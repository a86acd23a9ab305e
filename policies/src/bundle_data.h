// Shared by bundle and engine.
#pragma once

#include "core/status.h"
#include "policies/bundle.h"

namespace interlock::policies {

// kInvalidArgument with "refund.lua:12: message".
core::Status FindingStatus(const Finding& finding);

}  // namespace interlock::policies
