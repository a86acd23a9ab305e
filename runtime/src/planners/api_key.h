// Keys of model endpoints: from the environment or a file only.
#pragma once

#include <string>

#include "core/status.h"

namespace interlock::runtime {

// Reads the key that one of the two names; empty when neither is given. A file comes first. White
// space around a key is cut. Errors: kNotFound (nothing there), kInvalidArgument (characters that a
// header cannot carry).
core::StatusOr<std::string> ReadApiKey(const std::string& env, const std::string& file);

// Whether paths can be put behind it. With a key, plain http is for an endpoint on the same
// machine; elsewhere it would show the key to everyone between. Errors: kInvalidArgument, without
// the url, which may hold a password.
core::Status CheckEndpointUrl(const std::string& text, bool has_key);

}  // namespace interlock::runtime
