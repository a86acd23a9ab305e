// What goes to the launcher for one call.
#pragma once

#include <cstdint>
#include <optional>

#include "core/status.h"
#include "sandbox/launcher.h"
#include "tools/executor.h"

namespace interlock::tools {

// Fills the `{session.x}` of mounts and environment, adds what the protocol promises the tool, and
// cuts the wall limit to `wall_ms_max`. Precondition: a process tool. Errors: kInvalidArgument
// naming a session value that is missing or is not one safe path component.
core::StatusOr<sandbox::BoxSpec> MakeBox(const CallSpec& call, std::int64_t wall_ms_max);

// What the call's program may leave for the log, `{session.x}` filled in likewise; none: nothing.
core::StatusOr<std::optional<ArtifactSpec>> ArtifactsOf(const CallSpec& call);

}  // namespace interlock::tools
