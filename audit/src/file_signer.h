// The signer of checkpoint.h in files, with a rule for the logs that follow the first of a name.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "audit/checkpoint.h"
#include "core/status.h"

namespace interlock::audit {

enum class Successors {
  kAny,       // for a daemon that holds the key itself, and so is asked nothing
  kClosed,    // only after FinishRotation was shown that the log before is closed
  kRestored,  // also after a log of which something was signed and that nobody closed
};

// Sign and FinishRotation refuse a first head with kPermissionDenied when the log's turn has not
// come.
core::StatusOr<std::unique_ptr<Signer>> OpenFileSigner(const std::string& folder,
                                                       std::string_view name,
                                                       Successors successors);

}  // namespace interlock::audit
