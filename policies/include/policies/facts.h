// How the arguments of a declared look-up come out of a call (rule 2).
#pragma once

#include "core/json.h"
#include "core/status.h"
#include "policies/decision.h"

namespace interlock::policies {

// Fills the templates in `fact.args` from `scope`, an object with members `args`, `session`, `user`
// (a string) and `facts` (values of the facts that are present). A text that is exactly one
// placeholder becomes the value itself, whatever its type; elsewhere strings, integers and booleans
// are spliced in as text. Errors: kNotFound naming the path when a value is missing or null (the
// fact is then absent, with error_code "MISSING_INPUT"); kInvalidArgument for an object or array
// inside a longer text.
core::StatusOr<core::Json> ExpandFactArgs(const FactDecl& fact, const core::Json& scope);

}  // namespace interlock::policies
