// The cheap anchor: every signed note also goes to a file on another mount, so that a log that was
// cut or rolled back is caught by what stands there.
#pragma once

#include <string>
#include <string_view>

#include "core/status.h"

namespace interlock::audit {

// Appends a note and an empty line, and syncs. A file whose last note is torn gets an empty line
// first, so that the next note stands alone. Errors: errno as a status.
core::Status AppendToAnchor(const std::string& path, std::string_view note);

}  // namespace interlock::audit
