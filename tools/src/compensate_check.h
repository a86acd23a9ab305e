// Whether a call could be taken back as its manifest says: what can be told when tools are loaded.
#pragma once

#include "core/status.h"
#include "tools/tool.h"

namespace interlock::tools {

// By the manifest alone: its placeholders name what `input` requires and what `result` promises.
// Errors: kInvalidArgument.
core::Status CheckCompensateForm(const Manifest& manifest);

// Beside the other tools: the named one exists, changes something, and takes these arguments.
// Errors: kInvalidArgument.
core::Status CheckCompensate(const Registry& registry, const Manifest& manifest);

}  // namespace interlock::tools
