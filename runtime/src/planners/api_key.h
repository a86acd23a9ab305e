// Keys of model endpoints: from the environment or a file only.
#pragma once

#include <string>
#include <string_view>

#include "core/status.h"

namespace interlock::runtime {

// Reads the key that one of the two names; empty when neither is given. A file comes first. White
// space around a key is cut. Errors: kNotFound (nothing there), kInvalidArgument (characters that a
// header cannot carry).
core::StatusOr<std::string> ReadApiKey(const std::string& env, const std::string& file);

// Plain http is for an endpoint on the same machine; elsewhere it would show the key to everyone
// between. Errors: kInvalidArgument.
core::Status CheckEndpointUrl(std::string_view url, bool has_key);

}  // namespace interlock::runtime
