// Reading small files whole.
#pragma once

#include <cstddef>
#include <string>

#include "core/status.h"

namespace interlock::runtime {

// Errors: kNotFound when it cannot be read, with the reason; kInvalidArgument when larger than
// `bytes_max`.
core::StatusOr<std::string> ReadWholeFile(const std::string& path, std::size_t bytes_max);

// Replaces `path` by a file with these bytes, all or nothing: temporary name, fsync, rename.
core::Status WriteFileAtomically(const std::string& path, const std::string& bytes);

}  // namespace interlock::runtime
