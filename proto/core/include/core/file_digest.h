// SHA-256 of a file, read in parts.
#pragma once

#include <cstdint>

#include "core/digest.h"
#include "core/status.h"

namespace interlock::core {

// Of the bytes from the start of an open file, whose position it moves. Errors: kResourceExhausted
// above `bytes_max`, kUnavailable when it cannot be read.
StatusOr<Digest> Sha256OfFile(int fd, std::int64_t bytes_max);

}  // namespace interlock::core
