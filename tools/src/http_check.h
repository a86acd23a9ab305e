#pragma once

#include "core/status.h"
#include "tools/tool.h"

namespace interlock::tools {

// Whether the `http` part of a manifest can be run at all. Errors: kInvalidArgument, what to do.
core::Status CheckHttp(const HttpSpec& http);

}  // namespace interlock::tools
